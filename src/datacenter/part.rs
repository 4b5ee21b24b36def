//! A block with its storage: starts from the job or from a chunk, advances, and shows what its neighbours read.
//!
//! Input: the job, and values by name. Output: the same bits as a rank's block. Values are bytes, little-endian: a
//! *state* holds a block's own cells, component after component, in memory order; a *shell* holds the cells within
//! the halo's width of each neighbour, slab after slab, in each slab component after component. Invariant: what a
//! block becomes follows from its state, its neighbours' shells and the steps, whatever it held before; a state or
//! shell of another length is refused, and the own cells then stay as they are.

mod shell;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ringfort_kernels::Role;

use self::shell::{Shell, slabs};
use super::room::Room;
use super::transport::Shelf;
use crate::advance::Engine;
use crate::advance::library::{AnyKernel, Precise};
use crate::advance::program::Pass;
use crate::decomp::Cuts;
use crate::exit::Failure;
use crate::field::{Fields, Span};
use crate::grid::{AXES, Extents, Region};
use crate::job::Job;
use crate::observe::scan;
use crate::run::around::{Beyond, around};
use crate::run::bound;
use crate::run::inputs::{load, load_around, load_start};

pub use self::shell::shell_cells;

/// What all blocks of a run share.
#[derive(Clone)]
pub struct Whole {
    /// The job.
    pub job: Arc<Job>,
    /// Its kernel.
    pub kernel: &'static dyn AnyKernel,
    /// Its blocks.
    pub cuts: Cuts,
    /// Most steps in a round.
    pub steps: usize,
    /// Time step in seconds.
    pub dt: f64,
    /// Where values get their memory.
    pub room: Room,
    /// Where shells get theirs first, if workers of this host can read them in place.
    pub shelf: Option<Shelf>,
}

/// A block with its storage.
pub struct Part<T: Precise> {
    whole: Whole,
    number: usize,
    block: Region,
    engine: Engine<T>,
    fields: Fields<T>,
    /// Slots of components.
    components: Vec<usize>,
    beyond: Vec<Beyond>,
}

/// Bytes that do not fit the block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// A state or a shell of another length.
    #[error("block {block} takes {expected} bytes, not {found}; were the workers started with different jobs?")]
    Length {
        /// The block.
        block: usize,
        /// Bytes that it takes.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A neighbour's shell is missing.
    #[error("block {block} lacks the shell of block {neighbour}")]
    Missing {
        /// The block.
        block: usize,
        /// Whose shell.
        neighbour: usize,
    },
}

impl<T: Precise> Part<T> {
    /// Block `number`, with coefficients and without a state.
    ///
    /// # Errors
    ///
    /// A usage error if an input is refused.
    pub fn new(whole: &Whole, number: usize) -> Result<Self, Failure> {
        let job = &whole.job;
        let block = whole.cuts.block(number);
        let engine = bound::engine::<T>(job, whole.kernel, (&block, whole.dt, 1))?;
        let mut fields = engine.allocate(block.extent, whole.steps);
        coefficients(job, &block, &engine, &mut fields)?;
        let beyond = around(&job.grid, &block, fields.layout().halo);
        let prepared = engine.full_slots(&fields, Role::Prepared);
        if !prepared.is_empty() {
            engine.once(&mut fields, Pass::Prepare);
            for beyond in &beyond {
                let there = prepared_in::<T>(whole, &beyond.cells)?;
                for &slot in &prepared {
                    let mut values = vec![T::default(); beyond.cells.cells()];
                    there.read(slot, &there.layout().own(), &mut values);
                    fields.write(slot, &beyond.halo, &values);
                }
            }
            engine.fill_boundary(&mut fields, &prepared);
        }
        let components = engine.full_slots(&fields, Role::Component);
        Ok(Self { whole: whole.clone(), number, block, engine, fields, components, beyond })
    }

