//! One worker: its state, and the step that takes an event and says what to do.
//!
//! Invariant: [`Worker::step`] is a function of the worker's seed and the events and times before; every wait is a goal with
//! a time, and every store has a bound.

mod claim;
mod generation;
mod goal;
mod ledger;
mod line;
mod round;
mod shell;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use self::generation::Listing;
use self::goal::{Due, Goal};
use self::ledger::Roster;
use self::line::{Line, Main};
use self::snapshot::Snapshot;
use super::budget::Budget;
use super::config::Config;
use super::message::{
    Action, BlobOp, BlobReply, Body, Ending, Event, LedgerOp, LedgerReply, Message, Moment, Note, Record,
};
use super::name::{Block, Shell, Value, WorkerId};
use crate::random::Rng;

/// Periods of the trickle of retries, in deadlines.
const TRICKLE: u64 = 4;

/// One worker of a run.
#[derive(Debug)]
pub struct Worker {
    config: Arc<Config>,
    me: WorkerId,
    rng: Rng,
    budget: Budget,
    lamport: u64,
    moment: Moment,
    /// When a round was last done or a generation completed.
    progress_ms: u64,
    draining: Option<u64>,
    ended: bool,
    /// Something changed since the last look at what can be done.
    dirty: bool,
    goals: BTreeMap<Goal, Due>,
    roster: Roster,
    mains: BTreeMap<Block, Main>,
    sides: BTreeMap<Block, Line>,
    /// Rounds being computed: block and first step.
    running: BTreeSet<(Block, u64)>,
    /// Shells made here, or handed over.
    own: BTreeMap<Shell, Value>,
    /// Shells made here before this step may be gone, though no generation past them is complete.
    let_go: u64,
    /// Shells fetched for lines here.
    fetched: BTreeMap<Shell, Value>,
    /// Who waits for a shell to be made.
    parked: BTreeMap<Shell, BTreeSet<WorkerId>>,
    /// Newest complete generation.
    newest: u64,
    /// Its manifest, once there is one.
    manifest: Option<Value>,
    listing: Listing,
    snapshots: BTreeMap<(u64, Block), Snapshot>,
    /// Chunks found damaged or missing.
    bad: BTreeSet<(Block, u64)>,
    out: Vec<Action>,
}

impl Worker {
    /// A worker that joins a run. `seed` spreads its waits and claims.
    #[must_use]
    pub fn new(config: Arc<Config>, me: WorkerId, seed: u64, moment: Moment) -> Self {
        let now = moment.now_ms;
        let first = Due { at_ms: now, tries: 0 };
        Self {
            budget: Budget::new(config.limits.deadline_ms * TRICKLE, now),
            config,
            me,
            rng: Rng::new(seed),
            lamport: 0,
            moment,
            progress_ms: now,
            draining: None,
            ended: false,
            dirty: true,
            goals: [Goal::View, Goal::Beat, Goal::List].into_iter().map(|goal| (goal, first)).collect(),
            roster: Roster::new(now),
            mains: BTreeMap::new(),
            sides: BTreeMap::new(),
            running: BTreeSet::new(),
            own: BTreeMap::new(),
            let_go: 0,
            fetched: BTreeMap::new(),
            parked: BTreeMap::new(),
            newest: 0,
            manifest: None,
            listing: Listing::default(),
            snapshots: BTreeMap::new(),
            bad: BTreeSet::new(),
            out: Vec::new(),
        }
    }

