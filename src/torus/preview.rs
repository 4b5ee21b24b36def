//! What a run of a job would take, without running: layout, memory, messages, checkpoints, time step.
//!
//! Input: job, ranks. Output: a [`Preview`]. Nothing is written, and no field is held in memory: every value of the
//! start is looked at box by box. Invariant: layout, values and time step are checked by the functions that a run
//! calls, in the same words, so that what passes here a run accepts. Memory and messages are those of the part that
//! needs most, of every kind of part that the cuts make.

use ringfort_kernels::{Given, Role};

use super::halo::traffic;
use crate::advance::library::{Library, Precise};
use crate::advance::{Engine, wraps};
use crate::checkpoint::{CheckpointError, RunId};
use crate::decomp::Cuts;
use crate::exit::{Exit, Failure};
use crate::field::Layout;
use crate::grid::{AXES, Grid, Region};
use crate::job::{Every, Job, Precision};
use crate::plan::Plan;
use crate::run::boxes::Boxes;
use crate::run::inputs::only_at_start;
use crate::run::shape::Shape;
use crate::run::state::describe;
use crate::run::{bound, memory, threads_of_each};

/// What a person asks for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Ranks along each axis of the job.
    pub ranks: Option<Vec<usize>>,
    /// Number of ranks; else the product of those along the axes, else 1.
    pub count: Option<usize>,
    /// The ranks are for other machines, so that the memory of this one is no limit.
    pub elsewhere: bool,
    /// Steps between two exchanges.
    pub steps_per_exchange: Option<usize>,
    /// Threads of each rank.
    pub threads: Option<usize>,
}

/// What a run would take.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Layout in force.
    pub shape: Shape,
    /// Time step in seconds.
    pub dt: f64,
    /// `dt` times the largest rate at the start: at most 1.
    pub courant: f64,
    /// Longest time step within the kernel's bound at the start; none where nothing bounds it.
    pub longest_dt: Option<f64>,
    /// Most bytes that a rank holds at a time: fields, planes between steps, messages, a box of values on their way from or to a
    /// file; the program itself comes on top.
    pub rank_bytes: u64,
    /// Most of these that are for the copy which checkpoints are written from; 0 where the run waits for each.
    pub copy_bytes: u64,
    /// Bytes that may still be allocated on this machine.
    pub available: Option<u64>,
    /// Most messages that a rank sends in an exchange.
    pub messages: u64,
    /// Most bytes that a rank sends in an exchange.
    pub halo_bytes: u64,
    /// Files of a checkpoint.
    pub files: u64,
    /// Bytes of a checkpoint, those that pad border chunks included.
    pub checkpoint_bytes: u64,
}

impl Preview {
    /// Preview of `job`; `progress` hears the share of the grid whose values were looked at.
    ///
    /// # Errors
    ///
    /// What a run would refuse, in the same words: layout, memory, values, time step.
    pub fn of(job: &Job, library: &Library, ask: &Ask, progress: &mut dyn FnMut(f64)) -> Result<Self, Failure> {
        match job.precision {
            Precision::F64 => preview::<f64>(job, library, ask, progress),
            Precision::F32 => preview::<f32>(job, library, ask, progress),
        }
    }

    /// Number of ranks.
    #[must_use]
    pub fn ranks(&self) -> usize {
        self.shape.cuts.count()
    }

    /// Bytes of all ranks together.
    #[must_use]
    pub fn all_bytes(&self) -> u64 {
        self.rank_bytes.saturating_mul(self.ranks() as u64)
    }
}

/// Checkpoints that `job` writes by its steps; those that the clock asks for are not counted.
#[must_use]
pub fn checkpoints(job: &Job) -> u64 {
    let steps = job.time.steps;
    match job.checkpoint.every {
        _ if steps == 0 => 0,
        Some(Every::Steps(every)) => steps.div_ceil(every),
        Some(Every::Seconds(_) | Every::Auto { .. }) | None => 1,
    }
}

fn preview<T: Precise>(
    job: &Job,
    library: &Library,
    ask: &Ask,
    progress: &mut dyn FnMut(f64),
) -> Result<Preview, Failure> {
    let kernel = library.find(job.declaration.name);
    let kernel = kernel.ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
    let asked = ask.ranks.as_deref().or(job.torus.ranks.as_deref());
    let product = asked.map(|asked| asked.iter().fold(1_usize, |all, &count| all.saturating_mul(count)));
    let ranks = ask.count.or(product).unwrap_or(1);
    let threads = ask.threads.unwrap_or_else(|| if ask.elsewhere { 1 } else { threads_of_each(ranks) });
    let engine = |block: Region| bound::engine::<T>(job, kernel, (&block, 1.0, threads));
    let steps = ask.steps_per_exchange.unwrap_or(job.torus.steps_per_exchange);
    let whole = engine(job.grid.region())?;
    let shape = Shape::new(&job.grid, whole.program().footprint(), ranks, asked, steps).map_err(Failure::usage)?;
    let refuse = |error| Failure::new(Exit::Usage, CheckpointError::from(error));
    describe(job, (shape.cuts, 1.0), RunId([0; 16]).into(), 0).check().map_err(refuse)?;

    let components = job.declaration.of_role(Role::Component).count();
    let (mut rank_bytes, mut copy_bytes, mut messages, mut halo_bytes) = (0, 0, 0, 0);
    for part in unlike(&shape.cuts) {
        let block = shape.cuts.block(part);
        let engine = engine(block)?;
        let width = engine.halo(shape.steps_per_exchange);
        let (sent, bytes) = traffic((&job.grid, &shape.cuts, part), width, components * T::BYTES);
        let held = message_bytes(job, &engine, (&job.grid, &shape.cuts, part), width);
        let fields = field_bytes(job, &engine, &block, shape.steps_per_exchange);
        let values = Boxes::of(&block).get(0).cells() * T::BYTES;
        rank_bytes = rank_bytes.max((fields + held + values) as u64);
        copy_bytes = copy_bytes.max(memory::copy_bytes::<T>(job, block.cells()) as u64);
        messages = messages.max(sent as u64);
        halo_bytes = halo_bytes.max(bytes as u64);
    }
    if !ask.elsewhere {
        memory::fits(usize::try_from(rank_bytes).unwrap_or(usize::MAX), ranks)?;
    }
    let rate = bound::survey::<T>(job, kernel, progress)?;
    let (dt, courant) = bound::time_step(job, None, rate)?;
    let meta = describe(job, (shape.cuts, dt), RunId([0; 16]).into(), job.time.steps);
    let (files, checkpoint_bytes) = meta.size();
    Ok(Preview {
        shape,
        dt,
        courant,
        longest_dt: (rate > 0.0).then(|| bound::longest_step(rate)),
        rank_bytes,
        copy_bytes,
        available: memory::available(),
        messages,
        halo_bytes,
        files,
        checkpoint_bytes,
    })
}

