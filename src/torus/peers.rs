//! How ranks talk: one trait, two implementations (threads of one process, MPI).
//!
//! Input: bytes for named peers. Output: bytes from them. Invariant: every wait has a deadline, and nothing that a peer
//! sends is told apart by order of arrival: tags name the way of travel.

use std::time::{Duration, Instant};

use crate::clock;

/// Numbers that all ranks reduce by maximum.
pub type Word = [u64; 8];

/// Standing messages that travel together, some here and some away; made once, started many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub(super) usize);

/// A standing message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The rank at its other end.
    pub peer: usize,
    /// What tells it apart from others between the same ranks.
    pub tag: u32,
    /// Its length.
    pub bytes: usize,
}

/// The other ranks, as one rank sees them.
pub trait Peers {
    /// Number of this rank.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn ranks(&self) -> usize;

    /// Opens a link that receives and sends these messages. The ranks at their other ends open theirs in the same order.
    fn open(&mut self, receives: &[Message], sends: &[Message]) -> Link;

    /// Closes a link that nothing is under way on, and frees its bytes.
    fn close(&mut self, link: Link);

    /// Begins to receive all messages of a link.
    fn expect(&mut self, link: Link);

    /// Bytes of message `number` of those that a link sends, to fill before [`Peers::dispatch`].
    fn outgoing(&mut self, link: Link, number: usize) -> &mut [u8];

    /// Begins to send message `number`.
    fn dispatch(&mut self, link: Link, number: usize);

    /// True once all messages sent have left and all those expected are there.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is known to be lost.
    fn arrived(&mut self, link: Link) -> Result<bool, PeerError>;

    /// Bytes of message `number` of those that a link receives, as they arrived last.
    fn incoming(&self, link: Link, number: usize) -> &[u8];

    /// Begins the next reduction of all ranks' words.
    fn post(&mut self, word: Word);

    /// Largest of all ranks' words of the reduction begun before, once all have begun it.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is known to be lost.
    fn reduced(&mut self) -> Result<Option<Word>, PeerError>;

    /// Sends bytes of any number to `to`; returns at once.
    fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>);

    /// Next bytes sent by `from` with `tag`, if there.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is known to be lost.
    fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError>;

    /// How long any wait may take.
    fn deadline(&self) -> Duration;

    /// Sets how long any wait may take from now on.
    fn set_deadline(&mut self, deadline: Duration);
}

/// How long any wait may take until the job says otherwise.
pub const FIRST_DEADLINE: Duration = Duration::from_secs(600);

/// Tags of [`gather`] and [`broadcast`], clear of the halo's.
const GATHER: u32 = 100;
const BROADCAST: u32 = 101;

/// Looks at what is waited for before a rank lets others have its processor: a message of a peer that runs beside it takes less.
const LOOKS: u64 = 256;
/// How long a rank looks on without a rest.
const AWAKE: Duration = Duration::from_millis(2);

/// Calls `ready` until it gives a value.
///
/// # Errors
///
/// [`PeerError::Late`] past the deadline, or what `ready` fails with.
pub fn wait<P: Peers + ?Sized, V>(
    peers: &mut P,
    what: &'static str,
    mut ready: impl FnMut(&mut P) -> Result<Option<V>, PeerError>,
) -> Result<V, PeerError> {
    let mut since: Option<Instant> = None;
    for look in 1_u64.. {
        if let Some(value) = ready(peers)? {
            return Ok(value);
        }
        if look < LOOKS {
            continue;
        }
        let waited = clock::now().duration_since(*since.get_or_insert_with(clock::now));
        if waited > peers.deadline() {
            break;
        }
        if waited > AWAKE {
            std::thread::sleep(Duration::from_micros(50));
        } else {
            std::thread::yield_now();
        }
    }
    Err(PeerError::Late { what, seconds: peers.deadline().as_secs() })
}

/// Brings all ranks' bytes to rank 0, by rank; `None` on the others.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub fn gather<P: Peers + ?Sized>(peers: &mut P, bytes: Vec<u8>) -> Result<Option<Vec<Vec<u8>>>, PeerError> {
    if peers.rank() != 0 {
        peers.send(0, GATHER, bytes);
        return Ok(None);
    }
    let mut all = vec![bytes];
    for from in 1..peers.ranks() {
        all.push(wait(peers, "a report to rank 0", |peers| peers.receive(from, GATHER))?);
    }
    Ok(Some(all))
}

/// Brings rank 0's bytes to all ranks. Only rank 0's argument counts.
///
/// # Errors
///
/// [`PeerError`] if rank 0 is late or lost.
pub fn broadcast<P: Peers + ?Sized>(peers: &mut P, bytes: Vec<u8>) -> Result<Vec<u8>, PeerError> {
    if peers.rank() != 0 {
        return wait(peers, "a decision of rank 0", |peers| peers.receive(0, BROADCAST));
    }
    for to in 1..peers.ranks() {
        peers.send(to, BROADCAST, bytes.clone());
    }
    Ok(bytes)
}

/// A peer that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A wait ran past its deadline.
    #[error(
        "{what} did not come within {seconds} s; a rank hangs or is lost. Restart from the last checkpoint, or raise `deadline` in [torus]"
    )]
    Late {
        /// What was waited for.
        what: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// A rank is gone.
    #[error("rank {rank} ended before the job did; restart from the last checkpoint")]
    Lost {
        /// The rank.
        rank: usize,
    },
}
