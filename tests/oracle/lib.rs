//! What tests compare with: the state of every kernel after each step by a deliberately plain engine, and a kernel of the tests' own.
//!
//! Kernels times precisions times axes take a compiler long, so they are compiled here, once, and not by every test that uses them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    reason = "for tests"
)]

pub mod reference;
pub mod relay;

use reference::{Global, Reference};
use relay::Relay;
use ringfort_engine::advance::library::AnyKernel;
use ringfort_kernels::{
    Elastic, Euler, GrayScott, Heat, Kernel, LatticeBoltzmann, Life, Maxwell, Real, Setup, ShallowWater, Wave,
};

pub static RELAY: &dyn AnyKernel = &Relay { steady: false };
pub static STEADY_RELAY: &dyn AnyKernel = &Relay { steady: true };

/// A precision that the plain engine is compiled for.
pub trait Plain: Real {
    /// The state after each number of steps of the kernel called `kernel`.
    fn states(kernel: &str, setup: &Setup, reference: Reference<'_, Self>) -> Vec<Global<Self>>;
}

impl Plain for f64 {
    fn states(kernel: &str, setup: &Setup, reference: Reference<'_, Self>) -> Vec<Global<Self>> {
        states(kernel, setup, reference)
    }
}

impl Plain for f32 {
    fn states(kernel: &str, setup: &Setup, reference: Reference<'_, Self>) -> Vec<Global<Self>> {
        states(kernel, setup, reference)
    }
}

fn states<T: Real>(kernel: &str, setup: &Setup, reference: Reference<'_, T>) -> Vec<Global<T>> {
    match kernel {
        "heat" => Heat.build(setup, reference),
        "gray-scott" => GrayScott.build(setup, reference),
        "wave" => Wave.build(setup, reference),
        "maxwell" => Maxwell.build(setup, reference),
        "elastic" => Elastic.build(setup, reference),
        "euler" => Euler.build(setup, reference),
        "lattice-boltzmann" => LatticeBoltzmann.build(setup, reference),
        "life" => Life.build(setup, reference),
        "shallow-water" => ShallowWater.build(setup, reference),
        name => Relay { steady: name == "steady-relay" }.build(setup, reference),
    }
    .unwrap()
}
