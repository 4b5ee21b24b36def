//! Steps taken one stage after the other over the whole block.
//!
//! Input: a block whose halo arrives. Output: the block after the steps. The cells of the first stage that need no
//! halo go first, piece by piece, and messages are moved on between pieces. Invariant: no cell that needs the halo is
//! computed before all of it is there, and the order of pieces and tiles changes no bit.

use std::ops::Range;

use ringfort_kernels::{Real, Role};

use super::boundary::{Hold, Sides};
use super::fill::Fills;
use super::footprint::PassFootprint;
use super::program::Pass;
use super::rows::{Planes, View};
use super::tiles::{pieces, pieces_along, shells, tile, tile_indices, widened};
use super::{Arrival, Engine};
use crate::field::{Fields, Layout, Span};
use crate::grid::{AXES, Extents, Side};

/// Tiles that each thread gets in a stage, so that a late thread costs little.
const TILES_PER_THREAD: usize = 4;
/// Cells below which waking threads takes longer than computing them.
const FEW_CELLS: usize = 4096;
/// Cells of a piece of the interior for each thread, after which messages are moved on: enough that looking after them, and
/// waking the threads again, costs little beside it.
const CELLS_PER_PIECE: usize = 8192;
const SHARED_CELLS_PER_PIECE: usize = 32768;
/// Most pieces of the interior: enough that a message waits little for the next look.
const MOST_PIECES: usize = 16;

/// All stages of all steps.
pub(super) struct Sweeps {
    interior: Option<Interior>,
    /// What repeats the block's own other end, before the first stage.
    repeat: Fills,
    sweeps: Vec<Sweep>,
}

/// One stage of one step.
struct Sweep {
    /// Cells that are computed.
    span: Span,
    /// What lies beyond sides, before it.
    fills: Fills,
    /// Around these cells values flow in.
    before: Span,
    holds: Vec<Hold>,
    /// Point sources, by number, and where they add.
    driven: Vec<(usize, [isize; AXES])>,
}

/// The cells of the first stage that need no halo, where some do.
struct Interior {
    span: Span,
    pieces: Vec<Span>,
    fills: [Fills; 2],
    /// Around these cells values flow in.
    known: Span,
    /// What would be lost where the stage writes over what it reads.
    holds: Vec<Hold>,
}

impl Sweeps {
    /// How a block of `layout` takes `steps` steps.
    pub(super) fn new<T: Real>(engine: &Engine<T>, layout: &Layout, steps: usize) -> Self {
        let footprint = engine.program.footprint();
        let mut margin = footprint.step_radius().map(|cells| cells * steps);
        let mut sweeps = Vec::new();
        for number in 0..steps * footprint.stages.len() {
            let stage = number % footprint.stages.len();
            let pass = &footprint.stages[stage];
            let before = engine.edges.reach(layout, &margin);
            let radius = pass.radius();
            for axis in 0..AXES {
                margin[axis] -= radius[axis];
            }
            let span = engine.edges.reach(layout, &margin);
            let driven = pass.writes.iter().flat_map(|&slot| engine.driven(slot, stage, &span));
            sweeps.push(Sweep {
                span,
                fills: engine.fills(&engine.read_around(pass), &before, Sides::Closed),
                before,
                holds: engine.edges.holds(&pass.writes, &engine.declaration, &span),
                driven: driven.collect(),
            });
        }
        let needed = engine.halo(steps);
        let repeat = engine.repeats(&engine.edges.reach(layout, &needed), &needed);
        Self { interior: Interior::new(engine, layout), repeat, sweeps }
    }
}

