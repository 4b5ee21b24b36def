//! What both modes share of a run: its folder, inputs, layout, time step, signals and faults on purpose.
//!
//! Invariant: nothing here knows ranks or workers.

pub mod around;
pub mod begin;
pub mod bound;
pub mod boxes;
pub mod derive;
pub mod fault;
pub mod folder;
pub mod inputs;
pub mod limit;
pub mod memory;
pub mod provenance;
pub mod request;
pub mod shape;
pub mod signal;
pub mod space;
pub mod state;

/// Says a line to the person who started the run.
pub type Say<'a> = &'a dyn Fn(&str);

/// Threads of each of `ranks` ranks on this machine, where nobody says: its cores shared among them.
#[must_use]
pub fn threads_of_each(ranks: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / ranks.max(1)).max(1)
}
