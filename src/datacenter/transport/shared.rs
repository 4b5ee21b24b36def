//! Values in shared memory: files that a worker writes and others of the same host and user read.
//!
//! Each worker has a folder of its own within the shared one, `worker-ID`, and files named by numbers in it: a value, then
//! the turn of its writing, 8 bytes, little-endian. A shell's file that nobody needs any more holds the next shell of its
//! length: memory given back to the system would come back as pages to clear and to map. Invariant: a reader has a value's
//! very bytes or an error, since turns never repeat and the writer takes the old one away before it changes a byte; so a
//! reader may be late, or its answer forged. A reader that reads in place ([`mapped`]) holds a lock on the file meanwhile, and
//! the writer does not write in a file that another holds; the system frees the locks of the dead.
//!
//! **Trust.** Files have mode 600 in folders of mode 700: only processes of the same user can write them.

pub(super) mod mapped;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::protocol::{Shell, WorkerId};
use super::super::room::Room;

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Kind of the file system that keeps files in memory.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// What the names of runs' folders begin with.
const RUN: &str = "ringfort-";
/// Times that a folder is made again that was swept before its worker showed life.
const TRIES: u32 = 8;

/// Turn of a file that is being written.
const NO_TURN: u64 = 0;
/// Bytes of a turn.
const TURN: usize = 8;

/// One worker's folder in the shared one. Removed with the last of its files.
#[derive(Debug)]
pub(super) struct Folder {
    shared: PathBuf,
    own: PathBuf,
    user: u32,
    /// The next turn; a file's number is that of its first one.
    next: AtomicU64,
    /// Locked for as long as the worker lives.
    _alive: File,
    /// Files that nobody needs now, the latest last.
    idle: Mutex<Vec<Written>>,
    /// Most of these, and most bytes of them together.
    most_idle: (usize, usize),
}

/// Where in a worker's folder a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The file's number.
    pub(super) number: u64,
    /// The turn in which the value was written.
    pub(super) turn: u64,
    /// Bytes of the value.
    pub(super) length: u64,
}

/// A file with a value in it.
#[derive(Debug)]
struct Written {
    file: File,
    place: Place,
}

fn own(shared: &Path, worker: WorkerId) -> PathBuf {
    shared.join(format!("worker-{:016x}", worker.0))
}

/// Removes what `worker`, which is gone, left in the `shared` folder.
///
/// # Errors
///
/// The system's, if something cannot be removed. That there is nothing is no error.
pub fn sweep(shared: &Path, worker: WorkerId) -> io::Result<()> {
    let there = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let own = own(shared, worker);
    match fs::symlink_metadata(&own) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(io::Error::other(format!("{} is not a folder; remove it by hand", own.display()))),
        Err(error) => return there(Err(error)),
    }
    for entry in fs::read_dir(&own)? {
        there(fs::remove_file(entry?.path()))?;
    }
    there(fs::remove_dir(&own))
}

/// Removes the folders of runs beside `shared`, which is one of theirs, that no process of their run uses any more: those of
/// this user whose workers' locks nobody holds. What cannot be removed stays for the next time.
pub fn sweep_abandoned(shared: &Path) {
    let user = rustix::process::getuid().as_raw();
    for entry in shared.parent().into_iter().flat_map(fs::read_dir).flatten().flatten() {
        let path = entry.path();
        let ours = fs::symlink_metadata(&path)
            .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0);
        let of_a_run = entry.file_name().to_str().is_some_and(|name| name.starts_with(RUN));
        if ours && of_a_run && path != shared {
            let _stays = sweep_run(&path);
        }
    }
}

/// Removes a run's folder, unless a worker of it lives, or it holds what no worker made.
fn sweep_run(run: &Path) -> io::Result<()> {
    let workers: Vec<PathBuf> =
        fs::read_dir(run)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    let ids: Option<Vec<WorkerId>> = workers.iter().map(|path| worker(path)).collect();
    let ids = ids.ok_or_else(|| wrong("it holds something else"))?;
    // Held until all is gone: nobody lives there.
    let locks = workers.iter().map(|path| {
        let folder = File::open(path)?;
        folder.try_lock()?;
        Ok(folder)
    });
    let _locks: Vec<File> = locks.collect::<io::Result<_>>()?;
    ids.into_iter().try_for_each(|id| sweep(run, id))?;
    fs::remove_dir(run)
}

/// Whose folder it is.
fn worker(path: &Path) -> Option<WorkerId> {
    let number = path.file_name()?.to_str()?.strip_prefix("worker-")?;
    u64::from_str_radix(number, 16).ok().map(WorkerId)
}

