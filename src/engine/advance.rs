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
mod pipeline;
mod planes;
pub mod program;
pub mod rows;
mod stream;
mod tiles;

use std::ops::Range;
use std::sync::Mutex;

use rayon::ThreadPool;
use ringfort_kernels::{Declaration, Given, Real, Role};

use crate::field::{Fields, Layout, Span};
use crate::grid::{AXES, Grid, Region, Side};
use crate::inflow::Inflow;
use crate::memory::held;
use crate::source::Drive;
pub use blocking::{Blocking, Tiling};
pub use boundary::wraps;
use boundary::{Edges, Sides};
use footprint::PassFootprint;
pub use lanes::Simd;
use pipeline::Pipeline;
use program::{Pass, Program};
use rows::{Planes, View};
use stream::{Plane, Rings};
use tiles::{pieces, shells, tile, tile_indices, tiles, widened};

/// Tiles that each thread gets in a stage, so that a late thread costs little.
const TILES_PER_THREAD: usize = 4;
/// Pieces of a block's interior between which messages are poked.
const PIECES: usize = 8;

/// Advances one block of the grid.
pub struct Engine<T: Real> {
    program: Box<dyn Program<T>>,
    declaration: Declaration,
    given: Vec<Given>,
    edges: Edges,
    pool: Option<ThreadPool>,
    blocking: Blocking,
    /// What flows in through sides, and the time step in seconds.
    inflows: (Vec<Inflow>, f64),
    /// What is added at points, each with the last stage that gives its field a new value.
    drives: Vec<(Drive, usize)>,
    /// Each thread's rings.
    rings: Vec<Mutex<Rings<T>>>,
}

