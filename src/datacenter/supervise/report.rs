//! What the supervisor keeps and tells of a run: `job.toml`, `run.json`, `events.jsonl`, progress, summary.
//!
//! Invariant: trouble with these files is told and never ends a run.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde_json::{Map, json};

use super::Request;
use crate::advance::Simd;
use crate::clock;
use crate::datacenter::protocol::WorkerId;
use crate::datacenter::spec::Run;
use crate::datacenter::tally::Tally;
use crate::exit::{Exit, Failure};
use crate::job::Job;
use crate::observe::events::Events;
use crate::observe::progress::{Pace, Progress, Window, progress_line};
use crate::observe::record::{End, RunRecord, Start, Survived};
use crate::run::Say;
use crate::run::begin::Begin;
use crate::run::folder::{Folder, FolderError};
use crate::run::provenance::{inputs, overrides};
use crate::run::state::{as_f64, time};

/// Seconds of steps that a rate is taken over.
const WINDOW_S: f64 = 30.0;

pub(super) struct Report {
    folder: Folder,
    record: RunRecord,
    events: Option<Events>,
    pace: Pace,
    window: Window,
    began: Instant,
    steps: u64,
    dt: f64,
    cells: f64,
    bytes_per_update: f64,
    blocks: usize,
    /// Workers lost.
    pub(super) lost: u64,
    /// Images drawn.
    pub(super) images: u64,
    /// It was said that shared memory lacks.
    told_unshared: bool,
}

impl Report {
    pub(super) fn open(
        request: &Request,
        run: &Run,
        (begin, mut folder): (&Begin, Folder),
        (from, bytes_per_update): (u64, usize),
        began: Instant,
    ) -> Result<Self, Failure> {
        folder.claim()?;
        let job: &Job = &run.whole.job;
        let start = Start {
            mode: "datacenter".into(),
            ranks: request.workers,
            threads: request.threads,
            cuts: job.grid.own(&run.spec.blocks).to_vec(),
            steps_per_exchange: run.spec.steps_per_round,
            from_step: from,
            ..Start::here(&Simd::detect().to_string(), clock::wall())
        };
        let record = match &folder.earlier {
            Some(earlier) => earlier.clone().again(start),
            None => RunRecord {
                run: folder.run.to_string(),
                job: job.name.clone(),
                job_path: begin.path.clone(),
                job_blake3: blake3::hash(job.text.as_bytes()).to_hex().to_string(),
                overrides: overrides(job),
                inputs: inputs(job),
                start,
                ..RunRecord::default()
            },
        };
        let path = folder.dir.join("job.toml");
        fs::write(&path, &job.text)
            .map_err(|source| Failure::from(FolderError::Io { action: "write", path, source }))?;
        record
            .write_atomically(&folder.dir.join("run.json"))
            .map_err(|error| Failure::from(FolderError::from(error)))?;
        // Counts are of this start.
        let _may_be_gone = fs::remove_dir_all(folder.dir.join("workers"));
        let events = folder.events().ok();
        let mut report = Self {
            folder,
            record,
            events,
            pace: Pace::new(std::io::IsTerminal::is_terminal(&std::io::stderr())),
            window: Window::new(WINDOW_S),
            began,
            steps: run.plan.steps,
            dt: run.whole.dt,
            cells: as_f64(job.grid.region().cells() as u64),
            bytes_per_update: as_f64(bytes_per_update as u64),
            blocks: run.whole.cuts.count(),
            lost: 0,
            images: 0,
            told_unshared: false,
        };
        report.event("start", "");
        Ok(report)
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        clock::now().duration_since(self.began).as_secs_f64()
    }

    /// Notes an event; trouble with the file is no trouble of the run.
    pub(super) fn event(&mut self, event: &str, about: &str) {
        let mut fields = Map::new();
        if !about.is_empty() {
            fields.insert("about".into(), json!(about));
        }
        if let Some(events) = &mut self.events {
            let _not_vital = events.add(event, fields);
        }
    }

