//! A person asks a running job for a checkpoint: a file in the run's folder that rank 0 takes away.
//!
//! Invariant: a request has an id, which stands in the event that tells what came of it; one that nobody took can be withdrawn.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the file.
const NAME: &str = "checkpoint.request";
/// Longest id, in bytes.
const MOST: u64 = 64;
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Rank 0's look at requests.
#[derive(Debug)]
pub struct Requests {
    /// None on other ranks.
    path: Option<PathBuf>,
    looked: Instant,
}

impl Requests {
    /// Requests to the run in `dir`, which begins at `now`, if this is the `first` rank; one to an earlier start is void.
    #[must_use]
    pub fn new(dir: &Path, first: bool, now: Instant) -> Self {
        let path = first.then(|| dir.join(NAME));
        let _may_be_absent = path.as_ref().map(fs::remove_file);
        Self { path, looked: now }
    }

    /// Id of a request that has come, a few times a second at most.
    pub fn take(&mut self, now: Instant) -> Option<String> {
        let path = self.path.as_ref()?;
        if now.duration_since(self.looked) < LOOK_EVERY {
            return None;
        }
        self.looked = now;
        let mut id = String::new();
        fs::File::open(path).ok()?.take(MOST).read_to_string(&mut id).ok()?;
        // One that cannot be taken away would be asked again for ever.
        fs::remove_file(path).ok()?;
        let id = id.trim();
        (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| id.to_owned())
    }
}

/// Puts request `id` into the folder of a run, in the place of one that nobody has taken.
///
/// # Errors
///
/// Any error of the disk.
pub fn ask(dir: &Path, id: &str) -> io::Result<()> {
    let new = dir.join(format!("{NAME}.{id}"));
    fs::write(&new, id)?;
    fs::rename(&new, dir.join(NAME)).inspect_err(|_| {
        let _best_effort = fs::remove_file(&new);
    })
}

/// Takes request `id` back if nobody has taken it.
pub fn withdraw(dir: &Path, id: &str) {
    let path = dir.join(NAME);
    if fs::read_to_string(&path).is_ok_and(|found| found == id) {
        let _taken_meanwhile = fs::remove_file(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_and_old_ones_are_void() {
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path();
        ask(at, "old").expect("write");
        let began = crate::clock::now();
        let mut requests = Requests::new(at, true, began);
        let later = |times: u32| began + times * LOOK_EVERY;
        assert_eq!(requests.take(later(1)), None);
        ask(at, "a1").expect("write");
        ask(at, "b2").expect("write");
        assert_eq!(requests.take(later(1)), None, "too soon to look again");
        assert_eq!(requests.take(later(2)), Some("b2".into()));
        assert_eq!(requests.take(later(3)), None);
        ask(at, "c3").expect("write");
        withdraw(at, "other");
        withdraw(at, "c3");
        assert_eq!(requests.take(later(4)), None);
        fs::write(at.join(NAME), "\n").expect("write");
        assert_eq!(requests.take(later(5)), None);
        assert_eq!(fs::read_dir(at).expect("list").count(), 0);
    }
}
