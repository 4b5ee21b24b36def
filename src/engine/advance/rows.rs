//! Runs a kernel's passes on the rows of one plane, or of two at once, in whole vectors.
//!
//! Input: addresses of the planes around the one that is computed. Output: that plane. A plane is all cells with one
//! index along the grid's first axis; where planes lie (in a field or in a ring of a few planes) is the engine's
//! choice.
//!
//! Invariant: only slots and neighbours that the footprint holds enter a value; rows are widened to whole vectors, and
//! what is computed beyond their ends is never used. All values of a vector, in both planes, are computed before one
//! of them is stored. What is fetched ahead, and whether stores go past the caches, changes no bit; after stores past
//! the caches a fence comes before the return.

use std::mem::MaybeUninit;

use ringfort_kernels::{Cell, Near, Real, Stencil};

use super::footprint::{Footprint, MAX_SLOTS, PassFootprint};
use super::lanes::Vector;
use super::program::Vectors;
use crate::field::{Fields, Layout, Span};
use crate::grid::AXES;

/// Farthest that a kernel may read along the first axis.
pub const MAX_REACH: usize = 8;
/// Most planes that are computed together.
pub(super) const MOST_TOGETHER: usize = 2;
const WINDOW: usize = 2 * MAX_REACH + MOST_TOGETHER;
/// Bytes of fields that do not stay in any cache from one sweep to the next.
pub(super) const LAST_CACHE_BYTES: usize = 32 << 20;
/// Bytes of a core's own cache that may hold rows of all planes that are read: the rest is for what is written.
const OWN_CACHE_BYTES: usize = 640 << 10;
/// First axis of grids of two axes, whose planes are rows.
const PLANES_OF_ROWS: usize = AXES - 2;
/// Fewest rows of each plane for which it pays to sweep strips of planes.
const FEWEST_ROWS: usize = 16;
/// Most planes that are fetched ahead.
const MOST_AHEAD: usize = 2 * MOST_WRITES;
/// Bytes that what comes from memory is fetched ahead within a tile: some rows, so that it is there in time and still in the
/// nearest cache.
pub(super) const AHEAD_BYTES: usize = 4096;
/// Vectors between two fetches: all of a row at once would fill the queues of the processor.
const VECTORS_PER_FETCH: isize = 4;
/// Most slots that a pass may set.
pub(super) const MOST_WRITES: usize = 24;

/// Addresses of cell 0 (along all other axes) of the planes that a pass reads and writes.
#[derive(Clone)]
pub struct Planes<T> {
    from: [[*const T; WINDOW]; MAX_SLOTS],
    to: [[*mut T; MOST_TOGETHER]; MAX_SLOTS],
    from_stride: [[isize; AXES]; MAX_SLOTS],
    to_stride: [[isize; AXES]; MAX_SLOTS],
    /// Nobody reads soon what is written.
    past_cache: bool,
    /// What is fetched while rows are computed, row by row, with the strides of its rows.
    ahead: [(*const T, [isize; AXES]); MOST_AHEAD],
    ahead_count: usize,
}

impl<T> Planes<T> {
    /// No addresses yet.
    pub(super) fn new() -> Self {
        Self {
            from: [[std::ptr::null(); WINDOW]; MAX_SLOTS],
            to: [[std::ptr::null_mut(); MOST_TOGETHER]; MAX_SLOTS],
            from_stride: [[0; AXES]; MAX_SLOTS],
            to_stride: [[0; AXES]; MAX_SLOTS],
            past_cache: false,
            ahead: [(std::ptr::null(), [0; AXES]); MOST_AHEAD],
            ahead_count: 0,
        }
    }

    /// Forgets what comes from memory.
    pub(super) fn forget_ahead(&mut self) {
        self.ahead_count = 0;
    }

    /// Says that what lies at `address`, where the same rows of another plane or later rows of this one may begin, comes from
    /// memory and is fetched while rows are computed.
    pub(super) fn ahead(&mut self, address: *const T, stride: [isize; AXES]) {
        if self.ahead_count < MOST_AHEAD {
            self.ahead[self.ahead_count] = (address, stride);
            self.ahead_count += 1;
        }
    }

    /// Says whether what is written goes past the caches, since nobody reads it soon. Its rows begin at cache lines.
    pub(super) fn pass_by(&mut self, past_cache: bool) {
        self.past_cache = past_cache;
    }

    /// The plane `cells` away of `slot`, as it is read.
    pub(super) fn read(&mut self, slot: usize, cells: isize, address: *const T, stride: [isize; AXES]) {
        self.from[slot][(MAX_REACH.cast_signed() + cells).cast_unsigned()] = address;
        self.from_stride[slot] = stride;
    }

