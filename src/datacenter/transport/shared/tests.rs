//! Values in shared memory: used again, bounded, read late, forged, and swept once their workers are gone.
//!
//! Invariant: every test has a temporary folder of its own; none looks into the memory that runs of this host share,
//! and none rests on how long anything takes. A late reader may fail, but never get another value's bytes.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::super::protocol::Block;
use super::*;

fn shell(step: u64) -> Shell {
    Shell { block: Block(1), step }
}

fn folder(shared: &Path, worker: u64) -> Arc<Folder> {
    Arc::new(Folder::make(shared, WorkerId(worker), (2, 1 << 20)).unwrap())
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
    assert_eq!((first.place, count(&shared)), (second.place, 1));
    let room = Room::default();
    for room in [Some(&room), None] {
        assert_eq!(reader.read(WorkerId(1), first.place, room).unwrap(), bytes);
    }
    let place = first.place;
    drop((first, second));
    // Two more push it out, and the second is written in its place.
    for step in [2, 3] {
        files.file(Some(shell(step)), &bytes).unwrap();
    }
    assert_eq!(count(&shared), 2);
    assert!(reader.read(WorkerId(1), place, None).is_err(), "it holds another value");
    let (alone, _) = files.file(None, &bytes).unwrap();
    assert_eq!(count(&shared), 3);
    drop((files, alone, reader));
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0, "folders go with their last file");
}

#[test]
fn files_are_used_again_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let own = Arc::new(Folder::make(&shared, WorkerId(1), (3, 4500)).unwrap());
    let files = Files::new(own.clone(), 100, 2500);
    let bytes = Bytes::from(vec![5; 1000]);
    let (held, _) = files.file(Some(shell(1)), &bytes).unwrap();
    for step in 2..10 {
        files.file(Some(shell(step)), &bytes).unwrap();
    }
    assert_eq!(count(&shared), 3, "one held, two kept");
    assert!(files.folder().read(WorkerId(1), held.place, None).is_ok());
    let (same, written) = files.file(Some(shell(1)), &bytes).unwrap();
    assert_eq!((same.place, written), (held.place, false), "what is on its way is not written again");
    drop(same);
    // Another length takes another file; what is larger than the bound on kept ones pushes them all out and is not kept.
    let (large, _) = files.file(Some(shell(20)), &Bytes::from(vec![5; 4000])).unwrap();
    drop(held);
    assert_eq!(count(&shared), 4, "three idle ones of the first length");
    drop(large);
    assert_eq!(count(&shared), 1, "no more than 4500 bytes are idle: the one that came last");
    drop(files);
    let sizes = [100, 200, 300, 400].map(|length| own.write(&vec![1; length], true).unwrap());
    drop(sizes);
    assert_eq!(count(&shared), 3, "no more than three are idle");
}

/// A reader that was told of a value long ago has its bytes or an error, while the writer goes on in the same file.
#[test]
fn who_reads_late_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let [writer, reader] = [1, 2].map(|worker| folder(&shared, worker));
    let written = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for turn in (0..100).cycle().take(20_000) {
                // Given up at once: the next value goes into the same file while the reader reads.
                let value = writer.write(&[turn; 3000], true).unwrap();
                *written.lock().unwrap() = Some((value.place, turn));
            }
        });
        while !writer.is_finished() {
            let Some((place, fill)) = *written.lock().unwrap() else { continue };
            if let Ok(bytes) = reader.read(WorkerId(1), place, None) {
                assert!(bytes.iter().all(|&byte| byte == fill), "torn");
            }
        }
    });
    assert_eq!(count(&shared), 1);
    let last = written.lock().unwrap().unwrap();
    assert_eq!(reader.read(WorkerId(1), last.0, None).unwrap()[..], [last.1; 3000]);
    let _next = writer.write(&[7; 3000], true).unwrap();
    assert_eq!(count(&shared), 1, "it went into the same file");
    assert!(reader.read(WorkerId(1), last.0, None).is_err(), "late");
}

#[test]
fn only_the_very_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let [writer, reader] = [1, 2].map(|worker| folder(&shared, worker));
    let file = writer.write(&[5; 5000], true).unwrap();
    let path = writer.path(file.place.number);
    let read = |place| reader.read(WorkerId(1), place, None);
    assert!(read(file.place).is_ok());
    for length in [0, 1, 4999, 5001, 5008, u64::MAX] {
        assert!(read(Place { length, ..file.place }).is_err(), "length {length}");
    }
    for turn in [NO_TURN, file.place.turn + 1] {
        assert!(read(Place { turn, ..file.place }).is_err(), "turn {turn}");
    }
    assert!(read(Place { number: file.place.number + 1, ..file.place }).is_err());
    assert!(reader.read(WorkerId(3), file.place, None).is_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(read(file.place).is_err(), "others may write it");
    fs::rename(&path, writer.own.join("aside")).unwrap();
    symlink("aside", &path).unwrap();
    assert!(read(file.place).is_err(), "a link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(read(file.place).is_err(), "a folder");
}

#[test]
fn a_dead_workers_folder_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let dead = folder(&shared, 1);
    let alive = folder(&shared, 2);
    std::mem::forget(dead.write(&[1; 100], false).unwrap());
    let _kept = alive.write(&[1; 100], false).unwrap();
    assert!(Folder::make(&shared, WorkerId(1), (1, 1)).is_err(), "a worker starts once");
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
    let error = Folder::make(dir.path(), WorkerId(1), (1, 1)).unwrap_err();
    assert!(error.to_string().contains("mode 700"), "{error}");
    let [real, link] = ["real", "link"].map(|name| dir.path().join(name));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    assert!(Folder::make(&link, WorkerId(1), (1, 1)).is_err());
}

#[test]
fn folders_of_runs_go_once_none_of_their_workers_lives() {
    let dir = tempfile::tempdir().unwrap();
    let [live, dead, other, open, foreign, mine] =
        ["ringfort-1", "ringfort-2", "another-3", "ringfort-4", "ringfort-5", "ringfort-6"]
            .map(|name| dir.path().join(name));
    let alive = folder(&live, 1);
    // Of the dead nobody holds the locks.
    for (shared, worker) in [(&live, 2), (&dead, 3), (&dead, 4), (&other, 5), (&open, 6), (&foreign, 7), (&mine, 8)] {
        let own = own(shared, WorkerId(worker));
        DirBuilder::new().recursive(true).mode(0o700).create(&own).unwrap();
        fs::write(own.join("1"), "").unwrap();
    }
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(foreign.join("notes"), "").unwrap();
    sweep_abandoned(&mine);
    assert_eq!(
        [&live, &dead, &other, &open, &foreign, &mine].map(|path| path.exists()),
        [true, false, true, true, true, true]
    );
    assert_eq!(count(&live), 1, "a run that lives keeps what its dead left for its supervisor");
    drop(alive);
    sweep_abandoned(&mine);
    assert!(!live.exists() && mine.exists());
}
