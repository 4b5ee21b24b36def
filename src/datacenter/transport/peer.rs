//! The sending side: one task per peer, one request at a time, so that counters arrive in order.
//!
//! Input: messages in a bounded queue. Output: requests. Invariant: no answer is waited for longer than the limits
//! say, and a message is sent again only for two refusals, once each: the peer has started again, or cannot map its
//! file. A message that fails is counted and dropped, and so is what waits behind one without an answer: the protocol
//! asks again. A value in shared memory stays there until its request is over.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{Method, Request, Response, StatusCode};
use blake3::Hash;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::protocol::{Body, Handover, Message, Value, WorkerId};
use super::seal::{self, Claim};
use super::shared::{Place, Shared};
use super::wire::{Part, pack};
use super::{Common, values};

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 4 << 10;
/// Longest wait that a peer can ask for, in seconds.
const MOST_RETRY_AFTER: u64 = 60;
const PATH: &str = "/message";

struct Peer {
    common: Arc<Common>,
    id: WorkerId,
    address: SocketAddr,
    /// Its values may go through shared memory.
    near: bool,
    client: Client<HttpConnector, HttpBody>,
    /// The peer's boot nonce, once it said hello.
    nonce: Option<Hash>,
}

/// A request that is ready but for its seal.
struct Ready {
    chunks: Vec<Bytes>,
    length: u64,
    digest: Hash,
    /// Files that must be there until the peer has answered.
    files: Vec<Arc<Shared>>,
    /// Values whose files must be there until then.
    shelved: Vec<Bytes>,
}

impl Ready {
    /// True if values are in shared memory.
    fn shares(&self) -> bool {
        !self.files.is_empty() || !self.shelved.is_empty()
    }
}

/// What became of a request.
enum Outcome {
    Arrived,
    /// The peer has too much to do, for so many milliseconds.
    Busy(u64),
    /// The peer is there and did not take it.
    Refused(StatusCode),
    /// No answer, or none in time.
    Silent,
}

/// Sends what comes out of `queue` to the worker `id` at `address`.
pub(super) async fn run(
    common: Arc<Common>,
    id: WorkerId,
    address: SocketAddr,
    near: bool,
    mut queue: mpsc::Receiver<Message>,
) {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_millis(common.limits.connect_ms)));
    connector.set_nodelay(true);
    // The peer closes idle connections after its deadline: be first.
    let idle = common.limits.request() / 2;
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(1)
        .build(connector);
    let mut peer = Peer { common, id, address, near, client, nonce: None };
    while let Some(message) = queue.recv().await {
        if !peer.deliver(message).await {
            // What waited behind it is old by now: the protocol asks again for what it still wants.
            while queue.try_recv().is_ok() {
                peer.common.counts.dropped.one();
            }
        }
    }
}

impl Peer {
    /// Delivers a message or gives up. False if the peer did not answer.
    async fn deliver(&mut self, message: Message) -> bool {
        let common = self.common.clone();
        let Some(message) = self.settle(message).await else {
            common.counts.dropped.one();
            return true;
        };
        let (mut near, mut met) = (self.near, false);
        loop {
            let Some(ready) = self.prepare(&message, near).await else {
                common.counts.dropped.one();
                return true;
            };
            match self.request(&ready).await {
                Outcome::Arrived => return true,
                Outcome::Busy(wait_ms) => {
                    common.counts.busy.one();
                    if let Some(body) = later(&message.body, wait_ms) {
                        let message = Message { lamport: 0, body };
                        if common.inbox.try_send((self.id, message)).is_err() {
                            common.counts.dropped.one();
                        }
                    }
                    return true;
                }
                // It started again since it said hello.
                Outcome::Refused(StatusCode::FORBIDDEN) if !met => {
                    met = true;
                    self.nonce = None;
                }
                // It cannot map the file.
                Outcome::Refused(StatusCode::GONE) if near && ready.shares() => near = false,
                Outcome::Refused(_) => {
                    common.counts.failed.one();
                    return true;
                }
                Outcome::Silent => {
                    common.counts.failed.one();
                    self.nonce = None;
                    return false;
                }
            }
        }
    }

    /// The message as others can have it. None if its value is gone.
    async fn settle(&self, message: Message) -> Option<Message> {
        if values(&message.body) == 0 || self.shelved(&message).is_some() {
            return Some(message);
        }
        let most = self.common.limits.message_bytes;
        let settled = tokio::task::spawn_blocking(move || settle(message, most)).await;
        settled.ok().flatten()
    }

    async fn prepare(&self, message: &Message, near: bool) -> Option<Ready> {
        if values(&message.body) == 0 || (near && self.shelved(message).is_some()) {
            return ready(&self.common, message, near);
        }
        let (common, message) = (self.common.clone(), message.clone());
        tokio::task::spawn_blocking(move || ready(&common, &message, near)).await.ok().flatten()
    }

    /// Where the value of `message` lies, if it can be read in place.
    fn shelved(&self, message: &Message) -> Option<Place> {
        let Body::Give(_, value) = &message.body else { return None };
        let place = self.common.shelf.as_ref()?.place(value.bytes())?;
        (value.bytes().len() <= self.common.limits.message_bytes).then_some(place)
    }

