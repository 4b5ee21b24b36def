//! What `ringfort bench` measures: a small job for each kernel.
//!
//! Input: what a person asks for. Output: [`Work`]s, each with the text of a job. Invariant: the text follows from
//! kernel, points and precision alone and names no file; for a kernel that comes with Ringfort it is a whole job
//! without any override.

use crate::cli::library;
use crate::job::{Catalog, Precision};

/// What a person asks for.
pub(super) struct Ask {
    /// Points along each axis.
    pub(super) points: Option<Vec<u64>>,
    /// Precision.
    pub(super) precision: Option<Precision>,
    /// Threads.
    pub(super) threads: Option<usize>,
    /// Cores of this machine.
    pub(super) cores: usize,
    /// Overrides of the job.
    pub(super) overrides: Vec<String>,
    /// Steps of each repeat.
    pub(super) steps: Option<u64>,
    /// Steps in one pass.
    pub(super) steps_per_pass: Option<usize>,
}

/// One thing to measure.
pub(super) struct Work {
    /// The job.
    pub(super) text: String,
    /// Overrides of it.
    pub(super) overrides: Vec<String>,
    /// Threads.
    pub(super) threads: usize,
    /// Steps of each repeat.
    pub(super) steps: Option<u64>,
    /// Steps in one pass.
    pub(super) steps_per_pass: Option<usize>,
}

/// What a kernel is measured with: parameters, fields and time step, on points one metre apart. Another kernel than these is
/// given all that it needs with `--set`.
fn given(kernel: &str) -> (&'static str, &'static str, &'static str) {
    match kernel {
        "heat" => ("", "temperature = { formula = \"1 + 0.5*sin(0.3*x)\" }, diffusivity = 1.0", "dt = 0.1"),
        "wave" => {
            (", order = 8", "pressure = { formula = \"1 + 0.5*sin(0.3*x)\" }, speed = 0.31622776601683794", "dt = 1.0")
        }
        "gray-scott" => (
            ", du = 0.16, dv = 0.08, feed = 0.04, kill = 0.06",
            "u = { formula = \"0.75 + 0.2*sin(0.3*x)\" }, v = { formula = \"0.12 + 0.1*sin(0.2*x)\" }",
            "dt = 1.0",
        ),
        "shallow-water" => {
            ("", "depth = { formula = \"1 + 0.1*sin(0.3*x)\" }, bed = { formula = \"-1 + 0*x\" }", "dt = 0.05")
        }
        "maxwell" => ("", "e_z = { formula = \"sin(0.3*x)\" }", "dt = 0.5"),
        "elastic" => {
            ("", "stress_xx = { formula = \"sin(0.3*x)\" }, density = 1.0, speed_p = 1.0, speed_s = 0.6", "dt = 0.4")
        }
        "life" => ("", "alive = { formula = \"step(sin(3*x + 7*y + sin(5*x*y)) - 0.3)\" }", "dt = 1.0"),
        "lattice-boltzmann" => (
            ", tau = 0.8, collision = \"trt\"",
            "density = { formula = \"1 + 0.01*sin(0.3*x)\" }, velocity_x = 0.05",
            "dt = 1.0",
        ),
        "euler" => ("", "density = { formula = \"1 + 0.1*sin(0.3*x)\" }, energy = 2.5", "dt = 0.2"),
        _ => ("", "", "dt = 1.0"),
    }
}

/// Points along each of `axes` axes: so many that no cache holds the fields, or so few that one does.
fn points(axes: usize, large: bool) -> Vec<u64> {
    let along = match (axes, large) {
        (1, true) => 1 << 24,
        (1, false) => 1 << 14,
        (2, true) => 2048,
        (2, false) => 192,
        (3, true) => 256,
        (3, false) => 32,
        (_, true) => 64,
        (_, false) => 14,
    };
    vec![along; axes]
}

fn work(kernel: &str, points: &[u64], precision: Precision, threads: usize, ask: &Ask) -> Work {
    let (parameters, fields, step) = given(kernel);
    let precision = if precision == Precision::F32 { "f32" } else { "f64" };
    let text = format!(
        "grid.points = {points:?}\nkernel = {{ name = \"{kernel}\", precision = \"{precision}\"{parameters} }}\n\
         fields = {{ {fields} }}\ntime = {{ steps = 1, {step} }}\n"
    );
    let Ask { overrides, steps, steps_per_pass, .. } = ask;
    Work { text, overrides: overrides.clone(), threads, steps: *steps, steps_per_pass: *steps_per_pass }
}

/// Axes that `kernel` is measured on: at most three, since few jobs have four, and two for what is thin or flat by nature or has
/// many fields.
fn axes(kernel: &str) -> usize {
    let most = library().declare(kernel, 2).map_or(2, |declaration| declaration.axes.1);
    if ["gray-scott", "elastic", "lattice-boltzmann", "euler"].contains(&kernel) { 2 } else { most.min(3) }
}

/// Kernel `kernel` alone.
pub(super) fn one(kernel: &str, ask: &Ask) -> Work {
    let points = ask.points.clone().unwrap_or_else(|| points(axes(kernel), true));
    work(kernel, &points, ask.precision.unwrap_or(Precision::F64), ask.threads.unwrap_or(ask.cores), ask)
}

/// All kernels, in both precisions, large and small, on one thread and on all, as far as `ask` leaves it open.
pub(super) fn all(ask: &Ask) -> Vec<Work> {
    let precisions = ask.precision.map_or(vec![Precision::F64, Precision::F32], |only| vec![only]);
    let mut threads = ask.threads.map_or(vec![1, ask.cores], |only| vec![only]);
    threads.dedup();
    let mut works = Vec::new();
    for kernel in library().names() {
        for large in [true, false] {
            for &precision in &precisions {
                for &threads in &threads {
                    works.push(work(kernel, &points(axes(kernel), large), precision, threads, ask));
                }
            }
        }
    }
    works
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advance::library::SHIPPED;
    use crate::cli::bench::case::job;

    #[test]
    fn all_works_are_jobs() {
        let ask = Ask {
            points: None,
            precision: None,
            threads: None,
            cores: 2,
            overrides: Vec::new(),
            steps: None,
            steps_per_pass: None,
        };
        let works = all(&ask);
        assert_eq!(works.len(), 8 * SHIPPED.names().len());
        for work in &works {
            let job = job(&work.text, &work.overrides, &SHIPPED).expect("a job");
            let counted = SHIPPED.find(job.declaration.name).expect("a kernel").operations(&job.setup);
            assert!(counted.expect("a setup").simple > 0);
        }
        assert_eq!(all(&Ask { precision: Some(Precision::F32), threads: Some(1), ..ask }).len(), works.len() / 4);
    }
}
