//! A disk that fills up: the run goes on, says so, and what was committed stays whole.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod mpi_common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mpi_common::{
    Bench, Launch, assert_same_bits, event_steps, heat, in_background, list, mpirun, step, tell, whole_steps,
};

/// A file system of a given size, as long as the value lives.
struct Small(PathBuf);

impl Small {
    /// Mounts one at `at`; without the right to do so, says that the test is skipped.
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(at));
        }
        tell("SKIPPED  full disk: no right to mount a tmpfs; run the test as root");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Checkpoints of about 340 kB.
fn job(steps: u64) -> String {
    heat("201, 203", "\"wall\", \"periodic\"", false, steps, "20 steps")
}

fn run(mpirun: &Path, ranks: usize, bench: &Bench, dir: &Path) -> Launch {
    Launch::ranks(mpirun, ranks).run(&bench.job, dir).words("--threads 1")
}

#[test]
fn a_full_disk_costs_the_last_checkpoint_alone() {
    let Some(mpirun) = mpirun("full disk") else { return };
    let bench = Bench::new(&job(80));
    let Some(disk) = Small::mount(bench.dir("disk"), "size=900k") else { return };
    let undisturbed = bench.undisturbed("");
    let dir = disk.0.join("run");
    let ended = run(mpirun, 3, &bench, &dir).ends(74);
    ended.says("warning: no checkpoint checkpoints/step-0000000060");
    ended.says("the last checkpoint (step 80) could not be written");
    assert_eq!(event_steps(&dir, "checkpoint"), [20, 40]);
    assert_eq!(event_steps(&dir, "checkpoint-failed"), [60, 80]);
    assert_eq!(whole_steps(&dir, &undisturbed), [40, 20]);
    assert_eq!(list(&dir).len(), 2, "no ruins");
    // More room, other ranks.
    let more = Command::new("mount").args(["-o", "remount,size=8m"]).arg(&disk.0).status();
    assert!(more.unwrap().success());
    Launch::restart_sh(mpirun, &dir).words("-n 2").ends(0);
    assert_same_bits(&undisturbed, &dir);
    assert_eq!(whole_steps(&dir, &undisturbed), [80, 60, 40]);
}

#[test]
fn a_disk_that_fills_up_behind_the_run_costs_the_last_checkpoint_alone() {
    let Some(mpirun) = mpirun("full disk behind the run") else { return };
    let waits = Bench::new(&job(200));
    let undisturbed = waits.undisturbed("");
    let bench = Bench::new(&in_background(&job(200)));
    let Some(disk) = Small::mount(bench.dir("disk"), "size=900k") else { return };
    let dir = disk.0.join("run");
    // Two fit, and of the third some chunks.
    let ended = run(mpirun, 3, &bench, &dir).words("--set checkpoint.keep=9").start().end(mpi_common::LONG);
    let failed = event_steps(&dir, "checkpoint-failed");
    let saved = event_steps(&dir, "checkpoint");
    assert!(
        saved.len() == 2 && ended.code == 74 && failed.last() == Some(&200),
        "{saved:?}, {failed:?}\n{}",
        ended.err
    );
    ended.says("the last checkpoint (step 200) could not be written");
    assert_eq!(whole_steps(&dir, &undisturbed).len(), 2);
    assert_eq!(list(&dir).len(), 2, "no ruins");
    let more = Command::new("mount").args(["-o", "remount,size=8m"]).arg(&disk.0).status();
    assert!(more.unwrap().success());
    Launch::restart_sh(mpirun, &dir).words("-n 2").ends(0);
    assert_same_bits(&undisturbed, &dir);
}

#[test]
fn room_made_in_time_makes_the_end_good() {
    let Some(mpirun) = mpirun("full disk for a while") else { return };
    let bench = Bench::new(&job(20_000));
    let Some(disk) = Small::mount(bench.dir("disk"), "size=2m") else { return };
    let dir = disk.0.join("run");
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 1_600_000]).unwrap();
    let mut going = run(mpirun, 2, &bench, &dir).words("--set checkpoint.keep=2").start();
    going.wait_until(|_| (!event_steps(&dir, "checkpoint-failed").is_empty()).then_some(())).expect("the disk is full");
    fs::remove_file(&ballast).unwrap();
    going.wait_until(|_| (!event_steps(&dir, "checkpoint").is_empty()).then_some(())).expect("the disk has room");
    let pids = going.rank_pids();
    mpi_common::signal("USR1", pids[&1]);
    let ended = going.ends(85);
    assert!(ended.err.contains("warning: no checkpoint"), "{}", ended.err);
    let newest = list(&dir)[0].1;
    assert_eq!(event_steps(&dir, "stop"), [newest]);
    let other = bench.dir("other");
    Launch::alone().run(&bench.job, &other).words(&format!("--steps {newest}")).ends(0);
    assert_same_bits(&step(&dir, newest), &other);
}
