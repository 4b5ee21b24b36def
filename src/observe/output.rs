//! Fields written every so many steps (`[[output]]`), in two halves: what lies in a block, and the group of all blocks
//! together.
//!
//! Input: each block's values at every so-many-th point. Output: `NAME.zarr`, a Zarr v3 group that grows time by time.
//! Invariant: partials in any order, repeated or not, cut anywhere, give the same bytes; a reader of the group's metadata sees
//! whole times only.

mod group;
mod layout;
mod partial;
mod read;

use std::io;
use std::path::PathBuf;

use crate::grid::Region;

pub use group::Group;
pub use layout::Layout;
pub use partial::{Piece, partial, pieces};
pub use read::{time_step, values};

/// Name of the folder of the output called `name`, in the run's folder.
#[must_use]
pub fn folder(name: &str) -> String {
    format!("{name}.zarr")
}

/// Why a time is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// Bytes that are no partial, or one of something else.
    #[error("a part of {field} is damaged: {problem}; compute it again")]
    Damaged {
        /// Name of the field.
        field: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A partial that leaves the grid.
    #[error("a part of {field} covers {region:?}, which is not in the grid; compute it again")]
    Foreign {
        /// Name of the field.
        field: String,
        /// The partial's points.
        region: Region,
    },
    /// Two partials that disagree.
    #[error("two parts of {field} give different values for {region:?}; compute both again")]
    Conflict {
        /// Name of the field.
        field: String,
        /// The partials' points.
        region: Region,
    },
    /// Points that no partial or more than one holds.
    #[error("the parts of {field} hold {found} points of {wanted}; wait for the parts of all blocks")]
    Points {
        /// Name of the field.
        field: String,
        /// Points of all partials.
        found: u64,
        /// Points of the field.
        wanted: u64,
    },
    /// The system refused.
    #[error("{} could not be {action}: {source}; check the disk and the permissions", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Something else has the group's name.
    #[error("{} is no output of ringfort, so it is left as it is; move it away to have fields written", path.display())]
    Stranger {
        /// The file or folder.
        path: PathBuf,
    },
    /// The job's output is not that of the group.
    #[error(
        "{} was written for another [[output]] (fields, interval, stride or type), so it is left as it is; move it away, or \
         give this output another name",
        path.display()
    )]
    Other {
        /// The group.
        path: PathBuf,
    },
}
