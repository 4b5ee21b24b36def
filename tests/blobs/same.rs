//! The same files as torus mode writes, by one writer or by many.

use std::collections::BTreeSet;

use bytes::Bytes;
use ringfort::checkpoint::{Checkpoint, Disk, Meta, Precision, newest, prune};
use ringfort::datacenter::blobs::{BlobError, Put};
use ringfort::datacenter::protocol::{Block, Value};
use tokio::task::JoinSet;

use super::checkpoint_common::{RUN, assert_whole};
use super::{at, chunk, contents, expected, folder, generations, listed, meta, put_all, put_block, run, small, torus};

#[test]
fn files_are_those_of_torus_mode() {
    for (axes, points, parts) in [
        (1, [1, 1, 1, 10], [1, 1, 1, 1]),
        (1, [1, 1, 1, 10], [1, 1, 1, 4]),
        (2, [1, 1, 7, 9], [1, 1, 3, 2]),
        (2, [1, 1, 4, 4], [1, 1, 2, 4]),
        (3, [1, 5, 3, 5], [1, 2, 1, 3]),
        (4, [3, 2, 5, 4], [2, 1, 3, 2]),
    ] {
        for precision in [Precision::Float32, Precision::Float64] {
            let meta = meta(axes, points, parts, precision);
            let [ours, theirs] = [0, 1].map(|_| tempfile::tempdir().unwrap());
            run(async {
                let generations = generations(ours.path(), &meta);
                put_all(&generations, &meta).await;
                assert_eq!(generations.get_manifest(meta.step).await.unwrap(), Some(expected(&meta)));
                let all: Vec<usize> = (0..meta.cuts.count()).collect();
                assert_eq!(listed(&generations).await, (all.clone(), all, true));
            });
            torus(theirs.path(), &meta);
            assert_eq!(contents(&folder(ours.path())), contents(&folder(theirs.path())), "{parts:?}");
            assert!(folder(ours.path()).join("OWNER").exists());
            let checkpoint = Checkpoint::open(&Disk, &folder(ours.path())).unwrap();
            match precision {
                Precision::Float32 => assert_whole::<f32>(&checkpoint, &meta),
                Precision::Float64 => assert_whole::<f64>(&checkpoint, &meta),
            }
        }
    }
}

#[test]
fn torus_mode_restores_and_prunes_them() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        for step in [20, 40, 60, 80] {
            put_all(&generations, &at(&meta, step)).await;
        }
        put_block(&generations, &at(&meta, 10), 1).await;
        let found = newest(&Disk, dir.path(), Some(RUN), true).unwrap();
        assert_eq!(found.checkpoint.unwrap().meta().step, 80);
        assert!(found.refused.is_empty());
        let pruned = prune(&Disk, dir.path(), RUN, 2, &mut BTreeSet::new());
        assert_eq!((pruned.removed, pruned.warnings.len()), (vec![40, 20, 10], 0));
        // Receipts of what torus mode removed are listed, so that they are deleted too.
        let steps: BTreeSet<u64> = generations.list().await.unwrap().iter().map(|blob| blob.step()).collect();
        assert_eq!(steps, [10, 20, 40, 60, 80].into());
        for blob in generations.list().await.unwrap().into_iter().filter(|blob| blob.step() < 60) {
            generations.delete(blob).await.unwrap();
        }
        assert!(generations.list().await.unwrap().iter().all(|blob| blob.step() >= 60));
    });
}

#[test]
fn an_unfinished_generation_never_looks_complete() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        assert_eq!(listed(&generations).await, (vec![], vec![], false));
        for block in 0..meta.cuts.count() {
            assert_eq!(generations.get_chunk(meta.step, Block(block)).await.unwrap(), None);
            let error = generations.put_manifest(meta.step, true).await.unwrap_err();
            assert!(matches!(error, BlobError::Incomplete { found, .. } if found == block), "{error}");
            put_block(&generations, &meta, block).await;
            let all: Vec<usize> = (0..=block).collect();
            assert_eq!(listed(&generations).await, (all.clone(), all, false));
            assert_eq!(generations.get_manifest(meta.step).await.unwrap(), None);
            assert!(Checkpoint::open(&Disk, &folder(dir.path())).is_err());
        }
        // A chunk whose second file is missing is none.
        let half = folder(dir.path()).join(meta.chunk_name(1, 2));
        std::fs::remove_file(&half).unwrap();
        assert_eq!(listed(&generations).await.0, [0, 1, 3, 4, 5]);
        assert_eq!(generations.get_chunk(meta.step, Block(2)).await.unwrap(), None);
        // Then its receipt does not count, and is taken back.
        assert!(matches!(
            generations.put_manifest(meta.step, false).await,
            Err(BlobError::Incomplete { found: 5, .. })
        ));
        assert_eq!(listed(&generations).await.1, [0, 1, 3, 4, 5]);
        put_block(&generations, &meta, 2).await;
        assert_eq!(generations.put_manifest(meta.step, false).await.unwrap(), Put::Stored);
        assert_eq!(generations.put_manifest(meta.step, false).await.unwrap(), Put::Exists);
        assert!(Checkpoint::open(&Disk, &folder(dir.path())).unwrap().verify().is_empty());
    });
}

#[test]
fn what_is_there_stays_unless_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        let (first, other) = (chunk(&meta, 3), chunk(&at(&meta, 99), 3));
        generations.put_chunk(meta.step, Block(3), first.clone(), false).await.unwrap();
        generations.put_chunk(meta.step, Block(3), other.clone(), false).await.unwrap();
        assert_eq!(generations.get_chunk(meta.step, Block(3)).await.unwrap(), Some(Value::new(first)));
        generations.put_chunk(meta.step, Block(3), other.clone(), true).await.unwrap();
        assert_eq!(generations.get_chunk(meta.step, Block(3)).await.unwrap(), Some(Value::new(other.clone())));
        let digest = Value::new(other.clone()).digest();
        assert!(!generations.confirm(meta.step, Block(3), digest ^ 1).await.unwrap());
        assert!(!generations.confirm(meta.step, Block(4), digest).await.unwrap());
        assert!(generations.confirm(meta.step, Block(3), digest).await.unwrap());
        assert_eq!(listed(&generations).await, (vec![3], vec![3], false));
        let error = generations.put_chunk(meta.step, Block(0), Bytes::from_static(b"short"), false).await.unwrap_err();
        assert!(matches!(error, BlobError::Values { found: 5, .. }), "{error}");
    });
}

async fn write_all(of: Meta, dir: std::path::PathBuf, first: usize) {
    let generations = generations(&dir, &of);
    let count = of.cuts.count();
    for block in (0..count).map(|at| (at + first) % count) {
        put_block(&generations, &of, block).await;
    }
    generations.put_manifest(of.step, false).await.unwrap();
    assert_eq!(generations.get_manifest(of.step).await.unwrap(), Some(expected(&of)));
}

#[test]
fn many_writers_make_one_checkpoint() {
    let meta = small();
    let theirs = tempfile::tempdir().unwrap();
    torus(theirs.path(), &meta);
    for _ in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        run(async {
            let mut writers = JoinSet::new();
            for writer in 0..4 {
                writers.spawn(write_all(meta.clone(), dir.path().to_path_buf(), writer));
            }
            writers.join_all().await;
        });
        assert_eq!(contents(&folder(dir.path())), contents(&folder(theirs.path())));
        let names: Vec<_> = std::fs::read_dir(dir.path().join("checkpoints")).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing was moved aside");
    }
}
