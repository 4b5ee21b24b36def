//! Blocks as workers compute them, from values that travel as bytes, have the bits of the plain reference.
#![cfg(feature = "datacenter")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod common;

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use common::jobs::{LIBRARY, Variant, particular, text, variants};
use common::layouts::{Bits, Case, Layout, all_parts};
use ringfort::advance::library::Precise;
use ringfort::datacenter::compute::{Computed, Task, Threads};
use ringfort::datacenter::part::Whole;
use ringfort::datacenter::protocol::{Block, Event, Value};
use ringfort::datacenter::room::Room;
use ringfort::plan::Plan;
use ringfort::random::Rng;
use ringfort_kernels::Role;

const STEPS: u64 = 7;

/// Blocks of a job, advanced in rounds on threads.
struct Blocks {
    threads: Threads,
    done: mpsc::Receiver<Computed>,
    count: usize,
}

impl Blocks {
    fn new<T: Precise>(whole: &Whole, threads: usize) -> Self {
        let plan = Plan { checkpoint: Some(3), ..Plan::new(&whole.job, whole.steps) };
        let (tell, done) = mpsc::channel();
        let tell = Mutex::new(tell);
        let threads = Threads::start::<T>(threads, (whole.clone(), plan, None), move |computed| {
            tell.lock().unwrap().send(computed).unwrap();
        });
        Self { threads: threads.unwrap(), done, count: whole.cuts.count() }
    }

    /// States that the job gives, and their shells.
    fn begin(&self) -> Vec<(Value, Value)> {
        (0..self.count).for_each(|block| self.threads.add(Task::Begin(Block(block))));
        let mut states = vec![None; self.count];
        for _ in 0..self.count {
            let Computed::Begun(block, value) = self.done.recv().unwrap() else { panic!("no start") };
            states[block.0] = Some(value);
        }
        for (block, state) in states.into_iter().enumerate() {
            let (state, block) = (state.unwrap(), Block(block));
            self.threads.add(Task::Advance { block, from: 0, to: 0, state, shells: Vec::new() });
        }
        self.collect()
    }

    fn round(&self, from: u64, to: u64, now: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
        let shells: Vec<_> = now.iter().enumerate().map(|(block, (_, shell))| (Block(block), shell.clone())).collect();
        for (block, (state, _)) in now.into_iter().enumerate() {
            self.threads.add(Task::Advance { block: Block(block), from, to, state, shells: shells.clone() });
        }
        self.collect()
    }

    fn collect(&self) -> Vec<(Value, Value)> {
        let mut all = vec![None; self.count];
        for _ in 0..self.count {
            match self.done.recv().unwrap() {
                Computed::Advanced { event: Event::Advanced { block, state, shell, .. }, .. } => {
                    all[block.0] = Some((state, shell));
                }
                Computed::Failed(failure) => panic!("{:?}", failure.report),
                Computed::Diverged(words) => panic!("{words}"),
                _ => panic!("no result"),
            }
        }
        all.into_iter().map(Option::unwrap).collect()
    }
}

/// Runs `case` in blocks and compares each value after each round; false if it cannot be cut so.
fn check<T: Bits>(case: &Case<T>, layout: &Layout, rng: &mut Rng) -> bool {
    let Ok(shape) = case.shape(layout) else { return false };
    let job = Arc::new(case.job.clone());
    let kernel = LIBRARY.find(job.declaration.name).unwrap();
    let (cuts, steps) = (shape.cuts, shape.steps_per_exchange);
    let whole =
        Whole { job: Arc::clone(&job), kernel, cuts, steps, dt: job.setup.dt, room: Room::default(), shelf: None };
    let blocks = Blocks::new::<T>(&whole, layout.threads);
    let plan = Plan { checkpoint: Some(3), ..Plan::new(&job, steps) };
    let mut now = blocks.begin();
    let mut step = 0;
    loop {
        for (block, (state, _)) in now.iter().enumerate() {
            let settled = state.settled().unwrap();
            let region = cuts.block(block);
            let mut bytes = settled.bytes().chunks_exact(T::BYTES);
            for (slot, _) in job.declaration.of_role(Role::Component) {
                let values = &case.states[usize::try_from(step).unwrap()][slot];
                for [w, z, y] in region.rows() {
                    for x in region.start[3]..region.end(3) {
                        let expected = values[job.grid.region().offset([w, z, y, x])];
                        let found = T::read_le(bytes.next().unwrap());
                        assert_eq!(
                            found.bits(),
                            expected.bits(),
                            "step {step} {:?} {layout:?}\n{}",
                            [w, z, y, x],
                            job.text
                        );
                    }
                }
            }
            assert!(bytes.next().is_none());
        }
        let Some(round) = plan.round(step) else { return true };
        // Some states and shells come from elsewhere, as bytes.
        for (state, shell) in &mut now {
            if rng.below(3) == 0 {
                *state = Value::new(state.settled().unwrap().bytes().clone());
            }
            if rng.below(3) == 0 {
                *shell = Value::received(shell.bytes().to_vec(), shell.digest());
            }
        }
        now = blocks.round(step, round.end, now);
        step = round.end;
    }
}

/// The same job in both precisions, on all cuts into at most 12 blocks.
fn cuts(points: &[usize], beyond: &[&str], variant: Variant, rng: &mut Rng) -> [usize; 13] {
    let mut runs = [0; 13];
    // A time step within the bound, which is looked at here.
    let text = |precision| text(points, beyond, variant, precision, STEPS).replace("dt = 0.1", "dt = 0.05");
    let (wide, narrow) = (Case::<f64>::new(&text("f64")), Case::<f32>::new(&text("f32")));
    for parts in all_parts(points.len(), 12) {
        let steps_per_exchange = 1 + usize::try_from(rng.below(5)).unwrap();
        let threads = 1 + usize::try_from(rng.below(2)).unwrap();
        let layout = Layout { parts, threads, steps_per_exchange, ..Layout::alone(points.len()) };
        let ran = if rng.below(2) == 0 { check(&wide, &layout, rng) } else { check(&narrow, &layout, rng) };
        runs[layout.ranks()] += usize::from(ran);
    }
    runs
}

#[test]
fn blocks_from_bytes_have_the_bits_of_the_reference() {
    let mut rng = Rng::new(20_261_123);
    let mut runs = [0; 13];
    for points in [&[40][..], &[13], &[11, 14], &[6, 25], &[5, 7, 13], &[4, 6, 9]] {
        for variant in variants().into_iter().chain(particular(points.len())) {
            for _ in 0..2 {
                let some = variant.beyond();
                let beyond: Vec<&str> = points
                    .iter()
                    .map(|_| some[usize::try_from(rng.below(2 * some.len() as u64)).unwrap() % some.len()])
                    .collect();
                let more = cuts(points, &beyond, variant, &mut rng);
                (0..13).for_each(|count| runs[count] += more[count]);
            }
        }
    }
    println!("runs by number of blocks: {:?}", &runs[1..]);
    assert!((1..=12).all(|count| runs[count] >= 20), "{runs:?}");
}
