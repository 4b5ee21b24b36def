//! `datacenter run`: prepares a run, starts workers on this machine, replaces those that are lost, and tells how far they are.
//!
//! Input: a request. Output: the last checkpoint, images and records, and how it ended. Invariant: the supervisor decides
//! nothing about values and may die at any time: workers then leave, and the next start goes on from the newest generation.

mod children;
mod prepare;
mod report;
mod scraps;
mod views;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::children::{Children, Stand};
use self::prepare::{clear, prepare, updates};
use self::report::Report;
use self::views::Views;
use super::blobs::{Blobs, Generations};
use super::ledger::{Ledger, Sqlite};
use super::protocol::WorkerId;
use super::records::{Keys, Over, Records};
use super::spec::Run;
use super::tally;
use super::transport::{Secret, sweep, sweep_abandoned};
use crate::advance::library::{AnyKernel, Library};
use crate::checkpoint::{self, Checkpoint, Disk};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::job::{Job, Precision};
use crate::observe::record::host_name;
use crate::run::Say;
use crate::run::begin::{Ask, begin};
use crate::run::folder::{How, Values};
use crate::run::signal::Signals;
use crate::run::state::describe;

/// Time between two looks at the workers.
const LOOK: Duration = Duration::from_millis(50);
/// Looks at processes for each look at the run's files.
const FILES: u32 = 4;

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Job file; `None` goes on with what the folder holds.
    pub job: Option<PathBuf>,
    /// Overrides, `key=value`.
    pub overrides: Vec<String>,
    /// Folder of the run; `None`: `out/NAME` of the job.
    pub dir: Option<PathBuf>,
    /// How to begin.
    pub how: How,
    /// Workers to start here.
    pub workers: usize,
    /// Blocks that each computes at once.
    pub threads: usize,
    /// Where the ledger is; `None`: in the run's folder.
    pub ledger: Option<String>,
    /// Where the blobs are; `None`: in the run's folder.
    pub blobs: Option<String>,
    /// Seconds after which the run stops.
    pub max_time: Option<f64>,
    /// Kernels to choose from.
    pub library: Library,
    /// Signals that ask to stop.
    pub signals: Signals,
}

/// The ledger at `address`.
///
/// # Errors
///
/// A usage error if there is no such kind.
pub fn ledger(address: &str) -> Result<Arc<dyn Ledger>, Failure> {
    match address.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Arc::new(Sqlite::new(path))),
        Some(("nats", _)) => Err(Failure::usage("a ledger on NATS is not yet supported; use sqlite:PATH")),
        _ => Err(Failure::usage(format!("`{address}` is no ledger; write sqlite:PATH"))),
    }
}

/// Runs what `request` asks for.
///
/// # Errors
///
/// How it failed.
pub async fn run(request: &Request, say: Say<'_>) -> Result<Exit, Failure> {
    let began = clock::now();
    let ask = Ask {
        job: request.job.as_deref(),
        overrides: &request.overrides,
        dir: request.dir.as_deref(),
        branch: None,
        how: request.how,
        values: Values::Verified,
        library: &request.library,
    };
    let (begin, folder) = begin(&ask, say)?;
    let job = Job::parse(&begin.text, &begin.path, &begin.overrides, &request.library).map_err(Failure::report)?;
    let kernel: &'static dyn AnyKernel = request
        .library
        .find(job.declaration.name)
        .ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
    let run = match job.precision {
        Precision::F64 => prepare::<f64>(request, (&job, kernel), &begin, say)?,
        Precision::F32 => prepare::<f32>(request, (&job, kernel), &begin, say)?,
    };
    let bytes_per_update = match job.precision {
        Precision::F64 => updates::<f64>(&run)?,
        Precision::F32 => updates::<f32>(&run)?,
    };
    let from = begin.from.as_ref().map_or(0, |from| from.step);
    let report = Report::open(request, &run, (&begin, folder), (from, bytes_per_update), began)?;
    if request.how == How::Fresh {
        clear(&begin.dir)?;
    }
    run.spec.write(&begin.dir)?;
    Secret::load(&begin.dir).map_err(Failure::usage)?;
    let blobs = Blobs::from_url(&run.spec.blobs).map_err(Failure::usage)?;
    let ledger = ledger(&run.spec.ledger)?;
    let keys = Keys::new(run.id);
    let views = Views::new(&run, blobs.clone(), (&begin.dir, from), say).await;
    let meta = {
        let (whole, origin) = (run.whole.clone(), run.origin);
        move |step| describe(&whole.job, (whole.cuts, whole.dt), origin, step)
    };
    let generations = Generations::new(blobs, meta).map_err(Failure::usage)?;
    let children = Children::new(&begin.dir, request.threads);
    let mut supervisor =
        Supervisor { request, run, dir: begin.dir.clone(), ledger, keys, generations, children, views, report, from };
    let result = supervisor.supervise(say).await;
    supervisor.finish(result, say).await
}

