//! Checkpoints: the state after one step as a folder that survives crashes and opens in Python.
//!
//! Input: a [`Meta`] and each part's values in the memory order of its block. Output: a folder
//! `DIR/checkpoints/step-NNNNNNNNNN`, a Zarr v3 group with one chunk per part and component. Invariant: **a checkpoint
//! exists when its `MANIFEST` does**, and that is written last; until then every error leaves older ones whole.
//!
//! Writing is [`begin`] on one rank, [`write_part`] on each, then [`commit`] on the first with everybody's records, or
//! [`abandon`]. Reading is [`newest`] or [`Checkpoint::open`], then [`Checkpoint::read_region`] with any cuts. All file
//! operations go through a [`Store`], so that tests can make any of them fail.
//!
//! Nothing read from a disk is trusted: sizes are bounded before memory is taken, file names must be exactly those
//! that the grid and cuts call for, and every byte is covered by a checksum.

mod chunk;
pub mod codec;
mod diff;
pub(crate) mod direct;
mod disk;
mod error;
mod files;
pub mod interval;
mod keep;
mod manifest;
mod meta;
mod owner;
mod read;
mod select;
mod store;
mod write;
pub mod zarr;

pub use diff::{Difference, FieldDifference, Obstacle, compare};
pub use disk::Disk;
pub use error::{CheckpointError, Damage};
pub use files::{chunk_end, chunk_file, chunk_values, complete, group_file, leading_files};
pub use keep::{Keep, MIN_KEEP, Pruned, prune};
pub use manifest::{FileRecord, Manifest};
pub use meta::{FieldMeta, Fill, MAX_CHUNKS, Meta, MetaError, Origin, Parent, Precision, RunId};
pub use owner::{NAME as OWNER, Owner, remove};
pub use read::Checkpoint;
pub use select::{Entry, Found, Reason, Refused, State, newest, newest_to_read, scan};
pub use store::{Kind, Metadata, Sink, Source, Store};
pub use write::{
    Pending, TEMPORARY, abandon, begin, commit, move_aside, write_part, write_part_copied, write_part_from,
};

use std::path::{Path, PathBuf};

/// Name of the file that makes a folder a checkpoint.
pub const MANIFEST: &str = "MANIFEST";

/// Folder of all checkpoints of the run in `run_dir`.
#[must_use]
pub fn home(run_dir: &Path) -> PathBuf {
    run_dir.join("checkpoints")
}

/// Folder of the checkpoint of `step` of the run in `run_dir`.
#[must_use]
pub fn folder(run_dir: &Path, step: u64) -> PathBuf {
    home(run_dir).join(format!("step-{step:010}"))
}

/// Name of `file` of the checkpoint in `folder` for messages: relative to the run's folder. `""` names the folder.
#[must_use]
pub fn shown(folder: &Path, file: &str) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut shown = name(folder).unwrap_or_else(|| folder.display().to_string());
    if folder.parent().and_then(name).as_deref() == Some("checkpoints") {
        shown.insert_str(0, "checkpoints/");
    }
    if !file.is_empty() {
        shown.push('/');
        shown.push_str(file);
    }
    shown
}
