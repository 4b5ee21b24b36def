//! A worker in life: carries out what the protocol decides, and tells it what happened.
//!
//! Input: a run, and who may end the worker. Output: the run's values, a share of them computed here. Invariant: the protocol
//! alone decides; whatever is lost here (an answer, a message, this process) costs work and no truth.

mod stores;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc;

use self::stores::Stores;
use super::blobs::Blobs;
use super::compute::{Computed, Task, Threads};
use super::ledger::Ledger;
use super::part::Whole;
use super::protocol::{
    Action, BlobOp, Block, Body, Ending, Event, Message, Moment, Note, Shell, Why, Worker, WorkerId,
};
use super::records::{Card, Keys, Over, Records};
use super::spec::Run;
use super::tally::{Stretches, Tally, TallyFile, Times};
use super::transport::{Secret, Transport, TransportLimits};
use crate::advance::library::Precise;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::job::Precision;
use crate::observe::events::Events;
use crate::observe::record::host_name;
use crate::run::fault::Fault;

/// Most messages that wait for the protocol.
const INBOX: usize = 1024;
/// Shells whose fetching is timed at once.
const TIMED: usize = 1024;
/// How long what the protocol said last may take, after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The run's folder.
    pub dir: PathBuf,
    /// Blocks computed at once.
    pub threads: usize,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Use shared memory with workers of this host.
    pub share: bool,
}

/// What happened beside messages.
pub(super) enum Happened {
    /// Something for the protocol.
    Event(Event),
    /// A look at the ledger.
    View(u64, Box<Records>),
    /// A task is done.
    Computed(Computed),
    /// A chunk of so many bytes was stored after so many seconds.
    Committed(Event, usize, f64),
}

/// Who may end a worker.
pub struct Leave {
    /// Asks it to hand its blocks over: SIGTERM.
    pub drain: mpsc::Receiver<()>,
    /// Ends it at once: its supervisor is gone.
    pub now: mpsc::Receiver<()>,
}

/// Works for `run` until it is over or the worker is asked to leave.
///
/// # Errors
///
/// How it failed: [`Exit::Diverged`] if the state is no longer sound, [`Exit::Damaged`] if two results differ, the error of an
/// input, or what the system refuses.
pub async fn work(
    run: Run,
    setup: Setup,
    (ledger, blobs): (Arc<dyn Ledger>, Blobs),
    leave: Leave,
) -> Result<Exit, Failure> {
    match run.whole.job.precision {
        Precision::F64 => Node::work::<f64>(run, setup, (ledger, blobs), leave).await,
        Precision::F32 => Node::work::<f32>(run, setup, (ledger, blobs), leave).await,
    }
}

struct Node {
    me: WorkerId,
    worker: Worker,
    transport: Transport,
    stores: Stores,
    threads: Threads,
    events: Option<Events>,
    tally: Tally,
    file: TallyFile,
    times: [Times; 3],
    asked: BTreeMap<Shell, Instant>,
    /// The steps of each block that it computed since it owns it.
    computed: BTreeMap<Block, Stretches>,
    ending: Option<Result<Exit, Failure>>,
}

/// Which of [`Node::times`].
const COMPUTE: usize = 0;
const FETCH: usize = 1;
const COMMIT: usize = 2;

impl Node {
    async fn work<T: Precise>(
        run: Run,
        setup: Setup,
        stores: (Arc<dyn Ledger>, Blobs),
        mut leave: Leave,
    ) -> Result<Exit, Failure> {
        let (happens, mut happened) = mpsc::unbounded_channel();
        let (arrives, mut inbox) = mpsc::channel(INBOX);
        let mut node = Self::join::<T>(run, &setup, stores, (happens, arrives)).await?;
        loop {
            let wait = node.worker.wake_ms().saturating_sub(clock::awake_ms());
            let event = tokio::select! {
                Some((from, message)) = inbox.recv() => node.heard(from, message),
                Some(happened) = happened.recv() => node.take(happened),
                () = tokio::time::sleep(Duration::from_millis(wait)) => Some(Event::Tick),
                Some(()) = leave.drain.recv() => Some(Event::Drain),
                Some(()) = leave.now.recv() => return node.leave("its supervisor is gone").await,
            };
            if let Some(event) = event {
                let actions = node.worker.step(moment(), event);
                actions.into_iter().for_each(|action| node.act(action));
            }
            if let Some(ending) = node.ending.take() {
                return node.end(ending).await;
            }
        }
    }

