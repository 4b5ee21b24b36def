//! Tilings of the grid of ranks by nodes: boxes cut into boxes of whole nodes, down to bricks and strips.
//!
//! Input: the grid of ranks, ranks per node. Output: a node for each rank. A box is laid with equal bricks, or along a curve,
//! or cut in two, each laid by itself, if the first holds whole nodes: strips of any mix of widths are such cuts. Boxes of
//! the same extents are laid once. Invariant: bounded work, whatever the size.

use std::collections::HashMap;

use super::bound::{faces, least_surface};
use super::curve::Curve;
use super::named::dividing;
use super::ranks::{Cost, Ranks, short};
use crate::grid::{AXES, Extents};

/// How a box is laid.
#[derive(Clone, Copy, Debug)]
enum Way {
    One,
    Bricks(Extents),
    Along(Curve),
    /// So many slabs of equal thickness along an axis, then the rest.
    Cut {
        axis: usize,
        thick: usize,
        slabs: usize,
    },
}

/// A box laid: faces around its nodes, the outside of the box included.
#[derive(Clone, Copy, Debug)]
struct Laid {
    faces: Cost,
    way: Way,
}

/// Lays boxes.
pub struct Tiler<'a> {
    ranks: &'a Ranks,
    per_node: usize,
    /// Least surface of a node.
    least: u64,
    /// Longest box side that is cut at every place; longer ones are first cut down in slabs.
    reach: usize,
    laid: HashMap<Extents, Laid>,
    /// Cells that may still be walked over.
    work: u64,
}

impl<'a> Tiler<'a> {
    /// Lays boxes of `ranks` with nodes of `per_node` ranks, walking over at most about `work` cells.
    #[must_use]
    pub fn new(ranks: &'a Ranks, per_node: usize, work: u64) -> Self {
        let axes = ranks.axes().count().max(1);
        let side = side(per_node, axes);
        let reach = match axes {
            1 | 2 => 4 * side + 4,
            3 => 4 * side + 2,
            _ => 3 * side + 2,
        };
        let least = least_surface(ranks, per_node) as u64;
        Self { ranks, per_node, least, reach, laid: HashMap::new(), work }
    }

    /// Node of each rank.
    #[must_use]
    pub fn map(&mut self) -> Vec<u32> {
        let extent = self.ranks.parts;
        self.lay(extent);
        let mut node = vec![0; self.ranks.count()];
        let mut next = 0;
        self.number(extent, [0; AXES], &mut next, &mut node);
        node
    }

    /// Sides of a box that are faces: not where the box spans an axis that wraps around.
    fn counted(&self, extent: Extents) -> [bool; AXES] {
        std::array::from_fn(|axis| {
            let parts = self.ranks.parts[axis];
            parts > 1 && !(self.ranks.periodic[axis] && extent[axis] == parts)
        })
    }

    fn lay(&mut self, extent: Extents) -> Laid {
        if let Some(laid) = self.laid.get(&extent) {
            return *laid;
        }
        let laid = self.best(extent);
        self.laid.insert(extent, laid);
        laid
    }

    fn best(&mut self, extent: Extents) -> Laid {
        let cells: usize = extent.iter().product();
        let counted = self.counted(extent);
        if cells <= self.per_node {
            let faces = faces(extent, counted) as u64;
            return Laid { faces: Cost { worst: faces, total: faces }, way: Way::One };
        }
        let nodes = (cells / self.per_node) as u64;
        let perfect = nodes * self.least;
        let mut best: Option<Laid> = None;
        if cells.is_multiple_of(self.per_node)
            && let Some(&brick) = dividing(extent, self.per_node, counted).first()
        {
            let counted =
                std::array::from_fn(|axis| self.ranks.parts[axis] > 1 && (counted[axis] || brick[axis] < extent[axis]));
            let each = faces(brick, counted) as u64;
            better(&mut best, Laid { faces: Cost { worst: each, total: each * nodes }, way: Way::Bricks(brick) });
        }
        let whole = |best: &Option<Laid>| best.is_some_and(|laid| laid.faces.total <= perfect);
        if !cells.is_multiple_of(self.per_node) || !whole(&best) {
            self.cuts(extent, &mut best, perfect);
        }
        if !whole(&best) {
            self.curves(extent, &mut best);
        }
        best.unwrap_or_else(|| self.along(extent, row_major()))
    }

