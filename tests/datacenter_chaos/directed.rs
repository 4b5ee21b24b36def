//! One thing at a time: how long a loss takes, what ends a run, what starts again, what is refused.

use std::fs;
use std::time::{Duration, Instant};

use ringfort::clock;
use ringfort::datacenter::tally::{self, Tally};

use super::after::{all_is_well, nothing_lives, record};
use super::faults::LEASE;
use super::jobs::Job;
use super::mpi_common::{Launch, Random, heat, list, signal, step, tell};
use super::processes::{Process, Run};

/// What a machine with other work may add to any time.
const SLACK: Duration = Duration::from_secs(4);

fn job(blocks: &str, round: usize, (steps, every): (u64, u64)) -> Job {
    let text = heat("61, 67", "\"wall\", \"periodic\"", true, steps, &format!("{every} steps"));
    let settings = format!("[datacenter]\nblocks = [{blocks}]\nsteps_per_round = {round}\nlease = \"1 s\"\n");
    let count = blocks.split(',').map(|part| part.trim().parse::<usize>().unwrap()).product();
    Job::new(&(text + &settings), (steps, every, count))
}

fn never(_step: u64) -> bool {
    false
}

/// A run of `job` that has completed its first generations, and a worker of it with all that it computes.
fn under_way(job: &Job, name: &str, workers: usize) -> (Run, Tally) {
    let mut run = Run::new(&job.bench.job, &job.bench.dir(name));
    run.start(workers, "--threads 1");
    let busy = |run: &Run| {
        let all = tally::read_all(&run.dir);
        let working = all.values().filter(|tally| !tally.blocks.is_empty()).count();
        all.into_values().find(|tally| working == workers && tally.blocks.len() >= 2 && tally.newest >= 2 * job.every)
    };
    assert!(run.wait_until(|run| busy(run).is_some()), "the job is too short{}", run.report());
    let victim = busy(&run).unwrap();
    (run, victim)
}

/// Time until another worker has brought each block of `victim` further than it was.
fn taken_over(run: &mut Run, victim: &Tally, since: Instant) -> Duration {
    let further = |run: &Run, block: usize, step: u64| {
        let all = tally::read_all(&run.dir);
        all.values().any(|tally| tally.pid != victim.pid && tally.blocks.get(&block).is_some_and(|&at| at > step))
    };
    for (&block, &step) in &victim.blocks {
        assert!(run.wait_until(|run| further(run, block, step)), "nobody takes block {block} over{}", run.report());
    }
    clock::now().duration_since(since)
}

#[test]
fn a_killed_worker_costs_a_lease_and_two_rounds() {
    let job = job("3, 2", 4, (6000, 100));
    for (name, kind) in [("killed", "KILL"), ("terminated", "TERM")] {
        let (mut run, victim) = under_way(&job, name, 3);
        let rounds = tally::read_all(&run.dir).into_values().map(|tally| tally.compute);
        let round = rounds.max_by(f64::total_cmp).unwrap();
        let since = clock::now();
        signal(kind, victim.pid);
        let took = taken_over(&mut run, &victim, since);
        let most = 2.0 * round + if kind == "KILL" { LEASE.as_secs_f64() } else { 1.0 };
        tell(&format!(
            "SIG{kind} to a worker of blocks {:?}: all of them further after {:.2} s (promised: {most:.2} s)",
            victim.blocks.keys().collect::<Vec<_>>(),
            took.as_secs_f64()
        ));
        assert!(took.as_secs_f64() < most + SLACK.as_secs_f64(), "{took:?}{}", run.report());
        run.ends(0);
        all_is_well(&job, &mut run, &never);
        let lost = record(&run.dir)["lost"].as_u64().unwrap();
        assert_eq!(lost, u64::from(kind == "KILL"), "workers lost{}", run.report());
    }
}

