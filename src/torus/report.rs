//! What rank 0 keeps and tells of a run: `job.toml`, `run.json`, `events.jsonl`, progress, summary.
//!
//! Invariant: trouble with these files is told and never ends a run: the checkpoints are what counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ringfort_kernels::Real;
use serde_json::{Map, Value, json};

use super::peers::{PeerError, Peers, gather};
use super::pictures::PictureError;
use super::run::{Request, Spent};
use super::save::{Ended, Saved};
use super::session::Session;
use crate::advance::library::Precise;
use crate::checkpoint;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::observe::events::Events;
use crate::observe::progress::{Pace, Progress, Summary, Window, copy_bandwidth, progress_line, summary};
use crate::observe::record::{End, RunRecord, Start};
use crate::observe::series::Series;
use crate::plan::Plan;
use crate::run::Say;
use crate::run::folder::{Folder, FolderError};
use crate::run::provenance::{inputs, overrides};
use crate::run::shape::Shape;
use crate::run::state::{as_f64, time};

/// Seconds of steps that a rate is taken over.
const WINDOW_S: f64 = 30.0;
/// Seconds that measuring the copy bandwidth may take.
pub(super) const BANDWIDTH_S: f64 = 0.03;

/// Rank 0's records of a run under way.
pub struct Report {
    folder: Folder,
    record: RunRecord,
    events: Option<Events>,
    pace: Pace,
    window: Window,
    began: Instant,
    cells: f64,
    bytes_per_update: f64,
    threads: usize,
    copy_bandwidth: Option<f64>,
    checkpoint: Option<(Instant, f64)>,
    /// Checkpoints that were skipped.
    skipped: u64,
    /// Files that grow step by step.
    series: Series,
}

impl Report {
    /// Begins the records of a start in `folder`.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] if the folder cannot be written.
    pub fn open<T: Precise>(
        request: &Request,
        job: &Job,
        path: &Path,
        mut folder: Folder,
        (shape, session, step): (&Shape, &Session<T>, u64),
    ) -> Result<Self, Failure> {
        folder.claim()?;
        let program = session.engine.program();
        let start = Start {
            mode: "torus".into(),
            mpi: request.mpi.clone(),
            ranks: shape.cuts.count(),
            threads: request.threads,
            cuts: job.grid.own(&shape.cuts.parts()).to_vec(),
            steps_per_exchange: shape.steps_per_exchange,
            from_step: step,
            ..Start::here(&program.simd().to_string(), clock::wall())
        };
        let record = match &folder.earlier {
            Some(earlier) => earlier.clone().again(start),
            None => RunRecord {
                run: folder.run.to_string(),
                parent: folder.parent.map(|parent| parent.to_string()),
                job: job.name.clone(),
                job_path: path.into(),
                job_blake3: blake3::hash(job.text.as_bytes()).to_hex().to_string(),
                overrides: overrides(job),
                inputs: inputs(job),
                start,
                history: Vec::new(),
            },
        };
        let job_file = folder.dir.join("job.toml");
        let fail = |source| FolderError::Io { action: "write", path: job_file.clone(), source };
        fs::write(&job_file, &job.text).map_err(|source| Failure::from(fail(source)))?;
        record
            .write_atomically(&folder.dir.join("run.json"))
            .map_err(|error| Failure::from(FolderError::from(error)))?;
        let events = folder.events().ok();
        let updates = program.footprint().values_per_update() * T::BYTES;
        let mut report = Self {
            folder,
            record,
            events,
            pace: Pace::new(std::io::IsTerminal::is_terminal(&std::io::stderr())),
            window: Window::new(WINDOW_S),
            began: clock::now(),
            cells: as_f64(job.grid.region().cells() as u64),
            bytes_per_update: as_f64(updates as u64),
            threads: request.threads * request.ranks_here,
            copy_bandwidth: None,
            checkpoint: None,
            skipped: 0,
            series: Series::default(),
        };
        report.event("start", step, &[("ranks", json!(shape.cuts.count()))]);
        Ok(report)
    }

