//! Measuring one job: the trial that chooses T, the repeats, and what they are measured against.
//!
//! Input: a job's text and a number of repeats. Output: a `Measured`. Invariant: all repeats take the same number of
//! steps, and the ceilings are measured before each of them, so that what slows the machine slows both; bytes and
//! operations are counted from the kernel and never timed; a state that is not sound at the end is refused.

use ringfort_kernels::Role;

use super::case::{Case, job};
use super::ceilings::{Ceilings, Gauge, median};
use super::works::Work;
use crate::advance::Simd;
use crate::advance::library::Precise;
use crate::cli::library;
use crate::exit::Failure;
use crate::grid::AXES;
use crate::job::{Job, Precision};
use crate::operations::Operations;

/// Steps in one pass that are tried.
const TRIED: [usize; 5] = [1, 2, 4, 8, 12];
/// Least seconds of one trial, and of one repeat.
const TRIAL_S: f64 = 0.05;
const REPEAT_S: f64 = 0.3;
/// Trials of each; the best counts.
const TRIALS: usize = 2;
/// Fields of so many bytes stay in a cache, or may.
const CACHE_BYTES: usize = 32 << 20;

/// What was measured.
pub(super) struct Measured {
    pub(super) kernel: &'static str,
    pub(super) precision: &'static str,
    pub(super) points: Vec<usize>,
    pub(super) threads: usize,
    pub(super) simd: Simd,
    /// Steps of each repeat.
    pub(super) steps: u64,
    pub(super) steps_per_pass: usize,
    pub(super) halo: Vec<usize>,
    /// One per repeat.
    pub(super) seconds: Vec<f64>,
    pub(super) bytes_per_update: usize,
    pub(super) operations: Operations,
    pub(super) field_bytes: usize,
    pub(super) ceilings: Ceilings,
    pub(super) roofline: Roofline,
    /// That of a plain sweep: one stage after the other, each from memory and back.
    pub(super) plain: Roofline,
}

/// Most cell updates per second that a machine allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Roofline {
    pub(super) updates_per_second: f64,
    pub(super) bound_by: &'static str,
}

impl Roofline {
    /// From `ceilings`, where a pass moves `bytes` per cell and takes `steps` steps; no bytes where a cache holds all.
    #[allow(clippy::cast_precision_loss, reason = "rates are approximate")]
    fn new(ceilings: &Ceilings, operations: Operations, bytes: Option<usize>, steps: usize) -> Self {
        let seconds = |count: u32, rate: Option<f64>| rate.map_or(0.0, |rate| f64::from(count) / rate);
        let simple = seconds(operations.simple, Some(ceilings.multiply_adds));
        // Both are the work of one unit, beside those that multiply and add.
        let slow = seconds(operations.divisions, ceilings.divisions) + seconds(operations.roots, ceilings.roots);
        let arithmetic = if slow > simple { slow } else { simple };
        let memory = bytes.map_or(0.0, |bytes| bytes as f64 / steps as f64 / ceilings.copy_bandwidth);
        match memory > arithmetic {
            true => Self { updates_per_second: 1.0 / memory, bound_by: "memory" },
            false => Self { updates_per_second: 1.0 / arithmetic, bound_by: "arithmetic" },
        }
    }
}

impl Measured {
    /// Slowest, median and fastest cell updates per second.
    #[allow(clippy::cast_precision_loss, reason = "rates are approximate")]
    pub(super) fn rates(&self) -> [f64; 3] {
        let updates = self.points.iter().product::<usize>() as f64 * self.steps as f64;
        let mut rates: Vec<f64> = self.seconds.iter().map(|seconds| updates / seconds).collect();
        let median = median(&mut rates);
        [rates.first().copied().unwrap_or(0.0), median, rates.last().copied().unwrap_or(0.0)]
    }

    /// Median as a share of the roofline.
    pub(super) fn share(&self) -> f64 {
        self.rates()[1] / self.roofline.updates_per_second
    }

    /// Median as a share of the roofline of a plain sweep.
    pub(super) fn plain_share(&self) -> f64 {
        self.rates()[1] / self.plain.updates_per_second
    }
}

/// Measures `work` `repeats` times.
pub(super) fn measure(work: &Work, repeats: u32) -> Result<Measured, Failure> {
    let job = job(&work.text, &work.overrides, library())?;
    match job.precision {
        Precision::F64 => of::<f64>(&job, work, repeats),
        Precision::F32 => of::<f32>(&job, work, repeats),
    }
}

