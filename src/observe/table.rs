//! A file of rows, appended step by step: `sums.csv`, `probes/NAME.csv`.
//!
//! Input: lines of a step, which begin with it. Output: a header and these lines. Invariant: steps never fall, and the lines
//! of a run that goes on from an earlier step are those of one that never stopped: what stands from that step on, or is torn,
//! is cut off first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::written::Beginning;

/// Longest line in bytes: two numbers, a name and two edges of a bin take far less.
const LONGEST: u64 = 1024;

/// The file, open for one run.
#[derive(Debug)]
pub struct Table {
    file: File,
    path: PathBuf,
    /// Whole steps.
    whole: Beginning,
    /// True if a write failed, so that bytes may stand beyond `whole`.
    torn: bool,
    /// Last step added.
    last: Option<u64>,
    /// What stood before its lines were added.
    before: Beginning,
}

/// The file could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
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
    /// Another file has its name.
    #[error("{} does not begin with `{header}`, so it is left as it is; move it away to have rows written", path.display())]
    Foreign {
        /// First line of such a file.
        header: &'static str,
        /// The file.
        path: PathBuf,
    },
}

impl Table {
    /// The file at `path` with first line `header` for a run that goes on from step `from`: made with its folder where there
    /// is none, else cut so that the rows of earlier steps stay. Rows of step `from` are to be written again.
    ///
    /// # Errors
    ///
    /// [`TableError`] if the file is something else or cannot be opened, read or cut.
    pub fn open(path: &Path, header: &'static str, from: u64) -> Result<Self, TableError> {
        let wrong = |action| move |source| TableError::File { path: path.to_owned(), action, source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(wrong("made"))?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(wrong("opened"))?;
        let found = kept(BufReader::new(&file), header, from).map_err(wrong("read"))?;
        let Some((whole, last)) = found else { return Err(TableError::Foreign { path: path.to_owned(), header }) };
        let mut table = Self { file, path: path.to_owned(), whole, torn: true, last, before: whole };
        if whole.bytes == 0 {
            table.append(format!("{header}\n").as_bytes()).map_err(wrong("written"))?;
        } else {
            table.append(&[]).map_err(wrong("cut"))?;
        }
        Ok(table)
    }

    /// Last step of which it has lines.
    #[must_use]
    pub fn reached(&self) -> Option<u64> {
        self.last
    }

    /// What it holds of steps before `step`, which is that of its last lines or a later one.
    #[must_use]
    pub fn before(&self, step: u64) -> Beginning {
        if self.last == Some(step) { self.before } else { self.whole }
    }

    /// Step of the last whole line of the file at `path`; none if there is no such line.
    #[must_use]
    pub fn last(path: &Path) -> Option<u64> {
        let mut text = BufReader::new(File::open(path).ok()?);
        let (mut line, mut last) = (Vec::new(), None);
        while io::Read::take(&mut text, LONGEST).read_until(b'\n', &mut line).ok()? > 0 {
            last = step(&line).or(last);
            line.clear();
        }
        last
    }

    /// Appends the `lines` of `step`; those of a step that has its lines, or of an earlier one, are passed over. They leave
    /// this process before the call returns; [`Table::sync_later`] forces them to the disk.
    ///
    /// # Errors
    ///
    /// [`TableError::File`] if they cannot be written; the next call cuts off what stands of them.
    pub fn add(&mut self, step: u64, lines: &str) -> Result<(), TableError> {
        if self.last.is_some_and(|last| step <= last) {
            return Ok(());
        }
        let before = self.whole;
        self.append(lines.as_bytes()).map_err(self.wrong("written"))?;
        (self.last, self.before) = (Some(step), before);
        Ok(())
    }

    /// Forces the rows so far to the disk, later, by any thread: a checkpoint of a later step must not outlive them. The error is
    /// [`TableError::File`] if the disk refuses.
    pub fn sync_later(&self) -> impl FnOnce() -> Result<(), TableError> + Send + use<> {
        let (file, wrong) = (self.file.try_clone(), self.wrong("stored"));
        move || file.and_then(|file| file.sync_data()).map_err(wrong)
    }

    fn wrong(&self, action: &'static str) -> impl FnOnce(io::Error) -> TableError + use<> {
        let path = self.path.clone();
        move |source| TableError::File { path, action, source }
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.whole.bytes)?;
        }
        self.torn = true;
        self.file.write_all(lines)?;
        self.torn = false;
        self.whole = self.whole.and(lines);
        Ok(())
    }
}

/// Step of a whole line.
fn step(line: &[u8]) -> Option<u64> {
    str::from_utf8(line.strip_suffix(b"\n")?).ok()?.split_once(',')?.0.parse().ok()
}

/// The `header` and the whole lines of steps before `from`, and the last of these steps: 0 bytes of an empty or torn header, none
/// of another file.
fn kept(mut text: impl BufRead, header: &str, from: u64) -> io::Result<Option<(Beginning, Option<u64>)>> {
    let mut last = None;
    let mut line = Vec::new();
    let mut whole = Beginning::default();
    loop {
        line.clear();
        io::Read::take(&mut text, LONGEST).read_until(b'\n', &mut line)?;
        if whole.bytes == 0 {
            let first = line.strip_suffix(b"\n");
            if first != Some(header.as_bytes()) {
                let torn = first.is_none() && header.as_bytes().starts_with(&line);
                return Ok(torn.then_some((whole, None)));
            }
        } else {
            match step(&line).filter(|&step| step < from) {
                Some(step) => last = Some(step),
                None => return Ok(Some((whole, last))),
            }
        }
        whole = whole.and(&line);
    }
}
