//! The kernel `new-kernel`, and a ringfort that knows it: `cargo run --release -- run job.toml --out out`.
//!
//! A quantity spreads: `du/dt = a lap u`. Explicit Euler in time, second-order central differences in space; stable
//! for `dt 2 a sum 1/h^2 <= 1`.
//!
//! Input: `u` and the diffusivity `a`. Output: `u` one step later. Invariant: what a point becomes is a function of
//! itself and its nearest neighbours alone, in one order of operations: the same bits on any number of ranks.

use std::process::ExitCode;

use ringfort::advance::library::SHIPPED;
use ringfort::kernels::{
    Build, Cell, Declaration, Field, Kernel, KernelError, Lane, Near, Parameter, Role, Setup, Stencil,
};

/// Slots: the fields in the order of [`Kernel::declare`].
const U: usize = 0;

/// What a job names.
struct NewKernel;

/// What happens at a point, with all its constants at hand.
struct NewKernelStencil<const AXES: usize> {
    /// `a dt / h^2` along each axis.
    ratio: [f64; AXES],
    /// `2 a sum 1/h^2`.
    rate: f64,
}

impl<const AXES: usize> Stencil<AXES> for NewKernelStencil<AXES> {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, AXES>) {
        let here = cell.here(U);
        let mut next = here;
        for axis in 0..AXES {
            let (low, high) = (cell.along(U, axis, -1), cell.along(U, axis, 1));
            next = L::of(self.ratio[axis]).mul_add((low - here) + (high - here), next);
        }
        cell.set(U, next);
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, _cell: &impl Near<L, AXES>) -> L {
        L::of(self.rate)
    }
}

impl Kernel for NewKernel {
    fn declare(&self, _axes: usize) -> Declaration {
        let u = Field::new("u", Role::Component, "1", "what spreads");
        Declaration {
            title: "a quantity that spreads",
            equation: "du/dt = a lap u",
            scheme: "explicit Euler in time (order 1), central differences in space (order 2)",
            bound: "dt 2 a sum 1/h^2 <= 1",
            parameters: vec![Parameter::at_least("a", "m2 s-1", "diffusivity", 0.0)],
            ..Declaration::new("new-kernel", (1, 3), vec![u])
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        Ok(match setup.axes {
            1 => build.stencil(stencil::<1>(setup)),
            2 => build.stencil(stencil::<2>(setup)),
            _ => build.stencil(stencil::<3>(setup)),
        })
    }
}

fn stencil<const AXES: usize>(setup: &Setup) -> NewKernelStencil<AXES> {
    let a = setup.number("a");
    let ratio = std::array::from_fn(|axis| a * setup.dt / (setup.spacing[axis] * setup.spacing[axis]));
    let rate = setup.spacing.iter().map(|h| 2.0 * a / (h * h)).sum();
    NewKernelStencil { ratio, rate }
}

fn main() -> ExitCode {
    ringfort::cli::main(SHIPPED.with(&[&NewKernel]))
}
