//! What a run has written of its files of rows: `series.json`, so that a shortened or edited one is noticed before it is continued.
//!
//! Input: lengths and checksums of what is on the disk. Output: a small file; whether the files still begin so. Invariant: it never
//! claims more than has been forced to the disk, and goes before any of the files is cut.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::replace;

/// Name of the file in the run's folder.
pub const FILE: &str = "series.json";
/// Most bytes of it that are read.
const MOST_BYTES: u64 = 16 << 20;
/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 16;

/// The beginning of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-32C of these bytes.
    pub crc32c: u32,
}

impl Beginning {
    /// It, with `more` behind.
    #[must_use]
    pub fn and(self, more: &[u8]) -> Self {
        Self { bytes: self.bytes + more.len() as u64, crc32c: crc32c::crc32c_append(self.crc32c, more) }
    }
}

/// The beginnings of files of rows, by their names in the run's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Name and beginning.
    pub files: BTreeMap<String, Beginning>,
}

/// Why files of rows cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrittenError {
    /// One is gone, shorter than it was, or holds something else.
    #[error(
        "{} {what}; put back what the run wrote, or remove {} to go on with what is there",
        path.display(), path_of(dir).display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The run's folder.
        dir: PathBuf,
        /// What became of it.
        what: String,
    },
    /// What was written of them is not known.
    #[error("{} is not what a run writes; remove it to go on without a look at the files of rows", path_of(dir).display())]
    Content {
        /// The run's folder.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("{} could not be {action}: {source}; check the disk and the permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

fn path_of(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Opens a regular file: a pipe in its place would make who reads it wait.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

fn refused(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> WrittenError + use<> {
    let path = path.to_owned();
    move |source| WrittenError::File { path, action, source }
}

impl Written {
    /// What `series.json` in the run's folder `dir` says; nothing where there is none.
    ///
    /// # Errors
    ///
    /// [`WrittenError`] if it cannot be read, or is something else.
    pub fn read(dir: &Path) -> Result<Self, WrittenError> {
        let path = path_of(dir);
        let mut bytes = Vec::new();
        match open(&path) {
            Ok(file) => file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(refused(&path, "read"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(refused(&path, "opened")(source)),
        };
        serde_json::from_slice(&bytes).map_err(|_| WrittenError::Content { dir: dir.to_owned() })
    }

    /// Puts it in the place of what `series.json` in the run's folder `dir` said.
    ///
    /// # Errors
    ///
    /// [`WrittenError::File`] if it cannot be written; what was there before is then still whole.
    pub fn store(&self, dir: &Path) -> Result<(), WrittenError> {
        let path = path_of(dir);
        let text = serde_json::to_string_pretty(self).map_err(io::Error::from).map_err(refused(&path, "written"))?;
        replace(&path, &(text + "\n")).map_err(refused(&path, "written"))
    }

    /// Removes `series.json` from the run's folder `dir`, for good before the call returns.
    ///
    /// # Errors
    ///
    /// [`WrittenError::File`] if the system refuses.
    pub fn forget(dir: &Path) -> Result<(), WrittenError> {
        let path = path_of(dir);
        match fs::remove_file(&path) {
            Ok(()) => File::open(dir).and_then(|dir| dir.sync_all()).map_err(refused(dir, "stored")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(refused(&path, "removed")(source)),
        }
    }

    /// Refuses the file `name` in the run's folder `dir` if it does not begin as it was written.
    ///
    /// # Errors
    ///
    /// [`WrittenError::Differs`] says how it differs.
    pub fn check(&self, dir: &Path, name: &str) -> Result<(), WrittenError> {
        let Some(wanted) = self.files.get(name) else { return Ok(()) };
        let path = dir.join(name);
        let differs = |what| WrittenError::Differs { path: path.clone(), dir: dir.to_owned(), what };
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(differs("is gone".to_owned())),
            Err(source) => return Err(refused(&path, "opened")(source)),
        };
        let found = beginning(file.take(wanted.bytes)).map_err(refused(&path, "read"))?;
        if found.bytes < wanted.bytes {
            return Err(differs(format!("was shortened: {} of {} bytes are left", found.bytes, wanted.bytes)));
        }
        let edited =
            || differs(format!("was edited: its first {} bytes are not those that the run wrote", wanted.bytes));
        if found == *wanted { Ok(()) } else { Err(edited()) }
    }
}

/// All that `bytes` gives.
fn beginning(mut bytes: impl Read) -> io::Result<Beginning> {
    let (mut found, mut piece) = (Beginning::default(), vec![0; PIECE]);
    loop {
        match bytes.read(&mut piece)? {
            0 => return Ok(found),
            read => found = found.and(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        let rows = b"step,value\n0,1\n2,3\n";
        let of = |bytes: &[u8]| Written { files: [("a.csv".to_owned(), Beginning::default().and(bytes))].into() };
        let check = |bytes: &[u8]| {
            fs::write(dir.join("a.csv"), bytes).expect("written");
            let written = Written::read(dir).expect("read");
            written.check(dir, "a.csv").err().map(|error| error.to_string())
        };
        assert_eq!(check(b"anything"), None);
        of(rows).store(dir).expect("stored");
        assert_eq!(check(rows), None);
        assert_eq!(check(&[rows.as_slice(), b"4,5\n6"].concat()), None);
        for length in 0..rows.len() {
            let said = check(&rows[..length]).expect("refused");
            assert!(said.contains(&format!("a.csv was shortened: {length} of 19 bytes are left")), "{said}");
            assert!(said.contains("remove") && said.contains("series.json"), "{said}");
            let mut edited = rows.to_vec();
            edited[length] ^= 1;
            let said = check(&edited).expect("refused");
            assert!(said.contains("a.csv was edited: its first 19 bytes"), "{said}");
        }
        fs::remove_file(dir.join("a.csv")).expect("removed");
        let said = Written::read(dir).expect("read").check(dir, "a.csv").expect_err("refused").to_string();
        assert!(said.contains("a.csv is gone"), "{said}");
        fs::create_dir(dir.join("a.csv")).expect("made");
        let said = Written::read(dir).expect("read").check(dir, "a.csv").expect_err("refused").to_string();
        assert!(said.contains("a.csv could not be opened: not a regular file"), "{said}");
        fs::remove_dir(dir.join("a.csv")).expect("removed");
        fs::write(dir.join(FILE), "not this").expect("written");
        assert!(Written::read(dir).expect_err("refused").to_string().contains("is not what a run writes"));
        Written::forget(dir).expect("removed");
        Written::forget(dir).expect("nothing to remove");
        assert_eq!(check(b"anything"), None);
    }
}
