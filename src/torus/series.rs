//! Files that grow step by step, of all ranks together: each gives what its block does, rank 0 writes.
//!
//! Input: what is due at a step. Output: rows and arrays. Rank 0 holds one field of an output at a time, at the
//! points that are written. Invariant: which gathers are made follows from the job and what is due alone; trouble
//! with a file skips none of them, since the other ranks go on sending. A step of an output is shown to readers once
//! all its fields are there.

use super::peers::{PeerError, Peers, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::grid::Region;
use crate::job::Job;
use crate::observe::output::{self, Layout};
use crate::observe::series::Series;
use crate::observe::{probe, reduce};
use crate::plan::Due;
use crate::run::state::time;

/// Adds what is due at `step` to `series`, which rank 0 has. All ranks call it.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost. What is wrong with the parts or the files is no error of the run: the series
/// keeps it.
pub fn append<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    (step, due): (u64, &Due),
    mut series: Option<&mut Series>,
    peers: &mut P,
) -> Result<(), PeerError> {
    let block = session.block();
    let mut buffer = Vec::new();
    let mut read =
        |slot: usize, region: &Region, out: &mut [f64]| session.show(&job.declaration, slot, region, &mut buffer, out);
    if !due.reduces.is_empty() {
        let own = reduce::partial(&job.grid, &job.reduces, &due.reduces, (step, &block), &mut read);
        let all = gather(peers, own.to_bytes())?;
        if let (Some(all), Some(series)) = (all, &mut series) {
            series.add_sums(job, (step, &due.reduces), &all);
        }
    }
    if !due.probes.is_empty() {
        let all = gather(peers, probe::partial(&job.probes, &due.probes, (step, &block), &mut read))?;
        if let (Some(all), Some(series)) = (all, &mut series) {
            series.add_probes(job, (step, time(step, session.dt)), &due.probes, &all);
        }
    }
    for &number in &due.outputs {
        let layout = Layout::new(job, &job.outputs[number], session.dt);
        let mut whole = true;
        for field in 0..layout.fields.len() {
            let all = gather(peers, output::partial(&layout, field, (step, &block), &mut read))?;
            if let (Some(all), Some(series), true) = (all, &mut series, whole) {
                whole = series.add_field(job, (number, field), step, &all);
            }
        }
        if let (Some(series), true) = (&mut series, whole) {
            series.publish(job, number, step);
        }
    }
    Ok(())
}
