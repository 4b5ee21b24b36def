//! Data-center mode with real processes: whatever befalls workers, supervisor, ledger, blobs and disk, the same bits come out.
//!
//! `RINGFORT_CHAOS=100 cargo test --test datacenter_chaos` has more disturbed runs; `RINGFORT_CHAOS=1 RINGFORT_SEED=N` has
//! that of seed N alone; `RINGFORT_CHAOS_AT_ONCE=2` sets how many go on at a time.

#![cfg(feature = "datacenter")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "datacenter_chaos/after.rs"]
mod after;
#[path = "datacenter_chaos/directed.rs"]
mod directed;
#[path = "datacenter_chaos/disturbed.rs"]
mod disturbed;
#[path = "datacenter_chaos/faults.rs"]
mod faults;
#[path = "datacenter_chaos/jobs.rs"]
mod jobs;
mod mpi_common;
#[path = "datacenter_chaos/processes.rs"]
mod processes;
