//! Generations of a run as checkpoints: the folders that torus mode writes, to the byte, written by many workers at once.
//!
//! Input: the protocol's blobs of one run and its cuts. Output: `checkpoints/step-N` as [`crate::checkpoint`] describes it, and
//! `receipts/RUN-CUTS/step-N/BLOCK-DIGEST` beside it, out of the way of all who read checkpoints. Invariant: a folder holds
//! chunks of one run and one way of cutting, which its owner record and its group's metadata tell; both are there before
//! the first chunk and go after the last. Nothing of another run is ever deleted.
//!
//! - A **chunk** is the values of all components of a block, own cells only, little-endian in memory order, one component
//!   after the other. It lies in one file per component, padded and with a checksum.
//! - A **receipt** holds the records of a chunk's files, so that whoever writes the manifest need not read the chunks. It is a
//!   function of the chunk.
//! - The **manifest** of generation `n` stands for the digests of all chunks: those in the names of receipts whose records are
//!   the manifest's. Where a receipt is missing or damaged, the chunk is read and its receipt written anew; where that fails
//!   too, the digest is one of the chunk's records.
//! - **Other cuts.** A whole checkpoint of this run with other cuts, from torus mode or an earlier start, is complete and stays
//!   as it is: chunks of any block are put together from it, nothing can be put into it, it has no receipts, and its manifest
//!   stands for digests of the records of its own chunks.
//!
//! Stated absence: a worker of an earlier start with other cuts that was halted between its look at the folder and its write
//! can leave a chunk of its own in a folder of ours. Reading it back shows that, unless the file has the same length.

mod chunk;
mod mark;
mod receipt;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{BlobError, Blobs, blocking};
use crate::checkpoint::{self, CheckpointError, Disk, FileRecord, MANIFEST, Meta};
use crate::datacenter::protocol::{Blob, Block};
use mark::Place;

/// The blobs of one run, as checkpoints with its cuts.
#[derive(Clone)]
pub struct Generations {
    blobs: Blobs,
    meta: Arc<dyn Fn(u64) -> Meta + Send + Sync>,
    /// Folder of the receipts.
    receipts: String,
    /// The chunk of each block that was read last, if it was sound: its receipt can be written without reading it once more.
    checked: Arc<Mutex<BTreeMap<Block, Checked>>>,
}

/// What was found on reading a chunk.
struct Checked {
    step: u64,
    digest: u64,
    records: Vec<FileRecord>,
}

impl fmt::Debug for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generations")
            .field("blobs", &self.blobs)
            .field("receipts", &self.receipts)
            .finish_non_exhaustive()
    }
}

impl Generations {
    /// Generations in `blobs`, whose folder is the run's. `meta` describes the state after any step: the same run, grid,
    /// cuts, precision and components each time.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Meta`] if such a state cannot be stored.
    pub fn new(blobs: Blobs, meta: impl Fn(u64) -> Meta + Send + Sync + 'static) -> Result<Self, BlobError> {
        let first = meta(1);
        first.check().map_err(CheckpointError::from)?;
        let cuts: Vec<String> = first.grid.own(&first.cuts.parts()).iter().map(ToString::to_string).collect();
        let receipts = format!("receipts/{}-{}", first.run, cuts.join("x"));
        Ok(Self { blobs, meta: Arc::new(meta), receipts, checked: Arc::default() })
    }

    /// All blobs of this run and these cuts. A chunk is there if all its files are.
    ///
    /// # Errors
    ///
    /// [`BlobError`] if a folder cannot be read.
    pub async fn list(&self) -> Result<Vec<Blob>, BlobError> {
        let mut all = Vec::new();
        let mut others = BTreeSet::new();
        for folder in self.blobs.folders("checkpoints").await? {
            let Some(step) = step_of(&folder) else { continue };
            let meta = (self.meta)(step);
            match self.place(&meta).await? {
                Place::Free | Place::Taken => {}
                Place::Ours { damaged, .. } => {
                    all.extend(damaged.then_some(Blob::Manifest { step }));
                    all.extend(self.chunks(&meta).await?);
                }
                Place::Whole(_) => {
                    all.push(Blob::Manifest { step });
                    all.extend(self.chunks(&meta).await?);
                }
                Place::Other(_) => {
                    others.insert(step);
                    all.push(Blob::Manifest { step });
                    all.extend((0..meta.cuts.count()).map(|block| Blob::Chunk { step, block: Block(block) }));
                }
            }
        }
        let blocks = (self.meta)(1).cuts.count();
        for listed in self.blobs.list(&self.receipts).await? {
            let Some((folder, name)) = listed.name[self.receipts.len() + 1..].split_once('/') else { continue };
            let (Some(step), Some((block, digest))) = (step_of(folder), receipt::parse(name)) else { continue };
            if block < blocks && !others.contains(&step) {
                all.push(Blob::Receipt { step, block: Block(block), digest });
            }
        }
        Ok(all)
    }

