//! Blobs: large named bytes, in a local folder or, one day, in an object store.
//!
//! Input: names with `/` between folders, and bytes. Output: the same bytes under the same names. Invariant: a name stands for
//! nothing or for all bytes of one put, and what was acknowledged survives a power cut.
//!
//! [`Generations`] lays the protocol's blobs out as checkpoints.

mod direct;
mod error;
mod generations;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::room::Room;

pub use error::BlobError;
pub use generations::Generations;

/// What may become of bytes that stand under the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Create,
    /// They give way.
    Overwrite,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The bytes stand under the name.
    Stored,
    /// Others stood there before, and still do.
    Exists,
}

/// Name and length of a blob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Named bytes.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
    /// Where large ones that are read get their memory.
    room: Room,
}

impl Blobs {
    /// Blobs as files in `folder`, which is made if need be.
    ///
    /// # Errors
    ///
    /// [`BlobError::Io`] if it cannot be made.
    pub fn local(folder: &Path) -> Result<Self, BlobError> {
        let shown = || folder.display().to_string();
        let made = make(folder).and_then(|()| folder.canonicalize());
        let folder = made.map_err(|source| BlobError::Io { action: "make", name: shown(), source })?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(BlobError::of("open", shown()))?;
        let store = Arc::new(store.with_automatic_cleanup(true).with_fsync(true));
        Ok(Self { store, folder, room: Room::default() })
    }

    /// Blobs at `url`: `file:///FOLDER`, the path as it is, without escapes.
    ///
    /// # Errors
    ///
    /// [`BlobError::Url`] for any other, [`BlobError::Io`] if the folder cannot be made.
    pub fn from_url(url: &str) -> Result<Self, BlobError> {
        let refused = |reason| Err(BlobError::Url { url: url.to_owned(), reason });
        match url.split_once("://") {
            Some(("file", folder)) if folder.starts_with('/') => Self::local(Path::new(folder)),
            Some(("file", _)) => refused("a local folder is file:// and its absolute path"),
            Some(("s3", _)) => refused("s3 is not yet supported, use file:///FOLDER"),
            _ => refused("use file:///FOLDER"),
        }
    }

