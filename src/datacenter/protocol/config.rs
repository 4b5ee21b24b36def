//! What all workers of a run agree on: plan, cuts, neighbours, bounds. A function of the job and of what the run was
//! started with; only `threads` is each worker's own.
//!
//! Input: plan, cuts, which axes wrap around, limits. Output: a [`Config`], or why no run could end so. Invariant: if
//! a block is a neighbour of another, so is that of it; blocks may lead far enough to reach the next generation, and
//! a lease lasts at least four times as long as the pause between two looks at the ledger, and as a deadline; no
//! planted mistake is on unless a test turns it on.

use std::collections::BTreeSet;

use super::name::Block;
use crate::decomp::Cuts;
use crate::grid::AXES;
use crate::plan::Plan;

/// Times and bounds of a worker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most steps that a block may lead the newest complete generation by.
    pub lead: u64,
    /// Complete generations kept, besides the newest 2.
    pub keep: usize,
    /// Only generations at multiples of so many steps, and the last one, count among those kept.
    pub keep_every: u64,
    /// Of every so many steps the first complete generation is kept for good.
    pub for_good: Option<u64>,
    /// Computations at once.
    pub threads: usize,
    /// The run is meant for one worker. While no other lives, it keeps no shells for the neighbours of blocks that die: they
    /// would die with it.
    pub one_worker: bool,
    /// Most requests that wait at a worker for shells still to be made.
    pub parked: usize,
    /// Time without a sign of life after which a worker's blocks may be claimed.
    pub lease_ms: u64,
    /// Time between two looks at the ledger, and between two at the blobs.
    pub poll_ms: u64,
    /// Time after which a request counts as lost.
    pub deadline_ms: u64,
    /// Time after which one asks again for what the other side said it would send.
    pub patience_ms: u64,
}

/// Planted mistakes, for tests of the tests: each must be caught by the simulator. All off in life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says what is wrong")]
#[allow(clippy::struct_excessive_bools, reason = "one switch per mistake")]
pub struct Bugs {
    pub shells_go_once_read: bool,
    pub shells_go_next_round: bool,
    pub no_fence: bool,
    pub wildcard_fence: bool,
    pub uncommon_steps: bool,
    pub stale_reads: bool,
    pub no_read_back: bool,
    pub wall_clock_lease: bool,
    pub manifest_before_chunks: bool,
    pub epoch_not_raised: bool,
    pub damage_trusted: bool,
    pub ledger_ack_trusted: bool,
    pub blob_ack_trusted: bool,
    pub own_outage_counts: bool,
    pub lead_unbounded: bool,
    pub chunks_overwritten: bool,
    pub one_generation_kept: bool,
    pub manifest_deleted_last: bool,
    pub asked_only_once: bool,
    pub budget_ignored: bool,
    pub busy_spends_budget: bool,
    pub late_reader_served: bool,
    pub side_line_not_restarted: bool,
    pub handover_without_snapshots: bool,
    pub poison_not_counted: bool,
    pub snapshots_go_once_listed: bool,
    pub late_is_dead: bool,
    pub manifest_forgotten: bool,
    pub handover_too_early: bool,
    pub starts_far_ahead: bool,
    pub alone_among_others: bool,
    pub stolen_from_the_forgetful: bool,
}

/// What all workers of a run agree on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where rounds end and snapshots are taken.
    pub plan: Plan,
    /// Times and bounds.
    pub limits: Limits,
    /// Planted mistakes.
    pub bugs: Bugs,
    neighbours: Vec<Vec<Block>>,
}

impl Config {
    /// The agreement for a job: its plan, its cuts, and which axes wrap around. No block may be narrower than the halo.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Lead`] if blocks could not lead far enough to complete the next generation, [`ConfigError::Times`] if
    /// the living could not show in time that they live.
    pub fn new(plan: Plan, cuts: &Cuts, periodic: [bool; AXES], limits: Limits) -> Result<Self, ConfigError> {
        let Limits { lease_ms, poll_ms, deadline_ms, .. } = limits;
        if poll_ms.min(deadline_ms) == 0 || lease_ms / 4 < poll_ms.max(deadline_ms) {
            return Err(ConfigError::Times { lease_ms, poll_ms, deadline_ms });
        }
        let apart = plan.checkpoint.unwrap_or(plan.steps).min(plan.steps);
        if limits.lead < apart {
            return Err(ConfigError::Lead { lead: limits.lead, apart });
        }
        let neighbours = (0..cuts.count()).map(|part| neighbours(cuts, periodic, part)).collect();
        Ok(Self { plan, limits, bugs: Bugs::default(), neighbours })
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.neighbours.len()
    }

    /// Blocks that touch `block`, each once, without itself: up to 3^d - 1.
    #[must_use]
    pub fn neighbours(&self, block: Block) -> &[Block] {
        &self.neighbours[block.0]
    }

