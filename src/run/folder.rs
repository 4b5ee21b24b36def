//! The run's folder: who may write to it, what it holds, where a run goes on from.
//!
//! Input: a folder and how to start. Output: a locked [`Folder`], and the checkpoint to go on from. Only rank 0 looks:
//! no other rank decides from its own view of the disk. Invariant: two runs never write to one folder at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checkpoint::{self, Disk, Parent, RunId};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::observe::events::{Events, EventsError};
use crate::observe::record::{RecordError, RunRecord, host_name};

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In a folder that holds no run.
    New,
    /// Anew, whatever run the folder holds.
    Fresh,
    /// From the newest valid checkpoint, or from the start if there is none.
    Resume,
    /// From the newest valid checkpoint, which must be there.
    Restart,
}

/// Who makes sure that the values of a checkpoint are as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The choice: it reads them all.
    Verified,
    /// Who reads them to go on; see [`Folder::pass_over`].
    ToBeRead,
}

/// A checkpoint to go on from.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct From {
    /// Its folder.
    pub folder: PathBuf,
    /// Id of its run.
    pub run: String,
    /// Its step.
    pub step: u64,
    /// Its time step in seconds.
    pub dt: f64,
    /// Hash of the physics that it was computed with.
    pub fingerprint: [u8; 32],
}

/// A run's folder: locked if it holds a run, else as soon as it is claimed.
pub struct Folder {
    /// The folder.
    pub dir: PathBuf,
    /// Random id of the run.
    pub run: RunId,
    /// Record of an earlier start of this run.
    pub earlier: Option<RunRecord>,
    /// Checkpoint to go on from.
    pub from: Option<From>,
    /// Checkpoint of another run that this one started from, if any.
    pub parent: Option<Parent>,
    /// What to tell about the choice.
    pub notes: Vec<String>,
    /// How to choose another.
    how: How,
    /// Held while the run lives; the system lets go of it when the process ends, however it ends. `None` until a folder
    /// that holds no run is claimed.
    lock: Option<Lock>,
}

/// The lock of a folder, and what its holder says of itself in the file once it may write to the folder.
struct Lock {
    file: File,
    says: bool,
}

impl Lock {
    /// Says who holds the lock: for people alone, since a folder that takes a lock and no bytes is locked all the same.
    fn say(&mut self) {
        self.says = true;
        let started = clock::utc(clock::wall());
        let words = format!("host {}, process {}, started {started}\n", host_name(), std::process::id());
        let _not_vital = self.file.set_len(0).and_then(|()| self.file.write_all(words.as_bytes()));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.says {
            let _not_vital = self.file.set_len(0);
        }
    }
}

/// Why a folder cannot be run in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It holds a run.
    #[error(
        "{} holds a run already; continue it with --resume, start it anew with --fresh, or choose another --out folder",
        dir.display()
    )]
    Taken {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process runs in it.
    #[error("{} is in use by another run ({holder}); wait for it to end, or choose another --out folder", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Its first process: host, number and start, as far as it says so.
        holder: String,
    },
    /// It holds no run.
    #[error("{} holds no run (no run.json), so there is nothing to restart; start one with ringfort run", dir.display())]
    NoRun {
        /// The folder.
        dir: PathBuf,
    },
    /// It holds no checkpoint that could be used.
    #[error("{} holds no valid checkpoint{refused}; start from step 0 with ringfort run --resume", dir.display())]
    NoCheckpoint {
        /// The folder.
        dir: PathBuf,
        /// Those that were refused, and why.
        refused: String,
    },
    /// The id in its record is none.
    #[error("{}/run.json names run `{id}`, which is no run id; put the right file back or start with --fresh", dir.display())]
    Id {
        /// The folder.
        dir: PathBuf,
        /// What it says.
        id: String,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}; check the folder, its permissions and the disk", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The checkpoints cannot be listed.
    #[error(transparent)]
    Checkpoints(#[from] checkpoint::CheckpointError),
    /// The system has no random bytes.
    #[error("no random bytes for a run id: {0}")]
    Random(getrandom::Error),
}

