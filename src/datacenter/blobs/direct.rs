//! Large files of the local folder, past the system's cache of pages.
//!
//! Input: a path and bytes. Output: the same file that the store itself would make, or its bytes. A snapshot is written once and
//! read back once, to see that it is on the disk: in the cache it would push out what the computation needs, cost a copy each way,
//! and be read from there instead of the disk. Invariant: as of any put, all bytes are on the disk before they have their name.
//! Where the file system cannot do this, everything comes and goes through the cache.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Mode, Put};
use crate::checkpoint::direct::{PIECE, SECTOR, Writer, past_cache, refused};
use crate::datacenter::room::Room;

/// Bytes from which on a file goes past the cache. Memory of a [`Room`] that is as long begins at a page.
pub(super) const LARGE: u64 = 2 << 20;

/// Writes `pieces`, one after the other, to `path`, whose folders are there.
pub(super) fn write(path: &Path, pieces: &[Bytes], mode: Mode) -> io::Result<Put> {
    let (file, aside) = create_aside(path)?;
    let put = fill(file, pieces).and_then(|()| match mode {
        Mode::Overwrite => fs::rename(&aside, path).map(|()| Put::Stored),
        Mode::Create => match fs::hard_link(&aside, path) {
            Ok(()) => fs::remove_file(&aside).map(|()| Put::Stored),
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&aside)?;
                Ok(Put::Exists)
            }
            Err(other) => Err(other),
        },
    });
    put.inspect_err(|_| {
        let _best_effort = fs::remove_file(&aside);
    })
}

/// A new file beside `path`, under a name that the store takes for no blob.
fn create_aside(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("#{}", getrandom::u64().map_err(io::Error::other)?));
    let aside = PathBuf::from(name);
    let file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
    Ok((file, aside))
}

fn fill(file: File, pieces: &[Bytes]) -> io::Result<()> {
    let mut file = Writer::large(file)?;
    pieces.iter().try_for_each(|piece| file.write_all(piece))?;
    file.sync()
}

/// All `bytes` bytes of the file at `path`, in memory of `room`.
///
/// # Errors
///
/// [`io::ErrorKind::UnexpectedEof`] if it has less; any other of the disk.
pub(super) fn read(path: &Path, bytes: u64, room: &Room) -> io::Result<Bytes> {
    let file = File::open(path)?;
    past_cache(&file, true);
    let length = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut result = Ok(());
    let all = room.fill(length.next_multiple_of(SECTOR), |to| result = read_all(&file, length, to));
    result.map(|()| all.slice(0..length))
}

fn read_all(file: &File, length: usize, to: &mut [u8]) -> io::Result<()> {
    let (mut done, mut through) = (0, false);
    while done < length {
        let end = (done + PIECE).min(to.len());
        match file.read_at(&mut to[done..end], done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if refused(&error) && !through => through = !past_cache(file, false),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Bytes {
        (0..=255_u8)
            .cycle()
            .enumerate()
            .map(|(at, byte)| if at % 257 == 0 { 7 } else { byte })
            .take(length)
            .collect::<Vec<_>>()
            .into()
    }

    #[test]
    fn files_of_any_length_in_any_pieces_come_back_from_disk_and_from_memory() {
        let on_disk = tempfile::tempdir().unwrap();
        let in_memory = tempfile::tempdir_in("/dev/shm").ok();
        let room = Room::default();
        for dir in [Some(on_disk.path()), in_memory.as_ref().map(tempfile::TempDir::path)].into_iter().flatten() {
            for length in [0, 1, SECTOR, PIECE - 1, PIECE, PIECE + 4, 3 * PIECE + SECTOR + 1] {
                let all = bytes(length);
                let path = dir.join(length.to_string());
                let pieces = [all.slice(0..length / 3), Bytes::new(), all.slice(length / 3..)];
                assert_eq!(write(&path, &pieces, Mode::Create).unwrap(), Put::Stored);
                assert_eq!(fs::read(&path).unwrap(), all, "{length}");
                assert_eq!(read(&path, length as u64, &room).unwrap(), all, "{length}");
                assert!(read(&path, length as u64 + 1, &room).is_err(), "{length}");
                assert_eq!(write(&path, &[bytes(5)], Mode::Create).unwrap(), Put::Exists);
                assert_eq!(fs::read(&path).unwrap(), all, "{length}");
                assert_eq!(write(&path, &[bytes(5)], Mode::Overwrite).unwrap(), Put::Stored);
                assert_eq!(fs::read(&path).unwrap(), bytes(5));
            }
            assert_eq!(fs::read_dir(dir).unwrap().count(), 7, "nothing is left beside them");
        }
        assert!(write(&on_disk.path().join("none/such"), &[bytes(5)], Mode::Create).is_err());
    }
}
