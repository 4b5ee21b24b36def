//! Several steps in one pass through memory: tiles whose intermediate planes stay in cache.
//!
//! Input: fields with a halo for all the steps. Output: the fields after them, in their second level. Each thread takes one
//! tile after the other, streams it along the grid's first axis and recomputes what tiles share, so that tiles need nothing
//! of each other. Invariant: every value is computed by the same operations on the same values as in a plain sweep.

use std::ops::Range;

use ringfort_kernels::{Real, Role};

use super::Engine;
use super::boundary::Sides;
use super::pipeline::{Pipeline, Read, Source, Stage, Write};
use super::planes::{PlaneFill, copy_rows};
use super::program::Pass;
use super::rows::Planes;
use super::tiles::widened;
use crate::field::{Base, Fields, Layout, Sign, Span};
use crate::grid::{AXES, Side};
use crate::memory::Values;

/// Addresses of all fields: read as they were, written after the last step.
pub(super) struct Addresses<T>(Vec<Base<T>>);

#[expect(unsafe_code, reason = "threads write disjoint tiles of the same field")]
// SAFETY: tiles write disjoint boxes of the second levels, and nothing writes what they read.
unsafe impl<T: Send> Send for Addresses<T> {}
#[expect(unsafe_code, reason = "threads write disjoint tiles of the same field")]
// SAFETY: as for `Send`.
unsafe impl<T: Sync> Sync for Addresses<T> {}

impl<T: Real> Addresses<T> {
    pub(super) fn new(fields: &mut Fields<T>) -> Self {
        Self((0..fields.slots()).map(|slot| fields.base(slot)).collect())
    }

    /// Address of cell 0 of the plane with index `index` across axis `first` of `slot`, and the strides.
    pub(super) fn plane(&self, slot: usize, first: usize, index: isize) -> (*mut T, [isize; AXES]) {
        let base = &self.0[slot];
        (base.now.wrapping_offset(index * base.stride[first]), base.stride)
    }
}

/// What all tiles of one pass share.
pub(super) struct Stream<'a, T: Real> {
    pub(super) engine: &'a Engine<T>,
    /// The first step, counted from the job's start.
    pub(super) from: u64,
    pub(super) pipeline: &'a Pipeline,
    pub(super) addresses: &'a Addresses<T>,
    pub(super) layout: Layout,
    /// What is written to fields goes past the caches.
    pub(super) past_cache: bool,
}

/// A thread's rings, kept from tile to tile.
pub(super) type Rings<T> = Values<T>;

/// How planes of a tile lie in a ring: rows as in the field, cut to the tile along one axis.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Axis along which the tile is cut, the one after the first; none on a grid of two axes.
    cut: Option<usize>,
    /// First cell along it.
    low: isize,
    /// Values per plane.
    pub(super) len: usize,
    /// Position of cell 0 (along all axes but the first and the cut one).
    origin: isize,
    stride: [isize; AXES],
}

impl Plane {
    pub(super) fn new(layout: &Layout, first: usize, tile: &Span, pipeline: &Pipeline) -> Self {
        let all = layout.all();
        let stride = layout.stride;
        let before = layout.at([0; AXES]);
        let before = before - Layout::SLACK.cast_signed();
        let outer = |last: usize| (0..=last).map(|axis| layout.halo[axis].cast_signed() * stride[axis]).sum::<isize>();
        if first + 2 == AXES {
            let origin = before - outer(first);
            return Self { cut: None, low: 0, len: stride[first].unsigned_abs(), origin, stride };
        }
        let cut = first + 1;
        let wide = (pipeline.margin[cut] + pipeline.reach()[cut]).cast_signed();
        let low = all.low[cut].max(tile.low[cut] - wide);
        let high = all.high[cut].min(tile.high[cut] + wide);
        let len = ((high - low) * stride[cut]).cast_unsigned();
        Self { cut: Some(cut), low, len, origin: before - outer(cut), stride }
    }

    /// Position of cell 0 within a plane.
    fn zero(&self) -> isize {
        self.origin - self.cut.map_or(0, |cut| self.low * self.stride[cut])
    }
}

