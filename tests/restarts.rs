//! A run that is stopped and restarted, any number of times, on any numbers of ranks, has the bits of one that never
//! stopped.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::jobs::{Variant, text};
use common::layouts::{Bits, Case};
use common::runs::Way;
use ringfort::checkpoint::{self, Checkpoint, Disk};
use ringfort_kernels::Role;

/// Last step of every chain.
const LAST: u64 = 17;

/// Runs the job in `dir` up to step `steps` on `ranks` ranks: anew if `job` is given, else from the newest checkpoint.
fn start(job: Option<&Path>, dir: &Path, ranks: usize, steps: u64) {
    common::runs::start(job, dir, &Way { steps_per_exchange: 1 + ranks % 3, ..Way::ranks(ranks, steps) });
}

/// Compares the checkpoint of step `step` in `dir` with the reference; returns how many values.
fn compare<T: Bits>(case: &Case<T>, dir: &Path, step: u64) -> usize {
    let checkpoint = Checkpoint::open(&Disk, &checkpoint::folder(dir, step)).unwrap();
    let region = case.job.grid.region();
    let mut values = vec![T::default(); region.cells()];
    let mut compared = 0;
    for (slot, field) in case.job.declaration.of_role(Role::Component) {
        let component = checkpoint.component(field.name).unwrap();
        checkpoint.read_region(component, &region, &mut values).unwrap();
        let wanted = &case.states[usize::try_from(step).unwrap()][slot];
        let same = values.iter().zip(wanted).all(|(one, other)| one.bits() == other.bits());
        assert!(same, "{} of step {step} in {}", field.name, dir.display());
        compared += values.len();
    }
    compared
}

/// A folder in memory where there is one: the runs would wait for a disk twice as long as they take, and other tests have that.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to: PathBuf = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// N ranks to step N, M ranks to step N + M, a third number of ranks to the end: for all N and M up to 8.
fn chains<T: Bits>(variant: Variant, precision: &str) {
    // Seven or five parts of the slow axis are each as deep as a kernel reaches.
    let points = if variant.radius(false) > 1 { [35, 12] } else { [21, 12] };
    let first = if variant.staggered() { "\"wall\"" } else { "[\"fixed\", \"open\"]" };
    let mut job = text(&points, &[first, "\"periodic\""], variant, precision, LAST);
    // Slow enough for the relay, whose bound falls as it grows.
    job = job.replace("dt = 0.1", "dt = 0.03");
    job += "[checkpoint]\nevery = \"3 steps\"\nkeep = 2\n";
    let case = Case::<T>::new(&job);
    let folder = in_memory();
    let path = folder.path().join("job.toml");
    fs::write(&path, &job).unwrap();
    let straight = folder.path().join("straight");
    start(Some(&path), &straight, 1, LAST);
    let mut compared = compare(&case, &straight, LAST);
    let mut restarts = 0;
    for n in 1..=8 {
        let first = folder.path().join(format!("{n}"));
        start(Some(&path), &first, n, n as u64);
        compared += compare(&case, &first, n as u64);
        for m in 1..=8 {
            let dir = folder.path().join(format!("{n}-{m}"));
            copy(&first, &dir);
            let second = (n + m) as u64;
            start(None, &dir, m, second);
            compared += compare(&case, &dir, second);
            start(None, &dir, 1 + (n + 3 * m) % 8, LAST);
            compared += compare(&case, &dir, LAST);
            restarts += 2;
            let open = |dir: &Path| Checkpoint::open(&Disk, &checkpoint::folder(dir, LAST)).unwrap();
            assert!(checkpoint::compare(&open(&straight), &open(&dir)).unwrap().same(), "{n}, {m}");
            fs::remove_dir_all(&dir).unwrap();
        }
    }
    println!("{}: {restarts} restarts, {compared} values compared", case.job.declaration.name);
    assert_eq!(restarts, 128);
}

#[test]
fn heat_on_all_pairs_of_rank_counts() {
    chains::<f64>(Variant::Heat { varying: true, perfusion: Some(true) }, "f64");
}

#[test]
fn relay_on_all_pairs_of_rank_counts() {
    chains::<f32>(Variant::Relay { varying: true, start: true }, "f32");
}

#[test]
fn gray_scott_on_all_pairs_of_rank_counts() {
    chains::<f32>(Variant::GrayScott, "f32");
}

#[test]
fn life_on_all_pairs_of_rank_counts() {
    chains::<f32>(Variant::Life, "f32");
}

#[test]
fn lattice_boltzmann_on_all_pairs_of_rank_counts() {
    chains::<f64>(Variant::Lattice { moving: false, solid: true, start: true }, "f64");
}

#[test]
fn gas_on_all_pairs_of_rank_counts() {
    chains::<f32>(Variant::Gas { start: true }, "f32");
}

#[test]
fn wave_on_all_pairs_of_rank_counts() {
    let wave = Variant::Wave { order: 4, varying: true, before: false, sponge: true, even: false };
    chains::<f64>(wave, "f64");
}

#[test]
fn maxwell_on_all_pairs_of_rank_counts() {
    chains::<f64>(Variant::Maxwell { varying: [true, false, true], lossy: true }, "f64");
}

#[test]
fn elastic_on_all_pairs_of_rank_counts() {
    chains::<f64>(Variant::Elastic { order: 4, varying: [true, true], sponge: true }, "f64");
}

#[test]
fn water_on_all_pairs_of_rank_counts() {
    chains::<f64>(Variant::Water { degrees: false, surface: true }, "f64");
}
