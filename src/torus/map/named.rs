//! Maps by published algorithms: where no network is known, and for no more ranks than `LARGE`, what ours is never
//! worse than.
//!
//! Input: the grid of ranks, ranks per node. Output: a node for each rank. Invariant: no node has more than its
//! ranks, nodes are numbered from 0 without gaps, and where they lie in the network is not decided here. The
//! algorithms stay as published: they are what ours is measured against.
//!
//! Sources. Bricks: W. Gropp, "Using node and socket information to implement MPI Cartesian topologies", Parallel
//! Computing 85 (2019). Hyperplane, k-d tree, stencil strips: S. Hunold, K. von Kirchbach, M. Lehr, C. Schulz, J. L.
//! Träff, "Efficient process-to-node mapping algorithms for stencil computations", IEEE Cluster 2020. Hilbert's curve
//! in any number of dimensions: J. Skilling, "Programming the Hilbert curve", AIP Conference Proceedings 707 (2004).

use super::bound::faces;
use super::curve::Curve;
use super::ranks::{Ranks, short};
use crate::grid::{AXES, Extents};

/// Names of the algorithms.
pub const NAMES: [&str; 6] = ["row-major", "bricks", "hyperplane", "k-d tree", "stencil strips", "Hilbert"];

/// Node of each rank by the algorithm called `name`, with `per_node` ranks on each node; none where it has no answer.
#[must_use]
pub fn map(name: &str, ranks: &Ranks, per_node: usize) -> Option<Vec<u32>> {
    let order = match name {
        "row-major" => (0..ranks.count()).map(short).collect(),
        "bricks" => return bricks(ranks, per_node),
        "hyperplane" => {
            let mut order = Vec::with_capacity(ranks.count());
            hyperplane(ranks, [0; AXES], ranks.parts, per_node, &mut order);
            order
        }
        "k-d tree" => {
            let mut order = Vec::with_capacity(ranks.count());
            halves(ranks, [0; AXES], ranks.parts, &mut order);
            order
        }
        "stencil strips" => strips(ranks, per_node),
        "Hilbert" => hilbert(ranks),
        _ => return None,
    };
    Some(chunks(&order, per_node))
}

/// Node of each rank if `order` fills one node after another.
#[must_use]
pub(super) fn chunks(order: &[u32], per_node: usize) -> Vec<u32> {
    let mut node = vec![0; order.len()];
    for (group, ranks) in order.chunks(per_node).enumerate() {
        ranks.iter().for_each(|&rank| node[rank as usize] = short(group));
    }
    node
}

/// The boxes of `per_node` cells that tile a box of `extent`, best first: least surface, faces along axes in `counted`.
pub(super) fn dividing(extent: Extents, per_node: usize, counted: [bool; AXES]) -> Vec<Extents> {
    let mut all = vec![([1; AXES], per_node)];
    for axis in 0..AXES {
        let with = |(brick, rest): &(Extents, usize)| {
            let (brick, rest) = (*brick, *rest);
            let fits = move |side: &usize| rest.is_multiple_of(*side) && extent[axis].is_multiple_of(*side);
            (1..=extent[axis].min(rest)).filter(fits).map(move |side| {
                let mut next: Extents = brick;
                next[axis] = side;
                (next, rest / side)
            })
        };
        all = all.iter().flat_map(with).collect();
    }
    let mut whole: Vec<Extents> = all.into_iter().filter(|(_, rest)| *rest == 1).map(|(brick, _)| brick).collect();
    // An axis that one brick spans and that wraps around has no faces.
    let surface =
        |brick: &Extents| faces(*brick, std::array::from_fn(|axis| counted[axis] || brick[axis] < extent[axis]));
    whole.sort_by_key(|brick| (surface(brick), *brick));
    whole
}

fn bricks(ranks: &Ranks, per_node: usize) -> Option<Vec<u32>> {
    let counted = ranks.periodic.map(|periodic| !periodic);
    let brick = *dividing(ranks.parts, per_node, counted).first()?;
    let coarse: Extents = std::array::from_fn(|axis| ranks.parts[axis] / brick[axis]);
    let node = |rank: usize| {
        let place = ranks.place(rank);
        short((0..AXES).fold(0, |node, axis| node * coarse[axis] + place[axis] / brick[axis]))
    };
    Some((0..ranks.count()).map(node).collect())
}

/// Ranks of a box in row-major order.
fn rows(ranks: &Ranks, start: Extents, extent: Extents, order: &mut Vec<u32>) {
    let cells = extent.iter().product();
    let inside = Ranks { parts: extent, periodic: [false; AXES] };
    for cell in 0..cells {
        let place = inside.place(cell);
        order.push(short((0..AXES).fold(0, |rank, axis| rank * ranks.parts[axis] + start[axis] + place[axis])));
    }
}

