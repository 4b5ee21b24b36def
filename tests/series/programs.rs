//! The program itself: both modes write the same bytes, and xarray reads outputs while they grow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use ringfort::random::Rng;

use super::files::{Tree, tree};

const JOB: &str = r#"
name = "plate"
[grid]
points = [40, 52]
spacing = [0.5, 0.25]
boundary = ["wall", "periodic"]
[kernel]
name = "heat"
[fields]
temperature = { formula = "20 + 5*exp(-((x-4)^2 + (y-9)^2)) + sin(3*x)" }
diffusivity = { formula = "0.5 + 0.01*y" }
[time]
steps = 60
dt = 0.02
[checkpoint]
every = "20 steps"
async = false
[[probe]]
name = "centre"
at = [9.9, 4.1]
field = "temperature"
every = "3 steps"
[[probe]]
name = "beyond"
at = [0.0, 27.0]
field = "diffusivity"
every = "20 steps"
[[reduce]]
name = "total"
map = "temperature"
with = "sum"
every = "7 steps"
[[output]]
fields = ["temperature", "diffusivity"]
every = "5 steps"
stride = [3, 1]
type = "f32"
[datacenter]
blocks = [2, 3]
lease = "1 s"
"#;

fn ringfort(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfort"));
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The script that reads outputs, if there is a Python that has what it needs.
fn reader(folder: &Path, follow: bool, runs: &[&Path]) -> Option<Child> {
    let python = std::env::var_os("RINGFORT_PYTHON")?;
    let expected = folder.join(format!("expected-{follow}.json"));
    let content = serde_json::json!({
        "fields": ["temperature", "diffusivity"], "axes": ["y", "x"], "stride": [3, 1], "dtype": "float32",
        "every": 5, "dt": 0.02, "times": 13, "follow": follow,
    });
    fs::write(&expected, content.to_string()).unwrap();
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/open_output.py")).arg(expected);
    for run in runs {
        command.arg(run.join("fields.zarr")).arg(run.join("checkpoints/step-0000000060"));
    }
    Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn check(reader: Option<Child>) {
    let Some(reader) = reader else {
        println!("skipped: RINGFORT_PYTHON names no Python with zarr, xarray and numpy");
        return;
    };
    let read = reader.wait_with_output().unwrap();
    let [out, err] = [&read.stdout, &read.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(read.status.success() && err.is_empty(), "{out}{err}");
    println!("{out}");
}

/// Files of probes, outputs and sums.
fn all(dir: &Path) -> Tree {
    let mut all = tree(dir);
    all.insert("sums.csv".to_owned(), fs::read(dir.join("sums.csv")).unwrap());
    all
}

#[test]
fn both_modes_crashes_and_restarts_write_the_same_bytes_and_xarray_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, JOB).unwrap();
    let job = path.to_str().unwrap();
    let dir = |name: &str| -> (PathBuf, String) {
        let dir = folder.path().join(name);
        (dir.clone(), dir.to_str().unwrap().to_owned())
    };
    let (straight, out) = dir("straight");
    let growing = reader(folder.path(), true, &[&straight]);
    assert!(ringfort(&["run", job, "--out", &out, "--steps", "20"]).status().unwrap().success());
    // The reader looks while the run stands here and while it goes on.
    let (patience, seen) = (ringfort::clock::now(), folder.path().join("expected-true.json.seen"));
    while growing.is_some() && fs::read_to_string(&seen).unwrap_or_default() != "5" {
        assert!(patience.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(10));
    }
    assert!(ringfort(&["restart", &out, "--steps", "60"]).status().unwrap().success());
    let expected = all(&straight);

    let (crashed, out) = dir("crashed");
    let run =
        ringfort(&["run", job, "--out", &out, "--local-ranks", "2"]).env("RINGFORT_FAULT", "abort@step=33").status();
    assert!(!run.unwrap().success());
    assert!(crashed.join("fields.zarr/temperature/c/6").exists(), "times beyond the checkpoint are there");
    assert!(ringfort(&["restart", &out, "--local-ranks", "3"]).status().unwrap().success());
    assert!(all(&crashed) == expected);
    let said = Command::new(env!("CARGO_BIN_EXE_ringfort")).args(["check", job]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("probe beyond: x = 27 lies beyond the periodic axis and wraps around to x = 1"), "{said}");
    for words in ["centre: temperature at [10, 4], every 3 steps: 21 times", "fields.zarr: temperature, diffusivity"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    #[cfg_attr(
        not(feature = "datacenter"),
        allow(unused_mut, clippy::useless_vec, reason = "the other mode adds runs")
    )]
    let mut runs = vec![crashed];

    #[cfg(feature = "datacenter")]
    {
        let (center, out) = dir("center");
        assert!(ringfort(&["datacenter", "run", job, "--workers", "2", "--out", &out]).status().unwrap().success());
        let found = all(&center);
        let differ: Vec<_> =
            expected.iter().filter(|(name, bytes)| found.get(*name) != Some(bytes)).map(|(n, _)| n).collect();
        assert!(found == expected, "{differ:?}");
        // One mode goes on where the other stopped.
        let (mixed, out) = dir("mixed");
        assert!(ringfort(&["run", job, "--out", &out, "--steps", "20"]).status().unwrap().success());
        let set = ["datacenter", "run", job, "--workers", "2", "--out", &out, "--resume", "--steps", "60"];
        assert!(ringfort(&set).status().unwrap().success());
        assert!(all(&mixed) == expected);
        runs.extend([center, mixed]);
    }
    check(growing);
    exports(&straight);
    check(reader(folder.path(), false, &runs.iter().map(PathBuf::as_path).collect::<Vec<_>>()));
}

