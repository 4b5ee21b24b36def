//! How one worker's messages reach another: by pointer, through shared memory, or over HTTP.
//!
//! Input: messages to send, and who is where. Output: messages that arrived, in a bounded queue. Invariant: nothing waits
//! without a deadline, nothing grows without a bound, and what does not carry the run's seal changes nothing.
//!
//! - **Three ways.** To the worker itself a message goes by pointer, as it is. To a worker of the same host, values from
//!   [`TransportLimits::share_from`] bytes on go as files in shared memory, one file for all readers of a shell. A shell made
//!   on the [`Shelf`] is in such a file already, and readers read shells where they lie. Otherwise the bytes are in the request.
//!   Where a file cannot be written or read, the bytes go in the request too.
//! - **No promise.** [`Transport::send`] never waits. What cannot be sent is dropped and counted: the protocol asks again.
//! - **Overload.** A worker with too much to do answers 503 with Retry-After. If that was a question, the transport puts the
//!   answer [`Body::Later`] or [`Body::LaterBlock`] into its own inbox, in the peer's name and with the Lamport stamp 0, since
//!   nobody sent it.
//! - **Strangers.** Every request but `/hello` and `/healthz` carries a MAC of sender, counter, the receiver's boot nonce,
//!   method, path, length and digest of the body, under a key from the run's [`Secret`]. 401: no or wrong seal, altered or heard
//!   before. 403: for another start of the receiver; the sender says hello again, once. Replies carry no MAC: who can forge
//!   them can also keep requests from arriving, and that costs time only. Nothing is encrypted.
//!
//! [`Body::Later`]: super::protocol::Body::Later
//! [`Body::LaterBlock`]: super::protocol::Body::LaterBlock

mod counts;
mod peer;
mod seal;
mod secret;
mod serve;
mod shared;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use self::counts::Counters;
use self::seal::Key;
use self::shared::mapped::Seen;
use self::shared::{Files, Folder};
use super::protocol::{Body, Message, WorkerId};
use super::room::Room;

pub use counts::Counts;
pub use secret::{Secret, SecretError};
pub use shared::mapped::Shelf;
pub use shared::{sweep, sweep_abandoned};

/// Where a worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Where it listens.
    pub http: SocketAddr,
    /// Its shared memory: workers for whom this is equal can map each other's files. Empty: it has none.
    pub host: String,
}

/// Bounds and deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportLimits {
    /// Most bytes of a message, values in shared memory included.
    pub message_bytes: usize,
    /// Most bytes of requests being read at one time; at least [`Self::message_bytes`].
    pub reading_bytes: usize,
    /// Most connections served at one time. As many again are told to come back, and further ones are closed.
    pub connections: usize,
    /// Most messages waiting for one peer.
    pub queue: usize,
    /// Milliseconds until a connection must be there.
    pub connect_ms: u64,
    /// Milliseconds until a request must be through, at both ends.
    pub request_ms: u64,
    /// Milliseconds after which who was turned away may come back. Told in whole seconds, rounded up.
    pub retry_after_ms: u64,
    /// Fewest bytes of a value that goes through shared memory.
    pub share_from: usize,
    /// Most shells kept in shared memory.
    pub files: usize,
    /// Most bytes of them together.
    pub file_bytes: usize,
    /// Most shells made in shared memory that are held at one time, each a file that is open.
    pub mapped: usize,
}

/// Files that wait for another shell may hold so many times as much as those kept for readers.
const IDLE: usize = 16;

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            message_bytes: 1 << 30,
            reading_bytes: 2 << 30,
            connections: 256,
            queue: 256,
            connect_ms: 2_000,
            request_ms: 30_000,
            retry_after_ms: 1_000,
            share_from: 4 << 10,
            files: 64,
            file_bytes: 16 << 20,
            mapped: 4096,
        }
    }
}

impl TransportLimits {
    fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }
}

/// What the parts of a transport have in common.
struct Common {
    me: WorkerId,
    key: Key,
    limits: TransportLimits,
    files: Option<Files>,
    shelf: Option<Shelf>,
    seen: Seen,
    counts: Counters,
    counter: AtomicU64,
    inbox: mpsc::Sender<(WorkerId, Message)>,
    /// Memory of shells that came through shared memory and cannot be read in place.
    room: Room,
}

struct Peer {
    address: Address,
    queue: mpsc::Sender<Message>,
    task: AbortHandle,
}

/// One worker's way to the others. Ends, with its connections and files, when dropped.
pub struct Transport {
    common: Arc<Common>,
    address: Address,
    /// Why there is no folder in shared memory, if there should be one.
    unshared: Option<String>,
    runtime: Handle,
    serving: AbortHandle,
    peers: Mutex<BTreeMap<WorkerId, Peer>>,
}

