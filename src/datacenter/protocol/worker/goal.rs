//! What a worker wants next, and when it asks again: the only waits there are.
//!
//! Input: what the other modules want, reach or put off. Output: questions that are due. Invariant: a goal stays
//! until it is reached or dropped, and always has a time at which it is asked again; a retry is paid from the budget,
//! but for those goals that are asked again and again, and for one that was answered with a wait. What is random
//! comes from the worker's own seed.

use std::collections::BTreeMap;

use super::super::message::{BlobOp, Body, LedgerOp, Note};
use super::super::name::{Blob, Block, Shell};
use super::Worker;

/// Something a worker wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    /// To see the ledger, again and again.
    View,
    /// To give a sign of life, again and again.
    Beat,
    /// To see what the blobs hold, again and again.
    List,
    /// A neighbour's shell.
    Shell(Shell),
    /// A block to start from.
    Chunk(Block, u64),
    /// A block from its owner before.
    Block(Block),
    /// A snapshot written, read back and listed.
    Snapshot(u64, Block),
    /// A generation's manifest written, or read.
    Manifest(u64),
    /// A block's record in the ledger to say that it is computed alone, or no longer.
    Amend(Block),
}

/// When to ask (again).
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at_ms: u64,
    /// Times asked without an answer.
    pub(super) tries: u32,
}

/// Numbered questions on their way, each with the time it was sent.
#[derive(Debug, Default)]
pub(super) struct Asked {
    number: u64,
    sent_ms: BTreeMap<u64, u64>,
}

/// One who is likely to be alone asks again within such a part of a deadline.
const ALONE: u64 = 16;
/// Most questions remembered.
const ASKED: usize = 16;

impl Asked {
    /// Number of a question sent now.
    pub(super) fn next(&mut self, now_ms: u64) -> u64 {
        self.number += 1;
        self.sent_ms.insert(self.number, now_ms);
        if self.sent_ms.len() > ASKED {
            self.sent_ms.pop_first();
        }
        self.number
    }

    /// When question `number` was sent; none if it, or a later one, was answered before.
    pub(super) fn answered(&mut self, number: u64) -> Option<u64> {
        let sent = self.sent_ms.get(&number).copied()?;
        self.sent_ms.retain(|&other, _| other > number);
        Some(sent)
    }
}

impl Goal {
    fn periodic(self) -> bool {
        matches!(self, Goal::View | Goal::Beat | Goal::List)
    }
}

impl Worker {
    /// Wants `goal`, from now on, unless it does already.
    pub(super) fn want(&mut self, goal: Goal) {
        let now = self.now();
        self.goals.entry(goal).or_insert(Due { at_ms: now, tries: 0 });
    }

    /// Wants `goal` at once, as if never asked before.
    pub(super) fn want_now(&mut self, goal: Goal) {
        let now = self.now();
        self.goals.insert(goal, Due { at_ms: now, tries: 0 });
    }

    /// Asks for a periodic goal a little sooner.
    pub(super) fn hasten(&mut self, goal: Goal) {
        // Where there are many, they should not all come at once.
        let limits = &self.config.limits;
        let spread = if limits.one_worker { limits.deadline_ms / ALONE } else { limits.deadline_ms / 2 };
        let soon = self.now() + 1 + self.rng.below(spread);
        if let Some(due) = self.goals.get_mut(&goal) {
            due.at_ms = due.at_ms.min(soon);
        }
    }

    /// The other side answered, but not with the thing: asks again after `wait_ms` and some, and calls it no retry.
    pub(super) fn postpone(&mut self, goal: Goal, wait_ms: u64) {
        let at_ms = self.now() + wait_ms + self.rng.below(wait_ms / 2 + 1);
        let keep = self.config.bugs.busy_spends_budget;
        if let Some(due) = self.goals.get_mut(&goal) {
            *due = Due { at_ms, tries: if keep { due.tries } else { 0 } };
        }
    }

    /// Drops `goal`, which was reached. False if nobody wanted it.
    pub(super) fn reached(&mut self, goal: Goal) -> bool {
        let wanted = self.goals.remove(&goal).is_some();
        if wanted {
            self.budget.succeeded();
        }
        wanted
    }

    /// Asks for everything that is due.
    pub(super) fn pursue(&mut self) {
        let now = self.now();
        let due: Vec<(Goal, u32)> =
            self.goals.iter().filter(|(_, due)| due.at_ms <= now).map(|(&goal, due)| (goal, due.tries)).collect();
        for (goal, tries) in due {
            let again = tries > 0 && !goal.periodic();
            if again && !self.budget.take(now) && !self.config.bugs.budget_ignored {
                let wait = 1 + self.rng.below(self.config.limits.deadline_ms * super::TRICKLE);
                self.goals.insert(goal, Due { at_ms: now + wait, tries });
                continue;
            }
            let wait = self.wait(goal, tries);
            self.goals.insert(goal, Due { at_ms: now + wait, tries: tries.saturating_add(1) });
            let before = self.out.len();
            self.ask(goal);
            if again && self.out.len() > before {
                self.note(Note::Retried);
            }
        }
    }

    /// How long to wait for an answer: full jitter on top of the deadline, twice as much after each try.
    fn wait(&mut self, goal: Goal, tries: u32) -> u64 {
        let limits = &self.config.limits;
        if goal.periodic() {
            return limits.poll_ms * 3 / 4 + self.rng.below(limits.poll_ms / 2);
        }
        if self.config.bugs.asked_only_once && matches!(goal, Goal::Shell(_)) {
            return u64::from(u32::MAX);
        }
        let most = limits.lease_ms.min(limits.deadline_ms << tries.min(16));
        limits.deadline_ms + self.rng.below(most)
    }

    fn ask(&mut self, goal: Goal) {
        match goal {
            Goal::View => {
                let number = self.roster.asked.next(self.moment.now_ms);
                self.ask_ledger(LedgerOp::Read { number, fresh: !self.config.bugs.stale_reads });
            }
            Goal::Beat => self.beat(),
            Goal::List => {
                let number = self.listing.asked.next(self.moment.now_ms);
                self.ask_blobs(BlobOp::List(number));
            }
            Goal::Shell(shell) => {
                if let Some(owner) = self.roster.owner(shell.block).filter(|&owner| owner != self.me) {
                    self.send(owner, Body::Ask(shell, self.newest));
                } else {
                    self.postpone(goal, self.config.limits.poll_ms / 2);
                }
            }
            Goal::Chunk(block, step) => self.ask_blobs(BlobOp::Get(Blob::Chunk { step, block })),
            Goal::Block(block) => self.ask_block(block),
            Goal::Snapshot(step, block) => self.ask_snapshot(step, block),
            Goal::Manifest(step) => self.ask_manifest(step),
            Goal::Amend(block) => self.amend(block),
        }
    }
}
