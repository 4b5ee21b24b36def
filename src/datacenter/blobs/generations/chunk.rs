//! Chunks: a block's values to files and back, and out of checkpoints with other cuts.
//!
//! Input: step, block, and its values. Output: a file per component; or the values, none if a file is missing.
//! Invariant: a chunk that is there is not written over unless `replace` asks for it, and nothing is put into a
//! checkpoint with other cuts. What was read and is not what its checksum, its receipts and the manifest say is given
//! as a damaged value, never as an error; an error of the disk means that one may ask again.

use std::borrow::Cow;
use std::path::Path;
use std::sync::PoisonError;

use bytes::Bytes;
use ringfort_kernels::Real;

use super::super::{BlobError, Mode, blocking};
use super::mark::Place;
use super::{Checked, Generations};
use crate::checkpoint::{self, Checkpoint, CheckpointError, Damage, Disk, FileRecord, Manifest, Meta, Precision};
use crate::datacenter::protocol::{Block, Value};
use crate::grid::Region;

impl Generations {
    /// Puts the chunk of `block` at `step`, unless there is one; with `replace` over a damaged one.
    ///
    /// # Errors
    ///
    /// [`BlobError::Values`] if `bytes` are not the block's values; any other from the disk: ask again.
    ///
    /// # Panics
    ///
    /// If there is no such block, or for step 0, which is made of the job's inputs.
    pub async fn put_chunk(&self, step: u64, block: Block, bytes: Bytes, replace: bool) -> Result<(), BlobError> {
        let meta = self.at(step, block);
        check_values(&meta, block, &bytes)?;
        if let Place::Other(_) = self.prepare(&meta).await? {
            return Ok(());
        }
        let mode = if replace { Mode::Overwrite } else { Mode::Create };
        let share = bytes.len() / meta.components.len();
        for component in 0..meta.components.len() {
            let values = bytes.slice(component * share..(component + 1) * share);
            let name = self.file(step, &meta.chunk_name(component, block.0));
            let of = meta.clone();
            let file = blocking("make", &name, move || Ok(pieces(&of, component, block, values))).await?;
            self.blobs.put_pieces(&name, file, mode).await?;
        }
        Ok(())
    }

    /// The chunk of `block` at `step`, none if a file of it is missing. One that is damaged, or is not the chunk that its
    /// receipt or the manifest tells of, is not [`Value::intact`].
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    ///
    /// # Panics
    ///
    /// As [`Self::put_chunk`].
    pub async fn get_chunk(&self, step: u64, block: Block) -> Result<Option<Value>, BlobError> {
        let meta = self.at(step, block);
        match self.place(&meta).await? {
            Place::Free | Place::Taken => Ok(None),
            Place::Other(_) => self.of_parts(&meta, block).await,
            Place::Whole(manifest) => self.of_files(&meta, block, Some(&manifest)).await,
            Place::Ours { .. } => self.of_files(&meta, block, None).await,
        }
    }

