//! Gives shares of ranks to the nodes of a network.
//!
//! Input: a share for each rank, the network, the nodes that may be used. Output: a node for each share. Several ways are tried
//! and the best is improved by swaps of two nodes' shares. Invariants: no share without a node, no two on one; the same input
//! gives the same answer, since the work is counted in swaps and chance comes from a fixed seed.

use super::loads::{largest, loads};
use super::ranks::{Ranks, short};
use super::refine::Chance;
use crate::grid::AXES;
use crate::torus::machine::network::{Kind, Network};

/// Edges between shares, and where each share lies.
pub(super) struct Shares {
    pub(super) count: usize,
    edges: Vec<(u32, u32)>,
    /// Sum of the places of each share's ranks along each axis.
    center: Vec<[u64; AXES]>,
}

impl Shares {
    /// Shares of `ranks`, of which rank r is in share `share[r]`.
    pub(super) fn new(ranks: &Ranks, share: &[u32]) -> Self {
        let count = share.iter().max().map_or(0, |&last| last as usize + 1);
        let mut edges = Vec::new();
        ranks.each_edge(|low, high, _| {
            if share[low] != share[high] {
                edges.push((share[low], share[high]));
            }
        });
        let mut center = vec![[0; AXES]; count];
        let mut held = vec![0_u64; count];
        for (rank, &share) in share.iter().enumerate() {
            let place = ranks.place(rank);
            held[share as usize] += 1;
            (0..AXES).for_each(|axis| center[share as usize][axis] += place[axis] as u64);
        }
        for (center, held) in center.iter_mut().zip(held) {
            // In 64ths of a rank, so that whole numbers do.
            center.iter_mut().for_each(|sum| *sum = *sum * 64 / held.max(1));
        }
        Self { count, edges, center }
    }

    /// Edges between shares.
    pub(super) fn edges(&self) -> usize {
        self.edges.len()
    }

    /// Largest link load and sum of ways with share s on node `node[s]`.
    pub(super) fn score(&self, network: &Network, node: &[u32]) -> (f64, u64) {
        let edges = self.edges.iter().map(|&(a, b)| (node[a as usize] as usize, node[b as usize] as usize));
        let (loads, hops, _) = loads(network, edges);
        (largest(network, &loads), hops)
    }

    /// Nodes by halving network and shares again and again, each along its longest axis.
    pub(super) fn halve(&self, network: &Network, usable: &[u32]) -> Vec<u32> {
        let mut node = vec![0; self.count];
        let mut shares: Vec<u32> = (0..self.count).map(short).collect();
        self.halves(network, &mut usable.to_vec(), &mut shares, &mut node);
        node
    }

    fn halves(&self, network: &Network, nodes: &mut [u32], shares: &mut [u32], node: &mut [u32]) {
        if shares.len() <= 1 || nodes.len() <= 1 {
            shares.iter().zip(nodes.iter()).for_each(|(&share, &at)| node[share as usize] = at);
            return;
        }
        let middle = cut(network, nodes);
        // As many shares to each half as it has room for, in proportion.
        let least = shares.len().saturating_sub(nodes.len() - middle);
        let first = (shares.len() * middle).div_ceil(nodes.len()).clamp(least, middle.min(shares.len()));
        let spread = |axis: &usize| {
            let along = shares.iter().map(|&share| self.center[share as usize][*axis]);
            let ends = along.fold((u64::MAX, 0), |ends: (u64, u64), at| (ends.0.min(at), ends.1.max(at)));
            (ends.1.saturating_sub(ends.0), AXES - axis)
        };
        let axis = (0..AXES).max_by_key(spread).unwrap_or(0);
        let key = |share: &u32| {
            let center = &self.center[*share as usize];
            (center[axis], *center, *share)
        };
        if first > 0 && first < shares.len() {
            shares.select_nth_unstable_by_key(first, key);
        }
        let (low_nodes, high_nodes) = nodes.split_at_mut(middle);
        let (low, high) = shares.split_at_mut(first);
        self.halves(network, low_nodes, low, node);
        self.halves(network, high_nodes, high, node);
    }

