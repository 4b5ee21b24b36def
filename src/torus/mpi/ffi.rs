//! Raw MPI calls, all that there are: rsmpi's safe interface borrows buffers for the length of a scope and has no persistent
//! requests.
//!
//! Input: ranks, tags, bytes. Output: the same between processes. Invariant: bytes that MPI may read or write are owned by the value
//! that holds their request, stay where they are, and are not to be seen until the request is complete. All values stay on
//! the thread that started MPI (`MPI_THREAD_FUNNELED`). Return codes are not looked at, since MPI's default handler ends the job on
//! an error.

#![expect(unsafe_code, reason = "raw MPI calls")]

use std::os::raw::{c_int, c_void};
use std::rc::Rc;

use mpi::environment::Universe;
use mpi::ffi;

use crate::torus::peers::{Message, Word};

/// Bytes of a cache line.
const LINE: usize = 64;

/// MPI, started; ended when this and all that was made by it is gone. Cannot leave the thread that started it, nor can they.
#[derive(Clone)]
pub(super) struct World {
    _universe: Rc<Universe>,
}

/// `value` as MPI counts.
fn count(value: usize) -> c_int {
    c_int::try_from(value).unwrap_or_else(|_| panic!("a message of {value} bytes: cut the grid into more parts"))
}

/// True once `request` is complete (persistent ones become inactive, others null).
fn test(request: &mut ffi::MPI_Request) -> bool {
    let mut flag = 0;
    // SAFETY: the request was made by MPI and its buffer is alive: whoever owns it owns the buffer.
    unsafe { ffi::MPI_Test(request, &raw mut flag, ffi::RSMPI_STATUS_IGNORE) };
    flag != 0
}

/// No request.
fn null() -> ffi::MPI_Request {
    // SAFETY: a constant that MPI never changes.
    unsafe { ffi::RSMPI_REQUEST_NULL }
}

/// All ranks.
fn all() -> ffi::MPI_Comm {
    // SAFETY: as above.
    unsafe { ffi::RSMPI_COMM_WORLD }
}

/// The type of a byte.
fn byte() -> ffi::MPI_Datatype {
    // SAFETY: as above.
    unsafe { ffi::RSMPI_UINT8_T }
}

/// Ends all ranks at once with exit code `code`.
pub(super) fn abort(code: i32) -> ! {
    // SAFETY: MPI has been started, and if it has ended this call fails, which ends the process as well.
    unsafe { ffi::MPI_Abort(all(), code) };
    std::process::exit(code)
}

impl World {
    /// Starts MPI, for the thread that calls this alone; `None` if it was started before in this process.
    pub(super) fn start() -> Option<Self> {
        let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Funneled)?;
        Some(Self { _universe: Rc::new(universe) })
    }

    /// Number of this rank and of all.
    pub(super) fn place(&self) -> (usize, usize) {
        let (mut rank, mut ranks) = (0, 0);
        // SAFETY: MPI has been started; the addresses are of live variables.
        unsafe {
            ffi::MPI_Comm_rank(all(), &raw mut rank);
            ffi::MPI_Comm_size(all(), &raw mut ranks);
        }
        (usize::try_from(rank).unwrap_or(0), usize::try_from(ranks).unwrap_or(1))
    }

    /// Begins to send `bytes`.
    pub(super) fn send(&self, to: usize, tag: u32, bytes: Vec<u8>) -> Sent {
        let mut request = null();
        let buffer = bytes.as_ptr().cast::<c_void>();
        // SAFETY: the bytes are on the heap and go into the value that owns the request.
        unsafe {
            ffi::MPI_Isend(buffer, count(bytes.len()), byte(), count(to), tag.cast_signed(), all(), &raw mut request)
        };
        Sent { request, bytes, _world: self.clone() }
    }

    /// The next bytes that `from` sent with `tag`, if there are any.
    pub(super) fn receive(&self, from: usize, tag: u32) -> Option<Vec<u8>> {
        let (mut flag, mut length) = (0, 0);
        // SAFETY: message and status are written by MPI before they are read; the buffer holds `length` bytes.
        unsafe {
            let mut message = ffi::RSMPI_MESSAGE_NULL;
            let mut status = std::mem::zeroed::<ffi::MPI_Status>();
            let tag = tag.cast_signed();
            ffi::MPI_Improbe(count(from), tag, all(), &raw mut flag, &raw mut message, &raw mut status);
            if flag == 0 {
                return None;
            }
            ffi::MPI_Get_count(&raw const status, byte(), &raw mut length);
            let mut bytes = vec![0_u8; usize::try_from(length).unwrap_or(0)];
            let buffer = bytes.as_mut_ptr().cast();
            ffi::MPI_Mrecv(buffer, length, byte(), &raw mut message, ffi::RSMPI_STATUS_IGNORE);
            Some(bytes)
        }
    }
}

