//! Blocks of tensor fields, and T steps of a kernel over them.
//!
//! Input: a kernel, a block and its halo. Output: the block T steps later. Everything that takes a compiler long,
//! kernels times precisions times axes times instruction sets, is compiled here and behind pointers, so that the
//! programs around it are not. Invariant: nothing here knows of jobs, ranks, files or clocks, and the result of a step
//! has the same bits on any number of threads and with any instruction set.
//!
//! | module | what it holds |
//! |---|---|
//! | [`grid`] | axes, sides, boxes of cells |
//! | [`inflow`] | values beyond a side, over time |
//! | [`source`] | what is added at a point, over time |
//! | [`field`] | a block of a tensor field with its halo: owns the memory |
//! | `memory` | arrays in huge pages |
//! | [`copied`] | a block's own values at one moment |
//! | [`operations`] | the arithmetic of a point |
//! | [`advance`] | T steps of a kernel over a block; the only user of rayon |
//! | [`ceiling`] | how fast a machine does arithmetic |
//!
//! `ringfort` passes on all of it under its own name.

pub mod advance;
mod bytes;
pub mod ceiling;
pub mod copied;
pub mod field;
pub mod grid;
pub mod inflow;
mod memory;
pub mod operations;
pub mod source;
