//! What holds after every run that reached its end, whatever befell it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ringfort::clock;
use serde_json::Value;

use super::jobs::{Job, files};
use super::mpi_common::{Launch, assert_same_bits, list, step};
use super::processes::Run;

/// How long a process may outlive the end of its run.
const LEFT: Duration = Duration::from_secs(20);

/// Asserts that `run` left its result and nothing else. Checkpoints of steps in `damaged` were damaged on purpose.
pub(crate) fn all_is_well(job: &Job, run: &mut Run, damaged: &dyn Fn(u64) -> bool) {
    let dir = run.dir.clone();
    nothing_lives(run);
    let last = step(&dir, job.steps);
    Launch::alone().words("checkpoint verify").path(&last).ends(0);
    job.same(&dir);
    for (name, at, state) in list(&dir) {
        // What a worker that was paused wrote late, for a generation that had gone, is moved aside and no checkpoint.
        if name.contains(".refused-") {
            continue;
        }
        assert!(state == "whole" || damaged(at), "{name} is {state}{}", run.report());
        if !damaged(at) {
            assert_same_bits(&step(&job.undisturbed, at), &dir.join(&name));
        }
    }
    let (ours, theirs) = (files(&dir.join("images")), files(&job.undisturbed.join("images")));
    let names = |of: &[(std::path::PathBuf, Vec<u8>)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "images{}", run.report());
    assert!(ours == theirs, "images differ");
    let sums = [&dir, &job.undisturbed].map(|dir| fs::read_to_string(dir.join("sums.csv")).ok());
    assert!(sums[0] == sums[1], "sums differ: {:?}{}", first_difference(&sums), run.report());
    let record = record(&dir);
    for key in ["lost", "recomputed_steps", "stolen", "retried", "snapshots", "seconds", "steps"] {
        assert!(record[key].is_number(), "run.json lacks {key}: {record}");
    }
    nothing_stays(&dir, &record);
}

/// Number and both versions of the first line that differs.
fn first_difference([ours, theirs]: &[Option<String>; 2]) -> Option<(usize, Option<String>, Option<String>)> {
    let lines = |text: &Option<String>| text.iter().flat_map(|text| text.lines()).map(String::from).collect::<Vec<_>>();
    let (ours, theirs) = (lines(ours), lines(theirs));
    let at = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at))?;
    Some((at, ours.get(at).cloned(), theirs.get(at).cloned()))
}

pub(crate) fn record(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("run.json")).unwrap()).unwrap()
}

/// Waits until no process of the run lives.
pub(crate) fn nothing_lives(run: &mut Run) {
    let since = clock::now();
    loop {
        for process in &mut run.joined {
            let _reaped = process.ended();
        }
        let alive = run.alive();
        if alive.is_empty() {
            return;
        }
        let waited = clock::now().duration_since(since);
        assert!(waited < LEFT, "processes {alive:?} live on{}", run.report());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asserts that neither memory nor folder hold anything for a while.
fn nothing_stays(dir: &Path, record: &Value) {
    let shared = Path::new("/dev/shm").join(format!("ringfort-{}", record["run"].as_str().unwrap()));
    assert!(!shared.exists(), "{} stays", shared.display());
    let for_a_while = |name: &str| {
        name.starts_with("observed/") || name.contains('#') || name.ends_with(".part") || name.contains(".new-")
    };
    let left: Vec<String> = files(dir).into_iter().map(|(path, _)| path.display().to_string()).collect();
    let left: Vec<&String> = left.iter().filter(|name| for_a_while(name)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
