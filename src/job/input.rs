//! Input arrays: a `.npy` file, mapped; each reader touches only the box it needs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use ringfort_kernels::Real;

use super::npy::{self, Header, Scalar};
use crate::grid::{AXES, Extents, Grid, Region};

/// An array in a file, or a box of it.
#[derive(Clone, Debug)]
pub struct Input {
    path: PathBuf,
    bytes: Arc<Mmap>,
    header: Header,
    /// Index of the grid's first point in the array, along the axes of the array.
    start: Vec<usize>,
    /// Value of each label.
    values: Option<Vec<f64>>,
    least: f64,
}

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
    #[error("{} holds {value} at {index:?}; the least value that makes sense is {least}", path.display())]
    Below {
        /// The file.
        path: PathBuf,
        /// Index in the array.
        index: Vec<usize>,
        /// The value.
        value: f64,
        /// Least value of the field.
        least: f64,
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
    #[error("the formula `{formula}` gives {value} at cell {cell:?} ({place}); {}", wanted(*value, *least))]
    Formula {
        /// The formula.
        formula: String,
        /// What it gives.
        value: f64,
        /// The cell.
        cell: Vec<usize>,
        /// Its coordinates, in words.
        place: String,
        /// Least value of the field.
        least: f64,
    },
}

fn wanted(value: f64, least: f64) -> String {
    if value < least && value.is_finite() {
        return format!("the least value that makes sense is {least}");
    }
    "values must be finite in the job's precision".to_owned()
}

impl Input {
    /// The array in the file at `path`, whose values must not be below `least`.
    pub(super) fn open(path: &Path, least: f64) -> Result<Self, InputError> {
        let fail = |source| InputError::Open { path: path.to_owned(), source };
        check_regular(path, &std::fs::metadata(path).map_err(fail)?)?;
        let file = File::open(path).map_err(fail)?;
        check_regular(path, &file.metadata().map_err(fail)?)?;
        let bytes = map(&file).map_err(fail)?;
        let header = npy::header(&bytes).map_err(|problem| InputError::Header { path: path.to_owned(), problem })?;
        let start = vec![0; header.shape.len()];
        Ok(Self { path: path.to_owned(), bytes: Arc::new(bytes), header, start, values: None, least })
    }

    /// The same, as labels where `values` is given.
    pub(super) fn with_values(mut self, values: Option<Vec<f64>>) -> Result<Self, InputError> {
        if values.is_some() && !self.header.kind.whole() {
            let kind = format!("{:?}", self.header.kind).to_lowercase();
            return Err(InputError::NoLabels { path: self.path, kind });
        }
        self.values = values;
        Ok(self)
    }

    /// The same, as values of all points of `grid`: the whole array, or the box that begins at `start`.
    pub(super) fn with_box(mut self, start: Option<&[u64]>, grid: &Grid) -> Result<Self, InputError> {
        let points = grid.own(&grid.points);
        let shape = &self.header.shape;
        if let Some(start) = start
            && start.len() != grid.axes
        {
            return Err(InputError::StartLength { given: start.len(), axes: grid.axes });
        }
        let refuse_shape =
            || InputError::Shape { path: self.path.clone(), shape: shape.clone(), points: points.into() };
        let Some(start) = start else {
            return if shape == points { Ok(self) } else { Err(refuse_shape()) };
        };
        if shape.len() != grid.axes {
            return Err(refuse_shape());
        }
        let mut first = Vec::new();
        for (axis, &from) in start.iter().enumerate() {
            let from = usize::try_from(from).ok();
            let end = from.and_then(|from| from.checked_add(points[axis])).filter(|end| *end <= shape[axis]);
            match (from, end) {
                (Some(from), Some(_)) => first.push(from),
                _ => {
                    let (start, points, shape) = (start.to_vec(), points.to_vec(), shape.clone());
                    return Err(InputError::Box { path: self.path, start, points, shape });
                }
            }
        }
        self.start = first;
        Ok(self)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Index of the grid's first point in the array.
    #[must_use]
    pub fn start(&self) -> &[usize] {
        &self.start
    }

    /// Value of each label, where the array holds labels.
    #[must_use]
    pub fn values(&self) -> Option<&[f64]> {
        self.values.as_deref()
    }

    /// BLAKE3 of the file's contents; reads all of it.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.bytes)
    }

    /// Values at the cells of `region`, each rounded once.
    pub(super) fn fill<T: Real>(&self, grid: &Grid, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        let data = &self.bytes[self.header.start..];
        let width = region.extent[AXES - 1].max(1);
        for (row, cells) in region.rows().zip(out.chunks_exact_mut(width)) {
            let cell = [row[0], row[1], row[2], region.start[AXES - 1]];
            let first = self.position(grid, cell);
            for (offset, out) in cells.iter_mut().enumerate() {
                let scalar = self.header.kind.read(data, first + offset);
                let value = self.meaning(scalar, first + offset)?;
                *out = T::of(value);
                if !out.finite() {
                    return Err(InputError::NotFinite {
                        path: self.path.clone(),
                        index: self.index(first + offset),
                        value,
                    });
                }
            }
        }
        Ok(())
    }

    /// Number of the value at `cell` of `grid` among the values of the file.
    fn position(&self, grid: &Grid, cell: Extents) -> usize {
        let own = grid.own(&cell).iter().zip(&self.start).zip(&self.header.shape);
        own.fold(0, |position, ((cell, start), extent)| position * extent + start + cell)
    }

    /// Index in the array of value number `position`.
    fn index(&self, mut position: usize) -> Vec<usize> {
        let mut index = vec![0; self.header.shape.len()];
        for (entry, &extent) in index.iter_mut().zip(&self.header.shape).rev() {
            *entry = position % extent;
            position /= extent;
        }
        index
    }

    /// What `scalar`, number `position` of the file, stands for.
    #[allow(clippy::cast_precision_loss, reason = "whole numbers beyond 2^53 are rounded to the nearest")]
    fn meaning(&self, scalar: Scalar, position: usize) -> Result<f64, InputError> {
        let value = match (scalar, &self.values) {
            (Scalar::Float(value), _) => value,
            (Scalar::Integer(label), Some(values)) => {
                let found = usize::try_from(label).ok().and_then(|at| values.get(at));
                *found.ok_or_else(|| InputError::Label {
                    path: self.path.clone(),
                    index: self.index(position),
                    label,
                    count: values.len(),
                })?
            }
            (Scalar::Integer(value), None) => value as f64,
        };
        if value < self.least && value.is_finite() {
            let (path, index) = (self.path.clone(), self.index(position));
            return Err(InputError::Below { path, index, value, least: self.least });
        }
        Ok(value)
    }
}

fn check_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<(), InputError> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a folder" } else { "a device or pipe" };
    Err(InputError::NotRegular { path: path.to_owned(), what })
}

#[expect(unsafe_code, reason = "memmap2 cannot see whether the file stays unchanged")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes must not change while mapped. Inputs belong to the user, who is told not to change them during
    // a run; every read of them is bounds-checked, so changed bytes give other values, never other memory.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
