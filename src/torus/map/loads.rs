//! What a map of ranks onto the nodes of a network costs: loads of links, ways, and edges between nodes.
//!
//! Input: edges, node of each end. Output: [`Metrics`]. Messages have unit weight, one each way along each edge.
//! Invariant: loads are counted as integers, so that the order of edges changes nothing; `link_load` is finite and
//! never negative, since maps are compared by its bits. The longest way is told, never compared.

use super::ranks::{Cost, Ranks};
use crate::torus::machine::network::{Kind, Network};

/// What a map costs. Compared by largest link load, worst node, total, sum of ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Messages over the busiest link one way, for each link of a node's bandwidth that it stands for.
    pub link_load: f64,
    /// Messages between nodes.
    pub cost: Cost,
    /// Links that all messages take.
    pub hops: u64,
    /// Links of the longest way.
    pub dilation: usize,
}

impl Metrics {
    /// True if this is the better map.
    #[must_use]
    pub fn better(&self, other: &Self) -> bool {
        self.key() < other.key()
    }

    fn key(&self) -> (u64, Cost, u64) {
        // Positive numbers are ordered as their bits are.
        (self.link_load.to_bits(), self.cost, self.hops)
    }
}

/// Messages over each link, from each of `edges` (pairs of nodes) one each way.
pub(super) fn loads(network: &Network, edges: impl Iterator<Item = (usize, usize)>) -> (Vec<u32>, u64, usize) {
    let mut loads = vec![0_u32; network.links()];
    let (mut all, mut most) = (0_u64, 0);
    for (a, b) in edges.filter(|(a, b)| a != b) {
        for (from, to) in [(a, b), (b, a)] {
            let mut hops = 0;
            network.way(from, to, |link| {
                loads[link] += 1;
                hops += 1;
            });
            if network.kind == Kind::None {
                hops /= 2;
            }
            all += hops as u64;
            most = most.max(hops);
        }
    }
    (loads, all, most)
}

/// Largest of `loads`, each over the link's width.
pub(super) fn largest(network: &Network, loads: &[u32]) -> f64 {
    let mut most = 0.0;
    for (link, &load) in loads.iter().enumerate().filter(|(_, load)| **load > 0) {
        let load = f64::from(load) / network.width(link);
        if load > most {
            most = load;
        }
    }
    most
}

/// What the map `node` of `ranks` costs on `network`.
#[must_use]
pub fn metrics(ranks: &Ranks, network: &Network, node: &[u32]) -> Metrics {
    let mut edges = Vec::new();
    ranks.each_edge(|low, high, _| edges.push((node[low] as usize, node[high] as usize)));
    let (loads, hops, dilation) = loads(network, edges.into_iter());
    let link_load = largest(network, &loads);
    Metrics { link_load, cost: ranks.cost(node, network.nodes()), hops, dilation }
}