    async fn join<T: Precise>(
        run: Run,
        setup: &Setup,
        (ledger, blobs): (Arc<dyn Ledger>, Blobs),
        (happens, arrives): (mpsc::UnboundedSender<Happened>, mpsc::Sender<(WorkerId, Message)>),
    ) -> Result<Self, Failure> {
        let fault = Fault::from_environment().map_err(Failure::usage)?;
        let config = Arc::new(run.config(setup.threads)?);
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Failure::usage(format!("no random bytes: {error}")))?;
        let (id, seed) = random.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let me = WorkerId(number(id));
        let secret = Secret::load(&setup.dir).map_err(Failure::usage)?;
        let deadline = config.limits.deadline_ms;
        let limits = TransportLimits { retry_after_ms: deadline, ..TransportLimits::default() };
        let shared = setup.share.then_some(run.spec.shared.as_path());
        // Each shell in shared memory is a file that is open. Without more of them, fewer shells lie there.
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let files = rustix::process::Rlimit { current: files.maximum, ..files };
        let _fewer = rustix::process::setrlimit(rustix::process::Resource::Nofile, files);
        let transport = Transport::start(me, &secret, setup.listen, shared, limits, arrives);
        let transport = transport.await.map_err(Failure::usage)?;
        let whole = Whole { shelf: transport.shelf().cloned(), ..run.whole.clone() };
        let file = TallyFile::create(&setup.dir, me).map_err(|error| Failure::new(Exit::Usage, error))?;
        let path = setup.dir.join("workers").join(format!("{:016x}.events.jsonl", me.0));
        let told = happens.clone();
        let threads = Threads::start::<T>(setup.threads, (whole, run.plan.clone(), fault), move |done| {
            // Nobody listens once the worker has ended.
            let _ended = told.send(Happened::Computed(done));
        });
        let card = Card {
            address: transport.address().clone(),
            pid: std::process::id(),
            machine: host_name(),
            tally: Tally::default(),
        };
        let tally = Tally { pid: std::process::id(), ..Tally::default() };
        let stores = Stores::new(&run, (ledger, blobs), Keys::new(run.id), card, deadline, happens);
        let mut node = Self {
            me,
            worker: Worker::new(config, me, number(seed), moment()),
            transport,
            stores: stores.map_err(Failure::usage)?,
            threads: threads.map_err(|error| Failure::new(Exit::Usage, error))?,
            events: Events::open(&path, &format!("{:016x}", me.0)).ok(),
            tally,
            file,
            times: Default::default(),
            asked: BTreeMap::new(),
            computed: BTreeMap::new(),
            ending: None,
        };
        node.count();
        Ok(node)
    }

    fn heard(&mut self, from: WorkerId, message: Message) -> Option<Event> {
        if let Body::Give(shell, value) = &message.body {
            if from != self.me {
                self.tally.shell_bytes += value.bytes().len() as u64;
            }
            if let Some(since) = self.asked.remove(shell) {
                self.times[FETCH].add(clock::now().duration_since(since).as_secs_f64());
            }
        }
        Some(Event::Message(from, message))
    }

    /// What `happened` means for the protocol.
    fn take(&mut self, happened: Happened) -> Option<Event> {
        match happened {
            Happened::Event(event) => Some(event),
            Happened::Committed(event, bytes, seconds) => {
                self.tally.snapshots += 1;
                self.tally.snapshot_bytes += bytes as u64;
                self.times[COMMIT].add(seconds);
                Some(event)
            }
            Happened::View(number, records) => {
                let addresses = records.cards.iter().map(|(&id, card)| (id, card.address.clone())).collect();
                self.transport.meet(&addresses);
                if let Some(over) = &records.over {
                    self.ending = Some(ended(over));
                    return None;
                }
                let drain = records.drained.contains(&self.me).then_some(Event::Drain);
                for event in records.dead.iter().map(|&id| Event::Gone(id)).chain(drain) {
                    let actions = self.worker.step(moment(), event);
                    actions.into_iter().for_each(|action| self.act(action));
                }
                Some(Event::Ledger(super::protocol::LedgerReply::View(number, records.protocol)))
            }
            Happened::Computed(Computed::Advanced { event, observed, seconds }) => {
                if let Event::Advanced { block, from, to, .. } = &event {
                    self.tally.steps += to - from;
                    self.tally.again += self.computed.entry(*block).or_default().add(*from, *to);
                }
                self.tally.compute_seconds += seconds;
                self.times[COMPUTE].add(seconds);
                let Some(observed) = observed else { return Some(event) };
                self.stores.observe(event, observed);
                None
            }
            Happened::Computed(Computed::Begun(block, value)) => {
                let blob = super::protocol::Blob::Chunk { step: 0, block };
                Some(Event::Blob(super::protocol::BlobReply::Got(blob, Some(value))))
            }
            Happened::Computed(Computed::Diverged(words)) => self.stop(Exit::Diverged, words),
            Happened::Computed(Computed::Failed(failure)) => self.stop(failure.exit, failure.report.to_string()),
        }
    }

    /// Ends the run for all its workers.
    fn stop(&mut self, exit: Exit, words: String) -> Option<Event> {
        let over = Over { code: exit as u8, words };
        self.stores.over(&over);
        self.ending = Some(ended(&over));
        None
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(to, message) => {
                self.tally.requests += 1;
                if let Body::Ask(shell, _) = &message.body
                    && self.asked.len() < TIMED
                {
                    self.asked.entry(*shell).or_insert_with(clock::now);
                }
                self.transport.send(to, message);
            }
            Action::Ledger(op) => {
                self.count();
                self.stores.ledger(op, &self.tally);
            }
            Action::Blob(BlobOp::Get(super::protocol::Blob::Chunk { step: 0, block })) => {
                self.threads.add(Task::Begin(block));
            }
            Action::Blob(op) => self.stores.blob(op),
            Action::Advance { block, from, to, state, shells } => {
                self.count();
                self.threads.add(Task::Advance { block, from, to, state, shells });
            }
            Action::Log(lamport, note) => self.log(lamport, &note),
            Action::Exit(ending) => self.finish(ending),
        }
    }

    fn finish(&mut self, ending: Ending) {
        match ending {
            Ending::Done => self.end_with("done", Ok(Exit::Done)),
            Ending::Drained => self.end_with("drained", Ok(Exit::Done)),
            Ending::Poisoned(blocks) => {
                let numbers: Vec<String> = blocks.iter().map(|block| block.0.to_string()).collect();
                let words = format!(
                    "block {} killed at least 2 workers in 3 attempts with nothing else in flight, so it is left alone and \
                     the run cannot end; run the job in torus mode on this machine to see why",
                    numbers.join(", ")
                );
                let _no_event = self.stop(Exit::Damaged, words);
            }
            Ending::Alarm(words) => {
                let words = format!(
                    "{words}: a machine computes wrong, or workers of different builds met; see which with ringfort \
                     datacenter status"
                );
                let _no_event = self.stop(Exit::Damaged, words);
            }
        }
    }

    fn end_with(&mut self, word: &str, result: Result<Exit, Failure>) {
        self.tally.ended = Some(word.to_owned());
        self.ending = Some(result);
    }

    /// Leaves, with what was said last.
    async fn end(mut self, result: Result<Exit, Failure>) -> Result<Exit, Failure> {
        if let Err(failure) = &result {
            self.tally.ended = Some(failure.report.to_string());
        }
        self.count();
        self.stores.last_words(LAST_WORDS).await;
        let Self { transport, threads, .. } = self;
        drop(transport);
        // Whatever is being computed is computed for nobody.
        std::mem::forget(threads);
        result
    }

    async fn leave(mut self, why: &str) -> Result<Exit, Failure> {
        self.tally.ended = Some(why.to_owned());
        self.end(Ok(Exit::PeerLost)).await
    }

    /// Brings the counts up to date and writes them down.
    fn count(&mut self) {
        let counts = self.transport.counts();
        self.tally.values = [counts.by_pointer, counts.shared, counts.over_http];
        self.tally.unshared = self.transport.unshared().map(str::to_owned);
        self.tally.newest = self.worker.newest();
        self.tally.blocks = self.worker.lines().map(|(block, step)| (block.0, step.unwrap_or(0))).collect();
        [self.tally.compute, self.tally.fetch, self.tally.commit] = std::array::from_fn(|at| self.times[at].median());
        // The counts are for people: a full disk must not end the worker.
        let _not_vital = self.file.write(&self.tally);
    }

    fn log(&mut self, lamport: u64, note: &Note) {
        match note {
            Note::Retried => self.tally.retried += 1,
            Note::Claims(_, _, Why::Stolen(_)) => self.tally.stolen += 1,
            // What is computed anew from here on was lost with the owner before.
            Note::Owns(block, _) => drop(self.computed.remove(block)),
            _ => {}
        }
        let Some((event, fields)) = told(note) else { return };
        if let Some(events) = &mut self.events {
            events.saw(lamport.saturating_sub(1));
            let fields: Map<String, Json> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let _not_vital = events.add(event, fields);
        }
    }
}

