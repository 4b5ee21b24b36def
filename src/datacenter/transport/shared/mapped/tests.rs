//! Values read where they lie: what is read is whole, and what is being read is not written over.
//!
//! Input: two workers' folders in one directory of the test's own. Invariant: writer and reader open each file apart,
//! as two processes would: locks belong to open files, so they keep the two apart within one process too. A read may
//! be refused, but never gives bytes of two values.

use std::fs;
use std::path::Path;

use super::*;

fn folder(shared: &Path, worker: u64) -> Arc<Folder> {
    Arc::new(Folder::make(shared, WorkerId(worker), (2, 1 << 20)).unwrap())
}

fn files(folder: &Folder) -> usize {
    fs::read_dir(&folder.own).unwrap().count()
}

fn shelf(folder: &Arc<Folder>, from: usize, most: usize) -> Shelf {
    let shelf = Shelf::new(folder.clone(), from, most);
    assert!(shelf.fill(5000, |_| panic!("nobody reads")).is_none());
    shelf.open(true);
    shelf
}

fn value(shelf: &Shelf, fill: u8) -> (Bytes, Place) {
    let bytes = shelf.fill(5000, |bytes| bytes.fill(fill)).unwrap();
    assert_eq!(bytes, vec![fill; 5000]);
    let place = shelf.place(&bytes).unwrap();
    (bytes, place)
}

#[test]
fn a_value_is_read_where_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let [writer, reader] = [1, 2].map(|worker| folder(&dir.path().join("shared"), worker));
    let (shelf, seen) = (shelf(&writer, 100, 8), Seen::new(8));
    let (bytes, place) = value(&shelf, 5);
    let [one, other] = [(); 2].map(|()| seen.read(&reader, WorkerId(1), place).unwrap());
    assert!(one == bytes && other == bytes);
    assert_eq!(reader.read(WorkerId(1), place, None).unwrap(), bytes, "a copy can be had too");
    assert_eq!(shelf.place(&Bytes::from(vec![5; 5000])), None);
    assert_eq!(shelf.place(&bytes.slice(..4999)), None);
    assert!(shelf.fill(99, |_| panic!("too short for a file")).is_none());
    drop((one, other, bytes));
    let (next, after) = value(&shelf, 6);
    assert_eq!((after.number, files(&writer)), (place.number, 1), "the same file");
    assert!(seen.read(&reader, WorkerId(1), place).is_err(), "late");
    assert_eq!(seen.read(&reader, WorkerId(1), after).unwrap(), next);
    drop((next, shelf));
    assert_eq!(files(&writer), 0);
}

#[test]
fn what_is_being_read_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let [writer, reader] = [1, 2].map(|worker| folder(&dir.path().join("shared"), worker));
    let (shelf, seen) = (shelf(&writer, 1, 8), Seen::new(8));
    let (bytes, place) = value(&shelf, 5);
    let reading = seen.read(&reader, WorkerId(1), place).unwrap();
    drop(bytes);
    let (_next, after) = value(&shelf, 6);
    assert_ne!(after.number, place.number);
    assert_eq!(files(&writer), 1, "its writer gave it up");
    assert_eq!(reading, vec![5; 5000]);
    drop(reading);
    assert!(lock(&seen.files).is_empty(), "a file without a name is not kept");
}

#[test]
fn a_file_that_is_written_again_is_read_whole_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let [writer, reader] = [1, 2].map(|worker| folder(&dir.path().join("shared"), worker));
    let (shelf, seen) = (shelf(&writer, 1, 8), Seen::new(8));
    let told = Mutex::new(None);
    let mut read = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for fill in (0..100).cycle().take(20_000) {
                // Dropped at once: the next value goes into the same file, unless it is being read.
                *lock(&told) = Some((value(&shelf, fill).1, fill));
            }
        });
        while !writer.is_finished() {
            let Some((place, fill)) = *lock(&told) else { continue };
            if let Ok(bytes) = seen.read(&reader, WorkerId(1), place) {
                assert!(bytes.iter().all(|&byte| byte == fill), "torn");
                read += 1;
            }
        }
    });
    let (_bytes, place) = value(&shelf, 7);
    assert_eq!(seen.read(&reader, WorkerId(1), place).unwrap()[..], [7; 5000], "{read} before");
}

#[test]
fn where_no_file_can_be_had_there_is_no_value_and_the_first_reason_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let writer = folder(&dir.path().join("shared"), 1);
    let shelf = shelf(&writer, 1, 2);
    let held = [1, 2].map(|fill| value(&shelf, fill));
    assert!(shelf.fill(5000, |_| panic!("a third file")).is_none());
    assert_eq!(shelf.full(), None, "a bound is no lack");
    drop(held);
    assert!(shelf.fill(usize::MAX / 4, |_| panic!("more than there can be")).is_none());
    assert!(shelf.full().is_some());
    assert_eq!(files(&writer), 2);
    let _again = value(&shelf, 3);
    assert!(shelf.fill(4000, |_| panic!("a new file")).is_none());
}
