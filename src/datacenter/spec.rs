//! What all workers of a run must agree on, as `DIR/datacenter.json`: decided once, at the start.
//!
//! Input: the job, and what a person asks for. Output: blocks, rounds, generations, bounds. Invariant: values do not depend on
//! it, so another start of the run may decide anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfort_kernels::Role;
use serde::{Deserialize, Serialize};

use super::part::{Whole, shell_cells};
use super::protocol::{Config, Limits};
use super::room::Room;
use crate::advance::footprint::Footprint;
use crate::advance::library::{AnyKernel, Library};
use crate::checkpoint::{Origin, RunId};
use crate::decomp::Cuts;
use crate::exit::{Exit, Failure};
use crate::grid::Extents;
use crate::job::{Every, Job};
use crate::plan::Plan;
use crate::run::folder::FolderError;
use crate::run::memory;
use crate::run::shape::Shape;

/// Blocks for each worker where the job does not say.
const BLOCKS_PER_WORKER: usize = 2;
/// Steps per round where the job does not say.
const STEPS_PER_ROUND: usize = 4;
/// Rounds between snapshots where the job does not say: at least, and at most.
const ROUNDS: (u64, u64) = (16, 64);
/// Shells kept span one way between generations and half of the next: what is computed while a generation is stored.
const HALVES: u64 = 3;
/// That half is no less than so many rounds, or a whole way.
const AHEAD: u64 = 8;
/// Shells kept take at most one part in so many of the memory that is free at the start.
const PART_OF_MEMORY: u64 = 3;

/// What all workers of a run must agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Id of the run.
    pub run: String,
    /// Checkpoint of another run that this one started from, if any.
    #[serde(default)]
    pub parent: Option<String>,
    /// Absolute path of the job file, whose text lies in the run's folder: relative inputs begin at its folder.
    pub job_path: PathBuf,
    /// Overrides in force.
    pub overrides: Vec<String>,
    /// Hash of the job's physics, in hexadecimal.
    pub fingerprint: String,
    /// Blocks along each of the four axes.
    pub blocks: Extents,
    /// Most steps in a round.
    pub steps_per_round: usize,
    /// Time step in seconds.
    pub dt: f64,
    /// Steps between generations.
    pub generation: u64,
    /// Most steps that a block may lead the newest generation by.
    pub lead: u64,
    /// Milliseconds without a sign of life after which a worker's blocks are taken over.
    pub lease_ms: u64,
    /// The run is meant for one worker.
    #[serde(default)]
    pub one_worker: bool,
    /// The ledger.
    pub ledger: String,
    /// The blobs.
    pub blobs: String,
    /// Folder in memory for workers of one host.
    pub shared: PathBuf,
}

/// A run as a worker sees it.
pub struct Run {
    /// What was agreed on.
    pub spec: Spec,
    /// Its id.
    pub id: RunId,
    /// The same, and where it began.
    pub origin: Origin,
    /// The job with its blocks.
    pub whole: Whole,
    /// Where rounds end.
    pub plan: Plan,
}

/// What a person, or the job, asks for.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Workers at the start.
    pub workers: usize,
    /// The ledger, if another than the embedded one.
    pub ledger: Option<String>,
    /// The blobs, if elsewhere than in the run's folder.
    pub blobs: Option<String>,
}

