//! Checkpoints that torus mode or an earlier start left: with our cuts, with others, whole or not.

use std::fs;

use ringfort::checkpoint::{Checkpoint, Disk, Meta, Precision, begin, write_part};
use ringfort::datacenter::blobs::Put;
use ringfort::datacenter::protocol::{Block, Value};
use ringfort::decomp::Cuts;

use super::checkpoint_common::{Quick, values};
use super::{
    STEP, chunk, contents, expected, folder, generations, listed, meta, put_all, put_block, run, small, torus,
};

fn recut(meta: &Meta, parts: [usize; 4]) -> Meta {
    Meta { cuts: Cuts::new(meta.grid.points, parts).unwrap(), ..meta.clone() }
}

#[test]
fn torus_checkpoints_are_read_with_any_cuts() {
    for (axes, points, parts) in [
        (1, [1, 1, 1, 10], vec![[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 4]]),
        (2, [1, 1, 7, 9], vec![[1, 1, 3, 2], [1, 1, 1, 5], [1, 1, 7, 1]]),
        (4, [3, 2, 5, 4], vec![[1, 1, 1, 1], [2, 1, 3, 2]]),
    ] {
        for precision in [Precision::Float32, Precision::Float64] {
            for (theirs, ours) in parts.iter().flat_map(|a| parts.iter().map(move |b| (a, b))) {
                let dir = tempfile::tempdir().unwrap();
                let written = meta(axes, points, *theirs, precision);
                torus(dir.path(), &written);
                let before = contents(&folder(dir.path()));
                let ours = recut(&written, *ours);
                run(async {
                    let generations = generations(dir.path(), &ours);
                    let all: Vec<usize> = (0..ours.cuts.count()).collect();
                    assert_eq!(listed(&generations).await, (all.clone(), vec![], true));
                    for &block in &all {
                        let read = generations.get_chunk(STEP, Block(block)).await.unwrap();
                        assert_eq!(read, Some(Value::new(chunk(&ours, block))));
                    }
                    let read = generations.get_manifest(STEP).await.unwrap().unwrap();
                    assert!(read.intact());
                    assert_eq!(generations.get_manifest(STEP).await.unwrap(), Some(read.clone()), "always the same");
                    if written.cuts == ours.cuts {
                        assert_eq!(read, expected(&ours), "receipts were made from the chunks");
                        assert_eq!(listed(&generations).await.1, all);
                    }
                    // It is complete, and writing it again changes nothing.
                    for &block in &all {
                        put_block(&generations, &ours, block).await;
                    }
                    assert_eq!(generations.put_manifest(STEP, false).await.unwrap(), Put::Exists);
                    assert_eq!(generations.get_manifest(STEP).await.unwrap(), Some(read));
                });
                assert!(contents(&folder(dir.path())) == before);
            }
        }
    }
}

#[test]
fn damage_to_a_checkpoint_with_other_cuts_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let written = small();
    let ours = recut(&written, [1, 1, 2, 3]);
    torus(dir.path(), &written);
    let before = contents(&folder(dir.path()));
    let generations = generations(dir.path(), &ours);
    for (name, bytes) in &before {
        for flip in [true, false] {
            let path = folder(dir.path()).join(name);
            let mut harmed = bytes.clone();
            harmed[bytes.len() / 2] ^= 16;
            if flip {
                fs::write(&path, harmed).unwrap()
            } else {
                fs::remove_file(&path).unwrap()
            }
            run(async {
                let mut bad = 0;
                for block in 0..ours.cuts.count() {
                    match generations.get_chunk(STEP, Block(block)).await.unwrap().filter(Value::intact) {
                        Some(value) => assert_eq!(*value.bytes(), chunk(&ours, block)),
                        None => bad += 1,
                    }
                }
                let complete = generations.get_manifest(STEP).await.unwrap().is_some_and(|read| read.intact());
                let shown = name.display().to_string();
                if shown == "MANIFEST" || shown == "zarr.json" {
                    assert_eq!((bad, complete), (6, false), "{shown}");
                } else if shown.starts_with("height/c") || shown.starts_with("speed/c") {
                    assert!((1..6).contains(&bad) && complete, "{shown}: {bad}");
                } else {
                    assert_eq!((bad, complete), (0, true), "{shown}");
                }
            });
            fs::write(&path, bytes).unwrap();
        }
    }
}

