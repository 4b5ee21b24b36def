//! A worker's questions to the ledger and the blobs, each a task of its own.
//!
//! Invariant: a question that is on its way is not asked a second time; one that fails has no answer, and the protocol asks
//! again.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Happened, observed_name};
use crate::clock;
use crate::datacenter::blobs::{BlobError, Blobs, Generations, Mode};
use crate::datacenter::ledger::{Ledger, Outcome};
use crate::datacenter::protocol::{Blob, BlobOp, BlobReply, Event, Key, LedgerOp, LedgerReply, Revision, Value};
use crate::datacenter::records::{Card, Keys, Over};
use crate::datacenter::spec::Run;
use crate::datacenter::tally::Tally;
use crate::run::state::describe;

/// How long to wait before what was observed is stored again.
const AGAIN: Duration = Duration::from_millis(200);

pub(super) struct Stores {
    ledger: Arc<dyn Ledger>,
    keys: Keys,
    card: Card,
    deadline: Duration,
    blobs: Blobs,
    generations: Arc<Generations>,
    /// Blobs that are being asked for or written.
    busy: Arc<Mutex<BTreeSet<(bool, Blob)>>>,
    listing: Arc<Mutex<bool>>,
    happens: mpsc::UnboundedSender<Happened>,
    last: Option<JoinHandle<()>>,
}

impl Stores {
    pub(super) fn new(
        run: &Run,
        (ledger, blobs): (Arc<dyn Ledger>, Blobs),
        keys: Keys,
        card: Card,
        deadline_ms: u64,
        happens: mpsc::UnboundedSender<Happened>,
    ) -> Result<Self, BlobError> {
        let (whole, origin) = (run.whole.clone(), run.origin);
        let meta = move |step| describe(&whole.job, (whole.cuts, whole.dt), origin, step);
        let generations = Arc::new(Generations::new(blobs.clone(), meta)?);
        Ok(Self {
            ledger,
            keys,
            card,
            deadline: Duration::from_millis(deadline_ms),
            blobs,
            generations,
            busy: Arc::default(),
            listing: Arc::default(),
            happens,
            last: None,
        })
    }

    /// Asks the ledger.
    pub(super) fn ledger(&self, op: LedgerOp, tally: &Tally) {
        let (ledger, keys, happens) = (Arc::clone(&self.ledger), self.keys.clone(), self.happens.clone());
        let card = Card { tally: tally.clone(), ..self.card.clone() };
        let answer = async move {
            match op {
                LedgerOp::Read { number, .. } => {
                    let entries = ledger.read(keys.prefix()).await.ok()?;
                    Some(Happened::View(number, Box::new(keys.read(&entries))))
                }
                LedgerOp::Write(key, record, fence) => {
                    let card = matches!(key, Key::Member(_)).then_some(card);
                    let reply = match ledger.write(&[keys.write(key, &record, fence, card)]).await.ok()? {
                        Outcome::Written(revision) => LedgerReply::Written(key, Revision(revision), record),
                        Outcome::Refused { .. } => LedgerReply::Refused(key),
                    };
                    Some(Happened::Event(Event::Ledger(reply)))
                }
            }
        };
        let deadline = self.deadline;
        tokio::spawn(async move {
            if let Ok(Some(happened)) = timeout(deadline, answer).await {
                let _ended = happens.send(happened);
            }
        });
    }

    /// Says in the ledger that the run is over.
    pub(super) fn over(&mut self, over: &Over) {
        let (ledger, write) = (Arc::clone(&self.ledger), self.keys.over(over));
        self.last = Some(tokio::spawn(async move {
            while ledger.write(std::slice::from_ref(&write)).await.is_err() {
                sleep(AGAIN).await;
            }
        }));
    }

    /// Waits until the ledger knows what it was told last, but not for long.
    pub(super) async fn last_words(&mut self, patience: Duration) {
        if let Some(last) = self.last.take() {
            let _not_for_ever = timeout(patience, last).await;
        }
    }

    /// Stores what was observed at the end of a round, and only then tells the protocol that the round is done: so whatever
    /// comes after it is never safe before it is.
    pub(super) fn observe(&self, event: Event, observed: Bytes) {
        let Event::Advanced { block, to, .. } = &event else { return };
        let name = observed_name(*to, block.0);
        let (blobs, happens) = (self.blobs.clone(), self.happens.clone());
        tokio::spawn(async move {
            while blobs.put(&name, observed.clone(), Mode::Overwrite).await.is_err() {
                sleep(AGAIN).await;
            }
            let _ended = happens.send(Happened::Event(event));
        });
    }

    /// Asks the blobs. Chunks of step 0 are not theirs.
    pub(super) fn blob(&self, op: BlobOp) {
        let generations = Arc::clone(&self.generations);
        match op {
            BlobOp::List(number) => {
                let listing = Arc::clone(&self.listing);
                if std::mem::replace(&mut *lock(&listing), true) {
                    return;
                }
                self.spawn(None, async move {
                    let names = generations.list().await;
                    *lock(&listing) = false;
                    Some(Happened::Event(Event::Blob(BlobReply::Listed(number, names.ok()?))))
                });
            }
            BlobOp::Get(blob) => self.spawn(Some((false, blob)), async move {
                let value = match blob {
                    Blob::Chunk { step, block } => generations.get_chunk(step, block).await.ok()?,
                    Blob::Manifest { step } => generations.get_manifest(step).await.ok()?,
                    Blob::Receipt { .. } => None,
                };
                Some(Happened::Event(Event::Blob(BlobReply::Got(blob, value))))
            }),
            BlobOp::Put { blob, value, replace } => self.spawn(Some((true, blob)), async move {
                let began = clock::now();
                if !put(&generations, blob, &value, replace).await.ok()? {
                    return None;
                }
                let event = Event::Blob(BlobReply::Stored(blob));
                let seconds = clock::now().duration_since(began).as_secs_f64();
                Some(match blob {
                    Blob::Chunk { .. } => Happened::Committed(event, value.bytes().len(), seconds),
                    _ => Happened::Event(event),
                })
            }),
            BlobOp::Delete(blob) => self.spawn(Some((true, blob)), async move {
                generations.delete(blob).await.ok()?;
                None
            }),
        }
    }

    /// Runs `task` unless what it is about is busy; tells what it gives.
    fn spawn(&self, about: Option<(bool, Blob)>, task: impl Future<Output = Option<Happened>> + Send + 'static) {
        if let Some(about) = about
            && !lock(&self.busy).insert(about)
        {
            return;
        }
        let (busy, happens) = (Arc::clone(&self.busy), self.happens.clone());
        tokio::spawn(async move {
            let happened = task.await;
            if let Some(about) = about {
                lock(&busy).remove(&about);
            }
            if let Some(happened) = happened {
                let _ended = happens.send(happened);
            }
        });
    }
}

/// Writes an object; false if it cannot be as yet.
async fn put(generations: &Generations, blob: Blob, value: &Value, replace: bool) -> Result<bool, BlobError> {
    match blob {
        Blob::Chunk { step, block } => {
            generations.put_chunk(step, block, value.bytes().clone(), replace).await.map(|()| true)
        }
        Blob::Receipt { step, block, digest } => generations.confirm(step, block, digest).await,
        Blob::Manifest { step } => match generations.put_manifest_again(step, value, replace).await? {
            Some(_) => Ok(true),
            None => generations.put_manifest(step, replace).await.map(|_| true),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