impl Spec {
    /// Decides for `job`, with what to tell about it.
    ///
    /// # Errors
    ///
    /// A usage error if the grid cannot be cut so.
    pub fn new(
        job: &Job,
        footprint: &Footprint,
        (origin, dt, dir): (Origin, f64, &Path),
        wishes: &Wishes,
    ) -> Result<(Self, Vec<String>), Failure> {
        let asked = job.datacenter.blocks.as_deref();
        let wanted = asked.map_or((wishes.workers * BLOCKS_PER_WORKER).max(1), |blocks| blocks.iter().product());
        let steps = job.datacenter.steps_per_round.unwrap_or(match job.torus.steps_per_exchange {
            1 => STEPS_PER_ROUND,
            steps => steps,
        });
        let shape = shape(job, footprint, (wanted, asked), steps)?;
        let mut notes: Vec<String> =
            shape.note.map(|note| note.replace("per exchange", "per round")).into_iter().collect();
        let round = shape.steps_per_exchange;
        let kept = match job.checkpoint.every {
            Some(Every::Steps(steps)) => Some(steps),
            Some(Every::Seconds(_) | Every::Auto { .. }) | None => None,
        };
        let generation = job.datacenter.snapshot_every.unwrap_or_else(|| {
            let most = between_snapshots(job, &shape.cuts, footprint, round);
            let every = kept.map_or(most, |kept| dividing(kept, most));
            if kept != Some(every) && (kept.is_some() || job.checkpoint.every.is_some() || job.time.steps > every) {
                notes.push(format!(
                    "a snapshot every {every} steps; [datacenter] snapshot_every = \"N steps\" sets another number"
                ));
            }
            every
        });
        if !Path::new(MEMORY).is_dir() {
            notes.push(format!(
                "there is no {MEMORY}: workers of this host exchange shells through files in the run's folder"
            ));
        }
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let spec = Self {
            run: origin.run.to_string(),
            parent: origin.parent.map(|parent| parent.to_string()),
            job_path: std::path::absolute(&job.path).unwrap_or_else(|_| job.path.clone()),
            overrides: Vec::new(),
            fingerprint: hex(&job.fingerprint),
            blocks: shape.cuts.parts(),
            steps_per_round: round,
            dt,
            generation,
            lead: generation.saturating_add((generation / 2).max(generation.min(AHEAD * round as u64))),
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.5 s to 24 h")]
            lease_ms: (job.datacenter.lease_s * 1000.0) as u64,
            one_worker: wishes.workers == 1,
            ledger: wishes
                .ledger
                .clone()
                .unwrap_or_else(|| format!("sqlite:{}", absolute.join("ledger.sqlite").display())),
            blobs: wishes.blobs.clone().unwrap_or_else(|| format!("file://{}", absolute.display())),
            shared: shared(origin.run, &absolute),
        };
        Ok((spec, notes))
    }

    /// Writes it into the run's folder, whole or not at all.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        let part = dir.join(format!("{FILE}.part"));
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure::new(Exit::Usage, error))?;
        let written = fs::write(&part, text + "\n").and_then(|()| fs::rename(&part, &path));
        written.map_err(|source| FolderError::Io { action: "write", path, source }.into())
    }

    /// The one in the run's folder.
    ///
    /// # Errors
    ///
    /// A usage error if there is none, damaged data if it cannot be read.
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        let text = fs::read(&path).map_err(|error| {
            Failure::usage(format!(
                "{} holds no run in data-center mode ({}: {error}); start one with ringfort datacenter run",
                dir.display(),
                path.display()
            ))
        })?;
        serde_json::from_slice(&text).map_err(|error| Failure {
            exit: Exit::Damaged,
            ..Failure::usage(format!("{} cannot be read: {error}; start the run again with --resume", path.display()))
        })
    }

    /// The run that it describes, whose job lies in `dir`.
    ///
    /// # Errors
    ///
    /// A usage error if the job is not the one that was agreed on.
    pub fn open(self, dir: &Path, library: &Library) -> Result<Run, Failure> {
        let path = dir.join("job.toml");
        let text = fs::read_to_string(&path)
            .map_err(|source| Failure::from(FolderError::Io { action: "read", path, source }))?;
        let job = Job::parse(&text, &self.job_path, &self.overrides, library).map_err(Failure::report)?;
        self.with(job, library)
    }

    /// The run of `job` that it describes.
    ///
    /// # Errors
    ///
    /// A usage error if the job is not the one that was agreed on.
    pub fn with(self, job: Job, library: &Library) -> Result<Run, Failure> {
        if hex(&job.fingerprint) != self.fingerprint {
            return Err(Failure::usage(
                "the job or one of its input files is not the one that this run was started with; put it back, or start \
                 the run again with --fresh",
            ));
        }
        let kernel: &'static dyn AnyKernel =
            library.find(job.declaration.name).ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
        let id: RunId = self.run.parse().map_err(Failure::usage)?;
        let parent = self.parent.as_deref().map(str::parse).transpose().map_err(Failure::usage)?;
        let cuts = Cuts::new(job.grid.points, self.blocks).map_err(Failure::usage)?;
        let plan = Plan { checkpoint: Some(self.generation), ..Plan::new(&job, self.steps_per_round) };
        let (steps, dt) = (self.steps_per_round, self.dt);
        let whole = Whole { job: Arc::new(job), kernel, cuts, steps, dt, room: Room::default(), shelf: None };
        Ok(Run { spec: self, id, origin: Origin { run: id, parent }, whole, plan })
    }
}