/// Bytes on their way.
pub(super) struct Sent {
    request: ffi::MPI_Request,
    /// MPI reads them.
    bytes: Vec<u8>,
    _world: World,
}

impl Sent {
    /// True once MPI no longer needs the bytes.
    pub(super) fn left(&mut self) -> bool {
        test(&mut self.request)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.left() {
            std::mem::forget(std::mem::take(&mut self.bytes));
        }
    }
}

/// The reductions of all ranks' words, one after the other.
pub(super) struct Reduction {
    /// Own word and reduced word; on the heap, since MPI keeps their addresses.
    words: Box<[Word; 2]>,
    request: ffi::MPI_Request,
    under_way: bool,
    _world: World,
}

impl Reduction {
    /// None under way.
    pub(super) fn new(world: &World) -> Self {
        Self { words: Box::default(), request: null(), under_way: false, _world: world.clone() }
    }

    /// True between [`Reduction::post`] and its result.
    pub(super) fn under_way(&self) -> bool {
        self.under_way
    }

    /// Begins to find the largest of all ranks' words.
    ///
    /// # Panics
    ///
    /// If one is under way.
    pub(super) fn post(&mut self, word: Word) {
        assert!(!self.under_way, "one reduction at a time");
        self.words[0] = word;
        let [own, largest] = &mut *self.words;
        let length = count(own.len());
        let (own, largest) = (own.as_ptr().cast(), largest.as_mut_ptr().cast());
        // SAFETY: the boxed words outlive the request, and nobody looks at them until it is complete; the constants are read-only.
        unsafe {
            let (number, max) = (ffi::RSMPI_UINT64_T, ffi::RSMPI_MAX);
            ffi::MPI_Iallreduce(own, largest, length, number, max, all(), &raw mut self.request)
        };
        self.under_way = true;
    }

    /// The largest words, once, when all ranks have posted theirs.
    pub(super) fn result(&mut self) -> Option<Word> {
        if !self.under_way || !test(&mut self.request) {
            return None;
        }
        self.under_way = false;
        Some(self.words[1])
    }
}

impl Drop for Reduction {
    fn drop(&mut self) {
        if self.under_way {
            std::mem::forget(std::mem::take(&mut self.words));
        }
    }
}

/// Bytes that begin at a cache line and stay where they are.
struct Buffer {
    bytes: Vec<u8>,
    from: usize,
    len: usize,
}

impl Buffer {
    fn zeros(len: usize) -> Self {
        let bytes = vec![0; len + LINE];
        let from = bytes.as_ptr().align_offset(LINE).min(LINE);
        Self { bytes, from, len }
    }

    fn address(&mut self) -> *mut c_void {
        self.bytes[self.from..].as_mut_ptr().cast()
    }
}

/// Messages that travel together, made once and started many times.
pub(super) struct Standing {
    /// Those that receive, then those that send.
    requests: Vec<ffi::MPI_Request>,
    buffers: Vec<Buffer>,
    /// Whose bytes MPI may read or write.
    under_way: Vec<bool>,
    receives: usize,
    _world: World,
}

