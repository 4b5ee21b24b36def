//! All cuts of a grid into a number of parts, the best of them, and the nearest numbers that can be cut at all.
//!
//! Input: grid, number of parts, cells that a step reads. Output: cuts. Exact: every factorisation is looked at, and none
//! twice. Invariant: no part is empty, and none is narrower than what a step reads across a cut or around an axis.

use super::{Cuts, divides};
use crate::grid::{AXES, Extents, Grid};

/// One way to cut: parts along each axis, and the largest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Parts along each axis.
    pub parts: Extents,
    /// Extents of the largest block.
    pub largest: Extents,
}

impl Candidate {
    /// Cells of the largest block.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.largest.iter().product()
    }

    /// Cells that the largest block sends to one side of each cut axis, each face `radius` cells deep.
    #[must_use]
    pub fn surface(&self, radius: Extents) -> usize {
        let cells = self.cells();
        let cut = (0..AXES).filter(|&axis| self.parts[axis] > 1);
        cut.map(|axis| (cells / self.largest[axis]).saturating_mul(radius[axis])).sum()
    }
}

/// Calls `visit` with every way to cut `grid` into `parts` parts that are at least `radius` cells wide across cuts and
/// along periodic axes.
pub fn each(grid: &Grid, parts: usize, radius: Extents, visit: &mut impl FnMut(Candidate)) {
    let divisors = divisors(parts);
    if divisors.is_empty() {
        return;
    }
    let mut blocks: [Vec<usize>; AXES] = std::array::from_fn(|_| vec![0; divisors.len()]);
    for axis in 0..AXES {
        for (at, &count) in divisors.iter().enumerate() {
            if possible(grid, axis, count, radius) {
                blocks[axis][at] = grid.points[axis].div_ceil(count);
            }
        }
    }
    let walk = Walk { quotients: quotients(&divisors), divisors, blocks, last: AXES - 1 };
    let none = Candidate { parts: [1; AXES], largest: [1; AXES] };
    walk.place(grid.first(), walk.divisors.len() - 1, none, visit);
}

/// True if `count` parts along `axis` are neither empty nor too narrow.
fn possible(grid: &Grid, axis: usize, count: usize, radius: Extents) -> bool {
    let points = grid.points[axis];
    if !divides(points, count) {
        return false;
    }
    let smallest = points - points.div_ceil(count) * (count - 1);
    (count == 1 && !grid.periodic(axis)) || axis < grid.first() || smallest >= radius[axis]
}

/// What the walk over all factorisations looks up.
struct Walk {
    divisors: Vec<usize>,
    /// For each divisor its own divisors, each with the quotient, as positions in `divisors`.
    quotients: Vec<Vec<(usize, usize)>>,
    /// Largest block along each axis for each divisor; 0: not possible.
    blocks: [Vec<usize>; AXES],
    last: usize,
}

impl Walk {
    fn place(&self, axis: usize, rest: usize, sofar: Candidate, visit: &mut impl FnMut(Candidate)) {
        let with = |at: usize| {
            let mut next = sofar;
            (next.parts[axis], next.largest[axis]) = (self.divisors[at], self.blocks[axis][at]);
            next
        };
        if axis == self.last {
            if self.blocks[axis][rest] > 0 {
                visit(with(rest));
            }
            return;
        }
        for &(at, quotient) in &self.quotients[rest] {
            if self.blocks[axis][at] > 0 {
                self.place(axis + 1, quotient, with(at), visit);
            }
        }
    }
}

/// Divisors of `number` in rising order.
fn divisors(number: usize) -> Vec<usize> {
    let low: Vec<usize> = (1..=number.isqrt()).filter(|&divisor| number.is_multiple_of(divisor)).collect();
    let high: Vec<usize> = low.iter().rev().map(|&divisor| number / divisor).collect();
    let skip = usize::from(low.last() == high.first() && !low.is_empty());
    low.into_iter().chain(high.into_iter().skip(skip)).collect()
}

