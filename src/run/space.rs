//! Whether the disk has room for a run's checkpoints.
//!
//! Input: the run's folder, bytes of a checkpoint. Output: words, or none. Invariant: it only warns and writes
//! nothing: a disk that does not say how much is free, or a folder that cannot be read, gives no words and no error.
//! Of what is there only whole checkpoints of this run count, without those set aside.

use std::path::Path;

use super::memory::in_words;
use crate::checkpoint::{MIN_KEEP, RunId, State, Store, scan};

/// What to tell at the start if the disk of the run in `dir` has no room for [`MIN_KEEP`] checkpoints of `bytes` bytes, those of
/// `run` that are there already counted, or not for the next one.
#[must_use]
pub fn warning(store: &dyn Store, (dir, run): (&Path, RunId), bytes: u64) -> Option<String> {
    let free = store.free(dir).ok().flatten()?;
    let ours = |state: &State| matches!(state, State::Committed(manifest) if manifest.meta.run == run);
    let there = scan(store, dir).ok()?.iter().filter(|entry| !entry.aside && ours(&entry.state)).count();
    let more = MIN_KEEP.saturating_sub(there).max(1) as u64;
    let needed = bytes.saturating_mul(more);
    (free < needed).then(|| {
        let count = if more == 1 { "the next checkpoint takes".into() } else { format!("{more} checkpoints take") };
        format!(
            "warning: {count} {}, but the disk of {} has {} left; make room, or choose another folder with --out",
            in_words(needed),
            dir.display(),
            in_words(free),
        )
    })
}
