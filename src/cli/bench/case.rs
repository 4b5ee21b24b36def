//! A block that is ready to be stepped: the job of one rank, as a run has it between two checkpoints.
//!
//! Input: a job, its library, threads and the depth of the halo. Output: seconds of steps. Invariant: what is timed
//! is what a run does, exchange and advance of a run's own session, and nothing else; the state goes on from one
//! measurement to the next. Callers ask for no more steps at once than `deepest`, which is all that the halo serves.

use std::path::Path;

use crate::advance::library::{Library, Precise};
use crate::clock;
use crate::exit::Failure;
use crate::job::Job;
use crate::run::shape::Shape;
use crate::torus::look::{self, Verdict};
use crate::torus::peers::FIRST_DEADLINE;
use crate::torus::session::Session;
use crate::torus::threads::Threads;

/// A job of one rank, as far as it has come.
pub(super) struct Case<T: Precise> {
    pub(super) session: Session<T>,
    /// Deepest halo, in steps.
    pub(super) deepest: usize,
    peers: Threads,
    step: u64,
}

/// The job that `text` describes.
pub(super) fn job(text: &str, overrides: &[String], library: &Library) -> Result<Job, Failure> {
    Job::parse(text, Path::new("bench.toml"), overrides, library).map_err(Failure::report)
}

impl<T: Precise> Case<T> {
    /// `job` at its start, with a halo for `deepest` steps or as many as fit.
    pub(super) fn new(job: &Job, library: &Library, threads: usize, deepest: usize) -> Result<Self, Failure> {
        let kernel = library.find(job.declaration.name);
        let kernel = kernel.ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
        let program = T::program(kernel, &job.setup).map_err(|error| Failure::report(job.refuse_kernel(&error)))?;
        let shape = Shape::new(&job.grid, program.footprint(), 1, None, deepest).map_err(Failure::usage)?;
        let mut peers = Threads::group(1, FIRST_DEADLINE).pop().ok_or_else(|| Failure::usage("no rank"))?;
        let session = Session::new(job, kernel, (&shape, threads, 1), None, &mut peers)?;
        Ok(Self { session, deepest: shape.steps_per_exchange, peers, step: 0 })
    }

    /// Seconds of `steps` steps, `at_once` between two exchanges.
    pub(super) fn run(&mut self, steps: u64, at_once: usize) -> Result<f64, Failure> {
        let began = clock::now();
        let end = self.step + steps;
        while self.step < end {
            let to = end.min(self.step + at_once as u64);
            self.session.start_exchange(&mut self.peers);
            self.session.advance(&mut self.peers, self.step..to)?;
            self.step = to;
        }
        Ok(clock::now().duration_since(began).as_secs_f64())
    }

    /// Cells of the grid.
    pub(super) fn cells(&self) -> usize {
        self.session.block().cells()
    }

    /// Refuses a state that is not sound: its speed says nothing.
    pub(super) fn look(&mut self, job: &Job) -> Result<(), Failure> {
        match look::look(job, &self.session, &mut self.peers)? {
            Verdict::Sound => Ok(()),
            verdict => Err(look::diverged(job, &self.session, verdict, (0, self.step))),
        }
    }
}
