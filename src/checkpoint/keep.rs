//! Removing old checkpoints. Invariant: two checkpoints of the run whose every byte was just read remain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::CheckpointError;
use super::meta::RunId;
use super::owner::{self, Owner};
use super::read::Checkpoint;
use super::select::{Entry, State, parse, scan};
use super::store::Store;

/// Fewest verified checkpoints that remain.
pub const MIN_KEEP: usize = 2;

/// Which checkpoints of a run stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The newest so many, at least [`MIN_KEEP`].
    pub newest: usize,
    /// Of every so many steps the first one, for good.
    pub every: Option<u64>,
}

impl From<usize> for Keep {
    fn from(newest: usize) -> Self {
        Self { newest, every: None }
    }
}

impl Keep {
    /// Those of `steps` that stay for good: the first from each multiple of [`Keep::every`] on, whatever else there is, so that
    /// who asks again when others have gone hears the same.
    #[must_use]
    pub fn for_good(&self, steps: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
        let Some(every) = self.every else { return BTreeSet::new() };
        let mut first: BTreeMap<u64, u64> = BTreeMap::new();
        for step in steps.into_iter().filter(|&step| step >= every) {
            first.entry(step / every).and_modify(|first| *first = step.min(*first)).or_insert(step);
        }
        first.into_values().collect()
    }
}

/// What [`prune`] did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Steps of the checkpoints that were removed, newest first.
    pub removed: Vec<u64>,
    /// What could not be removed or listed, and damaged ones that were found: the run goes on.
    pub warnings: Vec<CheckpointError>,
}

/// Removes the checkpoints of `run` under `run_dir` that are older than its newest whole ones, as many as `keep` says, but for
/// those that stay for good, and what is left of unfinished ones older than those. Damaged ones count for nothing and stay. Each
/// is removed manifest first. Nothing of another run is touched.
///
/// `known` holds the steps of checkpoints that the caller's process has read and found whole: of these only lengths are
/// looked at, so that a run reads each of its checkpoints once. Those found whole now are added.
pub fn prune(
    store: &dyn Store,
    run_dir: &Path,
    run: RunId,
    keep: impl Into<Keep>,
    known: &mut BTreeSet<u64>,
) -> Pruned {
    let mut pruned = Pruned::default();
    let rule: Keep = keep.into();
    let keep = rule.newest.max(MIN_KEEP);
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
    let committed = entries.iter().filter(|entry| committed(entry, run));
    let for_good = rule.for_good(committed.map(|entry| entry.step));
    let mut whole = 0;
    for entry in entries.iter().filter(|entry| ours(store, entry, run)) {
        if whole < keep {
            match verified(store, entry, known) {
                Ok(counts) => whole += usize::from(counts),
                Err(error) => pruned.warnings.push(error),
            }
            continue;
        }
        if matches!(entry.state, State::Committed(_)) && for_good.contains(&entry.step) {
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
        // A crash between the last two steps of a removal, or the first three of a beginning: nothing in it is lost.
        (State::Partial, Ok(None) | Err(_)) => holds_nothing(store, &entry.folder),
        _ => false,
    }
}

/// True if there is nothing in `folder` but perhaps an owner's record that was begun, without a byte.
fn holds_nothing(store: &dyn Store, folder: &Path) -> bool {
    let begun =
        |name: &String| name == owner::NAME && store.metadata(&folder.join(name)).is_ok_and(|file| file.bytes == 0);
    store.list(folder).is_ok_and(|names| names.iter().all(begun))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_every_so_many_steps_stays_whatever_else_goes() {
        let keep = Keep { newest: 2, every: Some(1000) };
        let of = |steps: &[u64]| keep.for_good(steps.iter().copied()).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&[300, 600, 900, 1200, 1500, 1800, 2100, 3000, 3001]), [1200, 2100, 3000]);
        assert_eq!(of(&[1200, 2100, 3000]), [1200, 2100, 3000]);
        assert_eq!(of(&[500, 999]), [0; 0]);
        assert!(Keep::from(2).for_good([1000, 2000]).is_empty());
    }
}
