//! One rank's part of a job: its fields, engine and standing exchange.
//!
//! Input: job, layout, peers. Output: fields at a step, advanced round by round. Invariant: what a rank computes is the
//! restriction of the global state to its block, whatever the layout.

use std::ops::Range;

use ringfort_kernels::{Declaration, Real, Role};

use super::agree::agree;
use super::control::largest;
use super::halo::{Halo, OnItsWay};
use super::peers::{PeerError, Peers};
use crate::advance::Engine;
use crate::advance::library::{AnyKernel, Precise};
use crate::advance::program::Pass;
use crate::clock;
use crate::decomp::Cuts;
use crate::exit::Failure;
use crate::field::{Fields, Span};
use crate::grid::{AXES, Grid, Region};
use crate::job::{Job, TimeStep};
use crate::run::inputs::{load, only_at_start};
use crate::run::shape::Shape;
use crate::run::{bound, memory};

/// One rank's part of a job.
pub struct Session<T: Precise> {
    /// Advances the block.
    pub engine: Engine<T>,
    /// The block's fields.
    pub fields: Fields<T>,
    /// The global grid.
    pub grid: Grid,
    /// The layout.
    pub cuts: Cuts,
    /// Own part.
    pub part: usize,
    /// Time step in seconds.
    pub dt: f64,
    /// `dt` times the largest rate: at most 1.
    pub courant: f64,
    halo: Halo,
    waits: Waits,
}

/// Rounds after which waiting is weighed for the first time, and then again and again.
const FIRST_ROUNDS: u64 = 8;
const MORE_ROUNDS: u64 = 512;
/// Share of the time that may be spent waiting for halos before tiles are cut so that some need none.
const WAITING: f64 = 0.3;

/// What rounds took since waiting was last weighed.
#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    rounds: u64,
    seconds: f64,
    waited: f64,
}

/// Where components come from, if not from the job: fills the values of a component's slot in a global box.
pub type Restore<'a, T> = &'a mut dyn FnMut(usize, &Region, &mut [T]) -> Result<(), Failure>;