impl std::convert::From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let exit = match &error {
            FolderError::NoCheckpoint { refused, .. } if !refused.is_empty() => Exit::Damaged,
            FolderError::Record(RecordError::Content { .. }) | FolderError::Id { .. } => Exit::Damaged,
            _ => Exit::Usage,
        };
        Failure::new(exit, error)
    }
}

impl Folder {
    /// Finds where to begin in `dir`; locks it if it holds a run, and makes or changes nothing.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if it must not or cannot be used so.
    pub fn open(dir: &Path, how: How, values: Values) -> Result<Self, FolderError> {
        let record = dir.join("run.json");
        let holds_run = record.exists();
        match how {
            How::New if holds_run => return Err(FolderError::Taken { dir: dir.into() }),
            How::Restart if !holds_run => return Err(FolderError::NoRun { dir: dir.into() }),
            How::New | How::Fresh | How::Resume | How::Restart => {}
        }
        let lock = if holds_run { Some(lock(dir)?) } else { None };
        let continues = holds_run && matches!(how, How::Resume | How::Restart);
        if !continues {
            let run = RunId::random().map_err(FolderError::Random)?;
            return Ok(Self {
                dir: dir.into(),
                run,
                earlier: None,
                from: None,
                parent: None,
                notes: Vec::new(),
                how,
                lock,
            });
        }
        let earlier = RunRecord::read(&record)?;
        let run = earlier.run.parse().map_err(|_| FolderError::Id { dir: dir.into(), id: earlier.run.clone() })?;
        let parent = earlier.parent.as_deref().map(str::parse).transpose();
        let parent =
            parent.map_err(|_| FolderError::Id { dir: dir.into(), id: earlier.parent.clone().unwrap_or_default() })?;
        // Its own step 0 is not where a branch began.
        let how = if parent.is_some() { How::Restart } else { how };
        let (from, notes) = choose((dir, run, how), values, None, Vec::new())?;
        Ok(Self { dir: dir.into(), run, earlier: Some(earlier), from, parent, notes, how, lock })
    }

    /// A new run in `dir` that goes on from the newest valid checkpoint of the run in `source`, which is only read.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if `dir` holds a run, or `source` no checkpoint to go on from.
    pub fn branch(source: &Path, dir: &Path, values: Values) -> Result<Self, FolderError> {
        let mut new = Self { how: How::Restart, ..Self::open(dir, How::New, values)? };
        let record = source.join("run.json");
        let earlier = RunRecord::read(&record)?;
        let run = earlier.run.parse().map_err(|_| FolderError::Id { dir: source.into(), id: earlier.run.clone() })?;
        (new.from, new.notes) = choose((source, run, new.how), values, None, Vec::new())?;
        new.parent = new.from.as_ref().map(|from| Parent { run, step: from.step });
        Ok(new)
    }

    /// Chooses an older checkpoint than the one chosen before, which cannot be read: `why`. Notes are those of this choice.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if there is none to go on from.
    pub fn pass_over(&mut self, why: &str) -> Result<(), FolderError> {
        let Some(from) = self.from.take() else { return Ok(()) };
        let run = from.run.parse().map_err(|_| FolderError::Id { dir: self.dir.clone(), id: from.run.clone() })?;
        let dir = from.folder.ancestors().nth(2).unwrap_or(&self.dir);
        let note = refused(from.step, &checkpoint::shown(&from.folder, ""), why);
        (self.from, self.notes) = choose((dir, run, self.how), Values::ToBeRead, Some(from.step), vec![note])?;
        if let (Some(parent), Some(from)) = (&mut self.parent, &self.from)
            && self.earlier.is_none()
        {
            parent.step = from.step;
        }
        Ok(())
    }

    /// Makes the folder if need be and locks it: from here on the run may write to it.
    ///
    /// # Errors
    ///
    /// [`FolderError`] if another run was quicker, or the system refuses.
    pub fn claim(&mut self) -> Result<(), FolderError> {
        if self.lock.is_none() {
            let dir = &self.dir;
            fs::create_dir_all(dir).map_err(|source| FolderError::Io { action: "make", path: dir.into(), source })?;
            self.lock = Some(lock(dir)?);
            if dir.join("run.json").exists() {
                return Err(FolderError::Taken { dir: dir.into() });
            }
        }
        self.lock.iter_mut().for_each(Lock::say);
        Ok(())
    }

