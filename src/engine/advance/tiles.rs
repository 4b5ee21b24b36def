//! Cutting boxes: tiles for threads, pieces between which messages are poked, shells around an interior.
//!
//! Invariant: the pieces of a box are disjoint and make it up. Pure integers.

use ringfort_kernels::Real;

use super::Tiling;
use super::pipeline::Pipeline;
use super::tiled::Plane;
use crate::field::{Layout, Span};
use crate::grid::AXES;

/// Cells of the widest vector.
const WIDEST: isize = 16;

/// The slowest axis with enough cells to cut into `count` pieces, else the one with the most cells; the fastest axis
/// only where no other has more than one cell.
fn cut_axis(span: &Span, count: usize) -> usize {
    let slow = (0..AXES - 1).find(|&axis| span.extent(axis) >= count);
    let most = (0..AXES - 1).max_by_key(|&axis| span.extent(axis)).filter(|&axis| span.extent(axis) > 1);
    slow.or(most).unwrap_or(AXES - 1)
}

pub(super) fn tile_indices(span: &Span, tiles: usize) -> std::ops::Range<usize> {
    let axis = cut_axis(span, tiles);
    let least = if axis == AXES - 1 { 512 } else { 1 };
    0..tiles.min(span.extent(axis).div_ceil(least))
}

/// Tile `index` of `span`; the tiles of all indices in [`tile_indices`] are disjoint and make up the span.
pub(super) fn tile(span: &Span, tiles: usize, index: usize) -> Span {
    let axis = cut_axis(span, tiles);
    let count = tile_indices(span, tiles).len();
    let extent = span.extent(axis);
    let at = |index: usize| {
        let even = span.low[axis] + (extent * index / count).cast_signed();
        // Rows are computed in whole vectors, which must not reach into the next tile.
        if axis == AXES - 1 && index > 0 && index < count { even.div_euclid(WIDEST) * WIDEST } else { even }
    };
    span.with(axis, at(index), at(index + 1))
}

pub(super) fn pieces(span: &Span, count: usize) -> impl Iterator<Item = Span> + use<> {
    let span = *span;
    tile_indices(&span, count).map(move |index| tile(&span, count, index))
}

/// `span` in `count` pieces along `axis`, one after the other.
pub(super) fn pieces_along(span: &Span, axis: usize, count: usize) -> impl Iterator<Item = Span> + use<> {
    let (span, extent) = (*span, span.extent(axis));
    let at = move |index: usize| span.low[axis] + (extent * index / count).cast_signed();
    (0..count).map(move |index| span.with(axis, at(index), at(index + 1)))
}

/// `outer` without `inner`, as disjoint boxes, at most two per axis.
pub(super) fn shells(outer: &Span, inner: &Span) -> impl Iterator<Item = Span> + use<> {
    let mut rest = *outer;
    let inner = *inner;
    (0..AXES).flat_map(move |axis| {
        let low = rest.with(axis, rest.low[axis], inner.low[axis]);
        let high = rest.with(axis, inner.high[axis], rest.high[axis]);
        rest = rest.with(axis, inner.low[axis], inner.high[axis]);
        [low, high].into_iter().filter(|shell| shell.cells() > 0)
    })
}

/// `span` with rows of whole vectors of `width` cells, of which the first cell of the block begins one.
pub(super) fn widened(span: &Span, width: usize) -> Span {
    let width = width.cast_signed();
    let (low, high) = (span.low[AXES - 1], span.high[AXES - 1]);
    span.with(AXES - 1, low.div_euclid(width) * width, (high + width - 1).div_euclid(width) * width)
}

/// Box `own` cut into tiles as `tiling` says, as far as the box is large enough: along rows if `rows`, then along the axis after
/// the first, then along the first.
pub(super) fn tiles<T: Real>(
    layout: &Layout,
    (first, own, rows): (usize, &Span, bool),
    pipeline: &Pipeline,
    tiling: Tiling,
) -> Vec<Span> {
    let depth: usize = pipeline.versions.iter().map(|version| version.depth).sum();
    let narrowest = |axis: usize| (tiling.margins * pipeline.margin[axis]).max(1);
    let last = AXES - 1;
    let wide = (tiling.row_bytes / T::BYTES).max(narrowest(last)).max(WIDEST.unsigned_abs());
    let count = if rows { (own.extent(last) / wide).max(1) } else { 1 };
    let mut across = cuts_at(own, last, count, WIDEST);
    if first + 2 < AXES {
        let cut = first + 1;
        let most = (own.extent(cut) / narrowest(cut)).max(1);
        let widest = across.iter().max_by_key(|tile| tile.extent(last)).copied().unwrap_or(*own);
        let fits = |count: &usize| {
            let tile = cuts(&widest, cut, *count)[0];
            depth * Plane::new(layout, first, &tile, pipeline).len * T::BYTES <= tiling.ring_bytes
        };
        let count = (1..=most).find(fits).unwrap_or(most);
        across = across.iter().flat_map(|tile| cuts(tile, cut, count)).collect();
    }
    let most = (own.extent(first) / (2 * narrowest(first))).max(1);
    let along = tiling.tiles.div_ceil(across.len()).min(most);
    across.iter().flat_map(|tile| cuts(tile, first, along)).collect()
}

/// `span` in `count` pieces along `axis`.
fn cuts(span: &Span, axis: usize, count: usize) -> Vec<Span> {
    cuts_at(span, axis, count, 1)
}

/// `span` in at most `count` pieces along `axis`, cut at multiples of `step`.
fn cuts_at(span: &Span, axis: usize, count: usize, step: isize) -> Vec<Span> {
    let count = count.clamp(1, span.extent(axis).max(1));
    let at = |index: usize| match index {
        0 => span.low[axis],
        _ if index == count => span.high[axis],
        _ => (span.low[axis] + (span.extent(axis) * index / count).cast_signed()).div_euclid(step) * step,
    };
    (0..count).map(|index| span.with(axis, at(index), at(index + 1))).filter(|piece| piece.extent(axis) > 0).collect()
}
