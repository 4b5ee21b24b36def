//! Files that are written and read past the system's cache of pages.
//!
//! Input: bytes, one after the other, or a file. Output: a file of them, or its bytes. Through the cache a gigabyte costs a copy, pushes out what the
//! computation needs, and reaches the disk only when it is asked for, at the end. Invariant: the file is the same either way. Small
//! files go through the cache, and all files where the file system cannot do otherwise.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use memmap2::MmapMut;

/// Bytes that all disks' sectors divide: memory and places in files that go past the cache are multiples of it.
pub(crate) const SECTOR: usize = 4096;
/// Bytes that pass at once, wherever they lie in memory.
pub(crate) const PIECE: usize = 1 << 20;
/// A file that begins with so many bytes in one call goes past the cache.
pub(crate) const LARGE: usize = PIECE / 2;
/// Bytes that pass at once where they begin at a page.
const AT_ONCE: usize = 16 << 20;

/// Lets what is read and written go past the cache, or through it; true if it does go past it now. Some file systems cannot.
pub(crate) fn past_cache(file: &File, past: bool) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        let set = fcntl_getfl(file).and_then(|mut flags| {
            flags.set(OFlags::DIRECT, past);
            fcntl_setfl(file, flags)
        });
        set.is_ok() && past
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _through_it = (file, past);
        false
    }
}

/// True for what a system says of places and lengths that it cannot take past the cache.
pub(crate) fn refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// A new, empty file that is being written.
pub(crate) struct Writer {
    file: File,
    way: Way,
}

enum Way {
    /// Nothing came as yet.
    Unknown,
    /// Past the cache: so many bytes of the memory wait for more.
    Past(MmapMut, usize),
    /// Through the cache for good.
    Through,
}

impl Writer {
    /// Appends to `file`, which is empty, in the way that suits its first bytes.
    pub(crate) fn new(file: File) -> Self {
        Self { file, way: Way::Unknown }
    }

    /// Appends to `file`, which is empty, past the cache, whatever comes first: blobs come in pieces.
    #[cfg(feature = "datacenter")]
    pub(crate) fn large(file: File) -> io::Result<Self> {
        let way = if past_cache(&file, true) { Way::Past(MmapMut::map_anon(PIECE)?, 0) } else { Way::Through };
        Ok(Self { file, way })
    }

    /// Appends all of `bytes`; some may be written only by the next call, or by [`Writer::sync`].
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if matches!(self.way, Way::Unknown) && !bytes.is_empty() {
            let past = bytes.len() >= LARGE && past_cache(&self.file, true);
            self.way = if past { Way::Past(MmapMut::map_anon(PIECE)?, 0) } else { Way::Through };
        }
        let Way::Past(memory, used) = &mut self.way else { return self.file.write_all(bytes) };
        while !bytes.is_empty() {
            let lie_well = *used == 0 && bytes.as_ptr().align_offset(SECTOR) == 0 && bytes.len() >= PIECE;
            let room = if lie_well { AT_ONCE.min(bytes.len() / SECTOR * SECTOR) } else { PIECE - *used };
            let (some, more) = bytes.split_at(room.min(bytes.len()));
            bytes = more;
            if lie_well {
                put(&mut self.file, some)?;
                continue;
            }
            memory[*used..*used + some.len()].copy_from_slice(some);
            *used += some.len();
            if *used == PIECE {
                put(&mut self.file, memory)?;
                *used = 0;
            }
        }
        Ok(())
    }

    /// Writes what is left, and returns once the file's bytes and length survive a power cut.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Way::Past(memory, used) = &self.way {
            past_cache(&self.file, false);
            self.file.write_all(&memory[..*used])?;
            self.way = Way::Through;
        }
        self.file.sync_all()
    }
}

