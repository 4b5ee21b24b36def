//! One trial: a run as a child process, killed and restarted as a schedule says, watched, and what it left behind.
//!
//! Invariant: no process of a trial outlives it, and every wait has an end.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::processes::{self, Process};
use super::schedule::{self, Kill};
use super::{CompareError, Mode, Request, larger};
use crate::clock;

/// How often a trial is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often its memory is.
const LOOK_AT_MEMORY: Duration = Duration::from_millis(500);
/// How long a job may live on after a rank was killed, and again after it was killed as a whole.
const NOTICE: Duration = Duration::from_secs(30);
/// Letters of what a failed trial said that are shown.
const SHOWN: usize = 600;

/// How runs are started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// This program.
    pub program: PathBuf,
    /// The launcher of MPI; without one, ranks are threads of one process.
    pub mpirun: Option<PathBuf>,
    request: Request,
}

/// A kill that was carried out, or came while nothing ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Killed {
    /// Seconds since the start of the trial.
    pub at_s: f64,
    /// False if there was nothing to kill.
    pub hit: bool,
    /// Seconds from the kill to the end of the job, in torus mode.
    pub noticed_s: Option<f64>,
    /// Seconds from the kill until somebody computes in the place of the dead.
    pub recovered_s: Option<f64>,
}

/// A checkpoint of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saved {
    /// Its step.
    pub step: u64,
    /// When it counted, in seconds since the start of the trial.
    pub at_s: f64,
    /// Seconds for which the steps waited.
    pub blocking_s: f64,
    /// Seconds until it counted.
    pub write_s: f64,
    /// Its bytes.
    pub bytes: u64,
}

/// From the start of processes to their end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// When it began, in seconds since the start of the trial.
    pub from_s: f64,
    /// When it ended.
    pub to_s: f64,
    /// Step from which it went on.
    pub step: u64,
    /// Checkpoints that it wrote.
    pub saved: Vec<Saved>,
}

impl Attempt {
    /// When the copy of a checkpoint's state was taken, from which on the steps go on.
    fn taken(saved: &Saved) -> f64 {
        saved.at_s - saved.write_s
    }

    /// From the first checkpoint to the last: seconds and steps.
    fn stretch(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.saved.first()?, self.saved.last()?);
        (last.step > first.step).then(|| (Self::taken(last) - Self::taken(first), (last.step - first.step) as f64))
    }

    /// Seconds of a step, from the first checkpoint to the last.
    #[must_use]
    pub fn pace(&self) -> Option<f64> {
        self.stretch().map(|(seconds, steps)| seconds / steps)
    }

    /// Seconds from its beginning to its first step, if a step takes `step_s`.
    #[must_use]
    pub fn start_s(&self, step_s: f64) -> Option<f64> {
        let first = self.saved.first()?;
        Some(larger(Self::taken(first) - self.from_s - (first.step - self.step) as f64 * step_s, 0.0))
    }

    /// Seconds from the copy of the last checkpoint to its end.
    #[must_use]
    pub fn end_s(&self) -> Option<f64> {
        Some(larger(self.to_s - Self::taken(self.saved.last()?), 0.0))
    }
}

/// What became of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// How the job was run.
    pub mode: Mode,
    /// Mean time between kills.
    pub mtbf_s: Option<f64>,
    /// Number among trials of its kind.
    pub repeat: u32,
    /// Seconds from its start to its end.
    pub seconds: f64,
    /// Kills of its schedule, up to its end.
    pub kills: Vec<Killed>,
    /// Starts of processes: one, and one more for each restart.
    pub attempts: Vec<Attempt>,
    /// Steps that were computed and had to be computed again; in torus mode told from the pace, in data-center mode counted.
    pub lost_steps: f64,
    /// Most bytes of memory that all its processes held together.
    pub peak_bytes: u64,
    /// What its last `run.json` says.
    pub record: Value,
    /// Seconds that the model gives for its kills, at its own pace.
    pub predicted_s: Option<f64>,
    /// The command that ran it.
    pub command: String,
}

impl Trial {
    /// Seconds of a step, over all attempts.
    #[must_use]
    pub fn pace(&self) -> Option<f64> {
        let stretches = self.attempts.iter().filter_map(Attempt::stretch);
        let (seconds, steps) = stretches.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        (steps > 0.0).then(|| seconds / steps)
    }

