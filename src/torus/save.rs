//! A checkpoint of all ranks together, in lock-step: scan, begin, write, report, commit.
//!
//! Input: all ranks' sessions at one step. Output: a committed checkpoint, or a warning and the one before. Invariant: a
//! state with a value that is not a number is never written, and a rank that fails voids that checkpoint alone.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use ringfort_kernels::Role;

use super::agree::decide;
use super::peers::{PeerError, Peers, broadcast, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::checkpoint::{self, CheckpointError, FileRecord, Meta, Pending, Pruned, Store};
use crate::exit::{Exit, Failure};
use crate::grid::Extents;
use crate::job::Job;
use crate::observe::scan;
use crate::run::boxes::Boxes;
use crate::run::fault::{Fault, Phase};
use crate::run::state::describe;

/// What became of a checkpoint; only rank 0 knows.
#[derive(Debug)]
pub enum Saved {
    /// Not rank 0.
    Elsewhere,
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

/// Where and what to write.
pub struct Saver<'a> {
    /// File operations.
    pub store: &'a dyn Store,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Newest kept.
    pub keep: usize,
    /// Fault on purpose.
    pub fault: Option<&'a Fault>,
    /// Steps of checkpoints that this start has read and found whole.
    pub known: &'a RefCell<BTreeSet<u64>>,
}

/// Description of the state of `session` after `step` steps.
pub fn meta<T: Precise>(job: &Job, session: &Session<T>, origin: checkpoint::Origin, step: u64) -> Meta {
    describe(job, (session.cuts, session.dt), origin, step)
}

/// A value that is not a number, or a bound that the state has left; the same on every rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// All is well.
    Sound,
    /// The lowest component and cell whose value is infinite or NaN.
    Spoiled(usize, Extents),
    /// The time step is beyond the bound of the present state: `dt * rate`.
    Beyond(f64),
}

/// Looks at all ranks' values together.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub fn look<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &mut Session<T>,
    peers: &mut P,
) -> Result<Verdict, PeerError> {
    let spoiled = job.declaration.of_role(Role::Component).find_map(|(slot, _)| spoiled(session, slot));
    let rate = if job.declaration.rate_of_state { session.engine.largest_rate(&session.fields).0 } else { 0.0 };
    let mut report = Vec::new();
    report.extend((session.dt * rate).to_le_bytes());
    if let Some(spoiled) = spoiled {
        report.extend((spoiled.slot as u64).to_le_bytes());
        report.extend(spoiled.cell.iter().flat_map(|&index| (index as u64).to_le_bytes()));
    }
    let verdict = match gather(peers, report)? {
        None => broadcast(peers, Vec::new())?,
        Some(reports) => {
            let first = scan::first(reports.iter().filter_map(|report| read(report).1));
            let most = reports.iter().map(|report| read(report).0).fold(0.0, |a: f64, b| if b > a { b } else { a });
            let mut verdict = most.to_le_bytes().to_vec();
            if let Some(spoiled) = first {
                verdict.extend((spoiled.slot as u64).to_le_bytes());
                verdict.extend(spoiled.cell.iter().flat_map(|&index| (index as u64).to_le_bytes()));
            }
            broadcast(peers, verdict)?
        }
    };
    Ok(match read(&verdict) {
        (_, Some(spoiled)) => Verdict::Spoiled(spoiled.slot, spoiled.cell),
        (courant, None) if courant > 1.0 + 1e-12 => Verdict::Beyond(courant),
        (_, None) => Verdict::Sound,
    })
}

/// First cell of the block whose value of component `slot` is not finite; looks at one box after the other, in memory order.
fn spoiled<T: Precise>(session: &Session<T>, slot: usize) -> Option<scan::Spoiled> {
    let boxes = Boxes::of(&session.block());
    let mut values = Vec::new();
    (0..boxes.count()).find_map(|number| {
        let some = boxes.get(number);
        values.resize(some.cells(), T::default());
        session.read(slot, &some, &mut values);
        scan::scan(&values, &some).map(|cell| scan::Spoiled { slot, cell })
    })
}

fn read(report: &[u8]) -> (f64, Option<scan::Spoiled>) {
    let mut numbers = report.chunks_exact(8).map(|bytes| {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        u64::from_le_bytes(number)
    });
    let courant = f64::from_bits(numbers.next().unwrap_or(0));
    let mut index = || numbers.next().and_then(|number| usize::try_from(number).ok());
    let spoiled = index().and_then(|slot| Some(scan::Spoiled { slot, cell: [index()?, index()?, index()?, index()?] }));
    (courant, spoiled)
}