impl<T: Precise> Session<T> {
    /// The part of `job` that `peers.rank()` holds, at the job's start or as `restore` gives it (then with time step
    /// `dt`). All ranks call this together.
    ///
    /// # Errors
    ///
    /// A usage error if an input cannot be read or the time step is beyond the kernel's bound.
    pub fn new<P: Peers + ?Sized>(
        job: &Job,
        kernel: &dyn AnyKernel,
        (shape, threads, ranks_here): (&Shape, usize, usize),
        restored: Option<(f64, Restore<'_, T>)>,
        peers: &mut P,
    ) -> Result<Self, Failure> {
        let (grid, cuts, part) = (job.grid.clone(), shape.cuts, peers.rank());
        let block = cuts.block(part);
        let known = match (&restored, job.time.step) {
            (Some((dt, _)), _) => Some(*dt),
            (None, TimeStep::Seconds(dt)) => Some(dt),
            (None, TimeStep::Courant(_)) => None,
        };
        let build = |dt: f64| {
            let mut engine = bound::engine::<T>(job, kernel, (&block, dt, threads))?;
            engine.set_blocking(shape.blocking);
            Ok(engine)
        };
        let engine = agree(peers, build(known.unwrap_or(1.0)))?;
        let steps = shape.steps_per_exchange;
        let needed = engine.bytes(block.extent, steps)
            + engine.ring_bytes(block.extent, steps)
            + memory::copy_bytes::<T>(job, block.cells());
        agree(peers, memory::fits(needed, ranks_here))?;
        let mut fields = engine.allocate(block.extent, shape.steps_per_exchange);
        let place = (&grid, &cuts, part);
        let loaded = load(job, &block, &mut fields, &[Role::Coefficient]);
        agree(peers, loaded)?;
        let fill = |role, engine: &Engine<T>, fields: &mut Fields<T>, peers: &mut P| -> Result<(), PeerError> {
            if role == Role::Prepared {
                engine.once(fields, Pass::Prepare);
            }
            let slots = engine.full_slots(fields, role);
            exchange_once(peers, place, engine, (fields, &slots))
        };
        fill(Role::Coefficient, &engine, &mut fields, peers)?;
        fill(Role::Prepared, &engine, &mut fields, peers)?;
        let fresh = restored.is_none();
        let loaded = match restored {
            None => load(job, &block, &mut fields, &[Role::Component, Role::Start]),
            Some((_, restore)) => restore_components(&engine, &mut fields, &block, restore),
        };
        agree(peers, loaded)?;
        let start = fresh && job.declaration.starts(&job.setup.given);
        if start {
            let slots = engine.program().footprint().start.spreading();
            if !slots.is_empty() {
                exchange_once(peers, place, &engine, (&mut fields, &slots))?;
            }
            engine.once(&mut fields, Pass::Start);
        }
        let rate = largest(peers, engine.largest_rate(&fields).0)?;
        let (dt, courant) = bound::time_step(job, known, rate)?;
        let mut engine = engine;
        if known.is_none() {
            // What was computed once may depend on the time step, now that it is known.
            engine = agree(peers, build(dt))?;
            fill(Role::Prepared, &engine, &mut fields, peers)?;
            if start {
                engine.once(&mut fields, Pass::Start);
            }
        }
        if fresh {
            engine.rest(&mut fields);
        }
        let components = engine.full_slots(&fields, Role::Component);
        let halo = Halo::new(peers, place, fields.layout().halo, &components, T::BYTES);
        let mut session = Self { engine, fields, grid, cuts, part, dt, courant, halo, waits: Waits::default() };
        session.release(job);
        Ok(session)
    }

    /// Frees what only the start needed.
    fn release(&mut self, job: &Job) {
        let footprint = self.engine.program().footprint();
        let slots = 0..job.declaration.fields.len();
        slots.filter(|&slot| only_at_start(job, footprint, slot)).for_each(|slot| self.fields.release(slot));
    }

    /// The box of global cells that this rank owns.
    #[must_use]
    pub fn block(&self) -> Region {
        self.cuts.block(self.part)
    }

    /// Begins to exchange halos.
    pub fn start_exchange<P: Peers + ?Sized>(&mut self, peers: &mut P) {
        self.halo.start(peers, self.engine.packer(), &self.fields);
    }

    /// Bytes that this rank sends to others in one exchange.
    #[must_use]
    pub fn exchange_bytes(&self) -> u64 {
        self.halo.bytes(T::BYTES) as u64
    }

    /// Takes steps `steps`, counted from the job's start, while the halo that was started arrives; returns the seconds spent waiting for it.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is late or lost.
    pub fn advance<P: Peers + ?Sized>(&mut self, peers: &mut P, steps: Range<u64>) -> Result<f64, PeerError> {
        if self.halo.over() {
            self.engine.advance(&mut self.fields, steps);
            return Ok(0.0);
        }
        let began = clock::now();
        let packer = self.engine.packer();
        let mut arrival = OnItsWay { halo: &mut self.halo, peers, packer, waited: 0.0 };
        self.engine.advance_while(&mut self.fields, steps, &mut arrival)?;
        let waited = arrival.waited;
        self.weigh(clock::now().duration_since(began).as_secs_f64(), waited);
        Ok(waited)
    }

    /// Has tiles cut so that some need no halo, once waiting for halos takes long. Own times decide for this rank alone: how
    /// tiles are cut changes no bit.
    fn weigh(&mut self, seconds: f64, waited: f64) {
        let waits = &mut self.waits;
        *waits = Waits { rounds: waits.rounds + 1, seconds: waits.seconds + seconds, waited: waits.waited + waited };
        if waits.rounds != FIRST_ROUNDS && !waits.rounds.is_multiple_of(MORE_ROUNDS) {
            return;
        }
        if waits.waited > WAITING * waits.seconds {
            self.engine.set_overlaps(true);
        }
        *waits = Waits { rounds: waits.rounds, ..Waits::default() };
    }

    /// Values of component or coefficient `slot` in the global box `region`, which lies in this rank's block.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn read(&self, slot: usize, region: &Region, out: &mut [T]) {
        self.fields.read(slot, &local(&self.block(), region), out);
    }