    /// The events of the run, to be added to.
    ///
    /// # Errors
    ///
    /// [`EventsError`] if the file cannot be opened.
    pub fn events(&self) -> Result<Events, EventsError> {
        Events::open(&self.dir.join("events.jsonl"), "0")
    }
}

/// Tries to lock a folder, and time between two: who only looks for a holder holds the lock for a moment.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// Most bytes that a holder says of itself.
const MOST_SAID: u64 = 1024;

fn lock(dir: &Path) -> Result<Lock, FolderError> {
    let path = dir.join("lock");
    let fail = |source| FolderError::Io { action: "lock", path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(fail)?;
    for rest in (0..TRIES).rev() {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { file, says: false }),
            Err(TryLockError::WouldBlock) if rest > 0 => std::thread::sleep(BETWEEN_TRIES),
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { dir: dir.into(), holder: said(&path) }),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
    }
    Err(FolderError::InUse { dir: dir.into(), holder: said(&path) })
}

/// Who runs in `dir`: what its first process says of itself; none if nobody does.
///
/// # Errors
///
/// [`FolderError::Io`] if the system refuses to tell.
pub fn holder(dir: &Path) -> Result<Option<String>, FolderError> {
    let path = dir.join("lock");
    let fail = |source| FolderError::Io { action: "look at", path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(fail(source)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(said(&path))),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

/// What the holder says in the file at `path`.
fn said(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_SAID).read_to_string(&mut text));
    let line = text.lines().next().unwrap_or_default();
    let fine = read.is_ok() && !line.is_empty() && !line.chars().any(char::is_control);
    if fine { line.into() } else { "which begins or does not say who it is".into() }
}

fn refused(step: u64, name: &str, why: impl std::fmt::Display) -> String {
    format!("refused checkpoint of step {step} ({name}): {why}")
}

/// The newest valid checkpoint of `run` of a step before `before`, with what to tell about it and about those refused after `notes`.
fn choose(
    (dir, run, how): (&Path, RunId, How),
    values: Values,
    before: Option<u64>,
    mut notes: Vec<String>,
) -> Result<(Option<From>, Vec<String>), FolderError> {
    let found = match values {
        Values::Verified => checkpoint::newest(&Disk, dir, Some(run), true)?,
        Values::ToBeRead => checkpoint::newest_to_read(&Disk, dir, Some(run), before)?,
    };
    notes.extend(found.refused.iter().map(|found| refused(found.step, &found.name, &found.reason)));
    let Some(checkpoint) = found.checkpoint else {
        if how == How::Restart {
            let refused = notes.iter().map(|note| format!("; {note}")).collect();
            return Err(FolderError::NoCheckpoint { dir: dir.into(), refused });
        }
        notes.push("no checkpoint to resume from: starting at step 0".into());
        return Ok((None, notes));
    };
    let meta = checkpoint.meta();
    notes.push(format!(
        "restart from {}, step {}, written {} ago, run {run}",
        checkpoint.folder().display(),
        meta.step,
        age(checkpoint.folder()),
    ));
    let from = From {
        folder: checkpoint.folder().to_path_buf(),
        run: run.to_string(),
        step: meta.step,
        dt: meta.dt,
        fingerprint: meta.fingerprint,
    };
    Ok((Some(from), notes))
}

/// How long ago the manifest in `folder` was written, for people: no decision rests on it.
fn age(folder: &Path) -> String {
    let modified = fs::metadata(folder.join(checkpoint::MANIFEST)).and_then(|found| found.modified());
    let age = modified.ok().and_then(|at| at.elapsed().ok());
    match age.map(|age| age.as_secs()) {
        None => "an unknown time".into(),
        Some(seconds @ 0..=119) => format!("{seconds} s"),
        Some(seconds @ 120..=7199) => format!("{} min", seconds / 60),
        Some(seconds @ 7200..=172_799) => format!("{} h", seconds / 3600),
        Some(seconds) => format!("{} days", seconds / 86400),
    }
}
