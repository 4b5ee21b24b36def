//! Input arrays: a `.npy` file, mapped; each reader touches only the box it needs.
//!
//! Input: a file and where the grid's box begins in it. Output: values at the cells of a region. Invariant: header
//! and box are checked against the file before any value is read, and the file is never written; values that
//! are not finite in the job's precision or not allowed, and labels beyond the table, are errors that name their index.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use ringfort_kernels::{Allowed, Real};

use super::npy::{self, Header, Scalar};
use crate::grid::{AXES, Extents, Grid, Region};

mod error;

pub use error::InputError;

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
    allowed: Allowed,
}

impl Input {
    /// The array in the file at `path`, whose values must be `allowed`.
    pub(super) fn open(path: &Path, allowed: Allowed) -> Result<Self, InputError> {
        let fail = |source| InputError::Open { path: path.to_owned(), source };
        check_regular(path, &std::fs::metadata(path).map_err(fail)?)?;
        let file = File::open(path).map_err(fail)?;
        check_regular(path, &file.metadata().map_err(fail)?)?;
        let bytes = map(&file).map_err(fail)?;
        let header = npy::header(&bytes).map_err(|problem| InputError::Header { path: path.to_owned(), problem })?;
        let start = vec![0; header.shape.len()];
        Ok(Self { path: path.to_owned(), bytes: Arc::new(bytes), header, start, values: None, allowed })
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
        self.start = first_index(&self.path, &self.header.shape, start, grid)?;
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

    /// Length of the file in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// BLAKE3 of the file's contents; reads all of it.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.bytes)
    }

    /// Values at the cells of `region`, each rounded once (whole numbers beyond 2^53 twice where values are `f32`).
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
        if value.is_finite() && !self.allowed.holds(value) {
            let (path, index) = (self.path.clone(), self.index(position));
            return Err(InputError::NotAllowed { path, index, value, allowed: self.allowed });
        }
        Ok(value)
    }
}

/// Index of the first point of `grid` in an array of `shape`: that of the whole array, or of the box that begins at `start`.
pub(super) fn first_index(
    path: &Path,
    shape: &[usize],
    start: Option<&[u64]>,
    grid: &Grid,
) -> Result<Vec<usize>, InputError> {
    let points = grid.own(&grid.points);
    if let Some(start) = start
        && start.len() != grid.axes
    {
        return Err(InputError::StartLength { given: start.len(), axes: grid.axes });
    }
    if shape.len() != grid.axes || (start.is_none() && shape != points) {
        return Err(InputError::Shape { path: path.into(), shape: shape.into(), points: points.into() });
    }
    let Some(start) = start else { return Ok(vec![0; grid.axes]) };
    let place = |(axis, &from): (usize, &u64)| {
        let from = usize::try_from(from).ok()?;
        from.checked_add(points[axis]).filter(|end| *end <= shape[axis]).map(|_| from)
    };
    let first: Option<Vec<usize>> = start.iter().enumerate().map(place).collect();
    first.ok_or_else(|| InputError::Box {
        path: path.into(),
        start: start.into(),
        points: points.into(),
        shape: shape.into(),
    })
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
    // a run; every read of them is bounds-checked, so changed bytes give other values, never other memory, and a file
    // that is cut short ends the process.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests;
