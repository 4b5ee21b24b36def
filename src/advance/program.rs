//! A kernel made ready to run on rows: the narrow interface between engine and kernels.
//!
//! Input: a stencil and a precision. Output: a [`Program`]. A program made at run time from an equation could stand in the
//! place of a compiled one.

use std::marker::PhantomData;

use ringfort_kernels::{Build, Cell, Near, Real, Stencil};

use super::footprint::{Footprint, MAX_SLOTS, PassFootprint};
use super::lanes::{Simd, Vector};
use crate::field::{Fields, Layout, Span};
use crate::grid::AXES;

/// One pass over a box of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// A stage of a step.
    Stage(usize),
    /// Prepared fields from coefficients.
    Prepare,
    /// Components from start fields.
    Start,
}

/// A kernel ready to run on fields of precision `T`.
pub trait Program<T: Real>: Send + Sync {
    /// What its passes read and write.
    fn footprint(&self) -> &Footprint;

    /// Instruction set in use.
    fn simd(&self) -> Simd;

    /// Runs `pass` on the cells of `span`.
    ///
    /// # Safety
    ///
    /// `view` was made for this program and pass, the fields it was made of are alive and not otherwise accessed, and
    /// calls that run at the same time have spans without common cells.
    #[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
    unsafe fn run(&self, pass: Pass, view: &View<T>, span: &Span);

    /// Rates of the cells of `span` that bound the time step, in memory order.
    fn rates(&self, fields: &mut Fields<T>, span: &Span, out: &mut [T]);

    /// Derived field `slot` of the cells of `span`, in memory order.
    fn derive(&self, slot: usize, fields: &mut Fields<T>, span: &Span, out: &mut [T]);
}

/// Addresses of all slots for one pass.
#[derive(Clone)]
pub struct View<T> {
    from: [*const T; MAX_SLOTS],
    to: [*mut T; MAX_SLOTS],
    stride: [[isize; AXES]; MAX_SLOTS],
    slots: usize,
    /// Cells that the pass may be run on.
    within: Span,
}

#[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
// SAFETY: the addresses are only used in `Program::run`, whose contract rules out races.
unsafe impl<T: Send> Send for View<T> {}
#[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
// SAFETY: as for `Send`.
unsafe impl<T: Sync> Sync for View<T> {}

impl<T: Real> View<T> {
    /// Addresses of `fields` for a pass with footprint `pass`: what spreads is written to its second level.
    ///
    /// # Panics
    ///
    /// If a slot that the pass uses has no storage: the engine's own mistake.
    #[must_use]
    pub fn new(fields: &mut Fields<T>, slots: usize, pass: &PassFootprint) -> Self {
        let mut view = Self {
            from: [std::ptr::null(); MAX_SLOTS],
            to: [std::ptr::null_mut(); MAX_SLOTS],
            stride: [[0; AXES]; MAX_SLOTS],
            slots,
            within: within(fields.layout(), pass.radius()),
        };
        for slot in 0..slots {
            let base = fields.base(slot);
            view.from[slot] = base.now;
            view.stride[slot] = base.stride;
            if pass.reads(slot) {
                assert!(!base.now.is_null(), "slot {slot} is read but has no storage");
            }
            if pass.writes.contains(&slot) {
                view.to[slot] = if pass.spreads(slot) { base.spare } else { base.now };
                assert!(!view.to[slot].is_null() && base.stride[2] != 0, "slot {slot} is written but has no storage");
            }
        }
        view
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

/// Compiles stencils for precision `T`.
pub struct Compile<T> {
    simd: Simd,
    precision: PhantomData<T>,
}

impl<T> Compile<T> {
    /// A compiler for the instruction set that [`Simd::detect`] finds.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a visitor, made where it is used")]
    pub fn new() -> Self {
        Self::at_most(Simd::detect())
    }

    /// A compiler for `simd`, or the widest narrower instruction set that this machine has.
    #[must_use]
    pub fn at_most(simd: Simd) -> Self {
        Self { simd: simd.at_most(), precision: PhantomData }
    }

    fn compile<const D: usize, S: Stencil<D>>(self, stencil: S) -> Box<dyn Program<T>>
    where
        T: Vectors,
    {
        let footprint = Footprint::of(&stencil, S::STAGES);
        Box::new(Compiled::<S, T, D> { stencil, footprint, simd: self.simd, precision: PhantomData })
    }
}

impl Build for Compile<f64> {
    type Output = Box<dyn Program<f64>>;

    fn stencil<const D: usize>(self, stencil: impl Stencil<D>) -> Self::Output {
        self.compile(stencil)
    }
}

impl Build for Compile<f32> {
    type Output = Box<dyn Program<f32>>;

    fn stencil<const D: usize>(self, stencil: impl Stencil<D>) -> Self::Output {
        self.compile(stencil)
    }
}

/// A stencil compiled into this program.
struct Compiled<S, T, const D: usize> {
    stencil: S,
    footprint: Footprint,
    simd: Simd,
    precision: PhantomData<T>,
}

/// Precisions with their vector types.
trait Vectors: Real {
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Self>;
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Self>;
}

impl Vectors for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::lanes::F64x8;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::lanes::F64x4;
}

impl Vectors for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::lanes::F32x16;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::lanes::F32x8;
}

