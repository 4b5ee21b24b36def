//! The few file operations that checkpoints need.
//!
//! Small on purpose: a test can stand in for the disk and fail, cut short or count any operation. Invariant: the
//! modules of `checkpoint` reach a checkpoint's files through a [`Store`] alone; `create` and `create_folder` never
//! touch what is there; a sync that failed is never tried again; a file that does not show is waited for no longer
//! than the pauses here.

use std::io;
use std::path::Path;
use std::time::Duration;

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
    /// Opens as [`Store::open`] does, a file that is read once from begin to end and not soon again.
    fn open_once(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.open(path)
    }
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

/// Writes a new file of `bytes` and returns once it survives a power cut (its name does after the folder's sync).
pub(super) fn write_file(store: &dyn Store, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = store.create(path)?;
    file.write_all(bytes)?;
    file.sync()
}

/// Opens a file by `open`, again after a pause where a network file system forgot its handle, or, of one that `is_there` for sure,
/// does not show its name yet.
pub(super) fn open_patiently(
    open: impl Fn() -> io::Result<Box<dyn Source>>,
    is_there: bool,
) -> io::Result<Box<dyn Source>> {
    for pause in PAUSES {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_there => {}
            other => return other,
        }
        std::thread::sleep(pause);
    }
    open()
}

/// All bytes of a file opened by [`open_patiently`], none if it holds more than `most`.
pub(super) fn read_file(store: &dyn Store, path: &Path, is_there: bool, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = open_patiently(|| store.open(path), is_there)?;
    let bytes = file.bytes()?;
    if bytes > most {
        return Ok(None);
    }
    let mut all = vec![0; usize::try_from(bytes).expect("a bounded length fits")];
    file.read_at(&mut all, 0)?;
    Ok(Some(all))
}
