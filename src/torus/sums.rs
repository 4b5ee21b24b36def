//! Rows of `sums.csv` of all ranks together: each gives what its block does, rank 0 makes the rows.

use super::peers::{PeerError, Peers, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::grid::Region;
use crate::job::Job;
use crate::observe::reduce::{self, Block, ReduceError, Row};

/// Rows of the reduces `due` (numbers of the job's) at `step`. On ranks other than 0 returns `None`; all ranks call it.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost. What is wrong with the parts is no error of the run: it is returned inside.
pub fn sum<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    (step, due): (u64, &[usize]),
    peers: &mut P,
) -> Result<Option<Result<Vec<Row>, ReduceError>>, PeerError> {
    let mut buffer = Vec::new();
    let mut read =
        |slot: usize, region: &Region, out: &mut [f64]| session.show(&job.declaration, slot, region, &mut buffer, out);
    let own = reduce::partial(&job.grid, &job.reduces, due, (step, &session.block()), &mut read);
    let Some(all) = gather(peers, own.to_bytes())? else { return Ok(None) };
    let finish = || {
        let blocks = all.iter().map(|bytes| Block::from_bytes(bytes)).collect::<Result<Vec<_>, _>>()?;
        reduce::finish(&job.grid, &job.reduces, (step, due), &blocks)
    };
    Ok(Some(finish()))
}
