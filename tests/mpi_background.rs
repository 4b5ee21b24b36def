//! Checkpoints written while the run goes on, under mpirun: same bits and series, late writers, signals, full disks.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod mpi_common;

use std::path::Path;
use std::time::Duration;

use mpi_common::{
    Bench, Launch, Random, assert_same_bits, event_steps, events, heat, in_background, list, mpirun, run_json, signal,
    step, tell, whole_steps,
};

/// A job with sums, a probe and an output; checkpoints every 20 steps.
fn job(steps: u64) -> String {
    let reduce =
        "[[reduce]]\nname = \"total\"\nmap = \"temperature * diffusivity\"\nwith = \"sum\"\nevery = \"3 steps\"\n";
    let probe = "[[probe]]\nname = \"p\"\nat = [0.1, 0.1]\nfield = \"temperature\"\nevery = \"7 steps\"\n";
    let output = "[[output]]\nfields = [\"temperature\"]\nevery = \"50 steps\"\nstride = [5, 3]\n";
    let job = heat("137, 141", "\"wall\", \"periodic\"", true, steps, "20 steps");
    format!("{job}[torus]\nsteps_per_exchange = 2\n{reduce}{probe}{output}")
}

/// Asserts that two runs wrote the same bytes step by step.
fn same_series(a: &Path, b: &Path) {
    for name in ["sums.csv", "probes/p.csv", "fields.zarr/zarr.json", "fields.zarr/temperature/c/3/0/0"] {
        let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
        assert!(read(a) == read(b), "{name} of {} and {}", a.display(), b.display());
    }
}

#[test]
fn on_any_ranks_the_bits_and_series_are_those_of_a_run_that_waits() {
    let Some(mpirun) = mpirun("checkpoints in the background") else { return };
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    let bench = Bench::new(&in_background(&job(200)));
    let mut written = Vec::new();
    for ranks in 1..=4 {
        for local in [false, true] {
            let dir = bench.dir(&format!("{ranks}-{local}"));
            let launch = if local { Launch::alone() } else { Launch::ranks(mpirun, ranks) };
            let more = if local { format!("--local-ranks {ranks}") } else { String::new() };
            let more = format!("{more} --threads 1 --set checkpoint.keep=100");
            launch.run(&bench.job, &dir).words(&more).ends(0);
            same_series(&undisturbed, &dir);
            // The first is launched, the last waited for; between them it depends on the disk.
            let whole = whole_steps(&dir, &undisturbed);
            assert!(whole.first() == Some(&200) && whole.last() == Some(&20), "{whole:?}");
            let skipped = event_steps(&dir, "checkpoint-skipped");
            assert_eq!(whole.len() + skipped.len(), 10, "{whole:?} and {skipped:?}");
            written.push(whole.len());
            for event in events(&dir).iter().filter(|event| event["event"] == "checkpoint") {
                assert!(event["bytes"].as_u64().unwrap() > 137 * 141 * 8);
                assert!(event["blocking_seconds"].as_f64().unwrap() <= event["write_seconds"].as_f64().unwrap() + 1.0);
            }
            let [blocked, all] =
                ["checkpoint_blocking_seconds", "seconds"].map(|name| run_json(&dir)[name].as_f64().unwrap());
            assert!(blocked > 0.0 && blocked < all, "{blocked} of {all} s");
        }
    }
    tell(&format!("checkpoints in the background: of 10 due, {written:?} were written"));
}

#[test]
fn a_late_writer_makes_what_comes_due_be_skipped() {
    let Some(mpirun) = mpirun("late writer") else { return };
    let bench = Bench::new(&in_background(&job(200)));
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    for (number, phase) in ["write", "manifest"].into_iter().enumerate() {
        let dir = bench.dir(phase);
        let part = if phase == "write" { number + 1 } else { 0 };
        let fault = format!("stall@step=20,part={part},phase={phase},seconds=1.5");
        let run = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1 --set checkpoint.keep=100");
        let ended = run.fault(&fault).ends(0);
        ended.says("warning: no checkpoint of step 40: that of step 20 is still being written");
        assert_eq!(event_steps(&dir, "checkpoint-skipped")[0], 40);
        // The copy is of its step, though the state was many steps further when it was written.
        let whole = whole_steps(&dir, &undisturbed);
        assert!(whole.first() == Some(&200) && whole.last() == Some(&20), "{whole:?}");
        same_series(&undisturbed, &dir);
    }
}

#[test]
fn a_writer_that_never_ends_costs_the_last_checkpoint_alone() {
    let Some(mpirun) = mpirun("hung writer") else { return };
    let bench = Bench::new(&in_background(&job(200)).replace("[torus]\n", "[torus]\ndeadline = \"2 s\"\n"));
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    for (number, fault) in
        ["stall@step=60,part=1,phase=write", "stall@step=60,part=0,phase=manifest"].iter().enumerate()
    {
        let dir = bench.dir(&format!("run-{number}"));
        // By itself at first, so that there is one to go back to.
        Launch::alone().run(&bench.job, &dir).words("--threads 1 --steps 40").ends(0);
        let run = Launch::ranks(mpirun, 2).words("restart").path(&dir).words("--threads 1 --steps 200");
        let ended = run.fault(fault).start().end(Duration::from_secs(30)).expect(74);
        ended.says("was not written within 2 s");
        assert_eq!(whole_steps(&dir, &undisturbed)[0], 40);
        Launch::restart_sh(mpirun, &dir).words("-n 3 --steps 200").ends(0);
        assert_same_bits(&undisturbed, &dir);
        same_series(&undisturbed, &dir);
    }
}

