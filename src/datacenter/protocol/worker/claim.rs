//! Claims: which blocks a worker takes, from whom, and how it writes that down.
//!
//! Invariant: a write is fenced by the revision of that very block's record, and the epoch rises with every owner.

use super::super::message::{Fence, Key, Lease, LedgerOp, Note, Record, Why};
use super::super::name::{Block, Epoch, Revision, WorkerId};
use super::Worker;
use super::goal::Goal;
use super::ledger::LISTED;
use crate::random::mix;

impl Worker {
    /// Claims blocks without a living owner up to a fair share, and one of an owner who has too many.
    pub(super) fn claim_vacant(&mut self) {
        let blocks = self.config.blocks();
        let live: Vec<WorkerId> = self.roster.members.keys().copied().filter(|&id| self.stays(id)).collect();
        let share = blocks.div_ceil(live.len().max(1));
        let mut mine = self.mains.values().filter(|main| main.epoch.is_some()).count();
        let mut order: Vec<Block> = (0..blocks).map(Block).collect();
        order.sort_by_key(|block| mix(self.me.0 ^ mix(block.0 as u64)));
        let patience = 2 * self.config.limits.lease_ms;
        for &block in &order {
            let Some((why, from)) = self.vacancy(block) else { continue };
            if self.now() >= from && (mine < share || self.now() >= from + patience) {
                let epoch = self.roster.lease(block).map_or(Epoch(0), |lease| lease.epoch);
                self.claim(block, epoch, why);
                mine += 1;
            }
        }
        let count = |id: WorkerId| self.roster.leases.values().filter(|(_, lease)| lease.owner == id).count();
        let most = live.iter().filter(|&&id| id != self.me && self.shows_life(id)).map(|&id| (count(id), id)).max();
        if let Some((_, id)) = most.filter(|&(theirs, _)| theirs >= mine + 2 && self.rng.bits().is_multiple_of(2)) {
            // A block whose owner died stays where it is: another death must be laid at the right door.
            let calm = |lease: &Lease| lease.owner == id && (lease.died.is_empty() || self.newest > lease.generation);
            let calm = |lease: &Lease| calm(lease) && self.keeps(id);
            let stolen = order.iter().copied().find(|&block| self.roster.lease(block).is_some_and(calm));
            if let Some((block, epoch)) = stolen.and_then(|block| Some((block, self.roster.lease(block)?.epoch))) {
                self.claim(block, epoch, Why::Stolen(id));
            }
        }
    }

    /// True if `worker` gave a sign of life not long ago: what a dead one holds is not stolen but waits for its lease to
    /// end, so that the death is counted.
    fn shows_life(&self, worker: WorkerId) -> bool {
        let half = self.config.limits.lease_ms / 2;
        self.roster.members.get(&worker).is_some_and(|seen| seen.lives && self.now() < seen.at_ms + half)
    }

    /// True if `worker` has the shells for whoever takes over a block that is taken from it now.
    fn keeps(&self, worker: WorkerId) -> bool {
        let from = self.roster.members.get(&worker).and_then(|seen| seen.keeps);
        from.is_some_and(|step| step <= self.newest) || self.config.bugs.stolen_from_the_forgetful
    }

    fn stays(&self, worker: WorkerId) -> bool {
        self.alive(worker) && !self.roster.members.get(&worker).is_some_and(|seen| seen.draining)
    }

    /// Why `block` may be claimed, and from when on; none if its owner lives and stays.
    fn vacancy(&mut self, block: Block) -> Option<(Why, u64)> {
        let (now, limits) = (self.now(), &self.config.limits);
        let (why, wait) = match self.roster.owner(block) {
            Some(owner) if owner == self.me || self.stays(owner) => {
                self.roster.vacant.remove(&block);
                return None;
            }
            Some(owner) if self.alive(owner) => (Why::Stolen(owner), 0),
            Some(owner) if self.roster.gone.contains(&owner) => (Why::Expired(owner), self.rng.below(limits.poll_ms)),
            Some(owner) => (Why::Expired(owner), 1 + self.rng.below(limits.lease_ms / 3)),
            None if self.mains.get(&block).is_some_and(|main| main.epoch.is_some()) => return None,
            None if self.newest == 0 && limits.one_worker => (Why::Free, 0),
            None if self.newest == 0 => (Why::Free, self.rng.below(limits.poll_ms)),
            None => (Why::Free, limits.lease_ms / 4 + self.rng.below(limits.lease_ms / 4)),
        };
        Some((why, *self.roster.vacant.entry(block).or_insert(now + wait)))
    }

    /// Asks the ledger for `block`, last owned under `epoch`.
    pub(super) fn claim(&mut self, block: Block, epoch: Epoch, why: Why) {
        let bugs = self.config.bugs;
        let epoch = if bugs.epoch_not_raised { epoch } else { Epoch(epoch.0 + 1) };
        self.note(Note::Claims(block, epoch, why));
        let from = match why {
            Why::Stolen(owner) => Some(owner),
            Why::Free | Why::Expired(_) => None,
        };
        let (generation, lamport) = (self.newest, self.lamport);
        let fresh = Lease {
            owner: self.me,
            epoch,
            from,
            generation,
            died: Vec::new(),
            deaths: Vec::new(),
            alone: false,
            lamport,
        };
        let (revision, before) = self.roster.leases.get(&block).cloned().unwrap_or((Revision(0), fresh.clone()));
        let (alone, owner) = (before.alone && !bugs.poison_not_counted, before.owner);
        let mut lease = if generation > before.generation {
            fresh
        } else {
            Lease { owner: self.me, epoch, from, alone: false, lamport, ..before }
        };
        if matches!(why, Why::Expired(_)) {
            lease.died.push(owner);
            lease.deaths.extend(alone.then_some(owner));
        }
        for died in [&mut lease.died, &mut lease.deaths] {
            died.retain(|&worker| self.died(worker));
            died.drain(..died.len().saturating_sub(LISTED));
        }
        self.write(block, lease, revision);
    }

    fn write(&mut self, block: Block, lease: Lease, revision: Revision) {
        let bugs = self.config.bugs;
        let fence = match (bugs.no_fence, bugs.wildcard_fence) {
            (true, _) => Fence::Open,
            (_, true) => Fence::Wildcard(self.roster.newest),
            (false, false) => Fence::Literal(revision),
        };
        self.ask_ledger(LedgerOp::Write(Key::Block(block), Record::Lease(lease), fence));
    }

    /// Says in the ledger that `block` is computed alone, or no longer.
    pub(super) fn amend(&mut self, block: Block) {
        let here = self.roster.leases.get(&block).filter(|(_, lease)| lease.owner == self.me);
        let Some((revision, mut lease)) = here.cloned() else {
            self.goals.remove(&Goal::Amend(block));
            self.dirty = true;
            return;
        };
        lease.alone = self.suspect_now() == Some(block);
        self.lamport += 1;
        lease.lamport = self.lamport;
        self.write(block, lease, revision);
    }
}