    async fn request(&mut self, ready: &Ready) -> Outcome {
        let nonce = match self.nonce {
            Some(nonce) => nonce,
            None => match self.hello().await {
                Ok(nonce) => nonce,
                Err(outcome) => return outcome,
            },
        };
        self.nonce = Some(nonce);
        let counter = self.common.counter.fetch_add(1, Ordering::Relaxed);
        let claim = Claim { from: self.common.me, counter, nonce, digest: ready.digest };
        let seal = self.common.key.seal(&claim, &Method::POST, PATH, ready.length);
        let chunks = ready.chunks.clone().into_iter().map(Ok::<_, Infallible>);
        let request = Request::post(format!("http://{}{PATH}", self.address))
            .header(seal::HEADER, seal)
            .header(CONTENT_LENGTH, ready.length)
            .body(HttpBody::from_stream(futures::stream::iter(chunks)));
        self.common.counts.requests.one();
        self.common.counts.sent_bytes.add(ready.length);
        let Some((answer, _)) = self.ask(request.ok()).await else { return Outcome::Silent };
        match answer.status() {
            StatusCode::NO_CONTENT => Outcome::Arrived,
            StatusCode::SERVICE_UNAVAILABLE => Outcome::Busy(self.wait_ms(&answer)),
            other => Outcome::Refused(other),
        }
    }

    /// The peer's boot nonce. Silent if nobody answers there, or another worker.
    async fn hello(&self) -> Result<Hash, Outcome> {
        let request = Request::get(format!("http://{}/hello", self.address)).body(HttpBody::empty());
        let (answer, body) = self.ask(request.ok()).await.ok_or(Outcome::Silent)?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return Err(Outcome::Busy(self.wait_ms(&answer)));
        }
        let words = std::str::from_utf8(&body).ok().and_then(|body| body.split_once('.'));
        let own = words.filter(|(id, _)| seal::number(id) == Some(self.id.0));
        own.and_then(|(_, nonce)| seal::hash(nonce)).ok_or(Outcome::Silent)
    }

    /// The answer to a request, whole and in time.
    async fn ask(&self, request: Option<Request<HttpBody>>) -> Option<(Response<()>, Bytes)> {
        let answer = async {
            let (parts, body) = self.client.request(request?).await.ok()?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await.ok()?.to_bytes();
            Some((Response::from_parts(parts, ()), body))
        };
        timeout(self.common.limits.request(), answer).await.ok().flatten()
    }

    fn wait_ms(&self, answer: &Response<()>) -> u64 {
        let told = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        told.map_or(self.common.limits.retry_after_ms, |seconds| seconds.min(MOST_RETRY_AFTER) * 1000)
    }
}

/// What an overloaded peer would say to a question, if it could.
fn later(question: &Body, wait_ms: u64) -> Option<Body> {
    match *question {
        Body::Ask(shell, _) => Some(Body::Later(shell, wait_ms)),
        Body::AskBlock(block, ..) => Some(Body::LaterBlock(block, wait_ms)),
        Body::Give(..)
        | Body::Wait(_)
        | Body::Later(..)
        | Body::Elsewhere(_)
        | Body::Passed(..)
        | Body::GiveBlock(..)
        | Body::LaterBlock(..)
        | Body::NoBlock(_) => None,
    }
}

/// The message with values that others can have, of at most `most` bytes together. A block that cannot be handed over is
/// none; a shell is not sent.
fn settle(message: Message, most: usize) -> Option<Message> {
    let lamport = message.lamport;
    let within = |values: &[&Value]| values.iter().map(|value| value.bytes().len()).sum::<usize>() <= most;
    let body = match message.body {
        Body::Give(shell, value) => Body::Give(shell, value.settled().filter(|value| within(&[value]))?),
        Body::GiveBlock(block, handover) => {
            let whole = whole(handover).filter(|Handover { state, shells, snapshots, .. }| {
                let listed = shells.iter().chain(snapshots).map(|(_, value)| value);
                within(&[state].into_iter().chain(listed).collect::<Vec<_>>())
            });
            whole.map_or(Body::NoBlock(block), |handover| Body::GiveBlock(block, handover))
        }
        other => other,
    };
    Some(Message { lamport, body })
}

fn whole(handover: Handover) -> Option<Handover> {
    let all = |values: Vec<(u64, Value)>| -> Option<Vec<(u64, Value)>> {
        values.into_iter().map(|(step, value)| Some((step, value.settled()?))).collect()
    };
    let Handover { step, state, shells, snapshots } = handover;
    Some(Handover { step, state: state.settled()?, shells: all(shells)?, snapshots: all(snapshots)? })
}

/// The request for a message. `near`: large values go into files.
fn ready(common: &Common, message: &Message, near: bool) -> Option<Ready> {
    let (mut files, mut shelved) = (Vec::new(), Vec::new());
    let packed = pack(message, |shell, bytes| {
        let place = shell.and(common.shelf.as_ref()).filter(|_| near).and_then(|shelf| shelf.place(bytes));
        if let Some(place) = place {
            shelved.push(bytes.clone());
            return Some(Part::File(place));
        }
        let shared = common.files.as_ref().filter(|_| near && bytes.len() >= common.limits.share_from.max(1))?;
        // A full memory is no harm: the bytes go in the request.
        let (file, written) = shared.file(shell, bytes).ok()?;
        common.counts.files.add(u64::from(written));
        let part = Part::File(file.place);
        files.push(file);
        Some(part)
    });
    let packed = packed.ok()?;
    let mut hasher = blake3::Hasher::new();
    for chunk in &packed.chunks {
        hasher.update(chunk);
    }
    Some(Ready { chunks: packed.chunks, length: packed.length, digest: hasher.finalize(), files, shelved })
}