struct Supervisor<'a> {
    request: &'a Request,
    run: Run,
    dir: PathBuf,
    ledger: Arc<dyn Ledger>,
    keys: Keys,
    generations: Generations,
    children: Children,
    views: Views,
    report: Report,
    from: u64,
}

impl Supervisor<'_> {
    /// Starts workers and watches them until the run is over.
    async fn supervise(&mut self, say: Say<'_>) -> Result<Exit, Failure> {
        let steps = self.run.plan.steps;
        if self.from >= steps {
            return Ok(Exit::Done);
        }
        self.forget_the_dead().await;
        for _ in 0..self.request.workers {
            self.children.start()?;
        }
        let mut looks = 0_u32;
        loop {
            tokio::time::sleep(LOOK).await;
            for (pid, stand) in self.children.look()? {
                self.replace(pid, stand, say).await?;
            }
            if self.request.signals.asked() {
                self.request.signals.agreed();
                return Ok(Exit::Stopped);
            }
            if self.request.max_time.is_some_and(|limit| self.report.seconds() >= limit) {
                return Ok(Exit::Stopped);
            }
            looks += 1;
            if looks.is_multiple_of(FILES) {
                let tallies = tally::read_all(&self.dir);
                let newest = tallies.values().map(|tally| tally.newest).max().unwrap_or(0);
                self.report.progress(&tallies, say);
                self.views.put_together(&mut self.report, say).await;
                let submitted = self.request.workers == 0 && looks.is_multiple_of(5 * FILES);
                if (newest >= steps || submitted) && self.complete().await {
                    return Ok(Exit::Done);
                }
                if looks.is_multiple_of(5 * FILES)
                    && let Some(over) = self.records().await.and_then(|records| records.over)
                {
                    return Err(failure(&over));
                }
            }
        }
    }

    /// True if the last generation is there and whole.
    async fn complete(&self) -> bool {
        let found = self.generations.get_manifest(self.run.plan.steps).await;
        found.is_ok_and(|found| found.is_some_and(|manifest| manifest.intact()))
    }

    async fn records(&self) -> Option<Records> {
        let entries = self.ledger.read(self.keys.prefix()).await.ok()?;
        Some(self.keys.read(&entries))
    }

    /// Removes the records of workers of this machine whose processes are gone, what was said of an earlier end, and which
    /// blocks killed their workers before: whoever starts a run again has changed something.
    async fn forget_the_dead(&self) {
        sweep_abandoned(&self.run.spec.shared);
        let Some(records) = self.records().await else { return };
        let here = host_name();
        let dead = records.cards.iter().filter(|(_, card)| card.machine == here && !lives(card.pid));
        let mut batch: Vec<_> = dead.clone().map(|(&id, _)| self.keys.forget(id)).collect();
        batch.push(self.keys.go_on());
        for (&id, _) in dead {
            let _may_be_gone = sweep(&self.run.spec.shared, id);
        }
        // What stays is found out by its lease.
        let _not_vital = self.ledger.write(&batch).await;
        for write in self.keys.absolve(&records) {
            let _may_have_changed = self.ledger.write(&[write]).await;
        }
    }

    /// What to do about a worker that ended.
    async fn replace(&mut self, pid: u32, stand: Stand, say: Say<'_>) -> Result<(), Failure> {
        let records = self.records().await.unwrap_or_default();
        if let Some(over) = &records.over {
            return Err(failure(over));
        }
        let id = tally::read_all(&self.dir).into_iter().find(|(_, tally)| tally.pid == pid).map(|(id, _)| id);
        if let Some(id) = id {
            let _may_be_gone = sweep(&self.run.spec.shared, id);
        }
        let asked = id.is_some_and(|id| records.drained.contains(&id));
        let who = id.map_or_else(|| format!("worker of pid {pid}"), |WorkerId(id)| format!("worker {id:016x}"));
        match stand {
            Stand::Left if self.complete().await => return Ok(()),
            Stand::Left if asked => {
                say(&format!("{who} left, as it was asked to"));
                self.report.event("left", &who);
                return Ok(());
            }
            Stand::Left => say(&format!("{who} was asked to leave from outside; another takes its place")),
            Stand::Lost(how) => {
                say(&format!("{who} was lost ({how}); another takes its place"));
                self.report.lost += 1;
                if let Some(id) = id {
                    // Without it, its lease tells.
                    let _not_vital = self.ledger.write(&[self.keys.dead(id)]).await;
                }
            }
        }
        self.report.event("lost", &who);
        self.children.start_again()
    }

    /// Ends all workers, puts together what they saw, and writes the record of the end.
    async fn finish(mut self, result: Result<Exit, Failure>, say: Say<'_>) -> Result<Exit, Failure> {
        let patience = if matches!(result, Ok(Exit::Done)) {
            Duration::from_millis(self.run.spec.lease_ms)
        } else {
            Duration::ZERO
        };
        self.children.end(patience.min(Duration::from_secs(10))).await;
        let _may_be_gone = std::fs::remove_dir_all(&self.run.spec.shared);
        scraps::remove(&self.dir);
        let tallies = tally::read_all(&self.dir);
        let step = match &result {
            Ok(Exit::Done) => self.run.plan.steps.max(self.from),
            _ => tallies.values().map(|tally| tally.newest).max().unwrap_or(0).max(self.from),
        };
        let result = match result {
            Ok(Exit::Done) => self.check_last().map(|()| Exit::Done),
            other => other,
        };
        if matches!(result, Ok(Exit::Done)) {
            self.views.finish(&mut self.report, say).await;
            self.prune(say);
            scraps::remove_unfinished(&self.dir, self.run.id);
        } else {
            self.views.put_together(&mut self.report, say).await;
        }
        let exit = result.as_ref().map_or_else(|failure| failure.exit, |&exit| exit);
        self.report.end(exit, (step, self.from, self.run.whole.cuts.count()), &tallies, say);
        if matches!(result, Ok(Exit::Stopped)) {
            say(&format!(
                "stopped early; the newest complete checkpoint is that of step {step}. Continue with --resume, or with \
                 ringfort restart {}",
                self.dir.display()
            ));
        }
        result
    }

    /// Removes checkpoints beyond those that the job keeps.
    fn prune(&self, say: Say<'_>) {
        let keep = self.run.whole.job.checkpoint.keeps();
        let pruned = checkpoint::prune(&Disk, &self.dir, self.run.id, keep, &mut BTreeSet::new());
        for warning in &pruned.warnings {
            say(&format!("warning: an old checkpoint could not be removed: {warning}"));
        }
    }

    /// Reads the last checkpoint as a restart would.
    fn check_last(&self) -> Result<(), Failure> {
        let folder = checkpoint::folder(&self.dir, self.run.plan.steps);
        if !folder.exists() {
            return Ok(());
        }
        let damaged = |error| Failure::new(Exit::Damaged, error);
        Checkpoint::open(&Disk, &folder).map_err(damaged)?.verify_listed().map_err(damaged)
    }
}

fn failure(over: &Over) -> Failure {
    Failure { exit: Exit::of(over.code), ..Failure::usage(&over.words) }
}

/// True if there is a process `pid` on this machine.
pub(super) fn lives(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
