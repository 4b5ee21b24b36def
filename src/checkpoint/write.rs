//! Writing a checkpoint: the first rank begins, every rank writes its parts, the first rank commits.
//!
//! Input: what describes the state, and each part's values. Output: a folder `checkpoints/step-N`.
//!
//! Order on disk: folder and owner record, metadata and coordinates, chunks, and the manifest last; each file and
//! each folder's names are synced before the manifest exists. So a crash at any instant leaves older checkpoints
//! whole and this one absent or complete. Invariant: the manifest alone makes the folder a checkpoint, and no file is
//! written after it; what another run wrote is moved aside, never removed.

use std::io;
use std::path::{Path, PathBuf};

use ringfort_kernels::Real;

use super::chunk;
use super::error::CheckpointError;
use super::files::{complete, leading_files};
use super::manifest::{FileRecord, Manifest};
use super::meta::{Fill, Meta, Precision, RunId};
use super::owner::{self, Owner};
use super::read::Checkpoint;
use super::store::{Store, write_file};
use super::{MANIFEST, folder, home, shown};
use crate::copied::Copied;
use crate::grid::Extents;

/// Name of the manifest while it is being written.
pub const TEMPORARY: &str = "MANIFEST.part";

/// A checkpoint that has a folder and no manifest yet.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its folder, the same on every rank: see [`folder`].
    pub folder: PathBuf,
    /// Files that [`begin`] wrote: metadata and coordinates.
    files: Vec<FileRecord>,
}

/// Makes the folder of the checkpoint of `meta.step` under `run_dir` with all but the components' chunks. What is there
/// of an earlier attempt of this run is removed; what is damaged or belongs to another run is moved aside to
/// `step-N.refused-K`. Called by one rank, before any [`write_part`].
///
/// # Errors
///
/// [`CheckpointError::Exists`] if this run's checkpoint is there already and whole: nothing is left to do.
/// [`CheckpointError::Meta`] if the state cannot be stored, [`CheckpointError::Space`] if the disk has no room for it.
/// [`CheckpointError::Io`] from the store; what was made is then removed as far as possible.
pub fn begin(store: &dyn Store, run_dir: &Path, meta: &Meta) -> Result<Pending, CheckpointError> {
    meta.check()?;
    let home = home(run_dir);
    match store.create_folder(&home) {
        Ok(()) => store.sync_folder(run_dir).map_err(CheckpointError::io("sync", "the run's folder"))?,
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
        Err(other) => return Err(CheckpointError::io("create", "checkpoints")(other)),
    }
    let folder = folder(run_dir, meta.step);
    make_room(store, &folder, meta)?;
    // Not to fill the disk in vain; where nobody knows, writing will tell.
    let needed = meta.size().1;
    if let Some(free) = store.free(&home).ok().flatten().filter(|&free| free < needed) {
        return Err(CheckpointError::Space { name: shown(&folder, ""), needed, free });
    }
    store.create_folder(&folder).map_err(CheckpointError::io("create", shown(&folder, "")))?;
    prepare(store, &home, &folder, meta).inspect_err(|_| {
        // Created exclusively a moment ago, so it is ours even if the owner record could not be written.
        let _best_effort = owner::remove(store, &folder);
    })
}

/// Writes the chunk of `part` of `component`: `values` are the cells of `meta.cuts.block(part)` in memory order, last
/// axis fastest, without halo. When it returns, the chunk survives a power cut. What comes back goes to [`commit`].
///
/// # Errors
///
/// [`CheckpointError::Io`] from the store; the checkpoint can then no longer be committed.
///
/// # Panics
///
/// If `values` are not as many as the block has cells, or not of the precision that `meta` names.
pub fn write_part<T: Real>(
    store: &dyn Store,
    folder: &Path,
    meta: &Meta,
    part: usize,
    component: usize,
    values: &[T],
) -> Result<FileRecord, CheckpointError> {
    assert_eq!(values.len(), meta.cuts.block(part).cells(), "values are those of the part's block");
    let mut read = |from: usize, out: &mut [T]| out.copy_from_slice(&values[from..from + out.len()]);
    write_part_from(store, folder, meta, (part, component), &mut read)
}

