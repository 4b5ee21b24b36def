//! A run in torus mode: the readable loop.
//!
//! Input: a request and the other ranks. Output: checkpoints, images, records, and how it ended. Invariant: every joint
//! decision is a function of completed control words or of what rank 0 sent to all; no rank decides from its own clock,
//! signal or disk.

mod saving;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use saving::{Asked, Saving};

use super::agree::{agree, decide};
use super::background::Background;
use super::control::{Control, Wishes};
use super::peers::{Peers, gather};
use super::report::Report;
use super::save::Saver;
use super::session::Session;
use super::when::When;
use super::{pictures, report, series};
use crate::advance::library::{AnyKernel, Library, Precise};
use crate::checkpoint::{Checkpoint, CheckpointError, Disk, Origin, RunId};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::grid::Region;
use crate::job::{Job, Precision};
use crate::observe::progress::{COPIED_BYTES, copy_bandwidth};
use crate::plan::{Due, Plan, Round};
use crate::run::Say;
use crate::run::begin::{Ask, Begin, begin};
use crate::run::fault::{Fault, Phase};
use crate::run::folder::{Folder, How, Values};
use crate::run::limit::limit;
use crate::run::shape::Shape;
use crate::run::signal::Signals;
use crate::run::space;
use crate::run::state::{as_f64, describe, time, timed};

/// What a person asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Job file; `None` restarts what the folder holds.
    pub job: Option<PathBuf>,
    /// Overrides, `key=value`.
    pub overrides: Vec<String>,
    /// Folder of the run; `None`: `out/NAME` of the job.
    pub dir: Option<PathBuf>,
    /// Folder of a new run that goes on from the newest checkpoint of the one in `dir`.
    pub branch: Option<PathBuf>,
    /// How to begin.
    pub how: How,
    /// Ranks along each axis of the job.
    pub ranks: Option<Vec<usize>>,
    /// Threads of each rank.
    pub threads: usize,
    /// Steps between two exchanges.
    pub steps_per_exchange: Option<usize>,
    /// Seconds after which the run stops with a checkpoint.
    pub max_time: Option<f64>,
    /// Name of the MPI library, where there is one.
    pub mpi: Option<String>,
    /// Ranks on this machine, for the memory that they need together.
    pub ranks_here: usize,
    /// Kernels to choose from.
    pub library: Library,
    /// Signals that ask to stop.
    pub signals: Signals,
}

/// Runs what `request` asks for, all ranks together.
///
/// # Errors
///
/// How it failed, the same on every rank; rank 0 has the words to print.
pub fn run<P: Peers + ?Sized>(request: &Request, peers: &mut P, say: Say<'_>) -> Result<Exit, Failure> {
    let began = clock::now();
    let mut folder = None;
    let begin = decide(peers, || {
        let ask = Ask {
            job: request.job.as_deref(),
            overrides: &request.overrides,
            dir: request.dir.as_deref(),
            branch: request.branch.as_deref(),
            how: request.how,
            values: Values::ToBeRead,
            library: &request.library,
        };
        let (begin, opened) = begin(&ask, say)?;
        folder = Some(opened);
        serde_json::to_vec(&begin).map_err(|error| Failure::new(Exit::Usage, error))
    })?;
    let read = serde_json::from_slice::<Begin>(&begin).map_err(|error| Failure::new(Exit::Usage, error));
    let begin = agree(peers, read)?;
    let job = Job::parse(&begin.text, &begin.path, &begin.overrides, &request.library);
    let job = agree(peers, job.map_err(Failure::report))?;
    peers.set_deadline(Duration::from_secs_f64(job.torus.deadline_s));
    let kernel = request.library.find(job.declaration.name);
    let kernel = agree(peers, kernel.ok_or_else(|| Failure::usage("the kernel is not in this program")))?;
    let start = Start { request, job: &job, kernel, begin, began };
    match job.precision {
        Precision::F64 => start.go::<f64, P>(folder, peers, say),
        Precision::F32 => start.go::<f32, P>(folder, peers, say),
    }
}

/// A run about to begin.
struct Start<'a> {
    request: &'a Request,
    job: &'a Job,
    kernel: &'static dyn AnyKernel,
    begin: Begin,
    began: std::time::Instant,
}

