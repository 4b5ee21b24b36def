//! A kernel made ready to run on rows: the narrow interface between engine and kernels.
//!
//! Input: a stencil and a precision. Output: a [`Program`]. A program made at run time from an equation could stand in
//! the place of a compiled one. Invariant: instruction set and number of planes together change no bit, only time; only
//! stages run in vectors, all else one value at a time. Only [`Compile::at_most`] chooses the instruction set, and none
//! that the machine lacks: vector code rests on that. Rates, derived fields and inflows read their own point only.

use std::marker::PhantomData;

use ringfort_kernels::{Build, Cell, Near, Real, Stencil};

use super::footprint::{Footprint, PassFootprint};
use super::lanes::{Simd, Vector};
use super::rows::{Code, MOST_TOGETHER, Planes, rows, stage_avx2, stage_avx512, stages};
use crate::field::{Fields, Span};
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

    /// Cells that a stage computes at once. Rows are widened to multiples of it: cells beyond are computed from whatever is
    /// there, and never used.
    fn width(&self) -> usize;

    /// Most planes that a stage computes together.
    fn together(&self) -> usize;

    /// Runs `pass` on the cells of `span`, which lie in one plane, and on as many of the next plane if `together` is 2.
    ///
    /// # Safety
    ///
    /// `planes` holds addresses of every slot that the pass reads and writes, for the plane and those within its reach;
    /// they are valid for all cells of `span` and their neighbours within its reach; nobody else writes what is read or
    /// touches what is written while this runs.
    #[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
    unsafe fn run(&self, pass: Pass, planes: &Planes<T>, span: &Span, together: usize);

    /// Share of the time step that has gone by in what `stage` reads.
    fn clock(&self, stage: usize) -> f64;

    /// Lets field `slot` flow in with `value` at the cells of `span`, which lie beyond a side. `standing` says which slot
    /// holds the present value of which.
    fn inflow(&self, slot: usize, value: T, fields: &mut Fields<T>, span: &Span, standing: &[usize]);

    /// Rates of the cells of `span` that bound the time step, in memory order.
    fn rates(&self, fields: &Fields<T>, span: &Span, out: &mut [T]);

    /// Derived field `slot` of the cells of `span`, in memory order.
    fn derive(&self, slot: usize, fields: &Fields<T>, span: &Span, out: &mut [T]);
}

/// Compiles stencils for precision `T`.
pub struct Compile<T> {
    simd: Simd,
    precision: PhantomData<T>,
}

impl<T> Compile<T> {
    /// A compiler for `simd`, or the widest narrower instruction set that this machine has.
    #[must_use]
    pub fn at_most(simd: Simd) -> Self {
        Self { simd: simd.at_most(), precision: PhantomData }
    }

