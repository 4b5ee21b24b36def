//! `ringfort checkpoint list` and `prune`.
//!
//! Input: the folder of a run. Output: a line for each checkpoint; what was removed. Invariant: `list` changes
//! nothing, and a damaged or unfinished checkpoint is a line and no failure; `prune` removes checkpoints of one run
//! alone, and none before `MIN_KEEP` newer ones of it were read and found whole, whatever is asked for.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::text::{age, size, table};
use super::{failure, print, print_json};
use crate::checkpoint::{self, Checkpoint, Disk, Entry, Keep, Kind, MANIFEST, MIN_KEEP, RunId, State, Store, scan};
use crate::cli::tell;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::job::{Job, KEEP};

/// One line of the list.
struct Line {
    entry: Entry,
    state: &'static str,
    reason: Option<String>,
    bytes: u64,
    age_s: f64,
}

/// Prints all checkpoints of the run in `dir`.
pub(super) fn list(dir: &Path, quick: bool, json: bool) -> Result<Exit, Failure> {
    let now = clock::wall();
    let lines: Vec<Line> =
        scan(&Disk, dir).map_err(failure)?.into_iter().map(|entry| line(entry, quick, now)).collect();
    if json {
        let all: Vec<_> = lines.iter().map(as_json).collect();
        print_json(&json!({ "checkpoints": all }));
    } else if lines.is_empty() {
        print("no checkpoints\n");
    } else {
        let rows: Vec<_> = lines.iter().map(as_row).collect();
        print(&table(&["step", "time", "age", "size", "state", "run", "folder"], &[0, 1, 2, 3], &rows));
        for line in &lines {
            if let Some(reason) = &line.reason {
                print(&format!("{}: {reason}\n", line.state));
            }
        }
    }
    Ok(Exit::Done)
}

fn line(entry: Entry, quick: bool, now: f64) -> Line {
    let (state, reason) = match &entry.state {
        State::Partial => ("partial", None),
        State::Damaged(error) => ("damaged", Some(error.to_string())),
        State::Committed(_) => {
            let first = Checkpoint::open(&Disk, &entry.folder).and_then(|found| {
                if quick {
                    found.verify_lengths().into_iter().next().map_or(Ok(()), Err)
                } else {
                    found.verify_listed()
                }
            });
            first.err().map_or(("whole", None), |error| ("damaged", Some(error.to_string())))
        }
    };
    let stamp = Disk.metadata(&entry.folder.join(MANIFEST)).or_else(|_| Disk.metadata(&entry.folder));
    let since = stamp.map_or(0.0, |found| now - found.modified_s);
    let age_s = if since > 0.0 { since } else { 0.0 };
    Line { bytes: bytes_in(&entry.folder, 12), entry, state, reason, age_s }
}

/// Bytes of all files in `folder`.
fn bytes_in(folder: &Path, depth: usize) -> u64 {
    let names = if depth == 0 { Vec::new() } else { Disk.list(folder).unwrap_or_default() };
    let bytes = |name: &String| {
        let path = folder.join(name);
        match Disk.metadata(&path) {
            Ok(found) if found.kind == Kind::File => found.bytes,
            Ok(found) if found.kind == Kind::Folder => bytes_in(&path, depth - 1),
            _ => 0,
        }
    };
    names.iter().map(bytes).fold(0, u64::saturating_add)
}

fn as_row(line: &Line) -> Vec<String> {
    let (time, run) = match &line.entry.state {
        State::Committed(manifest) => (format!("{} s", manifest.meta.time), manifest.meta.run.to_string()),
        State::Damaged(_) | State::Partial => ("-".into(), "-".into()),
    };
    let folder = line.entry.name.clone();
    vec![line.entry.step.to_string(), time, age(line.age_s), size(line.bytes), line.state.into(), run, folder]
}

fn as_json(line: &Line) -> serde_json::Value {
    let meta = match &line.entry.state {
        State::Committed(manifest) => Some(&manifest.meta),
        State::Damaged(_) | State::Partial => None,
    };
    json!({
        "step": line.entry.step,
        "time": meta.map(|meta| meta.time),
        "age_s": line.age_s,
        "bytes": line.bytes,
        "state": line.state,
        "run": meta.map(|meta| meta.run.to_string()),
        "name": line.entry.name,
        "moved_aside": line.entry.aside,
        "reason": line.reason,
    })
}

/// Removes the checkpoints of one run in `dir` that are not among the newest and stay for no other reason: as its job says,
/// where nothing is asked for.
pub(super) fn prune(dir: &Path, asked: (Option<usize>, Option<u64>), run: Option<&str>) -> Result<Exit, Failure> {
    match asked.0 {
        Some(0) => {
            let words = format!("--keep 0 would leave nothing to restart from; at least {MIN_KEEP} stay");
            return Err(Failure::usage(words));
        }
        Some(keep) if keep < MIN_KEEP => {
            tell(&format!(
                "--keep {keep} is raised to {MIN_KEEP}: a damaged newest checkpoint needs one to fall back to"
            ));
        }
        Some(_) | None => {}
    }
    let run: RunId = match run {
        Some(text) => text.parse().map_err(|error| Failure::new(Exit::Usage, error))?,
        None => match newest_run(dir)? {
            Some(run) => run,
            None => {
                print("no checkpoints\n");
                return Ok(Exit::Done);
            }
        },
    };
    let pruned = checkpoint::prune(&Disk, dir, run, rule(dir, asked, run)?, &mut BTreeSet::new());
    for warning in &pruned.warnings {
        tell(&format!("warning: {warning}"));
    }
    for step in &pruned.removed {
        print(&format!("removed step {step}\n"));
    }
    if pruned.removed.is_empty() {
        print("nothing to remove\n");
    }
    Ok(Exit::Done)
}

/// What stays: as asked for, else as the job in the newest checkpoint of `run` says.
fn rule(dir: &Path, (newest, every): (Option<usize>, Option<u64>), run: RunId) -> Result<Keep, Failure> {
    let said = match (newest, every) {
        (Some(newest), Some(every)) => Keep { newest, every: Some(every) },
        _ => {
            let found = checkpoint::newest(&Disk, dir, Some(run), false).map_err(failure)?;
            let text = found.checkpoint.map(|found| found.meta().job.clone()).unwrap_or_default();
            // A job that this program does not understand says nothing.
            Job::keeps(&text, &dir.join("job.toml")).unwrap_or(Keep { newest: KEEP, every: None })
        }
    };
    let every = every.or(said.every).filter(|&every| every > 0);
    Ok(Keep { newest: newest.unwrap_or(said.newest), every })
}

fn newest_run(dir: &Path) -> Result<Option<RunId>, Failure> {
    Ok(scan(&Disk, dir).map_err(failure)?.into_iter().find_map(|entry| match entry.state {
        State::Committed(manifest) if !entry.aside => Some(manifest.meta.run),
        State::Committed(_) | State::Damaged(_) | State::Partial => None,
    }))
}