/// What happens between pieces of the interior while the halo is on its way.
pub trait Arrival<T: Real> {
    /// What can go wrong.
    type Error;

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
        let edges = Edges::new(grid, block);
        Ok(Self {
            program,
            declaration,
            given,
            edges,
            pool,
            blocking: Blocking::Auto,
            inflows: (Vec::new(), 0.0),
            drives: Vec::new(),
            rings,
        })
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
    }

    /// What `stage` adds to `slot` at points.
    fn added(&self, slot: usize, stage: usize) -> impl Iterator<Item = &Drive> {
        self.drives.iter().filter(move |(drive, at)| drive.slot == slot && *at == stage).map(|(drive, _)| drive)
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
        let tiles = tiles::<T>(&layout, (first, &own), &pipeline, tiling);
        let plane = tiles.iter().map(|tile| Plane::new(&layout, first, tile, &pipeline).len).max().unwrap_or(0);
        let ring = pipeline.planes(first) * plane + 2 * Layout::SLACK;
        held(ring * T::BYTES) * self.rings.len().min(tiles.len())
    }

    /// Slots of role `role` that have a value per cell.
    #[must_use]
    pub fn full_slots(&self, fields: &Fields<T>, role: Role) -> Vec<usize> {
        self.declaration.of_role(role).map(|(slot, _)| slot).filter(|&slot| fields.is_full(slot)).collect()
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
        let from = steps.start;
        let steps = usize::try_from(steps.end - steps.start).unwrap_or(usize::MAX);
        let needed = self.halo(steps);
        assert!((0..AXES).all(|axis| needed[axis] <= fields.layout().halo[axis]), "halo for fewer than {steps} steps");
        if let Some(tiling) = self.blocks(fields.layout().extent, steps)
            && self.can_block(fields)
        {
            return self.stream(fields, (from, steps), tiling, arrival);
        }
        let step_radius = self.program.footprint().step_radius();
        let mut margin = step_radius.map(|cells| cells * steps);
        let stages = self.program.footprint().stages.len();
        let mut waiting = true;
        for step in (from..).take(steps) {
            for stage in 0..stages {
                let pass = &self.program.footprint().stages[stage];
                let radius = pass.radius();
                let mut interior = None;
                if waiting {
                    interior = self.interior_first(fields, stage, arrival)?;
                    arrival.poke(fields, true)?;
                    self.repeat(fields, &needed);
                    waiting = false;
                }
                let before = self.edges.reach(fields.layout(), &margin);
                for axis in 0..AXES {
                    margin[axis] -= radius[axis];
                }
                let after = self.edges.reach(fields.layout(), &margin);
                self.stage(fields, (step, stage), (&before, &after), interior);
            }
        }
        Ok(())
    }

    /// Computes the cells of the first stage that need no halo, if that leaves what is being sent untouched.
    fn interior_first<A: Arrival<T>>(
        &self,
        fields: &mut Fields<T>,
        stage: usize,
        arrival: &mut A,
    ) -> Result<Option<Span>, A::Error> {
        let pass = &self.program.footprint().stages[stage];
        let footprint = self.program.footprint();
        if pass.writes.iter().any(|&slot| self.evolves(slot) && !footprint.needs_second_level(slot)) {
            return Ok(None);
        }
        let radius = pass.radius();
        let mut interior = fields.layout().own();
        for axis in 0..AXES {
            interior.low[axis] += radius[axis].cast_signed();
            interior.high[axis] -= radius[axis].cast_signed();
        }
        if interior.cells() == 0 {
            return Ok(None);
        }
        for piece in pieces(&interior, PIECES) {
            arrival.poke(fields, false)?;
            self.pass(fields, Pass::Stage(stage), pass, &piece);
        }
        Ok(Some(interior))
    }

    fn evolves(&self, slot: usize) -> bool {
        self.declaration.fields[slot].role == Role::Component
    }

    /// One stage of step `step`: fills what lies beyond boundaries, computes `after` (but for `done`), keeps what boundaries hold.
    fn stage(
        &self,
        fields: &mut Fields<T>,
        (step, stage): (u64, usize),
        (before, after): (&Span, &Span),
        done: Option<Span>,
    ) {
        let pass = &self.program.footprint().stages[stage];
        let changes = |slot: usize| matches!(self.declaration.fields[slot].role, Role::Component | Role::Scratch);
        let slots: Vec<_> = pass.reads.iter().copied().filter(|&(slot, _)| changes(slot)).collect();
        self.fill_across(fields, &slots, before, Sides::Closed);
        self.fill_along(fields, &slots, Sides::Closed);
        self.flow_in(fields, (step, stage), before);
        let held = self.edges.hold(fields, &pass.writes, &self.declaration, after);
        match done {
            None => self.pass(fields, Pass::Stage(stage), pass, after),
            Some(done) => {
                for shell in shells(after, &done) {
                    self.pass(fields, Pass::Stage(stage), pass, &shell);
                }
            }
        }
        for &slot in &pass.writes {
            if let Some(older) = self.program.footprint().older_level(slot) {
                fields.exchange(slot, older);
            } else if pass.spreads(slot) {
                fields.swap(slot);
            }
        }
        for &slot in &pass.writes {
            for drive in self.added(slot, stage) {
                for cell in self.edges.images(drive.cell, after) {
                    let value = fields.value(slot, cell) + T::of(drive.value(step));
                    fields.write(slot, &Span { low: cell, high: cell.map(|index| index + 1) }, &[value]);
                }
            }
        }
        for (slot, span, values) in held {
            fields.write(slot, &span, &values);
        }
    }

    /// Gives the cells beyond sides, within reach of `before`, what flows in there.
    fn flow_in(&self, fields: &mut Fields<T>, (step, stage): (u64, usize), before: &Span) {
        let (inflows, dt) = &self.inflows;
        let pass = &self.program.footprint().stages[stage];
        let reach = pass.radius().map(usize::cast_signed);
        for inflow in inflows {
            if self.edges.open(inflow.axis, inflow.side) {
                continue;
            }
            let mut span = *before;
            for axis in self.edges.first()..AXES {
                span.low[axis] -= if self.edges.open(axis, Side::Low) { 0 } else { reach[axis] };
                span.high[axis] += if self.edges.open(axis, Side::High) { 0 } else { reach[axis] };
            }
            let (axis, [first, last]) = (inflow.axis, self.edges.ends(inflow.axis));
            let span = match inflow.side {
                Side::Low => span.with(axis, first - reach[axis], first),
                Side::High => span.with(axis, last + 1, last + 1 + reach[axis]),
            };
            // The slot that a stage looks around in stands for the component between stages.
            let mut standing: Vec<usize> = (0..self.declaration.fields.len()).collect();
            for &(slot, _) in pass.reads.iter().filter(|(slot, _)| pass.spreads(*slot)) {
                if let Some(component) = self.declaration.fields[slot].stands_for {
                    standing[component] = slot;
                }
            }
            #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
            let time = (step as f64 + self.program.clock(stage)) * dt;
            self.program.inflow(inflow.slot, T::of(inflow.at(time)), fields, &span, &standing);
        }
    }

    /// Runs `pass` on `span`, in tiles on all threads.
    fn pass(&self, fields: &mut Fields<T>, pass: Pass, footprint: &PassFootprint, span: &Span) {
        let view = View::new(fields, self.edges.first(), footprint, self.program.footprint());
        assert!(view.within.holds(span), "{span:?} leaves {:?}", view.within);
        match &self.pool {
            None => self.sweep(pass, &view, span),
            Some(pool) => pool.install(|| {
                use rayon::prelude::*;
                let tiles = pool.current_num_threads() * TILES_PER_THREAD;
                tile_indices(span, tiles)
                    .into_par_iter()
                    .for_each(|index| self.sweep(pass, &view, &tile(span, tiles, index)));
            }),
        }
    }

    /// Runs `pass` on `span`, plane by plane.
    #[expect(unsafe_code, reason = "threads write disjoint tiles of the same field")]
    fn sweep(&self, pass: Pass, view: &View<'_, T>, span: &Span) {
        let first = self.edges.first();
        let mut planes = Planes::new();
        let (rows, most) = match pass {
            Pass::Stage(_) => (widened(span, self.program.width()), self.program.together()),
            Pass::Prepare | Pass::Start => (*span, 1),
        };
        if first == AXES - 1 {
            view.place(&mut planes, 0, 1);
            // SAFETY: `span` and what it reads lie inside the storage, which `Engine::pass` checked; the fields are borrowed
            // by it, and its tiles have no common cells. Rows may be widened into the halo and the slack around rows.
            unsafe { self.program.run(pass, &planes, &rows, 1) };
            return;
        }
        let mut plane = span.low[first];
        while plane < span.high[first] {
            let together = most.min((span.high[first] - plane).cast_unsigned());
            view.place(&mut planes, plane, together);
            // SAFETY: as above.
            unsafe { self.program.run(pass, &planes, &rows.with(first, plane, plane + 1), together) };
            plane += together.cast_signed();
        }
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