impl Saver<'_> {
    /// Writes a checkpoint of `meta`, which all ranks call with the same `meta`, after [`look`] found the state sound.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a rank is late or lost. What the disk refuses is no error: see [`Saved`].
    pub fn save<T: Precise, P: Peers + ?Sized>(
        &self,
        job: &Job,
        session: &Session<T>,
        meta: &Meta,
        peers: &mut P,
    ) -> Result<Saved, PeerError> {
        let mut pending = None;
        let begun = decide(peers, || {
            let begun = checkpoint::begin(self.store, self.run_dir, meta);
            pending = Some(begun);
            Ok(vec![u8::from(matches!(pending, Some(Ok(_))))])
        });
        let begun = begun.map_err(|_| PeerError::Lost { rank: 0 })?;
        if begun != [1] {
            return Ok(match pending {
                Some(Err(CheckpointError::Exists { .. })) => Saved::Present,
                Some(Err(error)) => Saved::Void { words: words(&error) },
                Some(Ok(_)) | None => Saved::Elsewhere,
            });
        }
        let chunks = self.write(job, session, meta);
        let report = match &chunks {
            Ok(records) => serde_json::to_vec(records).unwrap_or_default(),
            Err(error) => format!("!rank {}: {}", session.part, words(error)).into_bytes(),
        };
        let Some(reports) = gather(peers, report)? else { return Ok(Saved::Elsewhere) };
        let Some(Ok(pending)) = pending else { return Ok(Saved::Elsewhere) };
        self.happens(Phase::Manifest, meta.step, session.part);
        Ok(self.commit(&pending, meta, &reports))
    }

    fn write<T: Precise>(
        &self,
        job: &Job,
        session: &Session<T>,
        meta: &Meta,
    ) -> Result<Vec<FileRecord>, CheckpointError> {
        let folder = checkpoint::folder(self.run_dir, meta.step);
        let mut records = Vec::new();
        for (component, (slot, _)) in job.declaration.of_role(Role::Component).enumerate() {
            self.happens(Phase::Copy, meta.step, session.part);
            let mut read = |from: usize, out: &mut [T]| session.read_from(slot, from, out);
            let part = (session.part, component);
            records.push(checkpoint::write_part_from(self.store, &folder, meta, part, &mut read)?);
            self.happens(Phase::Write, meta.step, session.part);
        }
        Ok(records)
    }

    fn commit(&self, pending: &Pending, meta: &Meta, reports: &[Vec<u8>]) -> Saved {
        let mut chunks = Vec::new();
        for report in reports {
            match serde_json::from_slice::<Vec<FileRecord>>(report) {
                Ok(records) => chunks.extend(records),
                Err(_) => {
                    let said = String::from_utf8_lossy(report);
                    let said = said.strip_prefix('!').unwrap_or("a rank sent a report that cannot be read");
                    let _best_effort = checkpoint::abandon(self.store, &pending.folder, meta.run);
                    return Saved::Void { words: said.to_owned() };
                }
            }
        }
        match checkpoint::commit(self.store, pending, meta, chunks) {
            Ok(manifest) => Saved::Committed {
                bytes: manifest.bytes(),
                pruned: checkpoint::prune(self.store, self.run_dir, meta.run, self.keep, &mut self.known.borrow_mut()),
            },
            Err(error) => {
                let _best_effort = checkpoint::abandon(self.store, &pending.folder, meta.run);
                Saved::Void { words: words(&error) }
            }
        }
    }

    fn happens(&self, phase: Phase, step: u64, part: usize) {
        if let Some(fault) = self.fault {
            let _spoils = fault.happens(phase, step, part);
        }
    }
}

/// An error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    error.to_string()
}

/// The end of a run whose state is no longer sound.
#[must_use]
pub fn diverged<T: Precise>(job: &Job, session: &Session<T>, verdict: Verdict, (from, to): (u64, u64)) -> Failure {
    let between = format!("between step {from}, where all was well, and step {to}");
    let words = match verdict {
        Verdict::Spoiled(slot, cell) => {
            let cell = job.grid.own(&cell);
            format!(
                "{} is not a finite number at point {cell:?}, {between}; no checkpoint was written from this state. \
                 dt = {} s is {:.4} times the kernel's bound at the start; restart from the last checkpoint, or run with \
                 a smaller step, say --set time.dt={:.3e}",
                job.declaration.fields[slot].name,
                session.dt,
                session.courant,
                session.dt / 2.0,
            )
        }
        Verdict::Beyond(courant) => format!(
            "dt = {} s is {courant:.4} times the kernel's bound for the present state, {between}; no checkpoint was \
             written from this state. Run with a smaller step, say --set time.dt={:.3e}",
            session.dt,
            session.dt / courant * 0.9,
        ),
        Verdict::Sound => "the state is sound".into(),
    };
    Failure { exit: Exit::Diverged, report: Failure::usage(words).report }
}
