//! What people see of a run: pictures, sums, events, the run's record, progress, and the search for NaN.
//!
//! Input: fields by blocks, and plain numbers about the run. Output: bytes, lines and files. Observers come in two
//! halves: `partial` for one block, `finish` or a merge for all of them, in any order.
//!
//! Invariant: observers read values and never change one; what they write of them is a function of the job and the
//! values, not of cuts, order or how often a part comes.

pub mod events;
pub mod exact;
pub mod image;
pub mod output;
pub mod picture;
pub mod probe;
pub mod progress;
pub mod record;
pub mod reduce;
pub mod rows;
pub mod scan;
mod sealed;
pub mod series;
pub mod table;
pub mod written;
