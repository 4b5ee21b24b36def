//! Where a run comes from: its job as given, its overrides, its inputs.
//!
//! Input: a run's folder, its record or its job. Output: what starts it again, and what its record says of it.
//! Invariant: nothing is written. The job's text is that of the file as given, and overrides are kept apart from it;
//! each input comes once, by its path, with the hash of what was read.

use std::fs;
use std::path::{Path, PathBuf};

use super::folder::FolderError;
use crate::exit::Failure;
use crate::job::{Job, Source};
use crate::observe::record::{Input, RunRecord};

/// Text, path, overrides and folder of the run that `dir` holds.
///
/// # Errors
///
/// A usage error if it holds none.
pub fn given(dir: &Path) -> Result<(String, PathBuf, Vec<String>, PathBuf), Failure> {
    if !dir.join("run.json").exists() {
        return Err(FolderError::NoRun { dir: dir.into() }.into());
    }
    let record = RunRecord::read(&dir.join("run.json")).map_err(|error| Failure::from(FolderError::from(error)))?;
    let path = dir.join("job.toml");
    let text =
        fs::read_to_string(&path).map_err(|source| Failure::from(FolderError::Io { action: "read", path, source }))?;
    Ok((text, record.job_path.clone(), kept_overrides(&record), dir.into()))
}

/// Overrides that hold for every start of the run.
#[must_use]
pub fn kept_overrides(record: &RunRecord) -> Vec<String> {
    record.overrides.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// Overrides that enter the physics, by key.
#[must_use]
pub fn overrides(job: &Job) -> std::collections::BTreeMap<String, String> {
    let pairs = job.overrides.iter().filter_map(|entry| entry.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// The job's input files, each once; a checkpoint by the manifest that makes it one.
#[must_use]
pub fn inputs(job: &Job) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for source in job.sources.iter().flatten() {
        let (path, bytes, hash) = match source {
            Source::File(file) => (file.path().display().to_string(), file.length(), file.hash()),
            Source::Checkpoint(stored) => (stored.path().display().to_string(), stored.length(), stored.hash()),
            Source::Number(_) | Source::Formula(_) | Source::Latitude(_) | Source::Depth | Source::Walls => {
                continue;
            }
        };
        if inputs.iter().all(|input| input.path != path) {
            inputs.push(Input { path, bytes, blake3: hash.to_hex().to_string() });
        }
    }
    inputs
}
