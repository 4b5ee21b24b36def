//! Deleting: the manifest first, what is ours alone, and nothing left behind.

use std::fs;

use ringfort::checkpoint::{Checkpoint, CheckpointError, Disk, RunId, newest};
use ringfort::datacenter::protocol::{Blob, Block};

use super::checkpoint_common::{OTHER, RUN, files};
use super::{STEP, at, folder, generations, listed, put_all, put_block, run, small, torus};

#[test]
fn a_generation_goes_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        put_all(&generations, &meta).await;
        let names = generations.list().await.unwrap();
        generations.delete(Blob::Manifest { step: STEP }).await.unwrap();
        let gone = Checkpoint::open(&Disk, &folder(dir.path())).unwrap_err();
        assert!(matches!(gone, CheckpointError::Partial { .. }), "{gone}");
        let all: Vec<usize> = (0..6).collect();
        assert_eq!(listed(&generations).await, (all.clone(), all.clone(), false));
        assert_eq!(generations.get_manifest(STEP).await.unwrap(), None);
        for (block, &name) in names.iter().filter(|name| matches!(name, Blob::Chunk { .. })).enumerate() {
            generations.delete(name).await.unwrap();
            generations.delete(name).await.unwrap();
            assert_eq!(listed(&generations).await.0, all[block + 1..]);
        }
        assert!(!folder(dir.path()).exists());
        for &name in &names {
            generations.delete(name).await.unwrap();
        }
        assert_eq!(generations.list().await.unwrap(), []);
        assert_eq!(files(dir.path()).len(), 0);
        // And may be written again.
        put_all(&generations, &meta).await;
    });
}

#[test]
fn half_written_and_staged_files_go_with_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        put_all(&generations, &meta).await;
        let at = folder(dir.path());
        fs::write(at.join("MANIFEST#1"), "half").unwrap();
        fs::write(at.join(meta.chunk_name(0, 5)).with_extension("#2"), "half").unwrap();
        fs::remove_file(at.join(meta.chunk_name(1, 3))).unwrap();
        for blob in generations.list().await.unwrap() {
            generations.delete(blob).await.unwrap();
        }
        let manifest = Blob::Manifest { step: STEP };
        generations.delete(manifest).await.unwrap();
        assert!(!at.exists());
    });
}

#[test]
fn nothing_of_another_run_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    let theirs = ringfort::checkpoint::Meta { run: OTHER, ..meta.clone() };
    run(async {
        let others = generations(dir.path(), &theirs);
        put_all(&others, &theirs).await;
        put_block(&others, &at(&theirs, 40), 1).await;
        let before = files(dir.path());
        let ours = generations(dir.path(), &meta);
        assert_eq!(ours.list().await.unwrap(), []);
        assert_eq!(ours.get_manifest(STEP).await.unwrap(), None);
        assert_eq!(ours.get_chunk(STEP, Block(1)).await.unwrap(), None);
        for blob in others.list().await.unwrap() {
            ours.delete(blob).await.unwrap();
        }
        assert_eq!(files(dir.path()), before);
        // Where our run comes by, theirs is moved aside.
        put_all(&ours, &meta).await;
        let aside = folder(dir.path()).with_extension("refused-1");
        assert!(Checkpoint::open(&Disk, &aside).unwrap().verify().is_empty());
        assert_eq!(newest(&Disk, dir.path(), Some(RUN), true).unwrap().checkpoint.unwrap().meta().run, RUN);
        assert!(RunId([9; 16]) == OTHER);
    });
}

/// A receipt that is missing because the generation is being deleted does not make another manifest of it.
#[test]
fn a_generation_that_is_being_deleted_has_no_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        put_all(&generations, &meta).await;
        let names = generations.list().await.unwrap();
        let reader = generations.clone();
        let manifest = super::expected(&meta);
        let reads = tokio::spawn(async move {
            let mut seen = 0;
            while let Some(read) = reader.get_manifest(STEP).await.unwrap() {
                // Its metadata go after the manifest, which is then no longer the one that was read.
                assert!(read == manifest || !read.intact());
                seen += 1;
            }
            seen
        });
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        generations.delete(Blob::Manifest { step: STEP }).await.unwrap();
        for name in names {
            generations.delete(name).await.unwrap();
        }
        assert!(reads.await.unwrap() > 0);
    });
}

#[test]
fn torus_checkpoints_of_this_run_go_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    let cut = ringfort::checkpoint::Meta { cuts: ringfort::decomp::Cuts::whole(meta.grid.points), ..meta.clone() };
    torus(dir.path(), &cut);
    run(async {
        let generations = generations(dir.path(), &meta);
        for block in 0..6 {
            generations.delete(Blob::Chunk { step: STEP, block: Block(block) }).await.unwrap();
        }
        assert!(Checkpoint::open(&Disk, &folder(dir.path())).unwrap().verify().is_empty());
        generations.delete(Blob::Manifest { step: STEP }).await.unwrap();
        assert!(!folder(dir.path()).exists());
    });
}