    /// Own values of component or coefficient `slot` from the one with number `from` on, in memory order, within one row.
    ///
    /// # Panics
    ///
    /// If `out` is longer than what is left of the row.
    pub fn read_from(&self, slot: usize, from: usize, out: &mut [T]) {
        let low = Region { start: [0; AXES], extent: self.block().extent }.cell(from).map(usize::cast_signed);
        let mut high = low.map(|index| index + 1);
        high[AXES - 1] = low[AXES - 1] + out.len().cast_signed();
        self.fields.read(slot, &Span { low, high }, out);
    }

    /// Values of derived field `slot` in the global box `region`, which lies in this rank's block.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn derive(&self, slot: usize, region: &Region, out: &mut [T]) {
        let span = local(&self.block(), region);
        self.engine.program().derive(slot, &self.fields, &span, out);
    }

    /// Values of `slot`, of whatever role, in the global box `region`, which lies in this rank's block; `buffer` is room to
    /// use again.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn show(&self, declaration: &Declaration, slot: usize, region: &Region, buffer: &mut Vec<T>, out: &mut [f64]) {
        buffer.resize(out.len(), T::default());
        match declaration.fields[slot].role {
            Role::Derived => self.derive(slot, region, buffer),
            _ => self.read(slot, region, buffer),
        }
        for (out, value) in out.iter_mut().zip(buffer) {
            *out = value.to_f64();
        }
    }

    /// Makes the first value of the first component NaN: a fault on purpose.
    pub fn spoil(&mut self) {
        if let Some(slot) = self.engine.full_slots(&self.fields, Role::Component).first() {
            let first = Span { low: [0; AXES], high: [1; AXES] };
            self.fields.write(*slot, &first, &[T::of(f64::NAN)]);
        }
    }

    /// All own values of component `slot`, in memory order.
    #[must_use]
    pub fn own(&self, slot: usize) -> Vec<T> {
        let block = self.block();
        let mut values = vec![T::default(); block.cells()];
        self.read(slot, &block, &mut values);
        values
    }
}

/// Fills the halo of slots that stay as they are.
fn exchange_once<T: Real, P: Peers + ?Sized>(
    peers: &mut P,
    place: (&Grid, &Cuts, usize),
    engine: &Engine<T>,
    (fields, slots): (&mut Fields<T>, &[usize]),
) -> Result<(), PeerError> {
    let mut halo = Halo::new(peers, place, fields.layout().halo, slots, T::BYTES);
    halo.fill(peers, engine.packer(), fields)?;
    halo.close(peers);
    engine.fill_boundary(fields, slots);
    Ok(())
}

/// `region` relative to `block`.
fn local(block: &Region, region: &Region) -> Span {
    let low: [isize; AXES] =
        std::array::from_fn(|axis| region.start[axis].cast_signed() - block.start[axis].cast_signed());
    let high = std::array::from_fn(|axis| low[axis] + region.extent[axis].cast_signed());
    Span { low, high }
}

fn restore_components<T: Precise>(
    engine: &Engine<T>,
    fields: &mut Fields<T>,
    block: &Region,
    restore: Restore<'_, T>,
) -> Result<(), Failure> {
    let own = fields.layout().own();
    for slot in engine.full_slots(fields, Role::Component) {
        let mut values = vec![T::default(); block.cells()];
        restore(slot, block, &mut values)?;
        fields.write(slot, &own, &values);
    }
    Ok(())
}