/// How a run that is over ends its workers.
fn ended(over: &Over) -> Result<Exit, Failure> {
    match Exit::of(over.code) {
        Exit::Done => Ok(Exit::Done),
        exit => Err(Failure { exit, ..Failure::usage(&over.words) }),
    }
}

/// A note as an event: its name and its own fields. Messages and retries are counted, not listed.
fn told(note: &Note) -> Option<(&'static str, Vec<(&'static str, Json)>)> {
    let id = |worker: &WorkerId| json!(format!("{:016x}", worker.0));
    Some(match note {
        Note::Claims(block, epoch, why) => {
            let mut fields = vec![("block", json!(block.0)), ("epoch", json!(epoch.0))];
            fields.extend(match why {
                Why::Free => None,
                Why::Expired(owner) => Some(("expired", id(owner))),
                Why::Stolen(owner) => Some(("stolen", id(owner))),
            });
            ("claim", fields)
        }
        Note::Owns(block, epoch) => ("own", vec![("block", json!(block.0)), ("epoch", json!(epoch.0))]),
        Note::Lost(block) => ("lose", vec![("block", json!(block.0))]),
        Note::Starts(block, step) => ("line", vec![("block", json!(block.0)), ("step", json!(step))]),
        Note::Newest(step) => ("checkpoint", vec![("step", json!(step))]),
        Note::Damaged(blob) => ("damaged", vec![("blob", json!(format!("{blob:?}")))]),
        Note::Quarantined(block) => ("quarantine", vec![("block", json!(block.0))]),
        Note::Retried | Note::Receives(_) => return None,
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds since 1970")]
fn moment() -> Moment {
    Moment { now_ms: clock::awake_ms(), wall_ms: (clock::wall() * 1000.0) as u64 }
}

/// Folder of what was observed in the blobs.
pub(super) fn observed_name(step: u64, block: usize) -> String {
    format!("observed/step-{step:010}/{block}")
}

/// True if `dir` holds a run in data-center mode.
#[must_use]
pub fn holds_run(dir: &Path) -> bool {
    dir.join("datacenter.json").exists()
}
