//! How much arithmetic a kernel does per point: found by running it once on a lane that counts.
//!
//! Input: a kernel and its setup. Output: its [`Operations`]. Invariant: what is counted is what the kernel's source spells,
//! since a kernel cannot branch on values; a compiler may need less where a point spells the same thing twice.

use std::cell::Cell as Slot;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use ringfort_kernels::{Build, Cell, Kernel, KernelError, Lane, Mask, Near, Setup, Stencil};

/// Operations of one point in one step, all stages together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Sums, products, fused products, absolute values, comparisons and choices: one instruction each.
    pub simple: u32,
    /// Divisions.
    pub divisions: u32,
    /// Square roots.
    pub roots: u32,
}

/// Operations of a point of `kernel` with `setup`.
///
/// # Errors
///
/// [`KernelError`] if the setup makes no sense.
pub fn operations(kernel: &impl Kernel, setup: &Setup) -> Result<Operations, KernelError> {
    kernel.build(setup, Count)
}

/// Counts a stencil's operations.
struct Count;

impl Build for Count {
    type Output = Operations;

    fn stencil<const D: usize>(self, stencil: impl Stencil<D>) -> Operations {
        stages::<D, _>(&stencil)
    }
}

fn stages<const D: usize, S: Stencil<D>>(stencil: &S) -> Operations {
    COUNTS.set(Operations::default());
    for stage in 0..S::STAGES {
        stencil.point::<Tick>(stage, &mut Anywhere);
    }
    COUNTS.get()
}

thread_local! {
    static COUNTS: Slot<Operations> = const { Slot::new(Operations { simple: 0, divisions: 0, roots: 0 }) };
}

/// A lane without a value, whose operations are counted.
#[derive(Clone, Copy)]
struct Tick;

/// Counts what `one` counts.
fn tick(one: fn(&mut Operations) -> &mut u32) -> Tick {
    let mut counts = COUNTS.get();
    *one(&mut counts) += 1;
    COUNTS.set(counts);
    Tick
}

fn simple() -> Tick {
    tick(|counts| &mut counts.simple)
}

/// Truth of nothing. Combining masks costs next to nothing and is not counted; nor is a sign, which is part of the operation
/// that follows.
#[derive(Clone, Copy)]
struct Truth;

impl Mask for Truth {}

macro_rules! silent {
    ($($for:ty: $trait:ident $method:ident $($other:ident)?;)*) => {
        $(impl $trait for $for {
            type Output = Self;
            fn $method(self $(, _: $other)?) -> Self {
                self
            }
        })*
    };
}
silent!(Truth: BitAnd bitand Self; Truth: BitOr bitor Self; Truth: Not not; Tick: Neg neg;);

macro_rules! simple {
    ($($trait:ident $method:ident;)*) => {
        $(impl $trait for Tick {
            type Output = Self;
            fn $method(self, _: Self) -> Self {
                simple()
            }
        })*
    };
}
simple!(Add add; Sub sub; Mul mul;);

impl Div for Tick {
    type Output = Self;

    fn div(self, _: Self) -> Self {
        tick(|counts| &mut counts.divisions)
    }
}

impl Lane for Tick {
    type Mask = Truth;

    fn of(_: f64) -> Self {
        Self
    }

    fn mul_add(self, _: Self, _: Self) -> Self {
        simple()
    }

    fn sqrt(self) -> Self {
        tick(|counts| &mut counts.roots)
    }

    fn abs(self) -> Self {
        simple()
    }

    fn lt(self, _: Self) -> Truth {
        simple();
        Truth
    }

    fn le(self, _: Self) -> Truth {
        simple();
        Truth
    }

    fn equals(self, _: Self) -> Truth {
        simple();
        Truth
    }

    fn select(_: Truth, _: Self, _: Self) -> Self {
        simple()
    }
}

/// A point whose fields have no values.
struct Anywhere;

impl<const D: usize> Near<Tick, D> for Anywhere {
    fn at(&self, _: usize, _: [isize; D]) -> Tick {
        Tick
    }
}

impl<const D: usize> Cell<Tick, D> for Anywhere {
    fn set(&mut self, _: usize, _: Tick) {}
}
