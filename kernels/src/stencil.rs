//! The kernel trait: what happens at one point in one stage of a step.
//!
//! Input: fields around a point, by slot and offset. Output: new values at the point.
//! Invariant: a point's new values are a function of the values that the stage found, so the order of points,
//! cuts and threads cannot matter.

use crate::declare::Declaration;
use crate::lane::Lane;
use crate::setup::{KernelError, Setup};

/// Reads the fields around the point that a kernel computes. Slots count the declared fields, in order;
/// offsets are in cells, slowest axis first.
pub trait Near<L: Lane, const AXES: usize> {
    /// Field `slot` at `offset` cells from the point. Offsets that are literals cost nothing.
    fn at(&self, slot: usize, offset: [isize; AXES]) -> L;

    /// Field `slot` at the point itself.
    #[inline(always)]
    fn here(&self, slot: usize) -> L {
        self.at(slot, [0; AXES])
    }

    /// Field `slot` at `cells` from the point along `axis`.
    #[inline(always)]
    fn along(&self, slot: usize, axis: usize, cells: isize) -> L {
        let mut offset = [0; AXES];
        offset[axis] = cells;
        self.at(slot, offset)
    }
}

/// Reads around a point and writes at the point.
pub trait Cell<L: Lane, const AXES: usize>: Near<L, AXES> {
    /// Gives field `slot` a new value at the point. A stage reads a slot before it sets it.
    fn set(&mut self, slot: usize, value: L);
}

/// A stencil on a grid of `AXES` axes, with all its constants at hand.
///
/// A step runs the stages in order over the whole grid. The engine finds out what each stage reads and writes, and
/// how far, by running it once: nothing about halos, buffers or storage in place is declared. Only offsets that do
/// not depend on values are possible, since a comparison gives a [`crate::Mask`] and never a `bool`.
///
/// No method may hold a closure: one that is not inlined costs a factor of ten. Use `#[inline(always)]` functions.
pub trait Stencil<const AXES: usize>: Send + Sync + 'static {
    /// Passes over the grid that make one step, at most 8.
    const STAGES: usize = 1;

    /// Pairs of components, the second of which holds what the first was one step before. The kernel, of one stage, reads the
    /// older level at its own point and never sets it: the engine writes the new level over it, so that nothing is copied.
    const OLDER_LEVELS: &'static [(usize, usize)] = &[];

    /// One point in stage `stage`: new values of components and scratch fields.
    fn point<L: Lane>(&self, stage: usize, cell: &mut impl Cell<L, AXES>);

    /// Rate at the point in 1/s whose largest value over the grid bounds the time step: `dt * rate <= 1`.
    /// Reads its own point only.
    fn rate<L: Lane>(&self, cell: &impl Near<L, AXES>) -> L;

    /// Prepared fields (say, coefficients at cell faces), computed once from coefficients before the first step.
    fn prepare<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let _ = cell;
    }

    /// Components that the job does not give, computed once: from the fields of role [`crate::Role::Start`] that it gives
    /// instead (own point only), or from components that it gives. See [`Declaration::starts`].
    fn start<L: Lane>(&self, cell: &mut impl Cell<L, AXES>) {
        let _ = cell;
    }

    /// Share of the time step that has gone by in what stage `stage` reads: 0 where it reads the state before the step. Tells
    /// the time of what flows in.
    fn clock(&self, stage: usize) -> f64 {
        let _ = stage;
        0.0
    }

    /// Components beyond an open side where field `slot` flows in with value `value`. Own point only: it holds what the
    /// nearest point inside does.
    fn inflow<L: Lane>(&self, slot: usize, value: L, cell: &mut impl Cell<L, AXES>) {
        let _ = (slot, value, cell);
    }

    /// Field of role [`crate::Role::Derived`] in slot `slot`, from components and coefficients. Own point only.
    fn derive<L: Lane>(&self, slot: usize, cell: &impl Near<L, AXES>) -> L {
        let _ = (slot, cell);
        L::of(f64::NAN)
    }
}

/// A kernel by name: what a job file may say about it, and the stencil that comes out.
pub trait Kernel: Send + Sync + 'static {
    /// Names, equation, parameters and fields, for a grid of `axes` axes.
    fn declare(&self, axes: usize) -> Declaration;

    /// Hands the stencil that fits `setup` to `build`.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if a parameter is out of its range; it names parameter, value and range.
    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError>;
}

/// Receives the stencil that a kernel chose for a setup; implemented by the engine.
pub trait Build {
    /// What the engine makes of a stencil.
    type Output;

    /// Takes the stencil.
    fn stencil<const AXES: usize>(self, stencil: impl Stencil<AXES>) -> Self::Output;
}
