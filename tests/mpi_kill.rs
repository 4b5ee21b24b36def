//! A rank is killed at any moment: the job ends, what was committed stays whole, and a restart gives the same bits.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod mpi_common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use mpi_common::{
    Bench, Going, Launch, Random, assert_same_bits, event_steps, files, heat, in_background, is_mpich, list, mpirun,
    run_json, signal, step, tell, ticks, whole_steps,
};
use ringfort::clock;

/// How long mpirun may live on after a rank was killed.
const AFTER_KILL: Duration = Duration::from_secs(5);
const EVERY: u64 = 20;
/// Checkpoints that stay.
const KEPT: usize = 3;
/// Length of the job that is killed at random moments.
const SECONDS: f64 = 1.0;
/// How long after a checkpoint it may be killed, in milliseconds.
const PAST: usize = 40;

fn job(steps: u64) -> String {
    let job = heat("37, 41", "\"wall\", \"periodic\"", true, steps, &format!("{EVERY} steps"));
    format!("{job}[torus]\nsteps_per_exchange = 2\n")
}

/// Where the killed run was, as the folder shows it.
fn phase(dir: &Path) -> String {
    if !dir.join("run.json").exists() {
        return "start".into();
    }
    let lines = if dir.join("checkpoints").exists() { list(dir) } else { Vec::new() };
    let saved = event_steps(dir, "checkpoint").into_iter().max().unwrap_or(0);
    match lines.first() {
        Some((name, at, state)) if state == "partial" => {
            let folder = dir.join(name);
            let chunks = files(&folder.join("temperature/c"));
            let what = if folder.join("MANIFEST.part").exists() { "manifest" } else { "chunks" };
            format!("write, step {at}, {what}, {chunks} chunks there")
        }
        Some((_, at, _)) if *at > saved => format!("prune, step {at}"),
        _ => format!("compute or exchange, after step {saved}"),
    }
}

/// Kills the process and asserts that the job ends by it.
fn kill(going: Going, pid: u32, what: &str) -> f64 {
    signal("KILL", pid);
    let ended = going.end(AFTER_KILL);
    assert_ne!(ended.code, 0, "{what}: mpirun is content\n{}", ended.err);
    ended.waited
}

/// Runs what is left on `ranks` ranks; asserts the bits of `undisturbed`.
fn finish(mpirun: &Path, bench: &Bench, dir: &Path, ranks: usize, undisturbed: &Path) -> u64 {
    let whole = if dir.join("checkpoints").exists() { whole_steps(dir, undisturbed) } else { Vec::new() };
    let from = whole.first().copied().unwrap_or(0);
    let ended = if from == 0 {
        Launch::ranks(mpirun, ranks).run(&bench.job, dir).words("--resume --threads 1").ends(0)
    } else {
        Launch::restart_sh(mpirun, dir).words(&format!("-n {ranks} --threads 1")).ends(0)
    };
    if from > 0 {
        ended.says(&format!("step {from}, written"));
    }
    assert_same_bits(undisturbed, dir);
    let mut left = list(dir);
    // A rank that dies between making a folder and saying whose it is leaves one that nobody may delete: it is moved aside.
    left.retain(|(name, ..)| !name.contains(".refused-"));
    let whole = |state: &str| state == "whole";
    // Ruins that are older than what is kept go at the next checkpoint, and none follows a restart from the last step.
    let older = left.iter().scan(0, |kept, (.., state)| {
        *kept += usize::from(whole(state));
        Some((*kept, state))
    });
    let ruins = older.filter(|(kept, state)| *kept >= KEPT && !whole(state)).count();
    assert!(ruins == 0 || from == left[0].1, "{left:?}");
    from
}

