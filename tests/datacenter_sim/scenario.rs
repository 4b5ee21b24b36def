//! A run from a seed: its shape, its workers, its weather and its faults; then calm, and an end.

use ringfort::datacenter::protocol::{Blob, Block, Bugs, Config, Ending, Event, Limits, WorkerId};
use ringfort::plan::Plan;
use ringfort::random::Rng;

use super::network::{Cut, Party, Weather};
use super::physics::Physics;
use super::stores::damaged;
use super::world::{Item, World};

/// Time that a run may take once faults have stopped.
const END_MS: u64 = 120_000;

pub(crate) const LIMITS: Limits = Limits {
    lead: 0,
    keep: 2,
    keep_every: 1,
    for_good: None,
    threads: 1,
    one_worker: false,
    parked: 64,
    lease_ms: 1000,
    poll_ms: 150,
    deadline_ms: 60,
    patience_ms: 400,
};

/// The shape of a run.
pub(crate) struct Shape {
    pub(crate) parts: [usize; 2],
    pub(crate) ragged: usize,
    pub(crate) wrap: bool,
    pub(crate) round: u64,
    pub(crate) every: u64,
    pub(crate) steps: u64,
    pub(crate) lead: u64,
    pub(crate) threads: usize,
    /// The run is meant for one worker.
    pub(crate) one_worker: bool,
    pub(crate) poll_ms: u64,
    /// Rounds take a tenth of their time.
    pub(crate) quick: bool,
}

impl Shape {
    /// Even blocks of a periodic grid, rounds of a step, `steps` steps with a generation each `every`.
    pub(crate) fn new(parts: [usize; 2], (every, steps): (u64, u64)) -> Self {
        Self {
            parts,
            ragged: 0,
            wrap: true,
            round: 1,
            every,
            steps,
            lead: 2 * every,
            threads: 1,
            one_worker: false,
            poll_ms: LIMITS.poll_ms,
            quick: false,
        }
    }

    pub(crate) fn from(rng: &mut Rng) -> Self {
        let parts = [[3, 3], [3, 3], [2, 3], [1, 4], [1, 2], [2, 2], [1, 1]][rng.below(7) as usize];
        let every = 3 + rng.below(4);
        Self {
            parts,
            ragged: rng.below(2) as usize,
            wrap: rng.below(2) == 0,
            round: 1 + rng.below(2),
            every,
            steps: 10 + rng.below(14),
            lead: every + rng.below(2 * every),
            threads: 1 + rng.below(2) as usize,
            one_worker: false,
            poll_ms: LIMITS.poll_ms,
            quick: false,
        }
    }

    pub(crate) fn world(&self, bugs: Bugs, seed: u64) -> World {
        let plan = Plan { steps: self.steps, round: self.round, checkpoint: Some(self.every), ..Plan::default() };
        let physics = Physics::new(self.parts, 4, self.ragged, self.wrap, self.round as usize, self.steps);
        let keep_every = 1 + seed % 3 * self.every;
        let for_good = seed.is_multiple_of(2).then_some(3 * self.every);
        let &Self { lead, threads, one_worker, poll_ms, .. } = self;
        let limits = Limits { lead, keep_every, for_good, threads, one_worker, poll_ms, ..LIMITS };
        let mut config = Config::new(plan, &physics.cuts, [self.wrap; 4], limits).unwrap();
        config.bugs = bugs;
        let mut world = World::new(config, physics, seed);
        world.quick = self.quick;
        world
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    CrashAll,
    Pause,
    ClockJump,
    CutFromLedger,
    CutPair,
    Isolate,
    LedgerOutage,
    BlobOutage,
    RollBack,
    Wipe,
    Stale,
    Damage,
    Lose,
    Drain,
    Join,
    Slow,
    Poison,
}

const KINDS: [Fault; 18] = [
    Fault::Crash,
    Fault::CrashAll,
    Fault::Pause,
    Fault::ClockJump,
    Fault::CutFromLedger,
    Fault::CutPair,
    Fault::Isolate,
    Fault::LedgerOutage,
    Fault::BlobOutage,
    Fault::RollBack,
    Fault::Wipe,
    Fault::Stale,
    Fault::Damage,
    Fault::Lose,
    Fault::Drain,
    Fault::Join,
    Fault::Slow,
    Fault::Poison,
];

/// What a run was like.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) failed: Option<String>,
    pub(crate) seconds: f64,
}

