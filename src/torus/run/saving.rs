//! Checkpoints of a run under way: in lock-step, or in the background while the run goes on.
//!
//! Invariant: a state with a value that is not a number is never written; whether a checkpoint is launched, skipped or waited for
//! is the same on every rank.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Running;
use crate::advance::library::Precise;
use crate::clock;
use crate::copied::Copied;
use crate::exit::Failure;
use crate::run::Say;
use crate::run::request::Requests;
use crate::run::state::timed;
use crate::torus::background::Background;
use crate::torus::control::Wishes;
use crate::torus::look::{self, Verdict};
use crate::torus::peers::Peers;
use crate::torus::save::{self, Ended, Saved, Saver};

/// First and longest pause between two words while all ranks wait for a checkpoint.
const PAUSES: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(5)];

/// How checkpoints are written.
pub(super) enum Saving<T: Precise> {
    /// All ranks wait until it is there.
    InLockStep(Saver),
    /// From a copy, while the run goes on.
    InBackground(Box<Background<T>>),
}

/// A copy of the state, and the seconds that it took.
type Copy<T> = (Copied<T>, f64);

impl<T: Precise> Running<'_, T> {
    /// Looks at the state, if that is due or it is to be saved; with the copy where the checkpoint is written from one, since
    /// looking on the way costs nothing. Ends the run if the state is not sound.
    pub(super) fn look_or_copy<P: Peers + ?Sized>(
        &mut self,
        save: bool,
        scan: bool,
        peers: &mut P,
        say: Say<'_>,
    ) -> Result<Option<Copy<T>>, Failure> {
        match &mut self.saving {
            Saving::InBackground(background) if save && !background.busy() => {
                let ((copied, sound), seconds) = timed(|| background.copy(&self.session, self.step));
                let verdict = look::judge(self.job, &self.session, sound, peers)?;
                self.found(verdict, peers, say)?;
                Ok(Some((copied, seconds)))
            }
            Saving::InBackground(_) | Saving::InLockStep(_) => {
                if save || scan {
                    self.look(peers, say)?;
                }
                Ok(None)
            }
        }
    }

    /// Looks at the state; ends the run if it is not sound.
    pub(super) fn look<P: Peers + ?Sized>(&mut self, peers: &mut P, say: Say<'_>) -> Result<(), Failure> {
        let verdict = look::look(self.job, &self.session, peers)?;
        self.found(verdict, peers, say)
    }

    /// Ends the run if its state is not sound; what is in flight was, and is waited for.
    fn found<P: Peers + ?Sized>(&mut self, verdict: Verdict, peers: &mut P, say: Say<'_>) -> Result<(), Failure> {
        if verdict == Verdict::Sound {
            self.sound = self.step;
            return Ok(());
        }
        self.settle(peers, say)?;
        if let Some(report) = &mut self.report {
            report.event("diverged", self.step, &[]);
        }
        self.control.complete(peers)?;
        Err(look::diverged(self.job, &self.session, verdict, (self.sound, self.step)))
    }

    /// Saves the state of this step, which all ranks do together, after it was found sound: from `copied` if there is such a
    /// copy. If it is the `last` one it is waited for; else one that is in flight makes this one be skipped.
    pub(super) fn save<P: Peers + ?Sized>(
        &mut self,
        copied: Option<Copy<T>>,
        last: bool,
        peers: &mut P,
        say: Say<'_>,
    ) -> Result<(), Failure> {
        self.when.taken(clock::now());
        if let Saving::InBackground(background) = &self.saving
            && let Some(flight) = background.step()
        {
            if !last {
                if let Some(report) = &mut self.report {
                    report.skipped(self.step, flight, say);
                }
                return Ok(());
            }
            if !self.settle(peers, say)? {
                return Ok(());
            }
        }
        self.spent.checkpoints += 1;
        self.asked.taken_up();
        match &mut self.saving {
            Saving::InLockStep(_) => self.save_in_lock_step(peers, say),
            Saving::InBackground(_) => {
                self.launch(copied, peers);
                if last {
                    self.settle(peers, say)?;
                }
                Ok(())
            }
        }
    }

    fn save_in_lock_step<P: Peers + ?Sized>(&mut self, peers: &mut P, say: Say<'_>) -> Result<(), Failure> {
        let Saving::InLockStep(saver) = &mut self.saving else { return Ok(()) };
        if let Some(report) = &mut self.report {
            report.sync_series(self.job, self.step, say);
        }
        let meta = save::meta(self.job, &self.session, self.origin, self.step);
        let (ended, seconds) = timed(|| saver.save(self.job, &self.session, &meta, peers));
        self.spent.checkpoint += seconds;
        self.ended(ended?, say);
        self.when.taken(clock::now());
        Ok(())
    }

    fn launch<P: Peers + ?Sized>(&mut self, copied: Option<Copy<T>>, peers: &mut P) {
        let Saving::InBackground(background) = &mut self.saving else { return };
        let (copied, copying_s) = copied.unwrap_or_else(|| {
            let ((copied, _), seconds) = timed(|| background.copy(&self.session, self.step));
            (copied, seconds)
        });
        let series = || self.report.as_mut().map(|report| report.series().sync_later(self.job, self.step));
        let (series, series_s) = timed(series);
        let blocking_s = copying_s + series_s;
        let meta = save::meta(self.job, &self.session, self.origin, self.step);
        background.launch(meta, (copied, series), peers.ranks(), blocking_s);
        self.spent.checkpoint += blocking_s;
    }

    /// Waits until no checkpoint is in flight, all ranks together; false if that takes too long, and nobody waits any longer.
    fn settle<P: Peers + ?Sized>(&mut self, peers: &mut P, say: Say<'_>) -> Result<bool, Failure> {
        let (began, [mut pause, longest]) = (clock::now(), PAUSES);
        while let Saving::InBackground(background) = &mut self.saving
            && background.busy()
        {
            if self.report.is_some() && clock::now().duration_since(began) > peers.deadline() {
                background.give_up();
            }
            let own = Wishes { signal: self.request.signals.asked(), ..Wishes::default() };
            let known = self.exchange_words(own, peers, say)?;
            if let Saving::InBackground(background) = &self.saving
                && let Some(step) = background.step()
                && background.given_up(&known.flight)
            {
                let seconds = peers.deadline().as_secs_f64();
                self.lost = Some(format!("that of step {step} was not written within {seconds} s ([torus] deadline)"));
                return Ok(false);
            }
            std::thread::sleep(pause);
            pause = longest.min(2 * pause);
        }
        Ok(true)
    }

    /// Exchanges words with what this rank knows of the checkpoint in flight beside `own`, and does what all know from now on.
    pub(super) fn exchange_words<P: Peers + ?Sized>(
        &mut self,
        mut own: Wishes,
        peers: &mut P,
        say: Say<'_>,
    ) -> Result<Wishes, Failure> {
        if let Saving::InBackground(background) = &mut self.saving {
            own.flight = background.look(peers)?;
        }
        let decided = self.control.exchange(peers, own)?;
        if decided.stop() {
            self.request.signals.agreed();
        }
        if let Saving::InBackground(background) = &mut self.saving {
            let ended = background.heed(&decided.flight);
            let troubles = background.troubles();
            if let (Some(report), false) = (&mut self.report, troubles.is_empty()) {
                report.series().add_troubles(troubles);
                report.tell_troubles(say);
            }
            self.ended(ended, say);
        }
        Ok(decided)
    }

    /// Takes note of a checkpoint that is over; only rank 0 knows.
    fn ended(&mut self, ended: Option<Ended>, say: Say<'_>) {
        let Some(ended) = ended else { return };
        self.lost = match &ended.saved {
            Saved::Void { words } => Some(words.clone()),
            Saved::Committed { .. } | Saved::Present => None,
        };
        let Some(report) = &mut self.report else { return };
        report.saved(&ended, self.asked.answer().as_deref(), say);
        if matches!(ended.saved, Saved::Committed { .. }) {
            let flight_s = match &self.saving {
                Saving::InLockStep(_) => 0.0,
                Saving::InBackground(_) => ended.write_s,
            };
            if let Some(words) = self.when.measured(ended.blocking_s, flight_s) {
                say(&words);
            }
        }
    }

    /// Rank 0: true once a person asks for a checkpoint and none is in flight.
    pub(super) fn is_asked(&mut self, now: Instant) -> bool {
        let Some(report) = &mut self.report else { return false };
        if let Some(id) = self.asked.look(now) {
            report.event("checkpoint-asked", self.step, &[("request", id.into())]);
        }
        let busy = matches!(&self.saving, Saving::InBackground(background) if background.busy());
        !busy && self.asked.announce()
    }
}

/// What a person asks of rank 0, one request at a time.
#[derive(Debug)]
pub(super) struct Asked {
    requests: Requests,
    /// Id of a request that no checkpoint was taken for yet, and whether all ranks were told.
    waiting: Option<(String, bool)>,
    /// Id of the request that the checkpoint taken last is for.
    taken: Option<String>,
}

impl Asked {
    pub(super) fn new(dir: &Path, first: bool) -> Self {
        Self { requests: Requests::new(dir, first, clock::now()), waiting: None, taken: None }
    }

    /// Id of a request that has come just now.
    fn look(&mut self, now: Instant) -> Option<String> {
        if self.waiting.is_some() {
            return None;
        }
        let id = self.requests.take(now)?;
        self.waiting = Some((id.clone(), false));
        Some(id)
    }

    /// True once for each request.
    fn announce(&mut self) -> bool {
        self.waiting.as_mut().is_some_and(|(_, told)| !std::mem::replace(told, true))
    }

    /// A checkpoint is taken, whatever for.
    fn taken_up(&mut self) {
        self.taken = self.waiting.take().map(|(id, _)| id);
    }

    /// Id of the request that the checkpoint which is over was for.
    fn answer(&mut self) -> Option<String> {
        self.taken.take()
    }
}