    /// Tells how far the run is, when that is due: as far as the block that is least far.
    pub(super) fn progress(&mut self, tallies: &BTreeMap<WorkerId, Tally>, say: Say<'_>) {
        let unshared = tallies.values().find_map(|tally| tally.unshared.as_ref());
        if let Some(why) = unshared.filter(|_| !self.told_unshared) {
            self.told_unshared = true;
            say(&format!(
                "there is no more shared memory for workers of this host ({why}); their shells go through private memory \
                 and, where no file can be had, over HTTP, which is slower"
            ));
        }
        let now = self.seconds();
        let live = tallies.values().filter(|tally| tally.ended.is_none());
        let mut reached: BTreeMap<usize, u64> = BTreeMap::new();
        for (&block, &step) in live.flat_map(|tally| &tally.blocks) {
            let known = reached.entry(block).or_default();
            *known = step.max(*known);
        }
        let all = reached.len() == self.blocks;
        let Some(&step) = reached.values().min().filter(|_| all) else { return };
        self.window.add(now, step);
        if self.pace.due(now) {
            let line = progress_line(&Progress {
                step,
                steps: self.steps,
                time_s: Some(time(step, self.dt)),
                updates_per_second: self.window.steps_per_second().map(|rate| rate * self.cells),
                bytes_per_update: self.bytes_per_update,
                copy_bandwidth: None,
                checkpoint: None,
                remaining_s: self.window.remaining_s(self.steps.saturating_sub(step)),
            });
            let newest = tallies.values().map(|tally| tally.newest).max().unwrap_or(0);
            say(&format!("{line} | checkpoint of step {newest} | {} lost", self.lost));
        }
    }

    /// Writes the record of the end and tells the summary.
    pub(super) fn end(
        &mut self,
        exit: Exit,
        (step, from, blocks): (u64, u64, usize),
        tallies: &BTreeMap<WorkerId, Tally>,
        say: Say<'_>,
    ) {
        let seconds = self.seconds();
        let sum = |part: fn(&Tally) -> u64| tallies.values().map(part).sum::<u64>();
        let computed = sum(|tally| tally.steps);
        let needed = step.saturating_sub(from) * blocks as u64;
        let survived = Survived {
            lost: self.lost,
            recomputed_steps: computed.saturating_sub(needed),
            recomputed_by_survivors: sum(|tally| tally.again),
            stolen: sum(|tally| tally.stolen),
            retried: sum(|tally| tally.retried),
            snapshots: sum(|tally| tally.snapshots),
            snapshot_bytes: sum(|tally| tally.snapshot_bytes),
        };
        let updates = as_f64(step.saturating_sub(from)) * self.cells / seconds;
        let workers = as_f64(tallies.len().max(1) as u64);
        self.record.start.end = Some(End {
            seconds,
            steps: step,
            updates_per_second: updates,
            compute_seconds: tallies.values().map(|tally| tally.compute_seconds).sum::<f64>() / workers,
            halo_wait_seconds: 0.0,
            halo_bytes: sum(|tally| tally.shell_bytes),
            checkpoint_blocking_seconds: 0.0,
            sums_seconds: 0.0,
        });
        self.record.start.survived = Some(survived);
        self.event(if exit == Exit::Done { "end" } else { "stop" }, "");
        if let Err(error) = self.record.write_atomically(&self.folder.dir.join("run.json")) {
            say(&format!("warning: {error}"));
        }
        let values = tallies
            .values()
            .fold([0; 3], |sum: [u64; 3], tally| std::array::from_fn(|way| sum[way] + tally.values[way]));
        say(&format!(
            "steps           {}\nwall time       {seconds:.2} s\nspeed           {:.3e} cell updates per second\n\
             workers lost    {}\nrecomputed      {} block steps of {computed}, {} of them of blocks that were never lost\nstolen          {} blocks\n\
             asked again     {} times\nsnapshots       {} chunks\nimages          {}\nshells          {} by pointer, {} \
             through shared memory, {} over HTTP",
            step.saturating_sub(from),
            updates,
            survived.lost,
            survived.recomputed_steps,
            survived.recomputed_by_survivors,
            survived.stolen,
            survived.retried,
            survived.snapshots,
            self.images,
            values[0],
            values[1],
            values[2],
        ));
    }
}
