//! Maps ranks onto nodes: which ranks share a node, and which node that is.
//!
//! Input: the grid of ranks, ranks per node, the network. Output: a node for each rank, what it costs, and what no map can
//! beat. Several algorithms are tried and the best map is improved; maps are compared by the largest load of a link, then the
//! worst node, then all edges between nodes. Invariants: no node holds more than its ranks; the same input gives the same map
//! (work is counted, never timed).

pub mod bound;
pub mod curve;
mod fold;
pub mod loads;
pub mod named;
mod place;
pub mod ranks;
pub mod refine;
pub mod tiling;

use fold::folds;
use loads::{Metrics, metrics};
use place::{Shares, near};
use ranks::{Cost, Ranks, short};

use super::machine::network::{Kind, Network};
use crate::grid::{AXES, Extents};

/// A map of ranks onto nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Node of each rank.
    pub node: Vec<u32>,
    /// How it was made.
    pub name: String,
    /// What it costs.
    pub metrics: Metrics,
    /// Edges that no map can do without.
    pub bound: Cost,
}

/// Where ranks may go.
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a> {
    /// How nodes are joined.
    pub network: &'a Network,
    /// Nodes that may be used, in rising order.
    pub usable: &'a [u32],
    /// Ranks of each.
    pub per_node: usize,
}

/// Cells of boxes that a search for tilings may walk over, for small and for large grids of ranks.
const WALKED: (u64, u64) = (20_000_000, 2_000_000);
/// Swaps of ranks that are tried, for each rank, and in all.
const SWAPS: (u64, u64) = (3_000, 3_000_000);
/// Edges that may be sent over the network to compare places, in all.
const SENT: usize = 6_000_000;
/// Grids of more ranks than this are large: what takes long is left out.
const LARGE: usize = 200_000;

/// The best map of `ranks` onto `nodes` that is found.
///
/// # Panics
///
/// If the nodes have no room for all ranks.
#[must_use]
pub fn best(ranks: &Ranks, nodes: Nodes<'_>) -> Map {
    let count = ranks.count();
    assert!(count <= nodes.usable.len().saturating_mul(nodes.per_node), "{count} ranks do not fit the nodes");
    let bound = bound::least(ranks, nodes.per_node);
    let links = nodes.network.links_of_node() as u64;
    // No map has less on its busiest link, nor fewer links in all, than this.
    let least_load = if nodes.network.kind == Kind::Torus { bound.worst.div_ceil(links) } else { bound.worst };
    let perfect = |map: &Map| {
        map.metrics.link_load <= real(least_load) && map.metrics.cost == bound && map.metrics.hops == bound.total
    };
    let mut found: Option<Map> = None;
    let mut keep = |node: Vec<u32>, name: &str| {
        let metrics = metrics(ranks, nodes.network, &node);
        if found.as_ref().is_none_or(|best| metrics.better(&best.metrics)) {
            found = Some(Map { node, name: name.to_owned(), metrics, bound });
        }
        found.as_ref().is_some_and(&perfect)
    };
    let all = partitions(ranks, nodes.per_node, bound);
    let whole = |share: &[u32], node: &[u32]| share.iter().map(|&share| node[share as usize]).collect();
    let numbered = all.first().is_some_and(|(share, name)| keep(whole(share, nodes.usable), name));
    if !numbered && nodes.network.kind != Kind::None {
        let folded = if nodes.network.kind == Kind::Torus { folded(ranks, nodes) } else { Vec::new() };
        let quick = count > LARGE && !folded.is_empty();
        for (node, name) in folded {
            keep(node, &name);
        }
        for (share, name) in all.iter().take(if quick { 0 } else { usize::MAX }) {
            keep(whole(share, &placed(ranks, share, nodes)), name);
        }
    }
    let Some(best) = found else { unreachable!("there is always the row-major map") };
    if nodes.network.kind == Kind::None || perfect(&best) { best } else { moved(ranks, nodes, best) }
}

#[allow(clippy::cast_precision_loss, reason = "a few messages")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Ways to part the ranks into shares of one node each, with names: the best ones first.
fn partitions(ranks: &Ranks, per_node: usize, bound: Cost) -> Vec<(Vec<u32>, String)> {
    let count = ranks.count();
    let shares = count.div_ceil(per_node);
    if per_node == 1 {
        return vec![((0..count).map(short).collect(), "one rank per node".into())];
    }
    let large = count > LARGE;
    let work = if large { WALKED.1 } else { WALKED.0 };
    let tiled = tiling::Tiler::new(ranks, per_node, work).map();
    let mut all = vec![(tiled, "tiling".to_owned())];
    if !large || ranks.cost(&all[0].0, shares).total > bound.total {
        let named = named::NAMES.iter().filter(|&&name| !large || name != "Hilbert");
        all.extend(named.filter_map(|name| Some((named::map(name, ranks, per_node)?, (*name).to_owned()))));
    }
    all.sort_by_cached_key(|(share, _)| ranks.cost(share, shares));
    let tries = (SWAPS.0 * count as u64).min(SWAPS.1);
    if !large && ranks.cost(&all[0].0, shares).total > bound.total {
        let free = bound::least_surface(ranks, per_node) as u64;
        let refined = |(share, name): &(Vec<u32>, String)| {
            (refine::refine(ranks, share, bound, (tries, free)), format!("{name}, swaps"))
        };
        let mut better: Vec<(Vec<u32>, String)> = vec![refined(&all[0])];
        // The tiling may have fewer edges in all than the map with the best worst node, and come out ahead.
        if let Some(tiled) = all.iter().skip(1).find(|(_, name)| name == "tiling") {
            better.push(refined(tiled));
        }
        all.extend(better);
        all.sort_by_cached_key(|(share, _)| ranks.cost(share, shares));
    }
    all
}

