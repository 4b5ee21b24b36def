//! Why a field's values cannot be used.
//!
//! Invariant: indices are those of the file or checkpoint, or of the grid for a formula, slowest axis first. Nothing
//! here says where the job names the field: the caller adds that, who has the document.

use std::io;
use std::path::PathBuf;

use ringfort_kernels::Allowed;

use crate::checkpoint::CheckpointError;

/// Why a field's values cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file cannot be opened.
    #[error("cannot open {}: {source}; paths are relative to the job file", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder, device or pipe.
    #[error("{} is {what}, not a regular file; give a .npy file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file is not an array that can be read.
    #[error("cannot read {}: {problem}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A checkpoint that cannot be read.
    #[error("cannot start from {}", path.display())]
    Checkpoint {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
    /// A checkpoint that lacks a component.
    #[error("{} holds no component `{name}`; it holds {known}", path.display())]
    NoComponent {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What is there.
        known: String,
    },
    /// The array does not have the grid's shape.
    #[error(
        "{} has shape {shape:?}, the grid has {points:?} points; give an array of that shape, or `start` to pick a box",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Shape of the array.
        shape: Vec<usize>,
        /// Points of the grid.
        points: Vec<usize>,
    },
    /// `start` does not have one index per axis.
    #[error("start has {given} entries for the {axes} axes of the grid; give one per axis, slowest first")]
    StartLength {
        /// Entries given.
        given: usize,
        /// Axes of the grid.
        axes: usize,
    },
    /// The box does not lie in the array.
    #[error(
        "a box of {points:?} points from {start:?} does not fit in {} of shape {shape:?}; choose a lower start or a \
         smaller grid",
        path.display()
    )]
    Box {
        /// The file.
        path: PathBuf,
        /// First index of the box.
        start: Vec<u64>,
        /// Points of the grid.
        points: Vec<usize>,
        /// Shape of the array.
        shape: Vec<usize>,
    },
    /// `values` for an array that holds no labels.
    #[error("values is a table for labels, but {} holds {kind}; remove values or give whole numbers", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
        /// Type of the values.
        kind: String,
    },
    /// NaN or infinity in a file, or a number too large for the precision.
    #[error("{} holds {value} at {index:?}; values must be finite in the job's precision", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Index in the array.
        index: Vec<usize>,
        /// The value.
        value: f64,
    },
    /// A value that makes no sense for the field.
    #[error("{} holds {value} at {index:?}; {allowed}", path.display())]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// Index in the array.
        index: Vec<usize>,
        /// The value.
        value: f64,
        /// Values of the field that make sense.
        allowed: Allowed,
    },
    /// A label without a value.
    #[error(
        "{} holds label {label} at {index:?}, beyond the table of {count} values; labels run from 0 to {}",
        path.display(),
        count.saturating_sub(1)
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// Index in the array.
        index: Vec<usize>,
        /// The label.
        label: i128,
        /// Values in the table.
        count: usize,
    },
    /// A formula that gives no usable value at a cell.
    #[error("the formula `{formula}` gives {value} at cell {cell:?} ({place}); {}", wanted(*value, *allowed))]
    Formula {
        /// The formula.
        formula: String,
        /// What it gives.
        value: f64,
        /// The cell.
        cell: Vec<usize>,
        /// Its coordinates, in words.
        place: String,
        /// Values of the field that make sense.
        allowed: Allowed,
    },
}

fn wanted(value: f64, allowed: Allowed) -> String {
    if value.is_finite() && !allowed.holds(value) {
        return allowed.to_string();
    }
    "values must be finite in the job's precision".to_owned()
}
