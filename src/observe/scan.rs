//! The search for values that are no longer numbers.
//!
//! Output: the first cell, in the order of memory of the whole grid, that is not finite.
//! Invariant: cutting the grid elsewhere, or merging in another order, changes no answer.

use ringfort_kernels::Real;

use crate::grid::{AXES, Extents, Region};

/// Values looked at together, so that the search runs at the speed of memory while all is well.
const BATCH: usize = 256;

/// First cell of `region` whose value is not finite, in global indices; `values` are those of `region` in memory order.
///
/// # Panics
///
/// If `values` are not as many as the region has cells.
#[must_use]
pub fn scan<T: Real>(values: &[T], region: &Region) -> Option<Extents> {
    assert_eq!(values.len(), region.cells(), "values of a region are as many as its cells");
    let mut start = 0;
    for batch in values.chunks(BATCH) {
        if !batch.iter().fold(true, |all, value| all & value.finite()) {
            let within = batch.iter().position(|value| !value.finite())?;
            return Some(cell(region, start + within));
        }
        start += batch.len();
    }
    None
}

/// Cell of `region` at `offset` in memory order.
fn cell(region: &Region, offset: usize) -> Extents {
    let mut rest = offset;
    let mut cell = region.start;
    for axis in (0..AXES).rev() {
        cell[axis] += rest % region.extent[axis];
        rest /= region.extent[axis];
    }
    cell
}

/// A value that is not finite: in which field, at which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spoiled {
    /// Slot of the field.
    pub slot: usize,
    /// Cell, in global indices.
    pub cell: Extents,
}

/// The one to name among those that blocks and slots found: least slot, then first cell in memory order.
pub fn first(found: impl IntoIterator<Item = Spoiled>) -> Option<Spoiled> {
    found.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decomp::Cuts;

    const POINTS: Extents = [1, 4, 5, 70];

    fn whole() -> Region {
        Region { start: [0; AXES], extent: POINTS }
    }

    /// Values of `block` cut from the values of the whole grid.
    fn cut(values: &[f64], block: &Region) -> Vec<f64> {
        (0..block.cells()).map(|offset| values[whole().offset(cell(block, offset))]).collect()
    }

    #[test]
    fn first_cell_is_the_same_for_all_cuts() {
        for spoiled in [vec![], vec![0], vec![1399], vec![700, 133], vec![69, 70, 350], vec![256, 255, 257]] {
            let mut values = vec![1.5; whole().cells()];
            for (count, &at) in spoiled.iter().enumerate() {
                values[at] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][count];
            }
            let expected = spoiled.iter().min().map(|&at| Spoiled { slot: 3, cell: cell(&whole(), at) });
            for parts in [[1, 1, 1, 1], [1, 2, 1, 3], [1, 4, 5, 7], [1, 1, 3, 1]] {
                let cuts = Cuts::new(POINTS, parts).expect("cuts");
                let mut found: Vec<_> = (0..cuts.count())
                    .filter_map(|part| scan(&cut(&values, &cuts.block(part)), &cuts.block(part)))
                    .map(|cell| Spoiled { slot: 3, cell })
                    .collect();
                assert_eq!(first(found.clone()), expected, "{spoiled:?} {parts:?}");
                found.reverse();
                assert_eq!(first(found), expected, "{spoiled:?} {parts:?}");
            }
        }
    }

    #[test]
    fn least_slot_comes_first() {
        let late = Spoiled { slot: 0, cell: [0, 3, 3, 3] };
        let early = Spoiled { slot: 1, cell: [0; AXES] };
        assert_eq!(first([early, late]), Some(late));
        assert_eq!(
            scan(&[1.0_f32, f32::MAX, f32::MIN_POSITIVE / 2.0], &Region { start: [0; AXES], extent: [1, 1, 1, 3] }),
            None
        );
    }
}