/// Cuts the longest axis that allows it, as near to the middle as whole nodes allow, until one node is left.
fn hyperplane(ranks: &Ranks, start: Extents, extent: Extents, per_node: usize, order: &mut Vec<u32>) {
    let cells: usize = extent.iter().product();
    let mut axes: Vec<usize> = (0..AXES).filter(|&axis| extent[axis] > 1).collect();
    axes.sort_by_key(|&axis| std::cmp::Reverse(extent[axis]));
    let cut = axes.iter().find_map(|&axis| {
        let (slice, middle) = (cells / extent[axis], extent[axis] / 2);
        let at = (0..middle).flat_map(|away| [middle - away, middle + away]);
        let whole = |at: &usize| *at < extent[axis] && (slice * at).is_multiple_of(per_node);
        at.into_iter().find(whole).map(|at| (axis, at))
    });
    match cut {
        Some((axis, at)) if cells > per_node => {
            let (mut low, mut high, mut from) = (extent, extent, start);
            (low[axis], high[axis], from[axis]) = (at, extent[axis] - at, start[axis] + at);
            hyperplane(ranks, start, low, per_node, order);
            hyperplane(ranks, from, high, per_node, order);
        }
        _ => rows(ranks, start, extent, order),
    }
}

/// Halves the longest axis until single ranks are left.
fn halves(ranks: &Ranks, start: Extents, extent: Extents, order: &mut Vec<u32>) {
    let axis = (0..AXES).rev().max_by_key(|&axis| extent[axis]).unwrap_or(0);
    if extent[axis] == 1 {
        return rows(ranks, start, extent, order);
    }
    let at = extent[axis] / 2;
    let (mut low, mut high, mut from) = (extent, extent, start);
    (low[axis], high[axis], from[axis]) = (at, extent[axis] - at, start[axis] + at);
    halves(ranks, start, low, order);
    halves(ranks, from, high, order);
}

/// Strips along the longest axis, as wide in every other as a cube of one node's ranks.
fn strips(ranks: &Ranks, per_node: usize) -> Vec<u32> {
    let mut order: [usize; AXES] = std::array::from_fn(|axis| axis);
    order.sort_by_key(|&axis| ranks.parts[axis]);
    let axes = ranks.axes().count().max(1);
    let side = (1..=per_node).rev().find(|side| side.pow(u32::try_from(axes).unwrap_or(1)) <= per_node).unwrap_or(1);
    let strips = ranks.parts.map(|length| (length / side).max(1));
    let mut all = Vec::with_capacity(ranks.count());
    Curve { order, strips }.walk(ranks.parts, &mut |cell| {
        all.push(short((0..AXES).fold(0, |rank, axis| rank * ranks.parts[axis] + cell[axis])));
    });
    all
}

fn hilbert(ranks: &Ranks) -> Vec<u32> {
    let axes: Vec<usize> = ranks.axes().collect();
    let longest = axes.iter().map(|&axis| ranks.parts[axis]).max().unwrap_or(1);
    let bits = usize::BITS - (longest - 1).leading_zeros();
    let mut all: Vec<(u128, u32)> = (0..ranks.count())
        .map(|rank| {
            let place = ranks.place(rank);
            (hilbert_index(&axes.iter().map(|&axis| place[axis]).collect::<Vec<_>>(), bits), short(rank))
        })
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(_, rank)| rank).collect()
}

/// Position of the cell at `place`, of a cube with sides of 2^`bits` cells, along Hilbert's curve.
pub(super) fn hilbert_index(place: &[usize], bits: u32) -> u128 {
    let mut x = place.to_vec();
    let last = x.len().saturating_sub(1);
    for bit in (1..bits).rev() {
        let high = 1 << bit;
        for axis in 0..x.len() {
            if x[axis] & high != 0 {
                x[0] ^= high - 1;
            } else {
                let swap = (x[0] ^ x[axis]) & (high - 1);
                x[0] ^= swap;
                x[axis] ^= swap;
            }
        }
    }
    for axis in 1..x.len() {
        x[axis] ^= x[axis - 1];
    }
    let mut turn = 0;
    for bit in (1..bits).rev() {
        if x.get(last).is_some_and(|value| value >> bit & 1 == 1) {
            turn ^= (1 << bit) - 1;
        }
    }
    x.iter_mut().for_each(|value| *value ^= turn);
    (0..bits).rev().fold(0, |index, bit| x.iter().fold(index, |index, value| index << 1 | (value >> bit & 1) as u128))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hilbert_steps_to_a_neighbour() {
        for axes in 1..=4 {
            let bits = if axes > 2 { 2 } else { 4 };
            let side = 1_usize << bits;
            let mut all: Vec<(u128, Vec<usize>)> = (0..side.pow(axes))
                .map(|at| {
                    let place: Vec<usize> = (0..axes).map(|axis| at / side.pow(axis) % side).collect();
                    (hilbert_index(&place, bits), place)
                })
                .collect();
            all.sort();
            for pair in all.windows(2) {
                let apart: usize = pair[0].1.iter().zip(&pair[1].1).map(|(a, b)| a.abs_diff(*b)).sum();
                assert!(pair[0].0 + 1 == pair[1].0 && apart == 1, "{pair:?}");
            }
        }
    }
}
