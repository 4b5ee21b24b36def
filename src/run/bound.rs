//! The time step and the kernel's bound on it; and the same for a whole grid, box by box, without holding its fields.
//!
//! Input: a job. Output: the largest rate of its start, the time step in force. Invariant: what [`survey`] finds is what
//! the ranks of a run find together, in the memory of a few boxes.

use ringfort_kernels::{Role, Setup};

use super::boxes::Boxes;
use super::inputs::{load, load_around, load_start};
use crate::advance::Engine;
use crate::advance::library::{AnyKernel, Precise};
use crate::advance::program::Pass;
use crate::exit::{Exit, Failure};
use crate::grid::{AXES, Region};
use crate::job::{Job, Source, TimeStep};

/// The time step and its share of the kernel's bound, where the largest rate at the start is `rate`; `known` is the time
/// step of a checkpoint to go on from.
///
/// # Errors
///
/// A usage error if the time step is beyond the bound, or nothing moves and only a Courant number is given.
pub fn time_step(job: &Job, known: Option<f64>, rate: f64) -> Result<(f64, f64), Failure> {
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
        longest_step(rate),
    )))
}

/// The longest time step within the bound where the largest rate is `rate`: six digits, rounded down so that it is.
#[must_use]
pub fn longest_step(rate: f64) -> f64 {
    let value = 1.0 / rate;
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 5.0);
    libm::floor(value / unit) * unit
}

/// The engine for `block`, with time step `dt`.
///
/// # Errors
///
/// A usage error if the setup makes no sense to the kernel, or threads cannot be started.
pub fn engine<T: Precise>(
    job: &Job,
    kernel: &dyn AnyKernel,
    (block, dt, threads): (&Region, f64, usize),
) -> Result<Engine<T>, Failure> {
    let setup = Setup { dt, ..job.setup.clone() };
    let program = T::program(kernel, &setup).map_err(|error| Failure::report(job.refuse_kernel(&error)))?;
    let mut engine =
        Engine::new(program, job.declaration.clone(), job.setup.given.clone(), (&job.grid, block), threads)
            .map_err(|error| Failure::new(Exit::Usage, error))?;
    engine.set_inflows(job.inflows.clone(), dt);
    engine.set_drives(job.point_sources.iter().map(|source| source.in_steps(dt)));
    Ok(engine)
}

/// The largest rate at the job's start, from the values that it depends on: a job whose rate is the same everywhere is not
/// read. What is wrong with other values is found by who loads them.
///
/// # Errors
///
/// A usage error if a value is refused or the setup makes no sense to the kernel.
pub fn largest_rate<T: Precise>(job: &Job, kernel: &dyn AnyKernel) -> Result<f64, Failure> {
    let engine = engine::<T>(job, kernel, (&FIRST, 1.0, 1))?;
    let rate = &engine.program().footprint().rate;
    let prepared = reads_prepared(&engine, job);
    let varies = |slot: usize| !matches!(job.sources[slot], None | Some(Source::Number(_)));
    let state = job.declaration.of_role(Role::Component).any(|(slot, _)| rate.reads(slot));
    let read = |slot: usize| state || prepared || rate.reads(slot);
    let varying = (0..job.sources.len()).any(|slot| varies(slot) && read(slot));
    largest_in::<T>(job, kernel, (varying || prepared, prepared), &mut |_| {})
}

/// The largest rate at the job's start. Reads or computes every value of every field once, box by box, and tells
/// `progress` the share of the grid that is done.
///
/// # Errors
///
/// A usage error if a value is refused or the setup makes no sense to the kernel.
pub fn survey<T: Precise>(job: &Job, kernel: &dyn AnyKernel, progress: &mut dyn FnMut(f64)) -> Result<f64, Failure> {
    let prepared = reads_prepared(&engine::<T>(job, kernel, (&FIRST, 1.0, 1))?, job);
    let varying = job.sources.iter().flatten().any(|source| !matches!(source, Source::Number(_)));
    largest_in::<T>(job, kernel, (varying || prepared, prepared), progress)
}

/// One point, which stands for all where all are alike: a rate is a function of one point.
const FIRST: Region = Region { start: [0; AXES], extent: [1; AXES] };

fn largest_in<T: Precise>(
    job: &Job,
    kernel: &dyn AnyKernel,
    (everywhere, prepared): (bool, bool),
    progress: &mut dyn FnMut(f64),
) -> Result<f64, Failure> {
    let looked_at = if everywhere { job.grid.region() } else { FIRST };
    let mut largest = f64::NEG_INFINITY;
    let boxes = Boxes::of(&looked_at);
    for number in 0..boxes.count() {
        let rate = rate_in::<T>(job, kernel, &boxes.get(number), prepared)?;
        if rate > largest || rate.is_nan() {
            largest = rate;
        }
        if rate.is_nan() {
            break;
        }
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        progress((number + 1) as f64 / boxes.count() as f64);
    }
    Ok(largest)
}

/// True if the rate reads what the kernel prepares from coefficients, or what its start pass makes of it.
fn reads_prepared<T: Precise>(engine: &Engine<T>, job: &Job) -> bool {
    let footprint = engine.program().footprint();
    let state = footprint.start.writes.iter().any(|&slot| footprint.rate.reads(slot));
    let reads = |slot| footprint.rate.reads(slot) || (state && footprint.start.reads(slot));
    job.declaration.of_role(Role::Prepared).any(|(slot, _)| reads(slot))
}

/// The largest rate in `block`, as `Session::new` finds it in a rank's block.
fn rate_in<T: Precise>(job: &Job, kernel: &dyn AnyKernel, block: &Region, prepared: bool) -> Result<f64, Failure> {
    let engine = engine::<T>(job, kernel, (block, 1.0, 1))?;
    let mut fields = engine.allocate(block.extent, 0);
    load(job, block, &mut fields, &[Role::Coefficient])?;
    if prepared {
        let slots = engine.full_slots(&fields, Role::Coefficient);
        for &slot in &slots {
            load_around(job, block, &mut fields, slot)?;
        }
        engine.fill_boundary(&mut fields, &slots);
        engine.once(&mut fields, Pass::Prepare);
    }
    load_start(job, block, &engine, &mut fields)?;
    Ok(engine.largest_rate(&fields).0)
}
