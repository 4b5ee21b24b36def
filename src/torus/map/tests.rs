//! Maps against published numbers, against the named algorithms, and against what no map can beat.
//!
//! Invariant: without a network the cost of a map is counted anew here, rank by rank, and not taken at its word.
//! Random grids follow from one seed, so that every run tries the same. Published numbers are the most that may come
//! out: a change of the search may lower them, never raise them.

use super::bound::least_surface;
use super::refine::Chance;
use super::*;

fn switch(nodes: usize) -> Network {
    Network { kind: Kind::None, shape: vec![nodes], wrap: vec![true], oversubscription: 1.0 }
}

fn torus(shape: &[usize]) -> Network {
    Network { kind: Kind::Torus, shape: shape.to_vec(), wrap: vec![true; shape.len()], oversubscription: 1.0 }
}

fn all(network: &Network) -> Vec<u32> {
    (0..network.nodes()).map(short).collect()
}

/// The best map without a network, checked: no node holds more than its ranks, and what it is said to cost is so.
fn mapped(ranks: &Ranks, per_node: usize) -> Map {
    let network = switch(ranks.count().div_ceil(per_node));
    let map = best(ranks, Nodes { network: &network, usable: &all(&network), per_node });
    let mut held = vec![0; network.nodes()];
    map.node.iter().for_each(|&node| held[node as usize] += 1);
    assert!(held.iter().all(|&held| held <= per_node), "{ranks:?} {per_node}");
    assert_eq!(map.metrics.cost, counted(ranks, &map.node));
    map
}

/// Edges between nodes, counted rank by rank.
fn counted(ranks: &Ranks, node: &[u32]) -> Cost {
    let mut leaving = std::collections::BTreeMap::new();
    for rank in 0..ranks.count() {
        let place = ranks.place(rank);
        for axis in ranks.axes() {
            for up in [false, true] {
                let length = ranks.parts[axis];
                let mut next = place;
                next[axis] = (place[axis] + if up { 1 } else { length - 1 }) % length;
                let crossed = if up { next[axis] == 0 } else { place[axis] == 0 };
                let other = (0..AXES).fold(0, |at, axis| at * ranks.parts[axis] + next[axis]);
                if (!crossed || ranks.periodic[axis]) && node[other] != node[rank] {
                    *leaving.entry(node[rank]).or_insert(0) += 1;
                }
            }
        }
    }
    Cost { worst: leaving.values().copied().max().unwrap_or(0), total: leaving.values().sum() }
}

/// The largest numbers of total and worst that may come out, for grids without periodic axes.
const PUBLISHED: [(Extents, usize, u64, u64); 9] = [
    ([1, 1, 50, 48], 48, 1204, 28),
    ([1, 1, 75, 64], 48, 2560, 30),
    ([1, 1, 60, 40], 48, 1200, 28),
    ([1, 1, 80, 60], 48, 2520, 28),
    ([1, 1, 64, 64], 32, 2816, 24),
    ([1, 16, 15, 10], 48, 2980, 86),
    ([1, 16, 16, 16], 32, 6656, 64),
    ([1, 32, 32, 32], 64, 43008, 96),
    ([1, 20, 16, 15], 48, 6280, 80),
];

#[test]
fn published_instances() {
    for (parts, per_node, total, worst) in PUBLISHED {
        let map = mapped(&Ranks { parts, periodic: [false; AXES] }, per_node);
        let cost = map.metrics.cost;
        println!(
            "{parts:?} with {per_node}: {}/{} by {}, bound {}/{}",
            cost.total, cost.worst, map.name, map.bound.total, map.bound.worst
        );
        assert!(cost.total <= total && cost.worst <= worst, "{parts:?} with {per_node}: {cost:?}, not {total}/{worst}");
        assert!(map.bound.total <= cost.total && map.bound.worst <= cost.worst);
    }
}

