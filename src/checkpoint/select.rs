//! Which checkpoints a folder holds, and which of them is the newest whole one.
//!
//! Input: a run's folder, and the run if it is known. Output: its checkpoints, newest first; the one to start from,
//! and why newer ones were passed over. Order is the step in the manifests, never file times. A damaged newest one
//! falls back to the one before. Invariant: nothing is written, moved or removed here; one that was moved aside, or
//! is of another run than the one asked for, is never chosen.

use std::io;
use std::path::{Path, PathBuf};

use super::error::CheckpointError;
use super::manifest::Manifest;
use super::meta::RunId;
use super::read::Checkpoint;
use super::store::{Kind, Store};
use super::{home, shown};

/// A folder under `checkpoints`.
#[derive(Debug)]
pub struct Entry {
    /// Its path.
    pub folder: PathBuf,
    /// Its name for messages: relative to the run's folder.
    pub name: String,
    /// Step of the manifest, or of the folder's name without one.
    pub step: u64,
    /// True for one that was moved aside as `step-N.refused-K`, which no restart considers.
    pub aside: bool,
    /// What its manifest says.
    pub state: State,
}

/// What a folder's manifest says.
#[derive(Debug)]
pub enum State {
    /// It is there and makes sense; files are not checked.
    Committed(Box<Manifest>),
    /// It cannot be used.
    Damaged(CheckpointError),
    /// There is none: in the making, or dead.
    Partial,
}

/// What [`newest`] found.
#[derive(Debug)]
pub struct Found<'s> {
    /// The newest whole checkpoint, if there is one.
    pub checkpoint: Option<Checkpoint<'s>>,
    /// Those that would have been newer, newest first.
    pub refused: Vec<Refused>,
}

/// A checkpoint that was passed over.
#[derive(Debug)]
pub struct Refused {
    /// Its step.
    pub step: u64,
    /// Its folder, relative to the run's.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// Why a checkpoint was passed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is not whole.
    #[error(transparent)]
    Broken(CheckpointError),
    /// Another run wrote it.
    #[error("it belongs to run {found}, this is run {ours}")]
    Foreign {
        /// The run that wrote it.
        found: RunId,
        /// The run that looks.
        ours: RunId,
    },
}

/// All checkpoint folders of the run in `run_dir`, newest first, those moved aside included. Reads manifests only.
///
/// # Errors
///
/// [`CheckpointError::Io`] if the folder `checkpoints` cannot be listed; it is no error if there is none.
pub fn scan(store: &dyn Store, run_dir: &Path) -> Result<Vec<Entry>, CheckpointError> {
    let home = home(run_dir);
    let names = match store.list(&home) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CheckpointError::io("list", "checkpoints")(error)),
    };
    let mut entries: Vec<Entry> = names.iter().filter_map(|name| entry(store, &home, name)).collect();
    entries.sort_by(|a, b| (b.step, a.aside, &b.name).cmp(&(a.step, b.aside, &a.name)));
    Ok(entries)
}

fn entry(store: &dyn Store, home: &Path, name: &str) -> Option<Entry> {
    let (step, aside) = parse(name)?;
    let folder = home.join(name);
    if !store.metadata(&folder).is_ok_and(|found| found.kind == Kind::Folder) {
        return None;
    }
    let state = match Manifest::read(store, &folder) {
        Ok(manifest) => State::Committed(Box::new(manifest)),
        Err(CheckpointError::Partial { .. }) => State::Partial,
        Err(error) => State::Damaged(error),
    };
    let step = if let State::Committed(manifest) = &state { manifest.meta.step } else { step };
    Some(Entry { name: shown(&folder, ""), folder, step, aside, state })
}

/// Step that a folder's name states, and whether it was moved aside; none for other names.
pub(super) fn parse(name: &str) -> Option<(u64, bool)> {
    let (own, aside) = match name.split_once(".refused-") {
        Some((own, count)) if count.bytes().all(|byte| byte.is_ascii_digit()) => (own, true),
        Some(_) => return None,
        None => (name, false),
    };
    let step = own.strip_prefix("step-")?.parse().ok()?;
    (format!("step-{step:010}") == own).then_some((step, aside))
}

/// The newest whole checkpoint of the run in `run_dir`, of run `run` if one is given. With `verify` every byte of it
/// was read and is right; without, only its manifest and metadata were. Whether its physics are the job's is for the
/// caller to judge by the fingerprint.
///
/// # Errors
///
/// [`CheckpointError::Io`] if the folder `checkpoints` cannot be listed. Damaged checkpoints are no error: they are
/// passed over and named in [`Found::refused`].
pub fn newest<'s>(
    store: &'s dyn Store,
    run_dir: &Path,
    run: Option<RunId>,
    verify: bool,
) -> Result<Found<'s>, CheckpointError> {
    search(store, run_dir, run, None, |checkpoint| if verify { checkpoint.verify_listed() } else { Ok(()) })
}

/// The same for who checks chunks while reading them: of steps before `before`, if one is given. Every byte was read and is right
/// but those of chunks, which have their lengths.
///
/// # Errors
///
/// As [`newest`].
pub fn newest_to_read<'s>(
    store: &'s dyn Store,
    run_dir: &Path,
    run: Option<RunId>,
    before: Option<u64>,
) -> Result<Found<'s>, CheckpointError> {
    search(store, run_dir, run, before, Checkpoint::verify_but_chunks)
}

fn search<'s>(
    store: &'s dyn Store,
    run_dir: &Path,
    run: Option<RunId>,
    before: Option<u64>,
    verify: impl Fn(&Checkpoint<'s>) -> Result<(), CheckpointError>,
) -> Result<Found<'s>, CheckpointError> {
    let mut refused = Vec::new();
    for entry in scan(store, run_dir)? {
        if entry.aside || before.is_some_and(|before| entry.step >= before) {
            continue;
        }
        let checkpoint = open(store, &entry, run);
        match checkpoint.and_then(|found| verify(&found).map(|()| found).map_err(Reason::Broken)) {
            Ok(checkpoint) => return Ok(Found { checkpoint: Some(checkpoint), refused }),
            Err(reason) => refused.push(Refused { step: entry.step, name: entry.name, reason }),
        }
    }
    Ok(Found { checkpoint: None, refused })
}

fn open<'s>(store: &'s dyn Store, entry: &Entry, run: Option<RunId>) -> Result<Checkpoint<'s>, Reason> {
    if let (State::Committed(manifest), Some(ours)) = (&entry.state, run)
        && manifest.meta.run != ours
    {
        return Err(Reason::Foreign { found: manifest.meta.run, ours });
    }
    Checkpoint::open(store, &entry.folder).map_err(Reason::Broken)
}
