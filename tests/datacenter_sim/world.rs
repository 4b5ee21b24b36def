//! The simulated world: one thread, virtual time, workers between a network, a ledger and blobs, all from one seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfort::datacenter::protocol::{
    Action, Blob, BlobOp, BlobReply, Block, Config, Ending, Event, LedgerOp, LedgerReply, Moment, Value, Worker,
    WorkerId,
};
use ringfort::random::Rng;

use super::checks::Checks;
use super::network::{Cut, Party, Weather};
use super::physics::Physics;
use super::stores::{Blobs, Ledger, damaged};

/// What happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Wake(WorkerId),
    Event(WorkerId, Event),
    AtLedger(WorkerId, LedgerOp),
    Applied(WorkerId, LedgerOp),
    AtBlobs(WorkerId, BlobOp),
    Fault(usize),
    Join,
    Thaw,
}

pub(crate) struct Node {
    pub(crate) worker: Worker,
    clock: u64,
    pub(crate) wall: i64,
    pub(crate) paused_until: u64,
    pub(crate) slow: u64,
    wake: u64,
    pub(crate) draining: bool,
}

pub(crate) struct World {
    pub(crate) config: Arc<Config>,
    pub(crate) physics: Physics,
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    pub(crate) calm: u64,
    pub(crate) weather: Weather,
    queue: BTreeMap<(u64, u64), Item>,
    sequence: u64,
    pub(crate) nodes: BTreeMap<WorkerId, Node>,
    pub(crate) ledger: Ledger,
    pub(crate) blobs: Blobs,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) checks: Checks,
    /// Block that kills who computes it from a step, so many times.
    pub(crate) poison: Option<(Block, u64, u64)>,
    pub(crate) endings: Vec<Ending>,
    joined: u64,
    pub(crate) quick: bool,
    trace: bool,
}

impl World {
    pub(crate) fn new(config: Config, physics: Physics, seed: u64) -> Self {
        Self {
            checks: Checks::new(&config),
            config: Arc::new(config),
            physics,
            rng: Rng::new(seed),
            now: 1_000_000,
            calm: 1_000_000,
            weather: Weather::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            nodes: BTreeMap::new(),
            ledger: Ledger::default(),
            blobs: Blobs::default(),
            cuts: Vec::new(),
            poison: None,
            endings: Vec::new(),
            joined: 0,
            quick: false,
            trace: std::env::var_os("RINGFORT_TRACE").is_some(),
        }
    }