    fn compile<const D: usize, S: Stencil<D>>(self, stencil: S) -> Box<dyn Program<T>>
    where
        T: Vectors,
    {
        let footprint = Footprint::of(&stencil);
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
pub(super) trait Vectors: Real {
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

impl<S: Stencil<D>, T: Vectors, const D: usize> Compiled<S, T, D> {
    /// # Safety
    ///
    /// As for `Program::run`; the instruction set is not [`Simd::Baseline`].
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn vectors<const J: usize>(&self, stage: usize, planes: &Planes<T>, span: &Span) {
        // SAFETY: passed on, and the instruction set was detected.
        unsafe {
            match self.simd {
                Simd::Avx512 => stage_avx512::<S, T, D, J>(&self.stencil, stage, planes, span),
                _ => stage_avx2::<S, T, D, J>(&self.stencil, stage, planes, span),
            }
        }
    }
}

impl<S: Stencil<D>, T: Vectors, const D: usize> Program<T> for Compiled<S, T, D> {
    fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    fn simd(&self) -> Simd {
        self.simd
    }

    fn width(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        match self.simd {
            Simd::Avx512 => return T::Avx512::WIDTH,
            Simd::Avx2 => return T::Avx2::WIDTH,
            Simd::Baseline => {}
        }
        1
    }

    fn together(&self) -> usize {
        // One value at a time there is nothing to gain, and compilers have less to do; nor where planes share nothing.
        let shares = self.footprint.stages.iter().any(PassFootprint::shares_planes);
        if self.simd == Simd::Baseline || !shares { 1 } else { MOST_TOGETHER }
    }

    #[expect(unsafe_code, reason = "threads write disjoint boxes of the same field")]
    unsafe fn run(&self, pass: Pass, planes: &Planes<T>, span: &Span, together: usize) {
        match pass {
            // SAFETY: passed on.
            Pass::Prepare => unsafe { rows::<S, T, T, D, 1>(&self.stencil, Code::Prepare, planes, span) },
            // SAFETY: passed on.
            Pass::Start => unsafe { rows::<S, T, T, D, 1>(&self.stencil, Code::Start, planes, span) },
            Pass::Stage(stage) => {
                #[cfg(target_arch = "x86_64")]
                match (self.simd, together) {
                    (Simd::Baseline, _) => {}
                    // SAFETY: passed on.
                    (_, 1) => return unsafe { self.vectors::<1>(stage, planes, span) },
                    // SAFETY: passed on.
                    _ => return unsafe { self.vectors::<2>(stage, planes, span) },
                }
                assert_eq!(together, 1, "planes computed one by one");
                // SAFETY: passed on.
                unsafe { stages::<S, T, T, D, 1>(&self.stencil, stage, planes, span) }
            }
        }
    }

    fn clock(&self, stage: usize) -> f64 {
        self.stencil.clock(stage)
    }

    fn inflow(&self, slot: usize, value: T, fields: &mut Fields<T>, span: &Span, standing: &[usize]) {
        span.each_row(|row| {
            for x in span.low[3]..span.high[3] {
                let mut cell = Beyond { fields, cell: [row[0], row[1], row[2], x], standing };
                self.stencil.inflow::<T>(slot, value, &mut cell);
            }
        });
    }

    fn rates(&self, fields: &Fields<T>, span: &Span, out: &mut [T]) {
        pointwise(fields, span, out, |cell| self.stencil.rate::<T>(cell));
    }

    fn derive(&self, slot: usize, fields: &Fields<T>, span: &Span, out: &mut [T]) {
        pointwise(fields, span, out, |cell| self.stencil.derive::<T>(slot, cell));
    }
}

/// `value` at every cell of `span`, in memory order.
fn pointwise<T: Real>(fields: &Fields<T>, span: &Span, out: &mut [T], value: impl Fn(&Own<'_, T>) -> T) {
    assert_eq!(span.cells(), out.len());
    let mut out = out.iter_mut();
    span.each_row(|row| {
        for x in span.low[3]..span.high[3] {
            if let Some(out) = out.next() {
                *out = value(&Own { fields, cell: [row[0], row[1], row[2], x] });
            }
        }
    });
}

/// Reads a point itself.
struct Own<'a, T: Real> {
    fields: &'a Fields<T>,
    cell: [isize; AXES],
}

impl<T: Real, const D: usize> Near<T, D> for Own<'_, T> {
    fn at(&self, slot: usize, offset: [isize; D]) -> T {
        assert!(offset == [0; D], "a pointwise function reads its own point only");
        self.fields.value(slot, self.cell)
    }
}

/// Reads and writes a point beyond a side.
struct Beyond<'a, T: Real> {
    fields: &'a mut Fields<T>,
    cell: [isize; AXES],
    standing: &'a [usize],
}

impl<T: Real, const D: usize> Near<T, D> for Beyond<'_, T> {
    fn at(&self, slot: usize, offset: [isize; D]) -> T {
        assert!(offset == [0; D], "an inflow reads its own point only");
        self.fields.value(self.standing[slot], self.cell)
    }
}

impl<T: Real, const D: usize> Cell<T, D> for Beyond<'_, T> {
    fn set(&mut self, slot: usize, value: T) {
        let high = self.cell.map(|index| index + 1);
        self.fields.write(self.standing[slot], &Span { low: self.cell, high }, &[value]);
    }
}
