//! A generation is damaged at the very moment when some know that it is complete and others do not, and often those who know
//! it die or leave: the others must neither wait for it for ever nor for what it let go of.

use ringfort::datacenter::protocol::{Blob, Block, Bugs, Ending, Event, WorkerId};
use ringfort::random::Rng;

use super::scenario::{Shape, finish};
use super::stores::damaged;
use super::world::{Item, World};

/// Time during which generations are damaged, and between two looks for one.
const SPAN_MS: u64 = 4000;
const LOOK_MS: u64 = 7;
/// Most generations damaged in a world.
const HITS: u64 = 3;

/// Runs a world of a few workers; what went wrong, if anything did.
fn ends_badly(bugs: Bugs, seed: u64) -> Option<String> {
    let mut rng = Rng::new(seed);
    let shape = Shape::from(&mut rng);
    let mut world = shape.world(bugs, rng.bits());
    for _ in 0..2 + rng.below(3) {
        world.at(world.now + rng.below(300), Item::Join);
    }
    for number in 0..SPAN_MS / LOOK_MS {
        world.at(world.now + number * LOOK_MS, Item::Fault(0));
    }
    world.calm = world.now + SPAN_MS;
    let mut left = 1 + rng.below(HITS);
    let outcome = finish(&mut world, &mut |world, _| left -= u64::from(left > 0 && strike(world, &mut rng)));
    let badly = world.endings.iter().find(|ending| !matches!(ending, Ending::Done | Ending::Drained));
    outcome.failed.or_else(|| badly.map(|ending| format!("a worker ends with {ending:?}")))
}

/// Damages the newest generation if it is known to some alone; true if it did.
fn strike(world: &mut World, rng: &mut Rng) -> bool {
    let newest = world.nodes.values().map(|node| node.worker.newest()).max().unwrap_or(0);
    let (know, others): (Vec<WorkerId>, Vec<WorkerId>) =
        world.nodes.keys().partition(|id| world.nodes[id].worker.newest() == newest);
    let manifest = Blob::Manifest { step: newest };
    if others.is_empty() || !world.blobs.intact(manifest) || rng.below(3) == 0 {
        return false;
    }
    hit(world, manifest, false);
    for _ in 0..=rng.below(2) {
        let block = Block(rng.below(world.config.blocks() as u64) as usize);
        let lose = rng.below(2) == 0;
        hit(world, Blob::Chunk { step: newest, block }, lose);
        let of = |blob: &Blob| matches!(*blob, Blob::Receipt { step, block: of, .. } if (step, of) == (newest, block));
        let receipt = world.blobs.objects.keys().copied().find(of);
        receipt.filter(|_| rng.below(4) > 0).into_iter().for_each(|receipt| hit(world, receipt, true));
    }
    let fate = rng.below(4);
    for id in know {
        match fate {
            0 => world.crash(id),
            1 => {
                world.nodes.get_mut(&id).unwrap().draining = true;
                world.at(world.now, Item::Event(id, Event::Drain));
            }
            _ => continue,
        }
        world.at(world.now + rng.below(500), Item::Join);
    }
    true
}

fn hit(world: &mut World, blob: Blob, lose: bool) {
    if blob.step() == 0 || !world.blobs.objects.contains_key(&blob) {
        return;
    }
    world.checks.chunks_hit |= matches!(blob, Blob::Chunk { .. });
    world.blobs.hit.insert(blob);
    if lose {
        world.blobs.objects.remove(&blob);
    } else if let Some(value) = world.blobs.objects.get_mut(&blob) {
        *value = damaged(value);
    }
}

#[test]
fn what_some_know_and_others_cannot_read() {
    let seeds = super::number("RINGFORT_SEEDS").unwrap_or(2000);
    let failed: Vec<(u64, String)> =
        (0..seeds).filter_map(|seed| Some((seed, ends_badly(Bugs::default(), seed)?))).collect();
    for (seed, what) in failed.iter().take(20) {
        println!("seed {seed}: {what}");
    }
    assert!(failed.is_empty(), "{} of {seeds} worlds end badly", failed.len());
}

#[test]
fn mistakes_about_what_others_know_are_caught() {
    for (name, bugs) in [
        ("manifest_forgotten", Bugs { manifest_forgotten: true, ..Bugs::default() }),
        ("handover_too_early", Bugs { handover_too_early: true, ..Bugs::default() }),
        ("starts_far_ahead", Bugs { starts_far_ahead: true, ..Bugs::default() }),
    ] {
        let caught = (0..2000).find_map(|seed| Some((seed, ends_badly(bugs, seed)?)));
        let (seed, what) = caught.unwrap_or_else(|| panic!("{name} is not caught"));
        println!("{name}: seed {seed}: {}", what.chars().take(150).collect::<String>());
    }
}