impl<T: Real> Stream<'_, T> {
    /// Computes the cells of `tile`, a box of the block's own cells, after all steps.
    pub(super) fn tile(&self, tile: &Span, rings: &mut Rings<T>) {
        let first = self.engine.edges.first();
        let plane = Plane::new(&self.layout, first, tile, self.pipeline);
        let values = self.pipeline.planes(first) * plane.len + 2 * Layout::SLACK;
        if rings.len() < values {
            *rings = Rings::zeros(values);
        }
        let mut run = Run { stream: self, first, plane, tile: *tile, rings, starts: Vec::new(), planes: Planes::new() };
        let mut start = Layout::SLACK;
        for version in &self.pipeline.versions {
            run.starts.push(start);
            start += version.planes(first) * plane.len;
        }
        let parts: Vec<Part> = self.pipeline.stages.iter().map(|stage| self.part(stage, tile)).collect();
        let from = parts[0].region.low[first];
        let to = tile.high[first] + self.pipeline.lag();
        let together = self.engine.program.together();
        for front in (from..to).step_by(together) {
            for (stage, part) in self.pipeline.stages.iter().zip(&parts) {
                let low = (front - stage.lag).max(part.region.low[first]);
                let high = (front - stage.lag + together.cast_signed()).min(part.region.high[first]);
                if low < high {
                    run.stage(stage, part, low..high);
                }
            }
        }
    }

    /// What `stage` does for `tile`.
    fn part(&self, stage: &Stage, tile: &Span) -> Part {
        let edges = &self.engine.edges;
        let first = edges.first();
        let region = edges.around(&self.layout, tile, &stage.margin);
        let after = stage.writes.iter().map(|write| {
            let field = &self.engine.declaration.fields[write.slot];
            let held = if field.role == Role::Component { Some(write.slot) } else { field.stands_for };
            let held = held.filter(|_| (first..AXES).any(|axis| edges.held(axis, field).iter().any(Option::is_some)));
            let driven = self.engine.added(write.slot, stage.stage).next().is_some();
            let Some(version) = write.version.map(|version| &self.pipeline.versions[version]) else {
                return After { driven, held, fill: None, beyond: Vec::new() };
            };
            let reach = version.reach[first].cast_signed();
            let sides = Side::BOTH.into_iter().filter(|&side| !edges.open(first, side));
            let beyond = sides.flat_map(|side| (0..reach).map(move |cells| edges.image(first, side, field, cells)));
            let fill = PlaneFill::new(edges, field, &region, &version.reach, Sides::Closed);
            After { driven, held, fill: Some(fill), beyond: beyond.collect() }
        });
        Part { after: after.collect(), region }
    }
}

/// One stage of one tile: the same for all planes.
struct Part {
    /// What the stage computes, all planes.
    region: Span,
    /// Of each field that the stage writes.
    after: Vec<After>,
}

/// What is done to each plane of a field once it is computed.
struct After {
    /// True if point sources add to it.
    driven: bool,
    /// The slot whose values points that a boundary holds keep.
    held: Option<usize>,
    /// Cells beyond sides across the plane's own axes, if it lies in a ring.
    fill: Option<PlaneFill>,
    /// Planes beyond a boundary that repeat one: from, to, sign.
    beyond: Vec<(isize, isize, Sign)>,
}

/// One tile under way.
struct Run<'a, 'b, T: Real> {
    stream: &'a Stream<'b, T>,
    first: usize,
    plane: Plane,
    tile: Span,
    rings: &'a mut Rings<T>,
    /// Where each version's planes begin.
    starts: Vec<usize>,
    planes: Planes<T>,
}

impl<T: Real> Run<'_, '_, T> {
    /// Computes planes `indices` of `stage`.
    #[expect(unsafe_code, reason = "planes are addressed in rings and in fields")]
    fn stage(&mut self, stage: &Stage, part: &Part, indices: Range<isize>) {
        self.planes.forget_ahead();
        self.planes.pass_by(self.stream.past_cache && stage.writes.iter().all(|write| write.version.is_none()));
        for read in &stage.reads {
            let reach = read.reach[self.first].cast_signed();
            for index in indices.start - reach..indices.end + reach {
                let (address, stride) = self.source(read, index);
                self.planes.read(read.slot, index - indices.start, address, stride);
                if matches!(read.source, Source::Field(_)) && self.stream.past_cache && index >= indices.start + reach {
                    self.planes.ahead(address, stride);
                }
            }
        }
        for write in &stage.writes {
            for (number, index) in indices.clone().enumerate() {
                let (address, stride) = self.target(write, index);
                self.planes.write(write.slot, number, address, stride);
            }
        }
        let rows = widened(&part.region, self.stream.engine.program.width()).with(
            self.first,
            indices.start,
            indices.start + 1,
        );
        // SAFETY: every plane that the stage reads was computed before (that is what the lags are for) or is part of a field
        // whose halo holds it; rings and second levels hold the region; rings are this thread's own, and tiles write
        // disjoint boxes of the second levels, which nobody reads.
        unsafe {
            self.stream.engine.program.run(Pass::Stage(stage.stage), &self.planes, &rows, indices.clone().count())
        };
        for index in indices {
            let span = part.region.with(self.first, index, index + 1);
            for (write, after) in stage.writes.iter().zip(&part.after) {
                if after.driven {
                    self.add(stage, write, &span, index);
                }
                if let Some(held) = after.held {
                    self.hold(write, held, &span, index);
                }
                if let Some(fill) = &after.fill {
                    // SAFETY: the ring's plane holds the region and what is read beyond it, and is this thread's own.
                    unsafe { fill.run(self.target(write, index)) };
                }
                self.beyond(write, after, index);
                if let (Some(slot), Some(_)) = (write.outcome, write.version) {
                    self.copy_out(write, slot, index);
                }
            }
        }
    }

