//! Snapshots: a block's chunk is written, read back, and given a receipt.
//!
//! Invariant: a receipt is written after its chunk was read back; a chunk is replaced only by one who saw that it is damaged.

use super::super::message::BlobOp;
use super::super::name::{Blob, Block, Value};
use super::Worker;
use super::goal::Goal;

/// A chunk on its way into the blobs.
#[derive(Debug)]
pub(super) struct Snapshot {
    value: Value,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be written; over a damaged one, if true.
    Write(bool),
    /// To be read back.
    Check,
    /// Read back: the receipt is to be written.
    Receipt,
    /// Written: a listing asked for after this time should show the receipt.
    Listed(u64),
}

impl Worker {
    /// Begins to write the chunk of `block` at `step`.
    pub(super) fn snapshot(&mut self, step: u64, block: Block, value: Value) {
        let stage = Stage::Write(self.config.bugs.chunks_overwritten);
        self.snapshots.entry((step, block)).or_insert(Snapshot { value, stage });
        self.want(Goal::Snapshot(step, block));
    }

    /// Begins to write the receipt of a chunk that was just read and found intact.
    pub(super) fn confirm(&mut self, step: u64, block: Block, value: Value) {
        self.snapshots.entry((step, block)).or_insert(Snapshot { value, stage: Stage::Receipt });
        self.want(Goal::Snapshot(step, block));
    }

    /// Snapshots of `block` that are on their way.
    pub(super) fn snapshots_of(&self, block: Block) -> Vec<(u64, Value)> {
        let of = self.snapshots.iter().filter(|((_, other), _)| *other == block);
        of.map(|(&(step, _), snapshot)| (step, snapshot.value.clone())).collect()
    }

    pub(super) fn ask_snapshot(&mut self, step: u64, block: Block) {
        let Some(snapshot) = self.snapshots.get(&(step, block)) else { return };
        let digest = snapshot.value.digest();
        let op = match snapshot.stage {
            Stage::Write(replace) => {
                BlobOp::Put { blob: Blob::Chunk { step, block }, value: snapshot.value.clone(), replace }
            }
            Stage::Check => BlobOp::Get(Blob::Chunk { step, block }),
            Stage::Receipt | Stage::Listed(_) => {
                let blob = Blob::Receipt { step, block, digest };
                BlobOp::Put { blob, value: Value::new(Vec::new()), replace: false }
            }
        };
        self.ask_blobs(op);
    }

    fn enter(&mut self, step: u64, block: Block, stage: Stage) {
        self.budget.succeeded();
        if let Some(snapshot) = self.snapshots.get_mut(&(step, block)) {
            snapshot.stage = stage;
            self.want_now(Goal::Snapshot(step, block));
        }
    }

    pub(super) fn on_stored(&mut self, blob: Blob) {
        let bugs = self.config.bugs;
        match blob {
            Blob::Manifest { step } => {
                self.listing.written.insert(step);
                self.listing.damaged.remove(&step);
                if self.reached(Goal::Manifest(step)) {
                    self.want_now(Goal::Manifest(step));
                }
            }
            Blob::Receipt { step, block, .. } => {
                let waiting = self.snapshots.get(&(step, block)).is_some_and(|s| s.stage == Stage::Receipt);
                if waiting {
                    self.reached(Goal::Snapshot(step, block));
                    let now = self.now();
                    if let Some(snapshot) = self.snapshots.get_mut(&(step, block)) {
                        snapshot.stage = Stage::Listed(now);
                    }
                    if bugs.blob_ack_trusted {
                        self.snapshots.remove(&(step, block));
                    }
                    self.hasten(Goal::List);
                }
            }
            Blob::Chunk { step, block } => {
                let stage = self.snapshots.get(&(step, block)).map(|snapshot| snapshot.stage);
                if matches!(stage, Some(Stage::Write(_))) {
                    let next = if bugs.no_read_back { Stage::Receipt } else { Stage::Check };
                    self.enter(step, block, next);
                }
                if bugs.manifest_before_chunks && step > self.newest {
                    self.listing.receipts.entry(step).or_default().insert(block, 0);
                    self.want(Goal::Manifest(step));
                }
            }
        }
    }

    pub(super) fn on_got(&mut self, blob: Blob, value: Option<Value>) {
        match blob {
            Blob::Chunk { step, block } => {
                self.check(step, block, value.as_ref());
                self.on_chunk(block, step, value);
            }
            Blob::Manifest { step } => self.on_manifest(step, value.as_ref()),
            Blob::Receipt { .. } => {}
        }
    }

    /// The blobs are busy: not a failure, and no retry.
    pub(super) fn on_later(&mut self, blob: Blob, wait_ms: u64) {
        let wait_ms = wait_ms.min(self.config.limits.lease_ms);
        match blob {
            Blob::Manifest { step } => self.postpone(Goal::Manifest(step), wait_ms),
            Blob::Receipt { step, block, .. } => self.postpone(Goal::Snapshot(step, block), wait_ms),
            Blob::Chunk { step, block } => {
                self.postpone(Goal::Snapshot(step, block), wait_ms);
                self.postpone(Goal::Chunk(block, step), wait_ms);
            }
        }
    }

    /// Compares a chunk that was read back with what was written.
    fn check(&mut self, step: u64, block: Block, read: Option<&Value>) {
        let Some(snapshot) = self.snapshots.get(&(step, block)).filter(|snapshot| snapshot.stage == Stage::Check)
        else {
            return;
        };
        match read {
            Some(value) if *value == snapshot.value => self.enter(step, block, Stage::Receipt),
            Some(value) if value.intact() => self.alarm(&format!("the chunk of block {} at step {step}", block.0)),
            Some(_) => self.enter(step, block, Stage::Write(true)),
            None => self.enter(step, block, Stage::Write(false)),
        }
    }

    /// A snapshot whose receipt a listing should show, and does not, starts again. Those shown stay until their generation is
    /// complete: until then a receipt may be lost.
    pub(super) fn recheck_receipts(&mut self, sent_ms: u64) {
        let receipts = &self.listing.receipts;
        let shown = |step, block| receipts.get(&step).is_some_and(|of| of.contains_key(&block));
        let mut again = Vec::new();
        let forgets = self.config.bugs.snapshots_go_once_listed;
        self.snapshots.retain(|&(step, block), snapshot| match snapshot.stage {
            Stage::Listed(_) if forgets && shown(step, block) => false,
            Stage::Listed(written) if written < sent_ms && !shown(step, block) => {
                snapshot.stage = Stage::Write(false);
                again.push(Goal::Snapshot(step, block));
                true
            }
            _ => true,
        });
        again.into_iter().for_each(|goal| self.want(goal));
    }
}