fn of<T: Precise>(job: &Job, work: &Work, repeats: u32) -> Result<Measured, Failure> {
    let kernel = job.declaration.name;
    let counted = library().find(kernel).expect("the job was read with this library").operations(&job.setup);
    let operations = counted.map_err(|error| Failure::report(job.refuse_kernel(&error)))?;
    let deepest = work.steps_per_pass.unwrap_or(TRIED[TRIED.len() - 1]);
    let mut case = Case::<T>::new(job, library(), work.threads, deepest)?;
    if work.steps_per_pass.is_none() {
        let chosen = fastest(&mut case)?;
        if chosen != case.deepest {
            drop(case);
            case = Case::new(job, library(), work.threads, chosen)?;
        }
    }
    let at_once = case.deepest;
    // The first pass makes room for what lies between steps, and writes to memory that nobody has yet touched.
    case.run(at_once as u64, at_once)?;
    let once = case.run(at_once as u64, at_once)?;
    let steps = work.steps.unwrap_or_else(|| passes(REPEAT_S, once) * at_once as u64);
    let mut gauge = Gauge::<T>::new(operations, work.threads)?;
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        gauge.measure()?;
        seconds.push(case.run(steps, at_once)?);
    }
    case.look(job)?;

    let session = &case.session;
    let extent = session.block().extent;
    let steps_per_pass = session.engine.steps_per_pass(extent, at_once);
    let bytes_per_update = bytes_of_update(&case, job, steps_per_pass > 1);
    let field_bytes = session.fields.bytes();
    let ceilings = gauge.medians();
    let from_memory = |bytes| (field_bytes > CACHE_BYTES).then_some(bytes);
    let plain = bytes_of_update(&case, job, false);
    Ok(Measured {
        kernel,
        precision: if T::BYTES == 4 { "f32" } else { "f64" },
        points: job.grid.own(&job.grid.points).to_vec(),
        threads: work.threads,
        simd: session.engine.program().simd(),
        steps,
        steps_per_pass,
        halo: session.fields.layout().halo[AXES - job.grid.axes..].to_vec(),
        seconds,
        bytes_per_update,
        operations,
        field_bytes,
        roofline: Roofline::new(&ceilings, operations, from_memory(bytes_per_update), steps_per_pass),
        plain: Roofline::new(&ceilings, operations, from_memory(plain), 1),
        ceilings,
    })
}

/// Passes of `one` seconds each that take `budget` seconds together, at least one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate, which is meant")]
fn passes(budget: f64, one: f64) -> u64 {
    (budget / one).ceil().clamp(1.0, 1e9) as u64
}

/// Steps at once that take the least time per step in a short trial, each in turn.
#[allow(clippy::cast_precision_loss, reason = "rates are approximate")]
fn fastest<T: Precise>(case: &mut Case<T>) -> Result<usize, Failure> {
    let mut best = (f64::INFINITY, 1);
    let tried: Vec<usize> = TRIED.into_iter().filter(|&steps| steps <= case.deepest).collect();
    for &at_once in tried.iter().cycle().take(TRIALS * tried.len()) {
        let once = case.run(at_once as u64, at_once)?;
        let steps = passes(TRIAL_S, once) * at_once as u64;
        let per_step = case.run(steps, at_once)? / steps as f64;
        if per_step < best.0 {
            best = (per_step, at_once);
        }
    }
    Ok(best.1)
}

/// Least bytes that a pass moves to and from memory per cell: each value that is read, and each that is written, once; stage by
/// stage, or of the whole pass where all its stages are `fused`.
fn bytes_of_update<T: Precise>(case: &Case<T>, job: &Job, fused: bool) -> usize {
    let footprint = case.session.engine.program().footprint();
    let full = |slot: usize| case.session.fields.is_full(slot);
    let values = if fused {
        let read = |slot: usize| footprint.stages.iter().any(|stage| stage.reads(slot));
        let lasts = |slot: usize| job.declaration.fields[slot].role != Role::Scratch && full(slot);
        let slots = 0..job.declaration.fields.len();
        slots
            .filter(|&slot| lasts(slot))
            .map(|slot| usize::from(read(slot)) + usize::from(footprint.changes(slot)))
            .sum()
    } else {
        let moved = footprint.stages.iter().map(|stage| {
            let reads = stage.reads.iter().filter(|(slot, _)| full(*slot)).count();
            reads + stage.writes.len()
        });
        moved.sum::<usize>()
    };
    values * T::BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_ceiling_counts() {
        let ceilings = Ceilings { copy_bandwidth: 24e9, multiply_adds: 48e9, divisions: Some(2e9), roots: Some(1e9) };
        let heat = Operations { simple: 7, ..Operations::default() };
        let roofline = |operations, bytes, steps| {
            let Roofline { updates_per_second, bound_by } = Roofline::new(&ceilings, operations, bytes, steps);
            ((updates_per_second / 1e6).round(), bound_by)
        };
        assert_eq!(roofline(heat, Some(16), 1), (1500.0, "memory"));
        assert_eq!(roofline(heat, Some(16), 8), (6857.0, "arithmetic"));
        assert_eq!(roofline(heat, None, 1), (6857.0, "arithmetic"));
        assert_eq!(roofline(Operations { divisions: 2, roots: 1, ..heat }, None, 1), (500.0, "arithmetic"));
    }
}
