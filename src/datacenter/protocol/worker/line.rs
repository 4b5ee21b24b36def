//! Lines: blocks on their way from step to step, how they start, and how they change hands.
//!
//! Invariant: a line starts from an intact chunk, or from what the owner before handed over.

use super::super::message::{Action, Body, Handover, Lease, Note};
use super::super::name::{Block, Epoch, Shell, Value, WorkerId};
use super::Worker;
use super::goal::Goal;

/// A block on its way.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) step: u64,
    /// Step that it started from.
    pub(super) began: u64,
    /// The block after `step`; none until it has started.
    pub(super) state: Option<Value>,
    /// Chunk that it starts from, once chosen.
    pub(super) chunk: Option<u64>,
    /// It starts no later than there.
    pub(super) limit: u64,
    /// It goes no further for now.
    pub(super) until: u64,
    /// It looks only at listings asked for after this time.
    pub(super) since_ms: u64,
}

/// A block's way to the end of the job.
#[derive(Debug)]
pub(super) struct Main {
    /// None once another worker owns the block.
    pub(super) epoch: Option<Epoch>,
    pub(super) owned_ms: u64,
    /// Who is to hand it over.
    pub(super) from: Option<WorkerId>,
    pub(super) line: Line,
}

impl Line {
    /// A line that starts from a chunk of a step up to `limit`.
    pub(super) fn starting(limit: u64, now_ms: u64) -> Self {
        Self { step: 0, began: 0, state: None, chunk: None, limit, until: u64::MAX, since_ms: now_ms }
    }

    /// Step that it has reached, once started.
    pub(super) fn reached(&self) -> Option<u64> {
        self.state.as_ref().map(|_| self.step)
    }

    fn begin(&mut self, step: u64, state: Value) {
        (self.step, self.began, self.state, self.chunk) = (step, step, Some(state), None);
    }
}

impl Worker {
    /// The ledger says that this worker owns `block`.
    pub(super) fn own(&mut self, block: Block, lease: &Lease) {
        let now = self.now();
        let fresh = || Main { epoch: None, owned_ms: now, from: None, line: Line::starting(u64::MAX, now) };
        let main = self.mains.entry(block).or_insert_with(fresh);
        if main.epoch == Some(lease.epoch) {
            return;
        }
        let gained = main.epoch.replace(lease.epoch).is_none();
        main.owned_ms = now;
        if !gained {
            return;
        }
        let started = main.line.state.is_some();
        if !started {
            main.line = Line::starting(u64::MAX, now);
        }
        if let Some(owner) = lease.from.filter(|&owner| !started && owner != self.me && self.alive(owner)) {
            if let Some(main) = self.mains.get_mut(&block) {
                main.from = Some(owner);
            }
            self.want_now(Goal::Block(block));
        }
        self.note(Note::Owns(block, lease.epoch));
        self.dirty = true;
    }

    /// Another worker owns `block`. What was made here stays, and is served, until the newest generation is past it.
    pub(super) fn lose(&mut self, block: Block) {
        self.forget_handover(block);
        self.goals.remove(&Goal::Amend(block));
        if let Some(main) = self.mains.get_mut(&block) {
            main.epoch = None;
        }
        self.sides.remove(&block);
        self.note(Note::Lost(block));
        self.dirty = true;
    }

    fn forget_handover(&mut self, block: Block) {
        self.goals.remove(&Goal::Block(block));
        if let Some(main) = self.mains.get_mut(&block) {
            main.from = None;
        }
    }

    /// Asks the owner before for `block`, a few times; then it starts from a chunk.
    pub(super) fn ask_block(&mut self, block: Block) {
        let goal = Goal::Block(block);
        let tries = self.goals.get(&goal).map_or(0, |due| due.tries);
        let Some(main) = self.mains.get(&block) else { return };
        match (main.from, main.epoch) {
            (Some(owner), Some(epoch)) if tries <= 3 && self.alive(owner) => {
                self.send(owner, Body::AskBlock(block, epoch, self.newest));
            }
            _ => {
                self.forget_handover(block);
                self.dirty = true;
            }
        }
    }

    /// Hands `block` over to `to`, who owns it under `epoch`. What lies before the newest generation is gone here, so `to` must
    /// know of that generation as well.
    pub(super) fn on_ask_block(&mut self, to: WorkerId, block: Block, epoch: Epoch, knows: u64) {
        if self.mains.get(&block).and_then(|main| main.epoch).is_some_and(|mine| mine < epoch) {
            self.lose(block);
        }
        let Some(main) = self.mains.get(&block).filter(|main| main.epoch.is_none()) else {
            return self.send(to, Body::NoBlock(block));
        };
        let (line, bugs) = (&main.line, self.config.bugs);
        let body = match &line.state {
            Some(_)
                if self.running.contains(&(block, line.step)) || (knows < self.newest && !bugs.handover_too_early) =>
            {
                Body::LaterBlock(block, self.config.limits.deadline_ms)
            }
            Some(state) => {
                let from = Shell { block, step: self.newest };
                let shells = self.own.range(from..=Shell { block, step: u64::MAX });
                let shells = shells.map(|(shell, value)| (shell.step, value.clone())).collect();
                let snapshots = if bugs.handover_without_snapshots { Vec::new() } else { self.snapshots_of(block) };
                Body::GiveBlock(block, Handover { step: line.step, state: state.clone(), shells, snapshots })
            }
            None => Body::NoBlock(block),
        };
        self.send(to, body);
    }

