//! All files that grow step by step: `sums.csv`, `probes/NAME.csv`, `NAME.zarr`.
//!
//! Input: what all blocks give at each step at which something is due. Output: files. Invariant: trouble with one of them is
//! kept to be told, and touches no other; a step added again changes nothing. Files of rows that are no longer what was written
//! are refused before a run goes on ([`check`]).

use std::path::{Path, PathBuf};

use super::output::{Group, Layout, OutputError};
use super::reduce::{self, Block};
use super::table::{Table, TableError};
use super::written::{Beginning, Written, WrittenError};
use super::{output, probe, written};
use crate::job::Job;

/// What became of a file at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The step.
    pub step: u64,
    /// Word for events.
    pub event: &'static str,
    /// What there is none of, or less.
    pub what: String,
    /// Why.
    pub problem: String,
    /// True if the disk refused, which another try may change; false if what blocks gave is at fault.
    pub again: bool,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no {} of step {}: {}", self.what, self.step, self.problem)
    }
}

/// The files, open for one run. One that could not be opened is left out.
#[derive(Debug, Default)]
pub struct Series {
    sums: Option<Table>,
    probes: Vec<Option<Table>>,
    outputs: Vec<Option<Group>>,
    troubles: Vec<Trouble>,
    /// The run's folder.
    dir: PathBuf,
}

/// Refuses to go on with a run of `job` in `dir` whose files of rows no longer begin as they were written.
///
/// # Errors
///
/// [`WrittenError`] names the first that does not.
pub fn check(job: &Job, dir: &Path) -> Result<(), WrittenError> {
    let written = Written::read(dir)?;
    let probes = job.probes.iter().map(probe::file_name);
    let sums = (!job.reduces.is_empty()).then(|| reduce::FILE.to_owned());
    sums.into_iter().chain(probes).try_for_each(|name| written.check(dir, &name))
}

impl Series {
    /// The files of `job` with time step `dt` in `dir`, for a run that goes on from step `from`: what they hold of that step on
    /// is cut off.
    #[must_use]
    pub fn open(job: &Job, dt: f64, dir: &Path, from: u64) -> Self {
        let mut series = Self { dir: dir.to_owned(), ..Self::default() };
        series.keep(from, of_written(), Written::forget(dir));
        if !job.reduces.is_empty() {
            let opened = Table::open(&dir.join(reduce::FILE), reduce::HEADER, from);
            series.sums = series.keep(from, sums(), opened);
            let every: Vec<u64> = job.reduces.iter().map(|one| one.every).collect();
            series.troubles.extend(series.sums.as_ref().and_then(|table| lacks(table, &every, from, sums())));
        }
        for one in &job.probes {
            let opened = Table::open(&dir.join(probe::file_name(one)), probe::HEADER, from);
            let opened = series.keep(from, of_probe(&one.name), opened);
            let lacks = opened.as_ref().and_then(|table| lacks(table, &[one.every], from, of_probe(&one.name)));
            series.troubles.extend(lacks);
            series.probes.push(opened);
        }
        for one in &job.outputs {
            let opened = Group::open(Layout::new(job, one, dt), dir, from);
            let opened = series.keep(from, of_output(&one.name), opened);
            for step in opened.iter().flat_map(Group::lacks) {
                let problem = "it was not written, and reads as NaN".to_owned();
                let (event, what) = of_output(&one.name);
                series.troubles.push(Trouble { step, event, what, problem, again: false });
            }
            series.outputs.push(opened);
        }
        series.sync(job, from);
        series
    }

    /// Last step that one of the files in `dir` holds; none if there is no such step.
    #[must_use]
    pub fn last(job: &Job, dt: f64, dir: &Path) -> Option<u64> {
        let sums = (!job.reduces.is_empty()).then(|| Table::last(&dir.join(reduce::FILE))).flatten();
        let probes = job.probes.iter().filter_map(|one| Table::last(&dir.join(probe::file_name(one))));
        let outputs = job.outputs.iter().filter_map(|one| Group::last(&Layout::new(job, one, dt), dir));
        sums.into_iter().chain(probes).chain(outputs).max()
    }