/// Appends all of `bytes`, what cannot go past the cache through it.
fn put(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    let mut past = true;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if past && refused(&error) => past = past_cache(file, false),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file that is read once.
pub(crate) struct Reader {
    file: File,
    memory: RefCell<MmapMut>,
    past: Cell<bool>,
}

impl Reader {
    /// Reads `file`.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let past = past_cache(&file, true).into();
        Ok(Self { file, memory: MmapMut::map_anon(PIECE)?.into(), past })
    }

    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Fills `to` with the bytes from `offset` on; whole sectors past the cache.
    pub(crate) fn read_at(&self, mut to: &mut [u8], mut offset: u64) -> io::Result<()> {
        let memory = &mut *self.memory.borrow_mut();
        while self.past.get() && to.len() >= SECTOR && offset.is_multiple_of(SECTOR as u64) {
            let some = &mut memory[..to.len().min(PIECE) / SECTOR * SECTOR];
            match self.file.read_at(some, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    to[..count].copy_from_slice(&some[..count]);
                    (to, offset) = (&mut to[count..], offset + count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if refused(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if to.is_empty() {
            return Ok(());
        }
        self.past.set(false);
        past_cache(&self.file, false);
        self.file.read_exact_at(to, offset)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    #[test]
    fn files_of_any_length_in_any_pieces_hold_what_was_written_on_disk_and_in_memory() {
        let on_disk = tempfile::tempdir().unwrap();
        let in_memory = tempfile::tempdir_in("/dev/shm").ok();
        let mut memory = MmapMut::map_anon(3 * PIECE + SECTOR + 8).unwrap();
        (0_u32..).zip(memory.iter_mut()).for_each(|(at, byte)| *byte = (at % 257 % 256).try_into().unwrap());
        for dir in [Some(on_disk.path()), in_memory.as_ref().map(tempfile::TempDir::path)].into_iter().flatten() {
            let lengths = [0, 1, SECTOR, PIECE - 1, PIECE, PIECE + 4, 2 * PIECE + SECTOR, 3 * PIECE + SECTOR + 1];
            for (number, (length, begin)) in lengths.into_iter().flat_map(|all| [(all, 0), (all, 7)]).enumerate() {
                let all = &memory[begin..begin + length];
                for (cut, pieces) in [length, PIECE, length / 3, 2 * length / 3 + 1].into_iter().enumerate() {
                    let path = dir.join(format!("{number}-{cut}"));
                    let mut writer = Writer::new(OpenOptions::new().write(true).create_new(true).open(&path).unwrap());
                    all.chunks(pieces.max(1)).for_each(|some| writer.write_all(some).unwrap());
                    // A checksum, as chunks have.
                    writer.write_all(b"crc.").unwrap();
                    writer.sync().unwrap();
                    let whole = [all, b"crc."].concat();
                    assert!(fs::read(&path).unwrap() == whole, "{length} from {begin} by {pieces}");
                    let reader = Reader::new(File::open(&path).unwrap()).unwrap();
                    let mut read = vec![0; whole.len()];
                    let (first, rest) = read.split_at_mut(length);
                    reader.read_at(first, 0).unwrap();
                    reader.read_at(rest, length as u64).unwrap();
                    assert!(read == whole, "{length} from {begin} by {pieces}");
                    let behind = reader.read_at(&mut [0; 2 * SECTOR], length as u64);
                    assert_eq!(behind.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_begins_large_goes_past_the_cache() {
        use rustix::fs::{OFlags, fcntl_getfl};
        let dir = tempfile::tempdir().unwrap();
        let file = File::create_new(dir.path().join("file")).unwrap();
        if !past_cache(&file, true) {
            return;
        }
        past_cache(&file, false);
        let mut writer = Writer::new(file);
        let is_past = |writer: &Writer| fcntl_getfl(&writer.file).unwrap().contains(OFlags::DIRECT);
        assert!(!is_past(&writer));
        writer.write_all(&[]).unwrap();
        writer.write_all(&[3; PIECE + 5]).unwrap();
        assert!(is_past(&writer));
        writer.write_all(&[4; 3]).unwrap();
        writer.sync().unwrap();
        assert!(!is_past(&writer));
        assert_eq!(fs::metadata(dir.path().join("file")).unwrap().len(), PIECE as u64 + 8);
    }
}
