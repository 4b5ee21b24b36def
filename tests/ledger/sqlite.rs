//! What befalls the ledger's file: deleted, replaced, cut short, filled with rubbish, killed over, no room left.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfort::datacenter::ledger::{Ledger, LedgerError, Outcome, Sqlite};
use tokio::task::JoinSet;

use super::{File, Shared, one, put, read, run, write, written};

/// Names beside the ledger's file that begin with its own.
fn beside(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "ledger.sqlite" && !name.ends_with("-journal"))
        .collect();
    names.sort();
    names
}

/// After whatever `harm` does to a ledger of some records, it works; revisions of before never come again.
fn survives(harm: impl Fn(&Path), forgets: bool, aside: &[&str]) {
    run(async {
        let file = File::new();
        let [a, b] = [file.client(), file.client()];
        let mut revisions = Vec::new();
        for at in 0..40 {
            revisions.push(written(&*a, &[put(&format!("k{at}"), vec![at; 300], Some(0))]).await);
        }
        harm(&file.path);
        let found = read(&*b, "").await;
        assert_eq!(found.is_empty(), forgets, "{} records", found.len());
        if forgets {
            assert_eq!(
                write(&*a, &[put("k1", "old", Some(revisions[1]))]).await,
                Outcome::Refused { key: "k1".into() }
            );
        }
        for round in 0..5_u8 {
            let revision = written(&*b, &[put("after", [round], None)]).await;
            assert!(!revisions.contains(&revision));
            assert_eq!(one(&*a, "after").await.unwrap().value, [round]);
        }
        assert_eq!(beside(&file.path), aside);
    });
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_deleted_file_is_begun_anew() {
    survives(|path| fs::remove_file(path).unwrap(), true, &[]);
}

#[test]
fn an_emptied_file_is_begun_anew() {
    survives(|path| cut(path, 0), true, &[]);
}

#[test]
fn a_file_that_was_cut_short_is_moved_aside() {
    for bytes in [512, 4095, 4096, 8192, 10_000] {
        survives(|path| cut(path, bytes), true, &["ledger.sqlite.damaged-1"]);
    }
    // To SQLite, what is shorter than its header is an empty file.
    survives(|path| cut(path, 1), true, &[]);
}

#[test]
fn rubbish_is_moved_aside() {
    survives(|path| fs::write(path, vec![0xa5; 30_000]).unwrap(), true, &["ledger.sqlite.damaged-1"]);
    survives(|path| fs::write(path, "not a database\n").unwrap(), true, &["ledger.sqlite.damaged-1"]);
    // A header that calls for a newer library to write.
    survives(|path| overwrite(path, 18, &[9]), false, &["ledger.sqlite.damaged-1"]);
    // Within a good file: pages of the tree, and a value.
    survives(|path| overwrite(path, 4096, &[0xff; 8192]), true, &["ledger.sqlite.damaged-1"]);
    survives(
        |path| {
            let bytes = fs::read(path).unwrap();
            // Old copies lie about in the file's free space.
            let places = bytes.windows(200).enumerate().filter(|(_, some)| *some == [7; 200]);
            places.for_each(|(at, _)| overwrite(path, at as u64 + 50, &[8]));
        },
        true,
        &["ledger.sqlite.damaged-1"],
    );
}

#[test]
fn an_older_copy_goes_on_with_new_revisions() {
    run(async {
        let file = File::new();
        let ledger = file.client();
        let first = written(&*ledger, &[put("k", "1", Some(0))]).await;
        let copy = file.path.with_extension("copy");
        fs::copy(&file.path, &copy).unwrap();
        let mut forgotten = Vec::new();
        for _ in 0..20 {
            forgotten.push(written(&*ledger, &[put("k", "2", None)]).await);
        }
        for replace in [
            |from: &Path, to: &Path| fs::rename(from, to).unwrap(),
            |from: &Path, to: &Path| {
                fs::copy(from, to).unwrap();
            },
        ] {
            let again = file.path.with_extension("again");
            fs::copy(&copy, &again).unwrap();
            replace(&again, &file.path);
            assert_eq!(one(&*ledger, "k").await.unwrap().revision, first);
            for &revision in &forgotten {
                assert!(matches!(write(&*ledger, &[put("k", "x", Some(revision))]).await, Outcome::Refused { .. }));
            }
            let next = written(&*ledger, &[put("k", "3", Some(first))]).await;
            assert!(next > first && !forgotten.contains(&next));
            forgotten.push(next);
        }
    });
}

#[test]
fn other_peoples_databases_are_left_alone() {
    run(async {
        let file = File::new();
        let connection = rusqlite::Connection::open(&file.path).unwrap();
        connection.execute_batch("CREATE TABLE precious (a); INSERT INTO precious VALUES (1);").unwrap();
        drop(connection);
        let before = fs::read(&file.path).unwrap();
        let error = file.client().write(&[put("k", "1", None)]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
        assert_eq!(fs::read(&file.path).unwrap(), before);
        assert!(beside(&file.path).is_empty());
    });
}

#[test]
fn what_is_no_damage_moves_nothing() {
    run(async {
        let file = File::new();
        let ledger = Sqlite::new(file.path.join("no/such/folder"));
        assert!(matches!(ledger.read("").await, Err(LedgerError::Store { .. })));
        fs::create_dir(&file.path).unwrap();
        let error = file.client().read("").await.unwrap_err();
        assert!(matches!(error, LedgerError::Store { .. }), "{error}");
        assert!(error.to_string().contains("cannot read the ledger"), "{error}");
        assert!(beside(&file.path).is_empty());
    });
}

#[test]
fn a_held_lock_is_waited_for_and_named() {
    run(async {
        let file = File::new();
        let ledger = file.client();
        written(&*ledger, &[put("k", "1", None)]).await;
        let connection = rusqlite::Connection::open(&file.path).unwrap();
        connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let asked = file.client();
        let asked = tokio::spawn(async move { asked.write(&[put("k", "2", None)]).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        connection.execute_batch("ROLLBACK; BEGIN EXCLUSIVE").unwrap();
        let error = ledger.write(&[put("k", "3", None)]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Busy { .. }) && error.to_string().contains("is busy"), "{error}");
        let _either = asked.await.unwrap();
        drop(connection);
        written(&*ledger, &[put("k", "4", None)]).await;
        assert!(beside(&file.path).is_empty());
    });
}

/// Clients at work while the file is harmed in every way, again and again: operations may fail and records be forgotten, but
/// no revision is given twice, and in the end all works.
#[test]
fn harm_in_mid_use_costs_memory_alone() {
    run(async {
        let file = File::new();
        let done = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for client in 0..4_u32 {
            let ledger = file.client();
            let done = Arc::clone(&done);
            clients.spawn(async move {
                let mut written = BTreeMap::new();
                let mut failed = 0_u32;
                for op in 0_u32.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(found) = ledger.read("lease").await else {
                        failed += 1;
                        continue;
                    };
                    let fence = found.first().map_or(0, |entry| entry.revision);
                    let value = [client.to_le_bytes(), op.to_le_bytes()].concat();
                    match ledger.write(&[put("lease", value, Some(fence))]).await {
                        Ok(Outcome::Written(revision)) => assert!(written.insert(revision, fence).is_none()),
                        Ok(Outcome::Refused { .. }) => {}
                        Err(_) => failed += 1,
                    }
                }
                (written, failed)
            });
        }
        let copy = file.path.with_extension("copy");
        for round in 0..24_u32 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            let new = file.path.with_extension("new");
            let _absent = match round % 6 {
                0 => fs::copy(&file.path, &copy).map(drop),
                1 => fs::remove_file(&file.path),
                2 => fs::write(&new, vec![7; 9000]).and_then(|()| fs::rename(&new, &file.path)),
                3 => fs::write(&file.path, vec![9; 5000]),
                4 => fs::copy(&copy, &new).and_then(|_| fs::rename(&new, &file.path)),
                _ => fs::OpenOptions::new().write(true).open(&file.path).and_then(|file| file.set_len(3000)),
            };
        }
        done.store(true, Ordering::SeqCst);
        let mut all = BTreeMap::new();
        let mut failures = 0;
        for (written, failed) in clients.join_all().await {
            failures += failed;
            for (revision, fence) in written {
                assert!(all.insert(revision, fence).is_none(), "revision {revision} was given twice");
            }
        }
        println!("{} writes, {failures} failed operations, {} files aside", all.len(), beside(&file.path).len());
        assert!(all.len() > 5, "{} writes", all.len());
        let ledger = file.client();
        written(&*ledger, &[put("end", "1", None)]).await;
        assert_eq!(one(&*ledger, "end").await.unwrap().value, b"1");
    });
}

const CHILD: &str = "RINGFORT_TEST_LEDGER";

/// Not a test of its own: what the processes below do when told to by their environment.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (path, prefix) = told.split_once('|').unwrap();
    run(async {
        let ledger = Sqlite::new(path);
        for round in 0_u64.. {
            let fence = one(&ledger, "lease").await.map_or(0, |entry| entry.revision);
            let value = round.to_le_bytes();
            let log = format!("log/{prefix}/{round:06}");
            let batch = [put("lease", value, Some(fence)), put(&log, value, Some(0)), put("pair", value, None)];
            if let Outcome::Written(revision) = write(&ledger, &batch).await {
                println!("\nwrote {fence} {revision} {log}");
            }
        }
    });
}

