//! The disk: file operations of checkpoints, done by the file system.
//!
//! Input: paths and bytes. Output: files and folders. Invariant: what was synced survives a power cut, as far as the file system keeps
//! its word.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::direct::{LARGE, Reader, Writer};
use super::store::{Kind, Metadata, Sink, Source, Store};

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Store for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(Writer::new(OpenOptions::new().write(true).create_new(true).open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        if self.metadata(path)?.kind != Kind::File {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Box::new(File::open(path)?))
    }

    fn open_once(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let found = self.metadata(path)?;
        if found.kind != Kind::File || found.bytes < LARGE as u64 {
            return self.open(path);
        }
        Ok(Box::new(Reader::new(File::open(path)?)?))
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

impl Sink for Writer {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Self::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Self::sync(self)
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

impl Source for Reader {
    fn bytes(&self) -> io::Result<u64> {
        Self::bytes(self)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<()> {
        Self::read_at(self, to, offset)
    }
}
