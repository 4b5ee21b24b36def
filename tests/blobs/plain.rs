//! Named bytes in a folder.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use bytes::Bytes;
use ringfort::datacenter::blobs::{BlobError, Blobs, Listed, Mode, Put};
use ringfort::datacenter::protocol::Block;
use tokio::task::JoinSet;

use super::{STEP, chunk, contents, folder, generations, put_all, run, small, torus};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn what_was_put_is_there() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let blobs = Blobs::from_url(&format!("file://{}", dir.path().join("a/new folder").display())).unwrap();
        assert_eq!(blobs.list("").await.unwrap(), []);
        assert_eq!(blobs.put("x/y/one", bytes("first"), Mode::Create).await.unwrap(), Put::Stored);
        assert_eq!(blobs.put("x/y/one", bytes("second"), Mode::Create).await.unwrap(), Put::Exists);
        assert_eq!(blobs.get("x/y/one", 100).await.unwrap().unwrap(), "first");
        assert_eq!(blobs.put("x/y/one", bytes("third"), Mode::Overwrite).await.unwrap(), Put::Stored);
        assert_eq!(blobs.put("x/two", bytes(""), Mode::Overwrite).await.unwrap(), Put::Stored);
        assert_eq!(blobs.get("x/y/one", 5).await.unwrap().unwrap(), "third");
        assert!(matches!(blobs.get("x/y/one", 4).await, Err(BlobError::Large { bytes: 5, .. })));
        assert_eq!(blobs.get("x/two", 0).await.unwrap().unwrap(), "");
        for absent in ["x", "x/y", "x/y/two", "z"] {
            assert_eq!(blobs.get(absent, 100).await.unwrap(), None);
        }
        assert_eq!(blobs.get_range("x/y/one", 1..3).await.unwrap().unwrap(), "hi");
        assert!(blobs.get_range("x/y/one", 3..9).await.is_err());
        assert_eq!(blobs.get_range("x/y/two", 0..1).await.unwrap(), None);
        let listed = |name: &str, bytes| Listed { name: name.into(), bytes };
        assert_eq!(blobs.list("").await.unwrap(), [listed("x/two", 0), listed("x/y/one", 5)]);
        assert_eq!(blobs.list("x/y").await.unwrap(), [listed("x/y/one", 5)]);
        assert_eq!(blobs.list("x/y/o").await.unwrap(), []);
        assert_eq!(blobs.folders("x").await.unwrap(), ["y"]);
        assert_eq!(blobs.folders("none").await.unwrap(), Vec::<String>::new());
        blobs.delete("x/y/one").await.unwrap();
        blobs.delete("x/y/one").await.unwrap();
        assert!(!blobs.folder().join("x/y").exists() && blobs.folder().join("x").exists());
        blobs.delete("x/two").await.unwrap();
        assert!(!blobs.folder().join("x").exists() && blobs.folder().exists());
        for name in ["a//b", "../a", "a/./b"] {
            assert!(matches!(blobs.get(name, 1).await, Err(BlobError::Name { .. })), "{name}");
        }
    });
}

#[test]
fn other_addresses_are_refused_by_name() {
    for (url, says) in [
        ("s3://bucket/prefix", "not yet supported"),
        ("file://here", "absolute path"),
        ("http://a/b", "file:///FOLDER"),
        ("/plain", "file:///FOLDER"),
    ] {
        let error = Blobs::from_url(url).unwrap_err();
        assert!(matches!(error, BlobError::Url { .. }) && error.to_string().contains(says), "{error}");
    }
}

#[test]
fn one_of_many_creates() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let blobs = Blobs::local(dir.path()).unwrap();
        for round in 0..20 {
            let mut tasks = JoinSet::new();
            for task in 0..6_u8 {
                let blobs = blobs.clone();
                tasks.spawn(async move {
                    let name = format!("a/{round}/b");
                    (task, blobs.put(&name, vec![task; 5000].into(), Mode::Create).await.unwrap())
                });
            }
            let ended = tasks.join_all().await;
            let winners: Vec<u8> =
                ended.into_iter().filter(|(_, put)| *put == Put::Stored).map(|(task, _)| task).collect();
            let there = blobs.get(&format!("a/{round}/b"), 9999).await.unwrap().unwrap();
            assert_eq!(winners.len(), 1);
            assert_eq!(there, vec![winners[0]; 5000]);
        }
        assert_eq!(blobs.list("").await.unwrap().len(), 20);
    });
}

#[test]
fn refusals_of_the_disk_are_errors_and_no_absence() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let blobs = Blobs::local(dir.path()).unwrap();
        fs::write(dir.path().join("checkpoints"), "a file where a folder belongs").unwrap();
        let generations = generations(dir.path(), &meta);
        assert!(generations.put_chunk(STEP, Block(0), chunk(&meta, 0), false).await.is_err());
        assert!(generations.get_chunk(STEP, Block(0)).await.is_err());
        let error = blobs.get("checkpoints/step-0000000020/MANIFEST", 9).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::NotADirectory));
        let text = error.to_string();
        assert!(
            text.starts_with("cannot read checkpoints/step-") && !text.contains(dir.path().to_str().unwrap()),
            "{text}"
        );
    });
}

#[test]
fn missing_rights_are_errors_and_no_absence() {
    let dir = tempfile::tempdir().unwrap();
    let meta = small();
    run(async {
        let generations = generations(dir.path(), &meta);
        put_all(&generations, &meta).await;
        let locked = folder(dir.path());
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let denied = fs::read(locked.join("MANIFEST")).is_err();
        if denied {
            let error = generations.get_chunk(STEP, Block(0)).await.unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::PermissionDenied));
            assert!(generations.get_manifest(STEP).await.is_err());
        } else {
            eprintln!("SKIPPED  missing rights: root has them all");
        }
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    });
}

/// A file system of a given size, as long as the value lives.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_error_that_passes() {
    let [dir, whole] = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(dir.path()).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED  full disk: no right to mount a tmpfs; run the test as root");
        return;
    }
    let disk = Small(dir.path().to_path_buf());
    let meta = small();
    run(async {
        let generations = generations(&disk.0, &meta);
        generations.put_chunk(STEP, Block(0), chunk(&meta, 0), false).await.unwrap();
        let ballast = disk.0.join("ballast");
        let _full = fs::write(&ballast, vec![1; 1 << 20]);
        for block in 1..6 {
            let error = generations.put_chunk(STEP, Block(block), chunk(&meta, block), false).await.unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::StorageFull), "{error}");
            assert_eq!(generations.get_chunk(STEP, Block(block)).await.unwrap(), None);
        }
        let value = generations.get_chunk(STEP, Block(0)).await.unwrap().unwrap();
        let records = generations.records(STEP, Block(0), value.bytes()).await.unwrap();
        let refused = generations.put_receipt(STEP, Block(0), value.digest(), &records).await.unwrap_err();
        assert_eq!(refused.kind(), Some(ErrorKind::StorageFull));
        fs::remove_file(&ballast).unwrap();
        put_all(&generations, &meta).await;
    });
    torus(whole.path(), &meta);
    assert!(contents(&folder(&disk.0)) == contents(&folder(whole.path())));
}