    /// The plane of `slot` that is written, of those computed together the one with number `plane`.
    pub(super) fn write(&mut self, slot: usize, plane: usize, address: *mut T, stride: [isize; AXES]) {
        self.to[slot][plane] = address;
        self.to_stride[slot] = stride;
    }
}

/// Addresses of all slots of a block for one pass.
pub(super) struct View<'a, T> {
    pass: &'a PassFootprint,
    first: usize,
    from: [*const T; MAX_SLOTS],
    to: [*mut T; MAX_SLOTS],
    stride: [[isize; AXES]; MAX_SLOTS],
    /// What is read does not stay in any cache from one sweep to the next.
    from_memory: bool,
    /// What is written goes past the caches.
    past_cache: bool,
    /// Cells that the pass may be run on.
    pub(super) within: Span,
}

#[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
// SAFETY: the addresses are only used in `Program::run`, whose contract rules out races.
unsafe impl<T: Send> Send for View<'_, T> {}
#[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
// SAFETY: as for `Send`.
unsafe impl<T: Sync> Sync for View<'_, T> {}

impl<'a, T: Real> View<'a, T> {
    /// Addresses of `fields` for a pass with footprint `pass`, of a kernel's footprint `all`, over planes across axis `first`:
    /// what spreads is written over its older level, or to its second level.
    ///
    /// # Panics
    ///
    /// If a slot that the pass uses has no storage: the engine's own mistake.
    pub(super) fn new(fields: &mut Fields<T>, first: usize, pass: &'a PassFootprint, all: &Footprint) -> Self {
        let from_memory = first < AXES - 1 && fields.bytes() > LAST_CACHE_BYTES;
        let mut view = Self {
            pass,
            first,
            from: [std::ptr::null(); MAX_SLOTS],
            to: [std::ptr::null_mut(); MAX_SLOTS],
            stride: [[0; AXES]; MAX_SLOTS],
            from_memory,
            past_cache: from_memory,
            within: within(fields.layout(), pass.radius()),
        };
        for &(slot, _) in &pass.reads {
            let base = fields.base(slot);
            assert!(!base.now.is_null(), "slot {slot} is read but has no storage");
            view.from[slot] = base.now;
            view.stride[slot] = base.stride;
        }
        for &slot in &pass.writes {
            let older = all.older_level(slot).filter(|&older| pass.reads(older));
            let base = fields.base(older.unwrap_or(slot));
            view.to[slot] = if older.is_none() && pass.spreads(slot) { base.spare } else { base.now };
            // What is in cache because it is read stays there.
            view.past_cache &= older.is_none() && !pass.reads_here(slot);
            view.stride[slot] = base.stride;
            assert!(!view.to[slot].is_null() && base.stride[2] != 0, "slot {slot} is written but has no storage");
        }
        view
    }

    /// Rows of each plane such that what is read of them, and fetched ahead of it, stays in a core's own cache from one plane to
    /// the next; none where fields come from a larger cache, or so few would fit that most would be read twice.
    pub(super) fn rows_in_cache(&self, together: usize) -> Option<usize> {
        // Where planes are rows, none of them is read twice.
        let (around, fewest) = match self.first {
            PLANES_OF_ROWS => (0, 1),
            _ => (self.pass.radius()[AXES - 2], FEWEST_ROWS.max(2 * self.pass.radius()[AXES - 2])),
        };
        let bytes = |&(slot, reach): &(usize, [usize; AXES])| {
            let row = self.stride[slot][AXES - 2].unsigned_abs() * T::BYTES;
            if self.stride[slot][self.first] == 0 { 0 } else { (2 * reach[self.first] + 2 * together) * row }
        };
        let row = self.pass.reads.iter().map(bytes).sum::<usize>().max(1);
        let rows = (OWN_CACHE_BYTES / row).saturating_sub(2 * around);
        (self.from_memory && rows >= fewest).then_some(rows)
    }

    /// Points `planes` at the `together` planes from index `plane` on and those around them. What comes from memory is fetched
    /// ahead: the same rows of the next planes if these `stay` in a core's own cache until then, else some rows on.
    pub(super) fn place(&self, planes: &mut Planes<T>, plane: isize, together: usize, stay: bool) {
        // A grid of one axis is a single plane, its row.
        let across = if self.first == AXES - 1 { 0 } else { 1 };
        planes.forget_ahead();
        planes.pass_by(self.past_cache);
        for ((slot, reach), [_, front]) in self.pass.reads.iter().zip(&self.pass.planes) {
            let (stride, reach) = (self.stride[*slot], reach[self.first].cast_signed() * across);
            for cells in -reach..together.cast_signed() + reach {
                let address = self.from[*slot].wrapping_offset((plane + cells) * across * stride[self.first]);
                planes.read(*slot, cells, address, stride);
                let new = (*front..*front + together.cast_signed()).contains(&cells);
                if self.from_memory && new && stride[self.first] != 0 {
                    planes.ahead(
                        match stay {
                            true => address.wrapping_offset(together.cast_signed() * across * stride[self.first]),
                            false => address.wrapping_byte_add(AHEAD_BYTES),
                        },
                        stride,
                    );
                }
            }
        }
        for &slot in &self.pass.writes {
            let stride = self.stride[slot];
            for number in 0..together {
                let index = (plane + number.cast_signed()) * across;
                planes.write(slot, number, self.to[slot].wrapping_offset(index * stride[self.first]), stride);
            }
        }
    }
}

