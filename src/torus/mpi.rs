//! Ranks as MPI processes: persistent requests for standing links, plain ones for reports.
//!
//! The main thread owns MPI (`MPI_THREAD_FUNNELED`). Raw calls live here alone: rsmpi's safe interface borrows buffers for
//! the length of a scope and has no persistent requests. Return codes are not looked at, since MPI's default handler ends
//! the job on an error.

#![expect(unsafe_code, reason = "raw MPI calls")]

use std::collections::VecDeque;
use std::os::raw::{c_int, c_void};
use std::time::Duration;

use mpi::environment::Universe;
use mpi::ffi;

use super::peers::{End, Link, PeerError, Peers, Word};
use crate::clock;

/// A link's buffers and requests. The buffers live on the heap and never grow, so their addresses stay.
struct Standing {
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    requests: Vec<ffi::MPI_Request>,
}

/// One MPI process among others.
pub struct Mpi {
    rank: usize,
    ranks: usize,
    deadline: Duration,
    links: Vec<Standing>,
    /// Reports on their way, with the bytes that MPI still reads.
    sends: VecDeque<(Vec<u8>, ffi::MPI_Request)>,
    /// Own word, reduced word and request of the reduction under way.
    reduction: Option<Box<(Word, Word, ffi::MPI_Request)>>,
    /// Ends MPI when it is dropped, after everything above.
    universe: Option<Universe>,
}

impl Mpi {
    /// Starts MPI; `None` if it was started before in this process.
    #[must_use]
    pub fn start(deadline: Duration) -> Option<Self> {
        let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Funneled)?;
        let (mut rank, mut ranks) = (0, 0);
        // SAFETY: MPI is initialised; the addresses are of live variables.
        unsafe {
            ffi::MPI_Comm_rank(ffi::RSMPI_COMM_WORLD, &raw mut rank);
            ffi::MPI_Comm_size(ffi::RSMPI_COMM_WORLD, &raw mut ranks);
        }
        Some(Self {
            rank: usize::try_from(rank).unwrap_or(0),
            ranks: usize::try_from(ranks).unwrap_or(1),
            deadline,
            links: Vec::new(),
            sends: VecDeque::new(),
            reduction: None,
            universe: Some(universe),
        })
    }

    /// Name and version of the MPI library.
    #[must_use]
    pub fn library() -> String {
        mpi::environment::library_version().unwrap_or_default().trim_end_matches('\0').trim().to_owned()
    }

    /// Ends all ranks at once with exit code `code`.
    pub fn abort(code: i32) -> ! {
        // SAFETY: MPI is initialised while a value of this type lives, and after it the process has left MPI anyway.
        unsafe {
            ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code);
        }
        std::process::exit(code)
    }

    /// Forgets reports that have left.
    fn reap(&mut self) {
        while let Some((_, request)) = self.sends.front_mut() {
            if !test(request) {
                break;
            }
            self.sends.pop_front();
        }
    }
}

/// True once `request` is complete (persistent ones become inactive, others null).
fn test(request: &mut ffi::MPI_Request) -> bool {
    let mut flag = 0;
    // SAFETY: the request was made by MPI and its buffer is alive: whoever owns it owns the buffer.
    unsafe {
        ffi::MPI_Test(request, &raw mut flag, ffi::RSMPI_STATUS_IGNORE);
    }
    flag != 0
}

/// `value` as MPI counts.
fn count(value: usize) -> c_int {
    c_int::try_from(value).unwrap_or_else(|_| panic!("a message of {value} bytes: cut the grid into more parts"))
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            Self::abort(75);
        }
        let began = clock::now();
        while !self.sends.is_empty() || self.reduction.is_some() {
            self.reap();
            let _ = self.reduced();
            if clock::now().duration_since(began) > self.deadline {
                Self::abort(75);
            }
            std::thread::yield_now();
        }
        for request in self.links.iter_mut().flat_map(|link| &mut link.requests) {
            // SAFETY: a persistent request that no message is under way for.
            unsafe {
                ffi::MPI_Request_free(request);
            }
        }
        drop(self.universe.take());
    }
}

