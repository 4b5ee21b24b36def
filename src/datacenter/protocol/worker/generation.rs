//! Generations: which is the newest complete one, who says so, and what is deleted then.
//!
//! Invariant: a manifest is written after all receipts, and a generation counts after its manifest was read. Who knows a
//! generation has let go of what lies before it, so it keeps the manifest and writes it again where it is gone: the others
//! learn of the generation in the end, whatever happens to its chunks. Of the complete generations the newest few stay; older
//! ones lose their manifest first.

use std::collections::{BTreeMap, BTreeSet};

use super::super::message::{BlobOp, Ending, Note};
use super::super::name::{Blob, Block, Value, manifest};
use super::Worker;
use super::goal::{Asked, Goal};
use crate::checkpoint::Keep;

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
    /// A manifest that did not agree with the receipts listed when it was last read, and when that was seen first.
    differs: Option<(u64, u64)>,
    /// When the manifest of the newest generation was last read and found whole.
    whole_ms: u64,
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
        self.recheck_receipts(sent);
        self.want_manifests();
        self.sweep();
    }

    /// Wants the newest generation that looks complete; those whose manifest was damaged, which somebody may have written again
    /// since; and, where nothing went on for a lease, the manifest that is known here, to see that it is still there.
    fn want_manifests(&mut self) {
        let (newest, listing) = (self.newest, &self.listing);
        let complete = |step: &u64| *step > newest && self.digests(*step).is_some();
        let whole = listing.manifests.range(newest + 1..).copied().rfind(|step| !listing.damaged.contains(step));
        let ahead = whole.max(listing.receipts.keys().copied().rfind(complete));
        let stuck = self.now() >= self.progress_ms.max(listing.whole_ms) + self.config.limits.lease_ms;
        let waited_for = stuck && !self.mains.is_empty() && !self.config.bugs.manifest_forgotten;
        let own = (waited_for && newest > 0 && ahead.is_none()).then_some(newest);
        let damaged = listing.damaged.intersection(&listing.manifests).copied();
        let goals: Vec<Goal> = damaged.chain(ahead).chain(own).map(Goal::Manifest).collect();
        goals.into_iter().for_each(|goal| self.want(goal));
    }

    /// Digests of the chunks of generation `step`, if all were read back.
    fn digests(&self, step: u64) -> Option<&BTreeMap<Block, u64>> {
        let receipts = self.listing.receipts.get(&step)?;
        (receipts.len() == self.config.blocks() || self.config.bugs.manifest_before_chunks).then_some(receipts)
    }

    /// The manifest of generation `step`, if it is known here what is in it.
    fn known(&self, step: u64) -> Option<Value> {
        let kept = self.manifest.clone().filter(|_| step == self.newest);
        kept.or_else(|| Some(manifest(step, self.digests(step)?)))
    }

    pub(super) fn ask_manifest(&mut self, step: u64) {
        let blob = Blob::Manifest { step };
        let there = self.listing.manifests.contains(&step) || self.listing.written.contains(&step);
        let replace = self.listing.damaged.contains(&step);
        match self.known(step).filter(|_| replace || !there) {
            Some(value) => self.ask_blobs(BlobOp::Put { blob, value, replace }),
            None if there => self.ask_blobs(BlobOp::Get(blob)),
            None => drop(self.goals.remove(&Goal::Manifest(step))),
        }
    }

    pub(super) fn on_manifest(&mut self, step: u64, read: Option<&Value>) {
        if !self.reached(Goal::Manifest(step)) || step < self.newest {
            return;
        }
        let doubted = self.listing.differs.take_if(|&mut (of, _)| of == step).map(|(_, since)| since);
        let Some(read) = read.filter(|read| read.intact()) else { return self.lacks_manifest(step, read.is_some()) };
        if self.digests(step).is_some_and(|digests| manifest(step, digests) != *read) {
            return self.doubt(step, doubted);
        }
        self.listing.damaged.remove(&step);
        self.listing.whole_ms = self.now();
        if step == self.newest {
            return;
        }
        self.newest = step;
        self.manifest = Some(read.clone());
        self.note(Note::Newest(step));
        self.progress_ms = self.now();
        self.dirty = true;
        self.listing.damaged.clear();
        self.listing.written.clear();
        self.snapshots.retain(|&(of, _), _| of > step);
        self.goals.retain(|goal, _| match *goal {
            Goal::Snapshot(of, _) | Goal::Manifest(of) => of > step,
            _ => true,
        });
        self.pass();
        self.sweep();
        if step == self.config.plan.steps {
            self.exit(Ending::Done);
        }
    }

    /// The manifest of generation `step` does not agree with the receipts that were listed. Where these were deleted since, with
    /// their chunks, nobody can tell what it stands for; if it was in doubt before (since `doubted`) and a later listing still
    /// shows them, something was computed wrong.
    fn doubt(&mut self, step: u64, doubted: Option<u64>) {
        if doubted.is_some_and(|since| self.listing.sent_ms.is_some_and(|sent| sent > since)) {
            return self.alarm(&format!("generation {step}"));
        }
        self.listing.differs = Some((step, doubted.unwrap_or_else(|| self.now())));
        self.hasten(Goal::List);
    }

    /// The manifest of generation `step` was read, and is damaged or missing. It is written again at once if that can be done
    /// here; the next listing tells else.
    fn lacks_manifest(&mut self, step: u64, there: bool) {
        self.listing.written.remove(&step);
        if step == self.newest && !there {
            return; // Newer ones may be complete, and this one deleted for that.
        }
        if self.listing.damaged.insert(step) {
            self.note(Note::Damaged(Blob::Manifest { step }));
        }
        self.dirty = true;
        if self.known(step).is_some() {
            self.want(Goal::Manifest(step));
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
        let rule = Keep { newest: self.config.limits.keep, every: self.config.limits.for_good };
        let for_good = rule.for_good(complete.iter().copied());
        let kept: BTreeSet<u64> = complete.iter().take(2).chain(lasting).chain(&for_good).copied().collect();
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