    /// What to do after `event`, in order. Time never goes back: an earlier `moment` counts as the last one.
    pub fn step(&mut self, moment: Moment, event: Event) -> Vec<Action> {
        if self.ended {
            return Vec::new();
        }
        self.moment = Moment { now_ms: moment.now_ms.max(self.now()), ..moment };
        match event {
            Event::Tick => {}
            Event::Message(from, message) => self.on_message(from, message),
            Event::Ledger(LedgerReply::View(number, records)) => self.on_view(number, records),
            Event::Ledger(LedgerReply::Written(key, revision, record)) => self.on_written(key, revision, record),
            Event::Ledger(LedgerReply::Refused(_)) => self.hasten(Goal::View),
            Event::Blob(BlobReply::Listed(number, names)) => self.on_listed(number, &names),
            Event::Blob(BlobReply::Got(blob, value)) => self.on_got(blob, value),
            Event::Blob(BlobReply::Stored(blob)) => self.on_stored(blob),
            Event::Blob(BlobReply::Later(blob, wait)) => self.on_later(blob, wait),
            Event::Advanced { block, from, to, state, shell } => self.on_advanced((block, from, to), &state, shell),
            Event::Gone(worker) => self.gone(worker),
            Event::Drain if self.draining.is_none() => {
                self.draining = Some(self.now());
                self.want_now(Goal::Beat);
            }
            Event::Drain => {}
        }
        if mem::take(&mut self.dirty) {
            self.settle();
        }
        self.pursue();
        self.leave();
        mem::take(&mut self.out)
    }

    /// When to come back with [`Event::Tick`] if nothing happens before.
    #[must_use]
    pub fn wake_ms(&self) -> u64 {
        self.goals.values().map(|due| due.at_ms).min().unwrap_or(u64::MAX)
    }

    /// The newest generation that this worker knows to be complete.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Values held: shells made here, shells fetched, snapshots being written, requests waiting.
    #[must_use]
    pub fn held(&self) -> [usize; 4] {
        let parked = self.parked.values().map(BTreeSet::len).sum();
        [self.own.len(), self.fetched.len(), self.snapshots.len(), parked]
    }

    /// Blocks whose main line runs here, and the step each has reached.
    pub fn lines(&self) -> impl Iterator<Item = (Block, Option<u64>)> {
        self.mains.iter().filter(|(_, main)| main.epoch.is_some()).map(|(&block, main)| (block, main.line.reached()))
    }

    fn settle(&mut self) {
        self.choose_chunks();
        self.remake();
        self.answer();
        self.want_shells();
        self.start_rounds();
    }

    fn now(&self) -> u64 {
        self.moment.now_ms
    }

    /// Leaves when nothing is left to do here.
    fn leave(&mut self) {
        let lease = self.config.limits.lease_ms;
        if let Some(since) = self.draining {
            let owning = self.mains.values().any(|main| main.epoch.is_some());
            if owning {
                self.progress_ms = self.now();
            }
            if self.now() > self.progress_ms.max(since) + lease / 2 || self.now() > since + 3 * lease {
                self.exit(Ending::Drained);
            }
        } else if self.running.is_empty() && self.now() > self.progress_ms + 3 * lease {
            let poisoned = self.quarantined();
            if !poisoned.is_empty() {
                self.exit(Ending::Poisoned(poisoned));
            }
        }
    }

    fn exit(&mut self, ending: Ending) {
        if !self.ended {
            self.ended = true;
            self.out.push(Action::Exit(ending));
        }
    }

    fn note(&mut self, note: Note) {
        self.lamport += 1;
        self.out.push(Action::Log(self.lamport, note));
    }

    fn send(&mut self, to: WorkerId, body: Body) {
        self.lamport += 1;
        self.out.push(Action::Send(to, Message { lamport: self.lamport, body }));
    }

    fn ask_blobs(&mut self, op: BlobOp) {
        self.out.push(Action::Blob(op));
    }

    fn ask_ledger(&mut self, op: LedgerOp) {
        self.out.push(Action::Ledger(op));
    }

    /// Takes over the stamp of something that was written before now.
    fn after(&mut self, record: &Record) {
        let (Record::Lease(super::message::Lease { lamport, .. })
        | Record::Member(super::message::Member { lamport, .. })) = record;
        self.lamport = self.lamport.max(*lamport);
    }
}
