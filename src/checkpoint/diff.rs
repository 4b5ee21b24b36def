//! Where two checkpoints differ, whatever their cuts. Both are verified first, then compared slab by slab.
//!
//! Input: two open checkpoints. Output: what differs besides values, and where and by how much each component does.
//! Invariant: values are the same only if their bits are, signs of zero and NaN included. Cells are compared in the
//! memory order of the grid, a bounded number at once, so cuts change no count and no bit of a sum. No value is
//! looked at before all listed files of both were verified.

use ringfort_kernels::Real;

use super::error::CheckpointError;
use super::meta::{Meta, Precision};
use super::read::Checkpoint;
use crate::grid::{AXES, Extents, Grid, Region};

/// Cells that are compared at once.
const SLAB: usize = 1 << 20;

/// Result of [`compare`].
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What differs besides values.
    pub obstacles: Vec<Obstacle>,
    /// The components that both have, in the order of the first; none if points or precision differ.
    pub fields: Vec<FieldDifference>,
}

impl Difference {
    /// True if grids and components are the same and all values have the same bits.
    #[must_use]
    pub fn same(&self) -> bool {
        self.obstacles.is_empty() && self.fields.iter().all(|field| field.differing == 0)
    }
}

/// A difference besides values.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// Other numbers of points: values cannot be compared.
    #[error("grids have {a:?} and {b:?} points")]
    Points {
        /// Points of the first, slowest axis first.
        a: Vec<usize>,
        /// Points of the second.
        b: Vec<usize>,
    },
    /// Other types: values cannot be compared.
    #[error("values are {a} and {b}")]
    Precision {
        /// Type in the first.
        a: &'static str,
        /// Type in the second.
        b: &'static str,
    },
    /// Other spacing, origin, units or boundary.
    #[error("grids differ in {what}")]
    Grid {
        /// Which.
        what: &'static str,
    },
    /// A component that only one has.
    #[error("only the {} has component {name}", if *first { "first" } else { "second" })]
    Component {
        /// Its name.
        name: String,
        /// True if the first has it.
        first: bool,
    },
}

/// Where one component differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDifference {
    /// Name of the component.
    pub name: String,
    /// Cells of the grid.
    pub cells: u64,
    /// Cells whose bits differ.
    pub differing: u64,
    /// Those of them whose difference is infinite or no number; the next two leave them out.
    pub undefined: u64,
    /// Largest absolute difference (0 where only signs of zero differ).
    pub max_abs: f64,
    /// Root of the mean square of the differences over all cells.
    pub rms: f64,
    /// First differing cell in memory order, slowest axis first.
    pub first: Option<Extents>,
}

/// Compares all components of `a` and `b` over the whole grid. Sums run in memory order, so they do not depend on cuts.
///
/// # Errors
///
/// [`CheckpointError::Damaged`] for the first damaged file of either; [`CheckpointError::Io`] from the store.
pub fn compare(a: &Checkpoint, b: &Checkpoint) -> Result<Difference, CheckpointError> {
    a.verify_listed()?;
    b.verify_listed()?;
    let obstacles = obstacles(a.meta(), b.meta());
    let mut fields = Vec::new();
    if !obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Points { .. } | Obstacle::Precision { .. })) {
        for (number, field) in a.meta().components.iter().enumerate() {
            let Some(other) = b.component(&field.name) else { continue };
            fields.push(match a.meta().precision {
                Precision::Float32 => compare_field::<f32>(a, b, [number, other])?,
                Precision::Float64 => compare_field::<f64>(a, b, [number, other])?,
            });
        }
    }
    Ok(Difference { obstacles, fields })
}

fn obstacles(a: &Meta, b: &Meta) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let points = |grid: &Grid| grid.own(&grid.points).to_vec();
    if points(&a.grid) != points(&b.grid) {
        found.push(Obstacle::Points { a: points(&a.grid), b: points(&b.grid) });
    } else {
        let own = a.grid.first()..AXES;
        let others = [
            ("spacing", a.grid.spacing[own.clone()] != b.grid.spacing[own.clone()]),
            ("origin", a.grid.origin[own.clone()] != b.grid.origin[own.clone()]),
            ("units", a.grid.units != b.grid.units),
            ("boundary", a.grid.boundary[own.clone()] != b.grid.boundary[own]),
        ];
        found.extend(others.into_iter().filter(|(_, differ)| *differ).map(|(what, _)| Obstacle::Grid { what }));
    }
    if a.precision != b.precision {
        found.push(Obstacle::Precision { a: a.precision.name(), b: b.precision.name() });
    }
    for (one, other, first) in [(a, b, true), (b, a, false)] {
        let lacks = |name: &str| !other.components.iter().any(|field| field.name == name);
        let only = one.components.iter().filter(|field| lacks(&field.name));
        found.extend(only.map(|field| Obstacle::Component { name: field.name.clone(), first }));
    }
    found
}