    pub(crate) fn at(&mut self, time: u64, item: Item) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), item);
    }

    /// Carries out the next item; false if there is none, or a check has failed.
    pub(crate) fn next(&mut self, fault: &mut impl FnMut(&mut World, usize)) -> bool {
        let Some(((time, _), item)) = self.queue.pop_first() else { return false };
        self.now = time;
        match item {
            Item::Join => self.join(),
            Item::Fault(number) => fault(self, number),
            Item::Thaw => self.ledger.stale = None,
            Item::Wake(id) => self.deliver(id, Event::Tick, true),
            Item::Event(id, event) => self.deliver(id, event, false),
            Item::AtLedger(id, op) => self.at_ledger(id, op),
            Item::Applied(id, op) => self.applied(id, op),
            Item::AtBlobs(id, op) => self.at_blobs(id, op),
        }
        self.checks.failed.is_none()
    }

    pub(crate) fn join(&mut self) {
        self.joined += 1;
        let id = WorkerId(self.joined);
        let clock = self.rng.below(1 << 40);
        let now = Moment { now_ms: self.now.wrapping_add(clock), wall_ms: self.now };
        let worker = Worker::new(Arc::clone(&self.config), id, self.rng.bits(), now);
        let slow = 1;
        let node = Node { worker, clock, wall: 0, paused_until: 0, slow, wake: u64::MAX, draining: false };
        self.nodes.insert(id, node);
        self.checks.joined(id, self.now);
        self.at(self.now, Item::Wake(id));
    }

    pub(crate) fn crash(&mut self, id: WorkerId) {
        self.nodes.remove(&id);
    }

    fn deliver(&mut self, id: WorkerId, event: Event, wake: bool) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.paused_until > now {
            let until = node.paused_until;
            return self.at(until, if wake { Item::Wake(id) } else { Item::Event(id, event) });
        }
        if wake && node.wake <= now {
            node.wake = u64::MAX;
        }
        if self.trace {
            println!("{now} {id:?} <- {event:?}");
        }
        self.checks.delivers(now, id, &event);
        let moment = Moment { now_ms: now + node.clock, wall_ms: now.checked_add_signed(node.wall).unwrap_or(0) };
        let actions = node.worker.step(moment, event);
        let next = node.worker.wake_ms().saturating_sub(node.clock).max(now + 1);
        if next < node.wake {
            node.wake = next;
            self.at(next, Item::Wake(id));
        }
        for action in actions {
            self.act(id, action);
        }
        if let Some(node) = self.nodes.get(&id) {
            self.checks.holds(id, node.worker.held());
        }
    }

    fn act(&mut self, id: WorkerId, action: Action) {
        if self.trace {
            println!("{} {id:?} -> {action:?}", self.now);
        }
        let Some(node) = self.nodes.get(&id) else { return };
        self.checks.acts(self.now, id, node, &self.blobs, &action);
        match action {
            Action::Send(to, message) => {
                let item = Item::Event(to, Event::Message(id, message));
                self.carry(Party::Worker(id), Party::Worker(to), item);
            }
            Action::Ledger(op) => self.carry(Party::Worker(id), Party::Ledger, Item::AtLedger(id, op)),
            Action::Blob(op) => self.carry(Party::Worker(id), Party::Blobs, Item::AtBlobs(id, op)),
            Action::Advance { block, from, to, state, shells } => self.compute(id, (block, from, to), &state, &shells),
            Action::Log(..) => {}
            Action::Exit(ending) => {
                self.checks.ends(
                    &ending,
                    &self.physics,
                    &self.blobs,
                    node.draining,
                    self.poison.map(|poison| poison.0),
                );
                self.nodes.remove(&id);
                self.endings.push(ending);
            }
        }
    }

    /// Puts an item on a link, which may lose, double, delay and reorder it.
    fn carry(&mut self, from: Party, to: Party, item: Item) {
        let now = self.now;
        let mut delay = 1 + self.rng.below(8);
        if now < self.calm {
            let cut = self.cuts.iter().any(|cut| cut.covers(from, to, now));
            if cut || self.rng.below(1000) < self.weather.drop {
                return;
            }
            if self.rng.below(1000) < self.weather.double {
                let again = now + 1 + self.rng.below(self.weather.delay + 20);
                self.at(again, item.clone());
            }
            if self.rng.below(4) == 0 {
                delay += self.rng.below(self.weather.delay + 1);
            }
        }
        self.at(now + delay, item);
    }

    fn compute(&mut self, id: WorkerId, round: (Block, u64, u64), state: &Value, shells: &[(Block, Value)]) {
        let (block, from, to) = round;
        if let Some((_, _, left)) =
            self.poison.as_mut().filter(|&&mut (b, step, n)| b == block && step == from && n > 0 && to > from)
        {
            *left -= 1;
            self.checks.poisoned += 1;
            self.crash(id);
            let back = self.now + 20 + self.rng.below(300);
            return self.at(back, Item::Join);
        }
        let around = self.config.neighbours(block);
        if to > from && shells.len() != around.len() {
            return self.checks.fail(format!("{block:?} at {from} is computed without all its neighbours"));
        }
        let (state, shell) = self.physics.advance(block, to - from, state, shells);
        self.checks.computed(&self.physics, round, &state, &shell);
        let slow = self.nodes.get(&id).map_or(1, |node| node.slow);
        let round = if self.quick { 3 + self.rng.below(6) } else { 30 + self.rng.below(60) };
        let time = if to > from { round * slow } else { 1 };
        self.at(self.now + time, Item::Event(id, Event::Advanced { block, from, to, state, shell }));
    }

    fn at_ledger(&mut self, id: WorkerId, op: LedgerOp) {
        match op {
            LedgerOp::Read { number, fresh } => {
                let reply = self.ledger.read(number, fresh);
                self.carry(Party::Ledger, Party::Worker(id), Item::Event(id, Event::Ledger(reply)));
            }
            LedgerOp::Write(key, _, fence) => {
                if self.ledger.admits(key, fence) {
                    let soon = self.now + 1 + self.rng.below(12);
                    self.at(soon, Item::Applied(id, op));
                } else {
                    let reply = Event::Ledger(LedgerReply::Refused(key));
                    self.carry(Party::Ledger, Party::Worker(id), Item::Event(id, reply));
                }
            }
        }
    }

    fn applied(&mut self, id: WorkerId, op: LedgerOp) {
        let LedgerOp::Write(key, record, _) = op else { return };
        self.checks.applies(self.now, key, &record);
        let reply = self.ledger.apply(self.now, key, record);
        self.carry(Party::Ledger, Party::Worker(id), Item::Event(id, Event::Ledger(reply)));
    }

    fn at_blobs(&mut self, id: WorkerId, op: BlobOp) {
        let rough = self.now < self.calm;
        if rough && self.rng.below(1000) < self.weather.busy {
            return self.busy(id, &op);
        }
        let reply = match op {
            BlobOp::List(number) => BlobReply::Listed(number, self.blobs.objects.keys().copied().collect()),
            BlobOp::Get(blob) => {
                let value = match blob {
                    Blob::Chunk { step: 0, block } => Some(self.physics.state(block, 0).clone()),
                    _ => self.blobs.objects.get(&blob).cloned(),
                };
                self.checks.reads(id, blob, value.as_ref());
                BlobReply::Got(blob, value)
            }
            BlobOp::Put { blob, value, replace } => {
                self.put(id, blob, value, replace, rough);
                BlobReply::Stored(blob)
            }
            BlobOp::Delete(blob) => {
                self.checks.deletes(&self.blobs, blob);
                self.blobs.objects.remove(&blob);
                return;
            }
        };
        self.carry(Party::Blobs, Party::Worker(id), Item::Event(id, Event::Blob(reply)));
    }

    /// The blobs answer "later", or fail to answer at all.
    fn busy(&mut self, id: WorkerId, op: &BlobOp) {
        if let (BlobOp::Get(blob) | BlobOp::Put { blob, .. }, 1) = (op, self.rng.below(2)) {
            let reply = BlobReply::Later(*blob, 50 + self.rng.below(200));
            self.carry(Party::Blobs, Party::Worker(id), Item::Event(id, Event::Blob(reply)));
        }
    }

    fn put(&mut self, id: WorkerId, blob: Blob, value: Value, replace: bool, rough: bool) {
        let there = self.blobs.objects.contains_key(&blob);
        self.checks.puts(id, &self.physics, &self.blobs, blob, &value, replace);
        if (there && !replace) || (rough && self.rng.below(1000) < self.weather.lost) {
            return;
        }
        let torn = rough && self.rng.below(1000) < self.weather.torn;
        if torn && there {
            self.blobs.hit.insert(blob);
            self.checks.chunks_hit = true;
        }
        self.blobs.objects.insert(blob, if torn { damaged(&value) } else { value });
        if let Blob::Manifest { step } = blob {
            self.checks.completes(&self.blobs, step);
            self.blobs.newest_manifest = self.blobs.newest_manifest.max(step);
        }
    }
}
