//! What the tiles of a block go through in several steps, worked out once.
//!
//! Input: a block's layout, a number of steps, a tiling. Output: for each tile, where its planes lie and what is done to each.
//! Invariant: tiles are disjoint and make up the block; the first of them need no halo.

use std::ops::Range;

use ringfort_kernels::{Real, Role};

use super::boundary::Sides;
use super::fill::Fills;
use super::pipeline::{Pipeline, Stage};
use super::planes::PlaneFill;
use super::tiles::{shells, tiles};
use super::{Engine, Tiling};
use crate::field::{Layout, Sign, Span};
use crate::grid::{AXES, Side};

/// Several steps of a block in one pass.
pub(super) struct Tiled {
    pub(super) pipeline: Pipeline,
    pub(super) tiles: Vec<Tile>,
    /// How many of the tiles, the first ones, need no halo.
    pub(super) inner: usize,
    /// What is filled before the first tiles, and what once the halo is there.
    pub(super) fills: [[Fills; 2]; 2],
}

/// One tile.
pub(super) struct Tile {
    pub(super) span: Span,
    pub(super) plane: Plane,
    /// Where each version's planes lie in a ring.
    pub(super) versions: Vec<Ring>,
    /// Values that a ring holds.
    pub(super) values: usize,
    /// What each stage does.
    pub(super) parts: Vec<Part>,
}

/// How planes of a tile lie in a ring: the tile's cells and as many around them as are computed or read, row after row.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Values per plane.
    pub(super) len: usize,
    /// Position of cell 0 within a plane.
    pub(super) zero: isize,
    pub(super) stride: [isize; AXES],
}

/// Where the planes of one version lie among the rings: some that take turns, then those beyond a boundary at the low end and at
/// the high one.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    /// Planes that take turns.
    depth: usize,
    /// Planes beyond either end.
    reach: usize,
    /// Where the first begins, and values from one to the next.
    start: usize,
    len: usize,
    /// First and last plane of the grid where none is computed beyond them; out of reach elsewhere.
    ends: [isize; 2],
}

impl Ring {
    /// Where plane `index` begins.
    pub(super) fn place(&self, index: isize) -> usize {
        self.place_in_turn(index, self.turn(index))
    }

    /// Each of the planes `indices`, and where it begins.
    #[inline]
    pub(super) fn places(self, indices: Range<isize>) -> impl Iterator<Item = (isize, usize)> {
        let mut turn = self.turn(indices.start);
        indices.map(move |index| {
            let place = self.place_in_turn(index, turn);
            turn = if turn + 1 == self.depth { 0 } else { turn + 1 };
            (index, place)
        })
    }

    fn turn(&self, index: isize) -> usize {
        index.rem_euclid(self.depth.cast_signed()).cast_unsigned()
    }

    #[inline]
    fn place_in_turn(&self, index: isize, turn: usize) -> usize {
        let number = if index < self.ends[0] {
            self.depth + (self.ends[0] - 1 - index).cast_unsigned()
        } else if index > self.ends[1] {
            self.depth + self.reach + (index - self.ends[1] - 1).cast_unsigned()
        } else {
            turn
        };
        self.start + number * self.len
    }
}

/// One stage of one tile: the same for all planes.
pub(super) struct Part {
    /// What the stage computes, all planes.
    pub(super) region: Span,
    /// Of each field that the stage writes.
    pub(super) after: Vec<After>,
}

/// What is done to each plane of a field once it is computed.
pub(super) struct After {
    /// Point sources, by number, and where they add.
    pub(super) driven: Vec<(usize, [isize; AXES])>,
    /// The slot whose values points that a boundary holds keep.
    pub(super) held: Option<usize>,
    /// Cells beyond sides across the plane's own axes, if it lies in a ring.
    pub(super) fill: Option<PlaneFill>,
    /// Planes beyond a boundary that repeat one: from, to, sign.
    pub(super) beyond: Vec<(isize, isize, Sign)>,
}

impl Tiled {
    /// How a block of `layout` takes `steps` steps in tiles as `tiling` says.
    pub(super) fn new<T: Real>(engine: &Engine<T>, layout: &Layout, steps: usize, tiling: Tiling) -> Self {
        let (edges, own) = (&engine.edges, layout.own());
        let first = edges.first();
        let pipeline = Pipeline::new(engine.program.footprint(), steps, first, &|slot| engine.evolves(slot));
        let known = edges.known(layout, &pipeline.margin);
        let inner = |tile: &Span| !edges.alone() && known.holds(&edges.around(layout, tile, &pipeline.margin));
        let mut all = tiles::<T>(layout, (first, &own, edges.cuts_rows()), &pipeline, tiling);
        if engine.overlaps
            && !all.iter().any(inner)
            && let Some(middle) = middle(engine, layout, &pipeline)
        {
            all = tiles::<T>(layout, (first, &middle, edges.cuts_rows()), &pipeline, tiling);
            all.extend(shells(&own, &middle));
        }
        let (before, after): (Vec<Span>, Vec<Span>) = all.into_iter().partition(inner);
        let fills = |span: &Span| fills(engine, span, &pipeline);
        let fills = [fills(&known), fills(&edges.reach(layout, &pipeline.margin))];
        let inner = before.len();
        let spans = before.into_iter().chain(after);
        let tiles = spans.map(|span| Tile::new(engine, layout, span, &pipeline)).collect();
        Self { tiles, inner, fills, pipeline }
    }
}