impl Peers for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn open(&mut self, send: End, receive: End, bytes: usize) -> Link {
        let room = |end: End| if end.is_some() { vec![0; bytes] } else { Vec::new() };
        let mut standing = Standing { outgoing: room(send), incoming: room(receive), requests: Vec::new() };
        // SAFETY: the buffers hold `bytes` bytes and live as long as the requests (`Drop` frees requests first); the
        // constants are read-only.
        unsafe {
            let (byte, world) = (ffi::RSMPI_UINT8_T, ffi::RSMPI_COMM_WORLD);
            if let Some((from, tag)) = receive {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                let buffer = standing.incoming.as_mut_ptr().cast::<c_void>();
                ffi::MPI_Recv_init(buffer, count(bytes), byte, count(from), tag.cast_signed(), world, &raw mut request);
                standing.requests.push(request);
            }
            if let Some((to, tag)) = send {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                let buffer = standing.outgoing.as_ptr().cast::<c_void>();
                ffi::MPI_Send_init(buffer, count(bytes), byte, count(to), tag.cast_signed(), world, &raw mut request);
                standing.requests.push(request);
            }
        }
        self.links.push(standing);
        Link(self.links.len() - 1)
    }

    fn outgoing(&mut self, link: Link) -> &mut [u8] {
        &mut self.links[link.0].outgoing
    }

    fn start(&mut self, link: Link) {
        let requests = &mut self.links[link.0].requests;
        // SAFETY: inactive persistent requests: `arrived` was true since the last start.
        unsafe {
            ffi::MPI_Startall(count(requests.len()), requests.as_mut_ptr());
        }
    }

    fn arrived(&mut self, link: Link) -> Result<bool, PeerError> {
        let requests = &mut self.links[link.0].requests;
        let mut flag = 0;
        // SAFETY: persistent requests whose buffers are alive.
        unsafe {
            ffi::MPI_Testall(count(requests.len()), requests.as_mut_ptr(), &raw mut flag, ffi::RSMPI_STATUSES_IGNORE);
        }
        Ok(flag != 0)
    }

    fn incoming(&self, link: Link) -> &[u8] {
        &self.links[link.0].incoming
    }

    fn post(&mut self, word: Word) {
        assert!(self.reduction.is_none(), "one reduction at a time");
        // SAFETY: the boxed words live until the request is complete; the constants are read-only.
        unsafe {
            let reduction = self.reduction.insert(Box::new((word, [0; 8], ffi::RSMPI_REQUEST_NULL)));
            let (own, all, request) = &mut **reduction;
            ffi::MPI_Iallreduce(
                own.as_ptr().cast(),
                all.as_mut_ptr().cast(),
                count(own.len()),
                ffi::RSMPI_UINT64_T,
                ffi::RSMPI_MAX,
                ffi::RSMPI_COMM_WORLD,
                request,
            );
        }
    }

    fn reduced(&mut self) -> Result<Option<Word>, PeerError> {
        let Some(reduction) = &mut self.reduction else { return Ok(None) };
        if !test(&mut reduction.2) {
            return Ok(None);
        }
        let word = reduction.1;
        self.reduction = None;
        Ok(Some(word))
    }

    fn send(&mut self, to: usize, tag: u32, bytes: Vec<u8>) {
        self.reap();
        // SAFETY: the bytes stay in `sends` until the request is complete.
        unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            ffi::MPI_Isend(
                bytes.as_ptr().cast(),
                count(bytes.len()),
                ffi::RSMPI_UINT8_T,
                count(to),
                tag.cast_signed(),
                ffi::RSMPI_COMM_WORLD,
                &raw mut request,
            );
            self.sends.push_back((bytes, request));
        }
    }

    fn receive(&mut self, from: usize, tag: u32) -> Result<Option<Vec<u8>>, PeerError> {
        self.reap();
        let mut flag = 0;
        let mut length = 0;
        // SAFETY: message and status are written by MPI before they are read; the buffer holds `length` bytes.
        unsafe {
            let mut message = ffi::RSMPI_MESSAGE_NULL;
            let mut status = std::mem::zeroed::<ffi::MPI_Status>();
            let world = ffi::RSMPI_COMM_WORLD;
            ffi::MPI_Improbe(count(from), tag.cast_signed(), world, &raw mut flag, &raw mut message, &raw mut status);
            if flag == 0 {
                return Ok(None);
            }
            ffi::MPI_Get_count(&raw const status, ffi::RSMPI_UINT8_T, &raw mut length);
            let mut bytes = vec![0_u8; usize::try_from(length).unwrap_or(0)];
            ffi::MPI_Mrecv(
                bytes.as_mut_ptr().cast(),
                length,
                ffi::RSMPI_UINT8_T,
                &raw mut message,
                ffi::RSMPI_STATUS_IGNORE,
            );
            Ok(Some(bytes))
        }
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }
}
