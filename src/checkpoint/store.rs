//! The few file operations that checkpoints need, and the disk that does them.
//!
//! Small on purpose: a test can stand in for the disk and fail, cut short or count any operation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// Pauses between tries to open a file of a network file system.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// A file that is being written.
pub trait Sink: Send {
    /// Appends all of `bytes`.
    ///
    /// # Errors
    ///
    /// Any error of the disk; what was appended is then unknown.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once the file's bytes and length survive a power cut. Never tried again after an error: the system may
    /// then take lost bytes for written ones.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the file is then worthless.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is being read.
pub trait Source: Send {
    /// Bytes in the file.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `to` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; any other error of the disk.
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()>;
}

/// What a path names; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a link, a pipe, a device.
    Other,
}

/// What is known of a path without opening it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metadata {
    /// File, folder or something else.
    pub kind: Kind,
    /// Bytes, for a file.
    pub bytes: u64,
    /// Seconds since the Unix epoch of the last change: for display only, never for decisions.
    pub modified_s: f64,
}

/// File operations; all errors are those of the operating system.
#[allow(clippy::missing_errors_doc, reason = "said once for the whole trait")]
pub trait Store: Send + Sync {
    /// Creates a new, empty file; an error if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>>;
    /// Opens a regular file for reading; an error if it is anything else, so that a pipe cannot make readers wait.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>>;
    /// Returns once the names in a folder survive a power cut.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Creates a new folder; an error if the name is taken.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// What the path names.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// Bytes that may still be written where `path`, a folder, lies; none where nobody knows.
    fn free(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Store for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        if self.metadata(path)?.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Box::new(File::open(path)?))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        use rustix::fs::{Dir, Mode, OFlags, open};
        // The standard library's panics where a folder cannot be closed.
        let folder = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::new(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = fs::symlink_metadata(path)?;
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        let modified_s = found.modified()?.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Ok(Metadata { kind, bytes: found.len(), modified_s })
    }

    fn free(&self, path: &Path) -> io::Result<Option<u64>> {
        let found = rustix::fs::statvfs(path)?;
        // A file system that has no blocks counts in another way.
        Ok((found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize)))
    }
}

impl Sink for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A file in memory.
impl Sink for Vec<u8> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(File::metadata(self)?.len())
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(to, offset)
    }
}

/// Writes a new file of `bytes` and returns once it survives a power cut (its name does after the folder's sync).
pub(super) fn write_file(store: &dyn Store, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = store.create(path)?;
    file.write_all(bytes)?;
    file.sync()
}

/// Opens a file, again after a pause where a network file system forgot its handle, or, of one that `is_there` for sure, does not
/// show its name yet.
pub(super) fn open_patiently(store: &dyn Store, path: &Path, is_there: bool) -> io::Result<Box<dyn Source>> {
    for pause in PAUSES {
        match store.open(path) {
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_there => {}
            other => return other,
        }
        std::thread::sleep(pause);
    }
    store.open(path)
}

/// All bytes of a file opened by [`open_patiently`], none if it holds more than `most`.
pub(super) fn read_file(store: &dyn Store, path: &Path, is_there: bool, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = open_patiently(store, path, is_there)?;
    let bytes = file.bytes()?;
    if bytes > most {
        return Ok(None);
    }
    let mut all = vec![0; usize::try_from(bytes).expect("a bounded length fits")];
    file.read_at(&mut all, 0)?;
    Ok(Some(all))
}
