//! What the tests under mpirun share: commands with an end, the processes below them, jobs, checkpoints compared.
//!
//! Invariant: every wait is bounded, and whatever runs past its bound is killed with all its ranks.

#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use ringfort::clock;
use ringfort::random::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long any command here may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A line that reaches the terminal from a test that passes, too.
pub(crate) fn tell(line: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{line}");
}

/// The launcher: `RINGFORT_MPIRUN`, else `mpirun` on the PATH. Without one, says that `test` is skipped.
pub(crate) fn mpirun(test: &str) -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if let Some(named) = std::env::var_os("RINGFORT_MPIRUN") {
            let named = PathBuf::from(named);
            assert!(in_path(&named).is_some(), "RINGFORT_MPIRUN={} is no command", named.display());
            return Some(named);
        }
        in_path(Path::new("mpirun"))
    });
    if found.is_none() {
        tell(&format!("SKIPPED  {test}: no mpirun on the PATH; install an MPI with scripts/setup.sh"));
    }
    found.as_deref()
}

/// True for MPICH's launcher.
pub(crate) fn is_mpich(mpirun: &Path) -> bool {
    let said = Command::new(mpirun).arg("--version").output().unwrap();
    String::from_utf8_lossy(&said.stdout).contains("HYDRA")
}

fn in_path(name: &Path) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The program under test: `RINGFORT_BIN`, else the one that cargo built.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RINGFORT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from)
}

/// Settings that let ranks start as root and in greater number than cores, as in `scripts/common.sh`.
const SETTINGS: [(&str, &str); 9] = [
    ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
    ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
    ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
    ("OMPI_MCA_hwloc_base_binding_policy", "none"),
    ("OMPI_MCA_mpi_yield_when_idle", "1"),
    ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"),
    ("OMPI_MCA_btl_base_warn_component_unused", "0"),
    ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
    ("PRTE_MCA_hwloc_default_binding_policy", "none"),
];

/// Where launchers keep files while they run. Open MPI's has one folder for all of a user's jobs: one job that ends removes it
/// while another that starts makes it, and that one fails now and then.
const SCRATCH: [&str; 2] = ["OMPI_MCA_orte_tmpdir_base", "PRTE_MCA_prte_tmpdir_base"];

/// A command about to start, and a folder of its launcher's own.
pub(crate) struct Launch(Command, TempDir);

impl Launch {
    /// `program`, which is to start the program under test.
    pub(crate) fn program(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0).env_remove("RINGFORT_FAULT").env("RINGFORT", binary());
        for (name, value) in SETTINGS {
            if std::env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        let scratch = tempfile::tempdir().unwrap();
        command.envs(SCRATCH.map(|name| (name, scratch.path())));
        Self(command, scratch)
    }

    /// The program by itself.
    pub(crate) fn alone() -> Self {
        Self::program(&binary())
    }

    /// The program on `ranks` MPI ranks.
    pub(crate) fn ranks(mpirun: &Path, ranks: usize) -> Self {
        Self::program(mpirun).words(&format!("-n {ranks}")).path(&binary())
    }

    /// `scripts/restart.sh DIR`.
    pub(crate) fn restart_sh(mpirun: &Path, dir: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/restart.sh");
        Self::program(&script).env("RINGFORT_MPIRUN", mpirun).path(dir)
    }

    /// Adds arguments that hold no blanks.
    pub(crate) fn words(mut self, words: &str) -> Self {
        self.0.args(words.split_whitespace());
        self
    }

    /// Adds an argument as it is.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.0.arg(word);
        self
    }

    /// Starts in `folder`.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn path(mut self, path: &Path) -> Self {
        self.0.arg(path);
        self
    }

    /// `run JOB --out DIR`.
    pub(crate) fn run(self, job: &Path, dir: &Path) -> Self {
        self.words("run").path(job).words("--out").path(dir)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn fault(self, fault: &str) -> Self {
        self.env("RINGFORT_FAULT", fault)
    }

    pub(crate) fn start(mut self) -> Going {
        let [out, err] = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        self.0.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let words =
            format!("{:?}", self.0).split(' ').filter(|word| !word.contains("_MCA_")).collect::<Vec<_>>().join(" ");
        let child = self.0.spawn().unwrap_or_else(|error| panic!("{words}: {error}"));
        Going { child, out, err, words, began: clock::now(), _scratch: self.1 }
    }

    /// Runs to the end, which must come within [`LONG`] with exit code `code`.
    pub(crate) fn ends(self, code: i32) -> Ended {
        self.start().ends(code)
    }

    /// Runs to the end, which must come within [`LONG`] with any exit code.
    pub(crate) fn ends_anyhow(self) -> Ended {
        self.start().end(LONG)
    }
}