    /// What went wrong since the last call.
    pub fn troubles(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.troubles)
    }

    /// Adds the rows of the reduces `due` at `step`, from what all blocks give.
    pub fn add_sums(&mut self, job: &Job, (step, due): (u64, &[usize]), parts: &[impl AsRef<[u8]>]) {
        let Some(table) = &mut self.sums else { return };
        let blocks: Result<Vec<Block>, _> = parts.iter().map(|bytes| Block::from_bytes(bytes.as_ref())).collect();
        let added = match blocks.and_then(|blocks| reduce::finish(&job.grid, &job.reduces, (step, due), &blocks)) {
            Ok(rows) => table.add(step, &reduce::lines(step, &rows)).map_err(Problem::from),
            Err(error) => Err(Problem { words: error.to_string(), again: false }),
        };
        self.keep(step, sums(), added);
    }

    /// Adds the values of the probes `due` at `step`, which is at `time`, from what all blocks give.
    pub fn add_probes(&mut self, job: &Job, (step, time): (u64, f64), due: &[usize], parts: &[impl AsRef<[u8]>]) {
        let values = match probe::finish(&job.probes, (step, due), parts) {
            Ok(values) => values,
            Err(error) => {
                let problem = Problem { words: error.to_string(), again: false };
                self.keep(step, ("probe-failed", "values of probes".to_owned()), Err::<(), _>(problem));
                return;
            }
        };
        for (&number, value) in due.iter().zip(values) {
            if let Some(table) = &mut self.probes[number] {
                let added = table.add(step, &probe::line((step, time), value));
                self.keep(step, of_probe(&job.probes[number].name), added);
            }
        }
    }

    /// Adds field number `field` of output number `number` at `step`, from what all blocks give. Readers do not see it before
    /// [`Series::publish`]. True if it is there.
    pub fn add_field(
        &mut self,
        job: &Job,
        (number, field): (usize, usize),
        step: u64,
        parts: &[impl AsRef<[u8]>],
    ) -> bool {
        let Some(group) = &mut self.outputs[number] else { return false };
        let added = group.add((field, step), parts);
        self.keep(step, of_output(&job.outputs[number].name), added).is_some()
    }

    /// Shows what was added of output number `number` at `step` to readers.
    pub fn publish(&mut self, job: &Job, number: usize, step: u64) {
        if let Some(group) = &mut self.outputs[number] {
            let published = group.publish(step);
            self.keep(step, of_output(&job.outputs[number].name), published);
        }
    }

    /// Forces all that was added to the disk, since a checkpoint of `step` is to follow.
    pub fn sync(&mut self, job: &Job, step: u64) {
        let mut all = self.rows(job, step).sync();
        for (one, group) in job.outputs.iter().zip(&mut self.outputs) {
            let synced = group.as_mut().map_or(Ok(()), Group::sync);
            all.extend(synced.err().map(|error| Problem::from(error).of(step, of_output(&one.name))));
        }
        self.troubles.extend(all);
    }

    /// [`Series::sync`], to be done later, by any thread. What the disk refuses then of an output is not tried again.
    pub fn sync_later(&mut self, job: &Job, step: u64) -> SyncLater {
        let mut later = self.rows(job, step);
        for (one, group) in job.outputs.iter().zip(&mut self.outputs) {
            if let Some(group) = group {
                let (sync, of) = (group.sync_later(), of_output(&one.name));
                let sync = move || sync().map_err(|error| Problem::from(error).of(step, of));
                later.outputs.push(Box::new(sync));
            }
        }
        later
    }

    /// [`Series::sync_later`] of the files of rows.
    fn rows(&self, job: &Job, step: u64) -> SyncLater {
        let sums = self.sums.iter().map(|table| (sums(), reduce::FILE.to_owned(), table));
        let probes = job.probes.iter().zip(&self.probes);
        let probes =
            probes.filter_map(|(one, table)| Some((of_probe(&one.name), probe::file_name(one), table.as_ref()?)));
        let row = |(of, name, table): (_, String, &Table)| -> LaterRow {
            let (sync, before) = (table.sync_later(), table.before(step));
            Box::new(move || match sync() {
                Ok(()) => Ok((name, before)),
                Err(error) => Err(Problem::from(error).of(step, of)),
            })
        };
        SyncLater { step, dir: self.dir.clone(), rows: sums.chain(probes).map(row).collect(), outputs: Vec::new() }
    }

    /// Keeps what went wrong elsewhere, to be told.
    pub fn add_troubles(&mut self, troubles: Vec<Trouble>) {
        self.troubles.extend(troubles);
    }

    /// What `done` gives; its error is kept to be told.
    fn keep<V, E: Into<Problem>>(&mut self, step: u64, of: (&'static str, String), done: Result<V, E>) -> Option<V> {
        match done.map_err(Into::into) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.troubles.push(problem.of(step, of));
                None
            }
        }
    }
}

