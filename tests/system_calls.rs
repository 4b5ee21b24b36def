//! Every system call of a checkpoint fails or kills its rank, one at a time: what was committed before stays whole, the run goes
//! on where it can, and it always ends with the same bits.
//!
//! `strace` does it, by path and by number of the call; it is no matter of the family of MPI, so one is enough. A part of all points, drawn at random, is tried; `RINGFORT_SYSCALLS=all`
//! tries every one (most of an hour). Without strace the tests say that they are skipped.

#![cfg(all(feature = "mpi", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test")]

mod mpi_common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mpi_common::{Bench, Ended, Launch, Random, assert_same_bits, heat, in_background, list, mpirun, step, tell};

/// Calls that make, fill, force to the disk, name and remove what a checkpoint consists of.
const CALLS: &str =
    "openat,write,pwrite64,fsync,fdatasync,close,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir";
/// Points of each test that are tried where not all are.
const SAMPLE: usize = 8;
/// Last step of the run that all runs go on from.
const BEFORE: u64 = 20;
/// The checkpoint that is disturbed.
const DISTURBED: u64 = 30;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Its process is killed as it is made.
    Kill,
    /// The disk is full.
    Full,
    /// The disk is broken.
    Broken,
    /// It is said to have written half of its bytes, or one, and has written none: only a reader can find out.
    Lost,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Kill, Self::Full, Self::Broken, Self::Lost];

    fn injected(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::Full => "error=ENOSPC",
            Self::Broken => "error=EIO",
            Self::Lost => "retval=1",
        }
    }

    fn suits(self, call: &str) -> bool {
        self != Self::Lost || call.contains("write")
    }
}

/// One call: its name, the path below the run's folder, its number among those of that name and path.
type Point = (String, String, usize);

/// True if there is a strace that may trace.
fn strace(test: &str) -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-e", "trace=none", "true"]).output();
    let works = tried.is_ok_and(|tried| tried.status.success());
    if !works {
        tell(&format!("SKIPPED  {test}: no strace that works; install one with scripts/setup.sh --tests"));
    }
    works
}

/// `ringfort restart DIR` on `ranks` ranks, each under strace with `more` arguments; the traces go to `traces`.
fn traced(mpirun: Option<&Path>, ranks: usize, (dir, traces): (&Path, &Path), more: &[String], words: &str) -> Launch {
    std::fs::create_dir_all(traces).unwrap();
    // The filter in the kernel is fast, and with it no signal is sent.
    let filter = if more.iter().any(|word| word.contains("signal=")) { "" } else { "--seccomp-bpf" };
    let strace =
        |launch: Launch| launch.words(filter).words("-f -ff -y -qq -e signal=none -o").path(&traces.join("trace"));
    let launch = match mpirun {
        Some(mpirun) => Launch::program(mpirun).words(&format!("-n {ranks} strace")),
        None => Launch::program(Path::new("strace")),
    };
    let launch = more.iter().fold(strace(launch), |launch, word| launch.word(word));
    launch.path(&mpi_common::binary()).words("restart").path(dir).words("--threads 1").words(words)
}

/// All lines of all traces in `traces`, one list for each thread.
fn lines(traces: &Path) -> Vec<Vec<String>> {
    let files = std::fs::read_dir(traces).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).lines().map(Into::into).collect()).collect()
}

/// Name and path, below `dir`, of the call that a line of a trace tells of.
fn call(line: &str, dir: &Path) -> Option<(String, String)> {
    let (name, rest) = line.split_once('(')?;
    let path = match name {
        "write" | "pwrite64" | "fsync" | "fdatasync" | "close" => rest.split_once('<')?.1.split_once('>')?.0,
        _ => rest.split_once('"')?.1.split_once('"')?.0,
    };
    let below = path.strip_prefix(dir.to_str().unwrap())?.strip_prefix('/')?;
    Some((name.into(), below.into()))
}

/// The calls of the disturbed checkpoint and of the removal that follows, as a run that nobody disturbs makes them.
fn points(traces: &Path, dir: &Path) -> Vec<Point> {
    let mut most: BTreeMap<(String, String), usize> = BTreeMap::new();
    for thread in lines(traces) {
        let mut own: BTreeMap<(String, String), usize> = BTreeMap::new();
        let disturbed = format!("checkpoints/step-{DISTURBED:010}");
        let removed = "checkpoints/step-0000000010";
        for called in thread.iter().filter_map(|line| call(line, dir)) {
            let removal = called.1.starts_with(removed) && (called.0.starts_with("unlink") || called.0 == "rmdir");
            if called.1.starts_with(&disturbed) || called.1 == "checkpoints" || removal {
                *own.entry(called).or_default() += 1;
            }
        }
        for (called, count) in own {
            let known = most.entry(called).or_default();
            *known = count.max(*known);
        }
    }
    most.into_iter()
        .flat_map(|((name, path), count)| (1..=count).map(move |at| (name.clone(), path.clone(), at)))
        .collect()
}