/// For each of `divisors` its own divisors with their quotients, as positions.
fn quotients(divisors: &[usize]) -> Vec<Vec<(usize, usize)>> {
    let own = |(at, &number): (usize, &usize)| {
        let dividing: Vec<usize> = (0..=at).filter(|&below| number.is_multiple_of(divisors[below])).collect();
        // Divisors and quotients are the same list, once from each end.
        dividing.iter().copied().zip(dividing.iter().rev().copied()).collect()
    };
    divisors.iter().enumerate().map(own).collect()
}

/// The best of all: least largest block, then least halo surface of it (faces on cut axes only, each `radius` deep), then
/// the one that keeps the fastest axis longest.
pub(super) fn best(grid: &Grid, parts: usize, radius: Extents) -> Option<Cuts> {
    let mut least: Option<((usize, usize, Extents), Extents)> = None;
    each(grid, parts, radius, &mut |candidate| {
        let cells = candidate.cells();
        if least.is_some_and(|((most, ..), _)| cells > most) {
            return;
        }
        let mut from_last = candidate.parts;
        from_last.reverse();
        let score = (cells, candidate.surface(radius), from_last);
        if least.is_none_or(|(best, _)| score < best) {
            least = Some((score, candidate.parts));
        }
    });
    least.map(|(_, parts)| Cuts { points: grid.points, parts })
}

/// How far from a number of parts each number is looked at, before all that can be are.
const NEAR: usize = 64;

/// Largest number of parts below `parts` and smallest above that the grid can be cut into.
pub(super) fn nearest(grid: &Grid, parts: usize, radius: Extents) -> (Option<usize>, Option<usize>) {
    // In a grid with many ways to be cut the next number is not far; with few, all are soon looked at.
    let fits = |count: &usize| best(grid, *count, radius).is_some();
    let most = grid.points.iter().fold(1_usize, |all, &points| all.saturating_mul(points));
    let below = (parts.saturating_sub(NEAR).max(1)..parts.min(most + 1)).rev().find(fits);
    let above = (parts + 1..=most.min(parts.saturating_add(NEAR))).find(fits);
    if below.is_some() && above.is_some() {
        return (below, above);
    }
    let far = furthest(grid, parts, radius);
    (below.or(far.0), above.or(far.1))
}

/// The same from the numbers of parts that each axis can be cut into.
fn furthest(grid: &Grid, parts: usize, radius: Extents) -> (Option<usize>, Option<usize>) {
    let mut counts: Vec<Vec<usize>> = (grid.first()..AXES).map(|axis| counts(grid, axis, radius)).collect();
    counts.sort_by_key(Vec::len);
    let Some(longest) = counts.pop() else { return (None, None) };
    let mut found = (None, None);
    products(&counts, 1, &mut |product| {
        // Products of this one that are below `parts` are the first so many.
        let below = longest.partition_point(|&count| product.saturating_mul(count) < parts);
        let above = longest.partition_point(|&count| product.saturating_mul(count) <= parts);
        if let Some(&count) = below.checked_sub(1).and_then(|at| longest.get(at)) {
            found.0 = found.0.max(Some(product * count));
        }
        if let Some(all) = longest.get(above).and_then(|&count| product.checked_mul(count)) {
            found.1 = Some(found.1.map_or(all, |least: usize| least.min(all)));
        }
    });
    found
}

/// Numbers of parts, in rising order, that `axis` can be cut into.
fn counts(grid: &Grid, axis: usize, radius: Extents) -> Vec<usize> {
    let points = grid.points[axis];
    let root = points.isqrt() + 1;
    let mut all: Vec<usize> = (1..=root).chain((1..=root).map(|size| points.div_ceil(size))).collect();
    all.sort_unstable();
    all.dedup();
    all.retain(|&count| possible(grid, axis, count, radius));
    all
}

/// Calls `visit` with the product of every choice of one number from each list.
fn products(lists: &[Vec<usize>], sofar: usize, visit: &mut impl FnMut(usize)) {
    match lists.split_first() {
        None => visit(sofar),
        Some((first, rest)) => {
            for &number in first {
                products(rest, sofar.saturating_mul(number), visit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