impl Standing {
    /// Messages that are received and sent together.
    pub(super) fn new(world: &World, receives: &[Message], sends: &[Message]) -> Self {
        let messages = || receives.iter().chain(sends);
        let mut buffers: Vec<_> = messages().map(|message| Buffer::zeros(message.bytes)).collect();
        let make = |(number, (message, buffer)): (usize, (&Message, &mut Buffer))| {
            let (length, peer, tag) = (count(message.bytes), count(message.peer), message.tag.cast_signed());
            let (address, mut request) = (buffer.address(), null());
            // SAFETY: the buffer holds the bytes, stays where it is, and outlives the request, which is freed when both are dropped.
            unsafe {
                if number < receives.len() {
                    ffi::MPI_Recv_init(address, length, byte(), peer, tag, all(), &raw mut request);
                } else {
                    ffi::MPI_Send_init(address, length, byte(), peer, tag, all(), &raw mut request);
                }
            }
            request
        };
        let requests = messages().zip(&mut buffers).enumerate().map(make).collect();
        let under_way = vec![false; buffers.len()];
        Self { requests, buffers, under_way, receives: receives.len(), _world: world.clone() }
    }

    /// Begins to receive all messages.
    ///
    /// # Panics
    ///
    /// If one is under way.
    pub(super) fn expect(&mut self) {
        let (requests, under_way) = (&mut self.requests[..self.receives], &mut self.under_way[..self.receives]);
        assert!(!under_way.contains(&true), "a message that is under way");
        under_way.fill(true);
        // SAFETY: inactive persistent requests whose buffers nobody looks at until they are complete.
        unsafe { ffi::MPI_Startall(count(requests.len()), requests.as_mut_ptr()) };
    }

    /// Bytes of the message that is sent as number `number`.
    ///
    /// # Panics
    ///
    /// If it is under way.
    pub(super) fn outgoing(&mut self, number: usize) -> &mut [u8] {
        let number = self.receives + number;
        assert!(!self.under_way[number], "a message that is under way");
        let Buffer { bytes, from, len } = &mut self.buffers[number];
        &mut bytes[*from..*from + *len]
    }

    /// Begins to send message `number`.
    ///
    /// # Panics
    ///
    /// If it is under way.
    pub(super) fn dispatch(&mut self, number: usize) {
        let number = self.receives + number;
        assert!(!std::mem::replace(&mut self.under_way[number], true), "a message that is under way");
        // SAFETY: an inactive persistent request whose buffer nobody looks at until it is complete.
        unsafe { ffi::MPI_Start(&raw mut self.requests[number]) };
    }

    /// True once nothing is under way.
    pub(super) fn arrived(&mut self) -> bool {
        let mut flag = 0;
        let requests = &mut self.requests;
        // SAFETY: persistent requests, active or not, whose buffers are alive.
        unsafe {
            let ignore = ffi::RSMPI_STATUSES_IGNORE;
            ffi::MPI_Testall(count(requests.len()), requests.as_mut_ptr(), &raw mut flag, ignore)
        };
        if flag != 0 {
            self.under_way.fill(false);
        }
        flag != 0
    }

    /// Bytes of the message that was received as number `number`.
    ///
    /// # Panics
    ///
    /// If it is under way.
    pub(super) fn incoming(&self, number: usize) -> &[u8] {
        assert!(!self.under_way[number], "a message that is under way");
        let Buffer { bytes, from, len } = &self.buffers[number];
        &bytes[*from..*from + *len]
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if !self.arrived() {
            // MPI may still read or write the bytes.
            std::mem::forget(std::mem::take(&mut self.buffers));
            return;
        }
        for request in &mut self.requests {
            // SAFETY: a persistent request that no message is under way for; MPI has not ended, since its world is held.
            unsafe { ffi::MPI_Request_free(request) };
        }
    }
}
