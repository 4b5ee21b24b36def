//! Removes what writers that were killed left half-written beside what they wrote.
//!
//! Invariant: a scrap is a file under a name that only a writer at work uses. One whose writer lives is written again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, Disk, MANIFEST, Owner, RunId};

/// Folders of the run in which blobs and images lie.
const FOLDERS: [&str; 4] = ["checkpoints", "receipts", "observed", "images"];

/// Removes the scraps in the run's folder `dir`, and the folders of receipts that are empty then.
pub(super) fn remove(dir: &Path) {
    for path in entries(dir).into_iter().filter(|path| is_scrap(path)) {
        remove_file(&path);
    }
    for name in FOLDERS {
        below(&dir.join(name));
    }
    for cuts in entries(&dir.join("receipts")) {
        for step in entries(&cuts) {
            let _holds_some = fs::remove_dir(step);
        }
    }
}

/// Removes the generations of `run` that were begun and never completed, and receipts of generations that are gone.
pub(super) fn remove_unfinished(dir: &Path, run: RunId) {
    for folder in entries(&dir.join("checkpoints")) {
        let ours = match Owner::read(&Disk, &folder) {
            Ok(Some(owner)) => owner.run == run,
            // Begun again by one worker while another moved it aside.
            Ok(None) => holds_nothing(&folder),
            Err(_) => false,
        };
        if ours && !folder.join(MANIFEST).exists() {
            // What stays is as harmless as before, and goes at the next end.
            let _not_vital = checkpoint::remove(&Disk, &folder);
        }
    }
    for step in entries(&dir.join("receipts")).iter().flat_map(|cuts| entries(cuts)) {
        let there = step.file_name().is_some_and(|name| dir.join("checkpoints").join(name).exists());
        if !there {
            let _not_vital = fs::remove_dir_all(step);
        }
    }
}

fn holds_nothing(folder: &Path) -> bool {
    entries(folder).iter().all(|path| path.is_dir() && holds_nothing(path))
}

fn below(folder: &Path) {
    for path in entries(folder) {
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            below(&path);
        } else if is_scrap(&path) {
            remove_file(&path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn remove_file(path: &Path) {
    // Its writer may have done so a moment ago.
    let _may_be_gone = fs::remove_file(path);
}

/// True for what the blobs' store, images, and the run's own files are called before they are whole.
fn is_scrap(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let numbered = |mark: &str| {
        let number = name.rsplit_once(mark).map(|(_, number)| number);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    numbered("#") || numbered("run.json.new-") || name.ends_with(".png.part") || name == "datacenter.json.part"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scraps_go_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let scraps = [
            "run.json.new-77",
            "datacenter.json.part",
            "images/t-step-5.png.part",
            "checkpoints/step-5/t/c/0#12",
            "receipts/a-2x2/step-5/1-77#1",
        ];
        let others =
            ["run.json", "a#b", "images/t-step-5.png", "checkpoints/step-5/t/c/0", "receipts/a-2x2/step-6/1-77"];
        for name in scraps.iter().chain(&others) {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        remove(dir.path());
        assert!(scraps.iter().all(|name| !dir.path().join(name).exists()));
        assert!(others.iter().all(|name| dir.path().join(name).exists()));
        assert!(!dir.path().join("receipts/a-2x2/step-5").exists());
    }
}
