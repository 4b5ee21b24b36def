//! Workers that are late again and again, longer than a lease, and never die: no block is blamed for that.

use ringfort::datacenter::protocol::{Bugs, Ending};

use super::scenario::{LIMITS, Shape, finish};

/// Times that some worker is late.
const TIMES: usize = 24;

/// Runs a world of three workers; true if it ends well.
fn ends_well(bugs: Bugs, seed: u64) -> bool {
    let shape = Shape::new([2, 2], (12, 24));
    let mut world = shape.world(bugs, seed);
    for _ in 0..3 {
        world.join();
    }
    let (start, apart) = (world.now, LIMITS.lease_ms * 5 / 4);
    for number in 0..TIMES {
        let spread = world.rng.below(apart);
        world.at(start + number as u64 * apart + spread, super::world::Item::Fault(number));
    }
    world.calm = start + (TIMES as u64 + 2) * apart;
    let outcome = finish(&mut world, &mut |world, number| {
        // Often the one that computes what the last one left: the block that is under suspicion.
        let ids: Vec<_> = world.nodes.keys().copied().collect();
        let busy = ids.iter().copied().filter(|id| world.nodes[id].worker.lines().next().is_some());
        let busy: Vec<_> = busy.collect();
        if let Some(id) = busy.get(number % busy.len().max(1)) {
            let until = world.now + apart + world.rng.below(apart);
            let node = world.nodes.get_mut(id).unwrap();
            (node.paused_until, node.slow) = (until, 20);
        }
        world.nodes.values_mut().for_each(|node| node.slow = 20);
    });
    outcome.failed.is_none() && world.endings.iter().all(|ending| *ending == Ending::Done)
}

#[test]
fn who_is_late_was_not_killed() {
    let wrong: Vec<u64> = (0..100).filter(|&seed| !ends_well(Bugs::default(), seed)).collect();
    assert!(wrong.is_empty(), "seeds {wrong:?}");
    let mistaken = Bugs { late_is_dead: true, ..Bugs::default() };
    let caught = (0..100).filter(|&seed| !ends_well(mistaken, seed)).count();
    println!("with the late taken for dead, {caught} of 100 worlds end badly");
    assert!(caught > 0, "the mistake is not caught");
}