/// Number of steps that take about [`SECONDS`] on four ranks.
fn calibrate(mpirun: &Path) -> u64 {
    let bench = Bench::new(&job(400));
    let dir = bench.dir("run");
    Launch::ranks(mpirun, 4).run(&bench.job, &dir).words("--threads 1").ends(0);
    let rate = 400.0 / run_json(&dir)["seconds"].as_f64().unwrap();
    (1..=400).map(|hundreds| 100 * hundreds).find(|&steps| steps as f64 > rate * SECONDS).unwrap_or(40_000)
}

#[test]
fn a_rank_killed_at_a_random_moment_costs_no_bit() {
    let Some(mpirun) = mpirun("kill at random moments") else { return };
    let steps = calibrate(mpirun);
    kill_at_random(mpirun, &Bench::new(&job(steps)), steps, if is_mpich(mpirun) { 8 } else { 20 });
}

/// Checkpoints every 20 steps, that is one in flight at almost any moment.
#[test]
fn a_rank_killed_while_a_checkpoint_is_in_flight_costs_no_bit() {
    let Some(mpirun) = mpirun("kill in flight") else { return };
    kill_at_random(mpirun, &Bench::new(&in_background(&job(2000))), 2000, 10);
}

#[test]
#[ignore = "takes minutes"]
fn a_rank_killed_while_a_checkpoint_is_in_flight_costs_no_bit_at_length() {
    let Some(mpirun) = mpirun("kill in flight, at length") else { return };
    kill_at_random(mpirun, &Bench::new(&in_background(&job(3000))), 3000, 100);
}

/// Kills a random rank of the job of `steps` steps at `kills` random moments.
fn kill_at_random(mpirun: &Path, bench: &Bench, steps: u64, kills: usize) {
    let mut random = Random::new("kill at random moments");
    let waits = Bench::new(&job(steps));
    let undisturbed = waits.undisturbed("");
    let (mut slowest, mut too_late, mut number) = (0.0, 0, 0);
    while number < kills {
        let (ranks, after) = (random.of(&[2, 3, 4]), random.of(&[1, 2, 3, 4, 6]));
        // Counted in steps and not in time: the machine may have become faster since it was calibrated.
        let (rank, moment) = (random.below(ranks), random.below(usize::try_from(steps).unwrap()) as u64);
        let wait = Duration::from_millis(random.below(PAST) as u64);
        let dir = bench.dir(&format!("run-{number}-{too_late}"));
        let mut going = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1").start();
        let pids = going.wait_for_ranks(ranks).expect("ranks run");
        let saved = |dir: &Path| event_steps(dir, "checkpoint").into_iter().max().unwrap_or(0);
        let mut reached = None;
        let alive = going.wait_until(|_| {
            // Not while the launcher is still at it: Open MPI 4 may then hang itself.
            let runs = dir.join("run.json").is_file();
            if reached.is_none() && runs && saved(&dir) >= moment / EVERY * EVERY {
                reached = Some(clock::now());
            }
            reached.is_some_and(|since| clock::now().duration_since(since) >= wait).then_some(())
        });
        if alive.is_none() || !event_steps(&dir, "end").is_empty() {
            too_late += 1;
            assert!(too_late < 3 * kills, "the job of {steps} steps is too short");
            continue;
        }
        let what = format!("kill {number} of rank {rank} of {ranks} {} ms past step {moment}", wait.as_millis());
        signal("KILL", pids[&rank]);
        let ended = going.end(AFTER_KILL);
        if !event_steps(&dir, "end").is_empty() {
            too_late += 1;
            continue;
        }
        assert_ne!(ended.code, 0, "{what}: mpirun is content\n{}", ended.err);
        let hit = phase(&dir);
        let from = finish(mpirun, bench, &dir, after, &undisturbed);
        let took = ended.waited;
        tell(&format!("{what}: {hit}; over after {took:.2} s; restarted at step {from} on {after}, same bits"));
        slowest = if took > slowest { took } else { slowest };
        number += 1;
    }
    tell(&format!(
        "kills at random moments: {kills} of a job of {steps} steps, {too_late} more were too late; mpirun was over at \
         most {slowest:.2} s after the kill"
    ));
}