/// Writes a chunk as [`write_part`] does, without a copy of the whole block: `read` gives the block's values from the one with
/// a number on, in memory order, at most a row at once.
///
/// # Errors
///
/// As for [`write_part`].
///
/// # Panics
///
/// If the values are not of the precision that `meta` names.
pub fn write_part_from<T: Real>(
    store: &dyn Store,
    folder: &Path,
    meta: &Meta,
    (part, component): (usize, usize),
    read: &mut dyn FnMut(usize, &mut [T]),
) -> Result<FileRecord, CheckpointError> {
    assert_eq!(Precision::of::<T>(), meta.precision, "values have the checkpoint's precision");
    write_chunk(store, folder, meta, (part, component), |path, extents, fill| {
        chunk::write(store, path, extents, fill, read)
    })
}

/// Writes a chunk as [`write_part`] does: field number `component` of `copied`, which holds the components of the part's block.
///
/// # Errors
///
/// As for [`write_part`].
///
/// # Panics
///
/// If the values are not those of the part's block, or not of the precision that `meta` names.
pub fn write_part_copied<T: Real>(
    store: &dyn Store,
    folder: &Path,
    meta: &Meta,
    (part, component): (usize, usize),
    copied: &Copied<T>,
) -> Result<FileRecord, CheckpointError> {
    let values = copied.values(component);
    let Some(bytes) = copied.bytes(component) else {
        return write_part(store, folder, meta, part, component, values);
    };
    assert_eq!(Precision::of::<T>(), meta.precision, "values have the checkpoint's precision");
    assert_eq!(values.len(), meta.cuts.block(part).cells(), "values are those of the part's block");
    write_chunk(store, folder, meta, (part, component), |path, extents, fill| {
        chunk::write_bytes(store, path, extents, (fill, T::BYTES), bytes)
    })
}

/// Writes a chunk by `write`, which is given path, extents of block and chunk, and what stands beyond the grid.
fn write_chunk(
    store: &dyn Store,
    folder: &Path,
    meta: &Meta,
    (part, component): (usize, usize),
    write: impl FnOnce(&Path, [Extents; 2], Fill) -> io::Result<(u64, u32)>,
) -> Result<FileRecord, CheckpointError> {
    let extents = [meta.cuts.block(part).extent, meta.cuts.largest()];
    let name = meta.chunk_name(component, part);
    let path = folder.join(&name);
    let (bytes, crc) = write(&path, extents, meta.components[component].fill)
        .map_err(CheckpointError::io("write", shown(folder, &name)))?;
    let parent = path.parent().expect("a chunk lies in a folder");
    store.sync_folder(parent).map_err(CheckpointError::io("sync", shown(folder, &name)))?;
    Ok(FileRecord { name, bytes, crc })
}