    /// True if the generation at `step` is one to keep for longer than work needs it.
    pub(super) fn lasting(&self, step: u64) -> bool {
        step == self.plan.steps || step.is_multiple_of(self.limits.keep_every.max(1))
    }

    /// True if all blocks snapshot at `step`.
    #[must_use]
    pub fn generation(&self, step: u64) -> bool {
        step == 0 || self.plan.due(step).checkpoint
    }
}

fn neighbours(cuts: &Cuts, periodic: [bool; AXES], part: usize) -> Vec<Block> {
    let parts = cuts.parts();
    let along = |axis: usize, at: usize| -> BTreeSet<usize> {
        let last = parts[axis] - 1;
        let low = if at > 0 { Some(at - 1) } else { periodic[axis].then_some(last) };
        let high = if at < last { Some(at + 1) } else { periodic[axis].then_some(0) };
        low.into_iter().chain([at]).chain(high).collect()
    };
    let mut places = vec![cuts.place(part)];
    for axis in 0..AXES {
        places = places
            .iter()
            .flat_map(|place| {
                along(axis, place[axis]).into_iter().map(|at| {
                    let mut next = *place;
                    next[axis] = at;
                    next
                })
            })
            .collect();
    }
    let touching: BTreeSet<usize> = places.into_iter().map(|place| cuts.part(place)).collect();
    touching.into_iter().filter(|&other| other != part).map(Block).collect()
}

/// Limits under which a run could not end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Blocks would wait for a generation that they may not reach.
    #[error(
        "blocks may lead the newest generation by {lead} steps, but the next one is {apart} steps away; allow that many"
    )]
    Lead {
        /// Steps allowed.
        lead: u64,
        /// Steps between generations.
        apart: u64,
    },
    /// A lease would end between two looks at the ledger.
    #[error(
        "a lease of {lease_ms} ms is too short for looks at the ledger every {poll_ms} ms with answers within {deadline_ms} ms; \
         it must be four times the longer of the two, and none may be 0"
    )]
    Times {
        /// The lease.
        lease_ms: u64,
        /// Time between looks.
        poll_ms: u64,
        /// Time for an answer.
        deadline_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(parts: [usize; AXES], wrap: bool, part: usize) -> usize {
        let cuts = Cuts::new(parts.map(|count| count * 3), parts).unwrap();
        neighbours(&cuts, [wrap; AXES], part).len()
    }

    #[test]
    fn limits_under_which_no_run_ends_are_refused() {
        let plan = Plan { steps: 20, round: 2, checkpoint: Some(6), ..Plan::default() };
        let cuts = Cuts::new([1, 1, 9, 9], [1, 1, 3, 3]).unwrap();
        let limits = Limits {
            lead: 6,
            keep: 2,
            keep_every: 1,
            for_good: None,
            threads: 1,
            one_worker: false,
            parked: 8,
            lease_ms: 400,
            poll_ms: 100,
            deadline_ms: 50,
            patience_ms: 100,
        };
        let new = |limits: &Limits| Config::new(plan.clone(), &cuts, [true; AXES], limits.clone());
        assert!(new(&limits).is_ok());
        assert_eq!(new(&Limits { lead: 5, ..limits.clone() }).unwrap_err(), ConfigError::Lead { lead: 5, apart: 6 });
        for (lease_ms, poll_ms, deadline_ms) in [(399, 100, 50), (400, 0, 50), (400, 100, 0), (400, 100, 101)] {
            let error = new(&Limits { lease_ms, poll_ms, deadline_ms, ..limits.clone() }).unwrap_err();
            assert_eq!(error, ConfigError::Times { lease_ms, poll_ms, deadline_ms });
        }
    }

    #[test]
    fn neighbours_wrap_around_and_count_once() {
        assert_eq!(count([1, 1, 1, 5], true, 0), 2);
        assert_eq!(count([1, 1, 1, 2], true, 0), 1);
        assert_eq!(count([1, 1, 1, 1], true, 0), 0);
        assert_eq!(count([1, 1, 3, 3], true, 0), 8);
        assert_eq!(count([1, 1, 3, 3], false, 0), 3);
        assert_eq!(count([1, 1, 3, 3], false, 4), 8);
        assert_eq!(count([1, 3, 3, 3], true, 0), 26);
        assert_eq!(count([3, 3, 3, 3], true, 7), 80);
        assert_eq!(count([3, 3, 3, 3], false, 40), 80);
    }

    #[test]
    fn neighbourhood_is_mutual() {
        for parts in [[1, 1, 2, 4], [1, 2, 3, 1], [2, 1, 3, 5]] {
            for wrap in [false, true] {
                let cuts = Cuts::new(parts.map(|count| count * 2), parts).unwrap();
                let all: Vec<_> = (0..cuts.count()).map(|part| neighbours(&cuts, [wrap; AXES], part)).collect();
                for (part, around) in all.iter().enumerate() {
                    assert!(around.iter().all(|other| all[other.0].contains(&Block(part))));
                }
            }
        }
    }
}