/// Cells whose neighbours within `radius` lie inside the layout.
fn within(layout: &Layout, radius: [usize; AXES]) -> Span {
    let mut span = layout.all();
    for axis in 0..AXES {
        span.low[axis] += radius[axis].cast_signed();
        span.high[axis] -= radius[axis].cast_signed();
    }
    span
}

/// Which of the stencil's functions a pass calls.
#[derive(Clone, Copy)]
pub(super) enum Code {
    Stage(usize),
    Prepare,
    Start,
}

/// # Safety
///
/// As for `Program::run`; the processor has AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
#[expect(unsafe_code, reason = "vector instructions")]
pub(super) unsafe fn stage_avx512<S: Stencil<D>, T: Vectors, const D: usize, const J: usize>(
    s: &S,
    stage: usize,
    planes: &Planes<T>,
    span: &Span,
) {
    // SAFETY: passed on.
    unsafe { stages::<S, T, T::Avx512, D, J>(s, stage, planes, span) }
}

/// # Safety
///
/// As for `Program::run`; the processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "vector instructions")]
pub(super) unsafe fn stage_avx2<S: Stencil<D>, T: Vectors, const D: usize, const J: usize>(
    s: &S,
    stage: usize,
    planes: &Planes<T>,
    span: &Span,
) {
    // SAFETY: passed on.
    unsafe { stages::<S, T, T::Avx2, D, J>(s, stage, planes, span) }
}

/// Gives the stage as a literal, so that a kernel's `match` on it costs nothing.
///
/// # Safety
///
/// As for `Program::run`.
#[inline(always)]
#[expect(unsafe_code, reason = "row access")]
pub(super) unsafe fn stages<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize, const J: usize>(
    s: &S,
    stage: usize,
    planes: &Planes<T>,
    span: &Span,
) {
    macro_rules! literal {
        ($($number:literal)*) => {
            match stage {
                // SAFETY: passed on.
                $($number if S::STAGES > $number => unsafe { rows::<S, T, L, D, J>(s, Code::Stage($number), planes, span) },)*
                _ => unreachable!("stage {stage} of {}", S::STAGES),
            }
        };
    }
    literal!(0 1 2 3 4 5 6 7)
}

/// Runs one pass on all rows of `span`, which lie in one plane, and on those of the planes computed together with it.
///
/// # Safety
///
/// As for `Program::run`.
#[inline(always)]
#[expect(unsafe_code, reason = "row access")]
pub(super) unsafe fn rows<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize, const J: usize>(
    s: &S,
    code: Code,
    planes: &Planes<T>,
    span: &Span,
) {
    // Copies that no address is taken of: every index into them is a literal, so only what is used stays, in registers.
    let (from, to, strides) = (planes.from, planes.to, (&planes.from_stride, &planes.to_stride));
    let width = L::WIDTH.cast_signed();
    // Along the axes of the plane other than the rows' own; the first axis of the grid is the plane's index.
    let (low, high) = (span.low, span.high);
    let slow = if D == 4 { low[1]..high[1] } else { 0..1 };
    let fast = if D >= 3 { low[2]..high[2] } else { 0..1 };
    for z in slow {
        for y in fast.clone() {
            let mut x = low[3];
            while x < high[3] {
                let end = (x + VECTORS_PER_FETCH * width).min(high[3]);
                for &(address, stride) in &planes.ahead[..planes.ahead_count] {
                    let at = z * stride[1] + y * stride[2];
                    let mut x = x;
                    while x < end {
                        L::fetch(address.wrapping_offset(at + x));
                        x += width;
                    }
                }
                while x < end {
                    together::<S, T, L, D, J>(s, code, (&from, &to, strides), [0, z, y, opaque(x)], planes.past_cache);
                    x += width;
                }
            }
        }
    }
    if planes.past_cache {
        L::fence();
    }
}