fn spawn(path: &Path, prefix: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{}|{prefix}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a process said it wrote: fence, revision, key.
fn said(child: &mut Child) -> Vec<(u64, u64, String)> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut all = Vec::new();
    for line in lines.map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        // The last line may be half.
        if let ["wrote", fence, revision, key] = words[..]
            && key.len() == "log/x-0/000000".len()
        {
            all.push((fence.parse().unwrap(), revision.parse().unwrap(), key.to_owned()));
        }
    }
    all
}

#[test]
fn killed_processes_leave_whole_batches() {
    let file = File::new();
    let mut acknowledged = Vec::new();
    for round in 0..8_u64 {
        let mut children = ["a", "b"].map(|name| spawn(&file.path, &format!("{name}-{round}")));
        std::thread::sleep(Duration::from_millis(150 + 23 * round));
        for child in &mut children {
            child.kill().unwrap();
            acknowledged.extend(said(child));
            child.wait().unwrap();
        }
    }
    let mut chain = BTreeMap::new();
    for (fence, revision, key) in &acknowledged {
        assert!(chain.insert(*fence, *revision).is_none(), "{key}: two processes won revision {fence}");
    }
    run(async {
        let ledger = file.client();
        let all = read(&*ledger, "").await;
        let of = |key: &str| all.iter().find(|entry| entry.key == key).unwrap_or_else(|| panic!("{key} is lost"));
        for (_, revision, key) in &acknowledged {
            assert_eq!(of(key).revision, *revision);
        }
        let newest =
            all.iter().filter(|entry| entry.key.starts_with("log/")).map(|entry| entry.revision).max().unwrap();
        assert_eq!([of("lease").revision, of("pair").revision], [newest; 2], "half a batch");
        println!("{} acknowledged, {} stored", acknowledged.len(), all.len() - 2);
        assert!(acknowledged.len() > 10, "{}", acknowledged.len());
        assert!(beside(&file.path).is_empty(), "a killed writer is no damage");
        written(&*ledger, &[put("end", "1", None)]).await;
    });
}

