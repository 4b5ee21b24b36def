//! Values of the plane of a picture, without those of cells that its job hides.
//!
//! Input: an image and a reader of its plane. Output: values in memory order, NaN where hidden. Invariant: all fields
//! are read in one and the same region, so that values match cell by cell; if a field that hides cells is not there,
//! none is hidden and a person is told. Callers of `values_of` name a component that is there.

use std::collections::BTreeMap;

use ringfort_kernels::Real;

use super::failure;
use crate::checkpoint::{Checkpoint, CheckpointError, Precision};
use crate::cli::tell;
use crate::exit::Failure;
use crate::grid::{AXES, Grid, Region};
use crate::job::Image;
use crate::job::formula::Map;
use crate::observe::image;

/// `shown`, if all fields that it reads are there; else says so.
pub(super) fn seen(shown: Option<Map>, holds: impl Fn(usize) -> bool) -> Option<Map> {
    let shown = shown?;
    if shown.slots().all(holds) {
        return Some(shown);
    }
    tell(&format!("no cells are hidden: the fields of where = \"{}\" are not all there", shown.text()));
    None
}

/// Values of `image` in its plane; `read` gives those of the plane of any slot.
pub(super) fn hidden(
    image: &Image,
    grid: &Grid,
    read: &mut dyn FnMut(usize) -> Result<Vec<f64>, Failure>,
) -> Result<Vec<f64>, Failure> {
    let region = image::plane(image, grid);
    let mut values = read(image.slot)?;
    if let Some(shown) = &image.shown {
        let planes: Result<BTreeMap<usize, Vec<f64>>, Failure> =
            shown.slots().map(|slot| Ok((slot, read(slot)?))).collect();
        let planes = planes?;
        let mut part = |slot: usize, piece: &Region, out: &mut [f64]| {
            let width = piece.extent[AXES - 1];
            for ([w, z, y], row) in piece.rows().zip(out.chunks_exact_mut(width.max(1))) {
                let at = region.offset([w, z, y, piece.start[AXES - 1]]);
                row.copy_from_slice(&planes[&slot][at..at + width]);
            }
        };
        image::hide(shown, grid, &region, &mut part, &mut values);
    }
    Ok(values)
}

/// Values of the component called `name` of `checkpoint` in `region`; of the checkpoint only what lies there is read.
pub(super) fn values_of(checkpoint: &Checkpoint<'_>, name: &str, region: &Region) -> Result<Vec<f64>, Failure> {
    let component = checkpoint.component(name).unwrap_or_default();
    let read = match checkpoint.meta().precision {
        Precision::Float32 => values::<f32>(checkpoint, component, region),
        Precision::Float64 => values::<f64>(checkpoint, component, region),
    };
    read.map_err(failure)
}

fn values<T: Real>(
    checkpoint: &Checkpoint<'_>,
    component: usize,
    region: &Region,
) -> Result<Vec<f64>, CheckpointError> {
    let mut values = vec![T::default(); region.cells()];
    checkpoint.read_region(component, region, &mut values)?;
    Ok(values.iter().map(|value| value.to_f64()).collect())
}
