//! Values in shared memory: files that a worker writes and others of the same host and user map.
//!
//! Each worker has a folder of its own within the shared one, `worker-ID`, and files named by numbers in it. A file is
//! created, never overwritten or shortened, and unlinked when nobody needs it any more; maps of it stay valid.
//!
//! **Trust.** A process that shortened a file while it is mapped would kill the reader (SIGBUS). So files have mode 600 in
//! folders of mode 700: only processes of the same user could do that, and those can end the reader anyway.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

use super::super::protocol::{Shell, WorkerId};

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// One worker's folder in the shared one. Removed with the last of its files.
#[derive(Debug)]
pub(super) struct Folder {
    shared: PathBuf,
    own: PathBuf,
    user: u32,
    next: AtomicU64,
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

impl Folder {
    /// `worker`'s folder in `shared`. Both are made; the shared one may be there, if nobody else can write in it.
    pub(super) fn make(shared: &Path, worker: WorkerId) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(shared)?;
        let found = fs::symlink_metadata(shared)?;
        if !found.is_dir() || found.mode() & 0o077 != 0 {
            let remedy = "it must be a folder that its owner alone may enter (mode 700)";
            return Err(io::Error::other(format!("{remedy}, its mode is {:o}", found.mode() & 0o7777)));
        }
        let own = own(shared, worker);
        DirBuilder::new().mode(0o700).create(&own)?;
        Ok(Self { shared: shared.to_owned(), own, user: found.uid(), next: AtomicU64::new(1) })
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

    /// A new file with these bytes.
    fn write(self: &Arc<Self>, bytes: &[u8]) -> io::Result<Shared> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.own.join(number.to_string());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        // From here on it is removed, come what may.
        let shared = Shared { folder: self.clone(), number, length: bytes.len() };
        file.write_all(bytes)?;
        Ok(shared)
    }

    /// The bytes of file `number` of worker `from`, which has `length` of them.
    pub(super) fn map(&self, from: WorkerId, number: u64, length: usize) -> io::Result<Bytes> {
        let path = own(&self.shared, from).join(number.to_string());
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
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
        if length == 0 || opened.len() != length as u64 {
            return Err(wrong("its length is another one"));
        }
        Ok(Bytes::from_owner(map(&file, length)?))
    }
}

#[expect(unsafe_code, reason = "memmap2 cannot see whether the file stays unchanged")]
fn map(file: &File, length: usize) -> io::Result<Mmap> {
    // SAFETY: the bytes must not change while mapped. Workers create such files exclusively, write them before they tell
    // their number, and never open them for writing again; unlinking leaves maps valid. Mode and owner, just checked, keep
    // other users out.
    unsafe { MmapOptions::new().len(length).populate().map(file) }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left, if anything, is for `sweep`.
        let _ = fs::remove_dir(&self.own);
    }
}

/// A file in shared memory, there for as long as this is held.
#[derive(Debug)]
pub(super) struct Shared {
    folder: Arc<Folder>,
    pub(super) number: u64,
    pub(super) length: usize,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.own.join(self.number.to_string()));
    }
}

/// The files of this worker: the latest shells, so that each is written once for all its readers.
#[derive(Debug)]
pub(super) struct Files {
    folder: Arc<Folder>,
    most: usize,
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: BTreeMap<Shell, Arc<Shared>>,
    order: VecDeque<Shell>,
    bytes: usize,
}

impl Files {
    /// Keeps at most `most` files of at most `most_bytes` together.
    pub(super) fn new(folder: Arc<Folder>, most: usize, most_bytes: usize) -> Self {
        Self { folder, most, most_bytes, kept: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A file with these bytes: of the shell of this name, once for all readers, or for one reader. True if it was written
    /// now.
    pub(super) fn file(&self, shell: Option<Shell>, bytes: &Bytes) -> io::Result<(Arc<Shared>, bool)> {
        let Some(shell) = shell else { return Ok((Arc::new(self.folder.write(bytes)?), true)) };
        // Held while writing: whoever wants the same shell waits for it.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = kept.files.get(&shell).filter(|file| file.length == bytes.len()) {
            return Ok((file.clone(), false));
        }
        kept.forget(&shell);
        while kept.order.len() >= self.most.max(1) || kept.bytes.saturating_add(bytes.len()) > self.most_bytes {
            let Some(oldest) = kept.order.front().copied() else { break };
            kept.forget(&oldest);
        }
        let file = Arc::new(self.folder.write(bytes)?);
        if bytes.len() <= self.most_bytes {
            kept.bytes += file.length;
            kept.order.push_back(shell);
            kept.files.insert(shell, file.clone());
        }
        Ok((file, true))
    }
}

impl Kept {
    fn forget(&mut self, shell: &Shell) {
        if let Some(file) = self.files.remove(shell) {
            self.bytes -= file.length;
            self.order.retain(|other| other != shell);
        }
    }
}

#[cfg(test)]
mod tests;
