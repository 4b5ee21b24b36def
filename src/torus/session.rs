//! One rank's part of a job: its fields, engine and standing exchange.
//!
//! Input: job, layout, peers. Output: fields at a step, advanced round by round. Invariant: what a rank computes is the
//! restriction of the global state to its block, whatever the layout.

use ringfort_kernels::{Given, Role, Setup};

use super::agree::agree;
use super::control::largest;
use super::halo::{Halo, OnItsWay};
use super::memory;
use super::peers::{PeerError, Peers};
use super::shape::Shape;
use crate::advance::Engine;
use crate::advance::library::{AnyKernel, Precise};
use crate::advance::program::Pass;
use crate::decomp::Cuts;
use crate::exit::{Exit, Failure};
use crate::field::{Fields, Span};
use crate::grid::{AXES, Grid, Region};
use crate::job::{Job, TimeStep};

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
}

/// Where components come from, if not from the job: fills the values of a component's slot in a global box.
pub type Restore<'a, T> = &'a mut dyn FnMut(usize, &Region, &mut [T]) -> Result<(), Failure>;

impl<T: Precise> Session<T> {
    /// The part of `job` that `peers.rank()` holds, at the job's start or as `restore` gives it (then with time step
    /// `dt`). All ranks call this together.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] if an input cannot be read or the time step is beyond the kernel's bound.
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
        let build = |dt: f64| -> Result<Engine<T>, Failure> {
            let setup = Setup { dt, ..job.setup.clone() };
            let program = T::program(kernel, &setup).map_err(|error| Failure::new(Exit::Usage, error))?;
            Engine::new(program, job.declaration.clone(), job.setup.given.clone(), (&grid, &block), threads)
                .map_err(|error| Failure::new(Exit::Usage, error))
        };
        let engine = agree(peers, build(known.unwrap_or(1.0)))?;
        agree(peers, fits(engine.bytes(block.extent, shape.steps_per_exchange), ranks_here))?;
        let mut fields = engine.allocate(block.extent, shape.steps_per_exchange);
        let place = (&grid, &cuts, part);
        let loaded = load(job, &block, &mut fields, &[Role::Coefficient]);
        agree(peers, loaded)?;
        for role in [Role::Coefficient, Role::Prepared] {
            if role == Role::Prepared {
                engine.once(&mut fields, Pass::Prepare);
            }
            let slots = engine.full_slots(&fields, role);
            Halo::new(peers, place, fields.layout().halo, &slots, T::BYTES).fill(peers, &mut fields)?;
            engine.fill_boundary(&mut fields, &slots);
        }
        let fresh = restored.is_none();
        let loaded = match restored {
            None => load(job, &block, &mut fields, &[Role::Component, Role::Start]),
            Some((_, restore)) => restore_components(&engine, &mut fields, &block, restore),
        };
        agree(peers, loaded)?;
        let start = job.declaration.of_role(Role::Start).any(|(slot, _)| job.setup.given[slot] != Given::Absent);
        if fresh && start {
            engine.once(&mut fields, Pass::Start);
        }
        let rate = largest(peers, engine.largest_rate(&mut fields).0)?;
        let (dt, courant) = time_step(job, known, rate)?;
        let mut engine = engine;
        if known.is_none() {
            engine = agree(peers, build(dt))?;
        }
        let components = engine.full_slots(&fields, Role::Component);
        let halo = Halo::new(peers, place, fields.layout().halo, &components, T::BYTES);
        let mut session = Self { engine, fields, grid, cuts, part, dt, courant, halo };
        session.release(job);
        Ok(session)
    }

    /// Frees what only the start needed.
    fn release(&mut self, job: &Job) {
        let shown = |slot| job.images.iter().any(|image| image.slot == slot);
        let derived = job.images.iter().any(|image| job.declaration.fields[image.slot].role == Role::Derived);
        for (slot, field) in job.declaration.fields.iter().enumerate() {
            let rate = job.declaration.rate_of_state && self.engine.program().footprint().rate.reads(slot);
            let needed = self.engine.program().footprint().steps_use(slot) || shown(slot) || derived || rate;
            if field.role == Role::Start || (field.role == Role::Coefficient && !needed) {
                self.fields.release(slot);
            }
        }
    }

    /// The box of global cells that this rank owns.
    #[must_use]
    pub fn block(&self) -> Region {
        self.cuts.block(self.part)
    }

    /// Begins to exchange halos.
    pub fn start_exchange<P: Peers + ?Sized>(&mut self, peers: &mut P) {
        self.halo.start(peers, &mut self.fields);
    }

    /// Advances `steps` steps while the halo that was started arrives; returns the seconds spent waiting for it.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is late or lost.
    pub fn advance<P: Peers + ?Sized>(&mut self, peers: &mut P, steps: usize) -> Result<f64, PeerError> {
        let mut arrival = OnItsWay { halo: &mut self.halo, peers, waited: 0.0 };
        self.engine.advance_while(&mut self.fields, steps, &mut arrival)?;
        Ok(arrival.waited)
    }

    /// Values of component or coefficient `slot` in the global box `region`, which lies in this rank's block.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn read(&self, slot: usize, region: &Region, out: &mut [T]) {
        self.fields.read(slot, &local(&self.block(), region), out);
    }

    /// Values of derived field `slot` in the global box `region`, which lies in this rank's block.
    ///
    /// # Panics
    ///
    /// If `region` leaves the block or `out` has another length.
    pub fn derive(&mut self, slot: usize, region: &Region, out: &mut [T]) {
        let span = local(&self.block(), region);
        self.engine.program().derive(slot, &mut self.fields, &span, out);
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

/// Refuses fields of `bytes` bytes on each of `ranks` ranks if this machine has not as much memory left.
fn fits(bytes: usize, ranks: usize) -> Result<(), Failure> {
    let needed = (bytes as u64).saturating_mul(ranks as u64);
    match memory::available() {
        Some(free) if needed > free => Err(Failure::usage(format!(
            "the fields need {} of memory on this machine ({ranks} ranks of {}), which has {} left; use fewer points, more \
             machines or precision = \"f32\"",
            memory::in_words(needed),
            memory::in_words(bytes as u64),
            memory::in_words(free),
        ))),
        _ => Ok(()),
    }
}

/// `region` relative to `block`.
fn local(block: &Region, region: &Region) -> Span {
    let low: [isize; AXES] =
        std::array::from_fn(|axis| region.start[axis].cast_signed() - block.start[axis].cast_signed());
    let high = std::array::from_fn(|axis| low[axis] + region.extent[axis].cast_signed());
    Span { low, high }
}

/// Fills the fields of `roles` that the job gives.
fn load<T: Precise>(job: &Job, block: &Region, fields: &mut Fields<T>, roles: &[Role]) -> Result<(), Failure> {
    let own = fields.layout().own();
    for (slot, field) in job.declaration.fields.iter().enumerate() {
        let Some(source) = job.sources[slot].as_ref().filter(|_| roles.contains(&field.role)) else { continue };
        if fields.is_full(slot) {
            let mut values = vec![T::default(); block.cells()];
            let filled = source.fill(&job.grid, block, &mut values);
            filled.map_err(|error| Failure::report(job.refuse_input(slot, error)))?;
            fields.write(slot, &own, &values);
        }
    }
    Ok(())
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

/// The time step and its share of the bound.
fn time_step(job: &Job, known: Option<f64>, rate: f64) -> Result<(f64, f64), Failure> {
    let dt = match (known, job.time.step) {
        (Some(dt), _) | (None, TimeStep::Seconds(dt)) => dt,
        (None, TimeStep::Courant(_)) if rate == 0.0 => {
            return Err(Failure::usage("nothing moves, so a Courant number gives no time step; give dt in [time]"));
        }
        (None, TimeStep::Courant(courant)) => courant / rate,
    };
    let courant = dt * rate;
    // A time step computed from a Courant number of 1 may be above the bound by one rounding.
    if courant <= 1.0 + 1e-12 {
        return Ok((dt, courant));
    }
    Err(Failure::usage(format!(
        "dt = {dt} s is {courant:.4} times the bound of kernel {} ({}); use dt = {:.6e} or less, or courant = 0.9",
        job.declaration.name,
        job.declaration.bound,
        floor_digits(1.0 / rate),
    )))
}

/// `value` rounded down to six digits, so that what is advised is within the bound.
fn floor_digits(value: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 5.0);
    libm::floor(value / unit) * unit
}
