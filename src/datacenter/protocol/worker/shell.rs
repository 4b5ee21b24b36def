//! Shells: kept by those who made them, asked for by name, remade where they were lost.
//!
//! Invariant: shells of steps from the newest generation on stay with their makers, unless the only worker of a run made them:
//! there they stay while lines need them. The owner of a block answers for all of its shells: from memory, when its main line
//! gets there, or from a side line.

use std::collections::{BTreeMap, BTreeSet};

use super::super::message::{Body, Message, Note};
use super::super::name::{Block, Shell, Value, WorkerId};
use super::Worker;
use super::goal::Goal;
use super::line::{Line, Main};

impl Worker {
    pub(super) fn on_message(&mut self, from: WorkerId, message: Message) {
        self.lamport = self.lamport.max(message.lamport);
        self.note(Note::Receives(message.lamport));
        let limits = &self.config.limits;
        match message.body {
            Body::Ask(shell, knows) => self.on_ask(from, shell, knows),
            Body::Give(shell, value) => self.on_give(shell, value),
            Body::Wait(shell) => self.postpone(Goal::Shell(shell), limits.patience_ms),
            Body::Later(shell, wait) => self.postpone(Goal::Shell(shell), wait.min(limits.lease_ms)),
            Body::Elsewhere(shell) => self.postpone(Goal::Shell(shell), limits.poll_ms),
            Body::Passed(shell, newest) => {
                self.postpone(Goal::Shell(shell), limits.poll_ms);
                if newest > self.newest {
                    self.hasten(Goal::List);
                }
            }
            Body::AskBlock(block, epoch, knows) => self.on_ask_block(from, block, epoch, knows),
            Body::GiveBlock(block, handover) => self.on_block(block, Some(handover)),
            Body::LaterBlock(block, wait) => self.postpone(Goal::Block(block), wait.min(limits.lease_ms)),
            Body::NoBlock(block) => self.on_block(block, None),
        }
    }

    fn on_ask(&mut self, from: WorkerId, shell: Shell, knows: u64) {
        if knows > self.newest {
            self.hasten(Goal::List);
        }
        let body = if let Some(value) = self.own.get(&shell) {
            Body::Give(shell, value.clone())
        } else if shell.step < self.newest && knows < self.newest && !self.config.bugs.late_reader_served {
            Body::Passed(shell, self.newest)
        } else if self.mains.get(&shell.block).is_none_or(|main| main.epoch.is_none()) {
            Body::Elsewhere(shell)
        } else if self.park(from, shell) {
            Body::Wait(shell)
        } else {
            Body::Later(shell, self.config.limits.deadline_ms)
        };
        let given = matches!(body, Body::Give(..));
        self.send(from, body);
        if given && self.config.bugs.shells_go_once_read {
            self.own.remove(&shell);
        }
    }

    /// Remembers that `reader` waits for `shell`. The furthest step gives way where too many wait.
    fn park(&mut self, reader: WorkerId, shell: Shell) -> bool {
        let count: usize = self.parked.values().map(BTreeSet::len).sum();
        if count >= self.config.limits.parked && !self.parked.get(&shell).is_some_and(|who| who.contains(&reader)) {
            let Some(furthest) = self.parked.keys().copied().max_by_key(|shell| shell.step) else { return false };
            if furthest.step <= shell.step {
                return false;
            }
            self.parked.remove(&furthest);
        }
        self.parked.entry(shell).or_default().insert(reader);
        self.dirty = true;
        true
    }

    fn on_give(&mut self, shell: Shell, value: Value) {
        if value.intact() && self.reached(Goal::Shell(shell)) {
            self.fetched.insert(shell, value);
            self.dirty = true;
        }
    }

    /// Keeps a shell made here.
    pub(super) fn publish(&mut self, shell: Shell, value: Value) {
        if self.own.get(&shell).is_some_and(|before| *before != value) {
            return self.alarm(&format!("the shell of block {} at step {}", shell.block.0, shell.step));
        }
        self.own.insert(shell, value);
        if self.config.bugs.shells_go_next_round {
            let latest = shell.step;
            self.own.retain(|other, _| other.block != shell.block || other.step + self.config.plan.round >= latest);
        }
    }

    /// `block` went on from `step`: the shells that it read there go where no line needs them any more, nor anybody else will.
    pub(super) fn let_go(&mut self, block: Block, step: u64) {
        if !self.alone() && !self.config.bugs.alone_among_others {
            return;
        }
        let past = |block: &Block| {
            let reached = self.mains.get(block).and_then(|main| main.line.reached());
            reached.is_some_and(|reached| reached > step)
        };
        let read = |of: &&Block| self.config.neighbours(**of).iter().all(past);
        let done: Vec<Block> = self.config.neighbours(block).iter().filter(read).copied().collect();
        for block in done {
            self.own.remove(&Shell { block, step });
            self.let_go = self.let_go.max(step + 1);
        }
    }

