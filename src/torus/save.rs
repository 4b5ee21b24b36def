//! What a rank does for a checkpoint: begin, write, commit; and all ranks together, in lock-step, where the run waits for it.
//!
//! Input: all ranks' states at one step. Output: a committed checkpoint, or a warning and the one before. Invariant: a rank
//! that fails voids that checkpoint alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ringfort_kernels::Role;
use serde::{Deserialize, Serialize};

use super::agree::decide;
use super::peers::{PeerError, Peers, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::checkpoint::{self, CheckpointError, FileRecord, Keep, Meta, Pending, Pruned, Store};
use crate::clock;
use crate::copied::Copied;
use crate::job::Job;
use crate::run::fault::{Fault, Phase};
use crate::run::state::{describe, timed};

/// What became of a checkpoint.
#[derive(Debug)]
pub enum Saved {
    /// It exists.
    Committed {
        /// Bytes of all its files.
        bytes: u64,
        /// What was removed to keep the newest.
        pruned: Pruned,
    },
    /// It existed already: a restart came by again.
    Present,
    /// It does not exist, and why.
    Void {
        /// What happened.
        words: String,
    },
}

/// A checkpoint that exists, or never will; only rank 0 knows.
#[derive(Debug)]
pub struct Ended {
    /// Its step.
    pub step: u64,
    /// What became of it.
    pub saved: Saved,
    /// Seconds that it held up the steps, of the rank held up longest.
    pub blocking_s: f64,
    /// Seconds from then on until it was there or failed.
    pub write_s: f64,
}

/// What a rank tells of its part.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Part {
    /// Its files.
    Written(Vec<FileRecord>),
    /// Why there are none.
    Failed(String),
    /// It stopped since another rank had failed.
    Stopped,
}

/// Where and what to write.
pub struct Saver {
    /// File operations.
    pub store: Arc<dyn Store>,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// Which ones stay.
    pub keep: Keep,
    /// Fault on purpose.
    pub fault: Option<Fault>,
    /// Steps of checkpoints that this start has read and found whole.
    pub known: BTreeSet<u64>,
}

/// Description of the state of `session` after `step` steps.
pub fn meta<T: Precise>(job: &Job, session: &Session<T>, origin: checkpoint::Origin, step: u64) -> Meta {
    describe(job, (session.cuts, session.dt), origin, step)
}

impl Saver {
    /// Writes a checkpoint of `meta`, which all ranks call with the same `meta`, when the state was found sound; what became of
    /// it on rank 0.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a rank is late or lost. What the disk refuses is no error: see [`Saved`].
    pub fn save<T: Precise, P: Peers + ?Sized>(
        &mut self,
        job: &Job,
        session: &Session<T>,
        meta: &Meta,
        peers: &mut P,
    ) -> Result<Option<Ended>, PeerError> {
        let (saved, blocking_s) = timed(|| self.in_lock_step(job, session, meta, peers));
        Ok(saved?.map(|(saved, write_s)| Ended { step: meta.step, saved, blocking_s, write_s }))
    }

    fn in_lock_step<T: Precise, P: Peers + ?Sized>(
        &mut self,
        job: &Job,
        session: &Session<T>,
        meta: &Meta,
        peers: &mut P,
    ) -> Result<Option<(Saved, f64)>, PeerError> {
        let since = clock::now();
        let mut pending = None;
        let begun = decide(peers, || {
            let begun = self.begin(meta);
            pending = Some(begun);
            Ok(vec![u8::from(matches!(pending, Some(Ok(_))))])
        });
        let begun = begun.map_err(|_| PeerError::Lost { rank: 0 })?;
        if begun != [1] {
            return Ok(pending.and_then(Result::err).map(|saved| (saved, seconds_since(since))));
        }
        let part = match self.write(job, session, meta) {
            Ok(records) => Part::Written(records),
            Err(error) => Part::failed(session.part, &error),
        };
        let Some(parts) = gather(peers, part.bytes())? else { return Ok(None) };
        let Some(Ok(pending)) = pending else { return Ok(None) };
        let parts = parts.iter().map(|bytes| Part::of(bytes)).collect();
        Ok(Some(self.commit(&pending, meta, parts, since)))
    }

