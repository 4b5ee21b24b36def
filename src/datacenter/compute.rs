//! Computes blocks on threads of their own.
//!
//! Input: tasks of the protocol. Output: what became of each, in any order. Invariant: a state has storage as long as somebody
//! holds the value that stands for it, and its bytes are made only where somebody needs them.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use bytes::Bytes;

use super::observed::Observed;
use super::part::{Part, Whole};
use super::protocol::{Block, Event, Held, Value};
use crate::advance::library::Precise;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::plan::Plan;
use crate::run::fault::{Fault, Phase};

/// Something to compute.
pub enum Task {
    /// A block from one step to another; from a step to itself, its shell.
    Advance {
        /// Which block.
        block: Block,
        /// Step to start from.
        from: u64,
        /// Step to end at.
        to: u64,
        /// The block after step `from`.
        state: Value,
        /// Its neighbours' shells of step `from`.
        shells: Vec<(Block, Value)>,
    },
    /// The state that the job gives a block at its start.
    Begin(Block),
}

/// What became of a task.
pub enum Computed {
    /// A block went on.
    Advanced {
        /// What to tell the protocol.
        event: Event,
        /// What was observed of the block at the end, for all observers that were due.
        observed: Option<Bytes>,
        /// Seconds that it took.
        seconds: f64,
    },
    /// The state that the job gives a block.
    Begun(Block, Value),
    /// The state is no longer sound.
    Diverged(String),
    /// It cannot be computed here.
    Failed(Failure),
}

/// Threads that compute.
pub struct Threads {
    tasks: Option<mpsc::Sender<Task>>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// A state with its storage, until the block goes on from it.
struct Stored<T: Precise>(Mutex<Option<Box<Part<T>>>>);

impl<T: Precise> Held for Stored<T> {
    fn bytes(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|part| part.state())
    }
}

/// What all tasks of a run share.
struct Machine {
    whole: Whole,
    plan: Plan,
    fault: Option<Fault>,
}

impl Threads {
    /// `count` threads that compute blocks of `whole` and tell `done`. A thread that panics ends the process, so that its
    /// blocks are taken over.
    ///
    /// # Errors
    ///
    /// If the system refuses threads.
    pub fn start<T: Precise>(
        count: usize,
        (whole, plan, fault): (Whole, Plan, Option<Fault>),
        done: impl Fn(Computed) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (tasks, waiting) = mpsc::channel();
        let shared = Arc::new((Mutex::new(waiting), Machine { whole, plan, fault }, done));
        let threads = (0..count).map(|number| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("compute {number}")).spawn(move || {
                let _bomb = Bomb;
                let (waiting, machine, done) = &*shared;
                loop {
                    let task = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(task) = task else { return };
                    done(machine.run::<T>(task));
                }
            })
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { tasks: Some(tasks), threads })
    }

    /// Computes `task`, some time.
    pub fn add(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            // Without threads the process is on its way out.
            let _gone = tasks.send(task);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.tasks = None;
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Ends the process if its thread panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

impl Machine {
    fn run<T: Precise>(&self, task: Task) -> Computed {
        let computed = match task {
            Task::Begin(block) => self.begin::<T>(block).map(|value| Computed::Begun(block, value)),
            Task::Advance { block, from, to, state, shells } => self.advance::<T>(block, (from, to), &state, &shells),
        };
        computed.unwrap_or_else(Computed::Failed)
    }

    fn begin<T: Precise>(&self, block: Block) -> Result<Value, Failure> {
        let mut part = Part::<T>::new(&self.whole, block.0)?;
        part.begin()?;
        let bytes = part.state();
        Ok(stored(part, Some(bytes)))
    }

    fn advance<T: Precise>(
        &self,
        block: Block,
        (from, to): (u64, u64),
        state: &Value,
        shells: &[(Block, Value)],
    ) -> Result<Computed, Failure> {
        let began = clock::now();
        let mut part = self.storage::<T>(block, state)?;
        if to > from {
            let shells: Vec<(usize, &[u8])> = shells.iter().map(|(of, value)| (of.0, &value.bytes()[..])).collect();
            part.advance(&shells, from..to).map_err(|error| Failure::new(Exit::Damaged, error))?;
            if let Some(fault) = &self.fault
                && fault.happens(Phase::Compute, to, block.0)
            {
                part.spoil();
            }
        }
        let due = self.plan.due(to);
        if due.scan
            && to > from
            && let Some(words) = self.unsound(&part, to)
        {
            return Ok(Computed::Diverged(words));
        }
        let observed = Observed::of(&self.whole, &part, (to, &due)).map(|observed| observed.to_bytes());
        let shell = Value::new(part.shell());
        let bytes = match (to == from, due.checkpoint) {
            (true, _) => Some(state.bytes().clone()),
            (false, true) => Some(part.state()),
            (false, false) => None,
        };
        let state = stored(part, bytes);
        if due.checkpoint {
            // Taken here, where it may take its time.
            let _kept = state.digest();
        }
        let event = Event::Advanced { block, from, to, state, shell };
        let seconds = clock::now().duration_since(began).as_secs_f64();
        Ok(Computed::Advanced { event, observed, seconds })
    }

    /// The storage behind `state`, or new storage with its bytes.
    fn storage<T: Precise>(&self, block: Block, state: &Value) -> Result<Box<Part<T>>, Failure> {
        let behind = state.behind::<Stored<T>>();
        if let Some(part) = behind.and_then(|stored| stored.0.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            return Ok(part);
        }
        let mut part = Part::<T>::new(&self.whole, block.0)?;
        part.load(state.bytes()).map_err(|error| Failure::new(Exit::Damaged, error))?;
        Ok(Box::new(part))
    }

    /// What is wrong with the state of `part` after `step`, in words, if anything is.
    fn unsound<T: Precise>(&self, part: &Part<T>, step: u64) -> Option<String> {
        let Whole { job, dt, .. } = &self.whole;
        let no_checkpoint = "no checkpoint was written from this state";
        if let Some((slot, cell)) = part.spoiled() {
            return Some(format!(
                "{} is not a finite number at point {:?} by step {step}; {no_checkpoint}. dt = {dt} s: run with a smaller \
                 step, say --set time.dt={:.3e}",
                job.declaration.fields[slot].name,
                job.grid.own(&cell),
                dt / 2.0,
            ));
        }
        let courant = if job.declaration.rate_of_state { dt * part.largest_rate() } else { 0.0 };
        (courant > 1.0 + 1e-12).then(|| {
            format!(
                "dt = {dt} s is {courant:.4} times the kernel's bound for the state at step {step}; {no_checkpoint}. Run \
                 with a smaller step, say --set time.dt={:.3e}",
                dt / courant * 0.9,
            )
        })
    }
}

fn stored<T: Precise>(part: impl Into<Box<Part<T>>>, bytes: Option<Bytes>) -> Value {
    Value::held(Arc::new(Stored(Mutex::new(Some(part.into())))), bytes)
}
