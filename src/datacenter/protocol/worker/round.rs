//! Rounds: which line is computed next, and what becomes of the result.
//!
//! Invariant: a block leads the newest generation by a bounded number of steps. A block whose owner died is computed alone,
//! and the ledger knows it, until it makes progress: so a death can be laid at one block's door.

use super::super::message::{Action, Ending, Lease};
use super::super::name::{Block, Shell, Value};
use super::Worker;
use super::goal::Goal;

impl Worker {
    /// End of the round that the main line of `block` may compute next.
    fn main_round(&self, block: Block) -> Option<u64> {
        let main = self.mains.get(&block).filter(|main| main.epoch.is_some())?;
        let from = main.line.reached().filter(|&from| !self.running.contains(&(block, from)))?;
        let end = self.config.plan.round(from)?.end;
        let near = end <= self.newest + self.config.limits.lead || self.config.bugs.lead_unbounded;
        let barred = self.roster.lease(block).is_some_and(|lease| self.poisoned(lease));
        (near && !barred).then_some(end)
    }

    /// End of the round that the side line of `block` may compute next.
    fn side_round(&self, block: Block) -> Option<u64> {
        let side = self.sides.get(&block)?;
        let from = side.reached().filter(|&from| from < side.until && !self.running.contains(&(block, from)))?;
        self.config.plan.round(from).map(|round| round.end)
    }

    /// Lines that could compute, with step, end of the round, and whether it is the main line.
    pub(super) fn candidates(&self) -> Vec<(u64, Block, u64, bool)> {
        let mains = self
            .mains
            .iter()
            .filter_map(|(&block, main)| self.main_round(block).map(|end| (main.line.step, block, end, true)));
        let sides = self
            .sides
            .iter()
            .filter_map(|(&block, line)| self.side_round(block).map(|end| (line.step, block, end, false)));
        let mut all: Vec<_> = mains.chain(sides).collect();
        all.sort_unstable();
        all
    }

    fn shell(&self, shell: Shell) -> Option<&Value> {
        self.own.get(&shell).or_else(|| self.fetched.get(&shell))
    }

    /// Neighbours' shells of `step` that are not here.
    pub(super) fn missing(&self, block: Block, step: u64) -> impl Iterator<Item = Shell> {
        let around = self.config.neighbours(block).iter().map(move |&block| Shell { block, step });
        around.filter(|&shell| self.shell(shell).is_none())
    }

    /// [`Self::candidates`] that lack nothing.
    fn ready(&self) -> Vec<(u64, Block, u64, bool)> {
        let mut ready = self.candidates();
        ready.retain(|&(step, block, ..)| self.missing(block, step).next().is_none());
        ready
    }

    /// Computes what can be, lowest steps first, on free threads.
    pub(super) fn start_rounds(&mut self) {
        let ready = self.ready();
        let alone = self.suspect_of(&ready);
        let said: Vec<Block> = self.leases_here().filter(|(_, lease)| lease.alone).map(|(block, _)| block).collect();
        // What is said stays said while nothing else could be computed: a write each round would be two.
        let wrong = |block: &Block| said.contains(block) != (alone == Some(*block)) && !ready.is_empty();
        let amend: Vec<Block> = said.iter().copied().chain(alone).filter(wrong).collect();
        amend.into_iter().for_each(|block| self.want(Goal::Amend(block)));
        if self.goals.keys().any(|goal| matches!(goal, Goal::Amend(_))) {
            return;
        }
        for (step, block, end, main) in ready {
            let quiet = match alone {
                Some(suspect) => main && suspect == block && said == [block] && self.running.is_empty(),
                None => said.is_empty(),
            };
            let free = self.running.len() < self.config.limits.threads;
            if quiet && free && self.running.insert((block, step)) {
                self.start_round(block, step, end, main);
            }
        }
    }

    fn start_round(&mut self, block: Block, from: u64, to: u64, main: bool) {
        let line = if main { self.mains.get(&block).map(|main| &main.line) } else { self.sides.get(&block) };
        let Some(state) = line.and_then(|line| line.state.clone()) else { return };
        let around = self.config.neighbours(block);
        let shells =
            around.iter().filter_map(|&other| Some((other, self.shell(Shell { block: other, step: from })?.clone())));
        let shells = shells.collect();
        self.out.push(Action::Advance { block, from, to, state, shells });
    }

    fn leases_here(&self) -> impl Iterator<Item = (Block, &Lease)> {
        let owned = self.mains.iter().filter(|(_, main)| main.epoch.is_some());
        owned.filter_map(|(&block, _)| Some((block, self.roster.lease(block).filter(|lease| lease.owner == self.me)?)))
    }

    fn is_suspect(&self, block: Block) -> bool {
        self.leases_here().any(|(here, lease)| here == block && self.suspect(lease))
    }

    /// The suspect block to compute alone: the one in flight, else the first that is ready.
    fn suspect_of(&self, ready: &[(u64, Block, u64, bool)]) -> Option<Block> {
        let flying = self.running.iter().map(|&(block, _)| block).find(|&block| self.is_suspect(block));
        flying.or_else(|| ready.iter().find(|&&(_, block, _, main)| main && self.is_suspect(block)).map(|next| next.1))
    }

    /// The block that the ledger should say is computed alone.
    pub(super) fn suspect_now(&self) -> Option<Block> {
        self.suspect_of(&self.ready())
    }

    /// A round is done: `block` went from one step to another.
    pub(super) fn on_advanced(&mut self, round: (Block, u64, u64), state: &Value, shell: Value) {
        let (block, from, to) = round;
        self.dirty = true;
        if from == to {
            return self.on_started(block, to, state, shell);
        }
        self.running.remove(&(block, from));
        self.progress_ms = self.now();
        let repaired = self.bad.contains(&(block, to));
        let main = self.mains.get_mut(&block).filter(|main| main.line.reached() == Some(from)).map(|main| {
            main.line.step = to;
            main.line.state = Some(state.clone());
        });
        let side = self.sides.get_mut(&block).filter(|line| line.reached() == Some(from)).map(|line| {
            line.step = to;
            line.state = Some(state.clone());
        });
        if main.is_none() && side.is_none() {
            return;
        }
        self.publish(Shell { block, step: to }, shell);
        self.let_go(block, from);
        if self.config.bugs.uncommon_steps && block.0 % 2 == 1 {
            if self.config.generation(from) && from > 0 && main.is_some() {
                self.snapshot(from, block, state.clone());
            }
        } else if self.config.generation(to) && to >= self.newest && (main.is_some() || repaired) {
            self.snapshot(to, block, state.clone());
        }
    }

    /// Two contents under one name.
    pub(super) fn alarm(&mut self, name: &str) {
        self.exit(Ending::Alarm(format!("{name} was computed twice with different results")));
    }
}
