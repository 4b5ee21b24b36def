//! Exit codes through mpirun, what is said once, and what is left on the disk.

#![cfg(feature = "mpi")]

mod mpi_common;

use std::fs;
use std::time::Duration;

use mpi_common::{Bench, Launch, assert_same_bits, damage, event_steps, heat, list, mpirun, step, tell};

fn job(steps: u64) -> String {
    heat("23, 19", "\"wall\", \"periodic\"", true, steps, "20 steps")
}

#[test]
fn a_bad_job_is_told_once_and_writes_nothing() {
    let Some(mpirun) = mpirun("bad jobs") else { return };
    let bad = job(60).replace("boundary", "bondary");
    let bench = Bench::new(&bad);
    let dir = bench.dir("run");
    Launch::ranks(mpirun, 3).run(&bench.job, &dir).ends(2).says("unknown key `bondary` in [grid]");
    assert!(!dir.exists());
    // No file; ranks that do not fit; a time step beyond the bound; a kernel's own refusal.
    let missing = bench.dir("missing.toml");
    Launch::ranks(mpirun, 3).run(&missing, &dir).ends(2).says("missing.toml");
    assert!(!dir.exists());
    fs::write(&bench.job, job(60)).unwrap();
    let cases = [
        ("--ranks 2x2", "are 4 in all, but 3 run"),
        ("--set time.courant=1.5", "times the bound of kernel heat"),
        ("--set kernel.gravity=1", "unknown key `gravity` in [kernel]"),
        ("--set grid.points=[2,2]", "the grid cannot be cut into 3 parts"),
    ];
    for (more, said) in cases {
        let ended = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words(more).ends(2);
        ended.says(said);
        assert!(!dir.exists(), "{more}");
    }
    tell(&format!("bad jobs under mpirun: {}", cases.len() + 2));
}

#[test]
fn a_state_that_is_no_number_ends_the_run_and_is_not_saved() {
    let Some(mpirun) = mpirun("diverged") else { return };
    let bench = Bench::new(&job(200));
    let dir = bench.dir("run");
    let run = Launch::ranks(mpirun, 3).run(&bench.job, &dir).words("--threads 1");
    run.fault("nan@step=50,part=2").ends(3).says("temperature is not a finite number at point");
    let steps: Vec<u64> = list(&dir).into_iter().map(|(_, step, _)| step).collect();
    assert_eq!(steps, [40, 20]);
    assert_eq!(event_steps(&dir, "diverged"), [60]);
    Launch::restart_sh(mpirun, &dir).words("-n 2").ends(0);
    assert_same_bits(&bench.undisturbed(""), &dir);
}

#[test]
fn a_silent_rank_ends_all_with_75() {
    let Some(mpirun) = mpirun("peer lost") else { return };
    let bench = Bench::new(&format!("{}[torus]\ndeadline = \"2 s\"\n", job(200)));
    let undisturbed = bench.undisturbed("");
    for (number, (fault, ranks)) in
        [("stall@step=50,part=1", 3), ("stall@step=40,part=0,phase=manifest", 2)].into_iter().enumerate()
    {
        let dir = bench.dir(&format!("run-{number}"));
        let run = Launch::ranks(mpirun, ranks).run(&bench.job, &dir).words("--threads 1").fault(fault);
        let ended = run.start().end(Duration::from_secs(15)).expect(75);
        assert!(ended.err.contains("did not come within 2 s"), "{}", ended.err);
        Launch::restart_sh(mpirun, &dir).words("-n 4").ends(0);
        assert_same_bits(&undisturbed, &dir);
        tell(&format!("{fault}: over {:.1} s after its start", ended.seconds));
    }
}

#[test]
fn a_folder_is_used_once_and_restarts_need_a_checkpoint() {
    let Some(mpirun) = mpirun("folders") else { return };
    let bench = Bench::new(&job(60));
    let [dir, empty] = ["run", "empty"].map(|name| bench.dir(name));
    let ranks = || Launch::ranks(mpirun, 2);
    fs::create_dir(&empty).unwrap();
    ranks().words("restart").path(&empty).ends(2).says("holds no run");
    Launch::restart_sh(mpirun, &empty).words("-n 2").ends(2).says("holds no run.json");
    assert!(fs::read_dir(&empty).unwrap().next().is_none());

    let long = ranks().run(&bench.job, &dir).words("--threads 1 --steps 100000000");
    let mut going = long.start();
    going.wait_until(|_| (!event_steps(&dir, "checkpoint").is_empty()).then_some(())).expect("it runs");
    let process = format!("process {}", going.rank_pids()[&0]);
    for again in [
        ranks().run(&bench.job, &dir).words("--resume"),
        ranks().words("restart").path(&dir),
        ranks().run(&bench.job, &dir).words("--fresh"),
    ] {
        let ended = again.ends(2);
        ended.says("is in use by another run (host ");
        ended.says(&process);
    }
    drop(going);

    let ended = ranks().run(&bench.job, &dir).ends(2);
    ended.says("--resume");
    ended.says("--fresh");
    ranks().run(&bench.job, &dir).words("--fresh --threads 1").ends(0);
    assert_same_bits(&bench.undisturbed(""), &dir);
}

#[test]
fn damaged_checkpoints_are_passed_over_and_moved_aside() {
    let Some(mpirun) = mpirun("damaged checkpoints") else { return };
    let bench = Bench::new(&job(60));
    let undisturbed = bench.undisturbed("");
    let dir = bench.dir("run");
    Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--threads 1").ends(0);
    damage(&step(&dir, 60));
    let ended = Launch::ranks(mpirun, 3).words("restart").path(&dir).ends(0);
    ended.says("refused checkpoint of step 60");
    ended.says("step 40, written");
    let names: Vec<_> = list(&dir).into_iter().map(|(name, _, state)| format!("{name} {state}")).collect();
    assert_eq!(names[0], "checkpoints/step-0000000060 whole", "{names:?}");
    assert_eq!(names[1], "checkpoints/step-0000000060.refused-1 damaged", "{names:?}");
    assert_same_bits(&undisturbed, &step(&dir, 60));

    for at in [20, 40, 60] {
        damage(&step(&dir, at));
    }
    for ended in [
        Launch::ranks(mpirun, 3).words("restart").path(&dir).ends(4),
        Launch::restart_sh(mpirun, &dir).words("-n 2 --retries 3").ends(4),
    ] {
        ended.says("holds no valid checkpoint");
        for at in [20, 40, 60] {
            ended.says(&format!("refused checkpoint of step {at}"));
        }
    }
    // A start from step 0 comes by all of them again.
    Launch::ranks(mpirun, 2).run(&bench.job, &dir).words("--resume --threads 1").ends(0);
    assert_same_bits(&undisturbed, &dir);
    let whole = list(&dir).into_iter().filter(|(.., state)| state == "whole").count();
    assert_eq!(whole, 3);
}
