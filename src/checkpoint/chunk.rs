//! One chunk file: values of a block, padded to the chunk's extents, then their CRC-32C in four bytes.
//!
//! Input: values in memory order, or a chunk's file and its record. Output: the file, or the values of a box.
//! What has to be padded on its way to a file, or is read from one, streams through a buffer of [`PIECE`] bytes, so
//! that memory stays small whatever a file's metadata says; `encode` and `decode` work on whole chunks in memory.
//! Invariant: the same values give the same bytes, whichever function writes them: little-endian, padding included in
//! the checksum. A file that is written is synced before its record is returned. What is read is passed on before its
//! checksum is known, so it counts for nothing until the call returns without an error; `read_unchecked` never knows.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use ringfort_kernels::Real;

use super::error::{CheckpointError, Damage};
use super::manifest::FileRecord;
use super::meta::Fill;
use super::store::{Sink, Source, Store, open_patiently};
use crate::grid::{Extents, Region};

/// Bytes that pass at once; a multiple of every value's size.
const PIECE: usize = 1 << 20;

/// Bytes from which on a chunk's checksum is computed while it is written.
const LARGE: usize = 8 << 20;

/// Collects values, and passes full pieces with their checksum on to a file.
struct Stream<'a> {
    file: &'a mut dyn Sink,
    piece: Vec<u8>,
    crc: u32,
    bytes: u64,
}

impl Stream<'_> {
    /// Adds as many copies or values as `fill` writes into `bytes` bytes.
    fn add(&mut self, bytes: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<()> {
        if self.piece.len() + bytes > PIECE {
            self.flush()?;
        }
        let start = self.piece.len();
        self.piece.resize(start + bytes, 0);
        fill(&mut self.piece[start..]);
        Ok(())
    }

    fn add_values<T: Real>(&mut self, values: &[T]) -> io::Result<()> {
        for some in values.chunks(PIECE / T::BYTES) {
            self.add(some.len() * T::BYTES, |bytes| {
                for (to, value) in bytes.chunks_exact_mut(T::BYTES).zip(some) {
                    value.write_le(to);
                }
            })?;
        }
        Ok(())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.chunks(PIECE).try_for_each(|some| self.add(some.len(), |to| to.copy_from_slice(some)))
    }

    fn add_fill(&mut self, value: &[u8], mut count: usize) -> io::Result<()> {
        while count > 0 {
            let some = count.min(PIECE / value.len());
            self.add(some * value.len(), |bytes| {
                for to in bytes.chunks_exact_mut(value.len()) {
                    to.copy_from_slice(value);
                }
            })?;
            count -= some;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, &self.piece);
        self.bytes += self.piece.len() as u64;
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Ends the file with its checksum; length and checksum of the values.
    fn finish(mut self) -> io::Result<(u64, u32)> {
        self.flush()?;
        self.file.write_all(&self.crc.to_le_bytes())?;
        self.file.sync()?;
        Ok((self.bytes + 4, self.crc))
    }
}

/// Writes the file at `path` with the values of a block of `extent` cells, padded with `fill` to `chunk` cells, and
/// returns once it survives a power cut. Length and checksum of the file. `read` gives values from the one with a number on, in
/// memory order, at most a row at once.
pub(super) fn write<T: Real>(
    store: &dyn Store,
    path: &Path,
    extents: [Extents; 2],
    fill: Fill,
    read: &mut dyn FnMut(usize, &mut [T]),
) -> io::Result<(u64, u32)> {
    let row = extents[0][3];
    let mut file = store.create(path)?;
    let mut some = vec![T::default(); row.min(PIECE / T::BYTES)];
    write_rows(&mut *file, extents, &padding(fill, T::BYTES), |stream, index| {
        for from in (0..row).step_by(some.len()) {
            let piece = &mut some[..(PIECE / T::BYTES).min(row - from)];
            read(index * row + from, piece);
            stream.add_values(piece)?;
        }
        Ok(())
    })
}

/// Writes the file at `path` as [`write`] does, of `values` that are bytes of `width` each: straight from where they lie, unless
/// there is padding between them.
pub(super) fn write_bytes(
    store: &dyn Store,
    path: &Path,
    [extent, chunk]: [Extents; 2],
    (fill, width): (Fill, usize),
    values: &[u8],
) -> io::Result<(u64, u32)> {
    let mut file = store.create(path)?;
    if extent != chunk {
        let row = extent[3] * width;
        return write_rows(&mut *file, [extent, chunk], &padding(fill, width), |stream, index| {
            stream.add_bytes(&values[index * row..(index + 1) * row])
        });
    }
    let crc = std::thread::scope(|threads| {
        // The disk takes longer, and no processor.
        let beside = || std::thread::Builder::new().spawn_scoped(threads, || crc32c::crc32c(values)).ok();
        let beside = if values.len() < LARGE { None } else { beside() };
        file.write_all(values)?;
        let crc = beside.map(|crc| crc.join().expect("a checksum is arithmetic"));
        Ok::<u32, io::Error>(crc.unwrap_or_else(|| crc32c::crc32c(values)))
    })?;
    file.write_all(&crc.to_le_bytes())?;
    file.sync()?;
    Ok((values.len() as u64 + 4, crc))
}

/// Bytes of a chunk's file: `values` of a block of `extent` cells, little-endian, of `width` bytes each, padded with `fill` to
/// `chunk` cells, and their checksum.
///
/// # Panics
///
/// If there are fewer values than cells.
#[must_use]
pub fn encode([extent, chunk]: [Extents; 2], fill: Fill, width: usize, values: &[u8]) -> Vec<u8> {
    let row = extent[3] * width;
    let cells: usize = chunk.iter().product();
    let mut file = Vec::with_capacity(cells * width + 4);
    let written = write_rows(&mut file, [extent, chunk], &padding(fill, width), |stream, index| {
        stream.add_bytes(&values[index * row..(index + 1) * row])
    });
    written.expect("memory takes all bytes");
    file
}

/// Values of a block of `extent` cells in the `bytes` of a chunk's file of `chunk` cells of `width` bytes, if these are
/// as many as they should be and have their checksum.
pub(super) fn decode([extent, chunk]: [Extents; 2], width: usize, bytes: &[u8]) -> Result<Cow<'_, [u8]>, Damage> {
    let cells: usize = chunk.iter().product();
    let length = || Damage::Length { expected: (cells * width + 4) as u64, found: bytes.len() as u64 };
    let (values, stored) = bytes.split_last_chunk::<4>().ok_or_else(length)?;
    if values.len() != cells * width {
        return Err(length());
    }
    let [expected, found] = [u32::from_le_bytes(*stored), crc32c::crc32c(values)];
    if expected != found {
        return Err(Damage::Checksum { expected, found });
    }
    if extent == chunk {
        return Ok(values.into());
    }
    let own: usize = extent.iter().product();
    let mut all = Vec::with_capacity(own * width);
    let whole = Region { start: [0; 4], extent: chunk };
    for [w, z, y] in (Region { start: [0; 4], extent }).rows() {
        let start = whole.offset([w, z, y, 0]) * width;
        all.extend_from_slice(&values[start..start + extent[3] * width]);
    }
    Ok(all.into())
}

