//! What can befall a run, one by one.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::jobs::{Job, files};
use super::mpi_common::{Random, binary, signal, step};
use super::processes::{Process, Run};

/// A lease of the jobs.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// Something that befalls a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KillWorker,
    KillSeveralWorkers,
    KillAllWorkers,
    KillSupervisor,
    KillEverything,
    TermWorker,
    DrainWorker,
    TermSupervisor,
    StopWorker,
    StopSupervisor,
    LedgerDeleted,
    LedgerOlder,
    LedgerTruncated,
    LedgerRubbish,
    LedgerLocked,
    LedgerUnopenable,
    LedgerReadOnly,
    ChunkDamaged,
    ManifestDamaged,
    ReceiptDeleted,
    GenerationDeleted,
    AllDeleted,
    DiskFull,
    Join,
    JoinAndKill,
    Stranger,
}

use Fault::*;

/// All of them; the likelier ones several times.
const ALL: [Fault; 30] = [
    KillWorker,
    KillWorker,
    KillSeveralWorkers,
    KillAllWorkers,
    KillAllWorkers,
    KillSupervisor,
    KillSupervisor,
    KillEverything,
    KillEverything,
    TermWorker,
    DrainWorker,
    TermSupervisor,
    StopWorker,
    StopWorker,
    StopSupervisor,
    LedgerDeleted,
    LedgerOlder,
    LedgerTruncated,
    LedgerRubbish,
    LedgerLocked,
    LedgerUnopenable,
    LedgerReadOnly,
    ChunkDamaged,
    ManifestDamaged,
    ReceiptDeleted,
    GenerationDeleted,
    AllDeleted,
    Join,
    JoinAndKill,
    Stranger,
];

impl Fault {
    /// One to four faults; those that need a small disk only where there is one.
    pub(crate) fn several(random: &mut Random, disk: bool) -> Vec<Self> {
        let count = 1 + random.below(4);
        let mut all: Vec<Self> = (0..count).map(|_| random.of(&ALL)).collect();
        if disk {
            let at = random.below(count);
            all[at] = DiskFull;
        }
        all
    }

    /// True if checkpoints may stay damaged.
    pub(crate) fn damages(self) -> bool {
        matches!(self, ChunkDamaged | ManifestDamaged | ReceiptDeleted | GenerationDeleted | AllDeleted)
    }
}

/// What a fault needs to know.
pub(crate) struct Victim<'a> {
    pub(crate) job: &'a Job,
    pub(crate) run: &'a mut Run,
    pub(crate) random: &'a mut Random,
    /// An older copy of the ledger.
    pub(crate) older: Option<Vec<u8>>,
    /// Workers that were asked to leave for good since the supervisor started, and those it was told to start.
    pub(crate) drained: usize,
    pub(crate) workers: usize,
    /// Joined workers that were killed: nobody asks how they ended.
    pub(crate) given_up: Vec<u32>,
}

