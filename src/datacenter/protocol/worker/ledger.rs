//! The ledger as a worker sees it: who lives, and who owns what.
//!
//! Invariant: beliefs change on fresh reads alone; a worker counts as gone only by this worker's own clock, and never while
//! this worker could not reach the ledger itself.

use std::collections::{BTreeMap, BTreeSet};

use super::super::message::{Fence, Key, Lease, LedgerOp, Member, Record, Why};
use super::super::name::{Block, Revision, WorkerId};
use super::Worker;
use super::goal::{Asked, Goal};

/// Deaths of one block computed alone after which it is left alone, if at least two workers died.
const DEATHS: usize = 3;

/// Deaths of its owners, whatever else they computed, after which a block is computed alone.
const SUSPECT: usize = 2;

/// Most deaths of a kind that a block's record lists.
pub(super) const LISTED: usize = 8;

/// Another worker's last sign of life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    sign: (Revision, u64),
    /// By this worker's own clock.
    pub(super) at_ms: u64,
    wall_ms: u64,
    pub(super) draining: bool,
    /// It has the shells that it made from this step on, and will.
    pub(super) keeps: Option<u64>,
    /// It gave a sign after the first that this worker saw.
    pub(super) lives: bool,
}

/// The last fresh view of the ledger.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) asked: Asked,
    /// When it was asked for: it shows nothing older.
    as_of_ms: u64,
    beat: u64,
    pub(super) members: BTreeMap<WorkerId, Seen>,
    /// Another worker lived at some time.
    pub(super) company: bool,
    pub(super) leases: BTreeMap<Block, (Revision, Lease)>,
    pub(super) newest: Revision,
    /// Workers whose processes were seen to end.
    pub(super) gone: BTreeSet<WorkerId>,
    /// From when on a block without a living owner may be claimed.
    pub(super) vacant: BTreeMap<Block, u64>,
}

impl Roster {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            asked: Asked::default(),
            as_of_ms: now_ms,
            beat: 0,
            members: BTreeMap::new(),
            company: false,
            leases: BTreeMap::new(),
            newest: Revision(0),
            gone: BTreeSet::new(),
            vacant: BTreeMap::new(),
        }
    }

    pub(super) fn owner(&self, block: Block) -> Option<WorkerId> {
        self.leases.get(&block).map(|(_, lease)| lease.owner)
    }

    pub(super) fn lease(&self, block: Block) -> Option<&Lease> {
        self.leases.get(&block).map(|(_, lease)| lease)
    }
}

impl Worker {
    /// Gives a sign of life.
    pub(super) fn beat(&mut self) {
        self.roster.beat += 1;
        self.lamport += 1;
        let member = Member {
            beat: self.roster.beat,
            draining: self.draining.is_some(),
            keeps: (self.roster.company || !self.config.limits.one_worker).then_some(self.let_go),
            wall_ms: self.moment.wall_ms,
            lamport: self.lamport,
        };
        self.ask_ledger(LedgerOp::Write(Key::Member(self.me), Record::Member(member), Fence::Open));
    }

    /// Takes a view, unless a later one came before.
    pub(super) fn on_view(&mut self, number: u64, records: Vec<(Key, Revision, Record)>) {
        let (now, half) = (self.now(), self.config.limits.lease_ms / 2);
        let Some(sent) = self.roster.asked.answered(number) else { return };
        self.dirty = true;
        if sent > self.roster.as_of_ms + half && !self.config.bugs.own_outage_counts {
            self.roster.members.values_mut().for_each(|seen| seen.at_ms = now);
            self.roster.vacant.clear();
        }
        self.roster.as_of_ms = sent;
        self.roster.newest = records.iter().map(|&(_, revision, _)| revision).max().unwrap_or_default();
        self.roster.leases.clear();
        for (key, revision, record) in records {
            self.after(&record);
            match (key, record) {
                (Key::Member(worker), Record::Member(member)) => self.see(worker, revision, &member),
                (Key::Block(block), Record::Lease(lease)) => {
                    let wall_ms = self.moment.wall_ms;
                    let sign = (Revision(0), 0);
                    let unseen = Seen { sign, at_ms: now, wall_ms, draining: false, keeps: None, lives: false };
                    self.roster.members.entry(lease.owner).or_insert(unseen);
                    self.roster.leases.insert(block, (revision, lease));
                }
                _ => {}
            }
        }
        self.reconcile(sent);
        if self.draining.is_none() {
            self.claim_vacant();
        }
    }