    /// Takes the state that the job starts from.
    ///
    /// # Errors
    ///
    /// A usage error if an input is refused.
    pub fn begin(&mut self) -> Result<(), Failure> {
        let job = &self.whole.job;
        load_start(job, &self.block, &self.engine, &mut self.fields)
    }

    /// Takes a state.
    ///
    /// # Errors
    ///
    /// [`PartError::Length`] if it is not one of this block.
    pub fn load(&mut self, state: &[u8]) -> Result<(), PartError> {
        let own = self.fields.layout().own();
        let bytes = own.cells() * T::BYTES;
        let expected = bytes * self.components.len();
        if state.len() != expected {
            return Err(PartError::Length { block: self.number, expected, found: state.len() });
        }
        for (&slot, some) in self.components.iter().zip(state.chunks_exact(bytes)) {
            self.fields.set_bytes(slot, &own, some, |cell| offset(&own, cell) * T::BYTES);
        }
        Ok(())
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> Bytes {
        let own = [self.fields.layout().own()];
        self.whole.room.fill(self.bytes(&own), |bytes| self.collect(&own, bytes))
    }

    /// What neighbours read.
    #[must_use]
    pub fn shell(&self) -> Bytes {
        let slabs = self.slabs(&self.block);
        let length = self.bytes(&slabs);
        let shared =
            self.whole.shelf.as_ref().and_then(|shelf| shelf.fill(length, |bytes| self.collect(&slabs, bytes)));
        shared.unwrap_or_else(|| self.whole.room.fill(length, |bytes| self.collect(&slabs, bytes)))
    }

    /// What neighbours read of `block`, which is as deep as their halos.
    fn slabs(&self, block: &Region) -> Vec<Span> {
        slabs(block, (&self.whole.cuts, &self.whole.job.grid), self.fields.layout().halo)
    }

    /// Bytes of the components in `spans`.
    fn bytes(&self, spans: &[Span]) -> usize {
        spans.iter().map(Span::cells).sum::<usize>() * self.components.len() * T::BYTES
    }

    /// Writes the components in `spans` to `rest`, which is as long as they are.
    fn collect(&self, spans: &[Span], mut rest: &mut [u8]) {
        for span in spans {
            for &slot in &self.components {
                let (some, more) = std::mem::take(&mut rest).split_at_mut(span.cells() * T::BYTES);
                rest = more;
                self.fields.to_bytes(slot, span, some);
            }
        }
    }

    /// Takes steps `steps`, counted from the job's start, from the state, with the `shells` of all neighbours of the same step.
    ///
    /// # Errors
    ///
    /// [`PartError`] if a shell is missing or not what that neighbour shows.
    pub fn advance(&mut self, shells: &[(usize, &[u8])], steps: Range<u64>) -> Result<(), PartError> {
        let cuts = &self.whole.cuts;
        for beyond in &self.beyond {
            let owner = owner(cuts, &beyond.cells);
            let block = cuts.block(owner);
            let wanted = relative(&block, &beyond.cells);
            let shell = shells.iter().find(|(number, _)| *number == owner);
            let Some((_, shell)) = shell else {
                return Err(PartError::Missing { block: self.number, neighbour: owner });
            };
            let shell = Shell { slabs: self.slabs(&block), components: self.components.len(), bytes: shell };
            shell.check::<T>(owner)?;
            for (component, &slot) in self.components.iter().enumerate() {
                shell.read(component, &wanted, &beyond.halo, (&mut self.fields, slot));
            }
        }
        self.engine.advance(&mut self.fields, steps);
        Ok(())
    }

    /// The blocks whose shells block `number` needs: those around it, each once.
    #[must_use]
    pub fn around(&self, number: usize) -> BTreeSet<usize> {
        // The halo is as deep around every block.
        let (cuts, grid) = (&self.whole.cuts, &self.whole.job.grid);
        let boxes = around(grid, &cuts.block(number), self.fields.layout().halo);
        boxes.iter().map(|beyond| owner(cuts, &beyond.cells)).collect()
    }

    /// Bytes that the fields of the largest block take.
    #[must_use]
    pub fn bytes_of_fields(&self) -> usize {
        self.engine.bytes(self.whole.cuts.largest(), self.whole.steps)
    }

    /// Makes the first value of the first component NaN: a fault on purpose.
    pub fn spoil(&mut self) {
        if let Some(&slot) = self.components.first() {
            let first = Span { low: [0; AXES], high: [1; AXES] };
            self.fields.write(slot, &first, &[T::of(f64::NAN)]);
        }
    }

    /// The block's cells in the grid.
    #[must_use]
    pub fn block(&self) -> Region {
        self.block
    }

    /// Values of field `slot` in the global box `region`, which lies in the block: component, coefficient or derived.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn read(&self, slot: usize, region: &Region, out: &mut [f64]) {
        let span = relative(&self.block, region);
        let mut values = vec![T::default(); out.len()];
        match self.whole.job.declaration.fields[slot].role {
            Role::Derived => self.engine.program().derive(slot, &self.fields, &span, &mut values),
            _ => self.fields.read(slot, &span, &mut values),
        }
        for (out, value) in out.iter_mut().zip(&values) {
            *out = value.to_f64();
        }
    }

