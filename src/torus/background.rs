//! Checkpoints that are written while the run goes on: at most one at a time.
//!
//! Input: all ranks' states at one step, then a control word at each exchange. Output: a committed checkpoint, or the reason why
//! there is none. A flight goes so, and ranks wait for nothing in it but for the copy:
//!
//! 1. all ranks copy their components ([`Background::copy`], [`Background::launch`]); rank 0's writer makes the folder;
//! 2. the word says that it is there: all writers write their parts, and each rank sends rank 0 what became of its own;
//! 3. rank 0's writer commits, or removes what was written if a part failed;
//! 4. the word says that it is over: room for the next.
//!
//! Invariant: whether one is in flight is a pure function of completed control words, the same on every rank; writers talk to
//! their own rank alone, by channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use ringfort_kernels::Role;
use serde::{Deserialize, Serialize};

use super::control::Marks;
use super::peers::{PeerError, Peers};
use super::save::{Ended, Part, Saved, Saver};
use super::session::Session;
use super::writer::{self, News, Order};
use crate::advance::library::Precise;
use crate::checkpoint::{Meta, Pending};
use crate::clock;
use crate::copied::Copied;
use crate::job::Job;
use crate::observe::series::{SyncLater, Trouble};
use crate::run::fault::{Fault, Phase};

/// Tag of a rank's report to rank 0, clear of those of gathers and halos.
const REPORT: u32 = 102;
/// Ranks that rank 0 asks for a report at each look.
const ASKED_AT_ONCE: usize = 64;
/// How long the writer may take to make room for the first copy.
const ROOM_WITHIN: Duration = Duration::from_secs(60);

/// Checkpoints of one rank, written by a thread of its own.
pub struct Background<T: Precise> {
    orders: Sender<Order<T>>,
    news: Receiver<News<T>>,
    /// Slots of the components.
    slots: Vec<usize>,
    fault: Option<Fault>,
    part: usize,
    cells: usize,
    /// Room for the next copy, unless the writer has it.
    room: Option<Copied<T>>,
    /// Number of the last flight, the same on every rank.
    number: u64,
    /// What this rank knows of flights.
    marks: Marks,
    flight: Option<Flight<T>>,
    troubles: Vec<Trouble>,
}

/// A checkpoint in flight, as one rank sees it.
struct Flight<T: Precise> {
    meta: Arc<Meta>,
    since: Instant,
    /// The copy, until parts may be written.
    copied: Option<Copied<T>>,
    blocking_s: f64,
    called_off: Arc<AtomicBool>,
    /// Rank 0: the folder, once it is there and until all parts are known.
    pending: Option<Pending>,
    /// Rank 0: what became of the parts known so far.
    parts: Vec<Part>,
    /// Rank 0: the ranks of the others.
    missing: VecDeque<usize>,
    /// Rank 0: the end.
    ended: Option<(Saved, f64)>,
}

/// What a rank sends to rank 0.
#[derive(Serialize, Deserialize)]
struct Report {
    part: Part,
    blocking_s: f64,
}

impl<T: Precise> Background<T> {
    /// Starts the writer of the rank that holds `session`.
    ///
    /// # Errors
    ///
    /// If the system has no thread left.
    pub fn start(job: &Job, session: &Session<T>, saver: Saver) -> std::io::Result<Self> {
        let slots: Vec<usize> = job.declaration.of_role(Role::Component).map(|(slot, _)| slot).collect();
        let (cells, fault) = (session.block().cells(), saver.fault.clone());
        let (orders, news) = writer::start(saver)?;
        // While the run begins: memory that is first written to takes several times as long.
        let _lives = orders.send(Order::Room { cells, fields: slots.len() });
        Ok(Self {
            orders,
            news,
            slots,
            fault,
            part: session.part,
            cells,
            room: None,
            number: 0,
            marks: Marks::default(),
            flight: None,
            troubles: Vec::new(),
        })
    }

    fn order(&self, order: Order<T>) {
        self.orders.send(order).expect("the writer lives as long as its rank");
    }

    /// True while a checkpoint is in flight: a pure function of completed control words.
    #[must_use]
    pub fn busy(&self) -> bool {
        self.flight.is_some()
    }

    /// Step of the checkpoint in flight.
    #[must_use]
    pub fn step(&self) -> Option<u64> {
        self.flight.as_ref().map(|flight| flight.meta.step)
    }

    /// A copy of the components of `session` after `step` steps, and whether all of its values are finite.
    pub fn copy(&mut self, session: &Session<T>, step: u64) -> (Copied<T>, bool) {
        let mut copied = self.room();
        let mut sound = true;
        for (component, &slot) in self.slots.iter().enumerate() {
            if let Some(fault) = &self.fault {
                let _spoils = fault.happens(Phase::Copy, step, self.part);
            }
            sound &= session.engine.copy(&session.fields, slot, &mut copied, component);
        }
        (copied, sound)
    }

    /// Room for a copy: the writer makes it while the run begins.
    fn room(&mut self) -> Copied<T> {
        while self.room.is_none() {
            match self.news.recv_timeout(ROOM_WITHIN) {
                Ok(News::Room(room)) => self.room = Some(room),
                // With no flight, nothing else can come.
                Ok(_) | Err(_) => break,
            }
        }
        self.room.take().unwrap_or_else(|| Copied::new(self.cells, self.slots.len()))
    }