/// Most bytes of fields that are written to at a time, with the planes between steps and the copy of a checkpoint: at the start those that it reads, without
/// second levels; later without those that only the start reads, nor those that pass values between stages where every round
/// is one pass, since these then are planes between steps.
fn field_bytes<T: Precise>(job: &Job, engine: &Engine<T>, block: &Region, steps: usize) -> usize {
    let extent = block.extent;
    let footprint = engine.program().footprint();
    let fields = &job.declaration.fields;
    let one = Layout::new(extent, engine.halo(steps)).bytes(T::BYTES);
    let varies = |slot: usize| match fields[slot].role {
        Role::Component => true,
        Role::Coefficient | Role::Start => job.setup.given[slot] == Given::Varying,
        Role::Prepared => footprint.uses(slot),
        Role::Scratch | Role::Derived => false,
    };
    let start = (0..fields.len()).filter(|&slot| varies(slot));
    let freed = start.clone().filter(|&slot| only_at_start(job, footprint, slot)).count() * one;
    let plan = Plan::new(job, steps);
    let rounds = std::iter::successors(plan.round(0), |round| plan.round(round.end)).take(MOST_ROUNDS);
    let scratch =
        fields.iter().enumerate().filter(|(slot, field)| field.role == Role::Scratch && footprint.uses(*slot));
    let between: usize = scratch.map(|(slot, _)| if footprint.needs_second_level(slot) { 2 * one } else { one }).sum();
    let all_in_passes = rounds.into_iter().all(|round| engine.steps_per_pass(extent, round.steps()) > 1);
    let copy = memory::copy_bytes::<T>(job, block.cells());
    let steps_bytes = engine.bytes(extent, steps) + engine.ring_bytes(extent, steps) + copy - freed;
    let now = start.count() * one;
    if !all_in_passes {
        return now.max(steps_bytes);
    }
    // Passes read the planes that an axis repeats where they are.
    let mut halo = engine.halo(steps);
    if wraps(&job.grid, block, job.grid.first()) {
        halo[job.grid.first()] = 0;
    }
    let repeated = one - Layout::new(block.extent, halo).bytes(T::BYTES);
    let levels: usize =
        job.declaration.of_role(Role::Component).map(|(slot, _)| if footprint.changes(slot) { 2 } else { 1 }).sum();
    now.max(steps_bytes - between - levels * repeated)
}

/// Rounds that are looked at: they repeat.
const MOST_ROUNDS: usize = 100_000;

/// Bytes of messages that a rank holds: as sent, as arrived, and one or two on their way. Fields that are exchanged once have
/// theirs at the start alone, one kind of field after the other.
fn message_bytes<T: Precise>(
    job: &Job,
    engine: &Engine<T>,
    place: (&Grid, &Cuts, usize),
    width: [usize; AXES],
) -> usize {
    let footprint = engine.program().footprint();
    let count =
        |role, has: &dyn Fn(usize) -> bool| job.declaration.of_role(role).filter(|(slot, _)| has(*slot)).count();
    let components = count(Role::Component, &|_| true);
    let at_start = if job.declaration.starts(&job.setup.given) { footprint.start.spreading().len() } else { 0 };
    let varying = count(Role::Coefficient, &|slot| job.setup.given[slot] == Given::Varying);
    let once = varying.max(count(Role::Prepared, &|slot| footprint.uses(slot))).max(at_start);
    let (_, one) = traffic(place, width, T::BYTES);
    one * 13 * components.max(once) / 4
}

/// Parts among which every kind of part is: those at or beside an end of each axis.
fn unlike(cuts: &Cuts) -> Vec<usize> {
    let mut places = vec![[0; AXES]];
    for axis in 0..AXES {
        let count = cuts.parts()[axis];
        let mut at = vec![0, 1, count.saturating_sub(2), count - 1];
        at.retain(|&at| at < count);
        at.sort_unstable();
        at.dedup();
        places = places.iter().flat_map(|place| at.iter().map(|&at| with(*place, axis, at))).collect();
    }
    places.into_iter().map(|place| cuts.part(place)).collect()
}

fn with(mut place: [usize; AXES], axis: usize, at: usize) -> [usize; AXES] {
    place[axis] = at;
    place
}
