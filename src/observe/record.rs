//! The run's record, `run.json`: what ran, from what, where and how fast.
//!
//! Invariant: a reader finds the record before or the record after, never half of one.

mod machine;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use machine::{Cpu, host_name};

/// Largest record that is read, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// What `run.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// Random id of the run.
    pub run: String,
    /// Checkpoint that the run branched from, if any: run id and step, or a path.
    pub parent: Option<String>,
    /// Name of the job.
    pub job: String,
    /// Absolute path of the job file: its folder is where relative inputs begin.
    pub job_path: PathBuf,
    /// BLAKE3 of the job's text as given, in hexadecimal.
    pub job_blake3: String,
    /// Overrides that hold for every start of the run: key and value as TOML text.
    pub overrides: BTreeMap<String, String>,
    /// Files that the job reads.
    pub inputs: Vec<Input>,
    /// The start that wrote this record last.
    #[serde(flatten)]
    pub start: Start,
    /// Earlier starts, oldest first.
    pub history: Vec<Start>,
}

/// One start of a run, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// Version of Ringfort.
    pub version: String,
    /// Commit that it was built from, where known.
    pub commit: Option<String>,
    /// Name of the machine of rank 0.
    pub host: String,
    /// Its processor.
    pub cpu: Cpu,
    /// `torus` or `datacenter`.
    pub mode: String,
    /// Library that carries messages, where there is one.
    pub mpi: Option<String>,
    /// Number of ranks, or of workers.
    pub ranks: usize,
    /// Threads of each rank.
    pub threads: usize,
    /// Parts along each axis of the job.
    pub cuts: Vec<usize>,
    /// Steps between two exchanges, or in a round.
    pub steps_per_exchange: usize,
    /// Seconds since the Unix epoch when it started.
    pub started: f64,
    /// Step that it started from.
    pub from_step: u64,
    /// The numbers of its end; absent while it runs, and if it died.
    #[serde(flatten)]
    pub end: Option<End>,
    /// What it survived, in data-center mode.
    #[serde(flatten)]
    pub survived: Option<Survived>,
}

/// What a start in data-center mode survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survived {
    /// Workers that were lost.
    pub lost: u64,
    /// Block steps that were computed more than once.
    pub recomputed_steps: u64,
    /// Those of them that a worker had computed before itself, of a block that it has owned ever since: none,
    /// unless the only worker of a run was silent for a lease and others took some of its blocks.
    #[serde(default)]
    pub recomputed_by_survivors: u64,
    /// Blocks taken from workers that lived.
    pub stolen: u64,
    /// Requests sent again.
    pub retried: u64,
    /// Chunks stored.
    pub snapshots: u64,
    /// Bytes of these.
    #[serde(default)]
    pub snapshot_bytes: u64,
}

/// How a start went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Seconds from start to end.
    pub seconds: f64,
    /// Last step.
    pub steps: u64,
    /// Cell updates per second of wall time.
    pub updates_per_second: f64,
    /// Seconds in computing, mean over ranks.
    pub compute_seconds: f64,
    /// Seconds in waiting for halos, mean over ranks.
    pub halo_wait_seconds: f64,
    /// Bytes of halos that ranks sent each other, or of shells that workers had from each other.
    #[serde(default)]
    pub halo_bytes: u64,
    /// Seconds that checkpoints held up the steps, of the rank held up longest.
    pub checkpoint_blocking_seconds: f64,
    /// Seconds in sums, of rank 0.
    #[serde(default)]
    pub sums_seconds: f64,
}

/// A file that the job reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// As the job names it.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// BLAKE3 of its content, in hexadecimal.
    pub blake3: String,
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The system refused.
    #[error("{} could not be {action}; check the folder, its permissions and the disk", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Too large to be a record.
    #[error(
        "{} holds more than {} bytes, too many for the record of a run; put the right file back or start with --fresh",
        path.display(),
        MOST_BYTES
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not a record.
    #[error("{} is not the record of a run; put the right file back or start with --fresh", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl Start {
    /// A start of this build on this machine; `simd` names the instruction set in use, `wall` is the time.
    #[must_use]
    pub fn here(simd: &str, wall: f64) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("RINGFORT_COMMIT").map(str::to_owned),
            host: host_name(),
            cpu: Cpu::here(simd),
            started: wall,
            ..Self::default()
        }
    }
}

impl RunRecord {
    /// The record of a new start of the run that `self` tells of: its own start joins the history.
    #[must_use]
    pub fn again(mut self, start: Start) -> Self {
        self.history.push(std::mem::replace(&mut self.start, start));
        self
    }

