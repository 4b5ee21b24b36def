//! How a run stands: what the ledger says, and what workers of this machine counted.
//!
//! Input: the run's folder. Output: its step, its workers and their counts. Invariant: no worker is asked for
//! anything, so it can be told of a run that hangs or is over; the step is never beyond the last, and what the newest
//! checkpoint has reached counts even where no worker has counted it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::protocol::WorkerId;
use super::records::{Card, Keys};
use super::spec::Spec;
use super::supervise::{ledger, lives};
use super::tally::{self, Tally};
use crate::checkpoint::{self, Disk, RunId};
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::observe::record::{RunRecord, host_name};

/// How a run stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its id.
    pub run: String,
    /// Step of the block that is least far, as far as workers have said.
    pub step: u64,
    /// Last step.
    pub steps: u64,
    /// Newest complete generation.
    pub newest: u64,
    /// Workers that give signs of life.
    pub workers: Vec<WorkerStatus>,
    /// Number of blocks.
    pub blocks: usize,
    /// Workers lost in this start.
    pub lost: u64,
    /// Block steps computed more than once in this start.
    pub recomputed_steps: u64,
    /// Blocks taken from workers that lived.
    pub stolen: u64,
    /// Requests sent again.
    pub retried: u64,
    /// Requests in all.
    pub requests: u64,
    /// Block steps computed beyond the step that all blocks have reached.
    pub extra_steps: u64,
}

/// One worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerStatus {
    /// Its id.
    pub id: String,
    /// Where it listens.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Blocks that it owns.
    pub blocks: Vec<usize>,
    /// Median seconds of a round's computing.
    pub compute: f64,
    /// Median seconds between asking for a shell and having it.
    pub fetch: f64,
    /// Median seconds of storing a chunk.
    pub commit: f64,
}

/// How the run in `dir` stands.
///
/// # Errors
///
/// A usage error if it holds none, or the ledger cannot be read.
pub async fn status(dir: &Path) -> Result<Status, Failure> {
    let spec = Spec::read(dir)?;
    let run: RunId = spec.run.parse().map_err(Failure::usage)?;
    let keys = Keys::new(run);
    let entries = ledger(&spec.ledger)?.read(keys.prefix()).await.map_err(Failure::usage)?;
    let records = keys.read(&entries);
    let owned = records.owned();
    let tallies = tally::read_all(dir);
    let steps = steps(dir, &spec)?;
    let found = checkpoint::newest(&Disk, dir, Some(run), false).map_err(|error| Failure::new(Exit::Damaged, error))?;
    let newest = found.checkpoint.map_or(0, |checkpoint| checkpoint.meta().step);
    let here = host_name();
    let alive = |card: &Card| card.machine != here || lives(card.pid);
    // One that the ledger no longer knows is looked for here.
    let at_work = |id: &WorkerId, pid: u32| records.cards.get(id).map_or_else(|| lives(pid), alive);
    let workers = records.cards.iter().filter(|(_, card)| alive(card)).map(|(id, card)| {
        let counted = tallies.get(id).unwrap_or(&card.tally);
        WorkerStatus {
            id: format!("{:016x}", id.0),
            address: card.address.http.to_string(),
            pid: card.pid,
            blocks: owned.get(id).cloned().unwrap_or_default(),
            compute: counted.compute,
            fetch: counted.fetch,
            commit: counted.commit,
        }
    });
    let blocks: usize = spec.blocks.iter().product();
    let step = reached(&tallies, blocks).unwrap_or(newest).max(newest).min(steps);
    let from = RunRecord::read(&dir.join("run.json")).map_or(0, |record| record.start.from_step);
    let sum = |part: fn(&Tally) -> u64| tallies.values().map(part).sum::<u64>();
    let computed = sum(|tally| tally.steps);
    let furthest: u64 = furthest(&tallies).values().map(|&to| to.saturating_sub(from)).sum();
    Ok(Status {
        run: spec.run.clone(),
        step,
        steps,
        newest,
        workers: workers.collect(),
        blocks,
        lost: tallies.iter().filter(|(id, tally)| tally.ended.is_none() && !at_work(id, tally.pid)).count() as u64,
        recomputed_steps: computed.saturating_sub(furthest.max(step.saturating_sub(from) * blocks as u64)),
        stolen: sum(|tally| tally.stolen),
        retried: sum(|tally| tally.retried),
        requests: sum(|tally| tally.requests),
        extra_steps: computed.saturating_sub(step.saturating_sub(from) * blocks as u64),
    })
}

fn steps(dir: &Path, spec: &Spec) -> Result<u64, Failure> {
    let path = dir.join("job.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Job::steps(&text, &path, &spec.overrides).map_err(Failure::report)
}

/// How far each block is with whoever is furthest.
fn furthest(tallies: &BTreeMap<WorkerId, Tally>) -> BTreeMap<usize, u64> {
    let mut reached: BTreeMap<usize, u64> = BTreeMap::new();
    for (&block, &step) in tallies.values().flat_map(|tally| &tally.blocks) {
        let known = reached.entry(block).or_default();
        *known = step.max(*known);
    }
    reached
}

fn reached(tallies: &BTreeMap<WorkerId, Tally>, blocks: usize) -> Option<u64> {
    let furthest = furthest(tallies);
    (furthest.len() == blocks).then(|| furthest.values().copied().min()).flatten()
}