    /// Sends off the checkpoint of `meta` with the components in `copied`; on rank 0 with the series whose rows it must not
    /// outlive. The steps were held up for `blocking_s` seconds.
    ///
    /// # Panics
    ///
    /// If one is in flight.
    pub fn launch(
        &mut self,
        meta: Meta,
        (copied, series): (Copied<T>, Option<SyncLater>),
        ranks: usize,
        blocking_s: f64,
    ) {
        assert!(!self.busy(), "one checkpoint at a time");
        self.number += 1;
        let meta = Arc::new(meta);
        if let Some(series) = series {
            self.order(Order::Begin { meta: Arc::clone(&meta), series });
        }
        self.flight = Some(Flight {
            meta,
            since: clock::now(),
            copied: Some(copied),
            blocking_s,
            called_off: Arc::default(),
            pending: None,
            parts: Vec::new(),
            missing: (1..ranks).collect(),
            ended: None,
        });
    }

    /// Takes up what the writer, and on rank 0 the other ranks, have told since; what this rank knows, for the next word.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a rank is known to be lost.
    pub fn look<P: Peers + ?Sized>(&mut self, peers: &mut P) -> Result<Marks, PeerError> {
        loop {
            match self.news.try_recv() {
                Ok(news) => self.hear(news, peers),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(PeerError::Lost { rank: peers.rank() }),
            }
        }
        if peers.rank() == 0 {
            self.collect(peers)?;
        }
        Ok(self.marks)
    }

    fn hear<P: Peers + ?Sized>(&mut self, news: News<T>, peers: &mut P) {
        let Some(flight) = &mut self.flight else {
            if let News::Room(room) = news {
                self.room = Some(room);
            }
            return;
        };
        match news {
            News::Room(room) => self.room = Some(room),
            News::Begun { troubles, begun } => {
                self.troubles.extend(troubles);
                match begun {
                    Ok(pending) => {
                        flight.pending = Some(pending);
                        self.marks.opened = self.number;
                    }
                    Err(saved) => {
                        flight.ended = Some((saved, 0.0));
                        self.marks.settled = self.number;
                    }
                }
            }
            News::Written { part, room } => {
                self.room = Some(room);
                if matches!(part, Part::Failed(_)) {
                    self.marks.failed = self.number;
                }
                if peers.rank() == 0 {
                    flight.parts.push(part);
                } else {
                    let report = Report { part, blocking_s: flight.blocking_s };
                    peers.send(0, REPORT, serde_json::to_vec(&report).unwrap_or_default());
                }
            }
            News::Settled(saved, seconds) => {
                flight.ended = Some((saved, seconds));
                self.marks.settled = self.number;
            }
        }
    }

    /// Rank 0: takes reports that have come; with the last one the checkpoint is to be committed.
    fn collect<P: Peers + ?Sized>(&mut self, peers: &mut P) -> Result<(), PeerError> {
        let Some(flight) = &mut self.flight else { return Ok(()) };
        for _ in 0..flight.missing.len().min(ASKED_AT_ONCE) {
            let Some(rank) = flight.missing.pop_front() else { break };
            match peers.receive(rank, REPORT)? {
                None => flight.missing.push_back(rank),
                Some(bytes) => {
                    let report = serde_json::from_slice::<Report>(&bytes).ok();
                    let blocking_s = report.as_ref().map_or(0.0, |report| report.blocking_s);
                    flight.blocking_s = if blocking_s > flight.blocking_s { blocking_s } else { flight.blocking_s };
                    let unread = "its report cannot be read";
                    flight.parts.push(report.map_or_else(|| Part::failed(rank, &unread), |report| report.part));
                }
            }
        }
        if flight.parts.len() == peers.ranks()
            && let Some(pending) = flight.pending.take()
        {
            let (meta, parts) = (Arc::clone(&flight.meta), std::mem::take(&mut flight.parts));
            let since = flight.since;
            self.order(Order::Commit { meta, pending, parts, since });
        }
        Ok(())
    }

    /// Does what all ranks know from a completed word; on rank 0 what became of a checkpoint that is over.
    pub fn heed(&mut self, known: &Marks) -> Option<Ended> {
        let flight = self.flight.as_mut()?;
        if known.settled >= self.number {
            let flight = self.flight.take()?;
            // A copy that no writer was given.
            self.room = self.room.take().or(flight.copied);
            let (saved, write_s) = flight.ended?;
            return Some(Ended { step: flight.meta.step, saved, blocking_s: flight.blocking_s, write_s });
        }
        if known.failed >= self.number {
            flight.called_off.store(true, Ordering::Relaxed);
        }
        if known.opened >= self.number
            && let Some(copied) = flight.copied.take()
        {
            let (meta, called_off) = (Arc::clone(&flight.meta), Arc::clone(&flight.called_off));
            self.order(Order::Write { meta, part: self.part, copied, called_off });
        }
        None
    }

    /// Rank 0: nobody is to wait for the checkpoint in flight any longer.
    pub fn give_up(&mut self) {
        self.marks.given_up = self.number;
    }

    /// True if all ranks know that nobody waits for the checkpoint in flight any longer.
    #[must_use]
    pub fn given_up(&self, known: &Marks) -> bool {
        known.given_up >= self.number
    }

    /// What went wrong with the series since the last call.
    pub fn troubles(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.troubles)
    }
}