    /// `node` improved by trying `tries` swaps of what two nodes hold.
    pub(super) fn improve(&self, network: &Network, node: &[u32], usable: &[u32], tries: u64) -> Vec<u32> {
        let mut swaps = Swaps::new(self, network, node, usable);
        let mut chance = Chance::new(0x70_4D5);
        for _ in 0..tries {
            swaps.turn(&mut chance);
        }
        swaps.node
    }
}

/// Puts those `nodes` first, and gives back how many they are, that are one half of them: of the longest side of a torus, of
/// the highest branching of a tree.
fn cut(network: &Network, nodes: &mut [u32]) -> usize {
    let axes = network.shape.len();
    let mut ends = vec![(usize::MAX, 0); axes];
    for &node in nodes.iter() {
        let mut rest = node as usize;
        for axis in (0..axes).rev() {
            let at = rest % network.shape[axis];
            rest /= network.shape[axis];
            ends[axis] = (ends[axis].0.min(at), ends[axis].1.max(at));
        }
    }
    let length = |axis: usize| ends[axis].1 - ends[axis].0;
    let axis = match network.kind {
        Kind::Torus | Kind::None => (0..axes).rev().max_by_key(|&axis| length(axis)),
        Kind::FatTree | Kind::Dragonfly => (0..axes).find(|&axis| length(axis) > 0),
    };
    let axis = axis.unwrap_or(0);
    let middle = (ends[axis].0 + ends[axis].1).div_ceil(2);
    let stride: usize = network.shape[axis + 1..].iter().product();
    let low = |node: u32| node as usize / stride % network.shape[axis] < middle;
    let (mut first, second): (Vec<u32>, Vec<u32>) = nodes.iter().partition(|&&node| low(node));
    let count = first.len();
    first.extend(second);
    nodes.copy_from_slice(&first);
    if count == 0 || count == nodes.len() { nodes.len() / 2 } else { count }
}

/// The nodes among `usable` that `count` shares are laid on: of a torus those in a box at the first node, as near to a cube as
/// can be, of others the first ones.
pub(super) fn near(network: &Network, usable: &[u32], count: usize) -> Vec<u32> {
    if network.kind != Kind::Torus || count == usable.len() {
        return usable[..count].to_vec();
    }
    let mut side = vec![1; network.shape.len()];
    loop {
        let growing = (0..side.len()).rev().filter(|&axis| side[axis] < network.shape[axis]);
        let least = growing.min_by_key(|&axis| side[axis]);
        if side.iter().product::<usize>() >= count || least.is_none() {
            let inside = |node: &u32| network.place(*node as usize).iter().zip(&side).all(|(at, side)| at < side);
            let held: Vec<u32> = usable.iter().copied().filter(inside).collect();
            if held.len() >= count || least.is_none() {
                return held;
            }
        }
        if let Some(axis) = least {
            side[axis] += 1;
        }
    }
}

/// Swaps under way.
struct Swaps<'a> {
    network: &'a Network,
    node: Vec<u32>,
    /// Share on each node.
    on: Vec<Option<u32>>,
    usable: Vec<bool>,
    /// Other ends of each share's edges, from `first` on.
    ends: Vec<u32>,
    first: Vec<usize>,
    loads: Vec<u32>,
    /// Links' widths, as parts of 16.
    widths: Vec<u64>,
}