#[test]
fn a_block_that_kills_its_workers_ends_the_run_by_name() {
    let job = job("2, 2", 2, (400, 100));
    let mut run = Run::new(&job.bench.job, &job.bench.dir("poison")).fault("abort@step=7,part=1");
    run.start(2, "--threads 1");
    run.ends(4);
    let said = run.said();
    assert!(said.contains("block 1 killed at least 2 workers"), "{said}");
    assert!(!step(&run.dir, 100).join("MANIFEST").exists());
    nothing_lives(&mut run);
    // Without the fault it ends well.
    let mut again = Run::new(&job.bench.job, &run.dir);
    again.start(2, "--threads 1 --resume");
    again.ends(0);
    all_is_well(&job, &mut again, &never);
}

#[test]
fn a_state_that_is_no_longer_sound_ends_the_run_without_a_checkpoint_of_it() {
    let job = job("2, 2", 2, (400, 50));
    let dir = job.bench.dir("nan");
    let mut run = Run::new(&job.bench.job, &dir).fault("nan@step=120,part=2");
    run.start(2, "--threads 1");
    run.ends(3);
    let said = run.said();
    assert!(
        said.contains("temperature is not a finite number") && said.contains("no checkpoint was written"),
        "{said}"
    );
    nothing_lives(&mut run);
    let whole: Vec<u64> = list(&dir).into_iter().filter(|(.., state)| state == "whole").map(|(_, at, _)| at).collect();
    assert!(whole.iter().all(|&at| at < 120), "{whole:?}");
    let mut again = Run::new(&job.bench.job, &dir);
    again.start(2, "--threads 1 --resume");
    again.ends(0);
    all_is_well(&job, &mut again, &never);
}

#[test]
fn restarts_in_either_mode_change_no_bit() {
    let mut random = Random::new("restarts in either mode");
    let job = job("2, 3", 3, (1500, 25));
    let dir = job.bench.dir("chain");
    let cuts = ["1, 1", "2, 2", "3, 2", "1, 5", "4, 3"];
    let mut words = Vec::new();
    for link in 0..6_u64 {
        let to = if link == 5 { job.steps } else { 150 * (link + 1) + 7 * random.below(15) as u64 };
        let more = if link == 0 { "" } else { "--resume " };
        if link % 2 == 0 {
            let blocks = random.of(&cuts);
            let blocks = blocks.replace(", ", ",");
            let workers = 1 + random.below(3);
            let mut run = Run::new(&job.bench.job, &dir);
            run.start(workers, &format!("{more}--threads 1 --steps {to} --set datacenter.blocks=[{blocks}]"));
            run.ends(0);
            nothing_lives(&mut run);
            words.push(format!("to {to} in {blocks} blocks on {workers} workers"));
        } else {
            let ranks = 1 + random.below(4);
            let launch = Launch::alone();
            let launch = if random.below(2) == 0 {
                launch.words("restart").path(&dir)
            } else {
                launch.run(&job.bench.job, &dir).words("--resume")
            };
            launch.words(&format!("--threads 1 --local-ranks {ranks} --steps {to}")).ends(0);
            words.push(format!("to {to} on {ranks} ranks"));
        }
        assert_eq!(list(&dir)[0].1, to, "{words:?}");
    }
    tell(&format!("restarts in either mode: {}", words.join("; ")));
    job.same(&dir);
}

#[test]
fn a_finished_run_starts_again_and_ends_at_once() {
    let job = job("2, 2", 4, (400, 50));
    let dir = job.bench.dir("run");
    let mut run = Run::new(&job.bench.job, &dir);
    run.start(2, "--threads 1");
    run.ends(0);
    all_is_well(&job, &mut run, &never);
    run.start(2, "--threads 1 --resume");
    run.ends(0);
    all_is_well(&job, &mut run, &never);
    run.start(2, "--threads 1");
    run.ends(2);
    assert!(run.said().contains("holds a run already"), "{}", run.said());
    run.start(2, "--threads 1 --fresh");
    run.ends(0);
    all_is_well(&job, &mut run, &never);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let job = job("2, 2", 4, (4000, 100));
    let (mut run, _) = under_way(&job, "run", 2);
    let mut other = Run::new(&job.bench.job, &job.bench.dir("other"));
    other.dir.clone_from(&run.dir);
    for more in ["--resume", "--fresh"] {
        other.start(1, more);
        other.ends(2);
        assert!(other.said().contains("in use by another run"), "{}", other.said());
    }
    other.dir = job.bench.dir("other");
    run.ends(0);
    all_is_well(&job, &mut run, &never);
}