/// A run to step [`BEFORE`] that others go on from, and one that nobody disturbs.
struct Case<'a> {
    bench: Bench,
    mpirun: Option<&'a Path>,
    ranks: usize,
    /// Step at which runs end.
    end: u64,
    undisturbed: PathBuf,
}

impl<'a> Case<'a> {
    fn new(job: &str, mpirun: Option<&'a Path>, ranks: usize, end: u64) -> Self {
        let bench = Bench::new(job);
        let undisturbed = bench.undisturbed(&format!("--steps {end} --set checkpoint.async=false"));
        let launch = mpirun.map_or_else(Launch::alone, |mpirun| Launch::ranks(mpirun, ranks));
        launch.run(&bench.job, &bench.dir("before")).words(&format!("--threads 1 --steps {BEFORE}")).ends(0);
        Self { bench, mpirun, ranks, end, undisturbed }
    }

    /// A copy of the run to [`BEFORE`].
    fn copy(&self, name: &str) -> PathBuf {
        let dir = self.bench.dir(name);
        let copied = Command::new("cp").arg("-r").arg(self.bench.dir("before")).arg(&dir).status().unwrap();
        assert!(copied.success());
        dir
    }

    fn points(&self) -> Vec<Point> {
        let (dir, traces) = (self.copy("probe"), self.bench.dir("probe-traces"));
        let trace = ["-e".into(), format!("trace={CALLS}")];
        traced(self.mpirun, self.ranks, (&dir, &traces), &trace, &format!("--steps {}", self.end)).ends(0);
        points(&traces, &dir)
    }

    /// Goes on with `fault` at `point`, then once more without; false if the point was not reached.
    fn disturb(&self, number: usize, fault: Fault, point: &Point) -> bool {
        let (name, path, at) = point;
        let what = format!("{fault:?} at {name} {at} of {path}, {} ranks", self.ranks);
        let (dir, traces) = (self.copy(&format!("run-{number}")), self.bench.dir(&format!("traces-{number}")));
        let inject =
            ["-P".into(), dir.join(path).display().to_string(), "-e".into(), format!("trace={name}"), "-e".into()];
        let inject = [&inject[..], &[format!("inject={name}:{}:when={at}", fault.injected())]].concat();
        let words = format!("--steps {}", self.end);
        let ended = traced(self.mpirun, self.ranks, (&dir, &traces), &inject, &words).ends_anyhow();
        let all = lines(&traces).concat().join("\n");
        let reached = if fault == Fault::Kill { ended.code != 0 } else { all.contains("(INJECTED)") };
        if reached {
            // What is only read is read again by whoever needs it.
            let reads = all.lines().any(|line| line.contains("O_RDONLY") && line.contains("(INJECTED)"));
            self.judge(fault, reads || name == "close", &ended, &what);
        }
        self.assert_whole(&dir, fault, &what);
        let launch = self.mpirun.map_or_else(Launch::alone, |mpirun| Launch::ranks(mpirun, self.ranks));
        launch.words("restart").path(&dir).words("--threads 1").words(&words).ends(0);
        assert_same_bits(&dir, &self.undisturbed);
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::remove_dir_all(&traces).unwrap();
        reached
    }

    /// Asserts that the run ended as it should with `fault`, and said so unless it may be `silent`.
    fn judge(&self, fault: Fault, silent: bool, ended: &Ended, what: &str) {
        let last = self.end == DISTURBED || what.contains(" of checkpoints,");
        match fault {
            Fault::Kill => assert_ne!(ended.code, 0, "{what}"),
            Fault::Lost => assert!(matches!(ended.code, 0 | 74), "{what}: {}\n{}", ended.code, ended.err),
            Fault::Full | Fault::Broken if last => {
                assert!(matches!(ended.code, 0 | 74), "{what}: {}\n{}", ended.code, ended.err);
            }
            Fault::Full | Fault::Broken => assert_eq!(ended.code, 0, "{what}\n{}", ended.err),
        }
        if matches!(fault, Fault::Full | Fault::Broken) && !silent {
            let said = ["No space left", "Input/output error"].iter().any(|words| ended.err.contains(words));
            assert!(said, "{what}: in silence\n{}", ended.err);
        }
    }

