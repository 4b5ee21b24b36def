//! Faults at every operation leave the previous checkpoint whole; only what is ours is ever removed.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;

use std::collections::BTreeSet;
use std::path::Path;

use checkpoint_common::{Fault, Faulty, OTHER, Quick, RUN, assert_whole, meta, values, write};
use ringfort::checkpoint::{
    CheckpointError, Disk, Keep, Meta, State, Store, abandon, begin, commit, folder, newest, prune, scan, write_part,
};

fn state(step: u64) -> Meta {
    meta(2, [1, 1, 5, 3], [1, 1, 3, 1], step)
}

fn steps(dir: &Path) -> Vec<u64> {
    scan(&Disk, dir).unwrap().iter().filter(|entry| !entry.aside).map(|entry| entry.step).collect()
}

#[test]
fn all_is_synced_before_the_manifest_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Faulty::new(usize::MAX, Fault::Once);
    write::<f64>(&watch, dir.path(), &state(1)).unwrap();
    assert!(watch.synced_before_commit());
    assert!(watch.unsynced().is_empty(), "{:?}", watch.unsynced());
}

#[test]
fn a_fault_at_any_operation_leaves_the_previous_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let probe = Faulty::new(usize::MAX, Fault::Once);
    write::<f64>(&probe, dir.path(), &state(1)).unwrap();
    let count = probe.count();
    let mut outcomes = [0; 3];
    for fault in [Fault::Once, Fault::Short, Fault::Crash] {
        for at in 0..count {
            let dir = tempfile::tempdir().unwrap();
            write::<f64>(&Quick, dir.path(), &state(10)).unwrap();
            let written = write::<f64>(&Faulty::new(at, fault), dir.path(), &state(20));
            let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
            let checkpoint = found.checkpoint.expect("one is whole");
            let step = checkpoint.meta().step;
            assert_whole::<f64>(&checkpoint, &state(step));
            match &written {
                Ok(_) => assert_eq!(step, 20, "{fault:?} at {at}"),
                Err(error) => assert!(error.to_string().contains("injected"), "{error}"),
            }
            if written.is_err() && fault != Fault::Crash {
                assert_eq!(steps(dir.path()), [10], "{fault:?} at {at}: what was made is removed");
            }
            outcomes[usize::from(step == 20) + usize::from(written.is_ok())] += 1;
            match write::<f64>(&Quick, dir.path(), &state(20)) {
                Ok(_) => {}
                Err(CheckpointError::Exists { .. }) => assert_eq!(step, 20),
                Err(error) => panic!("{fault:?} at {at}: the next attempt fails: {error}"),
            }
            let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
            assert_whole::<f64>(&found.checkpoint.unwrap(), &state(20));
        }
    }
    println!("{count} operations, 3 kinds of fault: {outcomes:?} (lost, committed with an error, committed)");
    assert!(outcomes[0] > count);
}

#[test]
fn a_fault_at_any_removal_leaves_two_whole_ones() {
    let mut at = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        for step in 1..=4 {
            write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
        }
        let faulty = Faulty::new(at, Fault::Crash);
        let pruned = prune(&faulty, dir.path(), RUN, 2, &mut BTreeSet::new());
        let whole = scan(&Disk, dir.path()).unwrap().iter().filter(|e| matches!(e.state, State::Committed(_))).count();
        assert!(whole >= 2);
        assert_eq!(newest(&Disk, dir.path(), None, true).unwrap().checkpoint.unwrap().meta().step, 4);
        if pruned.warnings.is_empty() {
            assert_eq!(pruned.removed, [2, 1]);
            break;
        }
        let again = prune(&Quick, dir.path(), RUN, 2, &mut BTreeSet::new());
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
        write::<f64>(&Quick, dir.path(), &state(5)).unwrap();
        assert!(prune(&Quick, dir.path(), RUN, 2, &mut BTreeSet::new()).warnings.is_empty());
        assert_eq!(steps(dir.path()), [5, 4], "ruins of a removal cut off at operation {at}");
        at += 1;
    }
    println!("{at} operations of a removal cut off");
}

#[test]
fn only_our_own_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Meta { run: OTHER, ..state(1) };
    write::<f64>(&Quick, dir.path(), &foreign).unwrap();
    for step in 2..=6 {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
    }
    begin(&Quick, dir.path(), &Meta { run: OTHER, ..state(0) }).unwrap();
    std::fs::write(folder(dir.path(), 6).join("speed/c/0/0"), b"damaged").unwrap();
    std::fs::create_dir(folder(dir.path(), 7)).unwrap();
    std::fs::write(folder(dir.path(), 7).join("notes"), b"mine").unwrap();
    std::fs::create_dir(dir.path().join("checkpoints/step-0000000002-copy")).unwrap();
    let pruned = prune(&Quick, dir.path(), RUN, 0, &mut BTreeSet::new());
    assert_eq!(pruned.removed, [3, 2]);
    assert_eq!(pruned.warnings.len(), 1, "the damaged one is named: {:?}", pruned.warnings);
    assert_eq!(steps(dir.path()), [7, 6, 5, 4, 1, 0]);
    let error = abandon(&Quick, &folder(dir.path(), 7), RUN).unwrap_err();
    assert!(matches!(error, CheckpointError::NotOurs { .. }), "{error}");
    assert!(abandon(&Quick, &folder(dir.path(), 0), RUN).is_err());
    let found = newest(&Disk, dir.path(), Some(OTHER), true).unwrap();
    assert_eq!(found.checkpoint.unwrap().meta().run, OTHER);
    assert!(found.refused.iter().any(|one| one.reason.to_string().contains("belongs to run 0707")));
}