#[test]
fn what_there_is_no_run_or_worker_for_is_refused() {
    let job = job("2, 1", 4, (4000, 100));
    let none = job.bench.dir("none");
    let said = Launch::alone().words("datacenter worker").path(&none).ends(2).err;
    assert!(said.contains("holds no run in data-center mode"), "{said}");
    fs::create_dir(&none).unwrap();
    for command in ["worker", "status", "drain --pid 1"] {
        let said = Launch::alone().words("datacenter").words(command).path(&none).ends(2).err;
        assert!(said.contains("holds no run in data-center mode"), "{command}: {said}");
    }
    assert_eq!(fs::read_dir(&none).unwrap().count(), 0);
    let (mut run, _) = under_way_with_any(&job, "run", 2);
    for worker in ["0123456789abcdef", "nonsense", "--pid 1"] {
        let said = Launch::alone().words("datacenter drain").path(&run.dir).words(worker).ends(2).err;
        assert!(said.contains("no such worker"), "{worker}: {said}");
    }
    run.ends(0);
    all_is_well(&job, &mut run, &never);
    // The run is over: a late worker finds nothing to do.
    Launch::alone().words("datacenter worker").path(&run.dir).ends(0);
    nothing_lives(&mut run);
}

/// As [`under_way`], with a worker of any number of blocks.
fn under_way_with_any(job: &Job, name: &str, workers: usize) -> (Run, u32) {
    let mut run = Run::new(&job.bench.job, &job.bench.dir(name));
    run.start(workers, "--threads 1");
    assert!(run.wait_until(|run| run.newest() >= job.every), "the job is too short{}", run.report());
    let pid = run.workers()[0];
    (run, pid)
}

#[test]
fn workers_started_by_hand_do_a_run_that_starts_none() {
    let job = job("2, 2", 4, (600, 50));
    let mut run = Run::new(&job.bench.job, &job.bench.dir("run"));
    run.start(0, "");
    assert!(run.wait_until(|run| run.dir.join("datacenter.json").exists()));
    run.join("--threads 2");
    run.join("--no-shared-memory");
    run.ends(0);
    all_is_well(&job, &mut run, &never);
    assert!(run.joined.iter_mut().all(|worker| worker.ended() == Some(0)));
}

#[test]
fn a_drained_worker_leaves_and_no_other_comes() {
    let job = job("3, 2", 4, (6000, 100));
    let (mut run, victim) = under_way(&job, "run", 3);
    Launch::alone().words("datacenter drain").path(&run.dir).words(&format!("--pid {}", victim.pid)).ends(0);
    assert!(run.wait_until(|run| run.workers().len() == 2), "{}", run.report());
    let supervisor = run.supervisor.as_ref().map(Process::pid);
    std::thread::sleep(LEASE);
    assert!(run.workers().len() <= 2 && supervisor.is_some());
    run.ends(0);
    all_is_well(&job, &mut run, &never);
    let record = record(&run.dir);
    assert_eq!(record["lost"].as_u64(), Some(0));
}

#[test]
fn any_blocks_and_rounds_give_the_same_bits() {
    let mut random = Random::new("blocks and rounds");
    let axes = ["1, 1", "1, 2", "3, 1", "2, 2", "1, 5", "2, 3", "7, 1", "2, 4", "3, 3", "5, 2", "11, 1", "4, 3"];
    let mut text = Vec::new();
    for number in 0..5 {
        let blocks = axes[(number * 5 + random.below(3)) % axes.len()];
        let round = 1 + number;
        let job = job(blocks, round, (90 + random.below(30) as u64, 20));
        let workers = 1 + random.below(3);
        let mut run = Run::new(&job.bench.job, &job.bench.dir("run"));
        run.start(workers, "");
        run.ends(0);
        all_is_well(&job, &mut run, &never);
        text.push(format!("{blocks} x {round} on {workers}"));
    }
    tell(&format!("blocks, steps per round and workers: {}", text.join("; ")));
}
