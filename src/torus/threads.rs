//! Ranks as threads of one process: no MPI, the same trait.
//!
//! Invariant: a message is named by sender, receiver and tag, and messages of one name keep their order. Bytes of standing
//! messages go round between the two ends, so that an exchange allocates nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peers::{Link, Message, PeerError, Peers, Word};

/// Sender, receiver, tag.
type Name = (usize, usize, u32);

/// Messages of one link that may be on their way at a time: a rank is at most one exchange ahead of its peer.
const ON_THEIR_WAY: usize = 2;
/// Reductions that may be under way at a time: a rank posts the next one before others have read the last.
const REDUCTIONS: usize = 2;

/// A reduction under way.
#[derive(Clone, Copy, Default)]
struct Reduction {
    word: Word,
    posted: usize,
    read: usize,
}

#[derive(Default)]
struct Shared {
    messages: HashMap<Name, VecDeque<Vec<u8>>>,
    reductions: [Reduction; REDUCTIONS],
    /// Boxes of standing messages, by name and how many links of that name were opened before.
    boxes: HashMap<(Name, usize), Arc<Mutex<Mailbox>>>,
}

/// Messages of one name of one link.
struct Mailbox {
    full: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Mailbox {
    fn new(bytes: usize) -> Self {
        let spare = (0..ON_THEIR_WAY).map(|_| vec![0; bytes]);
        Self { full: VecDeque::with_capacity(ON_THEIR_WAY), spare: spare.collect() }
    }
}

/// What all ranks share.
struct Common {
    shared: Mutex<Shared>,
    /// The first rank that was lost; none if as large as can be.
    lost: AtomicUsize,
}

/// One end of a standing message.
struct End {
    key: (Name, usize),
    mailbox: Arc<Mutex<Mailbox>>,
    bytes: Vec<u8>,
    waiting: bool,
}

#[derive(Default)]
struct Standing {
    receives: Vec<End>,
    sends: Vec<End>,
}

/// One rank among threads.
pub struct Threads {
    rank: usize,
    ranks: usize,
    deadline: Duration,
    common: Arc<Common>,
    links: Vec<Standing>,
    /// Links opened so far, by name.
    opened: HashMap<Name, usize>,
    posted: usize,
    read: usize,
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Threads {
    /// `ranks` ranks that reach each other.
    #[must_use]
    pub fn group(ranks: usize, deadline: Duration) -> Vec<Self> {
        let common = Arc::new(Common { shared: Mutex::default(), lost: AtomicUsize::new(usize::MAX) });
        (0..ranks)
            .map(|rank| Self {
                rank,
                ranks,
                deadline,
                common: Arc::clone(&common),
                links: Vec::new(),
                opened: HashMap::new(),
                posted: 0,
                read: 0,
            })
            .collect()
    }

    /// The rank is over; if it `failed`, nobody is to wait for it in vain.
    pub fn leave(self, failed: bool) {
        if failed {
            self.is_lost();
        }
    }

    fn is_lost(&self) {
        // Whoever was lost first is named.
        let _another = self.common.lost.compare_exchange(usize::MAX, self.rank, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// An error if a rank is lost: what has not come by now may never come.
    fn hopes(&self) -> Result<(), PeerError> {
        match self.common.lost.load(Ordering::Relaxed) {
            usize::MAX => Ok(()),
            rank => Err(PeerError::Lost { rank }),
        }
    }

    fn end(&mut self, name: Name, bytes: usize) -> End {
        let opened = self.opened.entry(name).or_insert(0);
        let key = (name, *opened);
        *opened += 1;
        let mut shared = lock(&self.common.shared);
        let mailbox = shared.boxes.entry(key).or_insert_with(|| Arc::new(Mutex::new(Mailbox::new(bytes))));
        End { key, mailbox: Arc::clone(mailbox), bytes: vec![0; bytes], waiting: false }
    }
}

/// A rank that panics takes note of it, so that nobody waits for it in vain.
impl Drop for Threads {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.is_lost();
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

    fn open(&mut self, receives: &[Message], sends: &[Message]) -> Link {
        let rank = self.rank;
        let standing = Standing {
            receives: receives.iter().map(|one| self.end((one.peer, rank, one.tag), one.bytes)).collect(),
            sends: sends.iter().map(|one| self.end((rank, one.peer, one.tag), one.bytes)).collect(),
        };
        self.links.push(standing);
        Link(self.links.len() - 1)
    }

    fn close(&mut self, link: Link) {
        let standing = std::mem::take(&mut self.links[link.0]);
        let mut shared = lock(&self.common.shared);
        // The sender has opened its end: its last message is here.
        standing.receives.iter().for_each(|end| drop(shared.boxes.remove(&end.key)));
    }

    fn expect(&mut self, link: Link) {
        self.links[link.0].receives.iter_mut().for_each(|end| end.waiting = true);
    }

    fn outgoing(&mut self, link: Link, number: usize) -> &mut [u8] {
        &mut self.links[link.0].sends[number].bytes
    }

    fn dispatch(&mut self, link: Link, number: usize) {
        let End { mailbox, bytes, .. } = &mut self.links[link.0].sends[number];
        let mut mailbox = lock(mailbox);
        let spare = mailbox.spare.pop().unwrap_or_else(|| vec![0; bytes.len()]);
        mailbox.full.push_back(std::mem::replace(bytes, spare));
    }

    fn arrived(&mut self, link: Link) -> Result<bool, PeerError> {
        let mut all = true;
        for End { mailbox, bytes, waiting, .. } in &mut self.links[link.0].receives {
            if *waiting {
                let mut mailbox = lock(mailbox);
                if let Some(message) = mailbox.full.pop_front() {
                    mailbox.spare.push(std::mem::replace(bytes, message));
                    *waiting = false;
                }
            }
            all &= !*waiting;
        }
        if !all {
            self.hopes()?;
        }
        Ok(all)
    }

    fn incoming(&self, link: Link, number: usize) -> &[u8] {
        &self.links[link.0].receives[number].bytes
    }

    fn post(&mut self, word: Word) {
        let mut shared = lock(&self.common.shared);
        let reduction = &mut shared.reductions[self.posted % REDUCTIONS];
        self.posted += 1;
        for (sofar, own) in reduction.word.iter_mut().zip(word) {
            *sofar = (*sofar).max(own);
        }
        reduction.posted += 1;
    }

    fn reduced(&mut self) -> Result<Option<Word>, PeerError> {
        if self.read == self.posted {
            return Ok(None);
        }
        let mut shared = lock(&self.common.shared);
        let reduction = &mut shared.reductions[self.read % REDUCTIONS];
        if reduction.posted < self.ranks {
            drop(shared);
            return self.hopes().map(|()| None);
        }
        let word = reduction.word;
        reduction.read += 1;
        if reduction.read == self.ranks {
            *reduction = Reduction::default();
        }
        self.read += 1;
        Ok(Some(word))
    }

    fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>) {
        let name = (self.rank, to, tag);
        lock(&self.common.shared).messages.entry(name).or_default().push_back(bytes);
    }

    fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
        let name = (from, self.rank, tag);
        let next = lock(&self.common.shared).messages.get_mut(&name).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.hopes()?;
        }
        Ok(next)
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }
}