    /// Tries to cut the box in two.
    fn cuts(&mut self, extent: Extents, best: &mut Option<Laid>, perfect: u64) {
        let cells: usize = extent.iter().product();
        let long = (0..AXES).any(|axis| extent[axis] > 2 * self.reach);
        for axis in (0..AXES).filter(|&axis| extent[axis] > 1) {
            let section = cells / extent[axis];
            let step = self.per_node / common_divisor(section, self.per_node);
            let is_long = extent[axis] > 2 * self.reach;
            if long && !is_long {
                continue;
            }
            let most = if is_long { self.reach } else { extent[axis] - 1 };
            for thick in (step..=most).step_by(step) {
                // Both halves whole: the other order is the same.
                if !is_long && cells.is_multiple_of(self.per_node) && 2 * thick > extent[axis] {
                    break;
                }
                if self.work == 0 {
                    return;
                }
                self.work = self.work.saturating_sub(64);
                let slabs = if is_long { (extent[axis] - self.reach) / thick } else { 1 };
                let (slab, rest) = cut(extent, axis, thick, slabs);
                let first = self.lay(slab).faces;
                if first.total * slabs as u64 >= best.map_or(u64::MAX, |best| best.faces.total) {
                    continue;
                }
                let second = self.lay(rest).faces;
                let all =
                    Cost { worst: first.worst.max(second.worst), total: first.total * slabs as u64 + second.total };
                better(best, Laid { faces: all, way: Way::Cut { axis, thick, slabs } });
                if cells.is_multiple_of(self.per_node) && best.is_some_and(|best| best.faces.total <= perfect) {
                    return;
                }
            }
        }
    }

    /// Tries curves through strips about as wide as a node.
    fn curves(&mut self, extent: Extents, best: &mut Option<Laid>) {
        let cells: u64 = extent.iter().product::<usize>() as u64;
        let axes: Vec<usize> = (0..AXES).filter(|&axis| extent[axis] > 1).collect();
        let side = side(self.per_node, axes.len().max(1));
        let options: Vec<Vec<usize>> = (0..AXES).map(|axis| strip_counts(extent[axis], side, axes.len())).collect();
        for &run in axes.iter().rev() {
            let others: Vec<usize> = (0..AXES).filter(|&axis| axis != run).collect();
            let order = [others[0], others[1], others[2], run];
            for &a in &options[order[0]] {
                for &b in &options[order[1]] {
                    for &c in &options[order[2]] {
                        if self.work < cells && best.is_some() {
                            return;
                        }
                        self.work = self.work.saturating_sub(cells);
                        let mut strips = [1; AXES];
                        (strips[order[0]], strips[order[1]], strips[order[2]]) = (a, b, c);
                        let laid = self.along(extent, Curve { order, strips });
                        better(best, laid);
                    }
                }
            }
        }
    }

    /// The box laid along `curve`.
    fn along(&self, extent: Extents, curve: Curve) -> Laid {
        let inside = Ranks { parts: extent, periodic: self.closed(extent) };
        let counted = self.counted(extent);
        let mut node = vec![0; inside.count()];
        let mut at = 0;
        curve.walk(extent, &mut |cell| {
            node[index(extent, cell)] = short(at / self.per_node);
            at += 1;
        });
        let mut around = inside.leaving(&node, at.div_ceil(self.per_node));
        for axis in (0..AXES).filter(|&axis| counted[axis]) {
            let stride: usize = extent[axis + 1..].iter().product();
            for block in (0..node.len()).step_by(stride * extent[axis]) {
                let end = block + stride * (extent[axis] - 1);
                (block..block + stride).chain(end..end + stride).for_each(|cell| around[node[cell] as usize] += 1);
            }
        }
        let worst = around.iter().copied().max().unwrap_or(0);
        Laid { faces: Cost { worst, total: around.iter().sum() }, way: Way::Along(curve) }
    }