    /// The owner before handed `block` over, or has nothing of it.
    pub(super) fn on_block(&mut self, block: Block, given: Option<Handover>) {
        if !self.reached(Goal::Block(block)) {
            return;
        }
        self.forget_handover(block);
        self.dirty = true;
        let Some(Handover { step, state, shells, snapshots }) = given else { return };
        let whole = shells.iter().chain(&snapshots).all(|(_, value)| value.intact());
        if state.intact() && whole && step >= self.newest {
            let newest = self.newest;
            for (step, value) in shells.into_iter().filter(|&(step, _)| step >= newest) {
                self.publish(Shell { block, step }, value);
            }
            for (step, value) in snapshots.into_iter().filter(|&(step, _)| step > newest) {
                self.snapshot(step, block, value);
            }
            if let Some(main) = self.mains.get_mut(&block) {
                main.line.begin(step, state);
                self.note(Note::Starts(block, step));
            }
        }
    }

    /// Chooses the chunk that each line starts from: the newest that is not known to be bad and does not lead the newest
    /// generation by more than a block may, for the others could not follow.
    pub(super) fn choose_chunks(&mut self) {
        let mut chosen = Vec::new();
        if self.goals.keys().any(|goal| matches!(goal, Goal::Manifest(step) if *step > self.newest)) {
            return; // The newest generation will be another one soon.
        }
        let far = self.config.bugs.starts_far_ahead;
        let most = if far { u64::MAX } else { self.newest + self.config.limits.lead };
        let mains = self.mains.iter_mut().filter(|(_, main)| main.epoch.is_some() && main.from.is_none());
        let lines = mains.map(|(&block, main)| (block, &mut main.line));
        for (block, line) in lines.chain(self.sides.iter_mut().map(|(&block, line)| (block, line))) {
            if line.state.is_some() || line.chunk.is_some() {
                continue;
            }
            if self.listing.sent_ms.is_none_or(|sent| sent < line.since_ms) {
                chosen.push(Goal::List);
                continue;
            }
            let listed = self.listing.chunks.get(&block).into_iter().flatten().copied();
            let usable = |&step: &u64| step <= line.limit.min(most) && !self.bad.contains(&(block, step));
            let chunk = listed.chain([self.newest]).filter(usable).max().unwrap_or(0);
            line.chunk = Some(chunk);
            chosen.push(Goal::Chunk(block, chunk));
        }
        for goal in chosen {
            if goal == Goal::List { self.hasten(goal) } else { self.want(goal) }
        }
    }

    /// All lines of `block`, the main line first.
    pub(super) fn lines_of(&mut self, block: Block) -> impl Iterator<Item = &mut Line> {
        let main = self.mains.get_mut(&block).map(|main| &mut main.line);
        main.into_iter().chain(self.sides.get_mut(&block))
    }

    /// A chunk came: the lines that wait for it cut out its shell and start. A bad one is left for an older one.
    pub(super) fn on_chunk(&mut self, block: Block, step: u64, value: Option<Value>) {
        if !self.reached(Goal::Chunk(block, step)) {
            return;
        }
        self.dirty = true;
        if let Some(state) = value.filter(|value| value.intact() || self.config.bugs.damage_trusted) {
            if self.lines_of(block).any(|line| line.state.is_none() && line.chunk == Some(step)) {
                self.out.push(Action::Advance { block, from: step, to: step, state, shells: Vec::new() });
            }
        } else {
            self.bad.insert((block, step));
            self.note(Note::Damaged(super::super::name::Blob::Chunk { step, block }));
            self.lines_of(block).filter(|line| line.chunk == Some(step)).for_each(|line| line.chunk = None);
        }
    }

    /// A chunk's shell is cut: lines that wait for it start there.
    pub(super) fn on_started(&mut self, block: Block, step: u64, state: &Value, shell: Value) {
        let mut started = false;
        for line in self.lines_of(block).filter(|line| line.state.is_none() && line.chunk == Some(step)) {
            line.begin(step, state.clone());
            started = true;
        }
        if started {
            self.note(Note::Starts(block, step));
            self.publish(Shell { block, step }, shell);
            if step > self.newest {
                self.confirm(step, block, state.clone());
            }
        }
    }
}