impl Interior {
    /// The cells of the first stage that need no halo; none where no peer touches the block.
    ///
    /// What peers still have to be sent stays as it is. A stage that writes over what it reads leaves out the cells that are
    /// sent or repeated, and rows that are cut begin and end at whole vectors, since those are computed whole.
    fn new<T: Real>(engine: &Engine<T>, layout: &Layout) -> Option<Self> {
        let (edges, footprint) = (&engine.edges, engine.program.footprint());
        let pass = footprint.stages.first()?;
        if edges.alone() {
            return None;
        }
        let over = |slot: usize| engine.evolves(slot) && !footprint.needs_second_level(slot);
        let in_place = pass.writes.iter().any(|&slot| over(slot));
        let radius = pass.radius();
        let own = layout.own();
        let mut span = own;
        let vector = engine.program.width().cast_signed();
        for axis in 0..AXES {
            let wide = |side: Side| match (edges.peer(axis, side), edges.open(axis, side)) {
                (true, _) if in_place => radius[axis].max(layout.halo[axis]).cast_signed(),
                (false, true) if in_place => layout.halo[axis].cast_signed(),
                (true, _) => radius[axis].cast_signed(),
                (false, _) => 0,
            };
            let unit = |wide: isize| if axis == AXES - 1 && wide > 0 { vector } else { 1 };
            let (low, high) = (wide(Side::Low), wide(Side::High));
            span.low[axis] = (low + unit(low) - 1).div_euclid(unit(low)) * unit(low);
            span.high[axis] = (own.high[axis] - high).div_euclid(unit(high)) * unit(high);
        }
        if span.cells() == 0 {
            return None;
        }
        let kept: Vec<usize> =
            pass.writes.iter().copied().filter(|&slot| over(slot) && footprint.older_level(slot).is_none()).collect();
        let known = edges.known(layout, &radius);
        let fills = [engine.repeats(&known, &radius), engine.fills(&engine.read_around(pass), &known, Sides::Closed)];
        let piece = match engine.rings.len() {
            1 => CELLS_PER_PIECE,
            threads => SHARED_CELLS_PER_PIECE * threads,
        };
        let count = (span.cells() / piece).clamp(1, MOST_PIECES);
        let holds = edges.holds(&kept, &engine.declaration, &span);
        Some(Self { span, pieces: pieces(&span, count).collect(), fills, known, holds })
    }
}

impl<T: Real> Engine<T> {
    /// What `pass` reads that changes from stage to stage, and how far around.
    fn read_around(&self, pass: &PassFootprint) -> Vec<(usize, Extents)> {
        let changes = |slot: usize| matches!(self.declaration.fields[slot].role, Role::Component | Role::Scratch);
        pass.reads.iter().copied().filter(|&(slot, _)| changes(slot)).collect()
    }

    /// Takes the steps from `from` on, one stage after the other.
    pub(super) fn sweeps<A: Arrival<T>>(
        &self,
        fields: &mut Fields<T>,
        from: u64,
        routine: &Sweeps,
        arrival: &mut A,
    ) -> Result<(), A::Error> {
        let interior = routine.interior.as_ref().filter(|_| !arrival.over());
        if let Some(interior) = interior {
            self.interior(fields, from, interior, arrival)?;
        }
        arrival.poke(fields, true)?;
        self.fill(fields, &routine.repeat);
        let mut done = interior.map(|interior| interior.span);
        let stages = self.program.footprint().stages.len();
        for (sweep, number) in routine.sweeps.iter().zip(0..) {
            let step = from + (number / stages) as u64;
            self.stage(fields, (step, number % stages), sweep, done.take());
        }
        Ok(())
    }

    /// Computes the cells of the first stage that need no halo.
    fn interior<A: Arrival<T>>(
        &self,
        fields: &mut Fields<T>,
        step: u64,
        interior: &Interior,
        arrival: &mut A,
    ) -> Result<(), A::Error> {
        let pass = &self.program.footprint().stages[0];
        interior.fills.iter().for_each(|fills| self.fill(fields, fills));
        self.flow_in(fields, (step, 0), &interior.known);
        let held = hold(fields, &interior.holds);
        for piece in &interior.pieces {
            arrival.poke(fields, false)?;
            self.pass(fields, Pass::Stage(0), pass, piece);
        }
        give_back(fields, &interior.holds, held);
        Ok(())
    }