/// Torus mode was killed in the middle of a checkpoint: same cuts, some chunks whole, one cut short.
#[test]
fn an_unfinished_torus_checkpoint_is_gone_on_with() {
    let [dir, whole] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let meta = small();
    let pending = begin(&Quick, dir.path(), &meta).unwrap();
    for part in 0..3 {
        for component in 0..2 {
            let values: Vec<f64> = values(&meta, component, &meta.cuts.block(part));
            write_part(&Quick, &pending.folder, &meta, part, component, &values).unwrap();
        }
    }
    let short = pending.folder.join(meta.chunk_name(1, 2));
    fs::OpenOptions::new().write(true).open(short).unwrap().set_len(40).unwrap();
    torus(whole.path(), &meta);
    run(async {
        let generations = generations(dir.path(), &meta);
        assert_eq!(listed(&generations).await, (vec![0, 1, 2], vec![], false));
        assert!(!generations.get_chunk(STEP, Block(2)).await.unwrap().unwrap().intact());
        generations.put_chunk(STEP, Block(2), chunk(&meta, 2), false).await.unwrap();
        assert!(!generations.get_chunk(STEP, Block(2)).await.unwrap().unwrap().intact());
        generations.put_chunk(STEP, Block(2), chunk(&meta, 2), true).await.unwrap();
        put_all(&generations, &meta).await;
    });
    assert!(contents(&folder(dir.path())) == contents(&folder(whole.path())));
}

/// The run goes on with other cuts of which a chunk has as many bytes: the chunks of before must not be taken for ours.
#[test]
fn unfinished_chunks_with_other_cuts_are_never_taken() {
    let dir = tempfile::tempdir().unwrap();
    let before = meta(2, [1, 1, 4, 4], [1, 1, 1, 4], Precision::Float64);
    let after = recut(&before, [1, 1, 4, 1]);
    assert_eq!(before.chunk_bytes(), after.chunk_bytes());
    run(async {
        let old = generations(dir.path(), &before);
        for block in 0..3 {
            put_block(&old, &before, block).await;
        }
        let new = generations(dir.path(), &after);
        assert_eq!(new.list().await.unwrap(), []);
        for block in 0..4 {
            assert_eq!(new.get_chunk(STEP, Block(block)).await.unwrap(), None);
        }
        put_all(&new, &after).await;
        assert_eq!(new.get_manifest(STEP).await.unwrap(), Some(expected(&after)));
        // To the earlier start, if it still lives, it is a checkpoint with other cuts.
        assert_eq!(old.get_chunk(STEP, Block(3)).await.unwrap(), Some(Value::new(chunk(&before, 3))));
        put_block(&old, &before, 3).await;
        assert_eq!(old.put_manifest(STEP, false).await.unwrap(), Put::Exists);
    });
    assert!(Checkpoint::open(&Disk, &folder(dir.path())).unwrap().verify().is_empty());
    let names = fs::read_dir(dir.path().join("checkpoints")).unwrap().count();
    assert_eq!(names, 1, "what was unfinished and ours is gone");
}

/// Raised steps change the job's text in the metadata, and nothing else.
#[test]
fn another_text_of_the_job_is_no_other_run() {
    let dir = tempfile::tempdir().unwrap();
    let before = small();
    let after = Meta { job: "name = \"test\"\n[time]\nsteps = 999\n".into(), ..before.clone() };
    run(async {
        let old = generations(dir.path(), &before);
        put_block(&old, &before, 1).await;
        let new = generations(dir.path(), &after);
        assert_eq!(listed(&new).await, (vec![1], vec![1], false));
        put_all(&new, &after).await;
        assert_eq!(old.get_manifest(STEP).await.unwrap(), Some(expected(&before)));
        assert_eq!(new.get_manifest(STEP).await.unwrap(), Some(expected(&after)));
    });
    let checkpoint = Checkpoint::open(&Disk, &folder(dir.path())).unwrap();
    assert!(checkpoint.verify().is_empty());
    assert_eq!(checkpoint.meta().job, after.job);
}
