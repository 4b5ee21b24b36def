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

/// Box `own` cut into tiles as `tiling` says, as far as the box is large enough.
pub(super) fn tiles<T: Real>(
    layout: &Layout,
    (first, own): (usize, &Span),
    pipeline: &Pipeline,
    tiling: Tiling,
) -> Vec<Span> {
    let depth: usize = pipeline.versions.iter().map(|version| version.depth).sum();
    let mut across = vec![*own];
    if first + 2 < AXES {
        let cut = first + 1;
        let narrowest = (tiling.margins * pipeline.margin[cut]).max(1);
        let most = (own.extent(cut) / narrowest).max(1);
        let fits = |count: &usize| {
            let tile = cuts(own, cut, *count)[0];
            depth * Plane::new(layout, first, &tile, pipeline).len * T::BYTES <= tiling.ring_bytes
        };
        across = cuts(own, cut, (1..=most).find(fits).unwrap_or(most));
    }
    let shortest = (2 * tiling.margins * pipeline.margin[first]).max(1);
    let most = (own.extent(first) / shortest).max(1);
    let along = tiling.tiles.div_ceil(across.len()).min(most);
    across.iter().flat_map(|tile| cuts(tile, first, along)).collect()
}

/// `span` in `count` pieces along `axis`.
fn cuts(span: &Span, axis: usize, count: usize) -> Vec<Span> {
    let count = count.clamp(1, span.extent(axis).max(1));
    let at = |index: usize| span.low[axis] + (span.extent(axis) * index / count).cast_signed();
    (0..count).map(|index| span.with(axis, at(index), at(index + 1))).collect()
}
