//! Kernels by name: those that this program was built with.
//!
//! Output: descriptions for the job reader, programs for the engine. A program of one's own adds its kernel here, by
//! `Library::with`. Invariant: operations and the programs of both precisions come from one `build` of the kernel, so
//! what is counted is what runs. Names come in a fixed order, shipped kernels first, and of two kernels with one name
//! the first is found: a kernel of one's own never takes the place of a shipped one.

use ringfort_kernels::{Catalog, Declaration, Kernel, KernelError, Real, Setup};

use super::lanes::Simd;
use super::program::{Compile, Program};
#[cfg(not(test))]
pub use super::shipped::*;
use crate::operations::{Operations, operations};

/// A kernel behind its name.
pub trait AnyKernel: Send + Sync {
    /// What it says about itself on a grid of `axes` axes.
    fn declare(&self, axes: usize) -> Declaration;

    /// Operations of a point.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the setup makes no sense.
    fn operations(&self, setup: &Setup) -> Result<Operations, KernelError>;

    /// The program in 8-byte precision, for `simd` or the widest narrower instruction set that this machine has.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the setup makes no sense.
    fn f64(&self, setup: &Setup, simd: Simd) -> Result<Box<dyn Program<f64>>, KernelError>;

    /// The program in 4-byte precision; see [`AnyKernel::f64`].
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the setup makes no sense.
    fn f32(&self, setup: &Setup, simd: Simd) -> Result<Box<dyn Program<f32>>, KernelError>;
}

impl<K: Kernel> AnyKernel for K {
    fn declare(&self, axes: usize) -> Declaration {
        Kernel::declare(self, axes)
    }

    fn operations(&self, setup: &Setup) -> Result<Operations, KernelError> {
        operations(self, setup)
    }

    fn f64(&self, setup: &Setup, simd: Simd) -> Result<Box<dyn Program<f64>>, KernelError> {
        self.build(setup, Compile::<f64>::at_most(simd))
    }

    fn f32(&self, setup: &Setup, simd: Simd) -> Result<Box<dyn Program<f32>>, KernelError> {
        self.build(setup, Compile::<f32>::at_most(simd))
    }
}

/// Precisions that a kernel is built in.
pub trait Precise: Real {
    /// The program of `kernel` in this precision, for the instruction set that [`Simd::detect`] finds.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the setup makes no sense.
    fn program(kernel: &dyn AnyKernel, setup: &Setup) -> Result<Box<dyn Program<Self>>, KernelError>;
}

impl Precise for f64 {
    fn program(kernel: &dyn AnyKernel, setup: &Setup) -> Result<Box<dyn Program<Self>>, KernelError> {
        kernel.f64(setup, Simd::detect())
    }
}

impl Precise for f32 {
    fn program(kernel: &dyn AnyKernel, setup: &Setup) -> Result<Box<dyn Program<Self>>, KernelError> {
        kernel.f32(setup, Simd::detect())
    }
}

/// Kernels by name.
#[derive(Clone, Copy)]
pub struct Library {
    kernels: &'static [&'static &'static dyn AnyKernel],
    own: &'static [&'static dyn AnyKernel],
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Library {
    /// A library of `kernels`.
    #[must_use]
    pub const fn new(kernels: &'static [&'static &'static dyn AnyKernel]) -> Self {
        Self { kernels, own: &[] }
    }

    /// These kernels and the kernels `own` of a program of one's own, in place of any added before.
    #[must_use]
    pub const fn with(self, own: &'static [&'static dyn AnyKernel]) -> Self {
        Self { own, ..self }
    }

    fn all(&self) -> impl Iterator<Item = &'static dyn AnyKernel> {
        self.kernels.iter().map(|kernel| **kernel).chain(self.own.iter().copied())
    }

    /// The kernel called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static dyn AnyKernel> {
        self.all().find(|kernel| kernel.declare(least_axes(*kernel)).name == name)
    }
}

/// Fewest axes that `kernel` runs on.
fn least_axes(kernel: &dyn AnyKernel) -> usize {
    kernel.declare(2).axes.0
}

impl Catalog for Library {
    fn names(&self) -> Vec<&'static str> {
        self.all().map(|kernel| kernel.declare(least_axes(kernel)).name).collect()
    }

    fn declare(&self, name: &str, axes: usize) -> Option<Declaration> {
        self.find(name).map(|kernel| kernel.declare(axes))
    }
}