    /// The chunk of `block` in the folder of its step, which is ours.
    async fn of_files(
        &self,
        meta: &Meta,
        block: Block,
        manifest: Option<&Manifest>,
    ) -> Result<Option<Value>, BlobError> {
        let mut files = Vec::new();
        for component in 0..meta.components.len() {
            let name = meta.chunk_name(component, block.0);
            let file = match self.blobs.get(&self.file(meta.step, &name), meta.chunk_bytes()).await {
                Ok(Some(file)) => file,
                Ok(None) => return Ok(None),
                Err(BlobError::Large { .. }) => return Ok(Some(broken())),
                Err(other) => return Err(other),
            };
            files.push((file, manifest.map(|manifest| manifest.chunk(component, block.0).clone())));
        }
        let of = meta.clone();
        let read = move || {
            let mut values = Vec::new();
            let mut records = Vec::new();
            for (component, (file, record)) in files.into_iter().enumerate() {
                if record.is_some_and(|record| !record.fits(&file)) {
                    return Ok((broken(), None));
                }
                match checkpoint::chunk_values(&of, block.0, &file) {
                    Ok(Cow::Borrowed(some)) => values.push(file.slice_ref(some)),
                    Ok(Cow::Owned(some)) => values.push(some.into()),
                    Err(_) => return Ok((broken(), None)),
                }
                records.push(FileRecord::of(of.chunk_name(component, block.0), &file));
            }
            let value = Value::new(match &values[..] {
                [only] => only.clone(),
                several => several.concat().into(),
            });
            // Taken here, where it may take its time.
            let digest = value.digest();
            Ok((value, Some(Checked { step: of.step, digest, records })))
        };
        let (value, sound) = blocking("check", &self.file(meta.step, ""), read).await?;
        {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            checked.remove(&block);
            checked.extend(sound.map(|sound| (block, sound)));
        }
        let receipts = self.receipts(meta.step).await?;
        match receipts.get(&block.0) {
            Some(digests) if value.intact() && !digests.contains(&value.digest()) => Ok(Some(broken())),
            _ => Ok(Some(value)),
        }
    }

    /// The values of `block` in a whole checkpoint with other cuts.
    async fn of_parts(&self, meta: &Meta, block: Block) -> Result<Option<Value>, BlobError> {
        let path = self.path(meta.step);
        let of = meta.clone();
        let read = blocking("read", &self.file(meta.step, ""), move || Ok(read_block(&path, &of, block))).await?;
        match read {
            Ok(values) => Ok(Some(Value::new(values))),
            Err(CheckpointError::Partial { .. } | CheckpointError::Damaged { damage: Damage::Missing, .. }) => Ok(None),
            Err(error) if error.damaged() => Ok(Some(broken())),
            Err(other) => Err(other.into()),
        }
    }
}

/// The chunk's file of `block` for `component`, without a copy of the values where they need no padding.
fn pieces(meta: &Meta, component: usize, block: Block, values: Bytes) -> Vec<Bytes> {
    match checkpoint::chunk_end(meta, block.0, &values) {
        Some(end) => vec![values, Bytes::copy_from_slice(&end)],
        None => vec![checkpoint::chunk_file(meta, component, block.0, &values).into()],
    }
}

/// A value that shows that it is damaged.
pub(super) fn broken() -> Value {
    let empty = Value::new(Bytes::new());
    Value::received(Bytes::new(), !empty.digest())
}

pub(super) fn check_values(meta: &Meta, block: Block, bytes: &Bytes) -> Result<(), BlobError> {
    let expected = meta.cuts.block(block.0).cells() * meta.precision.bytes() * meta.components.len();
    if bytes.len() == expected {
        return Ok(());
    }
    Err(BlobError::Values { step: meta.step, block: block.0, expected, found: bytes.len() })
}

/// The chunk's value of `block`, read from the checkpoint in `folder`, whatever its cuts.
fn read_block(folder: &Path, meta: &Meta, block: Block) -> Result<Vec<u8>, CheckpointError> {
    let checkpoint = Checkpoint::open(&Disk, folder)?;
    let region = meta.cuts.block(block.0);
    match meta.precision {
        Precision::Float32 => read_values(&checkpoint, &region, f32::to_le_bytes),
        Precision::Float64 => read_values(&checkpoint, &region, f64::to_le_bytes),
    }
}

fn read_values<T: Real, const N: usize>(
    checkpoint: &Checkpoint,
    region: &Region,
    bytes: fn(T) -> [u8; N],
) -> Result<Vec<u8>, CheckpointError> {
    let mut values = vec![T::default(); region.cells()];
    let mut all = Vec::new();
    for component in 0..checkpoint.meta().components.len() {
        checkpoint.read_region(component, region, &mut values)?;
        all.extend(values.iter().flat_map(|&value| bytes(value)));
    }
    Ok(all)
}
