//! The owner record: which run writes in a folder; and how a checkpoint's folder is removed.
//!
//! Input: a run, or a folder. Output: the record, written or read; or a folder that is gone. Invariant: `remove`
//! itself looks at no record: its callers see to it that nothing of another run is removed. It takes the manifest
//! first and the record last, so a crash in between leaves no checkpoint, and the record for as long as anything else
//! is there. Only the very bytes that `text` makes are a record, so its form may not change: older ones would count
//! as damage.

use std::path::{Path, PathBuf};

use super::MANIFEST;
use super::error::{CheckpointError, Damage};
use super::meta::RunId;
use super::shown;
use super::store::{Kind, Store, read_file, write_file};

/// Name of the record's file.
pub const NAME: &str = "OWNER";
const MOST: u64 = 4096;
/// Folders within folders that a checkpoint can have, with some to spare.
const DEPTH: usize = 12;

/// Who writes, or wrote, in a checkpoint's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The run.
    pub run: RunId,
    /// Host of its first rank.
    pub host: String,
    /// Process of its first rank.
    pub pid: u32,
}

impl Owner {
    /// This process as the writer for `run`.
    #[must_use]
    pub fn here(run: RunId) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(|c| !c.is_control()).take(255).collect();
        Self { run, host: if host.is_empty() { "unknown".into() } else { host }, pid: std::process::id() }
    }

    /// Record in `folder`, none if there is no such file.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Damaged`] if the file is no record, or the store's error.
    pub fn read(store: &dyn Store, folder: &Path) -> Result<Option<Self>, CheckpointError> {
        let name = shown(folder, NAME);
        let bytes = match read_file(store, &folder.join(NAME), false, MOST) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::read(name, error)),
        };
        match Self::parse(&bytes) {
            Some(owner) => Ok(Some(owner)),
            None => Err(CheckpointError::Damaged { name, damage: Damage::NotOwner }),
        }
    }

    /// Writes the record into `folder`; survives a power cut once the folder is synced.
    pub(super) fn write(&self, store: &dyn Store, folder: &Path) -> Result<(), CheckpointError> {
        let text = self.text();
        write_file(store, &folder.join(NAME), text.as_bytes())
            .map_err(CheckpointError::io("write", shown(folder, NAME)))
    }

    /// The record's text.
    #[must_use]
    pub fn text(&self) -> String {
        let body = format!("ringfort checkpoint\nrun {}\nhost {}\npid {}\n", self.run, self.host, self.pid);
        format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes()))
    }

    /// The record in `bytes`, if they are one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let owner =
            Self { run: line("run")?.parse().ok()?, host: line("host")?.into(), pid: line("pid")?.parse().ok()? };
        (owner.text() == text).then_some(owner)
    }
}

/// Removes `folder` and all in it, the manifest first and the owner record last, so that a crash in between leaves
/// something that is no checkpoint and still ours.
///
/// # Errors
///
/// The first of the store's errors; what was removed by then is gone.
pub fn remove(store: &dyn Store, folder: &Path) -> Result<(), CheckpointError> {
    let error = |name: &str| CheckpointError::io("remove", shown(folder, name));
    match store.remove_file(&folder.join(MANIFEST)) {
        Ok(()) => store.sync_folder(folder).map_err(error(""))?,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(other) => return Err(error(MANIFEST)(other)),
    }
    for name in store.list(folder).map_err(error(""))? {
        if name != NAME {
            remove_all(store, &folder.join(&name), DEPTH).map_err(error(&name))?;
        }
    }
    match store.remove_file(&folder.join(NAME)) {
        Err(other) if other.kind() != std::io::ErrorKind::NotFound => return Err(error(NAME)(other)),
        _ => {}
    }
    store.remove_folder(folder).map_err(error(""))?;
    let parent = folder.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    store.sync_folder(&parent).map_err(error(""))
}

fn remove_all(store: &dyn Store, path: &Path, depth: usize) -> std::io::Result<()> {
    if depth == 0 || store.metadata(path)?.kind != Kind::Folder {
        return store.remove_file(path);
    }
    for name in store.list(path)? {
        remove_all(store, &path.join(name), depth - 1)?;
    }
    store.remove_folder(path)
}