#[test]
fn links_of_a_torus_carry_three_messages_at_most() {
    let network = torus(&[16, 16, 16]);
    let usable = all(&network);
    for (parts, row_major) in
        [([1, 1, 64, 64], 5.0), ([1, 32, 16, 8], 18.0), ([8, 8, 8, 8], 18.0), ([1, 16, 16, 16], 1.0)]
    {
        let ranks = Ranks { parts, periodic: [true; AXES] };
        let straight = metrics(&ranks, &network, &usable);
        assert_eq!(straight.link_load, row_major, "row-major {parts:?}");
        let map = best(&ranks, Nodes { network: &network, usable: &usable, per_node: 1 });
        println!("{parts:?}: {:?} by {}", map.metrics, map.name);
        assert!(map.metrics.link_load <= 3.0 && map.metrics.link_load <= row_major, "{parts:?}: {:?}", map.metrics);
        let mut nodes = map.node.clone();
        nodes.sort_unstable();
        assert_eq!(nodes, usable, "each node holds one rank");
        assert_eq!(map.metrics, metrics(&ranks, &network, &map.node));
    }
}

#[test]
fn every_network_gets_a_map_and_the_same_one_again() {
    let fat = |kind| Network { kind, shape: vec![3, 4, 5], wrap: vec![true; 3], oversubscription: 2.0 };
    for network in [torus(&[3, 4, 5]), fat(Kind::FatTree), fat(Kind::Dragonfly), switch(60)] {
        let usable: Vec<u32> = all(&network).into_iter().filter(|node| node % 11 != 3).collect();
        for (parts, per_node) in [([1, 1, 10, 20], 4), ([1, 5, 6, 7], 6), ([1, 1, 1, 53], 1), ([2, 3, 4, 5], 7)] {
            let ranks = Ranks { parts, periodic: [true, false, true, false] };
            let nodes = Nodes { network: &network, usable: &usable, per_node };
            let map = best(&ranks, nodes);
            assert_eq!(map, best(&ranks, nodes));
            let mut held = std::collections::BTreeMap::new();
            map.node.iter().for_each(|node| *held.entry(*node).or_insert(0) += 1);
            assert!(
                held.iter().all(|(node, &held)| held <= per_node && usable.contains(node)),
                "{network:?} {parts:?}"
            );
            let straight: Vec<u32> = (0..ranks.count()).map(|rank| usable[rank / per_node]).collect();
            assert!(!metrics(&ranks, &network, &straight).better(&map.metrics), "{network:?} {parts:?}");
        }
    }
}

#[test]
fn few_ranks_stay_together_on_a_large_torus() {
    let network = torus(&[20, 30, 40]);
    let usable: Vec<u32> = all(&network).into_iter().filter(|node| node % 97 != 5).collect();
    let ranks = Ranks { parts: [1, 4, 4, 4], periodic: [false; AXES] };
    let map = best(&ranks, Nodes { network: &network, usable: &usable, per_node: 2 });
    assert!(map.metrics.dilation <= 6 && map.metrics.link_load <= 8.0, "{:?}", map.metrics);
}

/// True if some box of `size` cells has the least surface and fits: such nodes may tile the grid at the bound.
fn reachable(ranks: &Ranks, size: usize) -> bool {
    // A box that spans an axis which wraps around has no faces along it.
    let surface = |brick: &Extents| {
        let spans = |axis: usize| ranks.parts[axis] == 1 || (ranks.periodic[axis] && brick[axis] == ranks.parts[axis]);
        bound::faces(*brick, std::array::from_fn(|axis| !spans(axis)))
    };
    let fits = |brick: &Extents| (0..AXES).all(|axis| brick[axis] <= ranks.parts[axis]);
    let mut boxes = vec![([1; AXES], size)];
    for axis in 0..AXES {
        let with = |&(brick, rest): &(Extents, usize)| {
            (1..=rest).filter(move |side| rest % side == 0).map(move |side| {
                let mut next: Extents = brick;
                next[axis] = side;
                (next, rest / side)
            })
        };
        boxes = boxes.iter().flat_map(with).collect();
    }
    let least = least_surface(ranks, size);
    let mut whole = boxes.iter().filter(|(brick, rest)| *rest == 1 && fits(brick));
    ranks.count().is_multiple_of(size) && whole.any(|(brick, _)| surface(brick) <= least)
}

