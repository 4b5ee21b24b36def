//! Ranks as threads of one process: no MPI, the same trait.
//!
//! Invariant: a message is named by sender, receiver and tag, and messages of one name keep their order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peers::{End, Link, PeerError, Peers, Word};

/// Sender, receiver, tag.
type Name = (usize, usize, u32);

#[derive(Default)]
struct Shared {
    messages: HashMap<Name, VecDeque<Vec<u8>>>,
    /// Reductions under way: word so far, ranks that have posted, ranks that have read.
    words: BTreeMap<u64, (Word, usize, usize)>,
    lost: Option<usize>,
}

struct Standing {
    send: End,
    receive: End,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    waiting: bool,
}

/// One rank among threads.
pub struct Threads {
    rank: usize,
    ranks: usize,
    deadline: Duration,
    shared: Arc<Mutex<Shared>>,
    links: Vec<Standing>,
    posted: u64,
    read: u64,
}

impl Threads {
    /// `ranks` ranks that reach each other.
    #[must_use]
    pub fn group(ranks: usize, deadline: Duration) -> Vec<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        (0..ranks)
            .map(|rank| Self {
                rank,
                ranks,
                deadline,
                shared: Arc::clone(&shared),
                links: Vec::new(),
                posted: 0,
                read: 0,
            })
            .collect()
    }

    /// The rank is over; if it `failed`, nobody is to wait for it in vain.
    pub fn leave(self, failed: bool) {
        let rank = self.rank;
        if failed {
            self.shared().lost.get_or_insert(rank);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
        let mut shared = self.shared();
        let next = shared.messages.get_mut(&(from, self.rank, tag)).and_then(VecDeque::pop_front);
        match (next, shared.lost) {
            (None, Some(rank)) => Err(PeerError::Lost { rank }),
            (next, _) => Ok(next),
        }
    }
}

/// A rank that panics takes note of it, so that nobody waits for it in vain.
impl Drop for Threads {
    fn drop(&mut self) {
        let rank = self.rank;
        if std::thread::panicking() {
            self.shared().lost.get_or_insert(rank);
        }
    }
}

impl Peers for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn open(&mut self, send: End, receive: End, bytes: usize) -> Link {
        let room = |end: End| if end.is_some() { vec![0; bytes] } else { Vec::new() };
        self.links.push(Standing { send, receive, outgoing: room(send), incoming: room(receive), waiting: false });
        Link(self.links.len() - 1)
    }

    fn outgoing(&mut self, link: Link) -> &mut [u8] {
        &mut self.links[link.0].outgoing
    }

    fn start(&mut self, link: Link) {
        let standing = &self.links[link.0];
        if let Some((to, tag)) = standing.send {
            let bytes = standing.outgoing.clone();
            self.send(to, tag, bytes);
        }
        self.links[link.0].waiting = self.links[link.0].receive.is_some();
    }

    fn arrived(&mut self, link: Link) -> Result<bool, PeerError> {
        let standing = &self.links[link.0];
        let Some((from, tag)) = standing.receive.filter(|_| standing.waiting) else { return Ok(true) };
        let Some(bytes) = self.pop(from, tag)? else { return Ok(false) };
        let standing = &mut self.links[link.0];
        standing.incoming = bytes;
        standing.waiting = false;
        Ok(true)
    }

    fn incoming(&self, link: Link) -> &[u8] {
        &self.links[link.0].incoming
    }

    fn post(&mut self, word: Word) {
        let number = self.posted;
        self.posted += 1;
        let mut shared = self.shared();
        let (sofar, posted, _) = shared.words.entry(number).or_insert(([0; 8], 0, 0));
        for (sofar, own) in sofar.iter_mut().zip(word) {
            *sofar = (*sofar).max(own);
        }
        *posted += 1;
    }

    fn reduced(&mut self) -> Result<Option<Word>, PeerError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = shared.lost;
        let Some((word, posted, read)) = shared.words.get_mut(&self.read) else { return Ok(None) };
        if *posted < self.ranks {
            return lost.map_or(Ok(None), |rank| Err(PeerError::Lost { rank }));
        }
        let word = *word;
        *read += 1;
        if *read == self.ranks {
            shared.words.remove(&self.read);
        }
        self.read += 1;
        Ok(Some(word))
    }

    fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>) {
        let name = (self.rank, to, tag);
        self.shared().messages.entry(name).or_default().push_back(bytes);
    }

    fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
        self.pop(from, tag)
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }
}