/// A command under way.
pub(crate) struct Going {
    child: Child,
    out: File,
    err: File,
    words: String,
    began: std::time::Instant,
    _scratch: TempDir,
}

impl Going {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processes of the ranks, by rank.
    pub(crate) fn rank_pids(&self) -> BTreeMap<usize, u32> {
        below(self.pid()).into_iter().filter_map(|pid| Some((rank_of(pid)?, pid))).collect()
    }

    /// Waits until all `ranks` ranks have a process; none if the command ends first.
    pub(crate) fn wait_for_ranks(&mut self, ranks: usize) -> Option<BTreeMap<usize, u32>> {
        self.wait_until(|going| Some(going.rank_pids()).filter(|pids| pids.len() == ranks))
    }

    /// Waits until `ready` gives a value; none if the command ends first.
    pub(crate) fn wait_until<V>(&mut self, mut ready: impl FnMut(&mut Self) -> Option<V>) -> Option<V> {
        let began = clock::now();
        while self.child.try_wait().unwrap().is_none() {
            if let Some(value) = ready(self) {
                return Some(value);
            }
            assert!(
                clock::now().duration_since(began) < LONG,
                "{}: waited in vain\n{}",
                self.words,
                text(&mut self.err)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The end, within `most` from now; past that, the test fails and all ranks are killed.
    pub(crate) fn end(mut self, most: Duration) -> Ended {
        let since = clock::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                let seconds = clock::now().duration_since(self.began).as_secs_f64();
                let waited = clock::now().duration_since(since).as_secs_f64();
                let (out, err) = (text(&mut self.out), text(&mut self.err));
                return Ended { code, out, err, seconds, waited, words: self.words.clone() };
            }
            let waited = clock::now().duration_since(since);
            assert!(waited < most, "{} has not ended within {most:?}\n{}", self.words, text(&mut self.err));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn ends(self, code: i32) -> Ended {
        self.end(LONG).expect(code)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            for pid in below(self.pid()).into_iter().chain([self.pid()]) {
                signal("KILL", pid);
            }
            let _reaped = self.child.wait();
        }
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Since its start.
    pub(crate) seconds: f64,
    /// Since the wait began.
    pub(crate) waited: f64,
    words: String,
}

impl Ended {
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {}\n{}{}", self.words, self.out, self.err);
        self
    }

    /// Asserts that the words for people hold `part`, line breaks aside, exactly once.
    pub(crate) fn says(&self, part: &str) {
        let times = flat(&self.err).matches(part).count();
        assert_eq!(times, 1, "`{part}` on stderr of {}\n{}", self.words, self.err);
    }
}

/// Words with single blanks between them, without the bars of an indented report.
fn flat(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != "\u{2502}").collect::<Vec<_>>().join(" ")
}

/// Sends a signal.
pub(crate) fn signal(name: &str, pid: u32) {
    let signal = match name {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "USR1" => Signal::USR1,
        _ => panic!("a signal {name}"),
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    let _gone_already = kill_process(pid, signal);
}

/// Processes below `pid`.
fn below(pid: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(own) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = stat(own).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(own);
        }
    }
    let mut all = Vec::new();
    let mut open = vec![pid];
    while let Some(at) = open.pop() {
        let own = children.get(&at).into_iter().flatten();
        all.extend(own.clone());
        open.extend(own);
    }
    all
}

/// Fields of `/proc/PID/stat` after the command's name: state, parent, ...
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(Into::into).collect())
}

