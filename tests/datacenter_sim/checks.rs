//! What must hold at every moment of a run, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use ringfort::datacenter::protocol::{
    Action, Blob, BlobOp, BlobReply, Block, Body, Config, Epoch, Event, Key, LedgerOp, LedgerReply, Message, Note,
    Record, Shell, Value, Why, WorkerId,
};

use super::physics::Physics;
use super::stores::Blobs;
use super::world::Node;

#[derive(Default)]
pub(crate) struct Seen {
    joined: u64,
    lamport: u64,
    retries: u64,
    replies: u64,
    asked: BTreeMap<u64, u64>,
    foreign: BTreeMap<Block, u32>,
    mains: BTreeSet<(Block, u64)>,
    pub(crate) damage: BTreeSet<Blob>,
    /// Shells that were asked for and answered, though not given.
    answered: BTreeSet<Shell>,
    again: Option<Shell>,
    listed: u64,
    /// Who is dead, as it was told.
    gone: BTreeSet<WorkerId>,
    manifests: Vec<u64>,
    beats: Vec<u64>,
    as_of: u64,
    /// When it saw the ledger again after it could not for half a lease.
    back: u64,
}

pub(crate) struct Checks {
    pub(crate) failed: Option<String>,
    /// Chunks were damaged or lost at rest: recomputing is called for.
    pub(crate) chunks_hit: bool,
    /// Acknowledged writes of the ledger were lost: who owns what is anybody's guess for a while.
    pub(crate) ledger_lost: bool,
    /// Workers that were taken for dead, or wanted to leave: what they let go of may have to be made again.
    given_up: BTreeSet<WorkerId>,
    /// Rounds computed, all workers together.
    pub(crate) rounds: usize,
    /// Workers that the poison block killed.
    pub(crate) poisoned: u64,
    pub(crate) config: Config,
    seen: BTreeMap<WorkerId, Seen>,
    epochs: BTreeMap<Block, (Epoch, WorkerId)>,
}

