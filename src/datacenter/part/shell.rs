//! Shells: which cells of a block its neighbours read, and how they lie in a value.
//!
//! A shell is slab after slab, in each slab component after component, in memory order. Invariant: all who read or write a
//! shell find the same slabs, since these are a function of the cuts, the boundaries and the halo's depth.

use super::{PartError, offset};
use crate::advance::library::Precise;
use crate::decomp::Cuts;
use crate::field::{Fields, Span};
use crate::grid::{AXES, Extents, Grid, Region};

/// Cells of all shells of a step, the halo being `deep` along each axis.
pub fn shell_cells(cuts: &Cuts, grid: &Grid, deep: Extents) -> usize {
    let of = |number| slabs(&cuts.block(number), (cuts, grid), deep).iter().map(Span::cells).sum::<usize>();
    (0..cuts.count()).map(of).sum()
}

/// The cells of `block` that neighbours read, in boxes without common cells: those within the halo's depth of a side beyond
/// which another block lies.
pub(super) fn slabs(block: &Region, (cuts, grid): (&Cuts, &Grid), deep: Extents) -> Vec<Span> {
    let mut rest = Span::own(block.extent);
    let mut slabs = Vec::new();
    for axis in (0..AXES).filter(|&axis| cuts.parts()[axis] > 1) {
        let extent = block.extent[axis];
        let depth = |another| if another || grid.periodic(axis) { deep[axis].min(extent) } else { 0 };
        let (below, above) = (depth(block.start[axis] > 0), depth(block.end(axis) < grid.points[axis]));
        let (low, high) = (below.cast_signed(), (extent - above).max(below).cast_signed());
        slabs.extend([rest.with(axis, 0, low), rest.with(axis, high, extent.cast_signed())]);
        rest = rest.with(axis, low, high);
    }
    slabs.retain(|slab| slab.cells() > 0);
    slabs
}

/// A neighbour's shell.
pub(super) struct Shell<'a> {
    pub(super) slabs: Vec<Span>,
    pub(super) components: usize,
    pub(super) bytes: &'a [u8],
}

impl Shell<'_> {
    pub(super) fn check<T: Precise>(&self, block: usize) -> Result<(), PartError> {
        let cells: usize = self.slabs.iter().map(Span::cells).sum();
        let expected = cells * self.components * T::BYTES;
        let found = self.bytes.len();
        if found == expected { Ok(()) } else { Err(PartError::Length { block, expected, found }) }
    }

    /// Sets the cells `to` of a slot of `fields` to the values of `component` in `wanted`, which the slabs cover.
    pub(super) fn read<T: Precise>(
        &self,
        component: usize,
        wanted: &Span,
        to: &Span,
        (fields, slot): (&mut Fields<T>, usize),
    ) {
        let mut before = 0;
        for slab in &self.slabs {
            let cells = slab.cells();
            let from = &self.bytes[(before + component * cells) * T::BYTES..][..cells * T::BYTES];
            before += cells * self.components;
            let low = std::array::from_fn(|axis| slab.low[axis].max(wanted.low[axis]));
            let high = std::array::from_fn(|axis| slab.high[axis].min(wanted.high[axis]));
            if (0..AXES).any(|axis| high[axis] <= low[axis]) {
                continue;
            }
            let moved = |end: [isize; AXES]| std::array::from_fn(|axis| end[axis] - wanted.low[axis] + to.low[axis]);
            fields.set_bytes(slot, &Span { low: moved(low), high: moved(high) }, from, |cell| {
                let there = std::array::from_fn(|axis| cell[axis] - to.low[axis] + wanted.low[axis]);
                offset(slab, there) * T::BYTES
            });
        }
    }
}