impl<S: Stencil<D>, T: Vectors, const D: usize> Program<T> for Compiled<S, T, D> {
    fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    fn simd(&self) -> Simd {
        self.simd
    }

    #[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
    unsafe fn run(&self, pass: Pass, view: &View<T>, span: &Span) {
        assert!(view.within.holds(span), "{span:?} leaves {:?}", view.within);
        match pass {
            // SAFETY: `span` and what it reads lie inside the storage; races are ruled out by the caller.
            Pass::Prepare => unsafe { rows::<S, T, T, D>(&self.stencil, Code::Prepare, view, span) },
            // SAFETY: as above.
            Pass::Start => unsafe { rows::<S, T, T, D>(&self.stencil, Code::Start, view, span) },
            Pass::Stage(stage) => {
                #[cfg(target_arch = "x86_64")]
                match self.simd {
                    // SAFETY: as above, and the instruction set was detected.
                    Simd::Avx512 => return unsafe { stage_avx512::<S, T, D>(&self.stencil, stage, view, span) },
                    // SAFETY: as above, and the instruction set was detected.
                    Simd::Avx2 => return unsafe { stage_avx2::<S, T, D>(&self.stencil, stage, view, span) },
                    Simd::Baseline => {}
                }
                // SAFETY: as above.
                unsafe { stages::<S, T, T, D>(&self.stencil, stage, view, span) }
            }
        }
    }

    fn rates(&self, fields: &mut Fields<T>, span: &Span, out: &mut [T]) {
        let view = View::new(fields, MAX_SLOTS.min(fields.slots()), &self.footprint.rate);
        self.pointwise(&view, span, out, |cell| self.stencil.rate::<T>(cell));
    }

    fn derive(&self, slot: usize, fields: &mut Fields<T>, span: &Span, out: &mut [T]) {
        let view = View::new(fields, MAX_SLOTS.min(fields.slots()), &PassFootprint::default());
        self.pointwise(&view, span, out, |cell| self.stencil.derive::<T>(slot, cell));
    }
}

impl<S: Stencil<D>, T: Vectors, const D: usize> Compiled<S, T, D> {
    fn pointwise(&self, view: &View<T>, span: &Span, out: &mut [T], value: impl Fn(&Own<'_, T>) -> T) {
        assert!(view.within.holds(span), "{span:?} leaves {:?}", view.within);
        assert_eq!(span.cells(), out.len());
        let mut out = out.iter_mut();
        span.each_row(|row| {
            for x in span.low[3]..span.high[3] {
                if let Some(out) = out.next() {
                    *out = value(&Own { view, cell: [row[0], row[1], row[2], x] });
                }
            }
        });
    }
}

/// Reads a point itself, checked.
struct Own<'a, T> {
    view: &'a View<T>,
    cell: [isize; AXES],
}

impl<T: Real, const D: usize> Near<T, D> for Own<'_, T> {
    #[expect(unsafe_code, reason = "row access")]
    fn at(&self, slot: usize, offset: [isize; D]) -> T {
        assert!(offset == [0; D], "a pointwise function reads its own point only");
        assert!(slot < self.view.slots && !self.view.from[slot].is_null(), "slot {slot} has no storage");
        let at: isize = (0..AXES).map(|axis| self.cell[axis] * self.view.stride[slot][axis]).sum();
        // SAFETY: the cell lies inside the layout (`pointwise` checks its span), and the slot has storage.
        unsafe { *self.view.from[slot].offset(at) }
    }
}

