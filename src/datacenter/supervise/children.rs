//! Worker processes on this machine: started, looked at, ended.
//!
//! Input: the run's folder and threads. Output: which processes ended, and how. Invariant: no worker outlives this:
//! what still runs when it is dropped is killed and waited for, and where this process is killed, workers see their
//! pipe end and leave. None is started in the place of another after a bounded number that failed in a row soon after
//! their start; one that a signal ended has not failed.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clock;
use crate::exit::Failure;

/// Longest wait before a worker is started in the place of another.
const LONGEST: Duration = Duration::from_secs(10);
/// A worker that lives as long has started well.
const WELL: Duration = Duration::from_secs(5);
/// Workers that may fail one after the other without one that starts well.
const FAILURES: u32 = 20;

/// How a worker ended.
pub(super) enum Stand {
    /// Politely.
    Left,
    /// Otherwise: in words.
    Lost(String),
}

/// Worker processes. Each holds the reading end of a pipe from here, so it knows when this process is gone.
pub(super) struct Children {
    dir: PathBuf,
    threads: usize,
    running: BTreeMap<u32, (Child, Instant)>,
    /// When to start others.
    due: Vec<Instant>,
    failures: u32,
}

impl Children {
    pub(super) fn new(dir: &Path, threads: usize) -> Self {
        Self { dir: dir.to_path_buf(), threads, running: BTreeMap::new(), due: Vec::new(), failures: 0 }
    }

    /// Starts a worker.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let fail = |error| Failure::usage(format!("cannot start a worker: {error}"));
        let program = std::env::current_exe().map_err(fail)?;
        let child = Command::new(program)
            .args(["datacenter", "worker", "--supervised", "--threads", &self.threads.to_string()])
            .arg(&self.dir)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        self.running.insert(child.id(), (child, clock::now()));
        Ok(())
    }

    /// Starts a worker in the place of one that ended: at once, or later if those before it ended soon.
    pub(super) fn start_again(&mut self) -> Result<(), Failure> {
        if self.failures >= FAILURES {
            return Err(Failure::usage(format!(
                "{FAILURES} workers ended one after the other soon after their start; see what they say above"
            )));
        }
        let wait = Duration::from_millis(50).saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.due.push(clock::now() + if self.failures == 0 { Duration::ZERO } else { wait });
        Ok(())
    }

    /// Starts those that are due; returns those that ended since the last look.
    pub(super) fn look(&mut self) -> Result<Vec<(u32, Stand)>, Failure> {
        let now = clock::now();
        let due = self.due.len();
        self.due.retain(|at| *at > now);
        for _ in self.due.len()..due {
            self.start()?;
        }
        let mut ended = Vec::new();
        for (&pid, (child, since)) in &mut self.running {
            let Ok(Some(status)) = child.try_wait() else { continue };
            let stand = match (status.code(), status.signal()) {
                (Some(0), _) => Stand::Left,
                (Some(code), _) => Stand::Lost(format!("exit code {code}")),
                (None, signal) => Stand::Lost(format!("signal {}", signal.unwrap_or(0))),
            };
            let soon = now.duration_since(*since) < WELL && matches!(status.code(), Some(1..));
            self.failures = if soon { self.failures + 1 } else { 0 };
            ended.push((pid, stand));
        }
        for (pid, _) in &ended {
            self.running.remove(pid);
        }
        Ok(ended)
    }

    /// Waits until all have ended by themselves, but no longer than `patience`; then ends them.
    pub(super) async fn end(&mut self, patience: Duration) {
        self.due.clear();
        let until = clock::now() + patience;
        while !self.running.is_empty() && clock::now() < until {
            self.running.retain(|_, (child, _)| matches!(child.try_wait(), Ok(None)));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (_, (mut child, _)) in std::mem::take(&mut self.running) {
            // It may have ended a moment ago.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for (child, _) in self.running.values_mut() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}