    fn see(&mut self, worker: WorkerId, revision: Revision, member: &Member) {
        let seen = Seen {
            sign: (revision, member.beat),
            at_ms: self.now(),
            wall_ms: member.wall_ms,
            draining: member.draining,
            keeps: member.keeps,
            lives: false,
        };
        let before = self.roster.members.entry(worker).or_insert(seen);
        if before.sign != seen.sign {
            *before = Seen { lives: true, ..seen };
            self.roster.company |= worker != self.me;
        }
    }

    /// `worker` is dead.
    pub(super) fn gone(&mut self, worker: WorkerId) {
        if worker != self.me && self.roster.gone.insert(worker) {
            self.hasten(Goal::View);
        }
    }

    /// True if `worker` gave a sign of life within a lease before the last view (a sign may have come since) and is not known
    /// to be dead.
    pub(super) fn alive(&self, worker: WorkerId) -> bool {
        let lease = self.config.limits.lease_ms;
        if self.roster.gone.contains(&worker) {
            return false;
        }
        worker == self.me
            || self.roster.members.get(&worker).is_some_and(|seen| {
                if self.config.bugs.wall_clock_lease {
                    self.moment.wall_ms < seen.wall_ms + lease
                } else {
                    self.roster.as_of_ms < seen.at_ms + lease
                }
            })
    }

    /// Takes over what the ledger says about who owns what, as of `sent_ms`.
    fn reconcile(&mut self, sent_ms: u64) {
        for block in (0..self.config.blocks()).map(Block) {
            let mine = self.mains.get(&block).and_then(|main| main.epoch.map(|epoch| (epoch, main.owned_ms)));
            match (mine, self.roster.lease(block).cloned()) {
                (_, Some(lease)) if lease.owner == self.me => self.own(block, &lease),
                (Some((_, owned)), Some(_)) if owned < sent_ms && !self.config.bugs.ledger_ack_trusted => {
                    self.lose(block);
                }
                (Some((epoch, owned)), None) if owned < sent_ms => self.claim(block, epoch, Why::Free),
                _ => {}
            }
        }
    }

    /// Takes an acknowledged write for true until the next view.
    pub(super) fn on_written(&mut self, key: Key, revision: Revision, record: Record) {
        if let (Key::Block(block), Record::Lease(lease)) = (key, record) {
            if self.roster.leases.get(&block).is_some_and(|&(newer, _)| newer > revision) {
                return;
            }
            self.dirty = true;
            self.reached(Goal::Amend(block));
            self.roster.leases.insert(block, (revision, lease.clone()));
            self.own(block, &lease);
        }
    }

    /// True if `worker` died, as far as is known. One that was taken for dead and shows life again was late, and not killed.
    pub(super) fn died(&self, worker: WorkerId) -> bool {
        self.config.bugs.late_is_dead || !self.alive(worker)
    }

    /// True if the block is computed alone, so that the next death tells.
    pub(super) fn suspect(&self, lease: &Lease) -> bool {
        let died = lease.died.iter().filter(|&&worker| self.died(worker)).count();
        self.newest <= lease.generation && died >= SUSPECT
    }

    /// True if the block kills those who compute it, as far as is known.
    pub(super) fn poisoned(&self, lease: &Lease) -> bool {
        let dead: Vec<WorkerId> = lease.deaths.iter().copied().filter(|&worker| self.died(worker)).collect();
        let workers: BTreeSet<WorkerId> = dead.iter().copied().collect();
        self.newest <= lease.generation && dead.len() >= DEATHS && workers.len() >= 2
    }

    /// Blocks that kill whoever computes them.
    pub(super) fn quarantined(&self) -> Vec<Block> {
        let leases = self.roster.leases.iter();
        leases.filter(|(_, (_, lease))| self.poisoned(lease)).map(|(&block, _)| block).collect()
    }
}
