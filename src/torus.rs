//! Torus mode: ranks in lock-step, halos from peers, a checkpoint now and then.
//!
//! Input: a job and the other ranks. Output: its checkpoints, images and records. Invariant: the state after a step
//! is a function of the job and its inputs alone; ranks, cuts, threads and steps per exchange change no bit. All
//! ranks make the same joint calls in the same order, and no rank waits without a deadline for another.
pub mod agree;
pub mod background;
pub mod control;
pub mod halo;
pub mod look;
pub mod machine;
pub mod map;
pub mod model;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod peers;
pub mod pictures;
pub mod placement;
pub mod preview;
pub mod report;
pub mod run;
pub mod save;
pub mod series;
pub mod session;
pub mod threads;
pub mod when;
mod writer;

/// True if an MPI launcher started this process.
#[must_use]
pub fn launched() -> bool {
    ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK", "MPI_LOCALNRANKS"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Number of ranks that an MPI launcher started on this machine; 1 where it does not say.
#[must_use]
pub fn launched_ranks_here() -> usize {
    ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(1)
}
