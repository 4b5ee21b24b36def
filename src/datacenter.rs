//! Data-center mode: workers on unreliable machines come, go, hang and die while a job runs on.
//!
//! Input: the same job as on a torus. Output: the same bits. [`protocol`] holds every decision, as a state machine without
//! I/O that a simulator drives in tests (`tests/datacenter_sim.rs`). [`ledger`] and [`blobs`] are the two stores that it asks.
//! What drives it in life is not there yet: the command line refuses the mode by name.

pub mod blobs;
pub mod compute;
pub mod ledger;
pub mod node;
pub mod observed;
pub mod part;
pub mod protocol;
pub mod records;
pub mod spec;
pub mod status;
pub mod supervise;
pub mod tally;
pub mod transport;
