//! Cuts the global grid into one block per part, and names each part's peers.
//!
//! Input: global extents and part counts. Output: the cells each part owns. No communication.
//! Invariant: every cell has exactly one owner; no part is empty; all cuts are multiples of the largest block.

use std::ops::Range;

use crate::grid::{AXES, Extents, Grid, Region, Side};

pub mod search;

/// Cells that `part` of `parts` owns along an axis of `extent` cells, in global indices. Cuts lie at
/// multiples of `extent / parts` rounded up, so a part is one chunk of a regular Zarr grid.
///
/// # Errors
///
/// [`CutError::EmptyPart`] if the last part would be empty; it names the nearest counts that work.
pub fn split(extent: usize, parts: usize, part: usize) -> Result<Range<usize>, CutError> {
    if !divides(extent, parts) {
        let below = (1..parts).rev().find(|&count| divides(extent, count)).unwrap_or(1);
        let above = (parts + 1..=extent).find(|&count| divides(extent, count));
        return Err(CutError::EmptyPart { extent, parts, below, above });
    }
    let size = extent.div_ceil(parts);
    Ok(part * size..extent.min((part + 1) * size))
}

/// True if `parts` parts of `extent` cells all get a cell.
fn divides(extent: usize, parts: usize) -> bool {
    parts >= 1 && parts <= extent && extent.div_ceil(parts) * (parts - 1) < extent
}

/// Part counts along each axis; parts are numbered slowest axis first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cuts {
    points: Extents,
    parts: Extents,
}

impl Cuts {
    /// Cuts of a grid of `points` into `parts` along each axis.
    ///
    /// # Errors
    ///
    /// [`CutError::EmptyPart`] for the first axis where a part would be empty.
    pub fn new(points: Extents, parts: Extents) -> Result<Self, CutError> {
        for axis in 0..AXES {
            split(points[axis], parts[axis], 0)?;
        }
        Ok(Self { points, parts })
    }

    /// The whole grid as one part.
    #[must_use]
    pub fn whole(points: Extents) -> Self {
        Self { points, parts: [1; AXES] }
    }

    /// Number of parts.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.iter().product()
    }

    /// Number of parts along each axis.
    #[must_use]
    pub fn parts(&self) -> Extents {
        self.parts
    }

    /// Extents of the largest block, which is the first: the chunk shape of a checkpoint.
    #[must_use]
    pub fn largest(&self) -> Extents {
        std::array::from_fn(|axis| self.points[axis].div_ceil(self.parts[axis]))
    }

    /// Extents of the smallest block, which is the last.
    #[must_use]
    pub fn smallest(&self) -> Extents {
        let largest = self.largest();
        std::array::from_fn(|axis| self.points[axis] - largest[axis] * (self.parts[axis] - 1))
    }

    /// Place of `part` in the grid of parts.
    #[must_use]
    pub fn place(&self, part: usize) -> Extents {
        let mut rest = part;
        let mut place = [0; AXES];
        for axis in (0..AXES).rev() {
            place[axis] = rest % self.parts[axis];
            rest /= self.parts[axis];
        }
        place
    }

    /// Part at `place` in the grid of parts.
    #[must_use]
    pub fn part(&self, place: Extents) -> usize {
        (0..AXES).fold(0, |part, axis| part * self.parts[axis] + place[axis])
    }

    /// Cells that `part` owns.
    #[must_use]
    pub fn block(&self, part: usize) -> Region {
        let place = self.place(part);
        let largest = self.largest();
        let start: Extents = std::array::from_fn(|axis| place[axis] * largest[axis]);
        let extent = std::array::from_fn(|axis| largest[axis].min(self.points[axis] - start[axis]));
        Region { start, extent }
    }

    /// Part that touches `part` on `side` of `axis`; itself where the axis wraps around one part, none at a boundary
    /// that is not periodic.
    #[must_use]
    pub fn peer(&self, part: usize, axis: usize, side: Side, periodic: bool) -> Option<usize> {
        let mut place = self.place(part);
        let last = self.parts[axis] - 1;
        place[axis] = match (side, place[axis]) {
            (Side::Low, 0) if periodic => last,
            (Side::High, at) if at == last && periodic => 0,
            (Side::Low, at) => at.checked_sub(1)?,
            (Side::High, at) if at == last => return None,
            (Side::High, at) => at + 1,
        };
        Some(self.part(place))
    }

    /// The best cuts of `grid` into `parts` parts none of which is narrower than `radius` cells across a cut or along a
    /// periodic axis: least largest block, then least halo surface of the largest block (faces on cut axes only, each
    /// `radius` cells deep), then the cut that keeps the fastest axis longest. Exact: all factorisations are looked at.
    ///
    /// # Errors
    ///
    /// [`CutError::NoCut`] if no factorisation fits; it names the nearest counts below and above that do.
    pub fn best(grid: &Grid, parts: usize, radius: Extents) -> Result<Self, CutError> {
        search::best(grid, parts, radius).ok_or_else(|| {
            let (below, above) = search::nearest(grid, parts, radius);
            CutError::NoCut { parts, below, above }
        })
    }

    /// True if every part is at least `radius` cells wide across cuts and along periodic axes.
    #[must_use]
    pub fn fits(&self, grid: &Grid, radius: Extents) -> bool {
        let smallest = self.smallest();
        (grid.first()..AXES)
            .all(|axis| (self.parts[axis] == 1 && !grid.periodic(axis)) || smallest[axis] >= radius[axis])
    }
}

/// A grid that cannot be cut as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// One part along an axis would own no cell.
    #[error(
        "{parts} parts of {extent} points leave a part empty; use {below}{}",
        above.map(|count| format!(" or {count}")).unwrap_or_default()
    )]
    EmptyPart {
        /// Points along the axis.
        extent: usize,
        /// Parts asked for.
        parts: usize,
        /// Largest smaller count that works.
        below: usize,
        /// Smallest larger count that works.
        above: Option<usize>,
    },
    /// No factorisation into this many parts fits the grid.
    #[error("the grid cannot be cut into {parts} parts; use {}", nearest(*below, *above))]
    NoCut {
        /// Parts asked for.
        parts: usize,
        /// Largest smaller count that works.
        below: Option<usize>,
        /// Smallest larger count that works.
        above: Option<usize>,
    },
}

fn nearest(below: Option<usize>, above: Option<usize>) -> String {
    match (below, above) {
        (Some(below), Some(above)) => format!("{below} or {above} ranks"),
        (Some(one), None) | (None, Some(one)) => format!("{one} ranks"),
        (None, None) => "a larger grid".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_one_owner() {
        for extent in 0..=40 {
            for parts in 1..=12 {
                let Ok(ranges) = (0..parts).map(|part| split(extent, parts, part)).collect::<Result<Vec<_>, _>>()
                else {
                    continue;
                };
                assert!(ranges.into_iter().flatten().eq(0..extent), "extent {extent}, parts {parts}");
            }
        }
    }

    #[test]
    fn every_count_up_to_the_root_works() {
        for extent in 1..=400_usize {
            for parts in 1..=extent.isqrt() {
                assert!(split(extent, parts, 0).is_ok(), "extent {extent}, parts {parts}");
            }
        }
    }

    #[test]
    fn parts_and_places_are_inverse() {
        let cuts = Cuts::new([7, 8, 9, 10], [2, 3, 3, 5]).unwrap();
        for part in 0..cuts.count() {
            assert_eq!(cuts.part(cuts.place(part)), part);
        }
        let cells: usize = (0..cuts.count()).map(|part| cuts.block(part).cells()).sum();
        assert_eq!(cells, 7 * 8 * 9 * 10);
    }
}