/// Which of the stencil's functions a pass calls.
#[derive(Clone, Copy)]
enum Code {
    Stage(usize),
    Prepare,
    Start,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
#[expect(unsafe_code, reason = "vector instructions")]
unsafe fn stage_avx512<S: Stencil<D>, T: Vectors, const D: usize>(s: &S, stage: usize, view: &View<T>, span: &Span) {
    // SAFETY: passed on.
    unsafe { stages::<S, T, T::Avx512, D>(s, stage, view, span) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[expect(unsafe_code, reason = "vector instructions")]
unsafe fn stage_avx2<S: Stencil<D>, T: Vectors, const D: usize>(s: &S, stage: usize, view: &View<T>, span: &Span) {
    // SAFETY: passed on.
    unsafe { stages::<S, T, T::Avx2, D>(s, stage, view, span) }
}

/// Gives the stage as a literal, so that a kernel's `match` on it costs nothing.
#[inline(always)]
#[expect(unsafe_code, reason = "row access")]
unsafe fn stages<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize>(
    s: &S,
    stage: usize,
    view: &View<T>,
    span: &Span,
) {
    macro_rules! literal {
        ($($number:literal)*) => {
            match stage {
                // SAFETY: passed on.
                $($number if S::STAGES > $number => unsafe { rows::<S, T, L, D>(s, Code::Stage($number), view, span) },)*
                _ => unreachable!("stage {stage} of {}", S::STAGES),
            }
        };
    }
    literal!(0 1 2 3 4 5 6 7)
}

/// Runs one pass on all rows of `span`: whole vectors, then the rest one by one.
#[inline(always)]
#[expect(unsafe_code, reason = "row access")]
unsafe fn rows<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize>(s: &S, code: Code, view: &View<T>, span: &Span) {
    // Copies that no address is taken of: every index into them is a literal, so only what is used stays, in registers.
    let (from, to, stride) = (view.from, view.to, view.stride);
    let width = L::WIDTH.cast_signed();
    for w in span.low[0]..span.high[0] {
        for z in span.low[1]..span.high[1] {
            for y in span.low[2]..span.high[2] {
                let mut x = span.low[3];
                while x + width <= span.high[3] {
                    let mut cell = At { from: &from, to: &to, stride: &stride, cell: [w, z, y, x] };
                    call::<S, T, L, D>(s, code, &mut cell);
                    x += width;
                }
                while x < span.high[3] {
                    let mut cell = At { from: &from, to: &to, stride: &stride, cell: [w, z, y, x] };
                    call::<S, T, T, D>(s, code, &mut cell);
                    x += 1;
                }
            }
        }
    }
}

#[inline(always)]
fn call<S: Stencil<D>, T: Real, L: Vector<T>, const D: usize>(s: &S, code: Code, cell: &mut At<'_, T>) {
    match code {
        Code::Stage(stage) => s.point::<L>(stage, cell),
        Code::Prepare => s.prepare::<L>(cell),
        Code::Start => s.start::<L>(cell),
    }
}

/// The cells of one vector.
struct At<'a, T> {
    from: &'a [*const T; MAX_SLOTS],
    to: &'a [*mut T; MAX_SLOTS],
    stride: &'a [[isize; AXES]; MAX_SLOTS],
    /// First cell of the vector.
    cell: [isize; AXES],
}

impl<T> At<'_, T> {
    /// Position of the cell at `offset` in the storage of `slot`.
    #[inline(always)]
    fn position<const D: usize>(&self, slot: usize, offset: [isize; D]) -> isize {
        let mut at = self.cell[AXES - 1] + offset[D - 1];
        for axis in 0..D - 1 {
            at += (self.cell[AXES - D + axis] + offset[axis]) * self.stride[slot][AXES - D + axis];
        }
        at
    }
}

impl<T: Real, L: Vector<T>, const D: usize> Near<L, D> for At<'_, T> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "row access")]
    fn at(&self, slot: usize, offset: [isize; D]) -> L {
        // SAFETY: the footprint holds every offset that the kernel uses, and `Program::run` checked that the span's
        // neighbours within it lie inside the storage.
        unsafe { L::load(self.from[slot].offset(self.position(slot, offset))) }
    }
}

impl<T: Real, L: Vector<T>, const D: usize> Cell<L, D> for At<'_, T> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "row access")]
    fn set(&mut self, slot: usize, value: L) {
        // SAFETY: the footprint holds every slot that the kernel sets, and `View::new` gave it storage; the point lies in
        // the span, which this thread alone writes.
        unsafe { value.store(self.to[slot].offset(self.position(slot, [0; D]))) }
    }
}
