//! The same bad jobs, and bad arguments, given to the program: exit code 2, the same words, nothing written, soon.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::cases::{self, Case, GOOD};
use super::files::prepare;
use super::flat;

const LIMIT: Duration = Duration::from_secs(10);
/// Lines of a screen.
const SCREEN: usize = 30;

/// Exit code and standard error of `ringfort ARGS` in `folder`; `None` if it takes too long.
fn ringfort(folder: &Path, args: &[&str], fault: Option<&str>) -> Option<(i32, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfort"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE", "RINGFORT_FAULT"] {
        command.env_remove(name);
    }
    if let Some(fault) = fault {
        command.env("RINGFORT_FAULT", fault);
    }
    let mut child = command.spawn().unwrap();
    for _ in 0..LIMIT.as_millis() / 5 {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            return Some((output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    None
}

/// All that lies in `folder`: path, and length and time of change of files.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let found = fs::symlink_metadata(entry.path()).unwrap();
        if found.is_dir() {
            all.extend(listing(&entry.path()));
            all.insert(entry.path(), (0, SystemTime::UNIX_EPOCH));
        } else {
            all.insert(entry.path(), (found.len(), found.modified().unwrap()));
        }
    }
    all
}

/// What is wrong with how `ringfort ARGS` refuses, if anything.
fn flaw(folder: &Path, args: &[&str], fault: Option<&str>, words: &[&str]) -> Option<String> {
    let before = listing(folder);
    let Some((code, message)) = ringfort(folder, args, fault) else { return Some(format!("{args:?}: too slow")) };
    let missing = words.iter().find(|word| !flat(&message).contains(**word));
    let long = message.lines().count() > SCREEN;
    let panicked = message.contains("panicked");
    if code != 2 || missing.is_some() || long || panicked {
        return Some(format!("{args:?}: exit {code}, no {missing:?} in\n{message}"));
    }
    (listing(folder) != before).then(|| format!("{args:?}: something was written"))
}

fn prepared(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    fs::write(folder.path().join("job.toml"), text).unwrap();
    folder
}

const CHECK: &[&str] = &["check", "job.toml"];
const RUN: &[&str] = &["run", "job.toml", "--local-ranks", "2"];