/// Processor time of `pid` in ticks of 10 ms.
pub(crate) fn ticks(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Rank of the process, if it is one of ours.
fn rank_of(pid: u32) -> Option<usize> {
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    // The system keeps fifteen bytes of the name.
    let name: String = binary().file_name()?.to_string_lossy().chars().take(15).collect();
    if command.trim() != name {
        return None;
    }
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let entries = String::from_utf8_lossy(&environment).into_owned();
    let value =
        |name: &str| entries.split('\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    value("OMPI_COMM_WORLD_RANK").or_else(|| value("PMI_RANK")).or_else(|| value("PMIX_RANK"))
}

/// A folder for one test, and the job in it.
pub(crate) struct Bench {
    pub(crate) home: TempDir,
    pub(crate) job: PathBuf,
}

impl Bench {
    pub(crate) fn new(job: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("job.toml");
        fs::write(&path, job).unwrap();
        Self { home, job: path }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// An undisturbed run by itself in the folder `undisturbed`, with all its checkpoints.
    pub(crate) fn undisturbed(&self, more: &str) -> PathBuf {
        let dir = self.dir("undisturbed");
        Launch::alone().run(&self.job, &dir).words("--threads 1 --set checkpoint.keep=100000").words(more).ends(0);
        dir
    }
}

/// `job` of [`heat`] with checkpoints that are written while the run goes on.
pub(crate) fn in_background(job: &str) -> String {
    assert!(job.contains("async = false\n"), "{job}");
    job.replace("async = false\n", "")
}

/// A job of the kernel `heat` on `points`, which no number of ranks divides. It waits for each of its checkpoints, so that none
/// is skipped however fast the steps are.
pub(crate) fn heat(points: &str, boundary: &str, varying: bool, steps: u64, checkpoint: &str) -> String {
    let axes = points.split(',').count();
    let names = &["z", "y", "x"][3 - axes..];
    let spacing = vec!["0.01"; axes].join(", ");
    let waves: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("sin({}*{name})", 11 * at + 23)).collect();
    let temperature = waves.join(" + ");
    let diffusivity =
        if varying { format!("{{ formula = \"1e-5*(1 + 0.4*sin(37*x + 5*{}))\" }}", names[0]) } else { "1e-5".into() };
    format!(
        "[grid]\npoints = [{points}]\nspacing = [{spacing}]\nboundary = [{boundary}]\n[kernel]\nname = \"heat\"\n[fields]\n\
         temperature = {{ formula = \"300 + 20*({temperature})\" }}\ndiffusivity = {diffusivity}\n\
         [time]\nsteps = {steps}\ncourant = 0.9\n[checkpoint]\nevery = \"{checkpoint}\"\nasync = false\n"
    )
}

/// Folder of the checkpoint of `step`.
pub(crate) fn step(dir: &Path, step: u64) -> PathBuf {
    ringfort::checkpoint::folder(dir, step)
}

/// Number of files below `folder`.
pub(crate) fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// Asserts that two checkpoints (or the newest of two runs) hold the same bits.
pub(crate) fn assert_same_bits(a: &Path, b: &Path) {
    let ended = Launch::alone().words("checkpoint diff").path(a).path(b).ends(0);
    assert!(ended.out.contains("same bits"), "{}", ended.out);
}

/// What `checkpoint list --json` says: name, step and state of each.
pub(crate) fn list(dir: &Path) -> Vec<(String, u64, String)> {
    let said = Launch::alone().words("checkpoint list --json").path(dir).ends(0).out;
    let said: Value = serde_json::from_str(&said).unwrap();
    let word = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let lines = said["checkpoints"].as_array().unwrap();
    lines.iter().map(|line| (word(line, "name"), line["step"].as_u64().unwrap(), word(line, "state"))).collect()
}

/// Steps of the whole checkpoints in `dir`, newest first; each has the bits of `undisturbed`, and none is damaged.
pub(crate) fn whole_steps(dir: &Path, undisturbed: &Path) -> Vec<u64> {
    let mut steps = Vec::new();
    for (name, at, state) in list(dir) {
        let folder = dir.join(&name);
        assert_eq!(folder.join("MANIFEST").exists(), state == "whole", "{name} is {state}");
        assert!(matches!(state.as_str(), "whole" | "partial"), "{name} is {state}");
        Launch::alone().words("checkpoint verify").path(&folder).ends(if state == "whole" { 0 } else { 4 });
        if state == "whole" {
            assert_same_bits(&folder, &step(undisturbed, at));
            steps.push(at);
        }
    }
    steps
}

/// What a run's `run.json` says.
pub(crate) fn run_json(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("run.json")).unwrap()).unwrap()
}

/// Events of a run, as far as they are whole lines.
pub(crate) fn events(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Steps of the events named `event`.
pub(crate) fn event_steps(dir: &Path, event: &str) -> Vec<u64> {
    let events = events(dir);
    let named = events.iter().filter(|line| line["event"] == event);
    named.map(|line| line["step"].as_u64().unwrap()).collect()
}

/// Changes one byte in the middle of the first chunk of a checkpoint's only component.
pub(crate) fn damage(checkpoint: &Path) {
    let mut path = checkpoint.join("temperature/c");
    while path.is_dir() {
        path = fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    }
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
}

/// Random numbers.
pub(crate) struct Random(Rng);

impl Random {
    /// From `RINGFORT_SEED`, else from the clock; tells the seed.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("RINGFORT_SEED").ok();
        let seed = given.map_or_else(|| clock::wall().to_bits() >> 8 & 0xffff_ffff, |text| text.parse().unwrap());
        tell(&format!("{test}: RINGFORT_SEED={seed}"));
        Self::of_seed(seed)
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.0.below(limit as u64)).unwrap()
    }

    pub(crate) fn of<V: Copy>(&mut self, choices: &[V]) -> V {
        choices[self.below(choices.len())]
    }
}
