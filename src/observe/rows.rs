//! Formulas of fields over a box of cells, in rows that fit the nearest cache.
//!
//! Input: a formula, a box, and a reader of fields. Output: the formula's values, some cells at a time. Invariant:
//! every cell of the box comes once, in memory order, at most `ROW` of them at a time: a formula takes no more.
//! Coordinates are those of the whole grid, so how boxes are cut changes no value.

use crate::grid::{AXES, Grid, Region};
use crate::job::formula::{Map, ROW, Variable, Work};

/// Fills a buffer with the values of a slot (a component, coefficient or derived field) in a box of cells, in memory order.
pub type Reader<'a> = &'a mut dyn FnMut(usize, &Region, &mut [f64]);

/// Calls `see` with the values of `map` at all cells of `region`, some at a time, in memory order; `read` gives the fields.
pub(super) fn run(map: &Map, grid: &Grid, region: &Region, read: Reader<'_>, mut see: impl FnMut(&[f64])) {
    let mut rows = vec![vec![0.0; ROW]; map.variables().len()];
    let mut work = Work::default();
    for piece in pieces(region) {
        let cells = piece.cells();
        for (variable, row) in map.variables().iter().zip(&mut rows) {
            match *variable {
                Variable::Field(slot) => read(slot, &piece, &mut row[..cells]),
                Variable::Coordinate(axis) => coordinates(grid, axis, &piece, &mut row[..cells]),
            }
        }
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..cells]).collect();
        see(map.run(cells, &rows, &mut work));
    }
}

/// `block` in boxes of at most [`ROW`] cells: whole rows where they are short.
pub(super) fn pieces(block: &Region) -> impl Iterator<Item = Region> + use<> {
    let block = *block;
    let row = block.extent[AXES - 1];
    let along = row.min(ROW);
    let rows = (ROW / row.max(1)).max(1);
    let starts = move |axis: usize, step: usize| (block.start[axis]..block.end(axis)).step_by(step.max(1));
    starts(0, 1).flat_map(move |w| {
        starts(1, 1).flat_map(move |z| {
            starts(2, rows).flat_map(move |y| {
                starts(3, along).map(move |x| {
                    let extent = [1, 1, rows.min(block.end(2) - y), along.min(block.end(3) - x)];
                    Region { start: [w, z, y, x], extent }
                })
            })
        })
    })
}

/// Coordinates along `axis` of the cells of `region`.
pub(super) fn coordinates(grid: &Grid, axis: usize, region: &Region, out: &mut [f64]) {
    let row = region.extent[AXES - 1];
    for ([w, z, y], out) in region.rows().zip(out.chunks_exact_mut(row.max(1))) {
        for (x, out) in (region.start[AXES - 1]..).zip(out) {
            *out = grid.coordinate(axis, [w, z, y, x][axis]);
        }
    }
}