/// Makes `pending` a checkpoint: checks that `chunks` report every part of every component exactly once, in any order,
/// and writes the manifest. Called by one rank. When it returns, the checkpoint survives a power cut.
///
/// # Errors
///
/// [`CheckpointError::Reported`] if a chunk is missing, double, unknown or of the wrong length; [`CheckpointError::Io`]
/// from the store. The caller then calls [`abandon`].
pub fn commit(
    store: &dyn Store,
    pending: &Pending,
    meta: &Meta,
    chunks: Vec<FileRecord>,
) -> Result<Manifest, CheckpointError> {
    let folder = &pending.folder;
    let manifest = complete(folder, meta, pending.files.clone(), chunks)?;
    let name = || shown(folder, MANIFEST);
    let bytes = manifest
        .encode()
        .map_err(|error| CheckpointError::io("write", name())(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let temporary = folder.join(TEMPORARY);
    write_file(store, &temporary, &bytes).map_err(CheckpointError::io("write", name()))?;
    store.rename(&temporary, &folder.join(MANIFEST)).map_err(CheckpointError::io("rename", name()))?;
    store.sync_folder(folder).map_err(CheckpointError::io("sync", shown(folder, "")))?;
    let home = folder.parent().unwrap_or(Path::new("."));
    store.sync_folder(home).map_err(CheckpointError::io("sync", "checkpoints"))?;
    Ok(manifest)
}

/// Removes the unfinished checkpoint in `folder` if it carries the owner record of `run`.
///
/// # Errors
///
/// [`CheckpointError::NotOurs`] if it does not; [`CheckpointError::Io`] from the store. No older checkpoint is touched.
pub fn abandon(store: &dyn Store, folder: &Path, run: RunId) -> Result<(), CheckpointError> {
    match Owner::read(store, folder)? {
        Some(owner) if owner.run == run => owner::remove(store, folder),
        _ => Err(CheckpointError::NotOurs { name: shown(folder, "") }),
    }
}

/// Frees the name `folder`.
fn make_room(store: &dyn Store, folder: &Path, meta: &Meta) -> Result<(), CheckpointError> {
    if let Err(error) = store.metadata(folder) {
        let name = shown(folder, "");
        return if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(CheckpointError::read(name, error)) };
    }
    match Checkpoint::open(store, folder) {
        Ok(found) if found.meta().run == meta.run && found.meta().fingerprint == meta.fingerprint => {
            match found.verify_listed() {
                Ok(()) => return Err(CheckpointError::Exists { name: shown(folder, "") }),
                Err(error) if !error.damaged() => return Err(error),
                Err(_) => {}
            }
        }
        Err(CheckpointError::Partial { .. }) => {
            if store.list(folder).is_ok_and(|names| names.is_empty()) {
                return store.remove_folder(folder).map_err(CheckpointError::io("remove", shown(folder, "")));
            }
            if matches!(Owner::read(store, folder), Ok(Some(owner)) if owner.run == meta.run) {
                return owner::remove(store, folder);
            }
        }
        Err(error) if !error.damaged() => return Err(error),
        Ok(_) | Err(_) => {}
    }
    move_aside(store, folder).map(drop)
}

/// Renames the checkpoint's folder to `step-N.refused-K`, which no restart considers, and returns the new path.
///
/// # Errors
///
/// [`CheckpointError::Io`] from the store.
pub fn move_aside(store: &dyn Store, folder: &Path) -> Result<PathBuf, CheckpointError> {
    let error = || CheckpointError::io("move aside", shown(folder, ""));
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let free = (1_u32..)
        .map(|count| folder.with_file_name(format!("{name}.refused-{count}")))
        .find(|aside| store.metadata(aside).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    let aside = free.ok_or_else(|| error()(io::ErrorKind::AlreadyExists.into()))?;
    store.rename(folder, &aside).map_err(error())?;
    store.sync_folder(folder.parent().unwrap_or(Path::new("."))).map_err(error())?;
    Ok(aside)
}

/// Writes owner record, folders, metadata and coordinates, and syncs all of them.
fn prepare(store: &dyn Store, home: &Path, folder: &Path, meta: &Meta) -> Result<Pending, CheckpointError> {
    let create = |name: &str| {
        store.create_folder(&folder.join(name)).map_err(CheckpointError::io("create", shown(folder, name)))
    };
    let sync =
        |name: &str| store.sync_folder(&folder.join(name)).map_err(CheckpointError::io("sync", shown(folder, name)));
    Owner::here(meta.run).write(store, folder)?;
    sync("")?;
    store.sync_folder(home).map_err(CheckpointError::io("sync", "checkpoints"))?;
    let folders = folders(meta);
    folders.iter().try_for_each(|name| create(name))?;
    let mut files = Vec::new();
    for (name, bytes) in leading_files(meta) {
        write_file(store, &folder.join(&name), &bytes).map_err(CheckpointError::io("write", shown(folder, &name)))?;
        files.push(FileRecord::of(name, &bytes));
    }
    folders.iter().rev().try_for_each(|name| sync(name))?;
    sync("")?;
    Ok(Pending { folder: folder.to_path_buf(), files })
}

/// All folders within the checkpoint's, each after the one that holds it.
fn folders(meta: &Meta) -> Vec<String> {
    let mut all = Vec::new();
    for (name, ..) in meta.coordinates() {
        all.extend([name.clone(), format!("{name}/c")]);
    }
    let parts = meta.cuts.parts();
    for field in &meta.components {
        all.push(field.name.clone());
        let mut level = vec![format!("{}/c", field.name)];
        all.extend(level.clone());
        let own = meta.grid.own(&parts);
        for &count in &own[..own.len() - 1] {
            level = level.iter().flat_map(|name| (0..count).map(move |at| format!("{name}/{at}"))).collect();
            all.extend(level.clone());
        }
    }
    all
}