/// Mean share by which maps of random grids are above the bound where it may be reached, for 2, 3 and 4 axes.
fn random(instances: usize) -> [(usize, f64); 3] {
    let mut chance = Chance::new(20_260_101);
    let mut gaps = [(0, 0.0); 3];
    for at in 0..instances {
        let axes = 2 + at % 3;
        let longest = [48, 18, 8][axes - 2];
        let per_node = 4 + chance.below(125);
        let (mut parts, mut periodic) = ([1; AXES], [false; AXES]);
        for axis in AXES - axes..AXES {
            parts[axis] = 2 + chance.below(longest - 1);
            periodic[axis] = chance.below(2) == 1;
        }
        // Every other grid holds whole nodes, where it can be found.
        for _ in 0..200 * ((at / 3) % 2) {
            if parts.iter().product::<usize>() % per_node == 0 {
                break;
            }
            parts[AXES - 1 - chance.below(axes)] = 2 + chance.below(longest - 1);
        }
        let ranks = Ranks { parts, periodic };
        let cost = mapped(&ranks, per_node).metrics.cost;
        let bound = bound::least(&ranks, per_node);
        assert!(
            bound.total <= cost.total && bound.worst <= cost.worst,
            "{ranks:?} {per_node}: {cost:?} below {bound:?}"
        );
        let nodes = ranks.count().div_ceil(per_node);
        for name in named::NAMES {
            let Some(other) = named::map(name, &ranks, per_node) else { continue };
            let other = ranks.cost(&other, nodes);
            let dominated = other.total <= cost.total && other.worst <= cost.worst && other != cost;
            assert!(!dominated, "{ranks:?} {per_node}: {name} has {other:?}, ours {cost:?}");
        }
        if bound.total > 0 && reachable(&ranks, per_node) {
            #[allow(clippy::cast_precision_loss, reason = "a mean")]
            let gap = cost.total as f64 / bound.total as f64 - 1.0;
            gaps[axes - 2].0 += 1;
            gaps[axes - 2].1 += gap;
        }
    }
    gaps.map(|(count, sum)| (count, sum / f64::from(short(count.max(1)))))
}

#[test]
fn no_named_algorithm_is_better() {
    println!("instances and mean gap for 2, 3, 4 axes: {:?}", random(24));
}

#[test]
#[ignore = "minutes of one core"]
fn no_named_algorithm_is_better_on_2_000_instances() {
    let gaps = random(2_000);
    println!("instances and mean gap for 2, 3, 4 axes: {gaps:?}");
    assert!(gaps[0].0 > 50 && gaps[0].1 <= 0.015, "{gaps:?}");
    assert!(gaps[1].0 > 10 && gaps[1].1 <= 0.03, "{gaps:?}");
}

#[test]
#[ignore = "for a release build: the time is printed"]
fn a_million_ranks() {
    for (parts, per_node, shape) in [
        ([1, 100, 100, 100], 1, vec![100, 100, 100]),
        ([1, 100, 100, 100], 4, vec![50, 50, 100]),
        ([1, 1, 1000, 1000], 1, vec![100, 100, 100]),
        ([1, 1, 1000, 1000], 16, vec![50, 50, 25]),
    ] {
        let ranks = Ranks { parts, periodic: [true; AXES] };
        let network = torus(&shape);
        let usable = all(&network);
        let began = crate::clock::now();
        let map = best(&ranks, Nodes { network: &network, usable: &usable, per_node });
        println!(
            "{parts:?} with {per_node}: {:?} by {}, {:?}",
            map.metrics,
            map.name,
            crate::clock::now().duration_since(began)
        );
        assert!(map.metrics.link_load < 100.0);
    }
}
