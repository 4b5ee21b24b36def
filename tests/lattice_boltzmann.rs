//! The kernel `lattice-boltzmann` against exact flows, published tables, and what it must keep.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod common;

#[path = "lattice_boltzmann/cavity.rs"]
mod cavity;
#[path = "lattice_boltzmann/exact.rs"]
mod exact;
#[path = "lattice_boltzmann/kept.rs"]
mod kept;

use std::path::Path;

use common::jobs::{LIBRARY, parse};
use common::layouts::{Layout, end};
use ringfort::job::Job;

/// A job on `points` with `beyond` each axis, more lines for `[kernel]` and `[fields]`, and so many steps.
fn job(points: &[usize], beyond: &[&str], kernel: &str, fields: &str, steps: usize) -> String {
    format!(
        "[grid]\npoints = {points:?}\nboundary = {beyond:?}\n[kernel]\nname = \"lattice-boltzmann\"\n{kernel}\n\
         [fields]\n{fields}\n[time]\nsteps = {steps}\n"
    )
}

/// Fields `names` of the whole grid at the end of a job, on two parts along the slowest axis.
fn ends(text: &str, names: &[&str]) -> Vec<Vec<f64>> {
    let job = parse(text);
    let mut parts = vec![1; job.grid.axes];
    parts[0] = 2;
    let layout = Layout { parts, steps_per_exchange: 2, ..Layout::alone(job.grid.axes) };
    let slots: Vec<usize> = names.iter().map(|name| job.declaration.slot(name).unwrap()).collect();
    end::<f64>(&job, &slots, &layout)
}

/// Sum with the rounding errors added up apart (Neumaier).
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        sum = next;
    }
    sum + lost
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, value| if value.abs() <= most { most } else { value.abs() })
}

/// What is said of a job that is refused, in the job file or by the kernel.
fn refused(text: &str) -> String {
    let read = |text: &str| Job::parse(text, Path::new("flow.toml"), &[], &LIBRARY);
    let error = match read(text) {
        Err(error) => error,
        Ok(job) => {
            use ringfort::advance::library::Precise;
            let kernel = LIBRARY.find("lattice-boltzmann").unwrap();
            let error = f64::program(kernel, &job.setup).err().expect("the kernel refuses it");
            job.refuse_kernel(&error)
        }
    };
    format!("{:?}", miette::Report::new(error)).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_makes_no_sense_is_refused() {
    let wall = ["wall", "periodic"];
    for (beyond, kernel, fields, words) in [
        (wall, "tau = 0.5", "density = 1", "no viscosity"),
        (wall, "tau = 0.4", "density = 1", "at least 0.5"),
        (wall, "", "density = 1", "needs it"),
        (wall, "tau = 1\nlattice = \"d3q19\"", "density = 1", "give one of \"d2q9\""),
        (wall, "tau = 1\ncollision = \"mrt\"", "density = 1", "give one of \"bgk\", \"trt\""),
        (wall, "tau = 1\nforce = [1, 2, 3]", "density = 1", "a list of 2"),
        (wall, "tau = 1\nwall_velocity_y_high = [0.1, 0.1]", "density = 1", "points through the wall"),
        (wall, "tau = 1\nwall_velocity_x_high = [0.1, 0.0]", "density = 1", "no wall on this side"),
        (wall, "tau = 1\nwall_velocity_z_high = [0.1, 0.0]", "density = 1", "wall_velocity_y_high"),
        (wall, "tau = 1", "solid = 0.5\ndensity = 1", "the values that make sense are 0 and 1"),
        (wall, "tau = 1", "f0 = 1\ndensity = 1", "both populations and density"),
        (wall, "tau = 1", "f0 = 1", "fields.f1"),
        (wall, "tau = 1", "", "give density"),
        (wall, "tau = 1", "walls = 1\ndensity = 1", "computes it"),
    ] {
        let error = refused(&job(&[4, 4], &beyond, kernel, fields, 1));
        assert!(error.contains(words), "{kernel}, {fields}: {error}");
    }
    let text = job(&[4, 4], &wall, "tau = 1", "density = 1", 1).replace("[grid]", "[grid]\nspacing = [1.0, 2.0]");
    assert!(refused(&text).contains("one spacing"), "{}", refused(&text));
}