impl Checks {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            failed: None,
            chunks_hit: false,
            ledger_lost: false,
            given_up: BTreeSet::new(),
            rounds: 0,
            poisoned: 0,
            config: config.clone(),
            seen: BTreeMap::new(),
            epochs: BTreeMap::new(),
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.failed.get_or_insert(what);
    }

    pub(crate) fn joined(&mut self, id: WorkerId, now: u64) {
        self.seen.insert(id, Seen { joined: now, as_of: now, ..Seen::default() });
    }

    /// Stamps rise along every message; a worker counts views that give its blocks to others.
    pub(crate) fn delivers(&mut self, now: u64, id: WorkerId, event: &Event) {
        let blocks = self.config.blocks();
        let Some(seen) = self.seen.get_mut(&id) else { return };
        match event {
            Event::Gone(worker) => drop(seen.gone.insert(*worker)),
            Event::Ledger(LedgerReply::View(number, records)) => {
                let Some(sent) = seen.asked.get(number).copied() else { return };
                seen.asked.retain(|other, _| other > number);
                if sent > seen.as_of + self.config.limits.lease_ms / 2 {
                    seen.back = now;
                }
                seen.as_of = sent;
                let mine = |block| {
                    let owner = |key: &Key, record: &Record| match record {
                        Record::Lease(lease) => *key == Key::Block(block) && lease.owner == id,
                        Record::Member(_) => false,
                    };
                    records.iter().any(|(key, _, record)| owner(key, record))
                };
                for block in (0..blocks).map(Block) {
                    let there = records.iter().any(|(key, ..)| *key == Key::Block(block));
                    let count = seen.foreign.entry(block).or_default();
                    *count = if mine(block) || !there { 0 } else { *count + 1 };
                }
            }
            Event::Blob(BlobReply::Listed(number, names)) if *number > seen.listed => {
                seen.listed = *number;
                let manifests = names.iter().filter(|name| matches!(name, Blob::Manifest { .. }));
                seen.manifests = manifests.map(Blob::step).collect();
            }
            Event::Message(_, message) => {
                if let Body::Wait(shell) | Body::Later(shell, _) | Body::Elsewhere(shell) | Body::Passed(shell, _) =
                    message.body
                {
                    seen.answered.insert(shell);
                }
            }
            Event::Ledger(LedgerReply::Written(Key::Block(block), ..)) => {
                seen.foreign.remove(block);
            }
            _ => {}
        }
        if !matches!(event, Event::Tick) {
            seen.replies += 1;
        }
    }

    pub(crate) fn acts(&mut self, now: u64, id: WorkerId, node: &Node, blobs: &Blobs, action: &Action) {
        let again = self.of(id).again.take();
        if node.draining {
            self.given_up.insert(id);
        }
        if let Action::Log(_, Note::Claims(_, _, Why::Expired(owner))) = action {
            self.given_up.insert(*owner);
        }
        match action {
            Action::Send(_, Message { body: Body::Ask(shell, _), .. }) => {
                let seen = self.of(id);
                seen.again = seen.answered.remove(shell).then_some(*shell);
            }
            // What was answered, even with "later", is not retried but asked again.
            Action::Log(_, Note::Retried) if again.is_some() => {
                self.fail(format!("{id:?} spends its budget on {again:?}, which was answered"));
            }
            Action::Log(stamp, note) => self.notes(now, id, *stamp, note),
            Action::Ledger(LedgerOp::Read { number, .. }) => {
                self.of(id).asked.insert(*number, now);
            }
            // No generation that looks complete is taken apart.
            Action::Blob(BlobOp::Delete(blob @ (Blob::Chunk { step, .. } | Blob::Receipt { step, .. })))
                if self.of(id).manifests.contains(step) =>
            {
                self.fail(format!("{id:?} deletes {blob:?} before the manifest"));
            }
            Action::Advance { block, from, to, .. } if from < to => {
                let main = node.worker.lines().any(|line| line == (*block, Some(*from)));
                self.advances(id, (*block, *from, *to), main, blobs);
            }
            _ => {}
        }
    }

    pub(crate) fn of(&mut self, id: WorkerId) -> &mut Seen {
        self.seen.entry(id).or_default()
    }

    fn notes(&mut self, now: u64, id: WorkerId, stamp: u64, note: &Note) {
        let limits = self.config.limits.clone();
        let lost = self.ledger_lost;
        let seen = self.of(id);
        let rises = stamp > seen.lamport;
        seen.lamport = stamp;
        let mut failed = (!rises).then(|| format!("{id:?}: stamp {stamp} does not rise"));
        match note {
            Note::Receives(sent) if *sent >= stamp => {
                failed = Some(format!("{id:?} receives at {stamp} what was sent at {sent}"))
            }
            Note::Retried => {
                seen.retries += 1;
                let most = 20 + 2 + seen.replies / 10 + (now - seen.joined) / (4 * limits.deadline_ms);
                if seen.retries > most {
                    failed = Some(format!("{id:?} retried {} times, allowed {most}", seen.retries));
                }
            }
            Note::Claims(_, _, Why::Expired(owner)) if seen.gone.contains(owner) => {}
            Note::Claims(block, _, Why::Expired(_)) if now < seen.back + limits.lease_ms => {
                failed = Some(format!("{id:?} takes {block:?}, but could not see the ledger itself"));
            }
            Note::Claims(block, _, Why::Expired(owner)) if !lost => {
                let to = seen.as_of;
                let from = to.saturating_sub(limits.lease_ms) + 1;
                if self.of(*owner).beats.iter().any(|beat| (from..=to).contains(beat)) {
                    failed = Some(format!("{id:?} takes {block:?} from {owner:?}, which lives"));
                }
            }
            _ => {}
        }
        if let Some(failed) = failed {
            self.fail(failed);
        }
    }

    /// Nobody computes a round of its own again, leads too far, or goes on with a block that another owns.
    fn advances(&mut self, id: WorkerId, round: (Block, u64, u64), main: bool, blobs: &Blobs) {
        let (block, from, to) = round;
        let lead = self.config.limits.lead;
        if main && to > blobs.newest_manifest + lead {
            self.fail(format!("{block:?} goes to {to}, generation {} is the newest", blobs.newest_manifest));
        }
        // Who was alone let go of shells: those lack them who take its blocks while it is late, or leaves.
        let given_up = self.ledger_lost || self.given_up.contains(&id);
        let excused = self.chunks_hit || (self.config.limits.one_worker && given_up);
        let seen = self.of(id);
        let again = seen.mains.contains(&(block, from));
        if main {
            seen.mains.insert((block, from));
        }
        let foreign = seen.foreign.get(&block).copied().unwrap_or(0);
        if again && !excused {
            self.fail(format!("{id:?} computes {block:?} from {from} again"));
        }
        if main && foreign >= 4 {
            self.fail(format!("{id:?} computes {block:?}, which another owns for {foreign} views"));
        }
    }

    /// One content per name: what is computed is what the reference has.
    pub(crate) fn computed(&mut self, physics: &Physics, round: (Block, u64, u64), state: &Value, shell: &Value) {
        let (block, from, to) = round;
        self.rounds += usize::from(to > from);
        if state != physics.state(block, to) || shell != physics.shell_of(Shell { block, step: to }) {
            self.fail(format!("{block:?} from {from} to {to} has other bits than the reference"));
        }
    }

    pub(crate) fn holds(&mut self, id: WorkerId, [own, fetched, snapshots, parked]: [usize; 4]) {
        let limits = &self.config.limits;
        let blocks = self.config.blocks();
        let generations = (limits.lead / self.config.plan.checkpoint.unwrap_or(1)) as usize + 2;
        let rounds = (limits.lead / self.config.plan.round) as usize + 1 + generations;
        // Where both kept generations are damaged, blocks are computed from step 0, and what is made on the way stays.
        let plan = &self.config.plan;
        let all = (plan.steps / plan.round + plan.steps / plan.checkpoint.unwrap_or(1)) as usize + 2;
        let rounds = if self.chunks_hit { all } else { rounds };
        let most = [blocks * rounds, blocks * rounds, blocks * generations, limits.parked];
        if [own, fetched, snapshots, parked].iter().zip(most).any(|(&held, most)| held > most) {
            self.fail(format!("{id:?} holds {:?}, allowed {most:?}", [own, fetched, snapshots, parked]));
        }
    }

    /// Epochs rise with every owner.
    pub(crate) fn applies(&mut self, now: u64, key: Key, record: &Record) {
        match (key, record) {
            (Key::Member(id), Record::Member(_)) => self.of(id).beats.push(now),
            (Key::Block(block), Record::Lease(lease)) if !self.ledger_lost => {
                let before = self.epochs.insert(block, (lease.epoch, lease.owner));
                if let Some((epoch, owner)) = before
                    && (lease.epoch < epoch || (lease.epoch == epoch && lease.owner != owner))
                {
                    self.fail(format!("{block:?} went from {owner:?} under {epoch:?} to {lease:?}"));
                }
            }
            _ => {}
        }
    }
}
