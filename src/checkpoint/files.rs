//! A checkpoint's files as bytes, for whoever brings them to their place: the same from every writer.
//!
//! Input: a [`Meta`], and a block's values as little-endian bytes in memory order. Output: names and contents.
//! Invariant: all of it follows from the state's description and the values alone, and no disk is touched here.
//! Leading files come in the order in which manifests list them. `complete` makes a manifest only if every chunk was
//! reported exactly once and with its length; the records of leading files it takes as they are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::error::{CheckpointError, Damage};
use super::manifest::{FileRecord, Manifest};
use super::meta::{Fill, Meta};
use super::{chunk, shown, zarr};

/// Metadata and coordinates of a checkpoint as (name, bytes), in the manifest's order, in which they come first.
#[must_use]
pub fn leading_files(meta: &Meta) -> Vec<(String, Vec<u8>)> {
    let coordinates =
        meta.coordinates().into_iter().map(|(name, axis, half)| (format!("{name}/c/0"), coordinate(meta, axis, half)));
    let mut files: Vec<(String, Vec<u8>)> = zarr::documents(meta).into_iter().chain(coordinates).collect();
    let places: HashMap<String, usize> =
        meta.files().take(meta.files_before_chunks()).enumerate().map(|(at, (name, _))| (name, at)).collect();
    files.sort_by_key(|(name, _)| places.get(name).copied());
    files
}

/// The group's own metadata: `zarr.json`.
#[must_use]
pub fn group_file(meta: &Meta) -> Vec<u8> {
    zarr::documents(meta).swap_remove(0).1
}

/// Bytes of the chunk's file of `part` of `component`: `values` padded to the largest block, and their checksum.
///
/// # Panics
///
/// If `values` are not as many as the part's block has.
#[must_use]
pub fn chunk_file(meta: &Meta, component: usize, part: usize, values: &[u8]) -> Vec<u8> {
    let block = meta.cuts.block(part);
    let width = meta.precision.bytes();
    assert_eq!(values.len(), block.cells() * width, "values are those of the part's block");
    chunk::encode([block.extent, meta.cuts.largest()], meta.components[component].fill, width, values)
}

/// What follows `values` in the chunk's file of `part`, where that file holds nothing else: a block as large as the largest
/// needs no copy with padding.
#[must_use]
pub fn chunk_end(meta: &Meta, part: usize, values: &[u8]) -> Option<[u8; 4]> {
    let fills = meta.cuts.block(part).extent == meta.cuts.largest();
    fills.then(|| crc32c::crc32c(values).to_le_bytes())
}

/// Values of `part` in the `bytes` of a chunk's file: the first of them, as they are, where there is no padding.
///
/// # Errors
///
/// [`Damage`] if the bytes are not as many as they should be, or do not have their checksum.
pub fn chunk_values<'a>(meta: &Meta, part: usize, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Damage> {
    let extents = [meta.cuts.block(part).extent, meta.cuts.largest()];
    chunk::decode(extents, meta.precision.bytes(), bytes)
}

/// The manifest of `meta` with the records of its [`leading_files`] and of every chunk, these in any order.
///
/// # Errors
///
/// [`CheckpointError::Reported`] if a chunk is missing, double, unknown or of the wrong length, named as one in `folder`.
pub fn complete(
    folder: &Path,
    meta: &Meta,
    leading: Vec<FileRecord>,
    chunks: Vec<FileRecord>,
) -> Result<Manifest, CheckpointError> {
    let chunks = in_order(folder, meta, chunks)?;
    Ok(Manifest { meta: meta.clone(), files: leading.into_iter().chain(chunks).collect() })
}

/// `chunks` in the manifest's order.
fn in_order(folder: &Path, meta: &Meta, mut chunks: Vec<FileRecord>) -> Result<Vec<FileRecord>, CheckpointError> {
    let places: HashMap<String, usize> =
        meta.files().skip(meta.files_before_chunks()).enumerate().map(|(at, (name, _))| (name, at)).collect();
    let mut times = vec![0_usize; places.len()];
    for chunk in &chunks {
        match places.get(&chunk.name) {
            Some(&place) if chunk.bytes == meta.chunk_bytes() => times[place] += 1,
            _ => return Err(CheckpointError::Reported { name: shown(folder, &chunk.name), times: 0 }),
        }
    }
    if let Some((name, place)) = places.iter().filter(|&(_, &place)| times[place] != 1).min_by_key(|&(_, at)| at) {
        return Err(CheckpointError::Reported { name: shown(folder, name), times: times[*place] });
    }
    chunks.sort_by_key(|chunk| places[&chunk.name]);
    Ok(chunks)
}

/// File of the coordinates along `axis`, half a cell beyond the centres or not.
fn coordinate(meta: &Meta, axis: usize, half: bool) -> Vec<u8> {
    let grid = &meta.grid;
    let values = (0..grid.points[axis]).map(|at| grid.coordinate_of(axis, half, at));
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    let extent = [1, 1, 1, grid.points[axis]];
    chunk::encode([extent, extent], Fill::Nan, 8, &bytes)
}