    /// The record in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if it cannot be read, holds more than 16 MiB, or is no record.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::File { path: path.to_owned(), action: "read", source };
        let mut bytes = Vec::new();
        File::open(path).map_err(wrong)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(wrong)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(RecordError::TooLarge { path: path.to_owned() });
        }
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|source| RecordError::Content { path: path.to_owned(), source })?;
        if record.run.is_empty() {
            let source = serde::de::Error::custom("it has no run id");
            return Err(RecordError::Content { path: path.to_owned(), source });
        }
        Ok(record)
    }

    /// Writes the record to `path`, in the place of one that is there.
    ///
    /// # Errors
    ///
    /// [`RecordError::File`] if it cannot be written; what was there before is then still whole.
    pub fn write_atomically(&self, path: &Path) -> Result<(), RecordError> {
        let wrong = |source| RecordError::File { path: path.to_owned(), action: "written", source };
        let text = serde_json::to_string_pretty(self).map_err(|error| wrong(error.into()))? + "\n";
        replace(path, &text).map_err(wrong)
    }
}

/// Puts a file with `text` in the place of what is at `path`, for good before the call returns.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let replace = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    replace().inspect_err(|_| {
        // The old file counts; a left-over new one would only confuse.
        let _ = fs::remove_file(&new);
    })
}

impl Input {
    /// Length and hash of the file at `path`, which the job calls `name`.
    ///
    /// # Errors
    ///
    /// [`RecordError::File`] if it cannot be read.
    pub fn of(path: &Path, name: &str) -> Result<Self, RecordError> {
        let wrong = |source| RecordError::File { path: path.to_owned(), action: "read", source };
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(wrong)?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(wrong)?;
        Ok(Self { path: name.to_owned(), bytes, blake3: hasher.finalize().to_hex().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn record() -> RunRecord {
        let end = End { seconds: 2.5, steps: 100, updates_per_second: 1e9, ..End::default() };
        let start = Start { ranks: 4, cuts: vec![2, 2], started: 1.7e9, ..Start::here("v3", 1.7e9) };
        let input = Input { path: "bed.npy".to_owned(), bytes: 3, blake3: "00".to_owned() };
        RunRecord {
            run: "5f3a".to_owned(),
            job: "ocean".to_owned(),
            overrides: BTreeMap::from([("kernel.gravity".to_owned(), "1.62".to_owned())]),
            inputs: vec![input],
            start: Start { end: Some(end), ..start },
            ..RunRecord::default()
        }
    }

    #[test]
    fn a_record_comes_back_as_written() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("run.json");
        let again = record().again(Start { from_step: 100, ..Start::here("v4", 2e9) });
        for record in [record(), again] {
            record.write_atomically(&path).expect("write");
            assert_eq!(RunRecord::read(&path).expect("read"), record);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn names_stand_at_the_top() {
        let value = serde_json::to_value(record()).expect("json");
        for name in
            ["run", "parent", "version", "job", "overrides", "inputs", "host", "ranks", "threads", "cuts", "cpu"]
        {
            assert!(value.get(name).is_some(), "{name}");
        }
        assert_eq!((&value["seconds"], &value["steps"], &value["mpi"]), (&2.5.into(), &100.into(), &Value::Null));
        let running = serde_json::to_value(record().again(Start::default())).expect("json");
        assert!(running.get("seconds").is_none());
        assert_eq!(running["history"][0]["updates_per_second"], 1e9);
    }

    #[test]
    fn damage_is_named_and_the_old_record_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("run.json");
        let text = |path: &Path| RunRecord::read(path).expect_err("damaged").to_string();
        assert!(text(&path).contains("could not be read"));
        for content in ["", "{", "[1]", "{}", "{\"run\": 3}", "{\"run\": \"a\", \"ranks\": -1}", "\0\0\0"] {
            fs::write(&path, content).expect("write");
            assert!(text(&path).contains("is not the record of a run"), "{content}");
        }
        File::create(&path).and_then(|file| file.set_len(MOST_BYTES + 1)).expect("write");
        assert!(text(&path).contains("too many"));
        let missing = folder.path().join("none").join("run.json");
        assert!(record().write_atomically(&missing).is_err());
    }

    #[test]
    fn inputs_are_hashed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.bin");
        fs::write(&path, b"abc").expect("write");
        let input = Input::of(&path, "a.bin").expect("hash");
        assert_eq!((input.bytes, input.blake3), (3, blake3::hash(b"abc").to_hex().to_string()));
        assert!(Input::of(folder.path(), "folder").is_err());
    }
}
