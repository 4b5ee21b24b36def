//! Generations: which is the newest complete one, who says so, and what is deleted then.
//!
//! Invariant: a manifest is written after all receipts, and a generation counts after its manifest was read. Of the complete
//! generations the newest few stay; older ones lose their manifest first.

use std::collections::{BTreeMap, BTreeSet};

use super::super::message::{BlobOp, Ending, Note};
use super::super::name::{Blob, Block, Value, manifest};
use super::Worker;
use super::goal::{Asked, Goal};

/// What the blobs held when last looked at.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) asked: Asked,
    /// When it was asked for.
    pub(super) sent_ms: Option<u64>,
    pub(super) chunks: BTreeMap<Block, BTreeSet<u64>>,
    pub(super) receipts: BTreeMap<u64, BTreeMap<Block, u64>>,
    pub(super) manifests: BTreeSet<u64>,
    names: Vec<Blob>,
    /// Manifests whose writing was acknowledged: worth reading, but nothing counts on them before.
    pub(super) written: BTreeSet<u64>,
    /// Manifests that were read and found damaged.
    pub(super) damaged: BTreeSet<u64>,
}

impl Listing {
    /// Takes new names; false if a chunk has receipts with two digests.
    fn take(&mut self, names: &[Blob]) -> bool {
        self.chunks.clear();
        self.receipts.clear();
        self.manifests.clear();
        self.names = names.to_vec();
        let mut single = true;
        for &name in names {
            match name {
                Blob::Chunk { step, block } => {
                    self.chunks.entry(block).or_default().insert(step);
                }
                Blob::Receipt { step, block, digest } => {
                    let before = self.receipts.entry(step).or_default().insert(block, digest);
                    single &= before.is_none_or(|other| other == digest);
                }
                Blob::Manifest { step } => {
                    self.manifests.insert(step);
                }
            }
        }
        single
    }
}

impl Worker {
    pub(super) fn on_listed(&mut self, number: u64, names: &[Blob]) {
        let Some(sent) = self.listing.asked.answered(number) else { return };
        self.listing.sent_ms = Some(sent);
        self.dirty = true;
        if !self.listing.take(names) {
            return self.alarm("a chunk");
        }
        for damaged in self.listing.damaged.clone() {
            self.listing.manifests.remove(&damaged);
        }
        self.recheck_receipts(sent);
        let complete = |step: &u64| *step > self.newest && self.digests(*step).is_some();
        let written = self.listing.manifests.last().copied().filter(|&step| step > self.newest);
        if let Some(step) = written.max(self.listing.receipts.keys().copied().rfind(complete)) {
            self.want(Goal::Manifest(step));
        }
        self.mend();
        self.sweep();
    }

    /// Wants the receipts that are missing where a damaged manifest is to be written again: their owners may think that the
    /// generation is complete.
    fn mend(&mut self) {
        let damaged: Vec<u64> = self.listing.damaged.range(self.newest + 1..).copied().collect();
        for step in damaged {
            let receipts = self.listing.receipts.get(&step);
            let lacks = |block: &Block| receipts.is_none_or(|receipts| !receipts.contains_key(block));
            let there = self.listing.chunks.iter().filter(|(block, steps)| steps.contains(&step) && lacks(block));
            let goals: Vec<Goal> = there.map(|(&block, _)| Goal::Receipt(step, block)).collect();
            goals.into_iter().for_each(|goal| self.want(goal));
        }
    }

    /// Digests of the chunks of generation `step`, if all were read back.
    fn digests(&self, step: u64) -> Option<&BTreeMap<Block, u64>> {
        let receipts = self.listing.receipts.get(&step)?;
        (receipts.len() == self.config.blocks() || self.config.bugs.manifest_before_chunks).then_some(receipts)
    }

    pub(super) fn ask_manifest(&mut self, step: u64) {
        let blob = Blob::Manifest { step };
        if self.listing.manifests.contains(&step) || self.listing.written.contains(&step) {
            self.ask_blobs(BlobOp::Get(blob));
        } else if let Some(digests) = self.digests(step) {
            let value = manifest(step, digests);
            self.ask_blobs(BlobOp::Put { blob, value, replace: self.listing.damaged.contains(&step) });
        } else {
            self.goals.remove(&Goal::Manifest(step));
        }
    }

    pub(super) fn on_manifest(&mut self, step: u64, read: Option<&Value>) {
        if !self.reached(Goal::Manifest(step)) || step <= self.newest {
            return;
        }
        let Some(read) = read.filter(|read| read.intact()) else {
            self.note(Note::Damaged(Blob::Manifest { step }));
            self.listing.manifests.remove(&step);
            self.listing.written.remove(&step);
            self.listing.damaged.insert(step);
            return self.want(Goal::Manifest(step));
        };
        if self.digests(step).is_some_and(|digests| manifest(step, digests) != *read) {
            return self.alarm(&format!("generation {step}"));
        }
        self.newest = step;
        self.note(Note::Newest(step));
        self.progress_ms = self.now();
        self.dirty = true;
        self.listing.damaged.clear();
        self.listing.written.clear();
        self.snapshots.retain(|&(of, _), _| of > step);
        self.goals.retain(|goal, _| match *goal {
            Goal::Snapshot(of, _) | Goal::Receipt(of, _) | Goal::Manifest(of) => of > step,
            _ => true,
        });
        self.pass();
        self.sweep();
        if step == self.config.plan.steps {
            self.exit(Ending::Done);
        }
    }

    /// Deletes generations before those that are kept: the owner of the first block does it, whenever it sees any.
    fn sweep(&mut self) {
        if self.mains.get(&Block(0)).is_none_or(|main| main.epoch.is_none()) {
            return;
        }
        let bugs = self.config.bugs;
        let complete = self.listing.manifests.range(..=self.newest).rev().copied();
        let complete: Vec<u64> = if bugs.one_generation_kept { vec![self.newest; 2] } else { complete.collect() };
        let Some(&before) = complete.get(1) else { return };
        let lasting = complete.iter().filter(|&&step| self.config.lasting(step)).take(self.config.limits.keep);
        let kept: BTreeSet<u64> = complete.iter().take(2).chain(lasting).copied().collect();
        let names = self.listing.names.clone();
        let listed = |step: u64| names.contains(&Blob::Manifest { step });
        for &blob in names.iter().filter(|blob| blob.step() < before && !kept.contains(&blob.step())) {
            let first = matches!(blob, Blob::Manifest { .. }) != bugs.manifest_deleted_last;
            if first || !listed(blob.step()) {
                self.ask_blobs(BlobOp::Delete(blob));
            }
        }
    }
}
