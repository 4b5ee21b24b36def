use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::super::protocol::Block;
use super::*;

fn shell(step: u64) -> Shell {
    Shell { block: Block(1), step }
}

fn folder(shared: &Path, worker: u64) -> Arc<Folder> {
    Arc::new(Folder::make(shared, WorkerId(worker)).unwrap())
}

/// Files in all folders of workers.
fn count(shared: &Path) -> usize {
    fs::read_dir(shared).unwrap().map(|own| fs::read_dir(own.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn one_file_for_all_readers_of_a_shell_and_none_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let [writer, reader] = [1, 2].map(|worker| folder(&shared, worker));
    assert_eq!(writer.host(), reader.host());
    assert!(!writer.host().is_empty());
    let files = Files::new(writer, 2, 1 << 20);
    let bytes = Bytes::from(vec![5; 10_000]);
    let (first, written) = files.file(Some(shell(1)), &bytes).unwrap();
    assert!(written);
    let (second, written) = files.file(Some(shell(1)), &bytes).unwrap();
    assert!(!written);
    assert_eq!((first.number, count(&shared)), (second.number, 1));
    let map = reader.map(WorkerId(1), first.number, 10_000).unwrap();
    assert_eq!(map, bytes);
    drop((first, second));
    // Two more push it out; the map stays.
    for step in [2, 3] {
        files.file(Some(shell(step)), &bytes).unwrap();
    }
    assert_eq!(count(&shared), 2);
    let (alone, _) = files.file(None, &bytes).unwrap();
    assert_eq!(count(&shared), 3);
    drop((files, alone));
    assert_eq!(map, bytes);
    drop(reader);
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0, "folders go with their last file");
}

#[test]
fn files_are_bounded_in_bytes_and_pinned_while_used() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let files = Files::new(folder(&shared, 1), 100, 2500);
    let bytes = Bytes::from(vec![5; 1000]);
    let (held, _) = files.file(Some(shell(1)), &bytes).unwrap();
    for step in 2..10 {
        files.file(Some(shell(step)), &bytes).unwrap();
    }
    assert_eq!(count(&shared), 3, "two kept, one held");
    assert!(files.folder().map(WorkerId(1), held.number, 1000).is_ok());
    let (large, _) = files.file(Some(shell(20)), &Bytes::from(vec![5; 9000])).unwrap();
    drop((held, large));
    assert_eq!(count(&shared), 0, "what is larger than the bound is not kept");
}

#[test]
fn only_the_very_file_is_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let [writer, reader] = [1, 2].map(|worker| folder(&shared, worker));
    let file = writer.write(&[5; 5000]).unwrap();
    let path = writer.own.join(file.number.to_string());
    let map = |length| reader.map(WorkerId(1), file.number, length);
    assert!(map(5000).is_ok());
    for length in [0, 1, 4999, 5001, usize::MAX] {
        assert!(map(length).is_err(), "length {length}");
    }
    assert!(reader.map(WorkerId(1), file.number + 1, 5000).is_err());
    assert!(reader.map(WorkerId(3), file.number, 5000).is_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(map(5000).is_err(), "others may write it");
    fs::rename(&path, writer.own.join("aside")).unwrap();
    symlink("aside", &path).unwrap();
    assert!(map(5000).is_err(), "a link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(map(5000).is_err(), "a folder");
}

#[test]
fn a_dead_workers_folder_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let dead = folder(&shared, 1);
    let alive = folder(&shared, 2);
    std::mem::forget(dead.write(&[1; 100]).unwrap());
    let _kept = alive.write(&[1; 100]).unwrap();
    assert!(Folder::make(&shared, WorkerId(1)).is_err(), "a worker starts once");
    sweep(&shared, WorkerId(1)).unwrap();
    sweep(&shared, WorkerId(1)).unwrap();
    assert_eq!((count(&shared), fs::read_dir(&shared).unwrap().count()), (1, 1));
    fs::write(own(&shared, WorkerId(3)), "").unwrap();
    assert!(sweep(&shared, WorkerId(3)).is_err());
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = Folder::make(dir.path(), WorkerId(1)).unwrap_err();
    assert!(error.to_string().contains("mode 700"), "{error}");
    let [real, link] = ["real", "link"].map(|name| dir.path().join(name));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    assert!(Folder::make(&link, WorkerId(1)).is_err());
}