#[allow(clippy::cast_precision_loss, reason = "a grid has at most 2^50 cells")]
fn compare_field<T: Real>(
    a: &Checkpoint,
    b: &Checkpoint,
    numbers: [usize; 2],
) -> Result<FieldDifference, CheckpointError> {
    let grid = &a.meta().grid;
    let mut found = FieldDifference {
        name: a.meta().components[numbers[0]].name.clone(),
        cells: grid.points.iter().map(|&extent| extent as u64).product(),
        differing: 0,
        undefined: 0,
        max_abs: 0.0,
        rms: 0.0,
        first: None,
    };
    let mut squares = 0.0;
    let [mut left, mut right] = [Vec::new(), Vec::new()];
    for slab in slabs(grid.points) {
        left.resize(slab.cells(), T::of(0.0));
        right.resize(slab.cells(), T::of(0.0));
        a.read_unchecked(numbers[0], &slab, &mut left)?;
        b.read_unchecked(numbers[1], &slab, &mut right)?;
        for (at, (&one, &other)) in left.iter().zip(&right).enumerate() {
            if bits(one) == bits(other) {
                continue;
            }
            found.differing += 1;
            if found.first.is_none() {
                found.first = Some(cell(&slab, at));
            }
            let apart = (one.to_f64() - other.to_f64()).abs();
            if apart.is_finite() {
                squares += apart * apart;
                found.max_abs = if found.max_abs < apart { apart } else { found.max_abs };
            } else {
                found.undefined += 1;
            }
        }
    }
    found.rms = (squares / found.cells as f64).sqrt();
    Ok(found)
}

fn bits<T: Real>(value: T) -> u64 {
    let mut bytes = [0; 8];
    value.write_le(&mut bytes[..T::BYTES]);
    u64::from_le_bytes(bytes)
}

/// Cell number `at` of `slab` in memory order.
fn cell(slab: &Region, mut at: usize) -> Extents {
    let mut cell = slab.start;
    for axis in (0..AXES).rev() {
        cell[axis] += at % slab.extent[axis];
        at /= slab.extent[axis];
    }
    cell
}

/// Boxes of at most [`SLAB`] cells that fill a grid of `points` in memory order.
fn slabs(points: Extents) -> impl Iterator<Item = Region> {
    let beyond = |axis: usize| points[axis + 1..].iter().product::<usize>();
    let cut = (0..AXES).find(|&axis| beyond(axis) <= SLAB).unwrap_or(AXES - 1);
    let some = points[cut].min((SLAB / beyond(cut)).max(1));
    let before: usize = points[..cut].iter().product();
    (0..before).flat_map(move |index| {
        (0..points[cut]).step_by(some).map(move |from| {
            let mut slab = Region { start: [0; AXES], extent: points };
            let mut rest = index;
            for axis in (0..cut).rev() {
                slab.start[axis] = rest % points[axis];
                slab.extent[axis] = 1;
                rest /= points[axis];
            }
            slab.start[cut] = from;
            slab.extent[cut] = some.min(points[cut] - from);
            slab
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_fill_the_grid_in_memory_order() {
        for points in [[1, 1, 1, 5], [2, 3, 4, 5], [3, 2, 1024, 1025], [1, 2, 1, (1 << 20) + 3]] {
            let whole = Region { start: [0; AXES], extent: points };
            let mut next = 0;
            for slab in slabs(points) {
                assert!(slab.cells() <= SLAB && slab.cells() > 0, "{points:?}");
                assert_eq!(whole.offset(slab.start), next, "{points:?}");
                assert_eq!(cell(&slab, 0), slab.start);
                next += slab.cells();
            }
            assert_eq!(next, whole.cells(), "{points:?}");
        }
    }
}
