//! What a worker did, counted: for people, and for the record of the run.
//!
//! Invariant: the file is written in place at each round, so that it tells of a killed worker's last round too.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::protocol::WorkerId;

/// Bytes that a file of counts is padded to at least, so that a shorter text never leaves the end of a longer one.
const PADDED: usize = 4096;
/// Times that a median is taken over.
const WINDOW: usize = 64;

/// What a worker did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Its process.
    pub pid: u32,
    /// How it ended; none while it runs, and if it was lost.
    pub ended: Option<String>,
    /// Block steps computed.
    pub steps: u64,
    /// Those of them that it had computed before, of blocks that it has owned ever since.
    pub again: u64,
    /// Bytes of shells that it had from other workers.
    pub shell_bytes: u64,
    /// Steps of each block that it computes: how far each is.
    pub blocks: BTreeMap<usize, u64>,
    /// Blocks taken from the living.
    pub stolen: u64,
    /// Requests sent again.
    pub retried: u64,
    /// Chunks stored.
    pub snapshots: u64,
    /// Bytes of these.
    pub snapshot_bytes: u64,
    /// Messages sent.
    pub requests: u64,
    /// Values handed over by pointer, through shared memory, over HTTP.
    pub values: [u64; 3],
    /// Newest complete generation that it knows.
    pub newest: u64,
    /// Median seconds of a round's computing.
    pub compute: f64,
    /// Median seconds between asking for a shell and having it.
    pub fetch: f64,
    /// Median seconds between offering a chunk and its being stored.
    pub commit: f64,
    /// Why shells go over HTTP that should go through shared memory, once they do.
    pub unshared: Option<String>,
    /// Seconds in computing, all threads together.
    pub compute_seconds: f64,
}

/// The last few times of something.
#[derive(Debug, Default)]
pub struct Times(VecDeque<f64>);

impl Times {
    /// Takes note of one.
    pub fn add(&mut self, seconds: f64) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(seconds);
    }

    /// Their median; 0 if there are none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Steps of a block that were computed: from each step that begins a stretch to the one that ends it.
#[derive(Debug, Default)]
pub struct Stretches(BTreeMap<u64, u64>);

impl Stretches {
    /// Takes note of the steps from `from` to `to`; gives how many of them were there before.
    pub fn add(&mut self, from: u64, to: u64) -> u64 {
        let touching = self.0.range(..=to).rev().take_while(|&(_, &end)| end >= from);
        let touching: Vec<(u64, u64)> = touching.map(|(&begin, &end)| (begin, end)).collect();
        let (mut low, mut high, mut before) = (from, to, 0);
        for (begin, end) in touching {
            before += end.min(to).saturating_sub(begin.max(from));
            (low, high) = (low.min(begin), high.max(end));
            self.0.remove(&begin);
        }
        self.0.insert(low, high);
        before
    }
}

/// The file of one worker's counts.
#[derive(Debug)]
pub struct TallyFile(File);

impl TallyFile {
    /// Makes the file of `worker` in the run's folder.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn create(dir: &Path, worker: WorkerId) -> io::Result<Self> {
        let folder = folder(dir);
        fs::create_dir_all(&folder)?;
        File::create_new(folder.join(format!("{:016x}.json", worker.0))).map(Self)
    }

    /// Writes the counts over those before.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn write(&self, tally: &Tally) -> io::Result<()> {
        let mut text = serde_json::to_vec(tally)?;
        let length = (text.len() + 1).next_multiple_of(PADDED);
        text.resize(length - 1, b' ');
        text.push(b'\n');
        self.0.write_all_at(&text, 0)
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("workers")
}

/// The counts of all workers of the run in `dir`, lost ones included.
#[must_use]
pub fn read_all(dir: &Path) -> BTreeMap<WorkerId, Tally> {
    let files = fs::read_dir(folder(dir)).into_iter().flatten().flatten();
    files
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            let id = u64::from_str_radix(name.strip_suffix(".json")?, 16).ok()?;
            let text = fs::read(file.path()).ok()?;
            // A longer text may have stood there before.
            let mut values = serde_json::Deserializer::from_slice(&text).into_iter();
            Some((WorkerId(id), values.next()?.ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_written_whatever_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = TallyFile::create(folder.path(), WorkerId(300)).unwrap();
        let mut long = Tally { steps: 9, ..Tally::default() };
        long.blocks.extend((0..2000).map(|block| (block, 1_000_000)));
        for tally in [Tally::default(), long, Tally { steps: 10, ended: Some("done".into()), ..Tally::default() }] {
            file.write(&tally).unwrap();
            assert_eq!(read_all(folder.path()).get(&WorkerId(300)).map(|read| read.steps), Some(tally.steps));
        }
        assert!(TallyFile::create(folder.path(), WorkerId(300)).is_err());
    }

    #[test]
    fn steps_are_counted_again_that_were_there_before() {
        let mut stretches = Stretches::default();
        // What lies before a stretch was never computed, though a later step was reached.
        let added = [(30, 34), (34, 38), (15, 18), (18, 21), (24, 32), (0, 50), (7, 7), (50, 54)];
        let before = added.map(|(from, to)| stretches.add(from, to));
        assert_eq!(before, [0, 0, 0, 0, 2, 20, 0, 0]);
        assert_eq!(stretches.0, BTreeMap::from([(0, 54)]));
    }

    #[test]
    fn median_of_the_last_times() {
        let mut times = Times::default();
        assert_eq!(times.median(), 0.0);
        (0..1000).for_each(|at| times.add(f64::from(at)));
        assert_eq!(times.median(), 968.0);
    }
}