/// Node of each share of `share`: as numbered or by halves.
fn placed(ranks: &Ranks, share: &[u32], nodes: Nodes<'_>) -> Vec<u32> {
    let shares = Shares::new(ranks, share);
    let straight = nodes.usable[..shares.count].to_vec();
    let halved = shares.halve(nodes.network, &near(nodes.network, nodes.usable, shares.count));
    let score = |node: &[u32]| {
        let (load, hops) = shares.score(nodes.network, node);
        (load.to_bits(), hops)
    };
    if score(&halved) < score(&straight) { halved } else { straight }
}

/// Maps by folding the grid of bricks into the torus.
fn folded(ranks: &Ranks, nodes: Nodes<'_>) -> Vec<(Vec<u32>, String)> {
    if nodes.usable.len() < nodes.network.nodes() || !ranks.count().is_multiple_of(nodes.per_node) {
        return Vec::new();
    }
    let counted = ranks.periodic.map(|periodic| !periodic);
    let bricks = named::dividing(ranks.parts, nodes.per_node, counted);
    let mut all = Vec::new();
    let few = if ranks.count() > LARGE { 1 } else { 6 };
    let sent = if ranks.count() > LARGE { SENT } else { 2 * SENT };
    for brick in bricks.into_iter().take(few) {
        let shares: Extents = std::array::from_fn(|axis| ranks.parts[axis] / brick[axis]);
        let inside = Ranks { parts: shares, periodic: [false; AXES] };
        let share = |rank: usize| {
            let place = ranks.place(rank);
            (0..AXES).fold(0, |share, axis| share * inside.parts[axis] + place[axis] / brick[axis])
        };
        let share: Vec<u32> = (0..ranks.count()).map(|rank| short(share(rank))).collect();
        let ties = Shares::new(ranks, &share);
        let most = (sent / few / ties.edges().max(1)).clamp(1, 48);
        let mut best: Option<((u64, u64), Vec<u32>)> = None;
        for fold in folds(shares, nodes.network, most.div_ceil(2)) {
            for node in turned(fold, nodes.network, most) {
                let (load, hops) = ties.score(nodes.network, &node);
                if best.as_ref().is_none_or(|(least, _)| (load.to_bits(), hops) < *least) {
                    best = Some(((load.to_bits(), hops), node));
                }
            }
        }
        if let Some((_, node)) = best {
            all.push((share.iter().map(|&share| node[share as usize]).collect(), "folded".to_owned()));
        }
    }
    all
}

/// Nodes of the shares by `fold`, as it is and with the places on shared axes in turn.
fn turned(fold: fold::Fold, network: &Network, most: usize) -> Vec<Vec<u32>> {
    let mut all = vec![fold.nodes(network)];
    let shared = fold.shared();
    if most < 4 || shared.is_empty() {
        return all;
    }
    let mut turned = fold;
    shared.iter().for_each(|&torus| turned.interleave(torus));
    all.push(turned.nodes(network));
    all
}

/// `map` with what nodes hold swapped where that helps the busiest links.
fn moved(ranks: &Ranks, nodes: Nodes<'_>, map: Map) -> Map {
    let mut number = vec![u32::MAX; nodes.network.nodes()];
    let mut held = Vec::new();
    let share: Vec<u32> = map
        .node
        .iter()
        .map(|&node| {
            if number[node as usize] == u32::MAX {
                number[node as usize] = short(held.len());
                held.push(node);
            }
            number[node as usize]
        })
        .collect();
    let shares = Shares::new(ranks, &share);
    let tries = (SENT as u64 / 30).min(60 * held.len() as u64);
    if ranks.count() > LARGE || shares.edges() == 0 {
        return map;
    }
    let better = shares.improve(nodes.network, &held, nodes.usable, tries);
    let node: Vec<u32> = share.iter().map(|&share| better[share as usize]).collect();
    let metrics = metrics(ranks, nodes.network, &node);
    if metrics.better(&map.metrics) { Map { node, name: format!("{}, moves", map.name), metrics, ..map } } else { map }
}

#[cfg(test)]
mod tests;