/// Makes both folders; returns the user and the worker's own one, locked.
fn begin(shared: &Path, own: &Path) -> io::Result<(u32, File)> {
    DirBuilder::new().recursive(true).mode(0o700).create(shared)?;
    let found = fs::symlink_metadata(shared)?;
    if !found.is_dir() || found.mode() & 0o077 != 0 {
        let remedy = "it must be a folder that its owner alone may enter (mode 700)";
        return Err(io::Error::other(format!("{remedy}, its mode is {:o}", found.mode() & 0o7777)));
    }
    DirBuilder::new().mode(0o700).create(own)?;
    let alive = File::open(own)?;
    alive.lock()?;
    let (here, there) = (alive.metadata()?, fs::symlink_metadata(own)?);
    if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
        Ok((found.uid(), alive))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Folder {
    /// `worker`'s folder in `shared`. Both are made; the shared one may be there, if nobody else can write in it. At
    /// most so many idle files of so many bytes together are kept for later values.
    pub(super) fn make(shared: &Path, worker: WorkerId, most_idle: (usize, usize)) -> io::Result<Self> {
        let own = own(shared, worker);
        let mut tries = TRIES;
        let (user, alive) = loop {
            match begin(shared, &own) {
                // Swept between two steps, by somebody who saw no life in it yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries > 0 => tries -= 1,
                other => break other?,
            }
        };
        let next = AtomicU64::new(NO_TURN + 1);
        let shared = shared.to_owned();
        Ok(Self { shared, own, user, next, _alive: alive, idle: Mutex::default(), most_idle })
    }

    /// A name for this very folder of this start of this machine: who has the same can map the files. Empty where the system
    /// has no such name.
    pub(super) fn host(&self) -> String {
        let boot = fs::read_to_string(BOOT).unwrap_or_default();
        match fs::metadata(&self.shared) {
            Ok(found) if !boot.trim().is_empty() => format!("{}:{:x}:{:x}", boot.trim(), found.dev(), found.ino()),
            _ => String::new(),
        }
    }

    /// True if the files are in memory, not on a disk.
    pub(super) fn in_memory(&self) -> bool {
        rustix::fs::statfs(&self.own).is_ok_and(|found| found.f_type == TMPFS)
    }

    /// A file with these bytes, which others of their length may follow if `again`.
    fn write(self: &Arc<Self>, bytes: &[u8], again: bool) -> io::Result<Shared> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let end = bytes.len() as u64;
        let place = Place { number: turn, turn, length: end };
        let file = match again.then(|| self.idle(end)).flatten() {
            Some(idle) => Written { place: Place { number: idle.place.number, ..place }, ..idle },
            None => Written { file: self.create(turn)?, place },
        };
        let written = || -> io::Result<()> {
            file.file.write_all_at(&NO_TURN.to_le_bytes(), end)?;
            fence(Ordering::SeqCst);
            file.file.write_all_at(bytes, 0)?;
            fence(Ordering::SeqCst);
            file.file.write_all_at(&turn.to_le_bytes(), end)
        };
        written().and_then(|()| file.file.unlock()).inspect_err(|_| self.remove(file.place.number))?;
        Ok(Shared { folder: self.clone(), place: file.place, written: Some(file), again })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.own.join(number.to_string())
    }

    /// A new file, numbered by its first turn.
    fn create(&self, turn: u64) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path(turn))?;
        file.lock()?;
        Ok(file)
    }

    fn remove(&self, number: u64) {
        // What stays is for `sweep`.
        let _gone = fs::remove_file(self.path(number));
    }

    /// A file for a value of this very length, locked, if one is idle: the latest, which is the likeliest to be in a cache
    /// still. One that somebody reads in place is left to its reader.
    fn idle(&self, length: u64) -> Option<Written> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(at) = idle.iter().rposition(|file| file.place.length == length) {
            let file = idle.remove(at);
            if file.file.try_lock().is_ok() {
                return Some(file);
            }
            self.remove(file.place.number);
        }
        None
    }

    /// Keeps a file that nobody needs, in place of older ones.
    fn keep(&self, file: Written) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(file);
        let mut bytes: u64 = idle.iter().map(|file| file.place.length).sum();
        while idle.len() > self.most_idle.0 || bytes > self.most_idle.1 as u64 {
            let oldest = idle.remove(0);
            bytes -= oldest.place.length;
            self.remove(oldest.place.number);
        }
    }

    /// The value that worker `from` has at `place`, in memory of `room`, or in its own.
    pub(super) fn read(&self, from: WorkerId, place: Place, room: Option<&Room>) -> io::Result<Bytes> {
        let file = self.open(from, place)?;
        let length = usize::try_from(place.length).map_err(|_| wrong("it is too long"))?;
        let turn = || holds(&file, place);
        turn()?;
        fence(Ordering::SeqCst);
        let mut read = Ok(());
        let mut fill = |bytes: &mut [u8]| read = file.read_exact_at(bytes, 0);
        let bytes = match room {
            Some(room) => room.fill(length, fill),
            None => {
                let mut bytes = vec![0; length];
                fill(&mut bytes);
                bytes.into()
            }
        };
        read?;
        fence(Ordering::SeqCst);
        turn()?;
        Ok(bytes)
    }

    /// The file that worker `from` has at `place`: a file of that length which nobody else can write.
    fn open(&self, from: WorkerId, place: Place) -> io::Result<File> {
        let path = own(&self.shared, from).join(place.number.to_string());
        let found = fs::symlink_metadata(&path)?;
        if !found.is_file() {
            return Err(wrong("it is not a file"));
        }
        let file = File::open(&path)?;
        let opened = file.metadata()?;
        if (opened.dev(), opened.ino()) != (found.dev(), found.ino()) {
            return Err(wrong("it was replaced"));
        }
        if opened.uid() != self.user || opened.mode() & 0o077 != 0 {
            return Err(wrong("others may write it"));
        }
        let expected = place.length.checked_add(TURN as u64).filter(|_| place.length > 0);
        if expected == Some(opened.len()) { Ok(file) } else { Err(wrong("its length is another one")) }
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Checks that `file` holds the value of this very turn.
fn holds(file: &File, place: Place) -> io::Result<()> {
    let mut turn = [0; TURN];
    file.read_exact_at(&mut turn, place.length)?;
    let same = place.turn != NO_TURN && u64::from_le_bytes(turn) == place.turn;
    if same { Ok(()) } else { Err(wrong("it holds another value by now")) }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for file in self.idle.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.remove(file.place.number);
        }
        // What is left, if anything, is for `sweep`.
        let _ = fs::remove_dir(&self.own);
    }
}