impl Start<'_> {
    fn go<T: Precise, P: Peers + ?Sized>(
        mut self,
        mut folder: Option<Folder>,
        peers: &mut P,
        say: Say<'_>,
    ) -> Result<Exit, Failure> {
        let (request, job, began) = (self.request, self.job, self.began);
        let fault = agree(peers, Fault::from_environment().map_err(Failure::usage))?;
        // What is copied for this must not come on top of large fields, later; small ones may not need it at all.
        let large = job.grid.region().cells() * T::BYTES > COPIED_BYTES;
        let bandwidth = (folder.is_some() && large)
            .then(|| copy_bandwidth(request.threads * request.ranks_here, report::BANDWIDTH_S));
        let (shape, session) = self.session_of_a_whole_checkpoint::<T, P>(&mut folder, peers, say)?;
        let begin = &self.begin;
        if let (0, Some(note)) = (peers.rank(), &shape.note) {
            say(note);
        }
        let origin = begin.origin()?;
        let step = begin.from.as_ref().map_or(0, |from| from.step);
        // Before the log says that the run began: from then on people ask.
        let asked = Asked::new(&begin.dir, peers.rank() == 0);
        let opened = match folder {
            Some(folder) => Report::open(request, job, &begin.path, folder, (&shape, &session, step)).map(Some),
            None => Ok(None),
        };
        let mut report = agree(peers, opened)?;
        if let Some(report) = report.as_mut() {
            report.open_series(job, session.dt, say);
            bandwidth.into_iter().for_each(|bandwidth| report.set_copy_bandwidth(bandwidth));
        }
        let bytes = describe(job, (session.cuts, session.dt), origin, step).size().1;
        let (limit_s, words) = limit(request.max_time);
        let when = When::new(job, began, limit_s, bytes);
        if report.is_some() {
            let warning = space::warning(&Disk, (&begin.dir, origin.run), bytes);
            words.into_iter().chain(warning).for_each(|words| say(&words));
        }
        let saving = agree(peers, saving(job, &session, (&begin.dir, fault.clone())))?;
        let mut running = Running {
            request,
            job,
            dir: begin.dir.clone(),
            origin,
            branches: begin.branches(),
            plan: Plan::new(job, shape.steps_per_exchange),
            session,
            saving,
            control: Control::default(),
            fault,
            report,
            step,
            sound: step,
            when,
            asked,
            spent: Spent::default(),
            began,
            lost: None,
        };
        let exit = running.steps(peers, say)?;
        running.finish(exit, peers, say)
    }

    /// [`Start::session`] from the newest checkpoint that can be read; only then it is known to be whole.
    fn session_of_a_whole_checkpoint<T: Precise, P: Peers + ?Sized>(
        &mut self,
        folder: &mut Option<Folder>,
        peers: &mut P,
        say: Say<'_>,
    ) -> Result<(Shape, Session<T>), Failure> {
        loop {
            let read = RefCell::new(None);
            let failure = match self.session::<T, P>(peers, &read) {
                Err(failure) if failure.exit == Exit::Damaged => failure,
                other => return other,
            };
            // All ranks had come to the reading, or none.
            let Some(words) = read.into_inner() else { return Err(failure) };
            let all = gather(peers, words.into_bytes())?.unwrap_or_default();
            let next = decide(peers, || {
                let Some(folder) = folder else { return Err(failure) };
                let first = all.iter().find(|words| !words.is_empty());
                folder.pass_over(&first.map(|words| String::from_utf8_lossy(words)).unwrap_or_default())?;
                folder.notes.iter().for_each(|note| say(note));
                let next = (&folder.from, folder.parent.map(|parent| parent.to_string()));
                serde_json::to_vec(&next).map_err(|error| Failure::new(Exit::Usage, error))
            })?;
            let next = serde_json::from_slice(&next).map_err(|error| Failure::new(Exit::Usage, error));
            (self.begin.from, self.begin.parent) = agree(peers, next)?;
        }
    }

    /// Lays the job out on the ranks and fills its fields. `read` becomes what is wrong with the checkpoint as soon as it is read,
    /// nothing if all is well on this rank.
    fn session<T: Precise, P: Peers + ?Sized>(
        &self,
        peers: &mut P,
        read: &RefCell<Option<String>>,
    ) -> Result<(Shape, Session<T>), Failure> {
        let Self { request, job, kernel, begin, .. } = self;
        begin.check(job)?;
        let program =
            agree(peers, T::program(*kernel, &job.setup).map_err(|error| Failure::report(job.refuse_kernel(&error))))?;
        let asked = request.ranks.as_deref().or(job.torus.ranks.as_deref());
        let steps = request.steps_per_exchange.unwrap_or(job.torus.steps_per_exchange);
        let shape = Shape::new(&job.grid, program.footprint(), peers.ranks(), asked, steps).map_err(Failure::usage)?;
        drop(program);
        let storable = describe(job, (shape.cuts, 1.0), RunId([0; 16]).into(), 0).check();
        agree(peers, storable.map_err(|error| Failure::new(Exit::Usage, CheckpointError::from(error))))?;
        let threads = (&shape, request.threads, request.ranks_here);
        let session = match &begin.from {
            None => Session::new(job, *kernel, threads, None, peers)?,
            Some(from) => {
                let damaged = |error: CheckpointError| {
                    *read.borrow_mut() = Some(error.to_string());
                    Failure::new(Exit::Damaged, error)
                };
                *read.borrow_mut() = Some(String::new());
                let opened = Checkpoint::open(&Disk, &from.folder);
                let checkpoint = agree(peers, opened.map_err(damaged))?;
                // What comes before the values has its own failures.
                *read.borrow_mut() = None;
                let mut restore = |slot: usize, region: &Region, out: &mut [T]| {
                    read.borrow_mut().get_or_insert_default();
                    let name = job.declaration.fields[slot].name;
                    let component = checkpoint.component(name);
                    let component =
                        component.ok_or_else(|| Failure::usage(format!("the checkpoint holds no component {name}")))?;
                    checkpoint.read_region(component, region, out).map_err(damaged)
                };
                Session::new(job, *kernel, threads, Some((from.dt, &mut restore)), peers)?
            }
        };
        Ok((shape, session))
    }
}

