//! What can go wrong with a checkpoint, with names relative to the run's folder.
//!
//! Invariant: `damaged` holds for a file that is missing, of another length or not as written, and for a folder
//! without a manifest. Any other refusal of the system is no damage, since it may pass: a writer that meets it moves
//! nothing aside.

use std::io;

use super::meta::MetaError;

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system refused an operation.
    #[error("cannot {action} {name}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or folder.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not hold what was written.
    #[error("{name} is damaged: {damage}")]
    Damaged {
        /// File, relative to the run's folder.
        name: String,
        /// How it shows.
        damage: Damage,
    },
    /// The folder has no manifest: a checkpoint in the making, or one whose writing was cut off.
    #[error("{name} has no MANIFEST: its writing never finished; use an older checkpoint")]
    Partial {
        /// The checkpoint's folder.
        name: String,
    },
    /// The stored values have another type than the one asked for.
    #[error("{name} holds {stored} values, {asked} are asked for; set precision in [kernel] to match it")]
    Precision {
        /// The checkpoint's folder.
        name: String,
        /// Type in the checkpoint.
        stored: &'static str,
        /// Type asked for.
        asked: &'static str,
    },
    /// There is no such component.
    #[error("{name} has {count} components, number {component} does not exist")]
    Component {
        /// The checkpoint's folder.
        name: String,
        /// Components in the checkpoint.
        count: usize,
        /// Number asked for, from 0.
        component: usize,
    },
    /// The box asked for is not within the grid.
    #[error("{name} does not hold all cells of the box that is asked for")]
    Outside {
        /// The checkpoint's folder.
        name: String,
    },
    /// The state cannot be stored in this format.
    #[error("this state cannot be checkpointed: {0}")]
    Meta(#[from] MetaError),
    /// The very checkpoint is there already and every byte of it is right.
    #[error("{name} exists already and is whole")]
    Exists {
        /// The checkpoint's folder.
        name: String,
    },
    /// The parts' reports do not add up to a checkpoint.
    #[error("{name} was reported {times} times instead of once, so the checkpoint is not committed")]
    Reported {
        /// File, relative to the run's folder.
        name: String,
        /// How often it was reported with the right length.
        times: usize,
    },
    /// The disk has no room for it.
    #[error(
        "{name} takes {:.1} MB, and the disk has {:.1} MB left; make room, keep fewer checkpoints, or use another disk",
        *needed as f64 / 1e6, *free as f64 / 1e6
    )]
    Space {
        /// The checkpoint's folder.
        name: String,
        /// Bytes of its files.
        needed: u64,
        /// Bytes left.
        free: u64,
    },
    /// A folder without our run's owner record is never removed.
    #[error("{name} does not carry this run's owner record, so it is left alone; remove it by hand if it is yours")]
    NotOurs {
        /// The folder.
        name: String,
    },
}

/// How damage shows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file is gone.
    #[error("the file is missing")]
    Missing,
    /// The file is shorter or longer than written.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// Bytes written.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The bytes differ from those written.
    #[error("its checksum is {found:08x} instead of {expected:08x}")]
    Checksum {
        /// CRC-32C of what was written.
        expected: u32,
        /// CRC-32C of what was found.
        found: u32,
    },
    /// It does not begin as a manifest does.
    #[error("it is not a manifest of ringfort")]
    Magic,
    /// A later program wrote it.
    #[error("it has format version {0}, this program reads version 1; use the newer program")]
    Version(u32),
    /// Larger than any manifest.
    #[error("it has more than {0} bytes, too many to be real")]
    TooLarge(u64),
    /// Its checksum is right, its content is not.
    #[error("it cannot be decoded")]
    Undecodable,
    /// It describes an impossible state.
    #[error("{0}")]
    Meta(#[from] MetaError),
    /// It lists other files than its grid and cuts call for.
    #[error("it lists {found:?} where {expected:?} belongs")]
    Listing {
        /// File that the grid and cuts call for.
        expected: String,
        /// File in its place.
        found: String,
    },
    /// It is not a file, or the attribute `job` is missing in it.
    #[error("it is not the metadata of a checkpoint")]
    NotMetadata,
    /// The owner record cannot be read.
    #[error("it is not an owner record")]
    NotOwner,
}

impl CheckpointError {
    /// `source` as the reason why `action` on `name` failed.
    pub(super) fn io(action: &'static str, name: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let name = name.into();
        move |source| Self::Io { action, name, source }
    }

    /// `source` as the reason why reading `name` failed; a missing or short file is damage.
    pub(super) fn read(name: String, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Damaged { name, damage: Damage::Missing },
            _ => Self::Io { action: "read", name, source },
        }
    }

    /// True if bytes on disk are not what was written: exit code 4. Other errors may pass.
    #[must_use]
    pub fn damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Partial { .. })
    }
}
