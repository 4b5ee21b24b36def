//! The group of an output on the disk: written time by time, cut back where a run goes on.
//!
//! Invariant: the group's own metadata, which repeats that of its arrays, is replaced at once, and last when a time is added,
//! first when times are cut: a reader that opens the group sees whole times only. What could not be written stays out, and
//! reads as NaN once later times are there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::layout::{SOURCE, TIMES};
use super::{Layout, OutputError, pieces};

/// Name of the metadata files.
const METADATA: &str = "zarr.json";
/// Most bytes of a group's metadata.
const MOST_METADATA: u64 = 1 << 20;

/// A group, open for one run.
#[derive(Debug)]
pub struct Group {
    layout: Layout,
    home: PathBuf,
    /// Times that readers see.
    times: u64,
    /// Files and folders not yet forced to the disk. Metadata of arrays is not: it is written anew where a run goes on.
    dirty: BTreeSet<PathBuf>,
}

impl Group {
    /// The group of `layout` in the run's folder `dir` for a run that goes on from step `from`: made where there is none, else
    /// cut so that the times of earlier steps stay. The time of step `from` is to be written again; one that is there stays
    /// until then, so that readers see no time go.
    ///
    /// # Errors
    ///
    /// [`OutputError`] if something else has its name, or it cannot be read or written.
    pub fn open(layout: Layout, dir: &Path, from: u64) -> Result<Self, OutputError> {
        let home = dir.join(&layout.folder);
        let found = times(&layout, &home);
        let before = match found {
            Err(OutputError::Other { .. }) if from == 0 => {
                let gone = fs::remove_dir_all(&home);
                gone.map_err(|source| OutputError::File { path: home.clone(), action: "removed", source })?;
                None
            }
            found => found?,
        };
        let shown = before.filter(|_| from > 0).unwrap_or(0).min(layout.times_before(from.saturating_add(1)));
        let times = layout.times_before(from).max(shown);
        let mut group = Self { layout, home, times, dirty: BTreeSet::new() };
        for (name, bytes) in group.layout.coordinate_files() {
            group.place(&name, &bytes)?;
        }
        for chunk in 0..times.div_ceil(TIMES as u64) {
            group.time_files(chunk * TIMES as u64)?;
        }
        group.documents(times, before.is_some_and(|before| before > times))?;
        group.cut(times)?;
        Ok(group)
    }

    /// Step of the last time of the group of `layout` in `dir`; none if there is no such time.
    #[must_use]
    pub fn last(layout: &Layout, dir: &Path) -> Option<u64> {
        let times = times(layout, &dir.join(&layout.folder)).ok()??;
        times.checked_sub(1)?.checked_mul(layout.every)
    }

    /// How it is laid out.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Steps of times that readers see but that lack a chunk.
    #[must_use]
    pub fn lacks(&self) -> Vec<u64> {
        let whole = |time: u64| {
            (0..self.layout.fields.len()).all(|field| {
                self.layout
                    .chunks()
                    .all(|place| self.home.join(self.layout.chunk_name((field, time), &place)).is_file())
            })
        };
        (0..self.times).filter(|&time| !whole(time)).map(|time| time * self.layout.every).collect()
    }

    /// Writes field number `field` of `step`, from what all blocks give. Readers do not see it before [`Group::publish`].
    ///
    /// # Errors
    ///
    /// [`OutputError`] if partials do not make the field, or the disk refuses; then what stands of the step is removed.
    pub fn add(&mut self, (field, step): (usize, u64), partials: &[impl AsRef<[u8]>]) -> Result<(), OutputError> {
        let time = step / self.layout.every;
        let written = pieces(&self.layout, (field, step), partials).and_then(|pieces| {
            let places: Vec<_> = self.layout.chunks().collect();
            places.iter().try_for_each(|place| {
                let bytes = self.layout.chunk_file(field, place, &pieces);
                self.place(&self.layout.chunk_name((field, time), place), &bytes)
            })
        });
        if written.is_err() && time >= self.times {
            for field in 0..self.layout.fields.len() {
                let folder = self.home.join(self.layout.time_folder(field, time));
                self.dirty.retain(|path| !path.starts_with(&folder));
                // What stays is written over, or read as what it is.
                let _may_be_absent = fs::remove_dir_all(&folder);
            }
        }
        written
    }

    /// Shows the time of `step`, whose fields are written, to readers.
    ///
    /// # Errors
    ///
    /// [`OutputError::File`] if the disk refuses; the time is then shown with the next one.
    pub fn publish(&mut self, step: u64) -> Result<(), OutputError> {
        let times = step / self.layout.every + 1;
        if times > self.times {
            let chunks = |times: u64| times.div_ceil(TIMES as u64);
            for chunk in chunks(self.times)..chunks(times) {
                self.time_files(chunk * TIMES as u64)?;
            }
            self.documents(times, false)?;
            self.times = times;
        }
        Ok(())
    }

