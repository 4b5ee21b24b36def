//! When and how several steps are computed in one pass through memory.
//!
//! Input: a block with a halo for the steps. Output: the block after them. Invariant: what is chosen here (steps in one
//! pass, tiles, which of them go first) changes time and memory and no bit: see [`super::stream`].

use std::ops::Range;
use std::sync::PoisonError;

use ringfort_kernels::{Real, Role};

use super::rows::LAST_CACHE_BYTES;
use super::stream::{Addresses, Stream};
use super::tiled::{Tile, Tiled};
use super::{Arrival, Engine};
use crate::field::Fields;
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
/// Goes of all tiles that are computed while messages travel, which are moved on between goes.
const GOES: usize = 12;
/// Bytes of rings of one tile.
const RING_BYTES: usize = 8 << 20;
/// Bytes of a row of a tile: a stretch that is long enough to be fetched ahead by the processor itself.
const ROW_BYTES: usize = 8 << 10;

impl<T: Real> Engine<T> {
    /// Sets whether several steps are computed in one pass; before [`Engine::allocate`]. Changes no bit.
    pub fn set_blocking(&mut self, blocking: Blocking) {
        self.blocking = blocking;
        self.cut_rows();
        self.forget_routines();
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

    /// Sets whether tiles are cut so that some need no halo, and are computed while it arrives. Each cut costs some percent of
    /// the steps, since tiles compute what they share anew: so only where waiting costs more. Changes no bit.
    pub fn set_overlaps(&mut self, overlaps: bool) {
        self.overlaps = overlaps;
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
        from: u64,
        tiled: &Tiled,
        arrival: &mut A,
    ) -> Result<(), A::Error> {
        let (before, after) = tiled.tiles.split_at(if arrival.over() { 0 } else { tiled.inner });
        if !before.is_empty() {
            tiled.fills[0].iter().for_each(|fills| self.fill(fields, fills));
        }
        let goes = GOES.div_ceil(before.len().div_ceil(self.rings.len()).max(1));
        for tiles in before.chunks(self.rings.len()) {
            let mut go = 0;
            while go < goes {
                arrival.poke(fields, false)?;
                // Once the halo is there nothing is to be looked after.
                let to = if arrival.over() { goes } else { go + 1 };
                self.run_inner(fields, (from, tiled), tiles, (go..to, goes));
                go = to;
            }
        }
        arrival.poke(fields, true)?;
        tiled.fills[1].iter().for_each(|fills| self.fill(fields, fills));
        self.run_tiles(fields, from, tiled, after);
        for slot in tiled.pipeline.written() {
            fields.swap(slot);
        }
        Ok(())
    }

    /// Some goes of tiles, no more of them than threads: each has rings of its own until it is done.
    fn run_inner(
        &self,
        fields: &mut Fields<T>,
        (from, tiled): (u64, &Tiled),
        tiles: &[Tile],
        (some, goes): (Range<usize>, usize),
    ) {
        let addresses = Addresses::new(fields);
        let past_cache = fields.bytes() > LAST_CACHE_BYTES;
        let stream = Stream { engine: self, from, tiled, addresses: &addresses, past_cache };
        let run = |number: usize| {
            let mut rings = self.rings[number].lock().unwrap_or_else(PoisonError::into_inner);
            some.clone().for_each(|go| stream.tile(&tiles[number], &mut rings, (go, goes)));
        };
        match &self.pool {
            Some(pool) if tiles.len() > 1 => pool.install(|| {
                use rayon::prelude::*;
                (0..tiles.len()).into_par_iter().for_each(run);
            }),
            _ => (0..tiles.len()).for_each(run),
        }
    }

    fn run_tiles(&self, fields: &mut Fields<T>, from: u64, tiled: &Tiled, tiles: &[Tile]) {
        let addresses = Addresses::new(fields);
        let past_cache = fields.bytes() > LAST_CACHE_BYTES;
        let stream = Stream { engine: self, from, tiled, addresses: &addresses, past_cache };
        let run = |tile: &Tile| {
            let thread = rayon::current_thread_index().unwrap_or(0) % self.rings.len();
            let mut rings = self.rings[thread].lock().unwrap_or_else(PoisonError::into_inner);
            stream.tile(tile, &mut rings, (0, 1));
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