impl Transport {
    /// Listens on `listen` (port 0: any that is free). Messages that arrive go to `inbox`, with their sender. `shared` is a
    /// folder in memory for workers of this host and run, say `/dev/shm/ringfort-RUN`; without it, or where there is no room
    /// for it, all goes over HTTP. Folders beside it that such runs left are removed.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the address or the folder cannot be had.
    pub async fn start(
        me: WorkerId,
        secret: &Secret,
        listen: SocketAddr,
        shared: Option<&Path>,
        limits: TransportLimits,
        inbox: mpsc::Sender<(WorkerId, Message)>,
    ) -> Result<Self, TransportError> {
        let mut unshared = None;
        let folder = shared.and_then(|path| {
            sweep_abandoned(path);
            match Folder::make(path, me, (limits.files, IDLE * limits.file_bytes)) {
                Ok(folder) => Some(Ok(Arc::new(folder))),
                Err(error) if lacks(&error) => {
                    unshared = Some(format!("{}: {error}", path.display()));
                    None
                }
                Err(source) => Some(Err(TransportError::Shared { path: path.to_owned(), source })),
            }
        });
        let folder = folder.transpose()?;
        // A part of the files that may be open; connections and the rest have theirs.
        let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let open = open.and_then(|open| usize::try_from(open).ok()).unwrap_or(usize::MAX) / 4;
        let host = folder.as_ref().map(|folder| folder.host()).unwrap_or_default();
        let shelf = folder.as_ref().filter(|folder| folder.in_memory());
        let shelf = shelf.map(|folder| Shelf::new(folder.clone(), limits.share_from, limits.mapped.min(open)));
        let files = folder.map(|folder| Files::new(folder, limits.files, limits.file_bytes));
        let unheard = |source| TransportError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(unheard)?;
        let http = listener.local_addr().map_err(unheard)?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(TransportError::Random)?;
        let common = Arc::new(Common {
            me,
            key: Key::new(secret),
            limits,
            files,
            shelf,
            seen: Seen::new(open),
            counts: Counters::default(),
            counter: AtomicU64::new(1),
            inbox,
            room: Room::default(),
        });
        let serving =
            tokio::spawn(serve::run(common.clone(), listener, blake3::Hash::from_bytes(nonce))).abort_handle();
        let address = Address { http, host };
        Ok(Self { common, address, unshared, runtime: Handle::current(), serving, peers: Mutex::default() })
    }

    /// Why shells go over HTTP that should go through shared memory, once they do.
    #[must_use]
    pub fn unshared(&self) -> Option<&str> {
        self.unshared.as_deref().or_else(|| self.shelf()?.full())
    }

    /// Where this worker is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where shells are made that workers of this host read in place; none if there is no shared memory.
    #[must_use]
    pub fn shelf(&self) -> Option<&Shelf> {
        self.common.shelf.as_ref()
    }

    /// Says who is where. Others are forgotten, with what waits for them; so is what waits for a peer at another address.
    pub fn meet(&self, peers: &BTreeMap<WorkerId, Address>) {
        let mut known = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, peer| {
            let stays = peers.get(id) == Some(&peer.address);
            if !stays {
                peer.task.abort();
            }
            stays
        });
        self.common.seen.retain(|id| peers.contains_key(&id));
        if let Some(shelf) = &self.common.shelf {
            shelf.open(peers.iter().any(|(&id, address)| id != self.common.me && self.near(address)));
        }
        for (&id, address) in peers {
            if id != self.common.me && !known.contains_key(&id) {
                let (queue, waiting) = mpsc::channel(self.common.limits.queue.max(1));
                let near = self.near(address);
                let task = peer::run(self.common.clone(), id, address.http, near, waiting);
                let task = self.runtime.spawn(task).abort_handle();
                known.insert(id, Peer { address: address.clone(), queue, task });
            }
        }
    }

    /// True for workers that can map the same files.
    fn near(&self, address: &Address) -> bool {
        !address.host.is_empty() && address.host == self.address.host
    }

    /// Sends a message, some time, perhaps. Never waits.
    pub fn send(&self, to: WorkerId, message: Message) {
        let counts = &self.common.counts;
        if to == self.common.me {
            match self.common.inbox.try_reserve() {
                Ok(place) => {
                    counts.by_pointer.add(values(&message.body));
                    place.send((to, message));
                }
                Err(_) => counts.dropped.one(),
            }
            return;
        }
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.get(&to).is_none_or(|peer| peer.queue.try_send(message).is_err()) {
            counts.dropped.one();
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.common.counts.now()
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.serving.abort();
        self.meet(&BTreeMap::new());
    }
}

/// True if a folder cannot be had for lack of room, or of what it should lie in: reasons to do without.
fn lacks(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), NotFound | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

/// Values that a message carries.
fn values(body: &Body) -> u64 {
    match body {
        Body::Give(..) => 1,
        Body::GiveBlock(_, handover) => 1 + (handover.shells.len() + handover.snapshots.len()) as u64,
        Body::Ask(..)
        | Body::Wait(_)
        | Body::Later(..)
        | Body::Elsewhere(_)
        | Body::Passed(..)
        | Body::AskBlock(..)
        | Body::LaterBlock(..)
        | Body::NoBlock(_) => 0,
    }
}

/// Why a transport cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another address, or port 0 for any that is free")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder for shared memory cannot be used.
    #[error("cannot share memory in {}: {source}; remove the folder if no worker of the run lives on this host", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system has no random bytes.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}
