//! Data-center mode: workers on unreliable machines come, go, hang and die while a job runs on.
//!
//! Input: the same job as on a torus. Output: the same bits. [`protocol`] holds every decision, as a state machine
//! without I/O that a simulator drives in tests (`tests/datacenter_sim.rs`) and [`node`] in life. Invariant: the bits
//! depend neither on how many workers there are nor on what becomes of them, of messages, of the ledger or of blobs;
//! what is lost is computed again, from step 0 if nothing newer is left.
//!
//! ```text
//! supervise: starts and replaces workers          spec: what all workers agree on
//!   node: one worker
//!     protocol  <- events, actions ->  transport (shells), ledger (who owns what), blobs (checkpoints)
//!     compute: threads that advance a part (a block with its storage) and observe it
//! ```

pub mod blobs;
pub mod compute;
pub mod ledger;
pub mod node;
pub mod observed;
pub mod part;
pub mod protocol;
pub mod query;
pub mod records;
pub mod room;
pub mod spec;
pub mod status;
pub mod supervise;
pub mod tally;
pub mod transport;