    fn write<T: Precise>(
        &self,
        job: &Job,
        session: &Session<T>,
        meta: &Meta,
    ) -> Result<Vec<FileRecord>, CheckpointError> {
        let folder = checkpoint::folder(&self.run_dir, meta.step);
        let mut records = Vec::new();
        for (component, (slot, _)) in job.declaration.of_role(Role::Component).enumerate() {
            self.happens(Phase::Copy, meta.step, session.part);
            let mut read = |from: usize, out: &mut [T]| session.read_from(slot, from, out);
            let part = (session.part, component);
            records.push(checkpoint::write_part_from(&*self.store, &folder, meta, part, &mut read)?);
            self.happens(Phase::Write, meta.step, session.part);
        }
        Ok(records)
    }

    /// Makes the checkpoint's folder; what became of the checkpoint if it is over with that.
    pub(super) fn begin(&self, meta: &Meta) -> Result<Pending, Saved> {
        checkpoint::begin(&*self.store, &self.run_dir, meta).map_err(|error| match error {
            CheckpointError::Exists { .. } => Saved::Present,
            error => Saved::Void { words: error.to_string() },
        })
    }

    /// Writes the chunks of `part`, whose components `copied` holds, as long as `goes_on` says so.
    pub(super) fn write_copied<T: Precise>(
        &self,
        meta: &Meta,
        part: usize,
        copied: &Copied<T>,
        goes_on: impl Fn() -> bool,
    ) -> Part {
        let folder = checkpoint::folder(&self.run_dir, meta.step);
        let mut records = Vec::new();
        for component in 0..meta.components.len() {
            if !goes_on() {
                return Part::Stopped;
            }
            match checkpoint::write_part_copied(&*self.store, &folder, meta, (part, component), copied) {
                Ok(record) => records.push(record),
                Err(error) => return Part::failed(part, &error),
            }
            self.happens(Phase::Write, meta.step, part);
        }
        Part::Written(records)
    }

    /// Commits what all parts have written, and removes checkpoints that are not kept; or removes what was written. Returns
    /// the seconds from `since` on until it was there, too.
    pub(super) fn commit(
        &mut self,
        pending: &Pending,
        meta: &Meta,
        parts: Vec<Part>,
        since: std::time::Instant,
    ) -> (Saved, f64) {
        self.happens(Phase::Manifest, meta.step, 0);
        let store = &*self.store;
        let committed = chunks(parts)
            .and_then(|chunks| checkpoint::commit(store, pending, meta, chunks).map_err(|error| error.to_string()));
        let seconds = seconds_since(since);
        let saved = match committed {
            Ok(manifest) => Saved::Committed {
                bytes: manifest.bytes(),
                pruned: checkpoint::prune(store, &self.run_dir, meta.run, self.keep, &mut self.known),
            },
            Err(words) => {
                let _best_effort = checkpoint::abandon(store, &pending.folder, meta.run);
                Saved::Void { words }
            }
        };
        (saved, seconds)
    }

    fn happens(&self, phase: Phase, step: u64, part: usize) {
        if let Some(fault) = &self.fault {
            let _spoils = fault.happens(phase, step, part);
        }
    }
}

/// Records of all chunks; the words of the first part that failed, if one did.
fn chunks(parts: Vec<Part>) -> Result<Vec<FileRecord>, String> {
    let (mut chunks, mut stopped) = (Vec::new(), false);
    for part in parts {
        match part {
            Part::Written(records) => chunks.extend(records),
            Part::Failed(words) => return Err(words),
            Part::Stopped => stopped = true,
        }
    }
    if stopped { Err("a rank stopped writing".into()) } else { Ok(chunks) }
}

pub(super) fn seconds_since(since: std::time::Instant) -> f64 {
    clock::now().duration_since(since).as_secs_f64()
}

impl Part {
    pub(super) fn failed(part: usize, error: &dyn std::fmt::Display) -> Self {
        Self::Failed(format!("rank {part}: {error}"))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        let unread = |_| Self::Failed("a rank sent a report that cannot be read".into());
        serde_json::from_slice(bytes).unwrap_or_else(unread)
    }
}