    /// The chunks of a step all of whose files are there.
    async fn chunks(&self, meta: &Meta) -> Result<Vec<Blob>, BlobError> {
        let prefix = folder(meta.step);
        let files = self.blobs.list(&prefix).await?;
        let files: BTreeSet<&str> = files.iter().filter_map(|file| file.name.get(prefix.len() + 1..)).collect();
        let whole = |&block: &usize| {
            (0..meta.components.len()).all(|component| files.contains(meta.chunk_name(component, block).as_str()))
        };
        let step = meta.step;
        Ok((0..meta.cuts.count()).filter(whole).map(|block| Blob::Chunk { step, block: Block(block) }).collect())
    }

    /// Deletes a blob; it is fine if it is not there. A manifest takes the metadata and coordinates with it, all but what
    /// tells whose the folder is; that and the folder go with the last chunk. A checkpoint with other cuts goes as a whole
    /// with its manifest.
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    pub async fn delete(&self, blob: Blob) -> Result<(), BlobError> {
        let meta = (self.meta)(blob.step());
        match blob {
            Blob::Receipt { step, block, digest } => self.blobs.delete(&self.receipt(step, block, digest)).await,
            Blob::Chunk { step, block } => {
                if !matches!(self.place(&meta).await?, Place::Ours { .. } | Place::Whole(_)) {
                    return Ok(());
                }
                for component in 0..meta.components.len() {
                    self.blobs.delete(&self.file(step, &meta.chunk_name(component, block.0))).await?;
                }
                self.finish(&meta).await
            }
            Blob::Manifest { step } => match self.place(&meta).await? {
                Place::Free | Place::Taken => Ok(()),
                Place::Other(_) if self.foreign(&meta).await? => Ok(()),
                Place::Whole(_) if self.foreign(&meta).await? => Ok(()),
                Place::Other(_) => self.remove(&meta).await,
                Place::Ours { .. } | Place::Whole(_) => {
                    self.mark(&meta).await?;
                    self.blobs.delete(&self.file(step, MANIFEST)).await?;
                    self.blobs.delete(&self.file(step, checkpoint::TEMPORARY)).await?;
                    for (name, _) in checkpoint::leading_files(&meta).into_iter().skip(1) {
                        self.blobs.delete(&self.file(step, &name)).await?;
                    }
                    self.finish(&meta).await
                }
            },
        }
    }

    /// Removes the folder of a step if it is ours and holds neither a manifest nor a chunk.
    async fn finish(&self, meta: &Meta) -> Result<(), BlobError> {
        let ended = matches!(self.place(meta).await?, Place::Ours { damaged: false, .. });
        if ended && self.chunks(meta).await?.is_empty() { self.remove(meta).await } else { Ok(()) }
    }

    /// Removes the folder of a step.
    async fn remove(&self, meta: &Meta) -> Result<(), BlobError> {
        let path = self.path(meta.step);
        let name = self.file(meta.step, "");
        Ok(blocking("remove", &name, move || Ok(checkpoint::remove(&Disk, &path))).await??)
    }

    /// Description of the state after `step`, which has a folder and such a block.
    fn at(&self, step: u64, block: Block) -> Meta {
        assert!(step > 0, "step 0 is made of the job's inputs");
        let meta = (self.meta)(step);
        assert!(block.0 < meta.cuts.count(), "blocks are those of the cuts");
        meta
    }

    /// Name of the blob of a file of the checkpoint of `step`; `""` names the folder.
    fn file(&self, step: u64, name: &str) -> String {
        format!("{}/{name}", folder(step)).trim_end_matches('/').to_owned()
    }

    /// Folder of the checkpoint of `step`.
    fn path(&self, step: u64) -> PathBuf {
        checkpoint::folder(self.blobs.folder(), step)
    }
}

/// Name of the folder of the checkpoint of `step`, within the run's.
fn folder(step: u64) -> String {
    format!("checkpoints/step-{step:010}")
}

/// Step in the name of a checkpoint's folder.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (step > 0 && format!("step-{step:010}") == name).then_some(step)
}
