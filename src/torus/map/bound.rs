//! What no map can beat that fills every node but the last: least numbers of edges between nodes, proven.
//!
//! A node's faces, counted around its ranks, are its edges to other nodes and those at the outside of the grid, of
//! which all nodes together have a known number. So the total is at least the sum of least surfaces less that number.
//!
//! Input: the grid of ranks, ranks per node. Output: a least worst node and a least total. Invariant: a bound may be
//! too low, never too high: it is printed as proven, and the search stops at a map that meets it.
//!
//! Sources. Least surface of `n` unit cubes: R. Ahlswede, S. L. Bezrukov, "Edge isoperimetric theorems for integer
//! point arrays", Applied Mathematics Letters 8 (1995); L. Alonso, R. Cerf, "The three dimensional polyominoes of
//! minimal area", Electronic Journal of Combinatorics 3 (1996). In a narrow grid: L. H. Loomis, H. Whitney, "An
//! inequality related to the isoperimetric inequality", Bulletin of the AMS 55 (1949): the product of a set's
//! projections along its axes is at least its size to the power of one less than the number of axes.

use super::ranks::{Cost, Ranks};
use crate::grid::{AXES, Extents};

/// Least edges of any map of `ranks` onto nodes of `per_node` ranks, the last of which may hold fewer.
#[must_use]
pub fn least(ranks: &Ranks, per_node: usize) -> Cost {
    let count = ranks.count();
    if count <= per_node {
        return Cost::default();
    }
    let (full, rest) = (count / per_node, count % per_node);
    let outside: usize =
        ranks.axes().filter(|&axis| !ranks.periodic[axis]).map(|axis| 2 * count / ranks.parts[axis]).sum();
    let surface = least_surface(ranks, per_node);
    let all = full * surface + if rest > 0 { least_surface(ranks, rest) } else { 0 };
    let total = all.saturating_sub(outside);
    let nodes = full + usize::from(rest > 0);
    let closed = ranks.axes().all(|axis| ranks.periodic[axis]);
    let worst = total.div_ceil(nodes).max(if closed { surface } else { 0 });
    Cost { worst: worst as u64, total: total as u64 }
}

/// Least number of faces around any `size` ranks of `ranks`; faces at the outside of the grid count.
pub fn least_surface(ranks: &Ranks, size: usize) -> usize {
    let lengths: Vec<usize> = ranks.axes().map(|axis| ranks.parts[axis]).collect();
    let wraps: Vec<bool> = ranks.axes().map(|axis| ranks.periodic[axis] && ranks.parts[axis] <= size).collect();
    // Which axes have a full line around: along these some lines have no face at all.
    let sets = (0..1_usize << lengths.len()).filter(|set| (0..lengths.len()).all(|at| set >> at & 1 == 0 || wraps[at]));
    sets.map(|set| surface_around(&lengths, set, size)).min().unwrap_or(0)
}

/// Lines along one axis that a set of ranks touches: how many there may be, and the faces along the axis.
#[derive(Clone, Copy)]
struct Lines {
    low: usize,
    high: usize,
    /// Length of the axis, if some lines may be full and have no face.
    around: Option<usize>,
    size: usize,
}

impl Lines {
    /// Least faces along the axis if `lines` lines are touched: two for each that is not full.
    fn faces(self, lines: usize) -> usize {
        match self.around {
            None => 2 * lines,
            // `full` full lines and at least one rank on each other: `full * (length - 1) <= size - lines`.
            Some(1) => 0,
            Some(length) => 2 * lines.saturating_sub(self.size.saturating_sub(lines) / (length - 1)),
        }
    }
}

/// Least faces if exactly the axes of the bit set `around` have a full line.
fn surface_around(lengths: &[usize], around: usize, size: usize) -> usize {
    let axes = lengths.len();
    let full = |at: usize| around >> at & 1 == 1;
    let lines = |at: usize| {
        // A full line along another axis is touched by as many lines as it is long.
        let crossed = (0..axes).filter(|&other| other != at && full(other)).map(|other| lengths[other]).max();
        Lines {
            low: size.div_ceil(lengths[at]).max(crossed.unwrap_or(1)),
            high: (lengths.iter().product::<usize>() / lengths[at]).min(size),
            around: full(at).then_some(lengths[at]),
            size,
        }
    };
    let all: Vec<Lines> = (0..axes).map(lines).collect();
    let needed = (1..axes).fold(1_u128, |product, _| product.saturating_mul(size as u128));
    let projected = least_faces(&all, needed, usize::MAX);
    // Without full lines, pushing all ranks towards one corner adds no line, and the set fits a space without ends.
    if around == 0 { projected.max(cubes(size, axes)) } else { projected }
}

