//! Runs that a random schedule of faults befalls.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringfort::clock;

use super::after::{all_is_well, record};
use super::faults::{Fault, Victim};
use super::jobs::{self, Job};
use super::mpi_common::{Random, tell};
use super::processes::Run;

/// Runs where nobody says how many.
const RUNS: usize = 6;
/// Bytes of a small disk.
const DISK: &str = "size=12m";

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A small file system, as long as the value lives; without the right to make one, an ordinary folder.
struct Home {
    at: PathBuf,
    mounted: bool,
}

impl Home {
    fn new(at: PathBuf, disk: bool) -> Self {
        fs::create_dir(&at).unwrap();
        let mount = || Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).output();
        let mounted = disk && mount().is_ok_and(|done| done.status.success());
        if disk && !mounted {
            tell("SKIPPED  full disk: no right to mount a tmpfs; run the test as root");
        }
        Self { at, mounted }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.mounted {
            let _left_behind = Command::new("umount").arg("-l").arg(&self.at).status();
        }
    }
}

/// One run with its faults; what happened, in a line.
fn disturb(seed: u64, home: &Path) -> String {
    let mut random = Random::of_seed(seed);
    let all = jobs::all();
    let job: &Job = &all[random.below(all.len())];
    let home = Home::new(home.join(seed.to_string()), random.below(8) == 0);
    let faults = Fault::several(&mut random, home.mounted);
    let workers = 2 + random.below(3);
    let mut run = Run::new(&job.bench.job, &home.at.join("run"));
    let said = format!("seed {seed}: job {} x {workers} workers, {faults:?}", job.blocks);
    let began = clock::now();
    run.start(workers, "--threads 1");
    let mut victim =
        Victim { job, run: &mut run, random: &mut random, older: None, drained: 0, workers, given_up: Vec::new() };
    let mut befell = 0;
    for &fault in &faults {
        let pause = Duration::from_millis(100 + victim.random.below(1300) as u64);
        let since = clock::now();
        if !victim.run.wait_until(|_| clock::now().duration_since(since) > pause) {
            break;
        }
        let ledger = fs::read(victim.run.dir.join("ledger.sqlite")).ok();
        victim.befall(fault);
        if victim.older.is_none() || victim.random.below(3) == 0 {
            victim.older = ledger;
        }
        befell += 1;
    }
    let given_up = std::mem::take(&mut victim.given_up);
    run.ends(0);
    let damaged = faults.iter().any(|fault| fault.damages());
    all_is_well(job, &mut run, &|at| damaged && at < job.steps);
    let report = run.report();
    for process in &mut run.joined {
        let code = process.ended();
        assert!(code == Some(0) || given_up.contains(&process.pid()), "a joined worker ended with {code:?}{report}");
    }
    let record = record(&run.dir);
    let seconds = clock::now().duration_since(began).as_secs_f64();
    format!(
        "{said}: {befell} befell; {seconds:.1} s, lost {}, recomputed {}, stolen {}, asked again {}",
        record["lost"], record["recomputed_steps"], record["stolen"], record["retried"]
    )
}

#[test]
fn whatever_befalls_a_run_costs_no_bit() {
    let runs = number("RINGFORT_CHAOS").unwrap_or(RUNS);
    let at_once = number("RINGFORT_CHAOS_AT_ONCE").unwrap_or(3);
    let first = number("RINGFORT_SEED").map_or_else(|| clock::wall().to_bits() >> 8 & 0xff_ffff, |seed| seed as u64);
    tell(&format!("disturbed runs: RINGFORT_SEED={first} and the {} after it", runs - 1));
    let home = tempfile::tempdir().unwrap();
    let began = clock::now();
    jobs::all();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= runs {
                        return;
                    }
                    let seed = first + at as u64;
                    match catch_unwind(AssertUnwindSafe(|| disturb(seed, home.path()))) {
                        Ok(line) => tell(&line),
                        Err(_) => {
                            tell(&format!("seed {seed} FAILED"));
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let seconds = clock::now().duration_since(began).as_secs_f64();
    tell(&format!("disturbed runs: {runs} in {seconds:.0} s, {} failed", failed.len()));
    assert!(failed.is_empty(), "seeds {failed:?}; each alone: RINGFORT_CHAOS=1 RINGFORT_SEED=N");
}