    /// The first component with a value that is not finite, and the first such cell, in global indices.
    #[must_use]
    pub fn spoiled(&self) -> Option<(usize, Extents)> {
        self.components.iter().find_map(|&slot| {
            let mut found = None;
            self.fields.rows(slot, &self.fields.layout().own(), |cell, row| {
                let start = std::array::from_fn(|axis| self.block.start[axis] + cell[axis].unsigned_abs());
                let region = Region { start, extent: [1, 1, 1, row.len()] };
                found = found.or_else(|| scan::scan(row, &region));
            });
            Some((slot, found?))
        })
    }

    /// The largest rate of the present state: `dt` times it is at most 1 while the time step is within the bound.
    #[must_use]
    pub fn largest_rate(&self) -> f64 {
        self.engine.largest_rate(&self.fields).0
    }
}

/// Loads the coefficients of `block`, halo included.
fn coefficients<T: Precise>(
    job: &Job,
    block: &Region,
    engine: &Engine<T>,
    fields: &mut Fields<T>,
) -> Result<(), Failure> {
    load(job, block, fields, &[Role::Coefficient])?;
    let slots = engine.full_slots(fields, Role::Coefficient);
    for &slot in &slots {
        load_around(job, block, fields, slot)?;
    }
    engine.fill_boundary(fields, &slots);
    Ok(())
}

/// Fields of the box `region` in which prepared fields have their values.
fn prepared_in<T: Precise>(whole: &Whole, region: &Region) -> Result<Fields<T>, Failure> {
    let engine = bound::engine::<T>(&whole.job, whole.kernel, (region, whole.dt, 1))?;
    let mut fields = engine.allocate(region.extent, 0);
    coefficients(&whole.job, region, &engine, &mut fields)?;
    engine.once(&mut fields, Pass::Prepare);
    Ok(fields)
}

/// Number of the block that holds `cells`.
fn owner(cuts: &Cuts, cells: &Region) -> usize {
    let largest = cuts.largest();
    cuts.part(std::array::from_fn(|axis| cells.start[axis] / largest[axis]))
}

/// `region` relative to `block`.
fn relative(block: &Region, region: &Region) -> Span {
    let low: [isize; AXES] =
        std::array::from_fn(|axis| region.start[axis].cast_signed() - block.start[axis].cast_signed());
    let high = std::array::from_fn(|axis| low[axis] + region.extent[axis].cast_signed());
    Span { low, high }
}

/// Position of `cell` in the values of `span`.
fn offset(span: &Span, cell: [isize; AXES]) -> usize {
    let at: Extents = std::array::from_fn(|axis| (cell[axis] - span.low[axis]).unsigned_abs());
    (0..AXES).fold(0, |offset, axis| offset * span.extent(axis) + at[axis])
}