/// A file system of a given size, as long as the value lives.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED  full disk: no right to mount a tmpfs; run the test as root");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_error_that_passes() {
    let file = File::new();
    let Some(disk) = Small::mount(file.path.with_extension("disk")) else { return };
    run(async {
        let path = disk.0.join("ledger.sqlite");
        let ledger = Sqlite::new(&path);
        let first = written(&ledger, &[put("k", "1", None)]).await;
        let ballast = disk.0.join("ballast");
        let _full = fs::write(&ballast, vec![1; 1 << 20]);
        let before = read(&ledger, "").await;
        for _ in 0..3 {
            let error = ledger.write(&[put("k", vec![2; 60_000], Some(first)), put("l", "2", None)]).await.unwrap_err();
            assert!(matches!(error, LedgerError::Store { .. }), "{error}");
            assert_eq!(read(&ledger, "").await, before);
        }
        assert!(beside(&path).iter().all(|name| name == "ballast"), "{:?}", beside(&path));
        fs::remove_file(&ballast).unwrap();
        // Nor is a disk that can only be read a reason to move anything.
        let remount = |how: &str| Command::new("mount").args(["-o", how]).arg(&disk.0).status().unwrap();
        assert!(remount("remount,ro").success());
        let error = ledger.write(&[put("k", "2", Some(first))]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store { .. }), "{error}");
        assert_eq!(read(&ledger, "").await, before);
        assert!(remount("remount,rw").success());
        assert_eq!(beside(&path), [""; 0]);
        written(&ledger, &[put("k", "2", Some(first))]).await;
    });
}