/// Forces a file of rows to the disk: its name, and what it holds of earlier steps.
type LaterRow = Box<dyn FnOnce() -> Result<(String, Beginning), Trouble> + Send>;
/// Forces an output to the disk.
type LaterOutput = Box<dyn FnOnce() -> Result<(), Trouble> + Send>;

/// What was added to files and is still to be forced to the disk.
#[derive(Default)]
pub struct SyncLater {
    step: u64,
    dir: PathBuf,
    rows: Vec<LaterRow>,
    outputs: Vec<LaterOutput>,
}

impl SyncLater {
    /// Forces it to the disk, and returns what went wrong.
    #[must_use]
    pub fn sync(self) -> Vec<Trouble> {
        let (rows, mut troubles) = (!self.rows.is_empty(), Vec::new());
        let mut written = Written::default();
        for sync in self.rows {
            match sync() {
                Ok((name, before)) => drop(written.files.insert(name, before)),
                Err(trouble) => troubles.push(trouble),
            }
        }
        let stored = if rows { written.store(&self.dir) } else { Ok(()) };
        troubles.extend(stored.err().map(|error| Problem::from(error).of(self.step, of_written())));
        troubles.extend(self.outputs.into_iter().filter_map(|sync| sync().err()));
        troubles
    }
}

/// Why something is not there, and whether another try may change that.
struct Problem {
    words: String,
    again: bool,
}

impl Problem {
    /// What is to be told of it.
    fn of(self, step: u64, (event, what): (&'static str, String)) -> Trouble {
        Trouble { step, event, what, problem: self.words, again: self.again }
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        Self { words: error.to_string(), again: matches!(error, TableError::File { .. }) }
    }
}

impl From<WrittenError> for Problem {
    fn from(error: WrittenError) -> Self {
        Self { words: error.to_string(), again: false }
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        Self { words: error.to_string(), again: matches!(error, OutputError::File { .. }) }
    }
}

/// What to tell of a `table` that has lines, but not those of the last step before `from` at which some are due, every so many
/// steps: they were made when a run in data-center mode ended in the middle, and only such a run can put them together.
fn lacks(table: &Table, every: &[u64], from: u64, (event, what): (&'static str, String)) -> Option<Trouble> {
    let step = every.iter().filter_map(|every| Some(from.checked_sub(1)? / every * every)).max()?;
    let reached = table.reached().filter(|&reached| reached < step)?;
    let problem = format!(
        "the file ends at step {reached}; if data-center mode ran last, let it go on first (ringfort datacenter run --resume), \
         which adds what is missing"
    );
    Some(Trouble { step, event, what, problem, again: false })
}

fn sums() -> (&'static str, String) {
    ("sums-failed", "sums".to_owned())
}

fn of_written() -> (&'static str, String) {
    ("series-failed", format!("record in {}", written::FILE))
}

fn of_probe(name: &str) -> (&'static str, String) {
    ("probe-failed", format!("value of probe {name}"))
}

fn of_output(name: &str) -> (&'static str, String) {
    ("output-failed", format!("fields in {}", output::folder(name)))
}
