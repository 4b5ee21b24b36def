//! The kernels that come with Ringfort.
//!
//! Input: the kernels' crate. Output: statics, compiled once for everything that names them. The engine's own unit
//! tests need none of them and go without, since they take a compiler minutes. Invariant: each kernel is one static,
//! and `SHIPPED` refers to it by its place, never by its value; its order is the order in which kernels are listed.

use ringfort_kernels::{Elastic, Euler, GrayScott, Heat, LatticeBoltzmann, Life, Maxwell, ShallowWater, Wave};

use super::library::{AnyKernel, Library};

// Statics, and named by their place in [`Library`], since the value of a constant would be compiled again, kernel and all,
// by every crate that names it.
/// Conduction of heat.
pub static HEAT: &dyn AnyKernel = &Heat;
/// Two substances that react and diffuse.
pub static GRAY_SCOTT: &dyn AnyKernel = &GrayScott;
/// Scalar waves.
pub static WAVE: &dyn AnyKernel = &Wave;
/// Electromagnetic waves.
pub static MAXWELL: &dyn AnyKernel = &Maxwell;
/// Elastic waves.
pub static ELASTIC: &dyn AnyKernel = &Elastic;
/// Shallow water on a plane or a sphere.
pub static SHALLOW_WATER: &dyn AnyKernel = &ShallowWater;
/// Cells that live or die by the number of their neighbours.
pub static LIFE: &dyn AnyKernel = &Life;
/// Slow flow of a fluid.
pub static LATTICE_BOLTZMANN: &dyn AnyKernel = &LatticeBoltzmann;
/// Compressible gas.
pub static EULER: &dyn AnyKernel = &Euler;

/// The kernels that come with Ringfort.
pub static SHIPPED: Library =
    Library::new(&[&HEAT, &WAVE, &GRAY_SCOTT, &SHALLOW_WATER, &MAXWELL, &ELASTIC, &LIFE, &LATTICE_BOLTZMANN, &EULER]);