/// `x`, which the compiler then takes for any number: it keeps each row's address and adds `x` to it, instead of moving
/// dozens of addresses along, most of them in memory.
#[inline(always)]
#[expect(unsafe_code, reason = "nothing but a wall for the optimiser")]
fn opaque(mut x: isize) -> isize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inlateout(reg) x, options(pure, nomem, nostack, preserves_flags));
    }
    x
}

/// One vector of each of `J` planes. All are computed before any is stored, so that what they share is loaded once.
#[inline(always)]
fn together<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize, const J: usize>(
    s: &S,
    code: Code,
    (from, to, strides): Addresses<'_, T>,
    cell: [isize; AXES],
    past_cache: bool,
) {
    let mut first = At { from, to, strides, cell, plane: 0, new: New::none() };
    call::<S, T, L, D>(s, code, &mut first);
    if J == 2 {
        let mut second = At { from, to, strides, cell, plane: 1, new: New::none() };
        call::<S, T, L, D>(s, code, &mut second);
        first.store::<D>(past_cache);
        second.store::<D>(past_cache);
    } else {
        first.store::<D>(past_cache);
    }
}

/// Addresses and strides of [`Planes`].
type Addresses<'a, T> = (&'a [[*const T; WINDOW]; MAX_SLOTS], &'a [[*mut T; MOST_TOGETHER]; MAX_SLOTS], Strides<'a>);
/// Strides of what is read, and of what is written.
type Strides<'a> = (&'a [[isize; AXES]; MAX_SLOTS], &'a [[isize; AXES]; MAX_SLOTS]);

#[inline(always)]
fn call<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize>(s: &S, code: Code, cell: &mut At<'_, T, L>) {
    match code {
        Code::Stage(stage) => s.point::<L>(stage, cell),
        Code::Prepare => s.prepare::<L>(cell),
        Code::Start => s.start::<L>(cell),
    }
}

/// New values that are not stored yet.
struct New<L> {
    values: [MaybeUninit<(usize, L)>; MOST_WRITES],
    count: usize,
}

impl<L> New<L> {
    #[inline(always)]
    fn none() -> Self {
        Self { values: [const { MaybeUninit::uninit() }; MOST_WRITES], count: 0 }
    }
}

/// The cells of one vector.
struct At<'a, T, L> {
    from: &'a [[*const T; WINDOW]; MAX_SLOTS],
    to: &'a [[*mut T; MOST_TOGETHER]; MAX_SLOTS],
    strides: Strides<'a>,
    /// First cell of the vector.
    cell: [isize; AXES],
    /// Number of the plane among those computed together.
    plane: usize,
    new: New<L>,
}

impl<T: Real, L: Vector<T>> At<'_, T, L> {
    /// Position of the cell at `offset` in a plane with strides `stride`.
    #[inline(always)]
    fn position<const D: usize>(&self, stride: &[isize; AXES], offset: [isize; D]) -> isize {
        let mut at = self.cell[AXES - 1];
        for axis in 1..D - 1 {
            at += (self.cell[AXES - D + axis] + offset[axis]) * stride[AXES - D + axis];
        }
        at
    }

    /// Stores the new values. Where to is asked of each, which costs nothing beside what memory does: code for either would be
    /// as long again as the kernel's.
    #[inline(always)]
    #[expect(unsafe_code, reason = "row access")]
    fn store<const D: usize>(&self, past_cache: bool) {
        for number in 0..self.new.count {
            // SAFETY: the first `count` values were set. The footprint holds every slot that the kernel sets, and the caller
            // of `Program::run` gave it an address that is valid for the cells of the span, which this thread alone writes.
            unsafe {
                let (slot, value) = self.new.values[number].assume_init();
                let to = self.to[slot][self.plane].offset(self.position(&self.strides.1[slot], [0; D]));
                if past_cache { value.store_past_cache(to) } else { value.store(to) }
            }
        }
    }
}

impl<T: Real, L: Vector<T>, const D: usize> Near<L, D> for At<'_, T, L> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "row access")]
    fn at(&self, slot: usize, offset: [isize; D]) -> L {
        let across = if D == 1 { 0 } else { offset[0] };
        let plane = self.from[slot][(MAX_REACH.cast_signed() + across).cast_unsigned() + self.plane];
        // SAFETY: the footprint holds every offset that the kernel uses, and the caller of `Program::run` gave valid
        // addresses for all within it.
        unsafe { L::load_near(plane.offset(self.position(&self.strides.0[slot], offset)), offset[D - 1]) }
    }
}

impl<T: Real, L: Vector<T>, const D: usize> Cell<L, D> for At<'_, T, L> {
    #[inline(always)]
    fn set(&mut self, slot: usize, value: L) {
        self.new.values[self.new.count] = MaybeUninit::new((slot, value));
        self.new.count += 1;
    }
}
