//! What can go wrong with blobs, with names relative to their folder.
//!
//! Input: an error of the store, of the system or of a checkpoint. Output: what was tried on which name, and why it
//! failed. Invariant: none of these errors means that a blob is not there; reading says that by `None`. Where an
//! error of the system lies behind the store's, it is told instead, since the store's words hold absolute paths.

use std::error::Error;
use std::io;

use crate::checkpoint::CheckpointError;

/// Why blobs could not be read or written. None of these means that a blob is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The operating system refused an operation: a full disk, no permission.
    #[error("cannot {action} {name}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Blob or folder.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The store refused an operation.
    #[error("cannot {action} {name}: {source}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// Blob or folder.
        name: String,
        /// The store's reason.
        source: Box<object_store::Error>,
    },
    /// A checkpoint's folder could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An address that stands for no blobs.
    #[error("{url} cannot hold blobs: {reason}")]
    Url {
        /// The address.
        url: String,
        /// Why not, and what to use.
        reason: &'static str,
    },
    /// A name that no blob can have.
    #[error("{name:?} cannot be the name of a blob")]
    Name {
        /// The name.
        name: String,
    },
    /// More bytes than there can be.
    #[error("{name} has {bytes} bytes, at most {most} are expected")]
    Large {
        /// Which blob.
        name: String,
        /// Its length.
        bytes: u64,
        /// Longest that makes sense.
        most: u64,
    },
    /// Values that are not those of a block.
    #[error("block {block} at step {step} has {expected} bytes of values, {found} were given")]
    Values {
        /// The generation.
        step: u64,
        /// The block.
        block: usize,
        /// Bytes of the block.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A manifest was asked for before its time.
    #[error("step {step} has receipts of {found} of {expected} blocks, so its manifest is not written yet; ask again")]
    Incomplete {
        /// The generation.
        step: u64,
        /// Blocks with a receipt that can be used.
        found: usize,
        /// All blocks.
        expected: usize,
    },
}

impl BlobError {
    /// An error of the store that came up when `action` was tried on `name`.
    pub(super) fn of(action: &'static str, name: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let name = name.into();
        move |error| match system(&error) {
            // The store's own words hold absolute paths.
            Some(source) => Self::Io { action, name, source },
            None => Self::Store { action, name, source: Box::new(error) },
        }
    }

    /// Kind of the system's error behind this one, if there is one.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } | Self::Checkpoint(CheckpointError::Io { source, .. }) => Some(source.kind()),
            _ => None,
        }
    }
}

/// A copy of the system's error behind `error`.
fn system(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found.raw_os_error().map_or_else(|| found.kind().into(), io::Error::from_raw_os_error));
        }
        at = error.source();
    }
    None
}