#[test]
fn a_ruin_that_nobody_could_own_yet_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    for step in [3, 5, 6, 7] {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
    }
    // Killed after the folder was made; after the owner's record was begun; and something that is no such record.
    for (step, record) in [(1, None), (2, Some("")), (4, Some("mine"))] {
        let at = folder(dir.path(), step);
        std::fs::create_dir(&at).unwrap();
        record.map_or(Ok(()), |record| std::fs::write(at.join("OWNER"), record)).unwrap();
    }
    let pruned = prune(&Quick, dir.path(), RUN, 3, &mut BTreeSet::new());
    assert_eq!(pruned.removed, [3, 2, 1]);
    assert_eq!(steps(dir.path()), [7, 6, 5, 4]);
}

#[test]
fn a_taken_name_is_freed_without_loss() {
    let dir = tempfile::tempdir().unwrap();
    let at = folder(dir.path(), 5);
    let aside = |count| dir.path().join(format!("checkpoints/step-0000000005.refused-{count}"));
    write::<f64>(&Quick, dir.path(), &Meta { run: OTHER, ..state(5) }).unwrap();
    write::<f64>(&Quick, dir.path(), &state(5)).unwrap();
    assert!(aside(1).join("MANIFEST").exists(), "a foreign one is moved aside");
    let again = write::<f64>(&Quick, dir.path(), &state(5)).unwrap_err();
    assert!(matches!(again, CheckpointError::Exists { .. }), "{again}");
    std::fs::write(at.join("speed/c/0/0"), b"damaged").unwrap();
    write::<f64>(&Quick, dir.path(), &state(5)).unwrap();
    assert!(aside(2).join("MANIFEST").exists(), "a damaged one is moved aside");
    std::fs::remove_file(at.join("MANIFEST")).unwrap();
    write::<f64>(&Quick, dir.path(), &state(5)).unwrap();
    assert!(!aside(3).exists(), "our own dead one is removed");
    std::fs::remove_file(at.join("MANIFEST")).unwrap();
    std::fs::remove_file(at.join("OWNER")).unwrap();
    write::<f64>(&Quick, dir.path(), &state(5)).unwrap();
    assert!(aside(3).join("zarr.json").exists(), "what nobody owns is moved aside");
    let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
    assert_whole::<f64>(&found.checkpoint.unwrap(), &state(5));
}

#[test]
fn commit_wants_every_chunk_once() {
    let dir = tempfile::tempdir().unwrap();
    let state = state(5);
    let pending = begin(&Quick, dir.path(), &state).unwrap();
    let mut records = Vec::new();
    for part in 0..3 {
        for component in 0..2 {
            let values: Vec<f64> = values(&state, component, &state.cuts.block(part));
            records.push(write_part(&Quick, &pending.folder, &state, part, component, &values).unwrap());
        }
    }
    let twice = write_part::<f64>(&Quick, &pending.folder, &state, 0, 0, &values(&state, 0, &state.cuts.block(0)));
    assert!(twice.is_err(), "a chunk is created exclusively");
    let words = |records: &[_]| commit(&Quick, &pending, &state, records.to_vec()).unwrap_err().to_string();
    assert!(words(&records[1..]).contains("height/c/0/0 was reported 0 times"), "{}", words(&records[1..]));
    let mut double = records.clone();
    double.push(records[2].clone());
    assert!(words(&double).contains("reported 2 times"));
    let mut wrong = records.clone();
    wrong[3].bytes += 1;
    assert!(words(&wrong).contains("reported 0 times"));
    assert!(!pending.folder.join("MANIFEST").exists());
    commit(&Quick, &pending, &state, records).unwrap();
    assert!(pending.folder.join("MANIFEST").exists());
}

#[test]
fn a_checkpoint_that_does_not_fit_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let needed = state(1).size().1;
    let error = write::<f64>(&Faulty::with_room(needed - 1), dir.path(), &state(1)).unwrap_err();
    assert!(matches!(error, CheckpointError::Space { .. }), "{error}");
    assert!(steps(dir.path()).is_empty(), "nothing is written");
    write::<f64>(&Faulty::with_room(needed), dir.path(), &state(1)).unwrap();
    assert!(Disk.free(dir.path()).unwrap().is_some_and(|free| free > 0), "a disk knows");
}

#[test]
fn the_first_of_every_so_many_steps_stays() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Keep { newest: 2, every: Some(4) };
    let mut removed = Vec::new();
    // Not at multiples of four: 5 is the first from 4 on, 9 from 8 on.
    for step in [1, 2, 3, 5, 6, 7, 9, 10, 11, 12] {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
        let pruned = prune(&Quick, dir.path(), RUN, keep, &mut BTreeSet::new());
        assert!(pruned.warnings.is_empty());
        removed.extend(pruned.removed);
    }
    assert_eq!(steps(dir.path()), [12, 11, 9, 5]);
    assert_eq!(removed, [1, 2, 3, 6, 7, 10]);
}
