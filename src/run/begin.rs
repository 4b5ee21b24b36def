//! How a run begins: which job, in which folder, from which checkpoint.
//!
//! Invariant: nothing is written; only one process looks.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Say;
use super::folder::{Folder, From, How};
use super::provenance::{given, kept_overrides};
use crate::advance::library::Library;
use crate::exit::Failure;
use crate::job::Job;

/// What a person asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Job file; `None` restarts what the folder holds.
    pub job: Option<&'a Path>,
    /// Overrides, `key=value`.
    pub overrides: &'a [String],
    /// Folder of the run; `None`: `out/NAME` of the job.
    pub dir: Option<&'a Path>,
    /// How to begin.
    pub how: How,
    /// Kernels to choose from.
    pub library: &'a Library,
}

/// What was found at the start, and every part of the run needs.
#[derive(Serialize, Deserialize)]
pub struct Begin {
    /// Text of the job as given.
    pub text: String,
    /// Absolute path of the job file.
    pub path: PathBuf,
    /// Overrides in force.
    pub overrides: Vec<String>,
    /// The run's folder.
    pub dir: PathBuf,
    /// Id of the run.
    pub run: String,
    /// Checkpoint to go on from.
    pub from: Option<From>,
}

/// Looks at job file and folder.
///
/// # Errors
///
/// What is wrong with the job or the folder.
pub fn begin(ask: &Ask<'_>, say: Say<'_>) -> Result<(Begin, Folder), Failure> {
    let (text, path, mut overrides, dir) = match ask.job {
        Some(path) => {
            let job = Job::read(path, ask.overrides, ask.library).map_err(Failure::report)?;
            for note in &job.notes {
                say(note);
            }
            let dir = ask.dir.map(Path::to_path_buf).unwrap_or_else(|| PathBuf::from("out").join(&job.name));
            (job.text, std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()), Vec::new(), dir)
        }
        None => {
            let dir = ask.dir.map(Path::to_path_buf).unwrap_or_default();
            given(&dir)?
        }
    };
    let folder = Folder::open(&dir, ask.how)?;
    for note in &folder.notes {
        say(note);
    }
    if let Some(earlier) = &folder.earlier {
        overrides = kept_overrides(earlier);
    }
    overrides.extend(ask.overrides.iter().cloned());
    // The job must be right before anything is written; with a run's own overrides it may say more than the file.
    Job::parse(&text, &path, &overrides, ask.library).map_err(Failure::report)?;
    let run = folder.run.to_string();
    Ok((Begin { text, path, overrides, dir, run, from: folder.from.clone() }, folder))
}
