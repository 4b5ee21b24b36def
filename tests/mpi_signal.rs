//! Signals and time: all ranks stop at one step after a checkpoint, and a restart gives the same bits.

#![cfg(feature = "mpi")]

mod mpi_common;

use std::path::Path;
use std::time::Duration;

use mpi_common::{
    Bench, Going, Launch, Random, assert_same_bits, event_steps, files, heat, in_background, is_mpich, list, mpirun,
    signal, step, tell, ticks,
};
use ringfort::clock;

/// More steps than any test waits for.
const ENDLESS: u64 = 100_000_000;
/// Steps between two checkpoints, where they matter.
const EVERY: u64 = 20;

fn bench(checkpoint: &str) -> Bench {
    Bench::new(&heat("23, 19", "\"wall\", \"periodic\"", true, ENDLESS, checkpoint))
}

/// Asserts that the run stopped early after a checkpoint of its last step, and that a few more steps on `ranks` ranks give
/// the bits of a run that nothing stopped.
fn goes_on(mpirun: &Path, bench: &Bench, dir: &Path, ranks: usize) -> u64 {
    let stopped = event_steps(dir, "stop");
    assert_eq!(stopped.len(), 1);
    assert_eq!(event_steps(dir, "checkpoint").last(), stopped.last(), "the last event but one is a checkpoint");
    assert_eq!(list(dir)[0].1, stopped[0]);
    let steps = stopped[0] + 30;
    Launch::restart_sh(mpirun, dir).words(&format!("-n {ranks} --threads 1 --steps {steps}")).ends(0);
    let name = dir.file_name().expect("a run has a folder").to_string_lossy();
    let other = bench.dir(&format!("undisturbed-{name}-{steps}"));
    Launch::alone().run(&bench.job, &other).words(&format!("--threads 1 --steps {steps}")).ends(0);
    for at in [stopped[0], steps] {
        Launch::alone().words("checkpoint verify").path(&step(dir, at)).ends(0);
    }
    assert_same_bits(&other, dir);
    stopped[0]
}

#[test]
fn a_signal_to_one_rank_stops_all_at_one_step() {
    let Some(mpirun) = mpirun("signals") else { return };
    let mut random = Random::new("signals");
    let bench = bench("1000000 steps");
    for ranks in [2, 3, 4] {
        let rank = random.below(ranks);
        let name = random.of(&["USR1", "TERM"]);
        let dir = bench.dir(&format!("run-{ranks}"));
        let run = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1 --steps-per-exchange 2");
        let mut going = run.start();
        let pids = going.wait_for_ranks(ranks).expect("ranks run");
        going.wait_until(|_| (!event_steps(&dir, "start").is_empty()).then_some(())).expect("it starts");
        std::thread::sleep(Duration::from_millis(random.below(300) as u64));
        signal(name, pids[&rank]);
        let ended = going.end(Duration::from_secs(10)).expect(85);
        ended.says("stopped early at step");
        let at = goes_on(mpirun, &bench, &dir, 5 - ranks);
        tell(&format!("SIG{name} to rank {rank} of {ranks}: stopped at step {at} after {:.2} s", ended.waited));
    }
}

/// `RINGFORT_SIGNALS` signals (200), each while a rank is held up in some phase.
#[test]
#[ignore = "takes a quarter of an hour"]
fn signals_in_every_phase_stop_all_at_one_step() {
    let Some(mpirun) = mpirun("signals in every phase") else { return };
    let count: usize = std::env::var("RINGFORT_SIGNALS").map_or(200, |count| count.parse().expect("a number"));
    let mut random = Random::new("signals in every phase");
    let job = heat("23, 19", "\"wall\", \"periodic\"", true, ENDLESS, &format!("{EVERY} steps")) + "keep = 9\n";
    let (waits, flies) = (Bench::new(&job), Bench::new(&in_background(&job)));
    let mut slowest = 0.0;
    for number in 0..count {
        let phase = ["compute", "exchange", "copy", "write", "manifest"][number % 5];
        let (ranks, in_flight) = (random.of(&[2, 3, 4]), random.of(&[false, true]));
        let bench = if in_flight { &flies } else { &waits };
        let part = if phase == "manifest" { 0 } else { random.below(ranks) };
        // Later ones are skipped while the first is in flight.
        let at = if in_flight { EVERY } else { EVERY * (1 + random.below(4) as u64) };
        let dir = bench.dir(&format!("phase-{number}"));
        let fault = format!("stall@step={at},part={part},phase={phase},seconds=1");
        let mut going = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1").fault(&fault).start();
        let pids = going.wait_for_ranks(ranks).expect("ranks run");
        held_up(&mut going, &dir, phase, (at, pids[&part], ranks));
        let (name, to) = (random.of(&["USR1", "TERM"]), random.below(ranks));
        signal(name, pids[&to]);
        let ended = going.end(Duration::from_secs(10)).expect(85);
        ended.says("stopped early at step");
        let stopped = goes_on(mpirun, bench, &dir, random.of(&[1, 2, 3, 4]));
        tell(&format!(
            "{number}: SIG{name} to rank {to} of {ranks}, part {part} in {phase} at step {at}: stopped at step {stopped} after {:.2} s",
            ended.waited
        ));
        slowest = if ended.waited > slowest { ended.waited } else { slowest };
    }
    tell(&format!(
        "signals in every phase: {count}, each obeyed at one step within {slowest:.2} s, same bits after it"
    ));
}