/// The cells of a block that need no halo, if tiles can be cut so and there are enough of them.
fn middle<T: Real>(engine: &Engine<T>, layout: &Layout, pipeline: &Pipeline) -> Option<Span> {
    let first = engine.edges.first();
    let mut middle = layout.own();
    for axis in first..AXES {
        let wide = pipeline.margin[axis].cast_signed();
        let [low, high] = Side::BOTH.map(|side| if engine.edges.peer(axis, side) { wide } else { 0 });
        let cut = axis == first || (axis == first + 1 && axis < AXES - 1);
        if low + high > 0 && (!cut || middle.extent(axis) < 4 * pipeline.margin[axis]) {
            return None;
        }
        middle.low[axis] += low;
        middle.high[axis] -= high;
    }
    Some(middle)
}

/// What the steps read of all components beyond the sides where no peer is, for the cells of `span`. Planes beyond the first
/// axis that the block makes up alone are not copied: tiles read those that they repeat.
fn fills<T: Real>(engine: &Engine<T>, span: &Span, pipeline: &Pipeline) -> [Fills; 2] {
    let edges = &engine.edges;
    let (first, [low, high]) = (edges.first(), edges.ends(edges.first()));
    let planes = if edges.wraps(first) { span.with(first, low, high + 1) } else { *span };
    let closed = engine.components(engine.program.footprint().pass_radius());
    [engine.repeats(&planes, &pipeline.margin).across(), engine.fills(&closed, &planes, Sides::Closed)]
}

impl Tile {
    fn new<T: Real>(engine: &Engine<T>, layout: &Layout, span: Span, pipeline: &Pipeline) -> Self {
        let first = engine.edges.first();
        let plane = Plane::new(layout, first, &span, pipeline);
        let [low, high] = engine.edges.ends(first);
        let [below, above] = Side::BOTH.map(|side| engine.edges.open(first, side));
        let ends = [if below { isize::MIN } else { low }, if above { isize::MAX } else { high }];
        let mut values = Layout::SLACK;
        let versions = pipeline.versions.iter().map(|version| {
            let ring = Ring { depth: version.depth, reach: version.reach[first], start: values, len: plane.len, ends };
            values += version.planes(first) * plane.len;
            ring
        });
        let versions = versions.collect();
        let parts = pipeline.stages.iter().map(|stage| Part::new(engine, (layout, &span), pipeline, stage)).collect();
        Self { span, plane, versions, values: values + Layout::SLACK, parts }
    }
}

impl Part {
    /// What `stage` does for `tile`.
    fn new<T: Real>(engine: &Engine<T>, (layout, tile): (&Layout, &Span), pipeline: &Pipeline, stage: &Stage) -> Self {
        let edges = &engine.edges;
        let first = edges.first();
        let region = edges.around(layout, tile, &stage.margin);
        let after = stage.writes.iter().map(|write| {
            let field = &engine.declaration.fields[write.slot];
            let held = if field.role == Role::Component { Some(write.slot) } else { field.stands_for };
            let held = held.filter(|_| (first..AXES).any(|axis| edges.held(axis, field).iter().any(Option::is_some)));
            let driven = engine.driven(write.slot, stage.stage, &region);
            let Some(version) = write.version.map(|version| &pipeline.versions[version]) else {
                return After { driven, held, fill: None, beyond: Vec::new() };
            };
            let beyond = edges.repeating(field, version.reach[first], Sides::Closed);
            let fill = PlaneFill::new(edges, field, &region, &version.reach, Sides::Closed);
            After { driven, held, fill: Some(fill), beyond }
        });
        Self { after: after.collect(), region }
    }
}

impl Plane {
    pub(super) fn new(layout: &Layout, first: usize, tile: &Span, pipeline: &Pipeline) -> Self {
        let (all, reach) = (layout.all(), pipeline.reach());
        let (mut stride, mut zero, mut len) = ([1; AXES], 0, 1);
        let line = Layout::SLACK.cast_signed();
        for axis in (first + 1..AXES).rev() {
            let wide = (pipeline.margin[axis] + reach[axis]).cast_signed();
            let mut low = all.low[axis].max(tile.low[axis] - wide);
            let mut high = all.high[axis].min(tile.high[axis] + wide);
            if axis == AXES - 1 {
                // Rows are computed in whole vectors and begin at cache lines.
                (low, high) = (low.div_euclid(line) * line, (high + line - 1).div_euclid(line) * line);
            }
            stride[axis] = len;
            zero -= low * len;
            len *= high - low;
            // Rows and planes an even number of lines apart would crowd into few sets of a cache.
            len += if len / line % 2 == 0 { line } else { 0 };
        }
        Self { len: len.cast_unsigned(), zero, stride }
    }
}
