//! Power cuts: whatever was not forced to the disk may be gone, in any combination, and no committed checkpoint is lost.
//!
//! Two disks. One is a model in memory that keeps or loses every unsynced name and byte as a seed says. The other is a real ext4 in
//! a file, whose file system is shut down without its journal between two operations, as a power cut would (root only).

#![allow(clippy::unwrap_used, reason = "a test")]

mod checkpoint_common;
mod power_common;

use std::collections::BTreeSet;
use std::path::Path;

use checkpoint_common::{RUN, assert_whole, meta, value, write};
use power_common::{Model, Random, ext4};
use ringfort::checkpoint::{CheckpointError, Meta, Store, newest, prune};
use ringfort::grid::Extents;

/// Schedules of the model, unless `RINGFORT_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 2_000;
/// Cuts of the real file system, unless `RINGFORT_CUTS` says otherwise.
const CUTS: usize = 60;

fn of_environment<N: std::str::FromStr>(name: &str, default: N) -> N {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Small grids and cuts; there is one more that is large.
const SHAPES: usize = 4;

/// The checkpoint of `step` on one of several grids and cuts.
fn state(shape: usize, step: u64) -> Meta {
    let shapes: [(usize, Extents, Extents); SHAPES + 1] = [
        (1, [1, 1, 1, 7], [1, 1, 1, 2]),
        (2, [1, 1, 5, 3], [1, 1, 3, 1]),
        (2, [1, 1, 4, 6], [1, 1, 2, 2]),
        (3, [1, 3, 2, 5], [1, 3, 1, 2]),
        // Its chunks go past the system's cache.
        (1, [1, 1, 1, 131_077], [1, 1, 1, 2]),
    ];
    let (axes, points, parts) = shapes[shape % shapes.len()];
    meta(axes, points, parts, step)
}

/// Writes checkpoints from step `from` on and removes old ones, until the disk fails; the last step that was committed, if any,
/// and the one under way.
fn go_on(store: &dyn Store, dir: &Path, shape: usize, from: u64, most: u64) -> (Option<u64>, u64) {
    let mut committed = None;
    for step in from..from + most {
        match write::<f64>(store, dir, &state(shape, step)) {
            Ok(_) => committed = Some(step),
            Err(CheckpointError::Exists { .. }) => {}
            Err(_) => return (committed, step),
        }
        let pruned = prune(store, dir, RUN, 2, &mut BTreeSet::new());
        if !pruned.warnings.is_empty() {
            return (committed, step);
        }
    }
    (committed, from + most - 1)
}

/// Asserts that the newest checkpoint after a cut is whole and that of `committed` or of the step under way; its step.
fn assert_kept(store: &dyn Store, dir: &Path, shape: usize, (committed, begun): (Option<u64>, u64), what: &str) -> u64 {
    let found = newest(store, dir, Some(RUN), true);
    let found = found.ok().and_then(|found| found.checkpoint);
    let Some(found) = found else {
        assert_eq!(committed, None, "{what}: nothing is left");
        return 0;
    };
    let step = found.meta().step;
    assert!(committed.is_none_or(|least| least <= step) && step <= begun, "{what}: {step}, {committed:?} to {begun}");
    assert_whole::<f64>(&found, &state(shape, step));
    step
}

#[test]
fn whatever_was_not_synced_may_be_lost_in_any_combination() {
    let schedules = of_environment("RINGFORT_SCHEDULES", SCHEDULES);
    let dir = Path::new("/run");
    let (mut cuts, mut lost) = (0, 0);
    for seed in 0..schedules {
        let mut random = Random::new(seed);
        let mut model = Model::new(dir);
        let shape = random.below(SHAPES);
        let (mut kept, mut from) = (None, 1);
        for cut in 0..3 {
            let what = format!("seed {seed}, cut {cut}");
            model.fail_after(random.below(400));
            let (committed, begun) = go_on(&model, dir, shape, from, 4);
            let before = committed.or(kept);
            lost += model.cut(&mut random);
            cuts += 1;
            let step = assert_kept(&model, dir, shape, (before, begun), &what);
            kept = (step > 0).then_some(step).or(kept);
            from = step + 1;
        }
        // Ruins of all kinds are in no one's way.
        let (committed, begun) = go_on(&model, dir, shape, from, 2);
        assert_eq!(committed, Some(begun), "seed {seed}: the disk is sound again");
    }
    println!("{schedules} schedules, {cuts} cuts, {lost} unsynced changes lost");
    assert!(lost > schedules);
}

/// The model would find a missing sync: it loses what is not forced to the disk.
#[test]
fn a_store_that_does_not_sync_loses_checkpoints() {
    let dir = Path::new("/run");
    let lost = (0..200).filter(|&seed| {
        let mut random = Random::new(seed);
        let mut model = Model::new(dir);
        let lazy = power_common::Lazy(&model);
        let (committed, _) = go_on(&lazy, dir, 1, 1, 1);
        assert_eq!(committed, Some(1));
        model.cut(&mut random);
        newest(&model, dir, Some(RUN), true).ok().and_then(|found| found.checkpoint).is_none()
    });
    assert!(lost.count() > 100);
}

#[test]
fn a_real_file_system_that_is_cut_off_keeps_what_was_committed() {
    let Some(mut disk) = ext4("power cuts of a real file system") else { return };
    let cuts = of_environment("RINGFORT_CUTS", CUTS);
    let mut random = Random::new(cuts as u64);
    let (mut number, mut none, mut new) = (0, 0, 0);
    while number < cuts {
        let shape = random.below(SHAPES + 1);
        let dir = disk.empty();
        let base = 1 + random.below(3) as u64;
        let (first, _) = go_on(&disk.store(usize::MAX), &dir, shape, 1, base);
        // All operations of one checkpoint and the removal of another, one after the other, if there are cuts enough.
        let at = if cuts > 400 { number % 130 } else { random.below(130) };
        let (committed, begun) = go_on(&disk.store(at), &dir, shape, base + 1, 2);
        disk.cut();
        let what = format!("cut {number}, shape {shape}, after operation {at}");
        let step = assert_kept(&disk.store(usize::MAX), &dir, shape, (committed.or(first), begun), &what);
        none += usize::from(committed.is_none());
        new += usize::from(Some(step) > committed.or(first));
        let (committed, begun) = go_on(&disk.store(usize::MAX), &dir, shape, step + 1, 2);
        assert_eq!(committed, Some(begun), "{what}: it goes on");
        number += 1;
    }
    println!("{cuts} cuts: {none} before the first commit, {new} with a checkpoint that nobody had been told of yet");
}

#[test]
fn the_state_of_the_tests_differs_from_step_to_step() {
    assert!(value(&state(0, 1), 0, [0; 4]).to_bits() != value(&state(0, 2), 0, [0; 4]).to_bits());
}