impl Victim<'_> {
    fn leases(&mut self, least: usize, most: usize) -> Duration {
        LEASE * u32::try_from(least + self.random.below(most - least + 1)).unwrap() / 10
    }

    fn wait(&mut self, least: usize, most: usize) {
        std::thread::sleep(self.leases(least, most));
    }

    fn some_worker(&mut self) -> Option<u32> {
        let workers = self.run.workers();
        (!workers.is_empty()).then(|| self.random.of(&workers))
    }

    /// Starts the supervisor again, for the same run.
    fn resume(&mut self) {
        self.drained = 0;
        self.workers = 2 + self.random.below(3);
        self.run.start(self.workers, "--resume --threads 1");
    }

    /// Ends the supervisor with a signal and starts it again, sometimes at once.
    fn end_supervisor(&mut self, name: &str, codes: &[i32]) {
        let Some(pid) = self.run.supervisor.as_ref().map(Process::pid) else { return };
        signal(name, pid);
        let code = self.run.end();
        assert!(codes.contains(&code), "supervisor ended with {code} after SIG{name}{}", self.run.report());
        if self.random.below(2) == 0 {
            self.wait(0, 20);
        }
        self.resume();
    }

    /// Lets the fault happen. It may find nothing to befall.
    pub(crate) fn befall(&mut self, fault: Fault) {
        match fault {
            KillWorker => {
                if let Some(pid) = self.some_worker() {
                    self.kill(&[pid]);
                }
            }
            KillSeveralWorkers => {
                let mut workers = self.run.workers();
                let spared = self.random.below(workers.len().max(1));
                workers.truncate(spared.max(1));
                self.kill(&workers);
            }
            KillAllWorkers => {
                let workers = self.run.workers();
                self.kill(&workers);
            }
            KillSupervisor => self.end_supervisor("KILL", &[0, 137]),
            KillEverything => {
                let workers = self.run.workers();
                if let Some(supervisor) = &self.run.supervisor {
                    signal("KILL", supervisor.pid());
                }
                self.kill(&workers);
                let _killed = self.run.end();
                self.resume();
            }
            TermWorker => {
                if let Some(pid) = self.some_worker() {
                    signal("TERM", pid);
                }
            }
            DrainWorker => self.drain(),
            TermSupervisor => self.end_supervisor("TERM", &[0, 85]),
            StopWorker => {
                if let Some(pid) = self.some_worker() {
                    self.stop(pid);
                }
            }
            StopSupervisor => {
                if let Some(pid) = self.run.supervisor.as_ref().map(Process::pid) {
                    self.stop(pid);
                }
            }
            LedgerDeleted | LedgerOlder | LedgerTruncated | LedgerRubbish => self.damage_ledger(fault),
            LedgerLocked | LedgerUnopenable | LedgerReadOnly => self.block_ledger(fault),
            ChunkDamaged | ManifestDamaged | ReceiptDeleted | GenerationDeleted | AllDeleted => {
                self.damage_blobs(fault);
            }
            DiskFull => self.fill_disk(),
            Join | JoinAndKill => {
                if !self.run.wait_until(|run| run.dir.join("datacenter.json").exists()) {
                    return;
                }
                let more = self.random.of(&["", "--no-shared-memory", "--threads 2"]);
                self.run.join(more);
                if fault == JoinAndKill {
                    let pid = self.run.joined.last().unwrap().pid();
                    self.wait(2, 20);
                    self.kill(&[pid]);
                }
            }
            Stranger => self.send_rubbish(),
        }
    }

    fn kill(&mut self, workers: &[u32]) {
        self.given_up.extend(workers);
        workers.iter().for_each(|&pid| signal("KILL", pid));
    }

    fn stop(&mut self, pid: u32) {
        signal("STOP", pid);
        self.wait(5, 30);
        signal("CONT", pid);
    }

    /// Asks a worker to leave for good, if others stay.
    fn drain(&mut self) {
        if self.drained + 1 >= self.workers {
            return;
        }
        let Some(pid) = self.some_worker() else { return };
        let pid = pid.to_string();
        let done =
            Command::new(binary()).args(["datacenter", "drain"]).arg(&self.run.dir).args(["--pid", &pid]).output();
        let done = done.unwrap();
        // It may not have joined yet, or be gone.
        assert!(matches!(done.status.code(), Some(0 | 2)), "{}", String::from_utf8_lossy(&done.stderr));
        self.drained += 1;
    }

    fn ledger(&self) -> PathBuf {
        self.run.dir.join("ledger.sqlite")
    }

    fn damage_ledger(&mut self, fault: Fault) {
        let path = self.ledger();
        let Ok(now) = fs::read(&path) else { return };
        match fault {
            LedgerDeleted => fs::remove_file(&path).unwrap_or_default(),
            LedgerTruncated => {
                let length = self.random.below(now.len().max(1)) as u64;
                let file = fs::File::options().write(true).open(&path).unwrap();
                file.set_len(length).unwrap();
            }
            LedgerRubbish => {
                let bytes: Vec<u8> = (0..now.len()).map(|_| u8::try_from(self.random.below(256)).unwrap()).collect();
                fs::write(&path, bytes).unwrap();
            }
            _ => {
                let older = self.older.clone().unwrap_or(now);
                let copy = path.with_extension("copy");
                fs::write(&copy, older).unwrap();
                fs::rename(&copy, &path).unwrap();
            }
        }
    }

    /// Nobody can use the ledger for a while.
    fn block_ledger(&mut self, fault: Fault) {
        let path = self.ledger();
        match fault {
            LedgerLocked => {
                let Ok(connection) = rusqlite::Connection::open(&path) else { return };
                let _may_be_busy = connection.busy_timeout(LEASE);
                let _may_be_damaged = connection.execute_batch("BEGIN EXCLUSIVE");
                self.wait(5, 30);
            }
            LedgerUnopenable => {
                let aside = path.with_extension("aside");
                if fs::rename(&path, &aside).is_err() || fs::create_dir(&path).is_err() {
                    return;
                }
                self.wait(5, 30);
                fs::remove_dir(&path).unwrap();
                fs::rename(&aside, &path).unwrap();
            }
            // What holds for all but root.
            _ => {
                let Ok(before) = fs::metadata(&path).map(|found| found.permissions()) else { return };
                let mut now = before.clone();
                now.set_readonly(true);
                let _may_be_gone = fs::set_permissions(&path, now);
                self.wait(5, 30);
                let _may_be_gone = fs::set_permissions(&path, before);
            }
        }
    }

    /// Steps of the generations there, but not the last of the run.
    fn generations(&self) -> Vec<u64> {
        let steps = (1..self.job.steps / self.job.every + 1).map(|number| number * self.job.every);
        steps.filter(|&at| at < self.job.steps && step(&self.run.dir, at).exists()).collect()
    }

    fn damage_blobs(&mut self, fault: Fault) {
        // The last generation is the run's result: nobody can mend that.
        if step(&self.run.dir, self.job.steps).exists() {
            return;
        }
        let dir = self.run.dir.clone();
        let generations = self.generations();
        if generations.is_empty() {
            return;
        }
        // Often the newest, which is the one that work begins from.
        let newest = generations[generations.len() - 1];
        let at = if self.random.below(2) == 0 { newest } else { self.random.of(&generations) };
        let folder = step(&dir, at);
        match fault {
            ChunkDamaged => self.damage_one(&folder.join("temperature/c")),
            ManifestDamaged => self.damage(&folder.join("MANIFEST")),
            ReceiptDeleted => {
                let receipts = dir.join("receipts");
                let all = files(&receipts);
                if !all.is_empty() {
                    let (name, _) = &all[self.random.below(all.len())];
                    let _may_be_gone = fs::remove_file(receipts.join(name));
                }
            }
            GenerationDeleted => drop(fs::remove_dir_all(folder)),
            _ => {
                for name in ["checkpoints", "receipts"] {
                    for entry in fs::read_dir(dir.join(name)).into_iter().flatten().flatten() {
                        // Others write there at the same time.
                        let _something_new = fs::remove_dir_all(entry.path());
                    }
                }
            }
        }
    }

    fn damage_one(&mut self, folder: &Path) {
        let all = files(folder);
        if !all.is_empty() {
            let name = all[self.random.below(all.len())].0.clone();
            self.damage(&folder.join(name));
        }
    }

    /// Cuts, spoils or deletes a file.
    fn damage(&mut self, path: &Path) {
        let Ok(mut bytes) = fs::read(path) else { return };
        if bytes.is_empty() {
            return;
        }
        let at = self.random.below(bytes.len());
        match self.random.below(3) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << self.random.below(8),
            _ => return drop(fs::remove_file(path)),
        }
        // In place, as a bad disk does it; unless it was deleted meanwhile.
        if let Ok(mut file) = fs::File::options().write(true).truncate(true).open(path) {
            let _may_be_full = file.write_all(&bytes);
        }
    }

    /// The small disk is full for a while, and sometimes a worker dies then.
    fn fill_disk(&mut self) {
        let ballast = self.run.dir.with_extension("ballast");
        if let Ok(mut file) = fs::File::create(&ballast) {
            let block = vec![1; 1 << 16];
            while file.write_all(&block).is_ok() {}
            while file.write_all(&block[..1]).is_ok() {}
        }
        self.wait(3, 15);
        if self.random.below(2) == 0
            && let Some(pid) = self.some_worker()
        {
            self.kill(&[pid]);
        }
        self.wait(3, 15);
        fs::remove_file(&ballast).unwrap();
    }

    /// A stranger talks to a worker: bytes that are no HTTP, requests without a seal, a body without an end.
    fn send_rubbish(&mut self) {
        let said = Command::new(binary()).args(["datacenter", "status", "--json"]).arg(&self.run.dir).output().unwrap();
        let Ok(status) = serde_json::from_slice::<serde_json::Value>(&said.stdout) else { return };
        let mut open = Vec::new();
        for worker in status["workers"].as_array().unwrap() {
            let address: SocketAddr = worker["address"].as_str().unwrap().parse().unwrap();
            for kind in 0..12 {
                let Ok(mut stream) = TcpStream::connect_timeout(&address, LEASE) else { continue };
                let noise: Vec<u8> = (0..4096).map(|_| u8::try_from(self.random.below(256)).unwrap()).collect();
                let words: &[u8] = match kind % 4 {
                    0 => &noise,
                    1 => b"POST /message HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999999\r\n\r\nabc",
                    2 => b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n",
                    _ => b"POST /message HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n",
                };
                let _refused = stream.write_all(words);
                open.push(stream);
            }
        }
        self.wait(1, 10);
    }
}