/// Little-endian bytes of a value that stands beyond the grid.
fn padding(fill: Fill, width: usize) -> Vec<u8> {
    match (fill, width) {
        (Fill::Nan, 4) => 0x7fc0_0000_u32.to_le_bytes().to_vec(),
        (Fill::Nan, _) => 0x7ff8_0000_0000_0000_u64.to_le_bytes().to_vec(),
        (Fill::Zero, width) => vec![0; width],
    }
}

/// Writes a chunk of `chunk` cells around a block of `extent` cells, whose rows `add` adds by their number.
fn write_rows(
    file: &mut dyn Sink,
    [extent, chunk]: [Extents; 2],
    fill: &[u8],
    mut add: impl FnMut(&mut Stream, usize) -> io::Result<()>,
) -> io::Result<(u64, u32)> {
    let mut stream = Stream { file, piece: Vec::new(), crc: 0, bytes: 0 };
    let mut index = 0;
    for [w, z, y] in (Region { start: [0; 4], extent: chunk }).rows() {
        let mut padded = chunk[3];
        if w < extent[0] && z < extent[1] && y < extent[2] {
            add(&mut stream, index)?;
            index += 1;
            padded -= extent[3];
        }
        stream.add_fill(fill, padded)?;
    }
    stream.finish()
}

/// Reads bytes `from..to` of `file` piece by piece; `see` gets each piece's offset after `from`, a multiple of 8.
fn pieces(file: &dyn Source, from: u64, to: u64, mut see: impl FnMut(u64, &[u8])) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut at = from;
    while at < to {
        let some = usize::try_from(to - at).map_or(PIECE, |rest| rest.min(PIECE));
        buffer.resize(some, 0);
        file.read_at(&mut buffer, at)?;
        see(at - from, &buffer);
        at += some as u64;
    }
    Ok(())
}