/// A run whose rank `part` stalls in `phase` at `at`, killed there.
fn stalled(mpirun: &Path, bench: &Bench, dir: &Path, (ranks, part): (usize, usize), (phase, at): (&str, u64)) -> f64 {
    let fault = format!("stall@step={at},part={part},phase={phase}");
    let launch = Launch::ranks(mpirun, ranks).run(&bench.job, dir).words("--threads 1").fault(&fault);
    let mut going = launch.start();
    let pids = going.wait_for_ranks(ranks).expect("ranks run");
    let pid = pids[&part];
    // A rank that waits for others uses some of the processor, one that stalls uses none.
    let (mut since, mut used) = (clock::now(), None);
    let stalls = going.wait_until(|_| {
        let now = ticks(pid);
        if now != used || !event_steps(dir, "checkpoint").contains(&(at - EVERY)) {
            (since, used) = (clock::now(), now);
        }
        (clock::now().duration_since(since) > Duration::from_millis(700)).then_some(())
    });
    stalls.unwrap_or_else(|| panic!("{fault}: the job ended by itself"));
    kill(going, pid, &fault)
}

#[test]
fn a_rank_killed_in_any_phase_costs_no_bit() {
    let Some(mpirun) = mpirun("kill in each phase") else { return };
    let mut random = Random::new("kill in each phase");
    let bench = Bench::new(&job(160));
    let undisturbed = bench.undisturbed("");
    let mut kills = 0;
    for (number, phase) in ["compute", "exchange", "copy", "write", "manifest", "copy", "write"].into_iter().enumerate()
    {
        let (ranks, after) = (random.of(&[2, 3, 4]), random.of(&[1, 2, 3, 4, 6]));
        let part = match phase {
            "manifest" => 0,
            // Rank 0 and some other.
            "copy" | "write" => {
                if number < 5 {
                    0
                } else {
                    1 + random.below(ranks - 1)
                }
            }
            _ => random.below(ranks),
        };
        let at = EVERY * (2 + random.below(5) as u64);
        let dir = bench.dir(&format!("run-{number}"));
        let took = stalled(mpirun, &bench, &dir, (ranks, part), (phase, at));
        let partial: PathBuf = step(&dir, at);
        let chunks = files(&partial.join("temperature/c"));
        let committed = partial.join("MANIFEST").exists();
        match phase {
            "compute" => assert!(!partial.exists(), "{phase}"),
            // The exchange after the checkpoint of that step.
            "exchange" => assert!(committed, "{phase}"),
            "copy" => assert!(!committed && chunks == ranks - 1, "{phase}: {chunks} chunks"),
            _ => assert!(!committed && chunks == ranks, "{phase}: {chunks} chunks"),
        }
        let hit = self::phase(&dir);
        let from = finish(mpirun, &bench, &dir, after, &undisturbed);
        assert_eq!(from, if phase == "exchange" { at } else { at - EVERY }, "{phase}");
        tell(&format!(
            "kill of rank {part} of {ranks} in {phase} at step {at}: {hit}; over after {took:.2} s; restarted at step \
             {from} on {after}, same bits"
        ));
        kills += 1;
    }
    tell(&format!("kills in a phase: {kills}"));
}

