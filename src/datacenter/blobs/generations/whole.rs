//! Manifests: written from receipts, with the same bytes by every writer, and read against them.
//!
//! Input: a step, and its receipts. Output: its manifest, as a file or as the protocol's value. Invariant: one is
//! made only once the files of each block's chunk are there and a receipt has their records; one that was read may be
//! written again as it was, whatever became of the chunks. Metadata and coordinates stand before it. Here a receipt
//! is taken back only where its chunk is gone, or where its content is lost and the chunk does not have its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::{BlobError, Mode, Put, blocking};
use super::Generations;
use super::chunk::broken;
use super::mark::Place;
use super::receipt::Receipt;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Disk, FileRecord, MANIFEST, Manifest, Meta, codec};
use crate::datacenter::protocol::{Blob, Block, Held, Value, manifest};

/// The bytes of a manifest's file as they were read, behind the protocol's value.
struct File(Bytes);

impl Held for File {
    fn bytes(&self) -> Option<Bytes> {
        None
    }
}

impl Generations {
    /// Writes metadata, coordinates and then the manifest of `step`, unless there is one; with `replace` over a damaged one.
    /// Called when all blocks have receipts. One that is damaged is made again from its chunk; where that cannot be, or the
    /// chunk is gone, the receipt is taken back.
    ///
    /// # Errors
    ///
    /// [`BlobError::Incomplete`] if a block has no receipt now; any other from the disk: ask again.
    ///
    /// # Panics
    ///
    /// For step 0, which has no manifest.
    pub async fn put_manifest(&self, step: u64, replace: bool) -> Result<Put, BlobError> {
        let meta = self.at(step, Block(0));
        match self.place(&meta).await? {
            Place::Other(_) => return Ok(Put::Exists),
            Place::Whole(_) if !replace => return Ok(Put::Exists),
            _ => {}
        }
        let chunks = self.all_records(&meta).await?;
        let leading = self.settle_leading(&meta).await?;
        let whole = checkpoint::complete(&self.path(step), &meta, leading, chunks)?;
        self.write_manifest(step, self.file_of(&whole)?, replace).await
    }

    /// Writes the manifest of `step` as `read`, which came from [`Self::get_manifest`], unless there is one; with `replace` over
    /// a damaged one. What became of the chunks does not matter: each is checked when it is read. None if `read` holds no file.
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    ///
    /// # Panics
    ///
    /// For step 0, which has no manifest.
    pub async fn put_manifest_again(&self, step: u64, read: &Value, replace: bool) -> Result<Option<Put>, BlobError> {
        let Some(file) = read.behind::<File>() else { return Ok(None) };
        let meta = self.at(step, Block(0));
        match self.prepare(&meta).await? {
            Place::Other(_) => return Ok(Some(Put::Exists)),
            Place::Whole(_) if !replace => return Ok(Some(Put::Exists)),
            _ => {}
        }
        self.settle_leading(&meta).await?;
        self.write_manifest(step, file.0.clone(), replace).await.map(Some)
    }

    /// Writes metadata and coordinates, where they are not what they should be.
    async fn settle_leading(&self, meta: &Meta) -> Result<Vec<FileRecord>, BlobError> {
        let mut leading = Vec::new();
        for (name, bytes) in checkpoint::leading_files(meta) {
            leading.push(FileRecord::of(name.clone(), &bytes));
            self.settle(meta, &name, bytes).await?;
        }
        Ok(leading)
    }

    fn file_of(&self, whole: &Manifest) -> Result<Bytes, BlobError> {
        let encoded = whole.encode().map_err(|error| {
            let source = io::Error::new(io::ErrorKind::InvalidData, error);
            BlobError::Io { action: "write", name: self.file(whole.meta.step, MANIFEST), source }
        })?;
        Ok(encoded.into())
    }

    async fn write_manifest(&self, step: u64, file: Bytes, replace: bool) -> Result<Put, BlobError> {
        let mode = if replace { Mode::Overwrite } else { Mode::Create };
        self.blobs.put(&self.file(step, MANIFEST), file, mode).await
    }

    /// Records of the chunks of all blocks, from their receipts.
    async fn all_records(&self, meta: &Meta) -> Result<Vec<FileRecord>, BlobError> {
        let step = meta.step;
        let receipts = self.receipts(step).await?;
        let chunks: BTreeSet<Blob> = match self.place(meta).await? {
            Place::Ours { .. } | Place::Whole(_) => self.chunks(meta).await?.into_iter().collect(),
            _ => BTreeSet::new(),
        };
        let mut all = Vec::new();
        let mut found = 0;
        for block in (0..meta.cuts.count()).map(Block) {
            let Some(digests) = receipts.get(&block.0) else { continue };
            let records = match self.read_receipt(meta, block, digests).await? {
                _ if !chunks.contains(&Blob::Chunk { step, block }) => None,
                Receipt::Sound(_, records) => Some(records),
                Receipt::Lost => self.made_again(meta, block, digests).await?,
            };
            if let Some(records) = records {
                all.extend(records);
                found += 1;
                continue;
            }
            for &digest in digests {
                self.blobs.delete(&self.receipt(step, block, digest)).await?;
            }
        }
        let expected = meta.cuts.count();
        if found == expected { Ok(all) } else { Err(BlobError::Incomplete { step, found, expected }) }
    }