/// Opens the file by `open` and checks that it has the length that `record` says.
pub(super) fn open(
    open: impl Fn() -> io::Result<Box<dyn Source>>,
    record: &FileRecord,
    name: String,
) -> Result<Box<dyn Source>, CheckpointError> {
    let file = open_patiently(open, true).map_err(|error| CheckpointError::read(name.clone(), error))?;
    match file.bytes() {
        Ok(bytes) if bytes == record.bytes => Ok(file),
        Ok(found) => {
            let damage = Damage::Length { expected: record.bytes, found };
            Err(CheckpointError::Damaged { name, damage })
        }
        Err(source) => Err(CheckpointError::read(name, source)),
    }
}

/// Reads all of `file`, shows it to `see` piece by piece (chunks without their checksum), and checks it.
pub(super) fn check(
    file: &dyn Source,
    record: &FileRecord,
    name: String,
    mut see: impl FnMut(u64, &[u8]),
) -> Result<(), CheckpointError> {
    let values = if record.is_chunk() { record.bytes.saturating_sub(4) } else { record.bytes };
    let mut found = 0;
    let mut stored = record.crc.to_le_bytes();
    let read = pieces(file, 0, values, |at, bytes| {
        found = crc32c::crc32c_append(found, bytes);
        see(at, bytes);
    })
    .and_then(|()| if values < record.bytes { file.read_at(&mut stored, values) } else { Ok(()) });
    if let Err(source) = read {
        return Err(CheckpointError::read(name, source));
    }
    let stored = u32::from_le_bytes(stored);
    let wrong = if found == record.crc { stored } else { found };
    if wrong == record.crc {
        Ok(())
    } else {
        let damage = Damage::Checksum { expected: record.crc, found: wrong };
        Err(CheckpointError::Damaged { name, damage })
    }
}

/// A box of a chunk and where its cells go.
pub(super) struct Copy<'a, T> {
    /// Extents of the chunk.
    pub(super) chunk: Extents,
    /// The box, in cells of the chunk.
    pub(super) wanted: Region,
    /// Values of the box `into`, in memory order.
    pub(super) out: &'a mut [T],
    /// The box that `out` holds, in cells of the chunk's coordinates (`shift` added to be positive).
    pub(super) into: Region,
    /// What to add to a chunk's index to get one of `into`.
    pub(super) shift: Extents,
}

impl<T: Real> Copy<'_, T> {
    /// Copies the wanted ones of the values in `bytes`, the first of which is value number `first` of the chunk.
    pub(super) fn take(&mut self, first: usize, bytes: &[u8]) {
        let row = self.chunk[3];
        let last = first + bytes.len() / T::BYTES;
        let mut at = first;
        while at < last {
            let index = at / row;
            let end = last.min((index + 1) * row);
            self.take_row(index, [at, end], &bytes[(at - first) * T::BYTES..(end - first) * T::BYTES]);
            at = end;
        }
    }

    /// The same for values `at..end` of the chunk, all of row number `index`.
    fn take_row(&mut self, index: usize, [at, end]: [usize; 2], bytes: &[u8]) {
        let chunk = self.chunk;
        let cell = [index / (chunk[2] * chunk[1]), index / chunk[2] % chunk[1], index % chunk[2]];
        let wanted = &self.wanted;
        if (0..3).any(|axis| cell[axis] < wanted.start[axis] || cell[axis] >= wanted.end(axis)) {
            return;
        }
        let from = wanted.start[3].max(at - index * chunk[3]);
        let to = wanted.end(3).min(end - index * chunk[3]);
        if from >= to {
            return;
        }
        let place = [cell[0], cell[1], cell[2], from];
        let start = self.into.offset(std::array::from_fn(|axis| place[axis] + self.shift[axis]));
        let skip = (from + index * chunk[3] - at) * T::BYTES;
        let values = bytes[skip..].chunks_exact(T::BYTES);
        for (value, bytes) in self.out[start..start + (to - from)].iter_mut().zip(values) {
            *value = T::read_le(bytes);
        }
    }

    /// Reads the span from the first to the last wanted value, without a check.
    pub(super) fn read_unchecked(&mut self, file: &dyn Source) -> io::Result<()> {
        let whole = Region { start: [0; 4], extent: self.chunk };
        let first = whole.offset(self.wanted.start);
        let last = whole.offset(std::array::from_fn(|axis| self.wanted.end(axis) - 1)) + 1;
        let [from, to] = [first, last].map(|value| (value * T::BYTES) as u64);
        pieces(file, from, to, |at, bytes| self.take(first + values::<T>(at), bytes))
    }

    /// Reads the whole file and checks it.
    pub(super) fn read(&mut self, file: &dyn Source, record: &FileRecord, name: String) -> Result<(), CheckpointError> {
        check(file, record, name, |at, bytes| self.take(values::<T>(at), bytes))
    }
}

/// Number of values in `bytes` bytes of a chunk whose cells are known to fit memory indices.
fn values<T: Real>(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a chunk is indexed in memory") / T::BYTES
}