    /// Address of cell 0 of plane `index` of what `read` reads.
    fn source(&self, read: &Read, index: isize) -> (*const T, [isize; AXES]) {
        match read.source {
            Source::Field(slot) => {
                let index = self.stream.engine.edges.repeated(self.first, index);
                let (address, stride) = self.stream.addresses.plane(slot, self.first, index);
                (address.cast_const(), stride)
            }
            Source::Version(version) => {
                let at = self.place(version, index).cast_signed() + self.plane.zero();
                (self.rings.as_ptr().wrapping_offset(at), self.plane.stride)
            }
        }
    }

    /// Address of cell 0 of plane `index` of what `write` writes.
    fn target(&mut self, write: &Write, index: isize) -> (*mut T, [isize; AXES]) {
        match write.version {
            Some(version) => {
                let at = self.place(version, index).cast_signed() + self.plane.zero();
                (self.rings.as_mut_ptr().wrapping_offset(at), self.plane.stride)
            }
            None => self.field(write.slot, index),
        }
    }

    /// Address of cell 0 of plane `index` of the second level of `slot`.
    fn field(&self, slot: usize, index: isize) -> (*mut T, [isize; AXES]) {
        let base = &self.stream.addresses.0[slot];
        (base.spare.wrapping_offset(index * base.stride[self.first]), base.stride)
    }

    /// Where plane `index` of a version begins: in its ring, or among the planes beyond a boundary.
    fn place(&self, version: usize, index: isize) -> usize {
        let found = &self.stream.pipeline.versions[version];
        let [low, high] = self.stream.engine.edges.ends(self.first);
        let reach = found.reach[self.first];
        let number = if index < low && !self.stream.engine.edges.open(self.first, Side::Low) {
            found.depth + (low - 1 - index).cast_unsigned()
        } else if index > high && !self.stream.engine.edges.open(self.first, Side::High) {
            found.depth + reach + (index - high - 1).cast_unsigned()
        } else {
            index.rem_euclid(found.depth.cast_signed()).cast_unsigned()
        };
        self.starts[version] + number * self.plane.len
    }

    /// Adds what point sources give to plane `index`.
    #[expect(unsafe_code, reason = "a cell is addressed in a ring or in a field")]
    fn add(&mut self, stage: &Stage, write: &Write, span: &Span, index: isize) {
        let engine = self.stream.engine;
        for drive in engine.added(write.slot, stage.stage) {
            let step = self.stream.from + stage.step as u64;
            for cell in engine.edges.images(drive.cell, span) {
                let (address, stride) = self.target(write, index);
                let at: isize = (self.first + 1..AXES).map(|axis| cell[axis] * stride[axis]).sum();
                // SAFETY: the cell lies in the region, which ring or field hold, and this thread alone writes it.
                unsafe {
                    let value = address.wrapping_offset(at);
                    *value = *value + T::of(drive.value(step));
                }
            }
        }
    }

    /// Gives points that a boundary holds the value that they had before the first step.
    fn hold(&mut self, write: &Write, held: usize, span: &Span, index: isize) {
        let field = &self.stream.engine.declaration.fields[write.slot];
        for axis in self.first..AXES {
            for at in self.stream.engine.edges.held(axis, field).into_iter().flatten() {
                if !(span.low[axis]..span.high[axis]).contains(&at) {
                    continue;
                }
                let repeated = self.stream.engine.edges.repeated(self.first, index);
                let (from, from_stride) = self.stream.addresses.plane(held, self.first, repeated);
                let to = self.target(write, index);
                self.copy((from.cast_const(), from_stride), to, &span.with(axis, at, at + 1));
            }
        }
    }

    /// Copies plane `index` of a version to the planes beyond a boundary that repeat it.
    fn beyond(&mut self, write: &Write, after: &After, index: isize) {
        let Some(version) = write.version else { return };
        let len = self.plane.len;
        for &(from, to, sign) in after.beyond.iter().filter(|image| image.0 == index) {
            let (from, to) = (self.place(version, from), self.place(version, to));
            self.rings.copy_within(from..from + len, to);
            match sign {
                Sign::Same => {}
                Sign::Opposite => self.rings[to..to + len].iter_mut().for_each(|value| *value = -*value),
                Sign::Zero => self.rings[to..to + len].fill(T::default()),
            }
        }
    }

    /// Copies the tile's part of plane `index` from its ring to the field `slot`.
    fn copy_out(&mut self, write: &Write, slot: usize, index: isize) {
        if !(self.tile.low[self.first]..self.tile.high[self.first]).contains(&index) {
            return;
        }
        let (from, stride) = self.target(write, index);
        let to = self.field(slot, index);
        self.copy((from.cast_const(), stride), to, &self.tile.with(self.first, index, index + 1));
    }

    #[expect(unsafe_code, reason = "rows are addressed in rings and in fields")]
    fn copy(&self, from: (*const T, [isize; AXES]), to: (*mut T, [isize; AXES]), span: &Span) {
        // SAFETY: rings and fields hold the span; the target is this thread's own ring or the tile's box of a second level.
        unsafe { copy_rows(from, to, (self.first, span), Sign::Same) };
    }
}
