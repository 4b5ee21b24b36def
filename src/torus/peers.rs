//! How ranks talk: one trait, two implementations (threads of one process, MPI).
//!
//! Input: bytes for named peers. Output: bytes from them. Invariant: every wait has a deadline, and nothing that a peer
//! sends is told apart by order of arrival: tags name the way of travel.

use std::time::{Duration, Instant};

use crate::clock;

/// Numbers that all ranks reduce by maximum.
pub type Word = [u64; 8];

/// A standing two-way link for messages of one size; made once, started many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub(super) usize);

/// One end of a link: peer and tag.
pub type End = Option<(usize, u32)>;

/// The other ranks, as one rank sees them.
pub trait Peers {
    /// Number of this rank.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn ranks(&self) -> usize;

    /// Opens a link that sends `bytes` bytes to one end and receives as many from another.
    fn open(&mut self, send: End, receive: End, bytes: usize) -> Link;

    /// Bytes to fill before [`Peers::start`].
    fn outgoing(&mut self, link: Link) -> &mut [u8];

    /// Begins to send and to receive.
    fn start(&mut self, link: Link);

    /// True once the message sent has left and the message expected is there.
    ///
    /// # Errors
    ///
    /// [`PeerError`] if a peer is known to be lost.
    fn arrived(&mut self, link: Link) -> Result<bool, PeerError>;

    /// Bytes that arrived last.
    fn incoming(&self, link: Link) -> &[u8];

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
    let mut spins = 0_u32;
    loop {
        if let Some(value) = ready(peers)? {
            return Ok(value);
        }
        spins += 1;
        if spins > 64 {
            let began = *since.get_or_insert_with(clock::now);
            let waited = clock::now().duration_since(began);
            if waited > peers.deadline() {
                return Err(PeerError::Late { what, seconds: peers.deadline().as_secs() });
            }
            if waited > Duration::from_millis(2) {
                std::thread::sleep(Duration::from_micros(50));
                continue;
            }
        }
        std::thread::yield_now();
    }
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