/// How the rank that holds `session` writes checkpoints in `dir`.
fn saving<T: Precise>(
    job: &Job,
    session: &Session<T>,
    (dir, fault): (&Path, Option<Fault>),
) -> Result<Saving<T>, Failure> {
    let keep = job.checkpoint.keeps();
    let saver = Saver { store: Arc::new(Disk), run_dir: dir.into(), keep, fault, known: BTreeSet::new() };
    if !job.checkpoint.overlaps(job.time.steps) {
        return Ok(Saving::InLockStep(saver));
    }
    let started = Background::start(job, session, saver);
    let refused =
        |error| Failure::usage(format!("no thread to write checkpoints: {error}; set async = false in [checkpoint]"));
    started.map(|background| Saving::InBackground(Box::new(background))).map_err(refused)
}

/// Seconds by what they were spent on, on this rank, and what was done in them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Computing.
    pub compute: f64,
    /// Waiting for halos.
    pub halo: f64,
    /// Bytes of halos sent to other ranks.
    pub halo_bytes: u64,
    /// In checkpoints.
    pub checkpoint: f64,
    /// Number of checkpoints.
    pub checkpoints: u64,
    /// In images.
    pub images: f64,
    /// Number of images.
    pub images_drawn: u64,
    /// In sums, probes and outputs.
    pub sums: f64,
    /// Number of steps with any of them.
    pub sums_taken: u64,
}

/// A run under way on one rank.
struct Running<'a, T: Precise> {
    request: &'a Request,
    job: &'a Job,
    dir: PathBuf,
    origin: Origin,
    plan: Plan,
    session: Session<T>,
    saving: Saving<T>,
    control: Control,
    fault: Option<Fault>,
    /// True if the state is another run's.
    branches: bool,
    /// Rank 0's records.
    report: Option<Report>,
    step: u64,
    /// Last step whose state was found sound.
    sound: u64,
    /// Rank 0's clock.
    when: When,
    /// What people ask for.
    asked: Asked,
    spent: Spent,
    began: std::time::Instant,
    /// Why the last checkpoint does not exist, if it does not.
    lost: Option<String>,
}

