//! Several steps in one pass through memory: tiles whose intermediate planes stay in cache.
//!
//! Input: fields with a halo for all the steps. Output: the fields after them, in their second level. Each thread takes one
//! tile after the other, streams it along the grid's first axis and recomputes what tiles share, so that tiles need nothing
//! of each other. Invariant: every value is computed by the same operations on the same values as in a plain sweep.

use std::ops::Range;

use ringfort_kernels::Real;

use super::Engine;
use super::footprint::MAX_SLOTS;
use super::pipeline::{Source, Stage, Write};
use super::planes::copy_rows;
use super::program::Pass;
use super::rows::{AHEAD_BYTES, Planes};
use super::tiled::{After, Part, Tile, Tiled};
use super::tiles::widened;
use crate::field::{Base, Fields, Sign, Span};
use crate::grid::AXES;
use crate::memory::Values;

/// Addresses of all fields: read as they were, written after the last step.
pub(super) struct Addresses<T>([Base<T>; MAX_SLOTS]);

#[expect(unsafe_code, reason = "threads write disjoint tiles of the same field")]
// SAFETY: tiles write disjoint boxes of the second levels, and nothing writes what they read.
unsafe impl<T: Send> Send for Addresses<T> {}
#[expect(unsafe_code, reason = "threads write disjoint tiles of the same field")]
// SAFETY: as for `Send`.
unsafe impl<T: Sync> Sync for Addresses<T> {}

impl<T: Real> Addresses<T> {
    pub(super) fn new(fields: &mut Fields<T>) -> Self {
        // What a kernel reads or writes has a lower number; fields that are derived may come after.
        Self(std::array::from_fn(|slot| if slot < fields.slots() { fields.base(slot) } else { Base::absent() }))
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
    pub(super) tiled: &'a Tiled,
    pub(super) addresses: &'a Addresses<T>,
    /// What is written to fields goes past the caches.
    pub(super) past_cache: bool,
}

/// Rings of a thread, or of a tile that is computed in several goes.
pub(super) type Rings<T> = Values<T>;

impl<T: Real> Stream<'_, T> {
    /// Computes the cells of `tile`, a box of the block's own cells, after all steps: go `go` of `goes`, which follow each other
    /// with the same rings.
    pub(super) fn tile(&self, tile: &Tile, rings: &mut Rings<T>, (go, goes): (usize, usize)) {
        let first = self.engine.edges.first();
        if rings.len() < tile.values {
            *rings = Rings::zeros(tile.values);
        }
        let mut run = Run { stream: self, first, tile, rings, planes: Planes::new() };
        let pipeline = &self.tiled.pipeline;
        let from = tile.parts[0].region.low[first];
        let to = tile.span.high[first] + pipeline.lag();
        let together = self.engine.program.together();
        let count = (to - from).cast_unsigned().div_ceil(together);
        for number in count * go / goes..count * (go + 1) / goes {
            let front = from + (number * together).cast_signed();
            for (stage, part) in pipeline.stages.iter().zip(&tile.parts) {
                let low = (front - stage.lag).max(part.region.low[first]);
                let high = (front - stage.lag + together.cast_signed()).min(part.region.high[first]);
                if low < high {
                    run.stage(stage, part, low..high);
                }
            }
        }
    }
}

/// One tile under way.
struct Run<'a, 'b, T: Real> {
    stream: &'a Stream<'b, T>,
    first: usize,
    tile: &'a Tile,
    rings: &'a mut Rings<T>,
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
            let around = indices.start - reach..indices.end + reach;
            match read.source {
                Source::Version(version) => {
                    for (index, place) in self.tile.versions[version].places(around) {
                        let address = self.rings.as_ptr().wrapping_offset(place.cast_signed() + self.tile.plane.zero);
                        self.planes.read(read.slot, index - indices.start, address, self.tile.plane.stride);
                    }
                }
                Source::Field(slot) => {
                    for index in around {
                        let repeated = self.stream.engine.edges.repeated(self.first, index);
                        let (address, stride) = self.stream.addresses.plane(slot, self.first, repeated);
                        self.planes.read(read.slot, index - indices.start, address.cast_const(), stride);
                        let new = (indices.start + read.front..indices.end + read.front).contains(&index);
                        if self.stream.past_cache && new {
                            self.planes.ahead(address.cast_const().wrapping_byte_add(AHEAD_BYTES), stride);
                        }
                    }
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
        let first = self.first;
        for index in indices {
            let span = part.region.with(self.first, index, index + 1);
            for (write, after) in stage.writes.iter().zip(&part.after) {
                for &(number, cell) in after.driven.iter().filter(|(_, cell)| cell[first] == index) {
                    self.add(stage, write, number, cell);
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

    /// Address of cell 0 of plane `index` of what `write` writes.
    fn target(&mut self, write: &Write, index: isize) -> (*mut T, [isize; AXES]) {
        match write.version {
            Some(version) => {
                let at = self.tile.versions[version].place(index).cast_signed() + self.tile.plane.zero;
                (self.rings.as_mut_ptr().wrapping_offset(at), self.tile.plane.stride)
            }
            None => self.field(write.slot, index),
        }
    }

    /// Address of cell 0 of plane `index` of the second level of `slot`.
    fn field(&self, slot: usize, index: isize) -> (*mut T, [isize; AXES]) {
        let base = &self.stream.addresses.0[slot];
        (base.spare.wrapping_offset(index * base.stride[self.first]), base.stride)
    }

    /// Adds what point source `number` gives to `cell`.
    #[expect(unsafe_code, reason = "a cell is addressed in a ring or in a field")]
    fn add(&mut self, stage: &Stage, write: &Write, number: usize, cell: [isize; AXES]) {
        let step = self.stream.from + stage.step as u64;
        let value = T::of(self.stream.engine.drives[number].0.value(step));
        let (address, stride) = self.target(write, cell[self.first]);
        let at: isize = (self.first + 1..AXES).map(|axis| cell[axis] * stride[axis]).sum();
        // SAFETY: the cell lies in the region, which ring or field hold, and this thread alone writes it.
        unsafe {
            let there = address.wrapping_offset(at);
            *there = *there + value;
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
        let len = self.tile.plane.len;
        for &(from, to, sign) in after.beyond.iter().filter(|image| image.0 == index) {
            let (from, to) = (self.tile.versions[version].place(from), self.tile.versions[version].place(to));
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
        if !(self.tile.span.low[self.first]..self.tile.span.high[self.first]).contains(&index) {
            return;
        }
        let (from, stride) = self.target(write, index);
        let to = self.field(slot, index);
        self.copy((from.cast_const(), stride), to, &self.tile.span.with(self.first, index, index + 1));
    }

    #[expect(unsafe_code, reason = "rows are addressed in rings and in fields")]
    fn copy(&self, from: (*const T, [isize; AXES]), to: (*mut T, [isize; AXES]), span: &Span) {
        // SAFETY: rings and fields hold the span; the target is this thread's own ring or the tile's box of a second level.
        unsafe { copy_rows(from, to, (self.first, span), Sign::Same) };
    }
}
