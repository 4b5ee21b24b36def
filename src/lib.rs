//! Ringfort: stencil computations over tensor fields, the same bits on any number of processors.

pub mod advance;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod decomp;
pub mod exit;
pub mod field;
pub mod grid;
pub mod job;
pub mod observe;
pub mod plan;
pub mod torus;
