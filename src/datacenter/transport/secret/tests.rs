//! How a run's secret is made, found and refused.
//!
//! Input: folders of their own. Invariant: no test reads or sets `RINGFORT_SECRET`, so they may run side by side,
//! whatever the caller has set. What raced makers leave in a folder is compared as a whole.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Barrier;

use super::*;

#[test]
fn raced_makers_end_with_one_secret() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(8);
        let secrets: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let make = || {
                barrier.wait();
                Secret::in_folder(folder.path()).unwrap().0
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            all.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE], "nothing else is left");
        assert_eq!(fs::metadata(folder.path().join(FILE)).unwrap().mode() & 0o7777, 0o600);
    }
}

#[test]
fn two_runs_have_two_secrets() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] = folders.each_ref().map(|folder| Secret::in_folder(folder.path()).unwrap().0);
    assert_ne!(one, two);
}

#[test]
fn other_modes_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o700, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Secret::in_folder(folder.path()).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = Secret::in_folder(folder.path()).unwrap();
    assert_eq!(
        found.0,
        Secret::of(b" 0123456789abcdef0123456789abcdef\n").unwrap().0,
        "file and variable mean the same"
    );
    assert_eq!(format!("{found:?}"), "Secret(..)");
}

#[test]
fn links_and_short_secrets_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    symlink("elsewhere", &path).unwrap();
    assert!(matches!(Secret::in_folder(folder.path()), Err(SecretError::NotRegular { .. })));
    assert!(matches!(Secret::of(b"  too short      \n"), Err(SecretError::Short { found: 9 })));
    assert!(matches!(Secret::in_folder(&folder.path().join("none")), Err(SecretError::Io { .. })));
}