/// Runs `seed` to its end.
pub(crate) fn run(seed: u64, bugs: Bugs) -> Outcome {
    run_of(seed, bugs, false)
}

/// Runs `seed` to its end, as a run meant for one worker if `one_worker`.
pub(crate) fn run_of(seed: u64, bugs: Bugs, one_worker: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut shape = Shape { one_worker, ..Shape::from(&mut rng) };
    if Rng::new(!seed).below(4) == 0 {
        // Looks are rarer than generations.
        (shape.poll_ms, shape.quick) = (LIMITS.lease_ms / 4, true);
    }
    let mut world = shape.world(bugs, rng.bits());
    let start = world.now;
    world.weather = weather(&mut rng);
    let kinds: Vec<Fault> = KINDS.into_iter().filter(|_| rng.below(4) == 0).collect();
    let mut faults: Vec<Fault> = (0..rng.below(9)).filter_map(|_| pick(&mut rng, &kinds)).collect();
    if faults.iter().any(|fault| matches!(fault, Fault::Poison)) {
        // Other deaths would be laid at other blocks' doors.
        faults.retain(|fault| !matches!(fault, Fault::Crash | Fault::CrashAll | Fault::Pause | Fault::Isolate));
        faults.retain(|fault| !matches!(fault, Fault::CutFromLedger | Fault::Drain | Fault::LedgerOutage));
        world.weather = Weather { drop: 0, ..world.weather };
        let block = Block(rng.below(world.config.blocks() as u64) as usize);
        let ends: Vec<u64> =
            std::iter::successors(Some(0), |&at| world.config.plan.round(at).map(|round| round.end)).collect();
        let step = ends[rng.below(ends.len() as u64 - 1) as usize];
        world.poison = Some((block, step, if rng.below(2) == 0 { 2 } else { u64::MAX }));
    }
    let span = 1500 + rng.below(6000);
    for number in 0..faults.len() {
        world.at(start + rng.below(span), Item::Fault(number));
    }
    world.calm = start + span + 1000;
    for _ in 0..=rng.below(4) {
        world.at(start + rng.below(300), Item::Join);
    }
    world.at(world.calm, Item::Join);
    finish(&mut world, &mut |world, number| strike(world, faults[number]))
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> Option<T> {
    if from.is_empty() { None } else { Some(from[rng.below(from.len() as u64) as usize]) }
}

fn weather(rng: &mut Rng) -> Weather {
    let mut some = |most: u64| if rng.below(2) == 0 { 0 } else { rng.below(most) };
    Weather { drop: some(200), double: some(200), delay: some(600), torn: some(250), lost: some(150), busy: some(200) }
}

/// Runs `world` until its workers have ended, or a check fails, or time is up.
pub(crate) fn finish(world: &mut World, fault: &mut impl FnMut(&mut World, usize)) -> Outcome {
    let start = world.now;
    while world.next(fault) {
        if world.now > world.calm + END_MS {
            let lines: Vec<String> = world
                .nodes
                .iter()
                .map(|(id, node)| {
                    format!("{id:?} F {} {:?}", node.worker.newest(), node.worker.lines().collect::<Vec<_>>())
                })
                .collect();
            if std::env::var_os("RINGFORT_TRACE").is_some() {
                world.nodes.values().for_each(|node| println!("{:?}", node.worker));
            }
            world.checks.fail(format!("no end: {lines:?}"));
        }
        if world.now > world.calm && world.nodes.is_empty() {
            if world.endings.last().is_some_and(|ending| *ending != Ending::Drained) {
                break;
            }
            world.join();
        }
    }
    if world.endings.is_empty() && world.checks.failed.is_none() {
        world.checks.fail("nothing left to do, and no end".into());
    }
    Outcome { failed: world.checks.failed.take(), seconds: (world.now - start) as f64 / 1e3 }
}

fn strike(world: &mut World, fault: Fault) {
    let (now, calm) = (world.now, world.calm);
    let alive: Vec<WorkerId> = world.nodes.keys().copied().collect();
    let mut rng = Rng::new(world.rng.bits());
    let victim = pick(&mut rng, &alive);
    let until = now + 100 + rng.below(3000);
    match (fault, victim) {
        (Fault::Crash, Some(id)) => {
            world.crash(id);
            // Somebody may have seen it end.
            let mut hint = Rng::new(now ^ id.0);
            for &other in alive.iter().filter(|&&other| other != id) {
                if hint.below(4) > 0 {
                    world.at(now + hint.below(400), Item::Event(other, Event::Gone(id)));
                }
            }
            if rng.below(3) > 0 {
                world.at(now + rng.below(2500), Item::Join);
            }
        }
        (Fault::CrashAll, _) => {
            for id in alive {
                world.crash(id);
                world.at(now + rng.below(2500), Item::Join);
            }
        }
        (Fault::Pause, Some(id)) => node(world, id).paused_until = until.min(calm),
        (Fault::ClockJump, Some(id)) => node(world, id).wall += rng.below(40_000).cast_signed() - 20_000,
        (Fault::Slow, Some(id)) => node(world, id).slow = 2 + rng.below(6),
        (Fault::CutFromLedger, Some(id)) => cut(world, &mut rng, Some(Party::Worker(id)), Some(Party::Ledger), until),
        (Fault::CutPair, Some(id)) => {
            let other = pick(&mut rng, &alive).map(Party::Worker);
            cut(world, &mut rng, Some(Party::Worker(id)), other, until);
        }
        (Fault::Isolate, Some(id)) => cut(world, &mut rng, Some(Party::Worker(id)), None, until),
        (Fault::LedgerOutage, _) => cut(world, &mut rng, None, Some(Party::Ledger), until),
        (Fault::BlobOutage, _) => cut(world, &mut rng, None, Some(Party::Blobs), until),
        (Fault::RollBack, _) => {
            world.checks.ledger_lost = true;
            world.ledger.roll_back(now - rng.below(1500));
        }
        (Fault::Wipe, _) => {
            world.checks.ledger_lost = true;
            world.ledger.wipe();
        }
        (Fault::Stale, _) => {
            world.ledger.stale = Some(world.ledger.records.clone());
            world.at(until.min(calm), Item::Thaw);
        }
        (Fault::Damage | Fault::Lose, _) => damage(world, &mut rng, matches!(fault, Fault::Lose)),
        (Fault::Drain, Some(id)) => {
            node(world, id).draining = true;
            world.at(now, Item::Event(id, Event::Drain));
        }
        (Fault::Join, _) => world.join(),
        (Fault::Poison, _) => {}
        (_, None) => {}
    }
}

fn node(world: &mut World, id: WorkerId) -> &mut super::world::Node {
    world.nodes.get_mut(&id).expect("it lives")
}

fn cut(world: &mut World, rng: &mut Rng, a: Option<Party>, b: Option<Party>, until: u64) {
    let way = rng.below(3);
    if way != 1 {
        world.cuts.push(Cut { from: a, to: b, until });
    }
    if way != 0 {
        world.cuts.push(Cut { from: b, to: a, until });
    }
}

/// Damages or loses chunks, or loses receipts, of the newest generations, or a manifest's bytes.
fn damage(world: &mut World, rng: &mut Rng, lose: bool) {
    for _ in 0..=rng.below(3) {
        let recent = world.blobs.manifests().get(rng.below(2) as usize).copied().unwrap_or(0);
        let names: Vec<Blob> = world.blobs.objects.keys().copied().filter(|blob| blob.step() >= recent).collect();
        let Some(blob) = pick(rng, &names) else { return };
        match blob {
            Blob::Receipt { .. } if !lose => continue,
            Blob::Receipt { .. } | Blob::Manifest { .. } => {}
            Blob::Chunk { .. } => world.checks.chunks_hit = true,
        }
        world.blobs.hit.insert(blob);
        if lose && !matches!(blob, Blob::Manifest { .. }) {
            world.blobs.objects.remove(&blob);
        } else if let Some(value) = world.blobs.objects.get_mut(&blob) {
            *value = damaged(value);
        }
    }
}
