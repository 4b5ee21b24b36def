//! T steps of a kernel over a block: the one primitive; the only user of rayon.
//!
//! Input: a block whose halo is `T` steps deep. Output: the block `T` steps later. Invariant: the result is a function
//! of the block and its halo alone; tiles, threads and the order of points change no bit.
//!
//! Each stage is computed on the own cells and as much of the halo as the stages that follow need, so that one
//! exchange serves `T` steps. Cells beyond a boundary of the grid are filled before each stage.

mod blocking;
mod boundary;
mod copy;
mod fill;
pub mod footprint;
mod lanes;
pub mod library;
mod packer;
mod pipeline;
mod planes;
pub mod program;
mod routine;
pub mod rows;
#[cfg(not(test))]
mod shipped;
mod stream;
mod sweeps;
mod tiled;
mod tiles;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rayon::ThreadPool;
use ringfort_kernels::{Declaration, Given, Real, Role};

use crate::field::{Fields, Layout, Span};
use crate::grid::{AXES, Grid, Region};
use crate::inflow::Inflow;
use crate::memory::held;
use crate::source::Drive;
pub use blocking::{Blocking, Tiling};
use boundary::Edges;
pub use boundary::wraps;
use footprint::{Footprint, PassFootprint};
pub use lanes::Simd;
pub use packer::{Bundle, Packer};
use pipeline::Pipeline;
use program::{Pass, Program};
use routine::{Purpose, Routine};
use stream::Rings;
use tiled::Plane;
use tiles::tiles;

/// Advances one block of the grid.
pub struct Engine<T: Real> {
    program: Box<dyn Program<T>>,
    declaration: Declaration,
    given: Vec<Given>,
    edges: Edges,
    /// Cells of a row of the block.
    row_cells: usize,
    pool: Option<ThreadPool>,
    blocking: Blocking,
    /// What flows in through sides, and the time step in seconds.
    inflows: (Vec<Inflow>, f64),
    /// What is added at points, each with the last stage that gives its field a new value.
    drives: Vec<(Drive, usize)>,
    /// Each thread's rings.
    rings: Vec<Mutex<Rings<T>>>,
    /// By stage and slot, the slot that holds its present value.
    standing: Vec<Vec<usize>>,
    /// Tiles are cut so that some need no halo.
    overlaps: bool,
    /// What was worked out so far, and for what.
    routines: Mutex<Vec<(Purpose, Arc<Routine>)>>,
}

/// What happens between pieces of the interior while the halo is on its way.
pub trait Arrival<T: Real> {
    /// What can go wrong.
    type Error;

    /// True if the halo is there.
    fn over(&self) -> bool;

    /// Moves messages on; with `finish` returns only when the halo of `fields` is there.
    ///
    /// # Errors
    ///
    /// If the halo cannot arrive.
    fn poke(&mut self, fields: &mut Fields<T>, finish: bool) -> Result<(), Self::Error>;
}

/// A halo that is there already.
pub struct Arrived;

impl<T: Real> Arrival<T> for Arrived {
    type Error = std::convert::Infallible;

    fn over(&self) -> bool {
        true
    }

