//! The grid of ranks as a graph, and what a map of it onto nodes costs.
//!
//! Input: ranks along each axis, which axes wrap around. Output: edges, and counts of those between nodes. Pure
//! integers. Invariant: rank r is cell r, slowest axis first, as parts are numbered. Each edge is visited once; an
//! axis of one rank has none, and one of two that wraps around has two between the same ranks.

use crate::grid::{AXES, Extents};

/// The grid of ranks: rank r is cell r, slowest axis first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// Ranks along each axis.
    pub parts: Extents,
    /// Axes that wrap around.
    pub periodic: [bool; AXES],
}

/// Messages between nodes in one exchange, one for each directed edge. Ordered: the worst node first, then the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Those that leave the node which sends most.
    pub worst: u64,
    /// All.
    pub total: u64,
}

impl Ranks {
    /// Number of ranks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.iter().product()
    }

    /// Axes with more than one rank.
    pub fn axes(&self) -> impl Iterator<Item = usize> + use<> {
        let parts = self.parts;
        (0..AXES).filter(move |&axis| parts[axis] > 1)
    }

    /// Ranks to skip to the next one along `axis`.
    #[must_use]
    pub fn stride(&self, axis: usize) -> usize {
        self.parts[axis + 1..].iter().product()
    }

    /// Place of `rank` in the grid.
    #[must_use]
    pub fn place(&self, rank: usize) -> Extents {
        let mut rest = rank;
        let mut place = [0; AXES];
        for axis in (0..AXES).rev() {
            place[axis] = rest % self.parts[axis];
            rest /= self.parts[axis];
        }
        place
    }

    /// Calls `visit` with both ends and the axis of every edge, low end first. An axis of two that wraps around has two
    /// edges between the same ranks.
    pub fn each_edge(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for axis in self.axes() {
            let (stride, length) = (self.stride(axis), self.parts[axis]);
            for block in (0..self.count()).step_by(stride * length) {
                for low in block..block + stride * (length - 1) {
                    visit(low, low + stride, axis);
                }
                if self.periodic[axis] {
                    for high in block + stride * (length - 1)..block + stride * length {
                        visit(high, high - stride * (length - 1), axis);
                    }
                }
            }
        }
    }

    /// Neighbours of every rank: `2 * axes().count()` entries each, low and high side of each axis; the rank itself where
    /// there is none.
    #[must_use]
    pub fn neighbors(&self) -> Vec<u32> {
        let width = 2 * self.axes().count();
        let count = self.count();
        let mut all: Vec<u32> = (0..count).flat_map(|rank| std::iter::repeat_n(short(rank), width)).collect();
        let column: Vec<usize> = {
            let mut column = vec![0; AXES];
            self.axes().enumerate().for_each(|(at, axis)| column[axis] = 2 * at);
            column
        };
        self.each_edge(|low, high, axis| {
            all[low * width + column[axis] + 1] = short(high);
            all[high * width + column[axis]] = short(low);
        });
        all
    }

    /// Directed edges that leave each of `nodes` nodes under the map `node`.
    #[must_use]
    pub fn leaving(&self, node: &[u32], nodes: usize) -> Vec<u64> {
        let mut leaving = vec![0; nodes];
        self.each_edge(|low, high, _| {
            let (a, b) = (node[low], node[high]);
            if a != b {
                leaving[a as usize] += 1;
                leaving[b as usize] += 1;
            }
        });
        leaving
    }

    /// What the map `node` onto `nodes` nodes costs.
    #[must_use]
    pub fn cost(&self, node: &[u32], nodes: usize) -> Cost {
        let leaving = self.leaving(node, nodes);
        Cost { worst: leaving.iter().copied().max().unwrap_or(0), total: leaving.iter().sum() }
    }
}

/// A number of ranks or nodes, which are fewer than 2^32.
pub(super) fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