impl<'a> Swaps<'a> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "widths are small positive numbers")]
    fn new(shares: &Shares, network: &'a Network, node: &[u32], usable: &[u32]) -> Self {
        let mut first = vec![0; shares.count + 1];
        shares.edges.iter().flat_map(|&(a, b)| [a, b]).for_each(|share| first[share as usize + 1] += 1);
        (0..shares.count).for_each(|share| first[share + 1] += first[share]);
        let mut next = first.clone();
        let mut ends = vec![0; 2 * shares.edges.len()];
        for &(a, b) in &shares.edges {
            for (from, to) in [(a, b), (b, a)] {
                ends[next[from as usize]] = to;
                next[from as usize] += 1;
            }
        }
        let mut on = vec![None; network.nodes()];
        node.iter().enumerate().for_each(|(share, &node)| on[node as usize] = Some(short(share)));
        let mut may = vec![false; network.nodes()];
        usable.iter().for_each(|&node| may[node as usize] = true);
        let edges = shares.edges.iter().map(|&(a, b)| (node[a as usize] as usize, node[b as usize] as usize));
        let (loads, ..) = loads(network, edges);
        let widths = (0..network.links()).map(|link| ((16.0 * network.width(link)) as u64).max(1)).collect();
        Self { network, node: node.to_vec(), on, usable: may, ends, first, loads, widths }
    }

    /// Tries to swap a share with what a node beside one of its neighbours holds.
    fn turn(&mut self, chance: &mut Chance) {
        let share = chance.below(self.node.len());
        let own = self.ends.get(self.first[share]..self.first[share + 1]).unwrap_or(&[]);
        if own.is_empty() {
            return;
        }
        let near = self.node[own[chance.below(own.len())] as usize] as usize;
        let to = self.beside(near, chance);
        let from = self.node[share] as usize;
        if to == from || !self.usable[to] {
            return;
        }
        let other = self.on[to];
        let before = self.lift(share, other);
        self.put(share, to, other, from);
        let after = self.lay(share, other);
        if after > before || (after == before && chance.below(2) == 0) {
            self.lift(share, other);
            self.put(share, from, other, to);
            self.lay(share, other);
        }
    }

    fn put(&mut self, share: usize, to: usize, other: Option<u32>, from: usize) {
        self.node[share] = short(to);
        self.on[to] = Some(short(share));
        self.on[from] = other;
        if let Some(other) = other {
            self.node[other as usize] = short(from);
        }
    }

    /// A node beside `node`, or any of its branch.
    fn beside(&self, node: usize, chance: &mut Chance) -> usize {
        let shape = &self.network.shape;
        match self.network.kind {
            Kind::Torus => {
                let axis = chance.below(shape.len());
                let stride: usize = shape[axis + 1..].iter().product();
                let at = node / stride % shape[axis];
                let next = if chance.below(2) == 0 { at + 1 } else { at + shape[axis] - 1 } % shape[axis];
                node - at * stride + next * stride
            }
            Kind::None | Kind::FatTree | Kind::Dragonfly => {
                let branch = shape.last().copied().unwrap_or(1);
                node - node % branch + chance.below(branch)
            }
        }
    }

    /// Takes the messages of two shares off the links; gives back how heavy these links were loaded.
    fn lift(&mut self, share: usize, other: Option<u32>) -> u64 {
        let mut weight = 0_u64;
        self.each_link(share, other, |loads, widths, link| {
            weight = weight
                .wrapping_add(heavy(loads[link], widths[link]).wrapping_sub(heavy(loads[link] - 1, widths[link])));
            loads[link] -= 1;
        });
        weight
    }

    fn lay(&mut self, share: usize, other: Option<u32>) -> u64 {
        let mut weight = 0_u64;
        self.each_link(share, other, |loads, widths, link| {
            weight = weight
                .wrapping_add(heavy(loads[link] + 1, widths[link]).wrapping_sub(heavy(loads[link], widths[link])));
            loads[link] += 1;
        });
        weight
    }

    fn each_link(&mut self, share: usize, other: Option<u32>, mut visit: impl FnMut(&mut [u32], &[u64], usize)) {
        let Self { network, node, ends, first, loads, widths, .. } = self;
        for one in std::iter::once(share).chain(other.map(|other| other as usize)) {
            for &end in &ends[first[one]..first[one + 1]] {
                // An edge between the two is the first's.
                if one != share && end as usize == share {
                    continue;
                }
                let (a, b) = (node[one] as usize, node[end as usize] as usize);
                network.way(a, b, |link| visit(loads, widths, link));
                network.way(b, a, |link| visit(loads, widths, link));
            }
        }
    }
}

/// Weight of a link with `load` messages: its fifth power, so that the fullest links count most, in loads of 16 over its width.
fn heavy(load: u32, width: u64) -> u64 {
    let load = u64::from(load) * 16 / width;
    load.saturating_pow(5)
}
