//! Fields that start from another run's checkpoint.
//!
//! Input: the folder of a committed checkpoint. Output: values of one of its components at the points of a grid.
//! Every chunk that is read is checked. Invariant: the folder is only read; the manifest's hash stands for all of its
//! files, so that the fingerprint needs no other; a value that is not finite in the job's precision or not allowed is
//! an error.

use std::path::{Path, PathBuf};

use ringfort_kernels::{Allowed, Real};

use super::input::{InputError, first_index};
use crate::checkpoint::{Checkpoint, Disk, MANIFEST, Precision};
use crate::grid::{AXES, Extents, Grid, Region};

/// A component of a checkpoint, or a box of it.
#[derive(Clone, Debug)]
pub struct Stored {
    checkpoint: Checkpoint<'static>,
    component: usize,
    /// Index of the grid's first point in the checkpoint's grid.
    start: Vec<usize>,
    allowed: Allowed,
    manifest: Vec<u8>,
}

impl Stored {
    /// The component called `name` of the checkpoint in `folder`; its values must be `allowed`.
    pub(super) fn open(folder: &Path, name: &str, allowed: Allowed) -> Result<Self, InputError> {
        let path = || folder.to_path_buf();
        let checkpoint =
            Checkpoint::open(&Disk, folder).map_err(|source| InputError::Checkpoint { path: path(), source })?;
        let manifest =
            std::fs::read(folder.join(MANIFEST)).map_err(|source| InputError::Open { path: path(), source })?;
        if let Some(source) = checkpoint.verify_lengths().into_iter().next() {
            return Err(InputError::Checkpoint { path: path(), source });
        }
        let Some(component) = checkpoint.component(name) else {
            let known: Vec<&str> = checkpoint.meta().components.iter().map(|field| field.name.as_str()).collect();
            return Err(InputError::NoComponent { path: path(), name: name.into(), known: known.join(", ") });
        };
        Ok(Self { checkpoint, component, start: Vec::new(), allowed, manifest })
    }

    /// The same, as values of all points of `grid`: the checkpoint's whole grid, or the box that begins at `start`.
    pub(super) fn with_box(mut self, start: Option<&[u64]>, grid: &Grid) -> Result<Self, InputError> {
        let stored = &self.checkpoint.meta().grid;
        self.start = first_index(self.checkpoint.folder(), stored.own(&stored.points), start, grid)?;
        Ok(self)
    }

    /// The file that makes the folder a checkpoint.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.checkpoint.folder().join(MANIFEST)
    }

    /// Name of the component.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.checkpoint.meta().components[self.component].name
    }

    /// Index of the grid's first point in the checkpoint's grid.
    #[must_use]
    pub fn start(&self) -> &[usize] {
        &self.start
    }

    /// Length of the manifest in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.manifest.len() as u64
    }

    /// BLAKE3 of the manifest, which covers every other file of the checkpoint.
    #[must_use]
    pub fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.manifest)
    }

    /// Values at the cells of `region`, each rounded once.
    pub(super) fn fill<T: Real>(&self, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        match self.checkpoint.meta().precision {
            Precision::Float32 => self.fill_from::<f32, T>(region, out),
            Precision::Float64 => self.fill_from::<f64, T>(region, out),
        }
    }

    fn fill_from<S: Real, T: Real>(&self, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        let path = || self.checkpoint.folder().to_path_buf();
        let mut stored = *region;
        let first = AXES - self.start.len();
        for (axis, start) in self.start.iter().enumerate() {
            stored.start[first + axis] += start;
        }
        let mut values = vec![S::default(); stored.cells()];
        let read = self.checkpoint.read_region(self.component, &stored, &mut values);
        read.map_err(|source| InputError::Checkpoint { path: path(), source })?;
        let index = |at: usize| self.checkpoint.meta().grid.own(&cell(&stored, at)).to_vec();
        for (at, (value, out)) in values.iter().zip(out).enumerate() {
            let value = value.to_f64();
            *out = T::of(value);
            if !out.finite() {
                return Err(InputError::NotFinite { path: path(), index: index(at), value });
            }
            if !self.allowed.holds(value) {
                let (index, allowed) = (index(at), self.allowed);
                return Err(InputError::NotAllowed { path: path(), index, value, allowed });
            }
        }
        Ok(())
    }
}

/// Global index of value number `at` of `region` in memory order.
fn cell(region: &Region, mut at: usize) -> Extents {
    let mut cell = region.start;
    for axis in (0..AXES).rev() {
        cell[axis] += at % region.extent[axis];
        at /= region.extent[axis];
    }
    cell
}