    /// Forces the times so far to the disk: a checkpoint of a later step must not outlive them.
    ///
    /// # Errors
    ///
    /// [`OutputError::File`] if the disk refuses.
    pub fn sync(&mut self) -> Result<(), OutputError> {
        while let Some(path) = self.dirty.first().cloned() {
            sync(&path)?;
            self.dirty.remove(&path);
        }
        Ok(())
    }

    /// [`Group::sync`] of the times so far, to be done later, by any thread. What the disk refuses then is not tried again.
    pub fn sync_later(&mut self) -> impl FnOnce() -> Result<(), OutputError> + Send + use<> {
        let dirty = std::mem::take(&mut self.dirty);
        move || {
            let mut all = Ok(());
            for path in &dirty {
                all = all.and(sync(path));
            }
            all
        }
    }

    /// Writes the metadata of a group of `times` times.
    fn documents(&mut self, times: u64, shrinks: bool) -> Result<(), OutputError> {
        let mut documents = self.layout.documents(times);
        if self.times > 0 && times > self.times {
            documents.retain(|(name, _)| !self.layout.is_coordinate(name));
        }
        if !shrinks {
            documents.rotate_left(1);
        }
        documents.iter().try_for_each(|(name, bytes)| self.place(name, bytes))
    }

    fn time_files(&mut self, time: u64) -> Result<(), OutputError> {
        self.layout.time_files(time).iter().try_for_each(|(name, bytes)| self.place(name, bytes))
    }

    /// Removes the chunks of all times from number `times` on.
    fn cut(&mut self, times: u64) -> Result<(), OutputError> {
        for field in &self.layout.fields {
            let folder = self.home.join(&field.name).join("c");
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(refused(&folder, "read")(source)),
            };
            for entry in entries.flatten() {
                let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
                if number.is_some_and(|number| number >= times) {
                    fs::remove_dir_all(entry.path()).map_err(refused(&entry.path(), "removed"))?;
                }
            }
        }
        Ok(())
    }

    /// Writes a file so that it is there whole or not at all.
    fn place(&mut self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        let path = self.home.join(name);
        let (folder, part) = (path.parent().unwrap_or(&self.home), path.with_extension("part"));
        let written = fs::create_dir_all(folder).and_then(|()| {
            fs::write(&part, bytes)?;
            fs::rename(&part, &path)
        });
        if let Err(source) = written {
            let _may_be_absent = fs::remove_file(&part);
            return Err(refused(&path, "written")(source));
        }
        if !name.ends_with(&format!("/{METADATA}")) {
            // With the folders above it, which may be new.
            let above = path.ancestors().take_while(|above| above.starts_with(&self.home));
            self.dirty.extend(above.map(Path::to_path_buf));
        }
        Ok(())
    }
}

/// Forces the file or folder at `path` to the disk.
fn sync(path: &Path) -> Result<(), OutputError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(refused(path, "stored"))
}

fn refused(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> OutputError + use<> {
    let path = path.to_owned();
    move |source| OutputError::File { path, action, source }
}

/// Number of times of the group of `layout` at `home`; none where there is no group.
fn times(layout: &Layout, home: &Path) -> Result<Option<u64>, OutputError> {
    let stranger = || OutputError::Stranger { path: home.to_owned() };
    let file = home.join(METADATA);
    let bytes = match File::open(&file) {
        Ok(file) => {
            let mut bytes = Vec::new();
            let read = io::Read::read_to_end(&mut io::Read::take(file, MOST_METADATA), &mut bytes);
            read.map_err(refused(home, "read"))?;
            bytes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) if !home.is_dir() => return Err(stranger()),
        Err(source) => return Err(refused(&file, "read")(source)),
    };
    let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
        // Before its metadata, or where a power cut tore that, a group holds files of ours alone.
        let known: BTreeSet<String> = layout.names().collect();
        let mut entries = fs::read_dir(home).into_iter().flatten().flatten();
        let strange = entries.any(|entry| !entry.file_name().to_str().is_some_and(|name| known.contains(name)));
        return if strange { Err(stranger()) } else { Ok(None) };
    };
    let source = document.pointer("/attributes/source").and_then(Value::as_str);
    if !source.is_some_and(|source| source.starts_with(SOURCE)) {
        return Err(stranger());
    }
    let times = document.pointer("/consolidated_metadata/metadata/time/shape/0").and_then(Value::as_u64);
    let times = times.filter(|&times| layout.documents(times)[0].1 == bytes);
    times.map(Some).ok_or_else(|| OutputError::Other { path: home.to_owned() })
}