#[test]
fn a_signal_while_one_is_in_flight_stops_all_at_one_step() {
    let Some(mpirun) = mpirun("signal in flight") else { return };
    let mut random = Random::new("signal in flight");
    let bench = Bench::new(&in_background(&job(100_000_000)));
    for ranks in [1, 2, 3, 4] {
        let dir = bench.dir(&format!("run-{ranks}"));
        let fault = format!("stall@step=20,part={},phase=write,seconds=2", random.below(ranks));
        let run = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1");
        let mut going = run.fault(&fault).start();
        let pids = going.wait_for_ranks(ranks).expect("ranks run");
        going.wait_until(|_| (!event_steps(&dir, "checkpoint-skipped").is_empty()).then_some(())).expect("in flight");
        let (rank, name) = (random.below(ranks), random.of(&["USR1", "TERM"]));
        signal(name, pids[&rank]);
        let ended = going.end(Duration::from_secs(20)).expect(85);
        ended.says("stopped early at step");
        let stopped = event_steps(&dir, "stop");
        assert_eq!(event_steps(&dir, "checkpoint"), [20, stopped[0]], "that in flight, and that of the common step");
        assert_eq!(list(&dir)[0], (format!("checkpoints/step-{:010}", stopped[0]), stopped[0], "whole".into()));
        let other = bench.dir(&format!("undisturbed-{ranks}"));
        Launch::alone().run(&bench.job, &other).words(&format!("--threads 2 --steps {}", stopped[0])).ends(0);
        assert_same_bits(&step(&dir, stopped[0]), &other);
        tell(&format!(
            "SIG{name} to rank {rank} of {ranks} in flight: stopped at {}, {:.2} s",
            stopped[0], ended.waited
        ));
    }
}

#[test]
fn a_diverged_state_is_not_saved_but_what_is_in_flight_is() {
    let Some(mpirun) = mpirun("diverged in flight") else { return };
    let bench = Bench::new(&in_background(&job(200)));
    let dir = bench.dir("run");
    let run = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1");
    run.fault("nan@step=30,part=2").ends(3).says("temperature is not a finite number at point");
    assert_eq!(event_steps(&dir, "checkpoint"), [20]);
    Launch::restart_sh(mpirun, &dir).words("-n 2").ends(0);
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    assert_same_bits(&undisturbed, &dir);
    same_series(&undisturbed, &dir);
}

#[test]
fn a_writer_that_panics_voids_one_checkpoint_and_the_run_goes_on() {
    let Some(mpirun) = mpirun("writer panics") else { return };
    let bench = Bench::new(&in_background(&job(200)));
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    let dir = bench.dir("run");
    // Only the last checkpoint is beyond the step from which on the writer of a rank panics.
    let run = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1");
    let ended = run.fault("panic@step=200,part=1,phase=write").ends(74);
    ended.says("the last checkpoint (step 200) could not be written: rank 1: the writer panicked");
    Launch::restart_sh(mpirun, &dir).words("-n 2").ends(0);
    assert_same_bits(&undisturbed, &dir);
    same_series(&undisturbed, &dir);
}

#[test]
fn a_person_can_ask_for_a_checkpoint() {
    let Some(mpirun) = mpirun("checkpoint now") else { return };
    for (number, job) in [job(100_000_000), in_background(&job(100_000_000))].iter().enumerate() {
        let bench = Bench::new(&job.replace("every = \"20 steps\"", "every = \"90000000 steps\""));
        let dir = bench.dir(&format!("run-{number}"));
        let mut going = Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--threads 1").start();
        going.wait_until(|_| (!event_steps(&dir, "start").is_empty()).then_some(())).expect("it starts");
        for count in 1..=2 {
            let told = Launch::alone().words("checkpoint now --wait 30s").path(&dir).ends(0).out;
            let saved = event_steps(&dir, "checkpoint");
            assert_eq!(saved.len(), count, "{told}");
            let name = format!("checkpoints/step-{:010}", saved[count - 1]);
            assert!(told.starts_with(&format!("{name}: ")), "{told}");
            Launch::alone().words("checkpoint verify").path(&dir.join(name)).ends(0);
        }
        // Who holds the folder is told to those who would run in it.
        let ended = Launch::ranks(mpirun, 2).words("restart").path(&dir).ends(2);
        ended.says(&format!("process {}, started 2", going.rank_pids()[&0]));
        let pids = going.rank_pids();
        signal("USR1", pids[&1]);
        going.ends(85);
        Launch::alone().words("checkpoint now").path(&dir).ends(2).says("no job runs in");
    }
}

#[test]
fn the_schedulers_limit_and_auto_make_checkpoints() {
    let Some(mpirun) = mpirun("scheduler's limit") else { return };
    let auto = in_background(&job(100_000_000)).replace("every = \"20 steps\"", "every = \"auto\"\nmtbf = \"20 s\"");
    let bench = Bench::new(&auto);
    let dir = bench.dir("run");
    let end = ringfort::clock::wall() + 8.0;
    let run =
        Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--threads 1").env("SLURM_JOB_END_TIME", end.to_string());
    let ended = run.start().end(Duration::from_secs(30)).expect(85);
    ended.says("the scheduler ends this job in");
    assert!(ended.err.contains("a checkpoint every"), "{}", ended.err);
    assert!(ended.err.contains("of the time will be lost"), "{}", ended.err);
    assert!(ringfort::clock::wall() < end + 1.0, "over in time");
    let saved = event_steps(&dir, "checkpoint");
    assert!(saved.len() >= 2, "{saved:?}");
    assert_eq!(event_steps(&dir, "stop"), [*saved.last().unwrap()]);
    tell(&format!("auto with a failure every 20 s: checkpoints at {saved:?}"));
}
