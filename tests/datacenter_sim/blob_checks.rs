//! What must hold of the blobs at every moment, and of the end.

use ringfort::datacenter::protocol::{Blob, Block, Ending, Value, WorkerId};

use super::checks::Checks;
use super::physics::Physics;
use super::stores::Blobs;

impl Checks {
    pub(crate) fn reads(&mut self, id: WorkerId, blob: Blob, value: Option<&Value>) {
        if value.is_none_or(|value| !value.intact()) {
            self.of(id).damage.insert(blob);
        }
    }

    pub(crate) fn puts(
        &mut self,
        id: WorkerId,
        physics: &Physics,
        blobs: &Blobs,
        blob: Blob,
        value: &Value,
        replace: bool,
    ) {
        let right = match blob {
            Blob::Chunk { step, block } => value == physics.state(block, step),
            Blob::Receipt { step, block, digest } => digest == physics.state(block, step).digest(),
            Blob::Manifest { step } => *value == physics.manifest(step),
        };
        if !right {
            self.fail(format!("{id:?} writes other bytes to {blob:?} than the reference"));
        }
        if replace && blobs.objects.contains_key(&blob) && !self.of(id).damage.contains(&blob) {
            self.fail(format!("{id:?} replaces {blob:?} and never saw it damaged"));
        }
    }

    /// All chunks of a complete generation were good once.
    pub(crate) fn completes(&mut self, blobs: &Blobs, step: u64) {
        for block in (0..self.config.blocks()).map(Block) {
            let chunk = Blob::Chunk { step, block };
            // A worker that slept may write the manifest of a generation that has gone since.
            if step > blobs.newest_manifest && !blobs.intact(chunk) && !blobs.hit.contains(&chunk) {
                self.fail(format!("generation {step} is declared complete without {chunk:?}"));
            }
        }
    }

    /// The two newest complete generations stay.
    pub(crate) fn deletes(&mut self, blobs: &Blobs, blob: Blob) {
        let manifests = blobs.manifests();
        if manifests.len() < 2 || blob.step() >= manifests[1] {
            self.fail(format!("{blob:?} is deleted, complete are {manifests:?}"));
        }
    }

    pub(crate) fn ends(
        &mut self,
        ending: &Ending,
        physics: &Physics,
        blobs: &Blobs,
        drained: bool,
        poison: Option<Block>,
    ) {
        match ending {
            Ending::Done => {
                let step = self.config.plan.steps;
                for block in (0..self.config.blocks()).map(Block) {
                    let chunk = Blob::Chunk { step, block };
                    let right = blobs.objects.get(&chunk).is_some_and(|value| value == physics.state(block, step));
                    if !right && !blobs.hit.contains(&chunk) {
                        self.fail(format!("the end is wrong at {block:?}"));
                    }
                }
            }
            Ending::Drained if drained => {}
            // Each time the newest generation moves, the count starts again.
            Ending::Poisoned(_) if self.poisoned > 8 * (2 + self.config.limits.lead / 3) => {
                self.fail(format!("poison killed {} workers", self.poisoned))
            }
            Ending::Poisoned(blocks) if poison.is_some_and(|block| blocks == &[block]) => {}
            _ => self.fail(format!("a worker ends with {ending:?}")),
        }
    }
}
