//! What a worker decides: a deterministic state machine, [`Worker::step`], without I/O, clock or threads.
//!
//! Input: events (a message, a reply of the ledger or the blobs, a finished computation, time) and the time itself. Output:
//! actions to carry out, in order. Invariant: the values after step *n* are a function of the job alone, whatever is lost,
//! late, doubled or damaged on the way.
//!
//! - **Names.** Everything that workers exchange is an immutable value with a name: a shell (block, step), a chunk (step,
//!   block), a manifest (step). Asking again, sending again and computing again are always right, so replies are matched by
//!   name, and a lost reply costs one more question.
//! - **Goals.** A worker keeps a list of what it wants next, each with a time to ask again. There is no other wait.
//! - **Lines.** A line is a block on its way from step to step. The owner of a block runs its main line to the end of the
//!   job; asked for a shell that it does not hold and that lies behind its main line, it remakes it on a side line from an
//!   older chunk. Shells needed for that lie at lower steps, and step 0 is always there, so any loss is covered by induction.
//! - **Newest generation, F.** A generation is complete when its manifest exists; a manifest is written from receipts, one
//!   per chunk, and a receipt only after the chunk was read back. Shells from F on stay with those who made them; older ones
//!   go when F moves. Blocks lead F by a bounded number of steps. Who knows that a generation is complete keeps its manifest
//!   and writes it again where it was lost, so in the end all know the same F, whatever was damaged.
//! - **Ledger.** Who computes which block, under which epoch, by compare-and-set on the block's own record. It saves work and
//!   guards no truth: it may lose anything at any time.
//! - **Poison.** Once two owners of a block died since F last moved, it is computed with nothing else in flight, and the ledger
//!   is told first. Three deaths like that, of at least two workers, and it is left alone.

mod budget;
mod config;
mod message;
mod name;
mod worker;

pub use config::{Bugs, Config, ConfigError, Limits};
pub use message::{
    Action, BlobOp, BlobReply, Body, Ending, Event, Fence, Handover, Key, Lease, LedgerOp, LedgerReply, Member,
    Message, Moment, Note, Record, Why,
};
pub use name::{Blob, Block, Epoch, Held, Revision, Shell, Value, WorkerId, manifest};
pub use worker::Worker;
