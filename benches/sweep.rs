//! Time of stepping alone: kernels on one block, in cell updates per second and as a share of the copy bandwidth.
//!
//! `cargo bench --bench sweep -- [POINTS] [STEPS] [REPEATS]`: POINTS along each of three axes, 8 times as many along
//! each of two; settings are measured in turn, over and over, and medians are printed, since machines are noisy.
//!
//! Input: the three numbers. Output: one line per setting. Invariant: the first round only warms up, and no rate of
//! it is counted; steps are rounded up to whole passes, and those that ran are counted. The copy is measured anew in
//! each round, always with two threads, also for settings with one.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, reason = "run by hand")]

use ringfort::advance::Engine;
use ringfort::advance::library::{Precise, SHIPPED};
use ringfort::clock;
use ringfort::field::Fields;
use ringfort::job::Job;
use ringfort::observe::progress::copy_bandwidth;

/// What is computed.
struct Work {
    name: &'static str,
    axes: usize,
    kernel: &'static str,
    fields: &'static str,
}

const HEAT: Work =
    Work { name: "heat", axes: 3, kernel: "name = \"heat\"", fields: "temperature = 1.0, diffusivity = 1.0" };
const VARYING: Work = Work {
    name: "heat, varying",
    axes: 3,
    kernel: "name = \"heat\"",
    fields: "temperature = 1.0, diffusivity = { formula = \"1 + 0.1*sin(x)\" }",
};
const WAVE: Work = Work {
    name: "wave, order 8",
    axes: 3,
    kernel: "name = \"wave\", order = 8",
    fields: "pressure = 1.0, pressure_before = 1.0, speed = 1.0",
};
const GRAY_SCOTT: Work = Work {
    name: "gray-scott",
    axes: 2,
    kernel: "name = \"gray-scott\", du = 0.16, dv = 0.08, feed = 0.04, kill = 0.06",
    fields: "u = 1.0, v = 0.5",
};

/// A block ready to be advanced.
struct Case<T: Precise> {
    name: String,
    engine: Engine<T>,
    fields: Fields<T>,
    bytes_per_update: f64,
    steps_per_pass: usize,
    updates_per_second: Vec<f64>,
}

impl<T: Precise> Case<T> {
    fn new(work: &Work, precision: &str, points: usize, (threads, steps_per_pass): (usize, usize)) -> Self {
        let Work { name, axes, kernel, fields } = *work;
        let points = if axes == 2 { 8 * points } else { points };
        let text = format!(
            "grid.points = {:?}\nkernel = {{ {kernel}, precision = \"{precision}\" }}\nfields = {{ {fields} }}\n\
             time = {{ steps = 1, dt = 0.1 }}",
            vec![points; axes]
        );
        let job = Job::parse(&text, "sweep.toml".as_ref(), &[], &SHIPPED).unwrap();
        let program = T::program(SHIPPED.find(job.declaration.name).unwrap(), &job.setup).unwrap();
        let whole = job.grid.region();
        let given = job.setup.given.clone();
        let engine = Engine::new(program, job.declaration.clone(), given, (&job.grid, &whole), threads).unwrap();
        let fields = engine.allocate(whole.extent, steps_per_pass);
        let bytes_per_update = (engine.program().footprint().values_per_update() * T::BYTES) as f64;
        let name = format!("{name} {precision} {points}^{axes}, {threads} threads, {steps_per_pass} steps a pass");
        Self { name, engine, fields, bytes_per_update, steps_per_pass, updates_per_second: Vec::new() }
    }
}

/// A case in any precision.
trait Measured {
    fn measure(&mut self, steps: usize);
    fn line(&self, copy: f64) -> String;
}

impl<T: Precise> Measured for Case<T> {
    fn measure(&mut self, steps: usize) {
        let cells = self.fields.layout().own().cells();
        let began = clock::now();
        for _ in 0..steps.div_ceil(self.steps_per_pass) {
            self.engine.advance(&mut self.fields, 0..self.steps_per_pass as u64);
        }
        let steps = steps.next_multiple_of(self.steps_per_pass);
        let seconds = clock::now().duration_since(began).as_secs_f64();
        self.updates_per_second.push((cells * steps) as f64 / seconds);
    }

    fn line(&self, copy: f64) -> String {
        let rate = median(&self.updates_per_second[1..]);
        let bytes = rate * self.bytes_per_update;
        format!(
            "{:62} {:7.3} Gcell/s {:6.1} GB/s {:4.0}% of copy",
            self.name,
            rate / 1e9,
            bytes / 1e9,
            100.0 * bytes / copy
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|text| text.parse().ok()).collect();
    let number = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let (points, steps, repeats) = (number(0, 256), number(1, 16), number(2, 5));
    let mut cases: Vec<Box<dyn Measured>> = Vec::new();
    for how in [(1, 1), (1, 8), (2, 1), (2, 4), (2, 8)] {
        for work in [&HEAT, &VARYING, &GRAY_SCOTT] {
            cases.push(Box::new(Case::<f64>::new(work, "f64", points, how)));
        }
        for work in [&HEAT, &WAVE] {
            cases.push(Box::new(Case::<f32>::new(work, "f32", points, how)));
        }
    }
    let mut copies = Vec::new();
    for _ in 0..=repeats {
        copies.push(copy_bandwidth(2, 0.03));
        for case in &mut cases {
            case.measure(steps);
        }
    }
    let copy = median(&copies);
    println!("copy with 2 threads {:.1} GB/s (bytes read and written)", copy / 1e9);
    for case in &cases {
        println!("{}", case.line(copy));
    }
}
