//! How a run begins: which job, in which folder, from which checkpoint.
//!
//! Invariant: nothing is written; only one process looks.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Say;
use super::folder::{Folder, From, How, Values};
use super::provenance::{given, kept_overrides};
use super::state::describe;
use crate::advance::library::Library;
use crate::checkpoint::{Checkpoint, Disk, Origin, RunId};
use crate::exit::{Exit, Failure};
use crate::job::{Job, TimeStep};
use crate::observe::series;

/// What a person asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Job file; `None` restarts what the folder holds.
    pub job: Option<&'a Path>,
    /// Overrides, `key=value`.
    pub overrides: &'a [String],
    /// Folder of the run; `None`: `out/NAME` of the job.
    pub dir: Option<&'a Path>,
    /// Folder of a new run that goes on from the newest checkpoint of the one in `dir`.
    pub branch: Option<&'a Path>,
    /// How to begin.
    pub how: How,
    /// Who reads what a checkpoint holds.
    pub values: Values,
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
    /// Checkpoint of another run that this one started from, if any.
    pub parent: Option<String>,
    /// Checkpoint to go on from.
    pub from: Option<From>,
}

/// Looks at job file and folder.
///
/// # Errors
///
/// What is wrong with the job or the folder.
pub fn begin(ask: &Ask<'_>, say: Say<'_>) -> Result<(Begin, Folder), Failure> {
    let (text, path, mut overrides, mut dir) = match ask.job {
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
    let folder = match ask.branch {
        None => Folder::open(&dir, ask.how, ask.values)?,
        Some(new) => Folder::branch(&std::mem::replace(&mut dir, new.to_path_buf()), new, ask.values)?,
    };
    for note in &folder.notes {
        say(note);
    }
    if let Some(earlier) = &folder.earlier {
        overrides = kept_overrides(earlier);
    }
    overrides.extend(ask.overrides.iter().cloned());
    // The job must be right before anything is written; with a run's own overrides it may say more than the file.
    let job = Job::parse(&text, &path, &overrides, ask.library).map_err(Failure::report)?;
    if let (Some(_), Some(from)) = (ask.branch, &folder.from) {
        fits(&job, from)?;
    }
    if folder.earlier.is_some() {
        series::check(&job, &dir).map_err(|error| Failure::new(Exit::Damaged, error))?;
    }
    let (run, parent) = (folder.run.to_string(), folder.parent.map(|parent| parent.to_string()));
    Ok((Begin { text, path, overrides, dir, run, parent, from: folder.from.clone() }, folder))
}

impl Begin {
    /// Refuses a job whose physics is not that of the run's checkpoint.
    ///
    /// # Errors
    ///
    /// A usage error.
    pub fn check(&self, job: &Job) -> Result<(), Failure> {
        match &self.from {
            Some(from) if from.run == self.run && from.fingerprint != job.fingerprint => Err(Failure::usage(format!(
                "the checkpoint of step {} was computed with other physics (grid, kernel, fields or time step) than this \
                 job; go on with the job in {}/job.toml, choose another --out folder, or branch with ringfort restart {} \
                 --branch NEWDIR",
                from.step,
                self.dir.display(),
                self.dir.display()
            ))),
            _ => Ok(()),
        }
    }

    /// True if the run goes on from another run's checkpoint.
    #[must_use]
    pub fn branches(&self) -> bool {
        self.from.as_ref().is_some_and(|from| from.run != self.run)
    }

    /// The run, and where it began.
    ///
    /// # Errors
    ///
    /// A usage error if its id is none.
    pub fn origin(&self) -> Result<Origin, Failure> {
        let run = self.run.parse().map_err(Failure::usage)?;
        let parent = self.parent.as_deref().map(str::parse).transpose().map_err(Failure::usage)?;
        Ok(Origin { run, parent })
    }
}

/// Refuses a branch whose state cannot be that of the checkpoint `from`.
fn fits(job: &Job, from: &From) -> Result<(), Failure> {
    let checkpoint = Checkpoint::open(&Disk, &from.folder).map_err(|error| Failure::new(Exit::Damaged, error))?;
    let (ours, theirs) =
        (describe(job, (checkpoint.meta().cuts, from.dt), RunId([0; 16]).into(), 0), checkpoint.meta());
    let dt = match job.time.step {
        TimeStep::Seconds(dt) => dt.to_bits() != from.dt.to_bits(),
        // What share of a bound the time step was is known only by the job that chose it.
        TimeStep::Courant(_) => false,
    };
    let differs = [
        ("grid", ours.grid != theirs.grid),
        ("precision", ours.precision != theirs.precision),
        ("kernel's components", ours.components != theirs.components),
        ("time step", dt),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(Failure::usage(format!(
            "a branch keeps the {what} of its checkpoint ({}); start a job of its own from it with [fields] NAME = {{ \
             checkpoint = \"{}\" }}",
            checkpoint.name(),
            from.folder.display()
        ))),
    }
}
