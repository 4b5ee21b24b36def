//! A job of water under way on one rank: fields, speeds and volume after any number of steps.

use std::path::Path;
use std::time::Duration;

use ringfort::advance::library::{Precise, SHIPPED};
use ringfort::advance::program::Program;
use ringfort::job::Job;
use ringfort::run::shape::Shape;
use ringfort::torus::session::Session;
use ringfort::torus::threads::Threads;

/// A job under way on one rank.
pub(super) struct Tank {
    job: Job,
    session: Session<f64>,
    peers: Threads,
    step: u64,
    steps_per_exchange: usize,
}

impl Tank {
    pub(super) fn new(text: &str) -> Self {
        let job = match Job::parse(text, Path::new("examples/test.toml"), &[], &SHIPPED) {
            Ok(job) => job,
            Err(error) => panic!("{:?}\n{text}", miette::Report::new(error)),
        };
        let kernel = SHIPPED.find(job.declaration.name).unwrap();
        let program: Box<dyn Program<f64>> = f64::program(kernel, &job.setup).unwrap();
        let shape = Shape::new(&job.grid, program.footprint(), 1, None, 4).unwrap();
        let mut peers = Threads::group(1, Duration::from_secs(60)).remove(0);
        let made = Session::new(&job, kernel, (&shape, 2, 1), None, &mut peers);
        let session = made.map_err(|failure| failure.report).unwrap();
        Self { job, session, peers, step: 0, steps_per_exchange: shape.steps_per_exchange }
    }

    pub(super) fn dt(&self) -> f64 {
        self.session.dt
    }

    pub(super) fn time(&self) -> f64 {
        self.step as f64 * self.dt()
    }

    pub(super) fn advance(&mut self, steps: usize) {
        let mut left = steps;
        while left > 0 {
            let now = left.min(self.steps_per_exchange);
            let next = self.step + now as u64;
            self.session.start_exchange(&mut self.peers);
            self.session.advance(&mut self.peers, self.step..next).unwrap();
            self.step = next;
            left -= now;
        }
    }

    /// All values of a component or derived field.
    pub(super) fn field(&self, name: &str) -> Vec<f64> {
        let slot = self.job.declaration.slot(name).unwrap();
        let block = self.session.block();
        let mut out = vec![0.0; block.cells()];
        self.session.show(&self.job.declaration, slot, &block, &mut Vec::new(), &mut out);
        out
    }

    pub(super) fn value(&self, name: &str, y: usize, x: usize) -> f64 {
        self.field(name)[y * self.job.grid.points[3] + x]
    }

    pub(super) fn speed(&self) -> f64 {
        let (x, y) = (self.field("velocity_x"), self.field("velocity_y"));
        largest(x.iter().zip(&y).map(|(x, y)| x.hypot(*y)))
    }

    /// Volume of water in cell areas; on the sphere these shrink with the cosine of the latitude.
    pub(super) fn volume(&self) -> f64 {
        let grid = &self.job.grid;
        let width = grid.points[3];
        let area = |y: usize| if self.job.setup.degrees { grid.coordinate(2, y).to_radians().cos() } else { 1.0 };
        // Compensated: what is measured is close to one rounding.
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for (at, depth) in self.field("depth").iter().enumerate() {
            let value = depth * area(at / width) - lost;
            let next = sum + value;
            lost = (next - sum) - value;
            sum = next;
        }
        sum
    }
}

/// The largest of `values`, NaN if one is.
pub(super) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, |most, value| if value > most || value.is_nan() { value } else { most })
}
