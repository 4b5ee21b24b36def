//! Whose a checkpoint's folder is, and making it ours.
//!
//! Invariant: the owner record is written before the group's metadata, and that before the first chunk. So a folder with
//! metadata and no record, or with a chunk and no metadata, is not one that another worker has just begun.

use bytes::Bytes;

use super::super::{BlobError, Mode, blocking};
use super::Generations;
use crate::checkpoint::{self, Disk, MANIFEST, Manifest, Meta, OWNER, Owner, codec};

/// Name of the group's metadata.
const GROUP: &str = "zarr.json";
/// Most bytes of an owner record.
const MOST_OWNER: u64 = 4096;
/// Most bytes of the group's metadata, which holds the job's text.
const MOST_GROUP: u64 = 64 << 20;
/// Times that one looks again because others change the folder.
const LOOKS: usize = 8;

/// What the folder of a step is to us.
pub(super) enum Place {
    /// It is not there, or holds nothing.
    Free,
    /// It holds chunks with our cuts.
    Ours {
        /// Its manifest cannot be read; if false, it has none.
        damaged: bool,
        /// The group's metadata is not what it should be.
        mend: bool,
    },
    /// It is a checkpoint of this run with our cuts.
    Whole(Box<Manifest>),
    /// It is a checkpoint of this run with other cuts.
    Other(Box<Manifest>),
    /// It belongs to another run, or is an unfinished one with other cuts, or nobody can tell.
    Taken,
}

impl Generations {
    /// What the folder of a step is.
    pub(super) async fn place(&self, meta: &Meta) -> Result<Place, BlobError> {
        let most = codec::LIMIT as u64 + 64;
        let damaged = match self.blobs.get(&self.file(meta.step, MANIFEST), most).await {
            Ok(None) => false,
            Ok(Some(bytes)) => match Manifest::decode(&bytes) {
                Ok(manifest) => return Ok(judge(meta, manifest)),
                Err(_) => true,
            },
            Err(BlobError::Large { .. }) => true,
            Err(other) => return Err(other),
        };
        for _ in 0..LOOKS {
            // In this order, the reverse of the writing.
            let group = self.small(meta, GROUP, MOST_GROUP).await?;
            let owner = self.small(meta, OWNER, MOST_OWNER).await?;
            let ours = owner.as_ref().map(|owner| Owner::parse(owner).is_some_and(|owner| owner.run == meta.run));
            match (group, ours) {
                (_, Some(false)) | (Some(_), None) => return Ok(Place::Taken),
                (Some(group), Some(true)) => return Ok(compare(meta, &group, damaged)),
                (None, _) => {}
            }
            let prefix = super::folder(meta.step);
            let files = self.blobs.list(&prefix).await?;
            if self.small(meta, GROUP, MOST_GROUP).await?.is_none() {
                let empty = files.iter().all(|file| file.name[prefix.len()..] == *"/OWNER");
                return Ok(if empty { Place::Free } else { Place::Taken });
            }
        }
        Err(BlobError::Io {
            action: "look at",
            name: super::folder(meta.step),
            source: std::io::ErrorKind::WouldBlock.into(),
        })
    }

    /// A small file of a step's folder, empty if it is larger than that.
    async fn small(&self, meta: &Meta, name: &str, most: u64) -> Result<Option<Bytes>, BlobError> {
        match self.blobs.get(&self.file(meta.step, name), most).await {
            Err(BlobError::Large { .. }) => Ok(Some(Bytes::new())),
            other => other,
        }
    }

    /// True if the owner record of a step's folder names another run.
    pub(super) async fn foreign(&self, meta: &Meta) -> Result<bool, BlobError> {
        let owner = self.small(meta, OWNER, MOST_OWNER).await?;
        Ok(owner.and_then(|owner| Owner::parse(&owner)).is_some_and(|owner| owner.run != meta.run))
    }

    /// Sees to it that a step's folder takes our chunks: what cannot stay is moved aside, or deleted if it is an unfinished
    /// one of this run.
    pub(super) async fn prepare(&self, meta: &Meta) -> Result<Place, BlobError> {
        for _ in 0..LOOKS {
            match self.place(meta).await? {
                Place::Free => self.mark(meta).await?,
                Place::Taken => self.make_room(meta).await?,
                Place::Ours { damaged, mend: true } => {
                    self.mark(meta).await?;
                    return Ok(Place::Ours { damaged, mend: false });
                }
                ready => return Ok(ready),
            }
        }
        Err(BlobError::Io {
            action: "begin",
            name: super::folder(meta.step),
            source: std::io::ErrorKind::WouldBlock.into(),
        })
    }

    /// Writes who owns the folder of a step and what the group is, in this order.
    pub(super) async fn mark(&self, meta: &Meta) -> Result<(), BlobError> {
        let owner = self.small(meta, OWNER, MOST_OWNER).await?;
        if owner.as_ref().and_then(|owner| Owner::parse(owner)).is_none() {
            let mode = if owner.is_some() { Mode::Overwrite } else { Mode::Create };
            let text = Owner::here(meta.run).text();
            self.blobs.put(&self.file(meta.step, OWNER), text.into(), mode).await?;
        }
        self.settle(meta, GROUP, checkpoint::group_file(meta)).await
    }

    /// Puts a file that is a function of the job, over one that is damaged.
    pub(super) async fn settle(&self, meta: &Meta, name: &str, bytes: Vec<u8>) -> Result<(), BlobError> {
        let most = bytes.len() as u64;
        let mode = match self.small(meta, name, most).await? {
            Some(there) if there == bytes => return Ok(()),
            Some(_) => Mode::Overwrite,
            None => Mode::Create,
        };
        self.blobs.put(&self.file(meta.step, name), bytes.into(), mode).await.map(drop)
    }

    async fn make_room(&self, meta: &Meta) -> Result<(), BlobError> {
        let path = self.path(meta.step);
        let run = meta.run;
        let name = super::folder(meta.step);
        let moved = blocking("move aside", &name, move || {
            let aside = match checkpoint::move_aside(&Disk, &path) {
                // Somebody else did it.
                Err(_) if !path.exists() => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
                Ok(aside) => aside,
            };
            let unfinished = !aside.join(MANIFEST).exists();
            let ours = matches!(Owner::read(&Disk, &aside), Ok(Some(owner)) if owner.run == run);
            Ok(if unfinished && ours { checkpoint::remove(&Disk, &aside) } else { Ok(()) })
        });
        Ok(moved.await??)
    }
}

/// What a folder with this manifest is.
fn judge(ours: &Meta, manifest: Manifest) -> Place {
    let found = &manifest.meta;
    let recut = Meta { cuts: ours.cuts, parent: ours.parent, job: ours.job.clone(), ..found.clone() };
    match (recut == *ours, found.cuts == ours.cuts) {
        (true, true) => Place::Whole(Box::new(manifest)),
        (true, false) => Place::Other(Box::new(manifest)),
        (false, _) => Place::Taken,
    }
}

/// What a folder of this run with this metadata of its group is.
fn compare(meta: &Meta, group: &[u8], damaged: bool) -> Place {
    let own = checkpoint::group_file(meta);
    if *group == own {
        return Place::Ours { damaged, mend: false };
    }
    // The arrays tell the cuts; the job's text may differ, and what is no text at all is damage.
    let arrays = |bytes: &[u8]| -> Option<serde_json::Value> {
        let group: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        group.get("consolidated_metadata").cloned()
    };
    match arrays(group) {
        Some(found) if arrays(&own) != Some(found.clone()) => Place::Taken,
        _ => Place::Ours { damaged, mend: true },
    }
}
