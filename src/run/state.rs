//! The state after a step, as checkpoints and people see it.
//!
//! Input: job, cuts, time step, origin, step. Output: its [`Meta`], its model time. Invariant: both follow from these
//! alone, so that all ranks describe a state alike; time is a product, never a running sum, so that a restart has the
//! same. What [`timed`] measures never enters a state.

use ringfort_kernels::Role;

use crate::checkpoint::{FieldMeta, Meta, Origin};
use crate::clock;
use crate::decomp::Cuts;
use crate::job::Job;

/// Description of the state of `job` after `step` steps of `dt` seconds, cut into parts.
pub fn describe(job: &Job, (cuts, dt): (Cuts, f64), origin: Origin, step: u64) -> Meta {
    let components = job.declaration.of_role(Role::Component).map(|(_, field)| FieldMeta::of(field, job.grid.axes));
    Meta {
        run: origin.run,
        parent: origin.parent,
        step,
        time: time(step, dt),
        dt,
        precision: job.precision.into(),
        grid: job.grid.clone(),
        cuts,
        components: components.collect(),
        fingerprint: job.fingerprint,
        job: job.text_in_force().to_owned(),
    }
}

/// Model time in seconds after `step` steps of `dt` seconds: a product, never a running sum.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
pub fn time(step: u64, dt: f64) -> f64 {
    step as f64 * dt
}

/// Seconds that `work` takes, and what it gives.
pub fn timed<V>(work: impl FnOnce() -> V) -> (V, f64) {
    let began = clock::now();
    let value = work();
    (value, clock::now().duration_since(began).as_secs_f64())
}

/// `count` as a number to divide by.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "rates are approximate")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}