impl<T: Precise> Running<'_, T> {
    /// The loop: exchange and advance, decide, look, draw, save.
    fn steps<P: Peers + ?Sized>(&mut self, peers: &mut P, say: Say<'_>) -> Result<Exit, Failure> {
        if self.step == 0 {
            self.look(peers, say)?;
            self.draw(&self.plan.due(0).images, peers, say)?;
        }
        if self.branches {
            // From here on the run's folder holds all that it needs.
            self.save(None, true, peers, say)?;
        }
        // A restart adds what is due at its step anew: the files were cut there.
        self.append(&self.plan.due(self.step), peers, say)?;
        while let Some(round) = self.plan.round(self.step) {
            let decided = self.advance(&round, peers, say)?;
            let save = round.due.checkpoint || decided.checkpoint || decided.stop();
            let copied = self.look_or_copy(save, round.due.scan, peers, say)?;
            self.draw(&round.due.images, peers, say)?;
            self.append(&round.due, peers, say)?;
            if save {
                let last = decided.stop() || self.step == self.plan.steps;
                self.save(copied, last, peers, say)?;
            }
            if decided.stop() && self.step < self.plan.steps {
                return Ok(Exit::Stopped);
            }
            if let Some(report) = &mut self.report {
                report.progress(self.step, &self.plan, self.session.dt, say);
            }
        }
        Ok(Exit::Done)
    }

    /// One round; returns what the ranks decided.
    fn advance<P: Peers + ?Sized>(&mut self, round: &Round, peers: &mut P, say: Say<'_>) -> Result<Wishes, Failure> {
        let began = clock::now();
        self.session.start_exchange(peers);
        let own = self.wishes();
        let decided = self.exchange_words(own, peers, say)?;
        self.happens(Phase::Exchange, round.start);
        let waited = self.session.advance(peers, round.start..round.end)?;
        self.step = round.end;
        self.spent.halo += waited;
        self.spent.halo_bytes += self.session.exchange_bytes();
        self.spent.compute += clock::now().duration_since(began).as_secs_f64() - waited;
        if self.happens(Phase::Compute, self.step) {
            self.session.spoil();
        }
        Ok(decided)
    }

    /// What this rank wishes at an exchange.
    fn wishes(&mut self) -> Wishes {
        let mut own = Wishes { signal: self.request.signals.asked(), ..Wishes::default() };
        if self.report.is_none() {
            return own;
        }
        let now = clock::now();
        let steps = as_f64(self.step.saturating_sub(self.first_step())).max_or(1.0);
        let round_s = (self.spent.compute + self.spent.halo) / steps * as_f64(self.plan.round);
        own.time_up = self.when.time_up(now, round_s);
        own.checkpoint = self.when.due(now) | self.is_asked(now);
        own
    }

    fn first_step(&self) -> u64 {
        self.report.as_ref().map_or(0, Report::from_step)
    }

    fn draw<P: Peers + ?Sized>(&mut self, images: &[usize], peers: &mut P, say: Say<'_>) -> Result<(), Failure> {
        for &image in images {
            let time = time(self.step, self.session.dt);
            let (drawn, seconds) =
                timed(|| pictures::draw(self.job, &self.session, (image, self.step, time), &self.dir, peers));
            self.spent.images += seconds;
            self.spent.images_drawn += 1;
            if let (Some(drawn), Some(report)) = (drawn?, &mut self.report) {
                report.drawn(self.step, drawn, say);
            }
        }
        Ok(())
    }

    /// Adds what is due to the files that grow step by step.
    fn append<P: Peers + ?Sized>(&mut self, due: &Due, peers: &mut P, say: Say<'_>) -> Result<(), Failure> {
        if !due.appends() {
            return Ok(());
        }
        let series = self.report.as_mut().map(Report::series);
        let (added, seconds) = timed(|| series::append(self.job, &self.session, (self.step, due), series, peers));
        self.spent.sums += seconds;
        self.spent.sums_taken += 1;
        added?;
        if let Some(report) = &mut self.report {
            report.tell_troubles(say);
        }
        Ok(())
    }

    fn happens(&self, phase: Phase, step: u64) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.happens(phase, step, self.session.part))
    }

    /// Completes what is under way, writes the record of the end.
    fn finish<P: Peers + ?Sized>(mut self, exit: Exit, peers: &mut P, say: Say<'_>) -> Result<Exit, Failure> {
        self.control.complete(peers)?;
        let seconds = clock::now().duration_since(self.began).as_secs_f64();
        let spents = report::gather_spent(peers, &self.spent)?;
        let exit = if self.lost.is_some() { Exit::Unsaved } else { exit };
        if let (Some(report), Some(spents)) = (&mut self.report, spents) {
            report.end(exit, (self.step, seconds), &spents, say);
        }
        match self.lost {
            Some(words) => Err(Failure {
                exit: Exit::Unsaved,
                report: Failure::usage(format!(
                    "the last checkpoint (step {}) could not be written: {words}; make room and run with --resume",
                    self.step
                ))
                .report,
            }),
            None => Ok(exit),
        }
    }
}

/// The larger of two numbers, for divisors.
trait MaxOr {
    fn max_or(self, least: f64) -> f64;
}

impl MaxOr for f64 {
    fn max_or(self, least: f64) -> f64 {
        if self > least { self } else { least }
    }
}