/// A value in shared memory, there for as long as this is held.
#[derive(Debug)]
pub(super) struct Shared {
    folder: Arc<Folder>,
    /// Always there but in `drop`.
    written: Option<Written>,
    pub(super) place: Place,
    /// The file is kept for other values.
    again: bool,
}

impl Shared {
    fn bytes(&self) -> usize {
        usize::try_from(self.place.length).unwrap_or(usize::MAX)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        match self.written.take() {
            Some(file) if self.again => self.folder.keep(file),
            Some(file) => self.folder.remove(file.place.number),
            None => {}
        }
    }
}

/// The files of this worker: shells on their way and the latest, so that each is written once for readers who ask at about
/// the same time. They are few, since memory that was used a moment ago is in a cache still.
#[derive(Debug)]
pub(super) struct Files {
    folder: Arc<Folder>,
    most: usize,
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    known: BTreeMap<Shell, Weak<Shared>>,
    latest: VecDeque<Arc<Shared>>,
    bytes: usize,
}

impl Files {
    /// Keeps at most `most` files of at most `most_bytes` together, beside those on their way.
    pub(super) fn new(folder: Arc<Folder>, most: usize, most_bytes: usize) -> Self {
        Self { folder, most, most_bytes, kept: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A file with these bytes: of the shell of this name, once for all readers, or for one reader. True if it was written
    /// now.
    pub(super) fn file(&self, shell: Option<Shell>, bytes: &Bytes) -> io::Result<(Arc<Shared>, bool)> {
        let Some(shell) = shell else { return Ok((Arc::new(self.folder.write(bytes, false)?), true)) };
        // Held while writing: whoever wants the same shell waits for it.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.known.get(&shell).and_then(Weak::upgrade);
        if let Some(file) = known.filter(|file| file.place.length == bytes.len() as u64) {
            return Ok((file, false));
        }
        while kept.latest.len() >= self.most.max(1) || kept.bytes.saturating_add(bytes.len()) > self.most_bytes {
            let Some(oldest) = kept.latest.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
        kept.known.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(self.folder.write(bytes, true)?);
        kept.known.insert(shell, Arc::downgrade(&file));
        if bytes.len() <= self.most_bytes {
            kept.bytes += file.bytes();
            kept.latest.push_back(file.clone());
        }
        Ok((file, true))
    }
}

#[cfg(test)]
mod tests;
