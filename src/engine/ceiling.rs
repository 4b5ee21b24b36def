//! A kernel that does nothing but arithmetic: how fast a machine can do it through this engine.
//!
//! Input: a parameter that names the operation. Output: a program whose every point does [`PER_POINT`] of them. Its
//! rate is what the rates of other kernels are measured against, on the same vectors and threads. Invariant: a point
//! reads no neighbour and all of its chains enter its new value, so no operation can be left out. From the start at 1
//! values stay positive and finite over any number of steps: no rate is that of special values.

use ringfort_kernels::{
    Build, Cell, Declaration, Field, Kernel, KernelError, Lane, Near, Parameter, ParameterKind, Role, Setup, Stencil,
};

use crate::advance::library::{AnyKernel, Library};

/// Operations of one point in one step.
pub const PER_POINT: u32 = 576;
/// Chains of operations that do not wait for each other: more than a processor has under way.
const CHAINS: usize = 12;
const LINKS: usize = PER_POINT as usize / CHAINS;

/// The kernel `arithmetic`.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic;

/// The kernel behind its name.
static ARITHMETIC: &dyn AnyKernel = &Arithmetic;

/// A library of the kernel `arithmetic` alone, whose parameter `operation` is one of [`FUSED_PRODUCT`], [`DIVISION`], [`ROOT`].
pub static CEILINGS: Library = Library::new(&[&ARITHMETIC]);

/// `a * b + c`.
pub const FUSED_PRODUCT: usize = 0;
/// `a / b`.
pub const DIVISION: usize = 1;
/// Square root.
pub const ROOT: usize = 2;

struct Chains<const OPERATION: usize>;

impl<const OPERATION: usize> Stencil<2> for Chains<OPERATION> {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, 2>) {
        let here = cell.here(0);
        let (half, more) = (L::of(0.5), L::of(0.625));
        let mut chains = [here; CHAINS];
        #[allow(clippy::cast_precision_loss, reason = "a few chains")]
        for number in 0..CHAINS {
            chains[number] = here + L::of(number as f64);
        }
        for _ in 0..LINKS {
            for number in 0..CHAINS {
                chains[number] = match OPERATION {
                    FUSED_PRODUCT => chains[number].mul_add(half, more),
                    DIVISION => more / chains[number],
                    _ => chains[number].sqrt(),
                };
            }
        }
        let mut sum = chains[0];
        for number in 1..CHAINS {
            sum = sum + chains[number];
        }
        cell.set(0, L::of(1.0 / 24.0).mul_add(sum, half));
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, _cell: &impl Near<L, 2>) -> L {
        L::of(0.0)
    }
}

impl Kernel for Arithmetic {
    fn declare(&self, _axes: usize) -> Declaration {
        Declaration {
            name: "arithmetic",
            title: "nothing but arithmetic",
            equation: "x' = f(f(...f(x)))",
            scheme: "many times the same operation",
            bound: "none",
            source: "none",
            axes: (2, 2),
            parameters: vec![Parameter {
                name: "operation",
                about: "what is done",
                unit: "1",
                kind: ParameterKind::Choice { default: 0.0, choices: &[0.0, 1.0, 2.0] },
            }],
            fields: vec![Field::new("x", Role::Component, "1", "a number")],
            rate_of_state: false,
            degrees: false,
            default_dt: Some(1.0),
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        match setup.number("operation") {
            0.0 => Ok(build.stencil(Chains::<FUSED_PRODUCT>)),
            1.0 => Ok(build.stencil(Chains::<DIVISION>)),
            2.0 => Ok(build.stencil(Chains::<ROOT>)),
            other => Err(KernelError { key: "operation".into(), problem: format!("{other} is none of 0, 1 and 2") }),
        }
    }
}
