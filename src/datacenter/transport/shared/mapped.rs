//! Values that are made and read where they lie: in files of shared memory, mapped by their writer and their readers.
//!
//! Input: a length and who fills it; or a place that another worker told. Output: bytes that nobody copied. Invariant: the bytes
//! of a file change only under its exclusive lock, while nobody here holds its value, and a reader holds a shared lock for as
//! long as it holds the bytes. A file that is locked when its turn comes is given up: it lives on until its reader is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use memmap2::{Mmap, MmapMut, MmapOptions};

use super::super::super::protocol::WorkerId;
use super::{Folder, NO_TURN, Place, TURN, holds, wrong};

/// Memory for values of this worker that others of the host read in place. Clones share it.
#[derive(Clone, Debug)]
pub struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: Arc<Folder>,
    /// Shorter values have no file.
    from: usize,
    /// Most files.
    most: usize,
    idle: Mutex<Vec<Page>>,
    /// Where values in use lie, by address.
    lent: Mutex<BTreeMap<usize, Place>>,
    /// Why there is no more memory, once there is none.
    full: OnceLock<String>,
    /// Somebody may read here.
    read: AtomicBool,
}

/// A file, mapped.
#[derive(Debug)]
struct Page {
    file: File,
    map: MmapMut,
    place: Place,
}

/// A value in use; its file goes back when it is dropped.
struct Lent {
    shelf: Arc<Inner>,
    /// Always there but in `drop`.
    page: Option<Page>,
}

impl Shelf {
    /// Files in `folder` for values of at least `from` bytes, at most so many.
    pub(in super::super) fn new(folder: Arc<Folder>, from: usize, most: usize) -> Self {
        let inner = Inner {
            folder,
            from: from.max(1),
            most,
            idle: Mutex::default(),
            lent: Mutex::default(),
            full: OnceLock::new(),
            read: AtomicBool::new(false),
        };
        Self(Arc::new(inner))
    }

    /// `length` bytes as `write` leaves them; it must set them all, since what they hold before is anything. None if they
    /// have no place here, or nobody would read them: then `write` was not called.
    #[must_use]
    pub fn fill(&self, length: usize, write: impl FnOnce(&mut [u8])) -> Option<Bytes> {
        if length < self.0.from || !self.0.read.load(Ordering::Relaxed) {
            return None;
        }
        let mut page = self.0.take(length)?;
        write(&mut page.map[..length]);
        let address = page.map.as_ptr().addr();
        let place = page.place;
        let lent = Lent { shelf: Arc::clone(&self.0), page: Some(page) };
        // Whoever cannot be told the turn cannot read it.
        lent.publish().ok()?;
        lock(&self.0.lent).insert(address, place);
        Some(Bytes::from_owner(lent))
    }

    /// Says if there is anybody on this host who may read values from here.
    pub(in super::super) fn open(&self, read: bool) {
        self.0.read.store(read, Ordering::Relaxed);
    }

    /// Where `bytes` lie, if they are a value from here.
    pub(in super::super) fn place(&self, bytes: &Bytes) -> Option<Place> {
        let place = lock(&self.0.lent).get(&bytes.as_ptr().addr()).copied();
        place.filter(|place| place.length == bytes.len() as u64)
    }

    /// Why there is no more memory, once there is none.
    #[must_use]
    pub fn full(&self) -> Option<&str> {
        self.0.full.get().map(String::as_str)
    }
}

impl Inner {
    /// A file for a value of `length` bytes, locked and without a turn: one that is idle, or a new one.
    fn take(&self, length: usize) -> Option<Page> {
        let turn = self.folder.next.fetch_add(1, Ordering::Relaxed);
        let mut page = match self.idle(length) {
            Some(page) => page,
            None if self.full.get().is_some() || lock(&self.lent).len() >= self.most => return None,
            None => match self.create(turn, length) {
                Ok(page) => page,
                Err(error) => {
                    self.folder.remove(turn);
                    let _first = self.full.set(error.to_string());
                    return None;
                }
            },
        };
        page.place.turn = turn;
        page.file.write_all_at(&NO_TURN.to_le_bytes(), page.place.length).ok()?;
        fence(Ordering::SeqCst);
        Some(page)
    }

    fn idle(&self, length: usize) -> Option<Page> {
        loop {
            let page = {
                let mut idle = lock(&self.idle);
                let at = idle.iter().rposition(|page| page.place.length == length as u64)?;
                idle.swap_remove(at)
            };
            if page.file.try_lock().is_ok() {
                return Some(page);
            }
            self.folder.remove(page.place.number);
        }
    }