    /// Name for people.
    #[must_use]
    pub fn name(&self) -> String {
        name((self.mode, self.mtbf_s, self.repeat))
    }

    /// What became of it, in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let hits = self.kills.iter().filter(|kill| kill.hit).count();
        let kills = if self.mode.failing() {
            format!(", {hits} kills, {:.0} steps lost", self.lost_steps)
        } else {
            String::new()
        };
        format!("{}: {:.2} s{kills}", self.name(), self.seconds)
    }
}

fn name((mode, mtbf_s, repeat): (Mode, Option<f64>, u32)) -> String {
    let mean = mtbf_s.map_or_else(String::new, |mean| format!(", a kill every {mean} s"));
    format!("{} {}{mean}", mode.name(), repeat + 1)
}

impl Launch {
    /// How runs of `request` are started here.
    ///
    /// # Errors
    ///
    /// [`CompareError::Io`] if this program cannot be found.
    pub fn new(request: &Request) -> Result<Self, CompareError> {
        let program = std::env::current_exe().map_err(CompareError::io("find this program"))?;
        let named = std::env::var_os("RINGFORT_MPIRUN").map_or_else(|| PathBuf::from("mpirun"), PathBuf::from);
        let mpirun = (cfg!(feature = "mpi") && request.ranks > 1).then(|| in_path(&named)).flatten();
        Ok(Self { program, mpirun, request: request.clone() })
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let ranks = self.request.ranks;
        match &self.mpirun {
            Some(mpirun) => format!("{ranks} ranks under {}", mpirun.display()),
            None => format!("{ranks} ranks as threads of one process"),
        }
    }