    /// One stage of a step: fills what lies beyond boundaries, computes all cells but for `done`, keeps what boundaries hold.
    fn stage(&self, fields: &mut Fields<T>, (step, stage): (u64, usize), sweep: &Sweep, done: Option<Span>) {
        let pass = &self.program.footprint().stages[stage];
        self.fill(fields, &sweep.fills);
        self.flow_in(fields, (step, stage), &sweep.before);
        let held = hold(fields, &sweep.holds);
        match done {
            None => self.pass(fields, Pass::Stage(stage), pass, &sweep.span),
            Some(done) => {
                for shell in shells(&sweep.span, &done) {
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
        for &(number, cell) in &sweep.driven {
            let drive = &self.drives[number].0;
            let value = fields.value(drive.slot, cell) + T::of(drive.value(step));
            fields.write(drive.slot, &Span { low: cell, high: cell.map(|index| index + 1) }, &[value]);
        }
        give_back(fields, &sweep.holds, held);
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
            #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
            let time = (step as f64 + self.program.clock(stage)) * dt;
            self.program.inflow(inflow.slot, T::of(inflow.at(time)), fields, &span, &self.standing[stage]);
        }
    }

    /// Runs `pass` on `span`, in tiles on all threads where there is enough for them.
    pub(super) fn pass(&self, fields: &mut Fields<T>, pass: Pass, footprint: &PassFootprint, span: &Span) {
        let view = View::new(fields, self.edges.first(), footprint, self.program.footprint());
        assert!(view.within.holds(span), "{span:?} leaves {:?}", view.within);
        match &self.pool {
            Some(pool) if span.cells() > FEW_CELLS => pool.install(|| {
                use rayon::prelude::*;
                let tiles = pool.current_num_threads() * TILES_PER_THREAD;
                tile_indices(span, tiles)
                    .into_par_iter()
                    .for_each(|index| self.sweep(pass, &view, &tile(span, tiles, index)));
            }),
            _ => self.sweep(pass, &view, span),
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
            view.place(&mut planes, 0, 1, false);
            // SAFETY: `span` and what it reads lie inside the storage, which `Engine::pass` checked; the fields are borrowed
            // by it, and its tiles have no common cells. Rows may be widened into the halo and the slack around rows.
            unsafe { self.program.run(pass, &planes, &rows, 1) };
            return;
        }
        let (cut, deep) = (first + 1, view.rows_in_cache(most));
        // Rows themselves are not cut.
        let strips = if cut < AXES - 1 { deep.map_or(1, |rows| span.extent(cut).div_ceil(rows)) } else { 1 };
        for strip in pieces_along(&rows, cut, strips) {
            let mut plane = span.low[first];
            while plane < span.high[first] {
                let together = most.min((span.high[first] - plane).cast_unsigned());
                view.place(&mut planes, plane, together, deep.is_some());
                // SAFETY: as above.
                unsafe { self.program.run(pass, &planes, &strip.with(first, plane, plane + 1), together) };
                plane += together.cast_signed();
            }
        }
    }
}

/// Where the values of each of `holds` lie among all that are held.
fn places(holds: &[Hold]) -> impl Iterator<Item = (&Hold, Range<usize>)> {
    holds.iter().scan(0, |at, hold| {
        let from = *at;
        *at += hold.span.cells();
        Some((hold, from..*at))
    })
}

/// Copies what boundaries hold, before a stage.
fn hold<T: Real>(fields: &mut Fields<T>, holds: &[Hold]) -> Vec<T> {
    let mut held = fields.take_held();
    for (hold, place) in places(holds) {
        held.resize(held.len().max(place.end), T::default());
        fields.read(hold.source, &hold.span, &mut held[place]);
    }
    held
}

/// Gives what boundaries hold its values back, after a stage.
fn give_back<T: Real>(fields: &mut Fields<T>, holds: &[Hold], held: Vec<T>) {
    for (hold, place) in places(holds) {
        fields.write(hold.slot, &hold.span, &held[place]);
    }
    fields.give_back_held(held);
}
