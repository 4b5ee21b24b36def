//! Ranks as MPI processes: persistent requests for standing links, plain ones for reports.
//!
//! The main thread owns MPI (`MPI_THREAD_FUNNELED`), and this value cannot leave it. Raw calls are in `ffi` alone.
//! Invariant: a drop waits for reports and the reduction under way, until the deadline; past it, or at once in a
//! panic, all ranks are aborted with exit code 75, so that none waits for this one. A link's number is never given
//! out again.

mod ffi;

use std::collections::VecDeque;
use std::time::Duration;

use ffi::{Reduction, Sent, Standing, World};

use super::peers::{Link, Message, PeerError, Peers, Word};
use crate::clock;

/// One MPI process among others.
pub struct Mpi {
    rank: usize,
    ranks: usize,
    deadline: Duration,
    /// By number; none where closed.
    links: Vec<Option<Standing>>,
    /// Reports on their way.
    sends: VecDeque<Sent>,
    reduction: Reduction,
    world: World,
}

impl Mpi {
    /// Starts MPI; `None` if it was started before in this process.
    #[must_use]
    pub fn start(deadline: Duration) -> Option<Self> {
        let world = World::start()?;
        let (rank, ranks) = world.place();
        let (links, sends) = (Vec::new(), VecDeque::new());
        Some(Self { rank, ranks, deadline, links, sends, reduction: Reduction::new(&world), world })
    }

    /// Name and version of the MPI library.
    #[must_use]
    pub fn library() -> String {
        mpi::environment::library_version().unwrap_or_default().trim_end_matches('\0').trim().to_owned()
    }

    /// Ends all ranks at once with exit code `code`.
    pub fn abort(code: i32) -> ! {
        ffi::abort(code)
    }

    /// Forgets reports that have left.
    fn reap(&mut self) {
        while self.sends.front_mut().is_some_and(Sent::left) {
            self.sends.pop_front();
        }
    }

    fn link(&mut self, link: Link) -> &mut Standing {
        self.links[link.0].as_mut().expect("a link that is open")
    }
}

/// Ends MPI once what is under way is over, within the deadline.
impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            Self::abort(75);
        }
        let began = clock::now();
        while !self.sends.is_empty() || self.reduction.under_way() {
            self.reap();
            let _nobody_asks = self.reduction.result();
            if clock::now().duration_since(began) > self.deadline {
                Self::abort(75);
            }
            std::thread::yield_now();
        }
    }
}

impl Peers for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn open(&mut self, receives: &[Message], sends: &[Message]) -> Link {
        self.links.push(Some(Standing::new(&self.world, receives, sends)));
        Link(self.links.len() - 1)
    }

    fn close(&mut self, link: Link) {
        self.links[link.0] = None;
    }

    fn expect(&mut self, link: Link) {
        self.link(link).expect();
    }

    fn outgoing(&mut self, link: Link, number: usize) -> &mut [u8] {
        self.link(link).outgoing(number)
    }

    fn dispatch(&mut self, link: Link, number: usize) {
        self.link(link).dispatch(number);
    }

    fn arrived(&mut self, link: Link) -> Result<bool, PeerError> {
        Ok(self.link(link).arrived())
    }

    fn incoming(&self, link: Link, number: usize) -> &[u8] {
        self.links[link.0].as_ref().expect("a link that is open").incoming(number)
    }

    fn post(&mut self, word: Word) {
        self.reduction.post(word);
    }

    fn reduced(&mut self) -> Result<Option<Word>, PeerError> {
        Ok(self.reduction.result())
    }

    fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>) {
        self.reap();
        self.sends.push_back(self.world.send(to, tag, bytes));
    }

    fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
        self.reap();
        Ok(self.world.receive(from, tag))
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }
}