    /// The folder that holds the blobs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All blobs in the folder `prefix` and those below it, in order of names; `""` for all.
    ///
    /// # Errors
    ///
    /// [`BlobError`] if the folder cannot be read. One that is not there is empty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let at = name(prefix)?;
        let found =
            self.store.list(Some(&at)).map_ok(|found| Listed { name: found.location.into(), bytes: found.size });
        let mut all: Vec<Listed> = found.try_collect().await.map_err(BlobError::of("list", prefix))?;
        all.sort_unstable();
        Ok(all)
    }

    /// Names of the folders in the folder `prefix`, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::list`].
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        match self.store.list_with_delimiter(Some(&name(prefix)?)).await {
            Ok(found) => {
                Ok(found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(other) => Err(BlobError::of("list", prefix)(other)),
        }
    }

    /// All bytes of a blob, none if it is not there.
    ///
    /// # Errors
    ///
    /// [`BlobError::Large`] if they are more than `most`, any other if it cannot be read.
    pub async fn get(&self, blob: &str, most: u64) -> Result<Option<Bytes>, BlobError> {
        let found = match self.store.get(&name(blob)?).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(other) => return Err(BlobError::of("read", blob)(other)),
        };
        let bytes = found.meta.size;
        if bytes > most {
            return Err(BlobError::Large { name: blob.to_owned(), bytes, most });
        }
        if bytes >= direct::LARGE {
            let (path, room) = (self.folder.join(blob), self.room.clone());
            return match blocking("read", blob, move || Ok(direct::read(&path, bytes, &room))).await? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                read => {
                    Ok(Some(read.map_err(|source| BlobError::Io { action: "read", name: blob.to_owned(), source })?))
                }
            };
        }
        match found.bytes().await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(other) => Err(BlobError::of("read", blob)(other)),
        }
    }

    /// Bytes `range` of a blob, none if it is not there.
    ///
    /// # Errors
    ///
    /// [`BlobError`] if it cannot be read, or ends before.
    pub async fn get_range(&self, blob: &str, range: Range<u64>) -> Result<Option<Bytes>, BlobError> {
        let asked = range.end.saturating_sub(range.start);
        match self.store.get_range(&name(blob)?, range).await {
            Ok(bytes) if bytes.len() as u64 == asked => Ok(Some(bytes)),
            Ok(_) => {
                let source = io::ErrorKind::UnexpectedEof.into();
                Err(BlobError::Io { action: "read", name: blob.to_owned(), source })
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(other) => Err(BlobError::of("read", blob)(other)),
        }
    }

    /// Puts `bytes` under a name. When it returns, what stands there survives a power cut.
    ///
    /// # Errors
    ///
    /// [`BlobError`] if that is not certain; to ask again is right.
    pub async fn put(&self, blob: &str, bytes: Bytes, mode: Mode) -> Result<Put, BlobError> {
        self.put_pieces(blob, [bytes], mode).await
    }

    /// The same for bytes that lie in pieces, one after another.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn put_pieces(
        &self,
        blob: &str,
        pieces: impl IntoIterator<Item = Bytes>,
        mode: Mode,
    ) -> Result<Put, BlobError> {
        let pieces: Vec<Bytes> = pieces.into_iter().collect();
        let put = if pieces.iter().map(|piece| piece.len() as u64).sum::<u64>() >= direct::LARGE {
            self.put_direct(blob, pieces, mode).await?
        } else {
            self.put_small(blob, pieces, mode).await?
        };
        // The store syncs the file, and the folders that it made itself. Of what another process made a moment ago, be it a
        // folder above or the blob itself, nobody knows whether it is on the disk yet.
        self.sync_above(blob).await?;
        Ok(put)
    }

    async fn put_small(&self, blob: &str, pieces: Vec<Bytes>, mode: Mode) -> Result<Put, BlobError> {
        let mode = match mode {
            Mode::Create => PutMode::Create,
            Mode::Overwrite => PutMode::Overwrite,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&name(blob)?, PutPayload::from_iter(pieces), options).await {
            Ok(_) => Ok(Put::Stored),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(other) => Err(BlobError::of("write", blob)(other)),
        }
    }

    async fn put_direct(&self, blob: &str, pieces: Vec<Bytes>, mode: Mode) -> Result<Put, BlobError> {
        let path = self.folder.join(name(blob)?.as_ref());
        blocking("write", blob, move || {
            path.parent().map_or(Ok(()), make)?;
            direct::write(&path, &pieces, mode)
        })
        .await
    }

    /// Deletes a blob and the folders that are empty then; it is fine if it is not there. When it returns, the blob stays
    /// away over a power cut.
    ///
    /// # Errors
    ///
    /// [`BlobError`] if that is not certain; to ask again is right.
    pub async fn delete(&self, blob: &str) -> Result<(), BlobError> {
        match self.store.delete(&name(blob)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => self.sync_above(blob).await,
            Err(other) => Err(BlobError::of("delete", blob)(other)),
        }
    }

    /// Syncs all folders above a blob, as far as they are there.
    async fn sync_above(&self, blob: &str) -> Result<(), BlobError> {
        let root = self.folder.clone();
        let path = root.join(blob);
        blocking("sync", blob, move || {
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
                sync(folder)?;
            }
            Ok(())
        })
        .await
    }
}

/// Does `work` on a thread that may wait for a disk.
async fn blocking<V: Send + 'static>(
    action: &'static str,
    name: &str,
    work: impl FnOnce() -> io::Result<V> + Send + 'static,
) -> Result<V, BlobError> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|gone| Err(io::Error::other(gone)));
    done.map_err(|source| BlobError::Io { action, name: name.to_owned(), source })
}

/// Makes a folder and those above it, so that they survive a power cut.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(above)?;
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync(above),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The store's own form of a name.
fn name(blob: &str) -> Result<Name, BlobError> {
    Name::parse(blob).map_err(|_| BlobError::Name { name: blob.to_owned() })
}