    /// Asserts that a checkpoint of [`BEFORE`] or later is whole, and all whole ones have the right bits.
    fn assert_whole(&self, dir: &Path, fault: Fault, what: &str) {
        let mut newest = 0;
        for (name, at, _) in list(dir).iter().filter(|(name, _, state)| state == "whole" && !name.contains("refused")) {
            let verified = Launch::alone().words("checkpoint verify").path(&dir.join(name)).ends_anyhow();
            match verified.code {
                0 => {
                    assert_same_bits(&dir.join(name), &step(&self.undisturbed, *at));
                    newest = newest.max(*at);
                }
                // A disk that lies about what it has written is found out by whoever reads.
                4 => assert_eq!(fault, Fault::Lost, "{what}: {name} is damaged\n{}", verified.err),
                code => panic!("{what}: verify of {name} ends with {code}\n{}", verified.err),
            }
        }
        assert!(newest >= BEFORE, "{what}: the newest whole checkpoint is of step {newest}");
    }
}

/// Tries the points of a job that ends at step `end` on `ranks` ranks.
fn sweep(test: &str, job: &str, ranks: usize, end: u64) {
    if !strace(test) {
        return;
    }
    let Some(mpirun) = mpirun(test) else { return };
    let case = Case::new(job, (ranks > 1).then_some(mpirun), ranks, end);
    let points = case.points();
    assert!(points.len() > 60, "{test}: {} points", points.len());
    let mut all = Vec::new();
    for fault in Fault::ALL {
        all.extend(points.iter().filter(|point| fault.suits(&point.0)).map(|point| (fault, point)));
    }
    let count = all.len();
    if std::env::var_os("RINGFORT_SYSCALLS").is_none_or(|words| words != "all") {
        let mut random = Random::new(test);
        all = (0..SAMPLE).map(|_| all[random.below(count)]).collect();
    }
    let reached = (1..).zip(&all).filter(|&(number, &(fault, point))| case.disturb(number, fault, point)).count();
    tell(&format!("{test}: {} calls, {count} points, {} tried, {reached} reached", points.len(), all.len()));
    // A killed rank may take its job with it before another rank reaches a point of its own.
    assert!(reached * 10 >= all.len() * 9, "{test}: {reached} of {} points were reached", all.len());
}

/// The small one's chunks go through the system's cache, the large one's past it on one rank and on two.
const SMALL: &str = "37, 41";
const LARGE: &str = "520, 523";

fn job(points: &str) -> String {
    let job = heat(points, "\"wall\", \"periodic\"", true, 40, "10 steps");
    format!("{job}keep = 2\n")
}

#[test]
fn any_call_on_one_rank_may_fail_and_the_run_goes_on() {
    sweep("system calls, 1 rank", &job(LARGE), 1, 40);
}

#[test]
fn any_call_on_two_ranks_may_fail_and_the_run_goes_on() {
    sweep("system calls, 2 ranks", &job(SMALL), 2, 40);
}

#[test]
fn any_call_on_four_ranks_may_fail_and_the_run_goes_on() {
    sweep("system calls, 4 ranks", &job(SMALL), 4, 40);
}

/// Elsewhere each rank looked for the newest checkpoint itself, and they saw different ones.
#[test]
fn one_rank_looks_which_checkpoint_is_the_newest() {
    const TEST: &str = "system calls of a restart";
    if !strace(TEST) {
        return;
    }
    let Some(mpirun) = mpirun(TEST) else { return };
    let case = Case::new(&job(SMALL), Some(mpirun), 2, DISTURBED);
    for blind in 0..2 {
        let (dir, traces) = (case.copy(&format!("blind-{blind}")), case.bench.dir(&format!("blind-traces-{blind}")));
        std::fs::create_dir_all(&traces).unwrap();
        // This rank does not find the folder of checkpoints.
        let inject = |launch: Launch| {
            let launch =
                launch.words("strace --seccomp-bpf -f -ff -y -qq -e signal=none -o").path(&traces.join("trace"));
            launch.words("-e trace=openat -e inject=openat:error=ENOENT -P").path(&dir.join("checkpoints"))
        };
        let rank = |launch: Launch, number: usize| {
            let launch = launch.words("-n 1");
            let launch = if number == blind { inject(launch) } else { launch };
            let launch = launch.path(&mpi_common::binary()).words("restart").path(&dir);
            launch.words(&format!("--threads 1 --steps {DISTURBED} --set checkpoint.async=false"))
        };
        let launch = rank(rank(Launch::program(mpirun), 0).word(":"), 1);
        let ended = launch.ends_anyhow();
        let looked = lines(&traces).concat().iter().any(|line| line.contains("(INJECTED)"));
        if blind == 0 {
            assert!(looked && ended.code != 0, "rank 0 looks: {}\n{}", ended.code, ended.err);
        } else {
            assert!(!looked && ended.code == 0, "rank 1 does as it is told: {}\n{}", ended.code, ended.err);
            assert_same_bits(&dir, &case.undisturbed);
        }
    }
}

/// The checkpoint that is disturbed is the last one, written while the run ends.
#[test]
fn any_call_of_a_last_checkpoint_in_flight_may_fail() {
    sweep("system calls in flight, 2 ranks", &in_background(&job(LARGE)), 2, DISTURBED);
}
