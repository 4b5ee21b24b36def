//! Reading a checkpoint: any box of any component, whatever the cuts it was written with.
//!
//! Input: a folder with a manifest; a component and a box of cells. Output: the values, in memory order. Invariant:
//! values are good only once the call has returned without an error, since every chunk that is touched is checked to
//! its end against the manifest; `read_unchecked` is for files that were verified before. Nothing is written, and no
//! file is read that the manifest does not list, but for the manifest itself and the owner record.

use std::path::{Path, PathBuf};

use ringfort_kernels::Real;

use super::chunk::{self, Copy};
use super::error::{CheckpointError, Damage};
use super::manifest::{FileRecord, Manifest};
use super::meta::Meta;
use super::owner::Owner;
use super::store::{Store, read_file};
use super::{Precision, shown, zarr};
use crate::grid::{AXES, Region};

/// Most bytes of the group's metadata, which holds the job's text.
const MOST_METADATA: u64 = 64 << 20;

/// A committed checkpoint.
#[derive(Clone)]
pub struct Checkpoint<'s> {
    store: &'s dyn Store,
    folder: PathBuf,
    manifest: Manifest,
}

impl std::fmt::Debug for Checkpoint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("folder", &self.folder).field("step", &self.meta().step).finish()
    }
}

impl<'s> Checkpoint<'s> {
    /// Checkpoint in `folder`. Reads and checks its manifest and the group's metadata; other files are checked when they
    /// are read.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Partial`] without a manifest, [`CheckpointError::Damaged`] if either file is not as written,
    /// [`CheckpointError::Io`] from the store.
    pub fn open(store: &'s dyn Store, folder: &Path) -> Result<Self, CheckpointError> {
        let mut manifest = Manifest::read(store, folder)?;
        manifest.meta.job = read_job(store, folder, &manifest.files[0])?;
        Ok(Self { store, folder: folder.to_path_buf(), manifest })
    }

