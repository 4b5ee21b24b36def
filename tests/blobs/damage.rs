//! Damage of every kind to every file is seen, and mended from the state that the workers still have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringfort::checkpoint::Meta;
use ringfort::datacenter::blobs::{BlobError, Generations, Put};
use ringfort::datacenter::protocol::{Block, Value};

use super::{chunk, contents, expected, folder, generations, put_all, put_block, run, small};

/// Ways to harm a file.
const HARMS: [fn(&Path); 5] = [
    |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(path, bytes).unwrap();
    },
    |path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    },
    |path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(fs::metadata(path).unwrap().len() - 1).unwrap()
    },
    |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes.push(0);
        fs::write(path, bytes).unwrap();
    },
    |path| fs::remove_file(path).unwrap(),
];

/// What a worker sees: chunks that are not as they should be, and whether the manifest is.
async fn look(generations: &Generations, meta: &Meta) -> (Vec<usize>, bool) {
    let mut bad = Vec::new();
    for block in 0..meta.cuts.count() {
        let read = generations.get_chunk(meta.step, Block(block)).await.unwrap().filter(Value::intact);
        match read {
            Some(value) => assert_eq!(*value.bytes(), chunk(meta, block), "damaged values taken for good"),
            None => bad.push(block),
        }
    }
    let manifest = generations.get_manifest(meta.step).await.unwrap().filter(Value::intact);
    assert!(manifest.as_ref().is_none_or(|read| *read == expected(meta)), "a wrong manifest taken for good");
    (bad, manifest.is_some())
}

/// What workers do about it that still have the state.
async fn mend(generations: &Generations, meta: &Meta, bad: &[usize]) {
    for &block in bad {
        generations.put_chunk(meta.step, Block(block), chunk(meta, block), true).await.unwrap();
        put_block(generations, meta, block).await;
    }
    if !look(generations, meta).await.1 {
        for block in 0..meta.cuts.count() {
            put_block(generations, meta, block).await;
        }
        generations.put_manifest(meta.step, true).await.unwrap();
    }
}

fn whole(meta: &Meta) -> (tempfile::TempDir, Generations, BTreeMap<PathBuf, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let generations = generations(dir.path(), meta);
    run(put_all(&generations, meta));
    let before = contents(dir.path());
    (dir, generations, before)
}

#[test]
fn damage_to_any_file_is_seen_and_mended() {
    let meta = small();
    let (dir, generations, before) = whole(&meta);
    for name in before.keys() {
        for (harm, hurt) in HARMS.iter().enumerate() {
            hurt(&dir.path().join(name));
            run(async {
                let (bad, sound) = look(&generations, &meta).await;
                let in_folder = name.strip_prefix(folder(Path::new(""))).ok().map(|name| name.display().to_string());
                let of_chunk = (0..meta.cuts.count()).find(|&block| {
                    (0..2).any(|component| in_folder.as_ref() == Some(&meta.chunk_name(component, block)))
                });
                let shown = name.display();
                match (&in_folder, of_chunk) {
                    // Receipts can be made from their chunks again, and were by the look.
                    (None, _) => assert_eq!((bad, sound), (vec![], true), "{shown}, harm {harm}"),
                    (Some(_), Some(block)) => {
                        assert_eq!((&bad[..], sound), (&[block][..], true), "{shown}, harm {harm}")
                    }
                    (Some(_), None) => {
                        assert_eq!((&bad[..], sound), (&[][..], false), "{shown}, harm {harm}");
                    }
                }
                let (bad, _) = look(&generations, &meta).await;
                mend(&generations, &meta, &bad).await;
                assert_eq!(look(&generations, &meta).await, (vec![], true), "{shown}, harm {harm}");
            });
            assert!(contents(dir.path()) == before, "{}, harm {harm}: mended to other bytes", name.display());
        }
    }
}

#[test]
fn chunks_that_trade_places_are_seen() {
    let meta = small();
    let (dir, generations, before) = whole(&meta);
    let [a, b] = [0, 2].map(|block| folder(dir.path()).join(meta.chunk_name(0, block)));
    let swap = || {
        let bytes = [fs::read(&a).unwrap(), fs::read(&b).unwrap()];
        fs::write(&b, &bytes[0]).unwrap();
        fs::write(&a, &bytes[1]).unwrap();
    };
    swap();
    run(async { assert_eq!(look(&generations, &meta).await, (vec![0, 2], true)) });
    // Without a manifest, receipts tell.
    fs::remove_file(folder(dir.path()).join("MANIFEST")).unwrap();
    run(async { assert_eq!(look(&generations, &meta).await, (vec![0, 2], false)) });
    swap();
    run(async {
        generations.put_manifest(meta.step, false).await.unwrap();
        assert_eq!(look(&generations, &meta).await, (vec![], true));
    });
    assert!(contents(dir.path()) == before);
}