impl Run {
    /// What the protocol needs to know, with `threads` computations at once.
    ///
    /// # Errors
    ///
    /// A usage error if no run could end within these bounds.
    pub fn config(&self, threads: usize) -> Result<Config, Failure> {
        // Who is silent for so long is given up: with the spread of claims after that, and the way back to where it was, its
        // blocks go on about when the lease is over.
        let lease_ms = self.spec.lease_ms * 5 / 8;
        let deadline_ms = (lease_ms / 8).clamp(50, 2_000);
        let blocks = self.whole.cuts.count();
        let limits = Limits {
            lead: self.spec.lead,
            keep: self.whole.job.checkpoint.keep,
            keep_every: match self.whole.job.checkpoint.every {
                Some(Every::Steps(steps)) => steps,
                Some(Every::Seconds(_) | Every::Auto { .. }) | None => self.spec.generation,
            },
            for_good: self.whole.job.checkpoint.keep_every,
            threads,
            one_worker: self.spec.one_worker,
            parked: blocks.saturating_mul(3_usize.pow(4)).min(1 << 16),
            lease_ms,
            poll_ms: (lease_ms / 20).clamp(50, 500),
            deadline_ms,
            patience_ms: 2 * deadline_ms,
        };
        let periodic = std::array::from_fn(|axis| self.whole.job.grid.periodic(axis));
        Config::new(self.plan.clone(), &self.whole.cuts, periodic, limits).map_err(Failure::usage)
    }
}

/// Cuts of the job's grid into `wanted` blocks, or as `asked`; where no cut into as many fits, into fewer.
fn shape(
    job: &Job,
    footprint: &Footprint,
    (wanted, asked): (usize, Option<&[usize]>),
    steps: usize,
) -> Result<Shape, Failure> {
    let mut last = None;
    for count in (1..=wanted).rev() {
        match Shape::new(&job.grid, footprint, count, asked, steps) {
            Ok(shape) => return Ok(shape),
            Err(error) if asked.is_some() => return Err(Failure::usage(error)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| Failure::usage("no blocks"), Failure::usage))
}

/// Steps between snapshots such that the shells kept of all blocks take a small part of this machine's memory.
fn between_snapshots(job: &Job, cuts: &Cuts, footprint: &Footprint, round: usize) -> u64 {
    let deep = footprint.step_radius().map(|cells| cells * round);
    let values = shell_cells(cuts, &job.grid, deep).saturating_mul(job.declaration.of_role(Role::Component).count());
    let bytes = crate::checkpoint::Precision::from(job.precision).bytes().saturating_mul(values).max(1) as u64;
    let room = memory::available().unwrap_or(0) / PART_OF_MEMORY;
    let rounds = (2 * room / bytes / HALVES).clamp(ROUNDS.0, ROUNDS.1);
    rounds * round as u64
}

/// Steps between snapshots where checkpoints are `kept` steps apart: as many as divide that and are close to `most`, if there
/// are such.
fn dividing(kept: u64, most: u64) -> u64 {
    let fewest = kept.div_ceil(most.max(1)).max(1);
    let count = (fewest..fewest + most).find(|&count| kept.is_multiple_of(count) && kept / count >= most / 4);
    count.map_or(kept, |count| kept / count)
}

/// Folder in memory for the workers of one host; one on disk where the system has no such thing.
fn shared(run: RunId, dir: &Path) -> PathBuf {
    let memory = Path::new(MEMORY);
    if memory.is_dir() { memory.join(format!("ringfort-{run}")) } else { dir.join("shared") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const FILE: &str = "datacenter.json";
/// Folder of files in memory.
const MEMORY: &str = "/dev/shm";

#[cfg(test)]
mod tests {
    use super::dividing;

    #[test]
    fn snapshots_divide_what_lies_between_checkpoints() {
        for (kept, most, wanted) in [
            (1000, 512, 500),
            (1000, 128, 125),
            (512, 512, 512),
            (100, 512, 100),
            (5, 512, 5),
            (997, 512, 997),
            (2 * 997, 512, 2 * 997),
            (4 * 499, 512, 499),
        ] {
            assert_eq!(dividing(kept, most), wanted, "{kept} {most}");
        }
    }
}
