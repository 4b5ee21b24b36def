//! Removing old checkpoints. Invariant: two checkpoints of the run whose every byte was just read remain.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::CheckpointError;
use super::meta::RunId;
use super::owner::{self, Owner};
use super::read::Checkpoint;
use super::select::{Entry, State, parse, scan};
use super::store::Store;

/// Fewest verified checkpoints that remain.
pub const MIN_KEEP: usize = 2;

/// What [`prune`] did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Steps of the checkpoints that were removed, newest first.
    pub removed: Vec<u64>,
    /// What could not be removed or listed, and damaged ones that were found: the run goes on.
    pub warnings: Vec<CheckpointError>,
}

/// Removes the checkpoints of `run` under `run_dir` that are older than its newest `keep` whole ones (at least
/// [`MIN_KEEP`]), and what is left of unfinished ones older than those. Damaged ones count for nothing and stay. Each is
/// removed manifest first. Nothing of another run is touched.
///
/// `known` holds the steps of checkpoints that the caller's process has read and found whole: of these only lengths are
/// looked at, so that a run reads each of its checkpoints once. Those found whole now are added.
pub fn prune(store: &dyn Store, run_dir: &Path, run: RunId, keep: usize, known: &mut BTreeSet<u64>) -> Pruned {
    let mut pruned = Pruned::default();
    let keep = keep.max(MIN_KEEP);
    let entries = match scan(store, run_dir) {
        Ok(entries) => entries,
        Err(error) => {
            pruned.warnings.push(error);
            return pruned;
        }
    };
    if entries.iter().filter(|entry| committed(entry, run)).count() <= keep {
        return pruned;
    }
    let mut whole = 0;
    for entry in entries.iter().filter(|entry| ours(store, entry, run)) {
        if whole < keep {
            match verified(store, entry, known) {
                Ok(counts) => whole += usize::from(counts),
                Err(error) => pruned.warnings.push(error),
            }
            continue;
        }
        match owner::remove(store, &entry.folder) {
            Ok(()) => pruned.removed.push(entry.step),
            Err(error) => pruned.warnings.push(error),
        }
    }
    pruned
}

fn committed(entry: &Entry, run: RunId) -> bool {
    !entry.aside && matches!(&entry.state, State::Committed(manifest) if manifest.meta.run == run)
}

/// True if `entry` was written by `run`, under the name it still has.
fn ours(store: &dyn Store, entry: &Entry, run: RunId) -> bool {
    let named = entry.folder.file_name().and_then(|name| parse(&name.to_string_lossy()));
    if entry.aside || named != Some((entry.step, false)) {
        return false;
    }
    match (&entry.state, Owner::read(store, &entry.folder)) {
        (State::Committed(manifest), Ok(None)) => manifest.meta.run == run,
        (State::Committed(manifest), Ok(Some(owner))) => manifest.meta.run == run && owner.run == run,
        (State::Partial, Ok(Some(owner))) => owner.run == run,
        // A crash between the last two steps of a removal, or the first two of a beginning: nothing in it is lost.
        (State::Partial, Ok(None)) => store.list(&entry.folder).is_ok_and(|names| names.is_empty()),
        _ => false,
    }
}

/// True if `entry` is a checkpoint and every byte of it is right; false for an unfinished one.
fn verified(store: &dyn Store, entry: &Entry, known: &mut BTreeSet<u64>) -> Result<bool, CheckpointError> {
    if !matches!(entry.state, State::Committed(_)) {
        return Ok(false);
    }
    let checkpoint = Checkpoint::open(store, &entry.folder)?;
    if known.contains(&entry.step) && checkpoint.verify_lengths().is_empty() {
        return Ok(true);
    }
    checkpoint.verify_listed()?;
    known.insert(entry.step);
    Ok(true)
}
