//! Stencil kernels of Ringfort: pure arithmetic over a lane type, one kernel per file.
//!
//! A kernel says what happens at one point; the engine decides where, when and on how many values at once. See
//! [`Stencil`] for the shape and [`heat`] for the shortest complete example. No I/O, no unsafe. Invariant: no kernel
//! knows the grid's extent, cuts, ranks or threads, or where its point lies, save through fields that depend on place;
//! so a step has the same bits however the grid is cut. Functions of latitude come from `libm`, not from the system.

#![forbid(unsafe_code)]

mod declare;
pub mod elastic;
pub mod euler;
pub mod gray_scott;
pub mod heat;
mod lane;
pub mod lattice_boltzmann;
pub mod life;
pub mod maxwell;
mod setup;
pub mod shallow_water;
mod stencil;
mod unroll;
pub mod wave;

pub use declare::{Allowed, Beyond, Catalog, Declaration, FAR, Field, Mirror, Parameter, ParameterKind, Role};
pub use elastic::Elastic;
pub use euler::Euler;
pub use gray_scott::GrayScott;
pub use heat::Heat;
pub use lane::{Lane, Mask, Real};
pub use lattice_boltzmann::LatticeBoltzmann;
pub use life::Life;
pub use maxwell::Maxwell;
pub use setup::{Given, KernelError, Setup, Value};
pub use shallow_water::ShallowWater;
pub use stencil::{Build, Cell, Kernel, Near, Stencil};
pub use wave::Wave;