#[test]
fn a_damaged_receipt_before_the_manifest_is_made_again_or_taken_back() {
    let meta = small();
    let (dir, generations, before) = whole(&meta);
    let receipts: Vec<_> = before.keys().filter(|name| name.starts_with("receipts")).cloned().collect();
    assert_eq!(receipts.len(), meta.cuts.count());
    for (block, name) in receipts.iter().enumerate() {
        fs::remove_file(folder(dir.path()).join("MANIFEST")).unwrap();
        HARMS[block % 4](&dir.path().join(name));
        run(generations.put_manifest(meta.step, false)).unwrap();
        assert!(contents(dir.path()) == before);
    }
    fs::remove_file(folder(dir.path()).join("MANIFEST")).unwrap();
    HARMS[0](&dir.path().join(&receipts[4]));
    HARMS[0](&folder(dir.path()).join(meta.chunk_name(1, 4)));
    run(async {
        let error = generations.put_manifest(meta.step, false).await.unwrap_err();
        assert!(matches!(error, BlobError::Incomplete { found: 5, expected: 6, .. }), "{error}");
        assert!(!dir.path().join(&receipts[4]).exists());
        assert_eq!(look(&generations, &meta).await, (vec![4], false));
    });
}

#[test]
fn a_manifest_that_disagrees_with_receipts_is_damaged() {
    let meta = small();
    let (dir, generations, before) = whole(&meta);
    // A manifest of other values, right in itself.
    let elsewhere = tempfile::tempdir().unwrap();
    let liar = super::generations(elsewhere.path(), &meta);
    run(async {
        for block in 0..meta.cuts.count() {
            let value =
                Value::new(if block == 2 { vec![7; chunk(&meta, 2).len()].into() } else { chunk(&meta, block) });
            liar.put_chunk(meta.step, Block(block), value.bytes().clone(), false).await.unwrap();
            assert!(liar.confirm(meta.step, Block(block), value.digest()).await.unwrap());
        }
        liar.put_manifest(meta.step, false).await.unwrap();
    });
    fs::copy(folder(elsewhere.path()).join("MANIFEST"), folder(dir.path()).join("MANIFEST")).unwrap();
    run(async {
        assert_eq!(look(&generations, &meta).await, (vec![2], false));
        generations.put_manifest(meta.step, true).await.unwrap();
        assert_eq!(look(&generations, &meta).await, (vec![], true));
    });
    assert!(contents(dir.path()) == before);
}

#[test]
fn the_owner_record_is_needed_until_the_manifest_is_there() {
    let meta = small();
    let (dir, generations, _) = whole(&meta);
    let owner = folder(dir.path()).join("OWNER");
    fs::write(&owner, "nobody").unwrap();
    run(async { assert_eq!(look(&generations, &meta).await, (vec![], true)) });
    fs::remove_file(folder(dir.path()).join("MANIFEST")).unwrap();
    run(async {
        assert_eq!(look(&generations, &meta).await.0.len(), meta.cuts.count());
        // Whose it was nobody can tell, so it is kept, out of the way.
        put_all(&generations, &meta).await;
        assert_eq!(look(&generations, &meta).await, (vec![], true));
    });
    assert_eq!(fs::read_to_string(folder(dir.path()).with_extension("refused-1").join("OWNER")).unwrap(), "nobody");
}

#[test]
fn who_read_a_manifest_writes_it_again_whatever_became_of_the_chunks() {
    let meta = small();
    let (dir, generations, before) = whole(&meta);
    let known = run(generations.get_manifest(meta.step)).unwrap().unwrap();
    let receipt = before.keys().filter(|name| name.starts_with("receipts")).nth(4).unwrap();
    for name in ["MANIFEST", "zarr.json"] {
        for (harm, hurt) in HARMS.iter().enumerate() {
            hurt(&folder(dir.path()).join(name));
            hurt(&folder(dir.path()).join(meta.chunk_name(1, 4)));
            fs::remove_file(dir.path().join(receipt)).unwrap();
            run(async {
                assert!(!look(&generations, &meta).await.1, "{name}, harm {harm}");
                let error = generations.put_manifest(meta.step, true).await.unwrap_err();
                assert!(matches!(error, BlobError::Incomplete { .. }), "{error}");
                let never_read = Value::new(known.bytes().clone());
                assert_eq!(generations.put_manifest_again(meta.step, &never_read, true).await.unwrap(), None);
                let put = generations.put_manifest_again(meta.step, &known, true).await.unwrap();
                assert_eq!(put, Some(Put::Stored), "{name}, harm {harm}");
                let read = generations.get_manifest(meta.step).await.unwrap().unwrap();
                assert!(read.intact(), "{name}, harm {harm}");
                assert!(generations.get_chunk(meta.step, Block(4)).await.unwrap().is_none_or(|value| !value.intact()));
                mend(&generations, &meta, &[4]).await;
                assert_eq!(look(&generations, &meta).await, (vec![], true), "{name}, harm {harm}");
            });
            assert!(contents(dir.path()) == before, "{name}, harm {harm}: mended to other bytes");
            let put = run(generations.put_manifest_again(meta.step, &known, false)).unwrap();
            assert_eq!(put, Some(Put::Exists));
        }
    }
}
