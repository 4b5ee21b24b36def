//! Runs jobs on local ranks under any layout and compares every value with the plain reference, bit for bit.

use std::time::Duration;

use ringfort::advance::library::{AnyKernel, Precise};
use ringfort::advance::program::Program;
use ringfort::advance::{Blocking, Simd};
use ringfort::grid::Region;
use ringfort::job::{Job, Precision};
use ringfort::operations::Operations;
use ringfort::run::shape::{Shape, ShapeError};
use ringfort::torus::peers::Peers;
use ringfort::torus::session::Session;
use ringfort::torus::threads::Threads;
use ringfort_kernels::{Declaration, KernelError, Role, Setup};
use ringfort_oracle::Plain;
use ringfort_oracle::reference::{Global, Reference};

use super::jobs;

/// Instruction sets that this machine has.
pub fn instruction_sets() -> Vec<Simd> {
    [Simd::Avx512, Simd::Avx2, Simd::Baseline].into_iter().filter(|&simd| simd.at_most() == simd).collect()
}

/// A kernel compiled for one instruction set.
struct On(&'static dyn AnyKernel, Simd);

impl AnyKernel for On {
    fn declare(&self, axes: usize) -> Declaration {
        self.0.declare(axes)
    }

    fn operations(&self, setup: &Setup) -> Result<Operations, KernelError> {
        self.0.operations(setup)
    }

    fn f64(&self, setup: &Setup, _: Simd) -> Result<Box<dyn Program<f64>>, KernelError> {
        self.0.f64(setup, self.1)
    }

    fn f32(&self, setup: &Setup, _: Simd) -> Result<Box<dyn Program<f32>>, KernelError> {
        self.0.f32(setup, self.1)
    }
}

/// A precision whose values have bits to compare.
pub trait Bits: Precise + Plain {
    fn bits(self) -> u64;
}

impl Bits for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

impl Bits for f32 {
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

/// States of `job` after each number of steps, by the plain reference.
pub fn reference<T: Plain>(job: &Job) -> Vec<Global<T>> {
    let region = job.grid.region();
    let fill = |source: &Option<ringfort::job::Source>| match source {
        None => Vec::new(),
        Some(source) => {
            let mut values = vec![T::default(); region.cells()];
            source.fill(&job.grid, &region, &mut values).unwrap();
            values
        }
    };
    let reference = Reference {
        grid: &job.grid,
        declaration: &job.declaration,
        given: &job.setup.given,
        fields: job.sources.iter().map(fill).collect(),
        steps: usize::try_from(job.time.steps).unwrap(),
        drives: job.point_sources.iter().map(|source| source.in_steps(job.setup.dt)).collect(),
    };
    T::states(job.declaration.name, &job.setup, reference)
}

/// How a job is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    pub parts: Vec<usize>,
    pub threads: usize,
    pub steps_per_exchange: usize,
    pub simd: Simd,
    pub blocking: Blocking,
}

impl Layout {
    /// One rank, one thread.
    pub fn alone(axes: usize) -> Self {
        Self {
            parts: vec![1; axes],
            threads: 1,
            steps_per_exchange: 1,
            simd: Simd::Avx512.at_most(),
            blocking: Blocking::Auto,
        }
    }

    pub fn ranks(&self) -> usize {
        self.parts.iter().product()
    }
}

/// All ways to cut `axes` axes into at most `most` parts.
pub fn all_parts(axes: usize, most: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..axes {
        let longer = |parts: Vec<usize>| {
            let room = most / parts.iter().product::<usize>();
            (1..=room).map(move |count| [parts.clone(), vec![count]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

fn kernel(job: &Job, simd: Simd) -> On {
    On(jobs::LIBRARY.find(job.declaration.name).expect("the job was read with it"), simd)
}

fn shape<T: Bits>(job: &Job, layout: &Layout) -> Result<Shape, ShapeError> {
    let program = T::program(&kernel(job, layout.simd), &job.setup).unwrap();
    let (parts, steps) = (Some(layout.parts.as_slice()), layout.steps_per_exchange);
    let shape = Shape::new(&job.grid, program.footprint(), layout.ranks(), parts, steps)?;
    Ok(Shape { blocking: layout.blocking, ..shape })
}

/// Calls `rank` on each of `ranks` ranks; gives their results by rank.
pub fn on_ranks<V: Send>(ranks: usize, rank: impl Fn(&mut Threads) -> V + Sync) -> Vec<V> {
    let mut group = Threads::group(ranks, Duration::from_secs(60));
    if let [alone] = group.as_mut_slice() {
        return vec![rank(alone)];
    }
    let rank = &rank;
    std::thread::scope(|scope| {
        let all: Vec<_> = group.into_iter().map(|mut peers| scope.spawn(move || rank(&mut peers))).collect();
        all.into_iter().map(|one| one.join().expect("a rank failed")).collect()
    })
}

/// One rank's part of `steps` steps of `job`; calls `see` at the start and after each round.
fn walk<T: Bits>(
    job: &Job,
    (shape, layout): (&Shape, &Layout),
    steps: usize,
    peers: &mut Threads,
    mut see: impl FnMut(&mut Session<T>, usize),
) {
    let kernel = kernel(job, layout.simd);
    let made = Session::<T>::new(job, &kernel, (shape, layout.threads, 1), None, peers);
    let mut session = made.map_err(|failure| failure.report).unwrap();
    assert_eq!(session.engine.program().simd(), layout.simd);
    // Each rank decides for itself how it cuts tiles.
    session.engine.set_overlaps((peers.rank() + layout.threads).is_multiple_of(2));
    see(&mut session, 0);
    let mut step = 0;
    while step < steps {
        let round = shape.steps_per_exchange.min(steps - step);
        session.start_exchange(peers);
        session.advance(peers, step as u64..(step + round) as u64).unwrap();
        step += round;
        see(&mut session, step);
    }
}

/// Time step, and the first component of the whole grid after each round of `job`, the start included.
pub fn history<T: Bits>(job: &Job, layout: &Layout) -> (f64, Vec<Vec<T>>) {
    states(job, 0, layout)
}

/// Time step, and component `slot` of the whole grid after each round of `job`, the start included.
pub fn states<T: Bits>(job: &Job, slot: usize, layout: &Layout) -> (f64, Vec<Vec<T>>) {
    let shape = shape::<T>(job, layout).unwrap();
    let steps = usize::try_from(job.time.steps).unwrap();
    let parts = on_ranks(layout.ranks(), |peers| {
        let (mut dt, mut seen) = (0.0, Vec::new());
        walk::<T>(job, (&shape, layout), steps, peers, |session, _| {
            dt = session.dt;
            seen.push(session.own(slot));
        });
        (dt, seen)
    });
    let dt = parts[0].0;
    (dt, whole(job, &shape, parts.into_iter().map(|(_, seen)| seen).collect()))
}

/// Fields `slots` of the whole grid, derived ones too, after the last step of `job`.
pub fn end<T: Bits>(job: &Job, slots: &[usize], layout: &Layout) -> Vec<Vec<T>> {
    let shape = shape::<T>(job, layout).unwrap();
    let steps = usize::try_from(job.time.steps).unwrap();
    let parts = on_ranks(layout.ranks(), |peers| {
        let mut seen = Vec::new();
        walk::<T>(job, (&shape, layout), steps, peers, |session, step| {
            let block = session.block();
            for &slot in slots.iter().filter(|_| step == steps) {
                let mut own = vec![T::default(); block.cells()];
                match job.declaration.fields[slot].role {
                    Role::Derived => session.derive(slot, &block, &mut own),
                    _ => session.read(slot, &block, &mut own),
                }
                seen.push(own);
            }
        });
        seen
    });
    whole(job, &shape, parts)
}

/// What the parts saw, one after the other, each put together to the whole grid.
fn whole<T: Bits>(job: &Job, shape: &Shape, parts: Vec<Vec<Vec<T>>>) -> Vec<Vec<T>> {
    let region = job.grid.region();
    let mut whole = vec![vec![T::default(); region.cells()]; parts[0].len()];
    for (part, seen) in parts.iter().enumerate() {
        let block = shape.cuts.block(part);
        for (whole, own) in whole.iter_mut().zip(seen) {
            for ([w, z, y], row) in block.rows().zip(own.chunks_exact(block.extent[3])) {
                let at = region.offset([w, z, y, block.start[3]]);
                whole[at..at + row.len()].copy_from_slice(row);
            }
        }
    }
    whole
}

/// A job with its reference.
pub struct Case<T> {
    pub job: Job,
    pub states: Vec<Global<T>>,
}

impl<T: Bits> Case<T> {
    pub fn new(text: &str) -> Self {
        let job = jobs::parse(text);
        let states = reference::<T>(&job);
        for values in states.iter().flatten().flatten() {
            assert!(values.finite(), "the reference diverges\n{text}");
        }
        Self { job, states }
    }

    /// The shape that `layout` gets.
    pub fn shape(&self, layout: &Layout) -> Result<Shape, ShapeError> {
        shape::<T>(&self.job, layout)
    }

    /// The shape that `ranks` ranks get where none is asked for.
    pub fn best(&self, ranks: usize) -> Result<Shape, ShapeError> {
        let program = T::program(&kernel(&self.job, Simd::Baseline), &self.job.setup).unwrap();
        Shape::new(&self.job.grid, program.footprint(), ranks, None, 1)
    }

    /// Runs the job in `layout` on local ranks and compares all own values of all ranks after each round. Returns how
    /// many values were compared.
    pub fn check(&self, layout: &Layout) -> usize {
        let shape = self.shape(layout).unwrap();
        let compared: usize = on_ranks(layout.ranks(), |peers| self.rank(&shape, layout, peers)).into_iter().sum();
        let steps = self.states.len() - 1;
        let fields = self.compared_slots().count();
        let rounds = 1 + steps.div_ceil(shape.steps_per_exchange);
        assert_eq!(compared, rounds * fields * self.job.grid.region().cells(), "every value is compared");
        compared
    }

    fn compared_slots(&self) -> impl Iterator<Item = usize> {
        let roles = [Role::Component, Role::Derived];
        roles.into_iter().flat_map(|role| self.job.declaration.of_role(role)).map(|(slot, _)| slot)
    }

    fn rank(&self, shape: &Shape, layout: &Layout, peers: &mut Threads) -> usize {
        let mut compared = 0;
        let steps = self.states.len() - 1;
        walk(&self.job, (shape, layout), steps, peers, |session, step| compared += self.compare(session, step, layout));
        compared
    }

    /// Compares this rank's own values with the reference; returns how many.
    fn compare(&self, session: &mut Session<T>, step: usize, layout: &Layout) -> usize {
        let block = session.block();
        let mut own = vec![T::default(); block.cells()];
        let mut compared = 0;
        for slot in self.compared_slots() {
            match self.job.declaration.fields[slot].role {
                Role::Derived => session.derive(slot, &block, &mut own),
                _ => session.read(slot, &block, &mut own),
            }
            let wanted = restrict(&self.states[step][slot], &self.job.grid.region(), &block);
            let wrong = own.iter().zip(&wanted).position(|(own, wanted)| own.bits() != wanted.bits());
            if let Some(at) = wrong {
                let field = self.job.declaration.fields[slot].name;
                let precision = if self.job.precision == Precision::F32 { "f32" } else { "f64" };
                panic!(
                    "{field} after {step} steps, rank {} of {block:?}, cell {at}: {:?}, the reference says {:?} \
                     ({precision}, {layout:?})\n{}",
                    session.part, own[at], wanted[at], self.job.text
                );
            }
            compared += own.len();
        }
        compared
    }
}

/// The values in the box `part` of those in the box `whole`.
fn restrict<T: Copy>(values: &[T], whole: &Region, part: &Region) -> Vec<T> {
    let row = |[w, z, y]: [usize; 3]| {
        let at = whole.offset([w, z, y, part.start[3]]);
        &values[at..at + part.extent[3]]
    };
    part.rows().flat_map(row).copied().collect()
}