/// A run that is cut into pieces at random steps, each on a random number of ranks, after which it goes on.
#[test]
fn a_chain_of_twenty_restarts_ends_like_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, JOB).unwrap();
    let [one, chain] = ["one", "chain"].map(|name| folder.path().join(name));
    let runs = |args: &[&str]| {
        let ended = ringfort(args).stderr(Stdio::piped()).output().unwrap();
        assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    };
    runs(&["run", path.to_str().unwrap(), "--out", one.to_str().unwrap()]);
    let mut random = Rng::new(20);
    let mut steps: Vec<u64> = (1..60).collect();
    while steps.len() > 20 {
        steps.remove(usize::try_from(random.below(steps.len() as u64)).unwrap());
    }
    let mut words = vec!["run", path.to_str().unwrap(), "--out", chain.to_str().unwrap()];
    for step in steps.into_iter().chain([60]) {
        let (step, ranks) = (step.to_string(), (1 + random.below(6)).to_string());
        runs(&[&words[..], &["--steps", &step, "--local-ranks", &ranks]].concat());
        words = vec!["restart", chain.to_str().unwrap()];
    }
    assert!(all(&chain) == all(&one));
    runs(&["checkpoint", "diff", chain.to_str().unwrap(), one.to_str().unwrap()]);
}

/// Exports of the run in `dir`: what they hold is what the checkpoint holds.
fn exports(dir: &Path) {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    for (field, name) in [("temperature", "t.npy"), ("temperature", "t.vti"), ("diffusivity", "k.npy")] {
        let run = ringfort(&["checkpoint", "export", dir.to_str().unwrap(), "--field", field, "--out", &at(name)]);
        assert!({ run }.status().unwrap().success(), "{name}");
    }
    let out = Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .args(["checkpoint", "export", dir.to_str().unwrap(), "--field", "temprature", "--out", &at("x.npy")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(2) && said.contains("did you mean `temperature`?"), "{said}");
    let Some(python) = std::env::var_os("RINGFORT_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/open_export.py");
    let checkpoint = dir.join("checkpoints/step-0000000060");
    let mut command = Command::new(python);
    let reader = command.arg(script).arg(checkpoint).args([at("t.npy"), at("t.vti"), at("k.npy")]);
    check(Some(reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()));
}