/// Waits until part of the rank `pid` is in `phase` of step `at`, where it stays for a second.
fn held_up(going: &mut Going, dir: &Path, phase: &str, (at, pid, ranks): (u64, u32, usize)) {
    let (mut since, mut used) = (clock::now(), None);
    let there = going.wait_until(|_| {
        let folder = step(dir, at);
        let arrived = match phase {
            "write" => folder.join("temperature/c").exists(),
            "manifest" => files(&folder.join("temperature/c")) == ranks,
            _ => {
                // One that waits for others uses some of the processor, one that stalls uses none.
                let now = ticks(pid);
                if now != used || event_steps(dir, "start").is_empty() {
                    (since, used) = (clock::now(), now);
                }
                clock::now().duration_since(since) > Duration::from_millis(150)
            }
        };
        arrived.then_some(())
    });
    there.expect("it goes on");
}

#[test]
fn a_signal_to_mpirun_reaches_the_ranks() {
    let Some(mpirun) = mpirun("signal to mpirun") else { return };
    let bench = bench("1000000 steps");
    let dir = bench.dir("run");
    let mut going = Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--threads 1").start();
    going.wait_until(|_| (!event_steps(&dir, "start").is_empty()).then_some(())).expect("it starts");
    signal("USR1", going.pid());
    let ended = going.end(Duration::from_secs(10));
    ended.says("stopped early at step");
    // MPICH's launcher, told a signal, mostly forgets what its ranks end with, whatever the program.
    if ended.code == 0 && is_mpich(mpirun) {
        tell("SKIPPED  exit code of a signal to mpirun: MPICH's launcher returns 0; signal a rank, or use --max-time");
    } else {
        ended.expect(85);
    }
    goes_on(mpirun, &bench, &dir, 1);
}

#[test]
fn a_signal_stops_a_run_without_mpi() {
    let Some(mpirun) = mpirun("signals without mpirun") else { return };
    let bench = bench("1000000 steps");
    for (number, (name, more)) in
        [("USR1", ""), ("TERM", ""), ("USR1", "--local-ranks 3"), ("TERM", "--local-ranks 4")].into_iter().enumerate()
    {
        let dir = bench.dir(&format!("run-{number}"));
        let mut going = Launch::alone().run(&bench.job, &dir).words("--threads 1").words(more).start();
        going.wait_until(|_| (!event_steps(&dir, "start").is_empty()).then_some(())).expect("it starts");
        signal(name, going.pid());
        going.end(Duration::from_secs(10)).expect(85);
        goes_on(mpirun, &bench, &dir, 2);
    }
}

#[test]
fn a_time_limit_stops_the_run_after_a_checkpoint() {
    let Some(mpirun) = mpirun("time limit") else { return };
    let bench = bench("1000000 steps");
    let dir = bench.dir("run");
    let run = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1 --max-time 1s");
    let ended = run.start().end(Duration::from_secs(15)).expect(85);
    let at = goes_on(mpirun, &bench, &dir, 2);
    assert!(ended.seconds > 0.5 && ended.seconds < 12.0, "{} s", ended.seconds);
    tell(&format!("--max-time 1s: over {:.2} s after mpirun's start, at step {at}", ended.seconds));
}

#[test]
fn the_clock_makes_checkpoints_at_common_steps() {
    let Some(mpirun) = mpirun("checkpoints by the clock") else { return };
    let bench = bench("0.5 s");
    let dir = bench.dir("run");
    let run =
        Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1 --max-time 3s --set checkpoint.keep=99");
    run.start().end(Duration::from_secs(15)).expect(85);
    let saved = event_steps(&dir, "checkpoint");
    assert!((3..=8).contains(&saved.len()), "{saved:?}");
    let steps: Vec<u64> = list(&dir).into_iter().rev().map(|(_, step, _)| step).collect();
    assert_eq!(steps, saved);
    Launch::alone().words("checkpoint verify").path(&dir).ends(0);
    // Rounds may end where the clock chose; each of these states is the job's own.
    for &at in saved.iter().take(3) {
        let other = bench.dir(&format!("undisturbed-{at}"));
        Launch::alone().run(&bench.job, &other).words(&format!("--threads 1 --steps {at}")).ends(0);
        assert_same_bits(&step(&dir, at), &other);
    }
    goes_on(mpirun, &bench, &dir, 4);
    tell(&format!("every = 0.5 s: checkpoints at steps {saved:?}"));
}
