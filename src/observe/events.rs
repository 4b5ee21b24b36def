//! The run's log, `events.jsonl`: one JSON object per line, appended.
//!
//! Invariant: ids are unique within the run and Lamport stamps rise, also across restarts; a line torn by a crash is
//! cut off when the file is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::clock;

/// Longest line that is read back, in bytes; longer ones are skipped.
const LONGEST: usize = 1 << 20;

/// The log, open for one worker or rank.
#[derive(Debug)]
pub struct Events {
    file: File,
    path: PathBuf,
    worker: String,
    /// Counter of the next event.
    next: u64,
    /// Stamp of the last event made or seen.
    lamport: u64,
    /// Bytes of whole lines.
    length: u64,
    /// True if a write failed, so that bytes may stand beyond `length`.
    torn: bool,
}

/// The log could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("the log {} could not be {action}; check the disk and the permissions", path.display())]
pub struct EventsError {
    /// The file.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// What the system says.
    pub source: io::Error,
}

impl Events {
    /// The log at `path`, made where there is none; a torn last line is cut off, and ids and stamps go on from those found.
    ///
    /// # Errors
    ///
    /// [`EventsError`] if the file cannot be opened, read or cut.
    pub fn open(path: &Path, worker: &str) -> Result<Self, EventsError> {
        let wrong = |action| move |source| EventsError { path: path.to_owned(), action, source };
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(wrong("opened"))?;
        let found = Found::read(BufReader::new(&file), worker).map_err(wrong("read"))?;
        if file.metadata().map_err(wrong("read"))?.len() > found.length {
            file.set_len(found.length).map_err(wrong("repaired"))?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            worker: worker.to_owned(),
            next: found.next,
            lamport: found.lamport,
            length: found.length,
            torn: false,
        })
    }

    /// Appends `event` with its own `fields`, and returns its id. The line leaves this process whole before the call
    /// returns; it is not forced to the disk.
    ///
    /// # Errors
    ///
    /// [`EventsError`] if the line cannot be written; the next call cuts off what stands of it.
    pub fn add(&mut self, event: &str, fields: Map<String, Value>) -> Result<String, EventsError> {
        self.add_at(clock::wall(), event, fields)
    }

    /// Takes note of a stamp that came with a message: later events get larger ones.
    pub fn saw(&mut self, lamport: u64) {
        self.lamport = self.lamport.max(lamport);
    }

    /// Stamp of the last event made or seen.
    #[must_use]
    pub fn lamport(&self) -> u64 {
        self.lamport
    }

    fn add_at(&mut self, wall: f64, event: &str, fields: Map<String, Value>) -> Result<String, EventsError> {
        let id = format!("{}-{}", self.worker, self.next);
        self.next += 1;
        self.lamport = self.lamport.saturating_add(1);
        let mut line = Map::new();
        line.insert("id".to_owned(), id.clone().into());
        line.insert("lamport".to_owned(), self.lamport.into());
        line.insert("worker".to_owned(), self.worker.clone().into());
        line.insert("wall".to_owned(), wall.into());
        line.insert("event".to_owned(), event.into());
        for (name, value) in fields {
            assert!(!line.contains_key(&name), "event {event} has a field {name} of its own, which every event has");
            line.insert(name, value);
        }
        let line = Value::Object(line).to_string() + "\n";
        self.append(line.as_bytes()).map_err(|source| EventsError {
            path: self.path.clone(),
            action: "written",
            source,
        })?;
        Ok(id)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
        }
        self.torn = true;
        self.file.write_all(line)?;
        self.torn = false;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// What a log holds already.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Bytes of whole lines.
    length: u64,
    /// One more than the worker's largest counter.
    next: u64,
    /// Largest stamp.
    lamport: u64,
}

impl Found {
    fn read(mut log: impl BufRead, worker: &str) -> io::Result<Self> {
        let mut found = Self::default();
        let mut line = Vec::new();
        let mut seen = 0;
        loop {
            let piece = log.fill_buf()?;
            if piece.is_empty() {
                return Ok(found);
            }
            let end = piece.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(piece.len(), |end| end + 1);
            let room = LONGEST.saturating_sub(line.len());
            line.extend_from_slice(&piece[..used.min(room)]);
            log.consume(used);
            seen += used as u64;
            if end.is_some() {
                found.line(&line, worker);
                found.length = seen;
                line.clear();
            }
        }
    }

    /// Takes the counter and the stamp of one line; a line that is no event counts for nothing.
    fn line(&mut self, line: &[u8], worker: &str) {
        let Ok(Value::Object(event)) = serde_json::from_slice(line) else { return };
        let lamport = event.get("lamport").and_then(Value::as_u64).unwrap_or(0);
        self.lamport = self.lamport.max(lamport);
        let own = event.get("id").and_then(Value::as_str).and_then(|id| id.strip_prefix(worker)?.strip_prefix('-'));
        if let Some(counter) = own.and_then(|counter| counter.parse::<u64>().ok()) {
            self.next = self.next.max(counter.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn fields(step: u64) -> Map<String, Value> {
        Map::from_iter([("step".to_owned(), step.into())])
    }

    #[test]
    fn a_line_is_an_object_with_the_common_fields_first() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let mut events = Events::open(&path, "rank0").expect("open");
        assert_eq!(events.add_at(1.5, "checkpoint", fields(7)).expect("write"), "rank0-0");
        events.saw(41);
        events.add_at(2.5, "stop\n", Map::new()).expect("write");
        let expected = "{\"id\":\"rank0-0\",\"lamport\":1,\"worker\":\"rank0\",\"wall\":1.5,\"event\":\"checkpoint\",\"step\":7}\n\
                        {\"id\":\"rank0-1\",\"lamport\":42,\"worker\":\"rank0\",\"wall\":2.5,\"event\":\"stop\\n\"}\n";
        assert_eq!(fs::read_to_string(&path).expect("read"), expected);
    }

    #[test]
    fn a_log_torn_at_any_byte_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let mut events = Events::open(&path, "w-1").expect("open");
        for step in 0..4 {
            events.add_at(0.0, "step", fields(step)).expect("write");
        }
        let whole = fs::read(&path).expect("read");
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).expect("write");
            let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            let mut events = Events::open(&path, "w-1").expect("open");
            assert_eq!(events.add_at(0.0, "again", Map::new()).expect("write"), format!("w-1-{lines}"));
            let text = fs::read_to_string(&path).expect("read");
            assert_eq!(text.lines().count(), lines + 1, "cut at {cut}");
            let last: Value = serde_json::from_str(text.lines().last().expect("line")).expect("whole");
            assert_eq!(last["lamport"], lines + 1);
        }
    }

    #[test]
    fn garbage_is_skipped_and_other_workers_count_for_the_stamp_alone() {
        let long = "x".repeat(3 * LONGEST);
        let log = format!(
            "{{\"id\":\"b-99\",\"lamport\":7}}\nnonsense\n[1]\n{long}\n{{\"id\":\"a-3\",\"lamport\":2}}\n\0\0\0"
        );
        let found = Found::read(BufReader::new(log.as_bytes()), "a").expect("read");
        assert_eq!(found, Found { length: log.len() as u64 - 3, next: 4, lamport: 7 });
    }

    #[test]
    fn failures_are_returned() {
        let folder = tempfile::tempdir().expect("folder");
        let error = Events::open(folder.path(), "a").expect_err("a folder is no log");
        assert!(error.to_string().contains("could not be opened"), "{error}");
    }
}