    /// The command that runs the job in `dir`, or goes on there.
    fn command(&self, mode: Mode, dir: &Path) -> Command {
        let Request { job, ranks, workers, overrides, .. } = &self.request;
        let mut command = match &self.mpirun {
            Some(mpirun) if !mode.datacenter() => {
                let mut command = Command::new(mpirun);
                command.args(["-n", &ranks.to_string()]).arg(&self.program);
                command
            }
            _ => Command::new(&self.program),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = |among: u32| (cores / among.max(1) as usize).max(1).to_string();
        if mode.datacenter() {
            command.args(["datacenter", "run"]).arg(job);
            command.args(["--workers", &workers.to_string(), "--threads", &threads(*workers)]);
        } else {
            command.arg("run").arg(job).args(["--threads", &threads(*ranks)]);
            if self.mpirun.is_none() && *ranks > 1 {
                command.args(["--local-ranks", &ranks.to_string()]);
            }
        }
        command.arg("--out").arg(dir).arg("--resume");
        if mode == Mode::Floor {
            // Beyond the last step: none comes due but the one at the end, which every run writes.
            command.args(["--set", "checkpoint.every=\"1000000000 steps\""]);
        }
        for set in overrides {
            command.args(["--set", set]);
        }
        command
    }
}

/// `name` as a path to a file, looked for where programs lie.
fn in_path(name: &Path) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A child process and all below it.
struct Going {
    child: Child,
    said: File,
    what: String,
    /// When its memory was looked at last.
    looked: Option<Instant>,
    peak_bytes: u64,
}

impl Going {
    fn start(mut command: Command, what: &str) -> Result<Self, CompareError> {
        let said = processes::unnamed_file().map_err(CompareError::io("make a temporary file"))?;
        let both = [said.try_clone(), said.try_clone()].into_iter().collect::<Result<Vec<_>, _>>();
        let mut both = both.map_err(CompareError::io("make a temporary file"))?;
        command.stdin(Stdio::null()).process_group(0);
        command.stderr(both.remove(0)).stdout(both.remove(0));
        let child = command.spawn().map_err(CompareError::io(format!("start {}", command.get_program().display())))?;
        Ok(Self { child, said, what: what.into(), looked: None, peak_bytes: 0 })
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, CompareError> {
        let ended = self.child.try_wait().map_err(CompareError::io("wait for a process"))?;
        let now = clock::now();
        let due = self.looked.is_none_or(|looked| now.duration_since(looked) > LOOK_AT_MEMORY);
        if ended.is_none() && due {
            self.looked = Some(now);
            let bytes = self.all().iter().map(|process| process.bytes).sum();
            self.peak_bytes = self.peak_bytes.max(bytes);
        }
        Ok(ended)
    }

    fn all(&self) -> Vec<Process> {
        processes::below(self.child.id())
    }

    /// Ranks or workers that live.
    fn victims(&self, launch: &Launch, mode: Mode) -> Vec<u32> {
        let own = launch.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The system shortens names.
        let ours = |process: &&Process| !process.name.is_empty() && own.starts_with(&process.name);
        let all = self.all();
        let ours = all.iter().filter(ours).map(|process| process.pid);
        // In data-center mode the supervisor is no worker.
        ours.filter(|&pid| !mode.datacenter() || pid != self.child.id()).collect()
    }

    /// Waits for the end after a kill.
    fn end(&mut self) -> Result<(), CompareError> {
        let since = clock::now();
        while self.ended()?.is_none() {
            if clock::now().duration_since(since) > NOTICE {
                return Err(CompareError::Endless { what: self.what.clone(), seconds: NOTICE.as_secs_f64() });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The last of what it said.
    fn words(&mut self) -> String {
        let text = processes::text(&mut self.said).unwrap_or_default();
        let from = text.char_indices().rev().nth(SHOWN).map_or(0, |(at, _)| at);
        text[from..].trim().to_owned()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.all().iter().rev().for_each(|process| processes::kill(process.pid));
            let _reaped = self.child.wait();
        }
    }
}

/// Runs a trial in `dir`, which is not there yet.
///
/// # Errors
///
/// [`CompareError`] if it does not end well within `deadline_s` seconds.
pub fn run(
    launch: &Launch,
    kind: (Mode, Option<f64>, u32),
    dir: &Path,
    deadline_s: f64,
) -> Result<Trial, CompareError> {
    let (mode, mtbf_s, repeat) = kind;
    let what = name(kind);
    let mut schedule = mtbf_s.map(|mtbf_s| schedule::kills(launch.request.seed, mtbf_s, repeat).peekable());
    let (began, wall) = (clock::now(), clock::wall());
    let since = || clock::now().duration_since(began).as_secs_f64();
    let mut going = Going::start(launch.command(mode, dir), &what)?;
    let (mut kills, mut attempts, mut from_s) = (Vec::<Killed>::new(), Vec::new(), 0.0);
    let mut peak_bytes = 0;
    let mut lost_steps = 0.0;
    loop {
        if let Some(status) = going.ended()? {
            if !status.success() {
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                return Err(CompareError::Ended { what, code, words: going.words() });
            }
            break;
        }
        if since() > deadline_s {
            return Err(CompareError::Endless { what, seconds: deadline_s });
        }
        let Some(kill) = schedule.as_mut().and_then(|kills| kills.next_if(|kill| kill.at_s <= since())) else {
            std::thread::sleep(LOOK);
            continue;
        };
        let at_s = since();
        let hit = strike(&going, launch, mode, &kill);
        kills.push(Killed { at_s, hit, noticed_s: None, recovered_s: None });
        if mode.datacenter() || !hit {
            continue;
        }
        going.end()?;
        peak_bytes = peak_bytes.max(going.peak_bytes);
        let ended_s = since();
        attempts.push(attempt(dir, wall, (from_s, ended_s)));
        std::thread::sleep(Duration::from_secs_f64(launch.request.repair_s));
        if let Some(kill) = kills.last_mut() {
            kill.noticed_s = Some(ended_s - at_s);
        }
        // Who is down cannot be killed.
        while let Some(kill) = schedule.as_mut().and_then(|kills| kills.next_if(|kill| kill.at_s <= since())) {
            kills.push(Killed { at_s: kill.at_s, hit: false, noticed_s: None, recovered_s: None });
        }
        from_s = since();
        going = Going::start(launch.command(mode, dir), &what)?;
    }
    let seconds = since();
    attempts.push(attempt(dir, wall, (from_s, seconds)));
    let record = read_json(&dir.join("run.json"));
    if mode.datacenter() {
        let blocks = record["cuts"].as_array().map_or(1, |cuts| cuts.iter().filter_map(Value::as_u64).product());
        lost_steps = record["recomputed_steps"].as_f64().unwrap_or(0.0) / blocks.max(1) as f64;
        let takeovers = takeovers(dir, wall);
        for kill in &mut kills {
            kill.recovered_s = takeovers.iter().find(|&&at| at > kill.at_s).map(|at| at - kill.at_s);
        }
    } else {
        for (killed, pair) in kills.iter_mut().filter(|kill| kill.hit).zip(attempts.windows(2)) {
            lost_steps += redone(&pair[0], &pair[1], killed.at_s);
            killed.recovered_s = Some(pair[1].from_s - killed.at_s);
        }
    }
    let command = format!("{:?}", launch.command(mode, Path::new("DIR")));
    peak_bytes = peak_bytes.max(going.peak_bytes);
    Ok(Trial {
        mode,
        mtbf_s,
        repeat,
        seconds,
        kills,
        attempts,
        lost_steps,
        peak_bytes,
        record,
        predicted_s: None,
        command,
    })
}

/// Kills one of those that live; false if there is nobody.
fn strike(going: &Going, launch: &Launch, mode: Mode, kill: &Kill) -> bool {
    let victims = going.victims(launch, mode);
    let Some(count) = u64::try_from(victims.len()).ok().filter(|&count| count > 0) else { return false };
    let chosen = usize::try_from(kill.pick % count).unwrap_or(0);
    processes::kill(victims[chosen]);
    true
}

/// Steps that `next` takes again after `before` was killed `at_s`, if both go at the same pace.
fn redone(before: &Attempt, next: &Attempt, at_s: f64) -> f64 {
    let pace = before.pace().or_else(|| next.pace());
    let (Some(step_s), Some(last)) = (pace, before.saved.last()) else {
        // Killed before its first checkpoint: by the pace of the next, from the start of which the load is not known.
        let Some(start_s) = pace.and_then(|step_s| next.start_s(step_s)) else { return 0.0 };
        let stepping = at_s - before.from_s - start_s;
        return pace.map_or(0.0, |step_s| larger(stepping / step_s, 0.0));
    };
    let reached = last.step as f64 + (at_s - Attempt::taken(last)) / step_s;
    larger(reached - next.step as f64, 0.0)
}

/// What the run's events tell of the attempt that ended last.
fn attempt(dir: &Path, wall: f64, (from_s, to_s): (f64, f64)) -> Attempt {
    let mut attempt = Attempt { from_s, to_s, ..Attempt::default() };
    for event in events(&dir.join("events.jsonl")) {
        let at_s = event["wall"].as_f64().unwrap_or(0.0) - wall;
        let number = |key: &str| event[key].as_f64().unwrap_or(0.0);
        // Clocks of the same machine: a little leeway for the wall's steps.
        if at_s < from_s - 0.05 {
            continue;
        }
        match event["event"].as_str() {
            Some("start") => attempt.step = event["step"].as_u64().unwrap_or(0),
            Some("checkpoint") => attempt.saved.push(Saved {
                step: event["step"].as_u64().unwrap_or(0),
                at_s,
                blocking_s: number("blocking_seconds"),
                write_s: number("write_seconds"),
                bytes: event["bytes"].as_u64().unwrap_or(0),
            }),
            _ => {}
        }
    }
    attempt
}

/// When blocks were taken over from those that were lost, in seconds since `wall`, in order.
fn takeovers(dir: &Path, wall: f64) -> Vec<f64> {
    let files = fs::read_dir(dir.join("workers")).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let again = |event: &Value| event["event"] == "own" && event["epoch"].as_u64() > Some(1);
    let mut all: Vec<f64> = files
        .flat_map(|path| events(&path))
        .filter(again)
        .filter_map(|event| event["wall"].as_f64())
        .map(|at| at - wall)
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn read_json(path: &Path) -> Value {
    fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(step: u64, at_s: f64) -> Saved {
        Saved { step, at_s, blocking_s: 0.01, write_s: 0.5, bytes: 8 }
    }

    #[test]
    fn paces_and_starts_come_from_checkpoints() {
        let one = Attempt { from_s: 1.0, to_s: 34.0, step: 0, saved: vec![saved(10, 13.5), saved(30, 33.5)] };
        assert_eq!((one.pace(), one.start_s(1.0), one.end_s()), (Some(1.0), Some(2.0), Some(1.0)));
        let next = Attempt { from_s: 40.0, to_s: 50.0, step: 30, saved: Vec::new() };
        // 30 at 33, killed at 38: five steps are lost.
        assert_eq!(redone(&one, &next, 38.0), 5.0);
        assert_eq!(next.pace(), None);
        let none = Attempt { from_s: 0.0, to_s: 5.0, ..Attempt::default() };
        assert_eq!(redone(&none, &one, 5.0), 3.0);
    }
}
