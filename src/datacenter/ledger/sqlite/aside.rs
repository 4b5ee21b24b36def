//! Moving a damaged file out of the way. Invariant: only the file that was found damaged is moved, by one process.
//!
//! The file itself is not opened here: closing it would drop the locks that SQLite holds on it in this process. The one
//! exception, [`writable`], is asked when SQLite cannot write to it at all.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock;

/// Which file a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// That of the file at `path`, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

/// True if the system lets this process write to the file at `path`.
pub(super) fn writable(path: &Path) -> bool {
    fs::OpenOptions::new().append(true).open(path).is_ok()
}

/// Renames the file at `path` to `NAME.damaged-K`, and its journal too, unless another file has the name by now.
pub(super) fn move_aside(path: &Path, damaged: Option<Identity>, wait: Duration) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Everybody who moves a file of this folder holds this lock; it ends with the value.
    let lock = File::open(folder)?;
    let until = clock::now() + wait;
    while let Err(error) = lock.try_lock() {
        match error {
            TryLockError::WouldBlock if clock::now() < until => std::thread::sleep(Duration::from_millis(10)),
            TryLockError::WouldBlock => return Err(io::ErrorKind::WouldBlock.into()),
            TryLockError::Error(error) => return Err(error),
        }
    }
    if damaged.is_none() || Identity::of(path) != damaged {
        return Ok(());
    }
    let taken = |name: &Path| fs::symlink_metadata(name).is_ok();
    let free = (1_u32..)
        .map(|count| suffixed(path, &format!(".damaged-{count}")))
        .find(|aside| !taken(aside) && !taken(&suffixed(aside, "-journal")));
    let aside = free.ok_or(io::ErrorKind::AlreadyExists)?;
    // The journal first: it must not be taken for one of the new file.
    for log in ["-journal", "-wal", "-shm"] {
        rename(&suffixed(path, log), &suffixed(&aside, log))?;
    }
    rename(path, &aside)?;
    lock.sync_all()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