    /// Takes note of the copy bandwidth, measured before the fields took their memory.
    pub fn set_copy_bandwidth(&mut self, bytes_per_second: f64) {
        self.copy_bandwidth = Some(bytes_per_second);
    }

    /// Step that this start began at.
    #[must_use]
    pub fn from_step(&self) -> u64 {
        self.record.start.from_step
    }

    /// Notes an event; trouble with the file is no trouble of the run.
    pub fn event(&mut self, event: &str, step: u64, fields: &[(&str, Value)]) {
        let mut own = Map::new();
        own.insert("step".into(), json!(step));
        own.extend(fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        if let Some(events) = &mut self.events {
            let _not_vital = events.add(event, own);
        }
    }

    /// Tells how far the run is, when that is due.
    pub fn progress(&mut self, step: u64, plan: &Plan, dt: f64, say: Say<'_>) {
        let now = clock::now();
        let now_s = now.duration_since(self.began).as_secs_f64();
        self.window.add(now_s, step);
        if !self.pace.due(now_s) {
            return;
        }
        let bandwidth = *self.copy_bandwidth.get_or_insert_with(|| copy_bandwidth(self.threads, BANDWIDTH_S));
        say(&progress_line(&Progress {
            step,
            steps: plan.steps,
            time_s: Some(time(step, dt)),
            updates_per_second: self.window.steps_per_second().map(|rate| rate * self.cells),
            bytes_per_update: self.bytes_per_update,
            copy_bandwidth: Some(bandwidth),
            checkpoint: self.checkpoint.map(|(at, took)| (now.duration_since(at).as_secs_f64(), took)),
            remaining_s: self.window.remaining_s(plan.steps - step),
        }));
    }

    /// Tells and notes what became of an image.
    pub fn drawn(&mut self, step: u64, drawn: Result<PathBuf, PictureError>, say: Say<'_>) {
        match drawn {
            Ok(path) => {
                let name = path.strip_prefix(&self.folder.dir).unwrap_or(&path).display().to_string();
                self.event("image", step, &[("file", json!(name))]);
            }
            Err(error) => {
                say(&format!("warning: no image of step {step}: {error}"));
                self.event("image-failed", step, &[("reason", json!(error.to_string()))]);
            }
        }
    }

    /// Opens the files that grow step by step, cut to the step that this start begins at.
    pub fn open_series(&mut self, job: &Job, dt: f64, say: Say<'_>) {
        self.series = Series::open(job, dt, &self.folder.dir, self.from_step());
        self.tell_troubles(say);
    }

    /// The files that grow step by step.
    pub fn series(&mut self) -> &mut Series {
        &mut self.series
    }

    /// Forces what these files hold to the disk, since a checkpoint of `step` is to follow.
    pub fn sync_series(&mut self, job: &Job, step: u64, say: Say<'_>) {
        self.series.sync(job, step);
        self.tell_troubles(say);
    }

    /// Tells and notes what went wrong with these files.
    pub fn tell_troubles(&mut self, say: Say<'_>) {
        for trouble in self.series.troubles() {
            say(&format!("warning: {trouble}"));
            self.event(trouble.event, trouble.step, &[("reason", json!(trouble.problem))]);
        }
    }

    /// Tells and notes what became of a checkpoint, which a person asked for by `request`, if one did.
    pub fn saved(&mut self, ended: &Ended, request: Option<&str>, say: Say<'_>) {
        let step = ended.step;
        let request = request.map(|id| ("request", json!(id)));
        match &ended.saved {
            Saved::Present => self.event("checkpoint-present", step, &Vec::from_iter(request)),
            Saved::Committed { bytes, pruned } => {
                self.checkpoint = Some((clock::now(), ended.blocking_s));
                let fields = [
                    ("bytes", json!(bytes)),
                    ("blocking_seconds", json!(ended.blocking_s)),
                    ("write_seconds", json!(ended.write_s)),
                ];
                self.event("checkpoint", step, &Vec::from_iter(fields.into_iter().chain(request)));
                for warning in &pruned.warnings {
                    say(&format!("warning: an old checkpoint could not be removed: {warning}"));
                    self.event("prune-failed", step, &[("reason", json!(warning.to_string()))]);
                }
            }
            Saved::Void { words } => {
                let name = checkpoint::shown(&checkpoint::folder(&self.folder.dir, step), "");
                say(&format!("warning: no checkpoint {name}: {words}; the run goes on, the one before stands"));
                let fields = [("reason", json!(words))].into_iter().chain(request);
                self.event("checkpoint-failed", step, &Vec::from_iter(fields));
            }
        }
    }

    /// Tells once and notes that no checkpoint of `step` is written since that of step `flight` still is.
    pub fn skipped(&mut self, step: u64, flight: u64, say: Say<'_>) {
        self.event("checkpoint-skipped", step, &[("in_flight", json!(flight))]);
        self.skipped += 1;
        if self.skipped == 1 {
            say(&format!(
                "warning: no checkpoint of step {step}: that of step {flight} is still being written. The run goes on, and others \
                 that come due too early are skipped as well; a longer interval in [checkpoint] or a faster disk avoids this"
            ));
        }
    }

    /// Writes the record of the end and tells the summary.
    pub fn end(&mut self, exit: Exit, (step, seconds): (u64, f64), spents: &[Spent], say: Say<'_>) {
        let ranks = as_f64(spents.len() as u64);
        let mean = |part: fn(&Spent) -> f64| spents.iter().map(part).sum::<f64>() / ranks;
        let blocked = spents.iter().map(|spent| spent.checkpoint).fold(0.0, |a: f64, b| if b > a { b } else { a });
        let updates = as_f64(step - self.from_step()) * self.cells / seconds;
        self.record.start.end = Some(End {
            seconds,
            steps: step,
            updates_per_second: updates,
            compute_seconds: mean(|spent| spent.compute),
            halo_wait_seconds: mean(|spent| spent.halo),
            halo_bytes: spents.iter().map(|spent| spent.halo_bytes).sum(),
            checkpoint_blocking_seconds: blocked,
            sums_seconds: spents.first().map_or(0.0, |first| first.sums),
        });
        self.event(if exit == Exit::Done { "end" } else { "stop" }, step, &[("exit", json!(exit as u8))]);
        if let Err(error) = self.record.write_atomically(&self.folder.dir.join("run.json")) {
            say(&format!("warning: {error}"));
        }
        let first = spents.first().copied().unwrap_or_default();
        say(&summary(&Summary {
            from_step: self.from_step(),
            step,
            seconds,
            updates_per_second: updates,
            bytes_per_update: self.bytes_per_update,
            copy_bandwidth: self.copy_bandwidth,
            compute_seconds: spents.iter().map(|spent| spent.compute).collect(),
            halo_wait_seconds: mean(|spent| spent.halo),
            checkpoints: (first.checkpoints, blocked),
            images: (first.images_drawn, first.images),
            sums: (first.sums_taken, first.sums),
        }));
        if exit == Exit::Stopped {
            say(&format!(
                "stopped early at step {step} after a checkpoint; continue with ringfort restart {}",
                self.folder.dir.display()
            ));
        }
    }
}

/// All ranks' times on rank 0.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost.
pub(super) fn gather_spent<P: Peers + ?Sized>(peers: &mut P, own: &Spent) -> Result<Option<Vec<Spent>>, PeerError> {
    let mut bytes = vec![0; 3 * f64::BYTES];
    for (value, to) in [own.compute, own.halo, own.checkpoint].iter().zip(bytes.chunks_exact_mut(f64::BYTES)) {
        value.write_le(to);
    }
    bytes.extend(own.halo_bytes.to_le_bytes());
    let own = *own;
    Ok(gather(peers, bytes)?.map(|all| {
        all.iter()
            .map(|bytes| {
                let mut values = bytes.chunks_exact(f64::BYTES).map(f64::read_le);
                let mut next = || values.next().unwrap_or(0.0);
                let halo_bytes = bytes.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                Spent { compute: next(), halo: next(), checkpoint: next(), halo_bytes, ..own }
            })
            .collect()
    }))
}
