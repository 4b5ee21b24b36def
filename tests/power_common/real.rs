//! An ext4 in a file, shut down without its journal: what a power cut leaves.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfort::checkpoint::{Disk, Metadata, Sink, Source, Store};

/// Bytes of the file.
const BYTES: u64 = 24 << 20;
/// `EXT4_IOC_SHUTDOWN`, and the flag that keeps the journal from being written (Linux, `include/uapi/linux/ext4.h`).
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;

/// A mounted file system.
pub(crate) struct Ext4 {
    home: tempfile::TempDir,
    count: usize,
}

/// One, if this machine lets us; else says that `test` is skipped.
pub(crate) fn ext4(test: &str) -> Option<Ext4> {
    let disk = Ext4 { home: tempfile::tempdir().unwrap(), count: 0 };
    fs::create_dir(disk.mounted()).unwrap();
    File::create(disk.image()).unwrap().set_len(BYTES).unwrap();
    let made = run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &disk.image()]);
    if let Err(words) = made.and_then(|()| disk.mount()) {
        let _nobody_listens =
            writeln!(io::stderr(), "SKIPPED  {test}: {words}; it needs root, loop devices and mkfs.ext4");
        return None;
    }
    Some(disk)
}

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let ended = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let words = String::from_utf8_lossy(&ended.stderr);
    if ended.status.success() { Ok(()) } else { Err(format!("{program}: {}", words.trim())) }
}

impl Ext4 {
    fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }

    fn mounted(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o".as_ref(), "loop".as_ref(), &self.image(), &self.mounted()])
    }

    /// A new folder in it.
    pub(crate) fn empty(&mut self) -> PathBuf {
        if self.count > 0 {
            fs::remove_dir_all(self.mounted().join(self.count.to_string())).unwrap();
        }
        self.count += 1;
        let dir = self.mounted().join(self.count.to_string());
        fs::create_dir(&dir).unwrap();
        rustix::fs::sync();
        dir
    }

    /// The disk, whose power goes after so many operations.
    pub(crate) fn store(&self, operations: usize) -> Cut {
        Cut { left: Arc::new(AtomicUsize::new(operations)), mounted: self.mounted() }
    }

    /// Cuts the power, if it is still there, and starts again.
    pub(crate) fn cut(&self) {
        shut_down(&self.mounted());
        run("umount", &[&self.mounted()]).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _not_mounted = run("umount", &["-l".as_ref(), &self.mounted()]);
    }
}

#[expect(unsafe_code, reason = "no safe call shuts a file system down")]
fn shut_down(mounted: &Path) {
    let root = File::open(mounted).unwrap();
    // SAFETY: the request takes a pointer to 32 bits, and that is what it is given.
    let done = unsafe { rustix::ioctl::ioctl(&root, rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) };
    // A file system that is down already says so.
    assert!(matches!(done, Ok(()) | Err(rustix::io::Errno::IO)), "{done:?}");
}

/// The disk, whose power goes after some operations that change something.
#[derive(Clone)]
pub(crate) struct Cut {
    left: Arc<AtomicUsize>,
    mounted: PathBuf,
}

impl Cut {
    fn operate(&self) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(1)));
        if left != Ok(0) {
            return Ok(());
        }
        shut_down(&self.mounted);
        Err(io::Error::other("the power is off"))
    }
}

struct CutSink(Cut, Box<dyn Sink>);

impl Sink for CutSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.operate()?;
        self.1.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.operate()?;
        self.1.sync()
    }
}

impl Store for Cut {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        self.operate()?;
        Ok(Box::new(CutSink(self.clone(), Disk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Disk.open(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.sync_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.rename(from, to)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Disk.list(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.create_folder(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.operate()?;
        Disk.remove_folder(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Disk.metadata(path)
    }
}