    /// Records of a chunk that has one of these digests; its receipt is written again.
    async fn made_again(
        &self,
        meta: &Meta,
        block: Block,
        digests: &[u64],
    ) -> Result<Option<Vec<FileRecord>>, BlobError> {
        let Some(value) = self.get_chunk(meta.step, block).await?.filter(Value::intact) else { return Ok(None) };
        if !digests.contains(&value.digest()) {
            return Ok(None);
        }
        let records = self.records(meta.step, block, value.bytes()).await?;
        self.write_receipt(meta.step, block, value.digest(), &records).await?;
        Ok(Some(records))
    }

    /// The manifest of `step` as the protocol's value, none if there is none of this run. One that is damaged, does not agree
    /// with the receipts, or whose metadata or coordinates are damaged, is not [`Value::intact`].
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    ///
    /// # Panics
    ///
    /// For step 0, which has no manifest.
    pub async fn get_manifest(&self, step: u64) -> Result<Option<Value>, BlobError> {
        let meta = self.at(step, Block(0));
        match self.place(&meta).await? {
            Place::Free | Place::Taken | Place::Ours { damaged: false, .. } => Ok(None),
            Place::Ours { damaged: true, .. } => Ok(Some(broken())),
            Place::Other(found) => self.of_other_cuts(&found).await,
            Place::Whole(found) => self.of_our_cuts(&meta, &found).await,
        }
    }

    async fn of_other_cuts(&self, found: &Manifest) -> Result<Option<Value>, BlobError> {
        let step = found.meta.step;
        let path = self.path(step);
        let opened =
            blocking("read", &self.file(step, ""), move || Ok(Checkpoint::open(&Disk, &path).map(drop))).await?;
        match opened {
            Ok(()) => {}
            Err(CheckpointError::Partial { .. }) => return Ok(None),
            Err(error) if error.damaged() => return Ok(Some(broken())),
            Err(other) => return Err(other.into()),
        }
        let digests = (0..found.meta.cuts.count()).map(|part| (Block(part), of_records(found, part)));
        Ok(Some(manifest(step, &digests.collect())))
    }

    async fn of_our_cuts(&self, meta: &Meta, found: &Manifest) -> Result<Option<Value>, BlobError> {
        let step = meta.step;
        let chunks = meta.cuts.count() * meta.components.len();
        for record in &found.files[..found.files.len() - chunks] {
            match self.blobs.get(&self.file(step, &record.name), record.bytes).await {
                Ok(Some(bytes)) if record.fits(&bytes) => {}
                Ok(_) | Err(BlobError::Large { .. }) => return Ok(Some(broken())),
                Err(other) => return Err(other),
            }
        }
        let receipts = self.receipts(step).await?;
        let mut digests = BTreeMap::new();
        let mut lost = false;
        for block in (0..meta.cuts.count()).map(Block) {
            let named = receipts.get(&block.0).map_or(&[][..], Vec::as_slice);
            let digest = match self.read_receipt(meta, block, named).await? {
                Receipt::Sound(digest, records) => {
                    let mut of_chunk = (0..meta.components.len()).map(|component| found.chunk(component, block.0));
                    if !records.iter().all(|record| of_chunk.next() == Some(record)) {
                        return Ok(Some(broken()));
                    }
                    digest
                }
                Receipt::Lost => {
                    lost = true;
                    self.digest_of(meta, found, block).await?
                }
            };
            digests.insert(block, digest);
        }
        // Receipts go after the manifest, so one that is missing may tell that the generation is being deleted.
        if lost && self.blobs.get(&self.file(step, MANIFEST), codec::LIMIT as u64 + 64).await?.is_none() {
            return Ok(None);
        }
        let bytes = manifest(step, &digests).bytes().clone();
        Ok(Some(Value::held(Arc::new(File(self.file_of(found)?)), Some(bytes))))
    }

    /// Digest of a chunk without a receipt: from its files, which then get one, or of its records.
    async fn digest_of(&self, meta: &Meta, found: &Manifest, block: Block) -> Result<u64, BlobError> {
        let Some(value) = self.get_chunk(meta.step, block).await?.filter(Value::intact) else {
            return Ok(of_records(found, block.0));
        };
        let records = self.records(meta.step, block, value.bytes()).await?;
        // A full disk must not keep anybody from reading.
        let _best_effort = self.write_receipt(meta.step, block, value.digest(), &records).await;
        Ok(value.digest())
    }
}

/// Digest of what a manifest says about the files of a part.
fn of_records(found: &Manifest, part: usize) -> u64 {
    let records = (0..found.meta.components.len()).map(|component| found.chunk(component, part));
    let text: Vec<String> =
        records.map(|record| format!("{} {} {:08x}\n", record.name, record.bytes, record.crc)).collect();
    Value::new(text.concat().into_bytes()).digest()
}
