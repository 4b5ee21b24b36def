//! Ringfort: stencil computations over tensor fields, the same bits on any number of processors.
//!
//! Input: a job file, which names a grid, a kernel, its fields and how far to go. Output: checkpoints, pictures, sums
//! and files of fields. The same job runs alone, on threads, on MPI ranks on a torus or on workers that may be lost,
//! and can be continued from a checkpoint on any number of them. Invariant: the values after step *n* are a function
//! of the job alone.
//!
//! # The smallest program
//!
//! ```
//! use ringfort::advance::library::{Precise, SHIPPED};
//! use ringfort::advance::Engine;
//! use ringfort::job::Job;
//!
//! let text = r#"
//!     grid.points = [8]
//!     grid.boundary = ["wall"]
//!     kernel.name = "heat"
//!     fields = { temperature = { formula = "100 * step(x - 3.5)" }, diffusivity = 1.0 }
//!     time = { steps = 10, dt = 0.25 }
//! "#;
//! let job = Job::parse(text, "rod.toml".as_ref(), &[], &SHIPPED)?;
//! let kernel = SHIPPED.find("heat").expect("it comes with Ringfort");
//! let whole = job.grid.region();
//! let engine = Engine::new(
//!     f64::program(kernel, &job.setup)?,
//!     job.declaration.clone(),
//!     job.setup.given.clone(),
//!     (&job.grid, &whole),
//!     1,
//! )?;
//! let mut fields = engine.allocate(whole.extent, 1);
//! let mut values = vec![0.0; whole.cells()];
//! let temperature = job.sources[0].as_ref().expect("the job gives it");
//! temperature.fill(&job.grid, &whole, &mut values)?;
//! let own = fields.layout().own();
//! fields.write(0, &own, &values);
//! for step in 0..job.time.steps {
//!     engine.advance(&mut fields, step..step + 1);
//! }
//! fields.read(0, &own, &mut values);
//! assert_eq!(values.iter().sum::<f64>(), 400.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program with kernels of one's own adds them to those that come with Ringfort and is a `ringfort` otherwise:
//! `ringfort new kernel NAME` begins one, and `examples/burgers.rs` is one.
//!
//! # Way of the data
//!
//! ```text
//! job file -> Job -> plan -> cuts -> fields -> advance -> halo exchange -> (repeat) -> checkpoint, images, sums
//! ```
//!
//! A module uses only those above it in this map (`tests/layers.rs` checks):
//!
//! | module | what it holds |
//! |---|---|
//! | [`grid`] | axes, sides, boxes of cells |
//! | [`field`] | a block of a tensor field with its halo: owns the memory |
//! | [`operations`] | the arithmetic of a point |
//! | [`advance`] | T steps of a kernel over a block; the only user of rayon |
//! | [`ceiling`] | how fast this machine does arithmetic |
//! | [`copied`] | a block's own values at one moment |
//! | [`decomp`] | one block per part, and its peers |
//! | [`checkpoint`] | the state after a step as a folder that survives crashes and opens in Python |
//! | [`job`] | job file to [`job::Job`]: every value checked once |
//! | [`plan`] | where rounds end and what is due there |
//! | [`observe`] | images, exact sums, events, records, progress |
//! | [`run`] | what both modes share of a run: folder, inputs, layout, time step |
//! | [`torus`] | ranks in lock-step: the loop ([`torus::run`]), halos, control words; [`torus::placement`] |
//! | `datacenter` | workers that may be lost: what they decide, and what carries it out |
//! | [`compare`] | both modes under the same kills: schedule, trials, model, report |
//! | [`cli`] | one file per command: the only code that prints |
//!
//! [`clock`] is the only place that asks for the time, [`random`] has random numbers for waits and tests, [`exit`] says
//! what exit codes mean. The crate `ringfort-kernels` holds the kernels and their traits: pure arithmetic, no I/O, no
//! unsafe. The modules before `decomp` are the crate `ringfort-engine`, so that kernels, which take a compiler longest,
//! are compiled once for everything that uses them.
//!
//! # What holds
//!
//! - Rank count, thread count, cuts, halo depth, vector width and restarts change no bit.
//! - All computing is [`advance::Engine::advance`]: a pure function from a block with its halo to the block T steps
//!   later.
//! - A checkpoint exists when its manifest does, and that is written last.
//! - Every wait has a deadline. Errors say what happened, to what, and what to do.
//!
//! # What is not there
//!
//! - No adaptive time step, no mesh refinement, no implicit solves.
//! - A rank's death ends an MPI job: the next start goes on from the last checkpoint.
//! - Above 4,096 parts one file per part strains a parallel file system; above 65,536 a checkpoint is refused.

pub use ringfort_engine::{advance, ceiling, copied, field, grid, operations, source};
pub use ringfort_kernels as kernels;

pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod compare;
#[cfg(feature = "datacenter")]
pub mod datacenter;
pub mod decomp;
pub mod exit;
pub mod job;
pub mod observe;
pub mod plan;
pub mod random;
pub mod run;
pub mod torus;