    fn poke(&mut self, _: &mut Fields<T>, _: bool) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<T: Real> Engine<T> {
    /// An engine for `block` of `grid`, on `threads` threads.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started.
    pub fn new(
        program: Box<dyn Program<T>>,
        declaration: Declaration,
        given: Vec<Given>,
        (grid, block): (&Grid, &Region),
        threads: usize,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = match threads {
            0 | 1 => None,
            threads => Some(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?),
        };
        let rings = (0..threads.max(1)).map(|_| Mutex::new(Rings::zeros(0))).collect();
        let standing = standing(program.footprint(), &declaration);
        let mut engine = Self {
            program,
            declaration,
            given,
            edges: Edges::new(grid, block),
            row_cells: block.extent[AXES - 1],
            pool,
            blocking: Blocking::Auto,
            inflows: (Vec::new(), 0.0),
            drives: Vec::new(),
            rings,
            standing,
            overlaps: false,
            routines: Mutex::default(),
        };
        engine.cut_rows();
        Ok(engine)
    }

    /// Sets what flows in through sides of the grid, where steps take `dt` seconds; before [`Engine::allocate`]. Such a block
    /// takes one stage after the other: what flows in differs from stage to stage.
    pub fn set_inflows(&mut self, inflows: Vec<Inflow>, dt: f64) {
        self.inflows = (inflows, dt);
    }

    /// Sets what is added to fields at points of the grid in each step, wherever such a point is computed.
    ///
    /// # Panics
    ///
    /// If no stage gives a new value to a field that is added to.
    pub fn set_drives(&mut self, drives: impl IntoIterator<Item = Drive>) {
        let stages = &self.program.footprint().stages;
        let last = |slot| stages.iter().rposition(|stage| stage.writes.contains(&slot)).expect("a component evolves");
        self.drives = drives.into_iter().map(|drive| (drive, last(drive.slot))).collect();
        self.forget_routines();
    }

    /// Point sources that `stage` adds to `slot`, by number, and where they lie in `span`.
    fn driven(&self, slot: usize, stage: usize, span: &Span) -> Vec<(usize, [isize; AXES])> {
        let here = self.drives.iter().enumerate().filter(|(_, (drive, at))| drive.slot == slot && *at == stage);
        here.flat_map(|(number, (drive, _))| {
            self.edges.images(drive.cell, span).into_iter().map(move |cell| (number, cell))
        })
        .collect()
    }

    /// The kernel.
    #[must_use]
    pub fn program(&self) -> &dyn Program<T> {
        self.program.as_ref()
    }

    /// Halo cells along each axis that `steps` steps without an exchange need.
    #[must_use]
    pub fn halo(&self, steps: usize) -> [usize; AXES] {
        let step = self.program.footprint().step_radius();
        let pass = self.program.footprint().pass_radius();
        std::array::from_fn(|axis| match self.edges.open_axis(axis) {
            true => (step[axis] * steps).max(pass[axis]),
            false => pass[axis],
        })
    }

    /// Storage for a block of `extent` cells with a halo for `steps` steps: all components, and the coefficients and
    /// intermediate fields that the kernel uses. Coefficients given as one number take one row, unless they have the
    /// opposite sign beyond a wall.
    #[must_use]
    pub fn allocate(&self, extent: [usize; AXES], steps: usize) -> Fields<T> {
        let footprint = self.program.footprint();
        let mut fields = Fields::new(Layout::new(extent, self.halo(steps)), self.declaration.fields.len());
        for (slot, field) in self.declaration.fields.iter().enumerate() {
            match (field.role, self.given[slot]) {
                (Role::Component, _) => fields.allocate(slot, self.second_level(slot, extent, steps)),
                (Role::Scratch | Role::Prepared, _) if footprint.uses(slot) => {
                    fields.allocate(slot, footprint.needs_second_level(slot));
                }
                (Role::Coefficient, Given::Number(value)) if !self.edges.negate(field) => {
                    fields.set_constant(slot, T::of(value));
                }
                (Role::Coefficient | Role::Start, Given::Number(_) | Given::Varying) => fields.allocate(slot, false),
                _ => {}
            }
        }
        fields
    }

    /// Values of memory that [`Engine::allocate`] takes, without allocating.
    #[must_use]
    pub fn bytes(&self, extent: [usize; AXES], steps: usize) -> usize {
        let footprint = self.program.footprint();
        let one = Layout::new(extent, self.halo(steps)).bytes(T::BYTES);
        let levels = |slot| if footprint.needs_second_level(slot) { 2 } else { 1 };
        self.declaration
            .fields
            .iter()
            .enumerate()
            .map(|(slot, field)| match (field.role, self.given[slot]) {
                (Role::Component, _) if self.second_level(slot, extent, steps) => 2 * one,
                (Role::Component, _) => one,
                (Role::Scratch | Role::Prepared, _) if footprint.uses(slot) => levels(slot) * one,
                (Role::Coefficient, Given::Number(_)) if !self.edges.negate(field) => 0,
                (Role::Coefficient | Role::Start, Given::Number(_) | Given::Varying) => one,
                _ => 0,
            })
            .sum()
    }

    /// Steps that a block of `extent` cells takes in one pass through memory, where its halo is for `steps` steps.
    #[must_use]
    pub fn steps_per_pass(&self, extent: [usize; AXES], steps: usize) -> usize {
        if self.blocks(extent, steps).is_some() { steps } else { 1 }
    }

    /// Bytes of the planes between steps that all threads keep for a block of `extent` cells whose halo is for `steps` steps.
    #[must_use]
    pub fn ring_bytes(&self, extent: [usize; AXES], steps: usize) -> usize {
        let Some(tiling) = self.blocks(extent, steps) else { return 0 };
        let layout = Layout::new(extent, self.halo(steps));
        let (first, own) = (self.edges.first(), layout.own());
        let pipeline = Pipeline::new(self.program.footprint(), steps, first, &|slot| self.evolves(slot));
        let tiles = tiles::<T>(&layout, (first, &own, self.edges.cuts_rows()), &pipeline, tiling);
        let plane = tiles.iter().map(|tile| Plane::new(&layout, first, tile, &pipeline).len).max().unwrap_or(0);
        let ring = pipeline.planes(first) * plane + 2 * Layout::SLACK;
        held(ring * T::BYTES) * self.rings.len().min(tiles.len())
    }

    /// Slots of role `role` that have a value per cell.
    #[must_use]
    pub fn full_slots(&self, fields: &Fields<T>, role: Role) -> Vec<usize> {
        self.declaration.of_role(role).map(|(slot, _)| slot).filter(|&slot| fields.is_full(slot)).collect()
    }

    /// Gives components the value 0 at the own points where walls hold them: part of every start.
    pub fn rest(&self, fields: &mut Fields<T>) {
        self.edges.rest(fields, &self.declaration);
    }

    /// Runs a pass that is not a stage on the own cells.
    pub fn once(&self, fields: &mut Fields<T>, pass: Pass) {
        let own = fields.layout().own();
        self.pass(fields, pass, &self.pass_footprint(pass).clone(), &own);
    }

    fn pass_footprint(&self, pass: Pass) -> &PassFootprint {
        let footprint = self.program.footprint();
        match pass {
            Pass::Stage(stage) => &footprint.stages[stage],
            Pass::Prepare => &footprint.prepare,
            Pass::Start => &footprint.start,
        }
    }

    /// Steps `steps` of the block, counted from the job's start; its halo must hold [`Engine::halo`] of as many steps of
    /// present values.
    ///
    /// # Panics
    ///
    /// If the halo is not deep enough.
    pub fn advance(&self, fields: &mut Fields<T>, steps: Range<u64>) {
        let Ok(()) = self.advance_while(fields, steps, &mut Arrived);
    }

    /// Steps `steps` of the block while its halo arrives: the interior of the first stage goes first.
    ///
    /// # Errors
    ///
    /// What `arrival` fails with.
    ///
    /// # Panics
    ///
    /// If the halo is not deep enough.
    pub fn advance_while<A: Arrival<T>>(
        &self,
        fields: &mut Fields<T>,
        steps: Range<u64>,
        arrival: &mut A,
    ) -> Result<(), A::Error> {
        let count = usize::try_from(steps.end - steps.start).unwrap_or(usize::MAX);
        match &*self.routine(fields, count) {
            Routine::Tiled(tiled) => self.stream(fields, steps.start, tiled, arrival),
            Routine::Sweeps(sweeps) => self.sweeps(fields, steps.start, sweeps, arrival),
        }
    }

    fn evolves(&self, slot: usize) -> bool {
        self.declaration.fields[slot].role == Role::Component
    }

    /// The largest rate of the own cells, which bounds the time step, and where: `dt * rate <= 1`. NaN if some rate is.
    pub fn largest_rate(&self, fields: &Fields<T>) -> (f64, [usize; AXES]) {
        let own = fields.layout().own();
        let mut largest = (f64::NEG_INFINITY, [0; AXES]);
        let mut rates = vec![T::default(); own.extent(3)];
        own.each_row(|[w, z, y, _]| {
            let row = own.with(0, w, w + 1).with(1, z, z + 1).with(2, y, y + 1);
            self.program.rates(fields, &row, &mut rates);
            for (x, rate) in rates.iter().enumerate() {
                let rate = rate.to_f64();
                if rate > largest.0 || (rate.is_nan() && !largest.0.is_nan()) {
                    largest = (rate, [w.unsigned_abs(), z.unsigned_abs(), y.unsigned_abs(), x]);
                }
            }
        });
        largest
    }
}

/// By stage and slot, the slot that holds its present value: one that a stage looks around in stands for its component between
/// stages.
fn standing(footprint: &Footprint, declaration: &Declaration) -> Vec<Vec<usize>> {
    let of = |pass: &PassFootprint| {
        let mut standing: Vec<usize> = (0..declaration.fields.len()).collect();
        for &(slot, _) in pass.reads.iter().filter(|(slot, _)| pass.spreads(*slot)) {
            if let Some(component) = declaration.fields[slot].stands_for {
                standing[component] = slot;
            }
        }
        standing
    };
    footprint.stages.iter().map(of).collect()
}