/// A rank whose checkpoint never gets beyond a phase is killed while the run goes on.
#[test]
fn a_rank_killed_in_any_phase_of_a_flight_costs_no_bit() {
    let Some(mpirun) = mpirun("kill in each phase of a flight") else { return };
    let mut random = Random::new("kill in each phase of a flight");
    let waits = Bench::new(&job(400));
    let undisturbed = waits.undisturbed("");
    let bench = Bench::new(&in_background(&job(400)));
    for (number, (phase, part)) in
        [("copy", 0), ("copy", 1), ("write", 0), ("write", 1), ("manifest", 0)].into_iter().enumerate()
    {
        let (ranks, after) = (random.of(&[2, 3]), random.of(&[1, 2, 4]));
        let dir = bench.dir(&format!("run-{number}"));
        // Two that nothing disturbs.
        Launch::alone().run(&bench.job, &dir).words("--threads 1 --steps 40").ends(0);
        let fault = format!("stall@step=60,part={part},phase={phase}");
        let restart = Launch::ranks(mpirun, ranks).words("restart").path(&dir).words("--threads 1 --steps 400");
        let mut going = restart.fault(&fault).start();
        let pids = going.wait_for_ranks(ranks).expect("ranks run");
        let skipped = |dir: &Path| !event_steps(dir, "checkpoint-skipped").is_empty();
        if phase == "copy" {
            let (mut since, mut used) = (clock::now(), None);
            going
                .wait_until(|_| {
                    let now = ticks(pids[&part]);
                    if now != used {
                        (since, used) = (clock::now(), now);
                    }
                    (clock::now().duration_since(since) > Duration::from_millis(900)).then_some(())
                })
                .expect("a rank that hangs holds up all");
        } else {
            going.wait_until(|_| skipped(&dir).then_some(())).expect("the run goes on");
            let folder = dir.join(&list(&dir)[0].0);
            let wanted = if phase == "manifest" { ranks } else { 1 };
            going
                .wait_until(|_| (files(&folder.join("temperature/c")) >= wanted).then_some(()))
                .expect("chunks are written");
        }
        let victim = random.below(ranks);
        let took = kill(going, pids[&victim], &fault);
        assert_eq!(list(&dir)[0].2, if phase == "copy" { list(&dir)[0].2.clone() } else { "partial".into() });
        let hit = self::phase(&dir);
        let from = whole_steps(&dir, &undisturbed)[0];
        assert_eq!(from, 40, "{phase}");
        Launch::restart_sh(mpirun, &dir).words(&format!("-n {after} --threads 1 --steps 400")).ends(0);
        assert_same_bits(&undisturbed, &dir);
        tell(&format!(
            "kill of rank {victim} of {ranks}, part {part} in {phase}: {hit}; over after {took:.2} s, same bits"
        ));
    }
}

#[test]
fn a_rank_that_panics_or_aborts_ends_the_job() {
    let Some(mpirun) = mpirun("panic and abort") else { return };
    let bench = Bench::new(&job(160));
    let undisturbed = bench.undisturbed("");
    for (number, (fault, ranks, after)) in
        [("panic@step=50,part=1", 2, 3), ("abort@step=90,part=0,phase=write", 3, 2)].into_iter().enumerate()
    {
        let dir = bench.dir(&format!("run-{number}"));
        let launch = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1").fault(fault);
        let ended = launch.start().end(Duration::from_secs(20));
        assert_ne!(ended.code, 0, "{fault}");
        finish(mpirun, &bench, &dir, after, &undisturbed);
    }
}

#[test]
fn restart_sh_tries_again_by_itself() {
    let Some(mpirun) = mpirun("restart.sh --retries") else { return };
    let bench = Bench::new(&job(160));
    let undisturbed = bench.undisturbed("");
    let dir = bench.dir("run");
    Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--threads 1 --steps 40").ends(0);
    let mut going = Launch::restart_sh(mpirun, &dir)
        .words("-n 2 --retries 2 --threads 1 --steps 20000 --set checkpoint.keep=1000")
        .start();
    let pids = going.wait_for_ranks(2).expect("ranks run");
    going.wait_until(|_| event_steps(&dir, "checkpoint").contains(&80).then_some(())).expect("it runs");
    signal("KILL", pids[&1]);
    let again = going.wait_until(|going| going.rank_pids().get(&0).copied().filter(|pid| *pid != pids[&0]));
    again.expect("it tries again");
    going.wait_until(|_| (event_steps(&dir, "start").len() == 3).then_some(())).expect("it restarts");
    drop(going);
    assert_same_bits(&step(&undisturbed, 40), &step(&dir, 40));
}