    /// What it says about its values.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.manifest.meta
    }

    /// Its manifest, with the job's text filled in.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name for messages: relative to the run's folder.
    #[must_use]
    pub fn name(&self) -> String {
        shown(&self.folder, "")
    }

    /// Number of the component called `name`.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<usize> {
        self.meta().components.iter().position(|field| field.name == name)
    }

    /// Reads the cells of `region` of `component` into `out`, in memory order, last axis fastest. Every chunk that
    /// holds one of them is read whole and checked against its own checksum and the manifest's. After an error `out`
    /// holds anything.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Damaged`] naming the file; [`CheckpointError::Precision`] if values are not of type `T`;
    /// [`CheckpointError::Component`] or [`CheckpointError::Outside`] for cells that do not exist;
    /// [`CheckpointError::Io`] from the store.
    ///
    /// # Panics
    ///
    /// If `out` does not have as many values as `region` has cells.
    pub fn read_region<T: Real>(
        &self,
        component: usize,
        region: &Region,
        out: &mut [T],
    ) -> Result<(), CheckpointError> {
        self.read(component, region, out, true)
    }

    /// The same without checksums and with only the bytes that are needed, for files that were verified before.
    pub(super) fn read_unchecked<T: Real>(
        &self,
        component: usize,
        region: &Region,
        out: &mut [T],
    ) -> Result<(), CheckpointError> {
        self.read(component, region, out, false)
    }

    fn read<T: Real>(
        &self,
        component: usize,
        region: &Region,
        out: &mut [T],
        checked: bool,
    ) -> Result<(), CheckpointError> {
        let meta = self.meta();
        self.check_request::<T>(component, region)?;
        assert_eq!(out.len(), region.cells(), "out holds the box");
        for part in parts_of(meta, region) {
            let block = meta.cuts.block(part);
            let Some(both) = block.intersection(region) else { continue };
            let start = std::array::from_fn(|axis| both.start[axis] - block.start[axis]);
            let wanted = Region { start, extent: both.extent };
            let mut copy =
                Copy { chunk: meta.cuts.largest(), wanted, out: &mut *out, into: *region, shift: block.start };
            let record = self.manifest.chunk(component, part);
            let name = || shown(&self.folder, &record.name);
            let file = chunk::open(|| self.store.open(&self.folder.join(&record.name)), record, name())?;
            if checked {
                copy.read(&*file, record, name())?;
            } else {
                copy.read_unchecked(&*file).map_err(|source| CheckpointError::read(name(), source))?;
            }
        }
        Ok(())
    }

    fn check_request<T: Real>(&self, component: usize, region: &Region) -> Result<(), CheckpointError> {
        let meta = self.meta();
        let name = || self.name();
        if Precision::of::<T>() != meta.precision {
            return Err(CheckpointError::Precision { name: name(), stored: meta.precision.name(), asked: T::NAME });
        }
        if component >= meta.components.len() {
            return Err(CheckpointError::Component { name: name(), count: meta.components.len(), component });
        }
        let outside = (0..AXES).any(|axis| {
            let end = region.start[axis].checked_add(region.extent[axis]);
            end.is_none_or(|end| end > meta.grid.points[axis])
        });
        if outside { Err(CheckpointError::Outside { name: name() }) } else { Ok(()) }
    }

    /// Reads every byte of every file and returns what is damaged, the owner record included. Empty: whole.
    #[must_use]
    pub fn verify(&self) -> Vec<CheckpointError> {
        let listed = self.manifest.files.iter().filter_map(|record| self.verify_file(record, true).err());
        listed.chain(Owner::read(self.store, &self.folder).err()).collect()
    }

    /// Checks that every file is there with its length, and returns those that are not. Reads none.
    #[must_use]
    pub fn verify_lengths(&self) -> Vec<CheckpointError> {
        self.manifest.files.iter().filter_map(|record| self.verify_file(record, false).err()).collect()
    }

    /// Reads every byte of every file that a restart could need.
    ///
    /// # Errors
    ///
    /// The first damaged file.
    pub fn verify_listed(&self) -> Result<(), CheckpointError> {
        self.manifest.files.iter().try_for_each(|record| self.verify_file(record, true))
    }

    /// Reads every byte but those of chunks, which are there with their lengths: for who checks these while reading them.
    ///
    /// # Errors
    ///
    /// The first damaged file.
    pub fn verify_but_chunks(&self) -> Result<(), CheckpointError> {
        self.manifest.files.iter().try_for_each(|record| self.verify_file(record, !record.is_chunk()))
    }

    fn verify_file(&self, record: &FileRecord, read: bool) -> Result<(), CheckpointError> {
        let name = shown(&self.folder, &record.name);
        let file = chunk::open(|| self.store.open_once(&self.folder.join(&record.name)), record, name.clone())?;
        if read { chunk::check(&*file, record, name, |_, _| {}) } else { Ok(()) }
    }
}

/// Parts whose blocks may hold cells of `region`, which lies within the grid.
fn parts_of(meta: &Meta, region: &Region) -> impl Iterator<Item = usize> + use<> {
    let cuts = meta.cuts;
    let largest = cuts.largest();
    let first: [usize; AXES] = std::array::from_fn(|axis| region.start[axis] / largest[axis]);
    let count = std::array::from_fn(|axis| {
        if region.extent[axis] == 0 { 0 } else { (region.end(axis) - 1) / largest[axis] + 1 - first[axis] }
    });
    let places = Region { start: first, extent: count };
    places.rows().flat_map(move |[w, z, y]| (places.start[3]..places.end(3)).map(move |x| cuts.part([w, z, y, x])))
}

/// Text of the job in the group's metadata, checked against its record.
fn read_job(store: &dyn Store, folder: &Path, record: &FileRecord) -> Result<String, CheckpointError> {
    let name = shown(folder, &record.name);
    let damaged = |damage| CheckpointError::Damaged { name: name.clone(), damage };
    if record.bytes > MOST_METADATA {
        return Err(damaged(Damage::TooLarge(MOST_METADATA)));
    }
    let found = read_file(store, &folder.join(&record.name), true, MOST_METADATA)
        .map_err(|error| CheckpointError::read(name.clone(), error))?;
    let bytes = found.ok_or_else(|| damaged(Damage::TooLarge(MOST_METADATA)))?;
    if bytes.len() as u64 != record.bytes {
        return Err(damaged(Damage::Length { expected: record.bytes, found: bytes.len() as u64 }));
    }
    let crc = crc32c::crc32c(&bytes);
    if crc != record.crc {
        return Err(damaged(Damage::Checksum { expected: record.crc, found: crc }));
    }
    zarr::job(&bytes).ok_or_else(|| damaged(Damage::NotMetadata))
}
