//! Which cells of the grid lie in the halo of a block.
//!
//! Input: grid, block, halo widths. Output: boxes of the halo, each with the box of cells that it repeats. Invariant: every
//! halo cell that the grid has, wrapped around where it is periodic, is in one box; cells beyond other boundaries, and those
//! that repeat the block's own other end, which the engine fills, are in none.

use crate::advance::wraps;
use crate::field::Span;
use crate::grid::{AXES, Extents, Grid, Region};

/// A box of a block's halo, and the cells that lie there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Relative to the block's first cell.
    pub halo: Span,
    /// In global indices.
    pub cells: Region,
}

/// Boxes of the halo of `block`, `halo` cells deep along each axis, corners included.
#[must_use]
pub fn around(grid: &Grid, block: &Region, halo: Extents) -> Vec<Beyond> {
    let own = Beyond { halo: Span::own(block.extent), cells: *block };
    let mut boxes = vec![own];
    for axis in (0..AXES).filter(|&axis| !wraps(grid, block, axis)) {
        let along = pieces(grid, block, axis, halo[axis]);
        let wider = boxes.iter().flat_map(|one| {
            along.iter().map(move |&(low, high, start)| {
                let mut cells = one.cells;
                (cells.start[axis], cells.extent[axis]) = (start, (high - low).unsigned_abs());
                Beyond { halo: one.halo.with(axis, low, high), cells }
            })
        });
        boxes.extend(wider.collect::<Vec<_>>());
    }
    boxes.split_off(1)
}

/// Pieces of the halo along `axis`: from, to, and the global index of the first cell.
fn pieces(grid: &Grid, block: &Region, axis: usize, halo: usize) -> Vec<(isize, isize, usize)> {
    let (extent, halo) = (block.extent[axis].cast_signed(), halo.cast_signed());
    let points = grid.points[axis].cast_signed();
    let mut all = Vec::new();
    for (mut from, to) in [(-halo, 0), (extent, extent + halo)] {
        while from < to {
            let global = block.start[axis].cast_signed() + from;
            let cell = if grid.periodic(axis) { global.rem_euclid(points) } else { global };
            if !(0..points).contains(&cell) {
                from += 1;
                continue;
            }
            let end = to.min(from + points - cell);
            all.push((from, end, cell.unsigned_abs()));
            from = end;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Boundary, Units};

    #[test]
    fn every_halo_cell_of_the_grid_is_in_one_box() {
        for (points, start, extent, halo) in
            [([1, 1, 5, 7], [0, 0, 1, 2], [1, 1, 2, 3], 3), ([1, 2, 3, 4], [0, 0, 0, 0], [1, 2, 3, 4], 5)]
        {
            for wall in [[false; 2], [true, false], [true; 2]] {
                let mut boundary = [[Boundary::Periodic; 2]; AXES];
                (0..2).filter(|&axis| wall[axis]).for_each(|axis| boundary[axis + 2] = [Boundary::Wall; 2]);
                let (spacing, origin, units) = ([1.0; AXES], [0.0; AXES], Units::Metres);
                let grid = Grid { axes: 3, points, spacing, origin, units, boundary };
                let block = Region { start, extent };
                let deep = [0, halo, halo, halo];
                let mut seen = std::collections::BTreeMap::new();
                for beyond in around(&grid, &block, deep) {
                    let Beyond { halo, cells } = beyond;
                    assert_eq!(halo.cells(), cells.cells());
                    halo.each_row(|row| {
                        for x in halo.low[3]..halo.high[3] {
                            let at = [row[0], row[1], row[2], x];
                            let cell: Extents = std::array::from_fn(|axis| {
                                cells.start[axis] + (at[axis] - halo.low[axis]).unsigned_abs()
                            });
                            assert_eq!(seen.insert(at, cell), None);
                        }
                    });
                }
                let whole = Span {
                    low: deep.map(|cells| -cells.cast_signed()),
                    high: std::array::from_fn(|axis| (extent[axis] + deep[axis]).cast_signed()),
                };
                let mut count = 0;
                whole.each_row(|row| {
                    for x in whole.low[3]..whole.high[3] {
                        let at = [row[0], row[1], row[2], x];
                        let global: [isize; AXES] = std::array::from_fn(|axis| at[axis] + start[axis].cast_signed());
                        let inside = |axis: usize| (0..points[axis].cast_signed()).contains(&global[axis]);
                        let own = (0..AXES).all(|axis| (0..extent[axis].cast_signed()).contains(&at[axis]));
                        let there =
                            (0..AXES).all(|axis| inside(axis) || (grid.periodic(axis) && !wraps(&grid, &block, axis)));
                        let expected: Extents = std::array::from_fn(|axis| {
                            global[axis].rem_euclid(points[axis].cast_signed()).unsigned_abs()
                        });
                        assert_eq!(seen.get(&at), (there && !own).then_some(&expected), "{at:?}");
                        count += 1;
                    }
                });
                assert_eq!(count, whole.cells());
            }
        }
    }
}
