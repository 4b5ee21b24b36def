//! Every subset of lost workers, at every skew: survivors compute nothing again, and the same bits come out.

use ringfort::datacenter::protocol::{Blob, Block, Bugs, Ending, WorkerId};

use super::scenario::{Shape, finish};
use super::world::{Item, World};

fn ids(world: &World) -> Vec<WorkerId> {
    world.nodes.keys().copied().collect()
}

/// Nine workers with a block each; the first is so slow that others get `skew` rounds ahead of it, as far as neighbours let
/// them. Then the workers of `lost` die, and as many others come.
fn lose(world: &mut World, lost: u32, skew: u64) {
    for _ in 0..9 {
        world.at(world.now, Item::Join);
    }
    let (from, to) = loop {
        assert!(world.next(&mut |_, _| {}), "{:?}", world.checks.failed);
        let reached = |id: WorkerId| world.nodes[&id].worker.lines().filter_map(|(_, step)| step).collect::<Vec<u64>>();
        let steps: Vec<u64> = ids(world).into_iter().flat_map(reached).collect();
        let (Some(&from), Some(&to)) = (steps.iter().min(), steps.iter().max()) else { continue };
        if steps.len() == 9 && from >= 2 {
            // From here on one block stands still.
            let slow = ids(world).into_iter().find(|id| world.nodes[id].worker.lines().any(|(b, _)| b.0 == 0));
            world.nodes.get_mut(&slow.unwrap()).unwrap().slow = 40;
            if to - from >= skew {
                break (from, to);
            }
        }
    };
    assert!((skew..=3).contains(&(to - from)), "{from} to {to}");
    for (number, id) in ids(world).into_iter().enumerate() {
        world.nodes.get_mut(&id).unwrap().slow = 1;
        if lost >> number & 1 == 1 {
            world.crash(id);
            world.at(world.now + 1, Item::Join);
        }
    }
    world.calm = world.now;
}

fn every_subset(parts: [usize; 2], wrap: bool, skews: std::ops::RangeInclusive<u64>) {
    let shape = Shape { wrap, ..Shape::new(parts, (4, 10)) };
    for skew in skews {
        for lost in 0..1 << 9 {
            let mut world = shape.world(Bugs::default(), u64::from(lost) << 2 | skew);
            lose(&mut world, lost, skew);
            let failed = finish(&mut world, &mut |_, _| {}).failed;
            assert!(failed.is_none(), "lost {lost:09b}, skew {skew}: {}", failed.unwrap());
            assert!(world.endings.iter().all(|ending| *ending == Ending::Done), "{:?}", world.endings);
        }
    }
}

#[test]
fn any_loss_on_three_by_three() {
    every_subset([3, 3], true, 0..=1);
}

#[test]
fn any_loss_between_walls() {
    every_subset([3, 3], false, 1..=2);
}

#[test]
fn any_loss_in_a_row() {
    every_subset([1, 9], false, 3..=3);
}

/// A worker with four blocks in a row dies when all but one of them have a new chunk. Who comes after it starts that one from
/// the chunk before, and the others' shells from there on are made again on the side: once each.
#[test]
fn what_is_made_again_is_made_once() {
    for seed in 0..20 {
        let mut world = Shape { wrap: false, ..Shape::new([1, 4], (12, 40)) }.world(Bugs::default(), seed);
        world.join();
        world.calm = world.now + 60_000;
        let chunk = |block| Blob::Chunk { step: 12, block: Block(block) };
        while !(0..4).all(|block| world.blobs.objects.contains_key(&chunk(block))) {
            assert!(world.next(&mut |_, _| {}), "{:?}", world.checks.failed);
        }
        let old = seed as usize % 4;
        world.blobs.objects.retain(|blob, _| match *blob {
            Blob::Chunk { step, block } | Blob::Receipt { step, block, .. } => (step, block) != (12, Block(old)),
            Blob::Manifest { step } => step != 12,
        });
        ids(&world).into_iter().for_each(|id| world.crash(id));
        let before = world.checks.rounds;
        world.at(world.now + 1, Item::Join);
        let failed = finish(&mut world, &mut |_, _| {}).failed;
        assert!(failed.is_none(), "seed {seed}: {}", failed.unwrap());
        let (rounds, most) = (world.checks.rounds - before, 4 * (40 - 12) + 4 * 12);
        assert!(rounds <= most, "seed {seed}: {rounds} rounds, {most} would do");
    }
}
