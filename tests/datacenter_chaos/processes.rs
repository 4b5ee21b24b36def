//! The processes of a run: started here, found by the run's folder in their arguments, ended at the latest with the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringfort::clock;
use ringfort::datacenter::tally;

use super::mpi_common::{binary, signal};

/// Longest that a run may take, whatever befalls it, on a machine with other work.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// A command of a run.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its exit code once it has ended; 128 and the signal if that ended it.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let status = self.0.try_wait().unwrap()?;
        Some(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }
}

/// A run in data-center mode.
pub(crate) struct Run {
    pub(crate) job: PathBuf,
    pub(crate) dir: PathBuf,
    /// Where all its processes write their words.
    said: PathBuf,
    pub(crate) supervisor: Option<Process>,
    /// Workers started by hand.
    pub(crate) joined: Vec<Process>,
    since: Instant,
    fault: Option<String>,
}

impl Run {
    /// A run of `job` in `dir`, not yet started.
    pub(crate) fn new(job: &Path, dir: &Path) -> Self {
        let said = dir.with_extension("said");
        File::create(&said).unwrap();
        let (job, dir) = (job.to_path_buf(), dir.to_path_buf());
        Self { job, dir, said, supervisor: None, joined: Vec::new(), since: clock::now(), fault: None }
    }

    /// All its processes have this fault.
    pub(crate) fn fault(mut self, fault: &str) -> Self {
        self.fault = Some(fault.into());
        self
    }

    /// Starts `datacenter WORDS DIR`-like commands; their words go to one file.
    fn spawn(&self, fill: impl FnOnce(&mut Command)) -> Process {
        let said = File::options().append(true).open(&self.said).unwrap();
        let mut command = Command::new(binary());
        command.arg("datacenter").env_remove("RINGFORT_FAULT").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(fault) = &self.fault {
            command.env("RINGFORT_FAULT", fault);
        }
        command.stderr(said);
        fill(&mut command);
        Process(command.spawn().unwrap())
    }

    /// Starts the supervisor.
    pub(crate) fn start(&mut self, workers: usize, more: &str) {
        let process = self.spawn(|command| {
            command.arg("run").arg(&self.job).args(["--workers", &workers.to_string(), "--out"]).arg(&self.dir);
            command.args(more.split_whitespace());
        });
        self.supervisor = Some(process);
    }

    /// Starts one more worker.
    pub(crate) fn join(&mut self, more: &str) {
        let process = self.spawn(|command| {
            command.arg("worker").args(more.split_whitespace()).arg(&self.dir);
        });
        self.joined.push(process);
    }

    /// Processes whose arguments name the run's folder, and which have not ended.
    pub(crate) fn alive(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&pid| self.names(pid)).collect()
    }

    fn names(&self, pid: u32) -> bool {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let dir = self.dir.as_os_str().as_encoded_bytes();
        arguments.split(|&byte| byte == 0).any(|argument| argument == dir)
    }

    /// Its workers that live.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let is = |pid: u32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments.split(|&byte| byte == 0).any(|argument| argument == b"worker")
        };
        self.alive().into_iter().filter(|&pid| is(pid)).collect()
    }

    /// Newest complete generation that a worker has told of.
    pub(crate) fn newest(&self) -> u64 {
        tally::read_all(&self.dir).values().map(|tally| tally.newest).max().unwrap_or(0)
    }

    /// Waits until `ready`; false if the supervisor ends before.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if ready(self) {
                return true;
            }
            if self.supervisor.as_mut().is_none_or(|supervisor| supervisor.ended().is_some()) {
                return false;
            }
            self.in_time("a wait");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the supervisor's end: its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        loop {
            if let Some(code) = self.supervisor.as_mut().unwrap().ended() {
                self.supervisor = None;
                return code;
            }
            self.in_time("the run");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end, which must have exit code `code`.
    pub(crate) fn ends(&mut self, code: i32) {
        let ended = self.end();
        assert_eq!(ended, code, "exit code of the run{}", self.report());
    }

    fn in_time(&self, what: &str) {
        let late = clock::now().duration_since(self.since) > DEADLINE;
        assert!(!late, "{what} has not ended within {DEADLINE:?}{}", self.report());
    }

    /// What the processes said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// All that is known of the run, for people.
    pub(crate) fn report(&self) -> String {
        let status = Command::new(binary()).args(["datacenter", "status"]).arg(&self.dir).output();
        let status = status.map(|done| [done.stdout, done.stderr].concat()).unwrap_or_default();
        let mut text = format!(
            "\n--- {} ---\n{}\n--- status ---\n{}",
            self.dir.display(),
            tail(&self.said(), 40),
            String::from_utf8_lossy(&status)
        );
        for entry in fs::read_dir(self.dir.join("workers")).into_iter().flatten().flatten() {
            let words = fs::read_to_string(entry.path()).unwrap_or_default();
            text += &format!("--- {} ---\n{}\n", entry.file_name().display(), tail(words.trim_end(), 12));
        }
        text
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for pid in self.alive() {
            signal("KILL", pid);
        }
        for process in self.supervisor.iter_mut().chain(&mut self.joined) {
            let _gone = process.0.kill();
            let _reaped = process.0.wait();
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