#[test]
fn bad_jobs_end_in_2_and_leave_no_trace() {
    let folder = prepared(GOOD);
    let mut flaws = Vec::new();
    for Case { text, words, name } in cases::all() {
        fs::write(folder.path().join("job.toml"), &text).unwrap();
        for args in [CHECK, RUN] {
            flaws.extend(flaw(folder.path(), args, None, words).map(|flaw| format!("{name}: {flaw}")));
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

/// A job of ten by ten points whose values are all right.
const TEN: &str = r#"[grid]
points = [10, 10]
[kernel]
name = "heat"
[fields]
temperature = { formula = "x + y" }
diffusivity = 1.0
[time]
steps = 4
dt = 0.1
"#;

#[test]
fn plans_that_cannot_be_are_refused() {
    let folder = prepared(TEN);
    let unstable =
        ["dt = 0.5 s is 2.0000 times the bound of kernel heat", "use dt = 2.500000e-1 or less", "courant = 0.9"];
    let memory = ["the fields need 3.1 PiB of memory on this machine", "left; use fewer points"];
    let huge = "grid.points=[60000,60000,60000]";
    let plans: &[(&[&str], &[&str])] = &[
        (&["--set", "time.dt=0.5"], &unstable),
        (&["--set", "time.dt=0.5", "--set", "fields.temperature=1.0"], &unstable),
        (&["--local-ranks", "7", "--ranks", "7x1"], &["7 parts of 10 points leave a part empty; use 5 or 10"]),
        (&["--local-ranks", "20", "--ranks", "20x1"], &["20 parts of 10 points leave a part empty; use 10"]),
        (&["--local-ranks", "11"], &["cannot be cut into 11 parts; use 10 or 12 ranks"]),
        (&["--local-ranks", "101"], &["cannot be cut into 101 parts; use 100 ranks"]),
        (&["--local-ranks", "4", "--ranks", "2x3"], &["ranks [2, 3] are 6 in all, but 4 run"]),
        (&["--local-ranks", "2", "--ranks", "1x1x2"], &["[1, 1, 2] name 3 axes, but the grid has 2"]),
        (&["--set", huge, "--set", "fields.temperature.formula=z"], &memory),
        (&["--set", huge, "--set", "fields.temperature=1.0"], &memory),
        (&["--set", "grid.points=[100000,100000,100000]"], &["2^48 points or more; no machine holds it"]),
        (&["--set", "time.dt"], &["write it as key=value"]),
        (&["--set", "time.dtt=3"], &["unknown key `dtt`"]),
        (&["--ranks", "2,2"], &["2x2x1"]),
        (&["--ranks", "0x1"], &["2x2x1"]),
        (&["--local-ranks", "0"], &["0 is not in 1..=4096"]),
        (&["--local-ranks", "many"], &["invalid digit"]),
        (&["--steps-per-exchange", "0"], &["0 is not in 1..=65536"]),
        (&["--stepps", "3"], &["unexpected argument '--stepps'"]),
    ];
    let mut flaws = Vec::new();
    for (args, words) in plans {
        for command in ["check", "run"] {
            flaws.extend(flaw(folder.path(), &[&[command, "job.toml"], *args].concat(), None, words));
        }
    }
    let huge_job = TEN.replace("[10, 10]", "[60000, 60000, 60000]");
    fs::write(folder.path().join("job.toml"), huge_job).unwrap();
    flaws.extend(flaw(folder.path(), &["check", "job.toml", "--local-ranks", "1000"], None, &["(1000 ranks of "]));
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn what_is_no_job_is_refused() {
    let folder = prepared(GOOD);
    fs::write(folder.path().join("large.toml"), " ".repeat((1 << 20) + 1)).unwrap();
    let mut flaws = Vec::new();
    for (path, words) in [
        ("none.toml", &["cannot read the job file", "No such file"]),
        ("folder", &["is a folder", "TOML file"]),
        ("pipe", &["not a regular file", "TOML file"]),
        ("/dev/zero", &["not a regular file", "TOML file"]),
        ("nan.npy", &["cannot read the job file", "UTF-8"]),
        ("large.toml", &["larger than 1 MiB", "TOML file"]),
    ] {
        for command in ["check", "run"] {
            flaws.extend(flaw(folder.path(), &[command, path], None, words));
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn bad_faults_flags_and_commands_are_refused() {
    let folder = prepared(TEN);
    let mut flaws = Vec::new();
    for fault in ["", "often", "panic@step=x", "panic@stepp=1", "melt@step=1", "nan@step=1,phase=never"] {
        let words = ["RINGFORT_FAULT"];
        flaws.extend(
            flaw(folder.path(), &["run", "job.toml"], Some(fault), &words).map(|flaw| format!("{fault}: {flaw}")),
        );
    }
    let commands: &[(&[&str], &[&str])] = &[
        (&["run", "job.toml", "--max-time", "soon"], &["90s, 15min, 23h55m"]),
        (&["run", "job.toml", "--steps", "-1"], &["unexpected argument '-1'"]),
        (&["run", "job.toml", "--resume", "--fresh"], &["cannot be used with"]),
        (&["run"], &["<JOB>"]),
        (&["check", "job.toml", "--on", "4", "--local-ranks", "4"], &["cannot be used with"]),
        (&["chek", "job.toml"], &["no command `chek`", "check?"]),
        (&["restart", "folder"], &["holds no run"]),
        (&["restart", "none"], &["holds no run"]),
        (&["render", "none"], &["cannot open none"]),
        (&["render", "folder"], &["neither the folder of a run nor a checkpoint"]),
        (&["render", "job.toml"], &["job.toml is not a folder"]),
        (&["kernels", "hat"], &["no kernel is called `hat`"]),
    ];
    for (args, words) in commands {
        flaws.extend(flaw(folder.path(), args, None, words));
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

/// A run that is refused leaves the folder of another as it is, and a folder that it did not make.
#[test]
fn refused_runs_remove_only_what_they_made() {
    let folder = prepared(TEN);
    let at = folder.path();
    fs::create_dir(at.join("empty")).unwrap();
    let bad = ["run", "job.toml", "--set", "time.dt=0.5", "--out"];
    assert_eq!(flaw(at, &[&bad[..], &["empty"]].concat(), None, &[]), None);
    assert_eq!(flaw(at, &[&bad[..], &["a/b/c"]].concat(), None, &[]), None);
    assert_eq!(ringfort(at, &["run", "job.toml"], None).map(|end| end.0), Some(0));
    assert_eq!(flaw(at, &["run", "job.toml"], None, &["holds a run already"]), None);
    assert_eq!(flaw(at, &[&bad[..], &["out/job", "--fresh"]].concat(), None, &["2.0000 times"]), None);
}