    /// True if all blocks are on their way here, none will go back unless this worker dies, and no other worker ever showed
    /// life: one who has, relies on what is kept.
    fn alone(&self) -> bool {
        let others = |worker: &WorkerId| *worker != self.me && self.alive(*worker);
        let goes = |main: &Main| main.epoch.is_some() && main.line.state.is_some() && main.line.began <= self.newest;
        self.config.limits.one_worker
            && !self.roster.company
            && self.sides.is_empty()
            && self.mains.len() == self.config.blocks()
            && self.mains.values().all(goes)
            && !self.roster.members.keys().any(others)
    }

    /// Gives parked readers what has been made since, and sends them away where this worker no longer owns the block.
    pub(super) fn answer(&mut self) {
        let mut waiting = std::mem::take(&mut self.parked);
        waiting.retain(|&shell, readers| {
            let owned = self.mains.get(&shell.block).is_some_and(|main| main.epoch.is_some());
            let body = match self.own.get(&shell) {
                Some(value) => Body::Give(shell, value.clone()),
                None if !owned => Body::Elsewhere(shell),
                None => return true,
            };
            for &reader in readers.iter() {
                self.send(reader, body.clone());
            }
            false
        });
        self.parked = waiting;
    }

    /// Shells that lie behind main lines here, are not held, and are waited for here or elsewhere.
    fn lost_shells(&self) -> BTreeMap<Block, BTreeSet<u64>> {
        let needed = self.candidates().into_iter().flat_map(|(step, block, ..)| self.missing(block, step));
        let mut lost: BTreeMap<Block, BTreeSet<u64>> = BTreeMap::new();
        for shell in self.parked.keys().copied().chain(needed) {
            let reached = self.mains.get(&shell.block).filter(|main| main.epoch.is_some());
            let behind = reached.and_then(|main| main.line.reached()).is_some_and(|step| step > shell.step);
            if behind && !self.own.contains_key(&shell) {
                lost.entry(shell.block).or_default().insert(shell.step);
            }
        }
        lost
    }

    /// Starts side lines for shells that were lost. A side line that is past the first of them starts again; one that made what
    /// was waited for stays where it is, for what comes after that may be waited for next.
    pub(super) fn remake(&mut self) {
        let lost = self.lost_shells();
        let mains = &self.mains;
        self.sides.retain(|block, side| {
            side.until = lost.get(block).and_then(|steps| steps.last().copied()).unwrap_or(0);
            let main = mains.get(block).and_then(|main| main.line.reached());
            lost.contains_key(block) || side.reached().is_some_and(|step| main.is_some_and(|main| step < main))
        });
        if lost.is_empty() {
            return;
        }
        let now = self.now();
        for (block, steps) in lost {
            let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { continue };
            let fresh = || Line { until: last, ..Line::starting(first, now) };
            let side = self.sides.entry(block).or_insert_with(fresh);
            let past = side.reached().is_some_and(|step| step > first) || (side.state.is_none() && side.limit > first);
            if past && !self.config.bugs.side_line_not_restarted {
                *side = fresh();
            }
        }
        self.choose_chunks();
    }

    /// Wants the shells that lines here need and other workers make; drops those that no line needs any more.
    pub(super) fn want_shells(&mut self) {
        let candidates = self.candidates();
        let needed: BTreeSet<Shell> =
            candidates.into_iter().flat_map(|(step, block, ..)| self.missing(block, step)).collect();
        let here = |shell: &Shell| self.mains.get(&shell.block).is_some_and(|main| main.epoch.is_some());
        let wanted: Vec<Shell> = needed.iter().copied().filter(|shell| !here(shell)).collect();
        self.goals.retain(|goal, _| !matches!(goal, Goal::Shell(shell) if wanted.binary_search(shell).is_err()));
        for shell in wanted {
            self.want(Goal::Shell(shell));
        }
        let mains = self.mains.values().filter(|main| main.epoch.is_some()).map(|main| &main.line);
        let first = mains.chain(self.sides.values()).filter_map(Line::reached).min().unwrap_or(u64::MAX);
        self.fetched.retain(|shell, _| shell.step >= first);
    }

    /// Generation `self.newest` is complete: what lies before it goes, and lines behind it start from there.
    pub(super) fn pass(&mut self) {
        let (now, newest) = (self.now(), self.newest);
        self.own.retain(|shell, _| shell.step >= newest);
        self.fetched.retain(|shell, _| shell.step >= newest);
        self.sides.clear();
        self.bad.clear();
        self.mains.retain(|_, main| main.epoch.is_some() || main.line.reached().is_some_and(|step| step >= newest));
        for main in self.mains.values_mut() {
            let line = &mut main.line;
            if line.reached().is_some_and(|step| step < newest) || line.chunk.is_some_and(|step| step < newest) {
                *line = Line::starting(u64::MAX, now);
            }
        }
        let (late, parked) = std::mem::take(&mut self.parked).into_iter().partition(|(shell, _)| shell.step < newest);
        self.parked = parked;
        let late: BTreeMap<Shell, BTreeSet<WorkerId>> = late;
        for (shell, readers) in late {
            for reader in readers {
                self.send(reader, Body::Passed(shell, newest));
            }
        }
    }
}
