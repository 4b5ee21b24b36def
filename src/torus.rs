//! Torus mode: ranks in lock-step, halos from peers, a checkpoint now and then.
pub mod agree;
pub mod control;
pub mod fault;
pub mod halo;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod peers;
pub mod save;
pub mod session;
pub mod shape;
pub mod threads;

/// Number of ranks that an MPI launcher started, if one did.
#[must_use]
pub fn launched_ranks() -> Option<usize> {
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
}
