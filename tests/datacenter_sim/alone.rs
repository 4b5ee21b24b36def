//! Runs meant for one worker: it keeps few shells, and whoever joins it, the same bits come out.

use ringfort::datacenter::protocol::{Bugs, Ending};

use super::scenario::{Shape, finish, run_of};
use super::world::Item;

/// Worlds of several workers whose run was meant for one.
const SEEDS: u64 = 1000;

fn shape(one_worker: bool) -> Shape {
    Shape { ragged: 1, threads: 2, one_worker, ..Shape::new([3, 3], (12, 40)) }
}

/// Most shells that a worker holds that nobody disturbs.
fn most_shells(one_worker: bool) -> usize {
    let mut world = shape(one_worker).world(Bugs::default(), 1);
    world.join();
    world.calm = world.now + 60_000;
    let mut most = 0;
    while world.endings.is_empty() && world.next(&mut |_, _| {}) {
        most = world.nodes.values().map(|node| node.worker.held()[0]).max().unwrap_or(0).max(most);
    }
    assert_eq!((world.checks.failed.take(), &world.endings[..]), (None, &[Ending::Done][..]));
    most
}

#[test]
fn a_worker_alone_keeps_the_shells_that_it_needs() {
    let (alone, among_others) = (most_shells(true), most_shells(false));
    assert!(alone <= 3 * 9 && among_others >= 12 * 9, "{alone} shells alone, {among_others} among others");
}

#[test]
fn a_worker_alone_is_replaced_again_and_again() {
    for seed in 0..50 {
        let mut world = shape(true).world(Bugs::default(), seed);
        world.join();
        let apart = 200 + world.rng.below(2000);
        for number in 1..=4 {
            world.at(world.now + number * apart, Item::Fault(0));
        }
        world.calm = world.now + 5 * apart;
        let outcome = finish(&mut world, &mut |world, _| {
            for id in world.nodes.keys().copied().collect::<Vec<_>>() {
                world.crash(id);
            }
            world.at(world.now + 1, Item::Join);
        });
        assert!(outcome.failed.is_none(), "seed {seed}: {}", outcome.failed.unwrap());
    }
}

#[test]
fn who_joins_a_run_meant_for_one_ends_it_with_the_same_bits() {
    for seed in 0..super::number("RINGFORT_SEEDS").unwrap_or(SEEDS) {
        let failed = run_of(seed, Bugs::default(), true).failed;
        assert!(failed.is_none(), "seed {seed}: {}", failed.unwrap());
    }
}
