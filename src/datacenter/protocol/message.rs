//! What goes in and out of a worker: events, actions, and the messages, records and replies that they carry.
//!
//! Invariant: a reply bears the name or number of what was asked for, so replies may come late, twice or in any
//! order, or never; nothing but a planted mistake decides by the wall clock in a record. [`Member`] and [`Lease`] lie
//! in the ledger as JSON, so their fields have the same names in all workers of a run.

use serde::{Deserialize, Serialize};

use super::name::{Blob, Block, Epoch, Revision, Shell, Value, WorkerId};

/// The time at a worker.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Its own clock, which never goes back and counts on during suspend.
    pub now_ms: u64,
    /// The wall clock: written into records for people, never compared.
    pub wall_ms: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A worker sent a message.
    Message(WorkerId, Message),
    /// The ledger answered.
    Ledger(LedgerReply),
    /// The blobs answered.
    Blob(BlobReply),
    /// An [`Action::Advance`] is done.
    Advanced {
        /// Which block.
        block: Block,
        /// Step that it started from.
        from: u64,
        /// Step that it ended at.
        to: u64,
        /// The block after that step.
        state: Value,
        /// What its neighbours will read of it.
        shell: Value,
    },
    /// That worker is dead: its process was seen to end. A hint that saves waiting for its lease to end.
    Gone(WorkerId),
    /// Leave politely.
    Drain,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send a message.
    Send(WorkerId, Message),
    /// Ask the ledger.
    Ledger(LedgerOp),
    /// Ask the blobs.
    Blob(BlobOp),
    /// Compute a block from one step to another. From a step to itself: only cut out the shell.
    Advance {
        /// Which block.
        block: Block,
        /// Step to start from.
        from: u64,
        /// Step to end at.
        to: u64,
        /// The block after step `from`.
        state: Value,
        /// Its neighbours' shells of step `from`.
        shells: Vec<(Block, Value)>,
    },
    /// Write down what happened, with its Lamport stamp.
    Log(u64, Note),
    /// End: carry out nothing more for this worker.
    Exit(Ending),
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The job is done.
    Done,
    /// It was asked to leave, and others own its blocks.
    Drained,
    /// These blocks kill whoever computes them, and nothing else is left to do.
    Poisoned(Vec<Block>),
    /// Two contents under one name: computing is not deterministic on this machine or another.
    Alarm(String),
}

/// A message between workers.
#[derive(Clone, Debug)]
pub struct Message {
    /// Lamport stamp of the sending.
    pub lamport: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Body {
    /// Send me this shell; I know of this complete generation.
    Ask(Shell, u64),
    /// Here it is.
    Give(Shell, Value),
    /// It comes when it is made.
    Wait(Shell),
    /// Too much to do: ask again after so many milliseconds (HTTP 503 with Retry-After).
    Later(Shell, u64),
    /// I neither have it nor own the block.
    Elsewhere(Shell),
    /// Generation `.1` is complete: start from there instead.
    Passed(Shell, u64),
    /// I own the block under this epoch, and know of this complete generation: hand it over.
    AskBlock(Block, Epoch, u64),
    /// Here it is.
    GiveBlock(Block, Handover),
    /// A round of it is being computed, or I know of a newer generation: ask again.
    LaterBlock(Block, u64),
    /// I have nothing of it.
    NoBlock(Block),
}

/// All that is needed to go on with a block where its owner before stopped.
#[derive(Clone, Debug)]
pub struct Handover {
    /// How far it is.
    pub step: u64,
    /// The block after that step.
    pub state: Value,
    /// Its shells since the newest generation.
    pub shells: Vec<(u64, Value)>,
    /// Its snapshots that are not yet known to be safe.
    pub snapshots: Vec<(u64, Value)>,
}

/// Which record of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A worker's signs of life.
    Member(WorkerId),
    /// Who owns a block.
    Block(Block),
}

/// A record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A worker's signs of life.
    Member(Member),
    /// Who owns a block.
    Lease(Lease),
}

/// A worker's signs of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Counts the signs.
    pub beat: u64,
    /// It wants to leave.
    pub draining: bool,
    /// It has the shells that it made from this step on, and keeps those to come; none: it keeps only what it needs itself.
    pub keeps: Option<u64>,
    /// Wall clock of the sign, for people.
    pub wall_ms: u64,
    /// Lamport stamp of the writing.
    pub lamport: u64,
}

/// Who owns a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The owner.
    pub owner: WorkerId,
    /// Counts the owners.
    pub epoch: Epoch,
    /// Whom it was taken from, if that worker can hand it over.
    pub from: Option<WorkerId>,
    /// The newest generation when an owner last died: the counts below are void once a newer one is complete.
    pub generation: u64,
    /// Owners that died since, the last few, less those that showed life again.
    pub died: Vec<WorkerId>,
    /// Those of them that had nothing else in flight.
    pub deaths: Vec<WorkerId>,
    /// The owner has nothing else in flight.
    pub alone: bool,
    /// Lamport stamp of the writing.
    pub lamport: u64,
}

/// What a write to the ledger depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Nothing: for records that one worker alone writes.
    Open,
    /// That very record still has this revision (0: it is not there).
    Literal(Revision),
    /// The newest record of any block has this revision: unsafe while another write is on its way, here for a planted bug.
    Wildcard(Revision),
}

/// A question to the ledger.
#[derive(Clone, Debug)]
pub enum LedgerOp {
    /// All records. `fresh`: as of now; without, a replica may answer with an older state.
    Read {
        /// Comes back with the reply.
        number: u64,
        /// As of now.
        fresh: bool,
    },
    /// Write a record if the fence holds.
    Write(Key, Record, Fence),
}

/// An answer of the ledger.
#[derive(Clone, Debug)]
pub enum LedgerReply {
    /// All records.
    View(u64, Vec<(Key, Revision, Record)>),
    /// A write happened.
    Written(Key, Revision, Record),
    /// A write was refused; the next view tells why.
    Refused(Key),
}

/// A question to the blobs.
#[derive(Clone, Debug)]
pub enum BlobOp {
    /// All names.
    List(u64),
    /// An object. Chunks of step 0 come from the job's inputs.
    Get(Blob),
    /// Write an object. `replace`: even if there is one, whose damage was seen.
    Put {
        /// Its name.
        blob: Blob,
        /// Its content.
        value: Value,
        /// Even if there is one.
        replace: bool,
    },
    /// Delete an object; no answer comes.
    Delete(Blob),
}

/// An answer of the blobs.
#[derive(Clone, Debug)]
pub enum BlobReply {
    /// All names.
    Listed(u64, Vec<Blob>),
    /// An object, if it is there.
    Got(Blob, Option<Value>),
    /// The object was written, or was there already.
    Stored(Blob),
    /// Too much to do: ask again after so many milliseconds.
    Later(Blob, u64),
}

/// Why a block was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no owner.
    Free,
    /// Its owner gave no sign of life for a lease.
    Expired(WorkerId),
    /// Its owner has too many, or leaves.
    Stolen(WorkerId),
}

/// What a worker writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A claim was sent.
    Claims(Block, Epoch, Why),
    /// A claim was confirmed.
    Owns(Block, Epoch),
    /// Another worker owns the block.
    Lost(Block),
    /// A line starts from a chunk or from what an owner handed over.
    Starts(Block, u64),
    /// Another generation is complete.
    Newest(u64),
    /// An object is damaged or missing.
    Damaged(Blob),
    /// A block kills those who compute it.
    Quarantined(Block),
    /// A request went out once more.
    Retried,
    /// A message arrived, sent under this stamp.
    Receives(u64),
}