    fn create(&self, turn: u64, length: usize) -> io::Result<Page> {
        let file = self.folder.create(turn)?;
        let bytes = length.checked_add(TURN).ok_or_else(|| wrong("it is too long"))?;
        // All of it now: memory that lacks when it is written would end the process.
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64)?;
        let map = map_mut(&file)?;
        Ok(Page { file, map, place: Place { number: turn, turn, length: length as u64 } })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for page in lock(&self.idle).iter() {
            self.folder.remove(page.place.number);
        }
    }
}

impl Lent {
    /// Lets others read the value.
    fn publish(&self) -> io::Result<()> {
        let Some(Page { file, place, .. }) = &self.page else { return Ok(()) };
        fence(Ordering::SeqCst);
        file.write_all_at(&place.turn.to_le_bytes(), place.length)?;
        file.unlock()
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.page.as_ref().map_or(&[], |page| &page.map[..page.map.len() - TURN])
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            lock(&self.shelf.lent).remove(&page.map.as_ptr().addr());
            lock(&self.shelf.idle).push(page);
        }
    }
}

/// Files of others that were mapped before. Clones share them.
#[derive(Clone, Debug)]
pub(in super::super) struct Seen {
    files: Arc<Mutex<BTreeMap<(WorkerId, u64), Theirs>>>,
    /// Most files that stay mapped while nothing in them is read.
    most: usize,
}

/// Another worker's file, mapped.
#[derive(Debug)]
struct Theirs {
    file: File,
    map: Mmap,
}

/// A value being read in place.
struct Reading {
    /// Always there but in `drop`.
    theirs: Option<Theirs>,
    name: (WorkerId, u64),
    seen: Seen,
}

impl Seen {
    /// At most so many files stay mapped while nothing in them is read.
    pub(in super::super) fn new(most: usize) -> Self {
        Self { files: Arc::default(), most }
    }

    /// The value that worker `from` has at `place`, where it lies.
    ///
    /// # Errors
    ///
    /// If it is not there any more, or cannot be mapped.
    pub(in super::super) fn read(&self, folder: &Folder, from: WorkerId, place: Place) -> io::Result<Bytes> {
        let name = (from, place.number);
        let known = lock(&self.files).remove(&name);
        let known = known.filter(|theirs| theirs.map.len() as u64 == place.length.saturating_add(TURN as u64));
        let theirs = match known {
            Some(theirs) => theirs,
            None => {
                let file = folder.open(from, place)?;
                let map = map(&file)?;
                Theirs { file, map }
            }
        };
        theirs.file.try_lock_shared()?;
        let reading = Reading { theirs: Some(theirs), name, seen: self.clone() };
        reading.check(place)?;
        Ok(Bytes::from_owner(reading))
    }

    /// Forgets the files of workers that are not among those to `keep`.
    pub(in super::super) fn retain(&self, keep: impl Fn(WorkerId) -> bool) {
        lock(&self.files).retain(|&(worker, _), _| keep(worker));
    }
}

impl Reading {
    fn check(&self, place: Place) -> io::Result<()> {
        self.theirs.as_ref().map_or(Ok(()), |theirs| holds(&theirs.file, place))
    }
}

impl AsRef<[u8]> for Reading {
    fn as_ref(&self) -> &[u8] {
        self.theirs.as_ref().map_or(&[], |theirs| &theirs.map.deref()[..theirs.map.len() - TURN])
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(theirs) = self.theirs.take() else { return };
        // A file that its writer gave up is not read again.
        let there = theirs.file.metadata().is_ok_and(|found| found.nlink() > 0);
        if there && theirs.file.unlock().is_ok() {
            let mut seen = lock(&self.seen.files);
            if seen.len() < self.seen.most {
                seen.insert(self.name, theirs);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(unsafe_code, reason = "memmap2 cannot see who else writes a file")]
fn map_mut(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file was made here a moment ago and all its memory set aside; others open it to read only, nobody cuts it
    // short, and the bytes are written only while this worker holds its exclusive lock.
    unsafe { MmapOptions::new().populate().map_mut(file) }
}

#[expect(unsafe_code, reason = "memmap2 cannot see who else writes a file")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: bytes are looked at only under a shared lock, which keeps the writer from changing them, and files never change
    // their length. Both hold for all of the run's workers; nobody but their own user may write the file.
    unsafe { MmapOptions::new().populate().map(file) }
}

#[cfg(test)]
mod tests;
