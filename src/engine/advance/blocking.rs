//! When and how several steps are computed in one pass through memory.
//!
//! Input: a block with a halo for the steps. Output: the block after them. Changes no bit: see [`super::stream`].

use std::sync::PoisonError;

use ringfort_kernels::{Real, Role};

use super::boundary::Sides;
use super::pipeline::Pipeline;
use super::rows::LAST_CACHE_BYTES;
use super::stream::{Addresses, Stream};
use super::tiles::tiles;
use super::{Arrival, Engine};
use crate::field::{Fields, Span};
use crate::grid::AXES;

/// Whether several steps are computed in one pass through memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// Where the block does not fit in a core's cache.
    Auto,
    /// Never: one stage after the other over the whole block.
    Never,
    /// Always, in such tiles.
    Tiles(Tiling),
}

/// How a block is cut into tiles that take several steps in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Bytes that the planes between the steps of one tile may take.
    pub ring_bytes: usize,
    /// Bytes of a row that a tile may be cut to; longer rows are cut, others are whole.
    pub row_bytes: usize,
    /// Fewest tiles.
    pub tiles: usize,
    /// A tile is at least so many times as wide as what it shares with each of its neighbours.
    pub margins: usize,
}

/// Bytes of a core's cache: smaller blocks stay in it anyway.
const CACHE_BYTES: usize = 1 << 20;
/// Bytes of rings of one tile.
const RING_BYTES: usize = 6 << 20;
/// Bytes of a row of a tile: a stretch that is long enough to be fetched ahead by the processor itself.
const ROW_BYTES: usize = 8 << 10;

impl<T: Real> Engine<T> {
    /// Sets whether several steps are computed in one pass; before [`Engine::allocate`]. Changes no bit.
    pub fn set_blocking(&mut self, blocking: Blocking) {
        self.blocking = blocking;
        self.cut_rows();
    }

    /// Says whether tiles are cut along rows: where rows are so long that the few planes of a tile would leave a core's cache.
    pub(super) fn cut_rows(&mut self) {
        let row_bytes = match self.blocking {
            Blocking::Auto => ROW_BYTES,
            Blocking::Never => usize::MAX,
            Blocking::Tiles(tiling) => tiling.row_bytes,
        };
        self.edges.cut_rows(self.edges.first() < AXES - 1 && self.row_cells / 2 * T::BYTES >= row_bytes);
    }

    /// The tiles in which blocks of `extent` cells take `steps` steps in one pass, if they do.
    pub(super) fn blocks(&self, extent: [usize; AXES], steps: usize) -> Option<Tiling> {
        let possible = steps > 1 && self.edges.first() < AXES - 1 && self.inflows.0.is_empty();
        let bytes = extent.iter().product::<usize>() * T::BYTES;
        match self.blocking {
            Blocking::Tiles(tiling) if possible => Some(tiling),
            Blocking::Auto if possible && bytes > CACHE_BYTES => {
                let tiles = if self.rings.len() == 1 { 1 } else { 2 * self.rings.len() };
                Some(Tiling { ring_bytes: RING_BYTES, row_bytes: ROW_BYTES, tiles, margins: 2 })
            }
            Blocking::Auto | Blocking::Never | Blocking::Tiles(_) => None,
        }
    }

    /// True if a block of `extent` cells that takes `steps` steps at once needs a second level of component `slot`.
    pub(super) fn second_level(&self, slot: usize, extent: [usize; AXES], steps: usize) -> bool {
        let footprint = self.program.footprint();
        footprint.needs_second_level(slot) || (footprint.changes(slot) && self.blocks(extent, steps).is_some())
    }

    /// True if all components that evolve have a second level to be written to.
    pub(super) fn can_block(&self, fields: &Fields<T>) -> bool {
        let changes = |slot| self.program.footprint().changes(slot);
        self.declaration.of_role(Role::Component).all(|(slot, _)| !changes(slot) || fields.has_spare(slot))
    }

    /// All steps in one pass, in tiles: first those that need no halo, while it arrives.
    pub(super) fn stream<A: Arrival<T>>(
        &self,
        fields: &mut Fields<T>,
        (from, steps): (u64, usize),
        tiling: Tiling,
        arrival: &mut A,
    ) -> Result<(), A::Error> {
        let layout = *fields.layout();
        let (first, own) = (self.edges.first(), layout.own());
        let pipeline = Pipeline::new(self.program.footprint(), steps, first, &|slot| self.evolves(slot));
        let tiles = tiles::<T>(&layout, (first, &own, self.edges.cuts_rows()), &pipeline, tiling);
        let alone = self.edges.alone();
        let inner = |tile: &&Span| !alone && own.holds(&self.edges.around(&layout, tile, &pipeline.margin));
        let (before, after): (Vec<&Span>, Vec<&Span>) = tiles.iter().partition(inner);
        if !before.is_empty() {
            self.fill_components(fields, &own, &pipeline);
        }
        for tiles in before.chunks(self.rings.len()) {
            arrival.poke(fields, false)?;
            self.run_tiles(fields, from, &pipeline, tiles);
        }
        arrival.poke(fields, true)?;
        self.fill_components(fields, &self.edges.reach(&layout, &pipeline.margin), &pipeline);
        self.run_tiles(fields, from, &pipeline, &after);
        for slot in pipeline.written() {
            fields.swap(slot);
        }
        Ok(())
    }

    /// Fills what the steps read of all components beyond the sides where no peer is, for the cells of `span`. Planes beyond
    /// the first axis that the block makes up alone are not copied: tiles read those that they repeat.
    fn fill_components(&self, fields: &mut Fields<T>, span: &Span, pipeline: &Pipeline) {
        let (first, own) = (self.edges.first(), fields.layout().own());
        let planes = if self.edges.wraps(first) { span.with(first, own.low[first], own.high[first]) } else { *span };
        let closed = self.program.footprint().pass_radius();
        let all = |depth| self.declaration.of_role(Role::Component).map(|(slot, _)| (slot, depth)).collect::<Vec<_>>();
        if self.edges.repeats() {
            self.fill_across(fields, &all(pipeline.margin), &planes, Sides::Open);
        }
        let closed = all(closed);
        self.fill_across(fields, &closed, &planes, Sides::Closed);
        self.fill_along(fields, &closed, Sides::Closed);
    }

    fn run_tiles(&self, fields: &mut Fields<T>, from: u64, pipeline: &Pipeline, tiles: &[&Span]) {
        let layout = *fields.layout();
        let addresses = Addresses::new(fields);
        let past_cache = fields.bytes() > LAST_CACHE_BYTES;
        let stream = Stream { engine: self, from, pipeline, addresses: &addresses, layout, past_cache };
        let run = |tile: &&Span| {
            let thread = rayon::current_thread_index().unwrap_or(0) % self.rings.len();
            let mut rings = self.rings[thread].lock().unwrap_or_else(PoisonError::into_inner);
            stream.tile(tile, &mut rings);
        };
        match &self.pool {
            None => tiles.iter().for_each(run),
            Some(pool) => pool.install(|| {
                use rayon::prelude::*;
                tiles.par_iter().for_each(run);
            }),
        }
    }
}
