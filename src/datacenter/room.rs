//! Memory of values, used again.
//!
//! Shells are made in every round and dropped in every generation. Memory given back to the system comes back as pages that it
//! must clear and map again. Invariant: of each length no more memory is kept than was in use at one time.

use std::ops::DerefMut;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use memmap2::{Advice, MmapMut};

/// Bytes from which on memory comes in huge pages, where the system has them.
const LARGE: usize = 1 << 21;

/// Memory for one value.
#[derive(Debug)]
enum Memory {
    Small(Vec<u8>),
    Large(MmapMut),
}

/// Memory that was in use before. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Room {
    free: Arc<Mutex<Vec<Memory>>>,
}

/// Memory in use, which goes back when it is dropped.
struct Taken {
    memory: Option<Memory>,
    free: Arc<Mutex<Vec<Memory>>>,
}

impl AsRef<[u8]> for Taken {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], Memory::bytes)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let memory = self.memory.take();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(memory);
    }
}

impl Room {
    /// `length` bytes as `write` leaves them; it must set them all, since what they hold before is anything.
    #[must_use]
    pub fn fill(&self, length: usize, write: impl FnOnce(&mut [u8])) -> Bytes {
        let mut memory = self.take(length);
        write(memory.bytes_mut());
        Bytes::from_owner(Taken { memory: Some(memory), free: Arc::clone(&self.free) })
    }

    /// Memory of this very length: blocks of a run have one or two sizes.
    fn take(&self, length: usize) -> Memory {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // The one dropped last: it is the likeliest to be in a cache still.
        match free.iter().rposition(|memory| memory.bytes().len() == length) {
            Some(at) => free.swap_remove(at),
            None => {
                drop(free);
                Memory::new(length)
            }
        }
    }
}

impl Memory {
    fn new(length: usize) -> Self {
        let large = (length >= LARGE).then(|| MmapMut::map_anon(length).ok()).flatten();
        let Some(map) = large else { return Self::Small(vec![0; length]) };
        // A wish: where there are no huge pages, small ones do.
        let _small_ones_do = map.advise(Advice::HugePage);
        Self::Large(map)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(map) => map,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(map) => map.deref_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_the_last_clone_is_dropped() {
        let room = Room::default();
        let first = room.fill(100, |bytes| bytes.fill(1));
        let (clone, place) = (first.clone(), first.as_ptr());
        drop(first);
        let second = room.fill(100, |bytes| bytes.fill(2));
        assert_eq!(clone, vec![1; 100]);
        assert_ne!(second.as_ptr(), place);
        drop(clone);
        let third = room.fill(100, |bytes| bytes.fill(3));
        assert_eq!((third.as_ptr(), &third[..]), (place, &[3; 100][..]));
    }

    #[test]
    fn no_more_is_kept_than_was_in_use() {
        let room = Room::default();
        for round in 0..5 {
            let some: Vec<Bytes> = (0..3).map(|_| room.fill(10, |bytes| bytes.fill(round))).collect();
            assert!(some.iter().all(|bytes| bytes[..] == [round; 10]));
        }
        assert_eq!(room.free.lock().unwrap().len(), 3);
    }
}
