//! Numbers along axes, and the states that a job goes through.

use super::jobs::parse;
use super::layouts::{Layout, states};

/// Numbers along x, y and z.
pub type Vector = [f64; 3];

pub fn dot(a: Vector, b: Vector) -> f64 {
    (0..3).map(|d| a[d] * b[d]).sum()
}

/// Largest of some numbers, NaN if one is.
pub fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, one| if one <= most { most } else { one })
}

/// Index along x, y, z of the value at `at` of a field on `points`.
pub fn index(points: &[usize], mut at: usize) -> [usize; 3] {
    let mut index = [0; 3];
    for (d, &count) in points.iter().rev().enumerate() {
        index[d] = at % count;
        at /= count;
    }
    index
}

/// Spacing and wave numbers along x, y and z of a wave that makes `modes` times `turn` on so many `cells` (slowest axis first).
pub fn wave_numbers(cells: &[usize], spacing: &[f64], modes: Vector, turn: f64) -> (Vector, Vector) {
    let (mut h, mut k) = ([1.0; 3], [0.0; 3]);
    for d in 0..cells.len() {
        h[d] = spacing[cells.len() - 1 - d];
        k[d] = turn * modes[d] / (cells[cells.len() - 1 - d] as f64 * h[d]);
    }
    (h, k)
}

/// The formula of `k x` on so many axes.
pub fn phase_formula(k: Vector, axes: usize) -> String {
    (0..axes).map(|d| format!("({:?})*{}", k[d], ["x", "y", "z"][d])).collect::<Vec<_>>().join(" + ")
}

/// Field `name` of the whole grid at the start and after each exchange of two steps, on two parts along the slowest axis.
pub fn history_of(text: &str, name: &str) -> Vec<Vec<f64>> {
    history_each(text, name, 2)
}

/// The same after each step.
pub fn every_step(text: &str, name: &str) -> Vec<Vec<f64>> {
    history_each(text, name, 1)
}

fn history_each(text: &str, name: &str, steps_per_exchange: usize) -> Vec<Vec<f64>> {
    let job = parse(text);
    let mut parts = vec![1; job.grid.axes];
    parts[0] = 2;
    let layout = Layout { parts, steps_per_exchange, ..Layout::alone(job.grid.axes) };
    states::<f64>(&job, job.declaration.slot(name).unwrap(), &layout).1
}