/// Least faces, if below `most`, with numbers of lines whose product is at least `needed`; else `most`.
fn least_faces(all: &[Lines], needed: u128, mut most: usize) -> usize {
    let Some((first, rest)) = all.split_first() else { return if needed <= 1 { 0 } else { most } };
    if rest.is_empty() {
        let lines = usize::try_from(needed).unwrap_or(usize::MAX).max(first.low);
        return if lines <= first.high { most.min(first.faces(lines)) } else { most };
    }
    let others: u128 = rest.iter().fold(1, |product, lines| product.saturating_mul(lines.high as u128));
    let low = usize::try_from(needed.div_ceil(others)).unwrap_or(usize::MAX).max(first.low);
    let beside: usize = rest.iter().map(|lines| lines.faces(lines.low)).sum();
    for lines in low..=first.high {
        let faces = first.faces(lines);
        if faces + beside >= most {
            break;
        }
        most = faces + least_faces(rest, needed.div_ceil(lines as u128), most - faces);
    }
    most
}

/// Least surface of `size` unit cubes in `axes` dimensions.
pub(super) fn cubes(size: usize, axes: usize) -> usize {
    if size == 0 {
        return 0;
    }
    if axes == 1 {
        return 2;
    }
    // The largest box, sides alike but for one, that holds no more; the rest is a least shape on one of its sides.
    let mut sides = vec![1; axes];
    for at in (0..axes).cycle() {
        let grown = sides.iter().enumerate().map(|(axis, &side)| if axis == at { side + 1 } else { side });
        if grown.product::<usize>() > size {
            break;
        }
        sides[at] += 1;
    }
    let volume: usize = sides.iter().product();
    let surface: usize = sides.iter().map(|side| 2 * volume / side).sum();
    surface + cubes(size - volume, axes - 1)
}

/// Surface of a box.
pub(super) fn faces(extent: Extents, counted: [bool; AXES]) -> usize {
    let volume: usize = extent.iter().product();
    (0..AXES).filter(|&axis| counted[axis]).map(|axis| 2 * volume / extent[axis]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_surfaces() {
        assert_eq!([48, 47, 49, 5, 1].map(|size| cubes(size, 2)), [28, 28, 28, 10, 4]);
        assert_eq!([32, 48, 64, 128, 27, 28].map(|size| cubes(size, 3)), [64, 80, 96, 158, 54, 58]);
    }

    /// Least surface of `size` cells of a small grid, by trying all sets.
    fn tried(ranks: &Ranks, size: usize) -> usize {
        let count = ranks.count();
        let axes: Vec<usize> = ranks.axes().collect();
        let neighbors = ranks.neighbors();
        let width = 2 * axes.len();
        (0..1_u32 << count)
            .filter(|set| set.count_ones() as usize == size)
            .map(|set| {
                let inside = |rank: usize| set >> rank & 1 == 1;
                let faces = |rank: usize| {
                    let own = &neighbors[rank * width..(rank + 1) * width];
                    own.iter().filter(|&&other| other as usize == rank || !inside(other as usize)).count()
                };
                (0..count).filter(|&rank| inside(rank)).map(faces).sum()
            })
            .min()
            .unwrap()
    }

    #[test]
    fn no_set_of_ranks_has_less() {
        let mut tight = 0;
        let mut cases = 0;
        for parts in [[1, 1, 3, 5], [1, 1, 2, 7], [1, 1, 4, 4], [1, 2, 3, 2], [1, 2, 2, 4], [2, 2, 2, 2]] {
            for mask in 0..16_usize {
                let periodic = std::array::from_fn(|axis| mask >> axis & 1 == 1);
                if (0..AXES).any(|axis| periodic[axis] && parts[axis] == 1) {
                    continue;
                }
                let ranks = Ranks { parts, periodic };
                for size in 1..=8 {
                    let (bound, found) = (least_surface(&ranks, size), tried(&ranks, size));
                    assert!(bound <= found, "{size} of {ranks:?}: bound {bound}, but {found} is there");
                    tight += usize::from(bound == found);
                    cases += 1;
                }
            }
        }
        assert!(4 * tight > 3 * cases, "{tight} of {cases} bounds are reached");
    }
}