    fn closed(&self, extent: Extents) -> [bool; AXES] {
        std::array::from_fn(|axis| self.ranks.periodic[axis] && extent[axis] == self.ranks.parts[axis])
    }

    /// Numbers the nodes of a box that was laid, from `next` on.
    fn number(&self, extent: Extents, start: Extents, next: &mut usize, node: &mut [u32]) {
        if extent.contains(&0) {
            return;
        }
        let cells: usize = extent.iter().product();
        let at = |cell: Extents| index(self.ranks.parts, std::array::from_fn(|axis| start[axis] + cell[axis]));
        let way = self.laid.get(&extent).map_or(Way::Along(row_major()), |laid| laid.way);
        let first = *next;
        match way {
            Way::One => row_major().walk(extent, &mut |cell| node[at(cell)] = short(first)),
            Way::Bricks(brick) => {
                let coarse: Extents = std::array::from_fn(|axis| extent[axis] / brick[axis]);
                row_major().walk(extent, &mut |cell| {
                    node[at(cell)] = short(first + index(coarse, std::array::from_fn(|axis| cell[axis] / brick[axis])));
                });
            }
            Way::Along(curve) => {
                let mut count = 0;
                curve.walk(extent, &mut |cell| {
                    node[at(cell)] = short(first + count / self.per_node);
                    count += 1;
                });
            }
            Way::Cut { axis, thick, slabs } => {
                let (slab, rest) = cut(extent, axis, thick, slabs);
                let mut from = start;
                for _ in 0..slabs {
                    self.number(slab, from, next, node);
                    from[axis] += thick;
                }
                return self.number(rest, from, next, node);
            }
        }
        *next += cells.div_ceil(self.per_node);
    }
}

fn row_major() -> Curve {
    Curve { order: [0, 1, 2, 3], strips: [usize::MAX; AXES] }
}

fn cut(extent: Extents, axis: usize, thick: usize, slabs: usize) -> (Extents, Extents) {
    let (mut slab, mut rest) = (extent, extent);
    (slab[axis], rest[axis]) = (thick, extent[axis] - thick * slabs);
    (slab, rest)
}

fn index(extent: Extents, cell: Extents) -> usize {
    (0..AXES).fold(0, |index, axis| index * extent[axis] + cell[axis])
}

fn better(best: &mut Option<Laid>, laid: Laid) {
    let key = |laid: &Laid| (laid.faces.total, laid.faces.worst);
    if best.as_ref().is_none_or(|best| key(&laid) < key(best)) {
        *best = Some(laid);
    }
}

/// Numbers of strips along an axis of `length` whose widths are near `side`.
fn strip_counts(length: usize, side: usize, axes: usize) -> Vec<usize> {
    if length == 1 {
        return vec![1];
    }
    let (low, high) = match axes {
        1 | 2 => ((side * 2).div_ceil(3), side * 2),
        3 => (side.saturating_sub(1).max(1), side + 2),
        _ => (side.max(1), side + 1),
    };
    let mut all: Vec<usize> = (low.max(1)..=high.min(length)).map(|wide| length / wide).collect();
    all.push(length.div_ceil(high.min(length)).max(1));
    all.sort_unstable();
    all.dedup();
    all
}

/// Whole side of the largest cube of at most `cells` cells.
fn side(cells: usize, axes: usize) -> usize {
    let volume = |side: usize| (0..axes).fold(1_usize, |all, _| all.saturating_mul(side));
    (1..=cells).take_while(|&side| volume(side) <= cells).last().unwrap_or(1)
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
