//! `ringfort checkpoint verify`.
//!
//! Input: the folder of a checkpoint or of a run. Output: a verdict for each checkpoint, and exit code 4 if one is
//! damaged. Invariant: nothing is changed; exit code 0 says that every byte of every checkpoint judged was read and
//! is right; damage in one keeps no other from being read. Unfinished ones and those moved aside are named, and
//! judged only where one is given by its own path.

use std::path::Path;

use serde_json::json;

use super::text::size;
use super::{failure, print, print_json};
use crate::checkpoint::{Checkpoint, CheckpointError, Disk, State, scan, shown};
use crate::exit::{Exit, Failure};

/// What one checkpoint turned out to be.
struct Verdict {
    name: String,
    step: Option<u64>,
    files: usize,
    bytes: u64,
    damage: Vec<CheckpointError>,
    /// Without a manifest, or moved aside: mentioned, not judged.
    skipped: Option<&'static str>,
}

/// Verifies the checkpoint in `folder`; a partial one is damaged.
pub(super) fn one(folder: &Path, json: bool) -> Result<Exit, Failure> {
    Ok(report(&[verdict(folder)], json))
}

/// Verifies all checkpoints of the run in `dir` that have a manifest.
pub(super) fn all(dir: &Path, json: bool) -> Result<Exit, Failure> {
    let mut verdicts = Vec::new();
    for entry in scan(&Disk, dir).map_err(failure)? {
        let skipped = match &entry.state {
            _ if entry.aside => Some("moved aside"),
            State::Partial => Some("partial"),
            State::Committed(_) | State::Damaged(_) => None,
        };
        verdicts.push(match skipped {
            None => verdict(&entry.folder),
            Some(_) => {
                Verdict { name: entry.name, step: Some(entry.step), files: 0, bytes: 0, damage: Vec::new(), skipped }
            }
        });
    }
    if verdicts.iter().all(|verdict| verdict.skipped.is_some()) {
        return Err(Failure::usage("there is no checkpoint to verify"));
    }
    Ok(report(&verdicts, json))
}

fn verdict(folder: &Path) -> Verdict {
    let name = shown(folder, "");
    match Checkpoint::open(&Disk, folder) {
        Ok(found) => Verdict {
            name,
            step: Some(found.meta().step),
            files: found.manifest().files.len() + 1,
            bytes: found.manifest().bytes(),
            damage: found.verify(),
            skipped: None,
        },
        Err(error) => Verdict { name, step: None, files: 0, bytes: 0, damage: vec![error], skipped: None },
    }
}

fn report(verdicts: &[Verdict], json: bool) -> Exit {
    if json {
        let all: Vec<_> = verdicts.iter().map(as_json).collect();
        print_json(&json!({ "checkpoints": all }));
    } else {
        for verdict in verdicts {
            match (verdict.skipped, verdict.damage.as_slice()) {
                (Some(why), _) => print(&format!("{}: {why}, not verified\n", verdict.name)),
                (None, []) => {
                    print(&format!("{}: whole, {} files, {}\n", verdict.name, verdict.files, size(verdict.bytes)));
                }
                (None, damage) => {
                    print(&format!("{}: {}\n", verdict.name, state(verdict)));
                    for error in damage {
                        print(&format!("  {error}\n"));
                    }
                }
            }
        }
    }
    if verdicts.iter().all(|verdict| verdict.damage.is_empty()) { Exit::Done } else { Exit::Damaged }
}

fn state(verdict: &Verdict) -> &'static str {
    match (verdict.skipped, verdict.damage.as_slice()) {
        (Some(why), _) => why,
        (None, []) => "whole",
        (None, [CheckpointError::Partial { .. }]) => "partial",
        (None, _) => "damaged",
    }
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    json!({
        "name": verdict.name,
        "step": verdict.step,
        "state": state(verdict),
        "files": verdict.files,
        "bytes": verdict.bytes,
        "damage": verdict.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
