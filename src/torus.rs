//! Torus mode: ranks in lock-step, halos from peers, a checkpoint now and then.
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
