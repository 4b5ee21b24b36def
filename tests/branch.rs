//! Runs that go on from another run's checkpoint: branches, and jobs that start from it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringfort::checkpoint::folder;

const JOB: &str = r#"
name = "plate"
[grid]
points = [11, 14]
boundary = ["wall", "periodic"]
[kernel]
name = "heat"
[fields]
temperature = { formula = "20 + 5*exp(-((x-4)^2 + (y-3)^2) / 4)" }
diffusivity = 0.9
[time]
steps = 20
dt = 0.2
[checkpoint]
every = "10 steps"
async = false
"#;

/// Exit code and standard error of `ringfort ARGS` in `dir`.
fn ringfort(dir: &Path, args: &str) -> (i32, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringfort")).args(args.split(' ')).current_dir(dir).output().unwrap();
    (run.status.code().unwrap(), String::from_utf8(run.stderr).unwrap())
}

fn fine(dir: &Path, args: &str) {
    let (code, err) = ringfort(dir, args);
    assert_eq!(code, 0, "{args}: {err}");
}

fn refused(dir: &Path, args: &str, words: &[&str]) {
    let (code, err) = ringfort(dir, args);
    assert_eq!(code, 2, "{args}: {err}");
    for word in words {
        assert!(err.contains(word), "{args}: no {word:?} in {err}");
    }
}

/// Files below `dir`, with their contents.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// A folder with the job, run to its end in `a`.
fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plate.toml"), JOB).unwrap();
    fine(dir.path(), "run plate.toml --out a");
    dir
}

fn values(dir: &Path, checkpoint: &str) -> Vec<u8> {
    fine(dir, &format!("checkpoint export {checkpoint} --field temperature --out t.npy"));
    fs::read(dir.join("t.npy")).unwrap()
}

#[test]
fn a_branch_goes_on_as_the_run_would_and_leaves_it_alone() {
    let dir = begun();
    let dir = dir.path();
    let before = files(&dir.join("a"));
    fine(dir, "restart a --branch b --steps 40 --local-ranks 3");
    assert_eq!(files(&dir.join("a")), before, "the parent was only read");
    let record: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("b/run.json")).unwrap()).unwrap();
    let parent: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("a/run.json")).unwrap()).unwrap();
    assert_eq!(record["parent"], format!("{} step 20", parent["run"].as_str().unwrap()));
    assert_ne!(record["run"], parent["run"]);
    fine(dir, "restart a --steps 40");
    fine(dir, "checkpoint diff a b");
    // The branch is a run like others: either mode goes on with it.
    fine(dir, "restart b --steps 50 --local-ranks 2");
    fine(dir, "datacenter run plate.toml --out b --resume --steps 60 --workers 2");
    fine(dir, "restart a --steps 60");
    fine(dir, "checkpoint diff a b");
    let shown =
        Command::new(env!("CARGO_BIN_EXE_ringfort")).args(["checkpoint", "show", "b"]).current_dir(dir).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(shown.contains("started from  step 20 of run "), "{shown}");
}

#[test]
fn a_branch_with_other_physics_is_a_job_that_starts_from_the_checkpoint() {
    let dir = begun();
    let dir = dir.path();
    fine(dir, "restart a --branch b --steps 30 --set fields.diffusivity=0.4");
    let fresh = JOB
        .replace(
            r#"{ formula = "20 + 5*exp(-((x-4)^2 + (y-3)^2) / 4)" }"#,
            r#"{ checkpoint = "a/checkpoints/step-0000000020" }"#,
        )
        .replace("0.9", "0.4");
    fs::write(dir.join("fresh.toml"), fresh).unwrap();
    fine(dir, "run fresh.toml --out c --steps 10 --local-ranks 4");
    fine(dir, "datacenter run fresh.toml --out d --steps 10 --workers 2");
    let ours = values(dir, "b/checkpoints/step-0000000030");
    assert_eq!(values(dir, "c/checkpoints/step-0000000010"), ours);
    assert_eq!(values(dir, "d/checkpoints/step-0000000010"), ours);
    // What was changed holds for every later start.
    fine(dir, "restart b --steps 35");
    fine(dir, "run fresh.toml --out c --resume --steps 15");
    assert_eq!(values(dir, "c"), values(dir, "b"));
    fine(dir, "restart a --steps 30");
    assert_ne!(values(dir, "a"), ours);
}

#[test]
fn a_box_and_another_precision_of_a_checkpoint() {
    let dir = begun();
    let dir = dir.path();
    let part = JOB
        .replace("[11, 14]", "[5, 6]")
        .replace(r#""wall", "periodic""#, r#""wall", "wall""#)
        .replace(
            r#"{ formula = "20 + 5*exp(-((x-4)^2 + (y-3)^2) / 4)" }"#,
            r#"{ checkpoint = "a/checkpoints/step-0000000020", field = "temperature", start = [4, 7] }"#,
        )
        .replace("name = \"heat\"", "name = \"heat\"\nprecision = \"f32\"");
    fs::write(dir.join("part.toml"), part).unwrap();
    // Without diffusion a step changes nothing.
    fine(dir, "run part.toml --out p --steps 1 --set fields.diffusivity=0.0 --local-ranks 2");
    let npy = |path: &str, skip: usize| values(dir, path).split_off(skip);
    let whole = npy("a/checkpoints/step-0000000020", 128);
    let cut = npy("p", 128);
    assert_eq!((whole.len(), cut.len()), (11 * 14 * 8, 5 * 6 * 4));
    for (at, bytes) in cut.chunks_exact(4).enumerate() {
        let (y, x) = (4 + at / 6, 7 + at % 6);
        let there = f64::from_le_bytes(whole[8 * (14 * y + x)..][..8].try_into().unwrap());
        #[allow(clippy::cast_possible_truncation, reason = "single precision is what the job asks for")]
        let expected = there as f32;
        assert_eq!(f32::from_le_bytes(bytes.try_into().unwrap()), expected, "{y} {x}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let dir = begun();
    let dir = dir.path();
    fine(dir, "restart a --branch b --steps 20");
    refused(dir, "restart a --branch b", &["b holds a run already"]);
    refused(dir, "restart nothing --branch c", &["nothing holds no run"]);
    refused(dir, "restart a --branch c --set grid.points=[11,15]", &["a branch keeps the grid"]);
    refused(dir, "restart a --branch c --set kernel.precision=f32", &["a branch keeps the precision"]);
    refused(dir, "restart a --branch c --set time.dt=0.1", &["a branch keeps the time step"]);
    refused(dir, "restart a --set fields.diffusivity=0.4", &["other physics", "--branch NEWDIR"]);
    assert!(!dir.join("c").exists());
    // A branch that lost its checkpoints has no step 0 of its own.
    fs::remove_dir_all(dir.join("b/checkpoints")).unwrap();
    refused(dir, "restart b", &["no valid checkpoint"]);
    refused(dir, "run plate.toml --out b --resume", &["no valid checkpoint"]);
    let job = |source: &str| {
        let text = JOB.replace(r#"{ formula = "20 + 5*exp(-((x-4)^2 + (y-3)^2) / 4)" }"#, source);
        fs::write(dir.join("bad.toml"), text).unwrap();
    };
    for (source, words) in [
        (r#"{ checkpoint = "a" }"#, ["cannot start from", "bad.toml:9:30"]),
        (
            r#"{ checkpoint = "a/checkpoints/step-0000000020", field = "speed" }"#,
            ["no component `speed`", "bad.toml:9:"],
        ),
        (r#"{ checkpoint = "a/checkpoints/step-0000000020", start = [9, 0] }"#, ["does not fit", "bad.toml:9:"]),
        (r#"{ checkpoint = "a/checkpoints/step-0000000020", values = [1.0] }"#, ["belongs to a file", "bad.toml:9:"]),
        (r#"{ checkpoint = "a", file = "b.npy" }"#, ["both a file and a checkpoint", "bad.toml:9:"]),
        (r#"{ formula = "1", field = "temperature" }"#, ["belongs to a checkpoint", "bad.toml:9:"]),
    ] {
        job(source);
        refused(dir, "run bad.toml --out c", &words);
        assert!(!dir.join("c").exists());
    }
    let chunk = folder(&dir.join("a"), 20).join("temperature/c/0/0");
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[40] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    job(r#"{ checkpoint = "a/checkpoints/step-0000000020" }"#);
    let (code, err) = ringfort(dir, "run bad.toml --out c");
    assert!(code == 2 || code == 4, "{code}");
    assert!(err.contains("temperature/c/0/0 is damaged"), "{err}");
}

/// A byte that differs is seen by the rank that reads it, and all ranks go back to the checkpoint before.
#[test]
fn a_value_that_turns_out_damaged_sends_all_ranks_back() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("job.toml"), JOB).unwrap();
    fine(home, "run job.toml --out whole --local-ranks 4 --ranks 2x2");
    let chunks = ["0/0", "0/1", "1/0", "1/1"];
    let branched = |name: &str| fine(home, &format!("restart whole --branch {name} --steps 22"));
    branched("straight");
    for (number, chunk) in chunks.into_iter().enumerate() {
        let damaged = format!("temperature/c/{chunk}");
        let run = format!("run-{number}");
        copy(&home.join("whole"), &home.join(&run));
        let path = folder(&home.join(&run), 20).join(&damaged);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let says = |args: &str| {
            let (code, err) = ringfort(home, args);
            assert_eq!(code, 0, "{args}: {err}");
            let words = ["refused checkpoint of step 20 (checkpoints/step-0000000020)", &damaged, "step 10, written"];
            for words in words {
                assert!(err.contains(words), "{args}: no {words:?} in {err}");
            }
        };
        // A branch first: it leaves the run as it is.
        says(&format!("restart {run} --branch branch-{number} --steps 22 --local-ranks 3"));
        let record = fs::read_to_string(home.join(format!("branch-{number}/run.json"))).unwrap();
        assert!(record.contains(" step 10\""), "{record}");
        says(&format!("restart {run} --steps 22 --local-ranks {}", number + 1));
        for end in [&run, &format!("branch-{number}")] {
            fine(
                home,
                &format!("checkpoint diff straight/checkpoints/step-0000000022 {end}/checkpoints/step-0000000022"),
            );
        }
        // All are damaged: nothing to go on from.
        let all: Vec<PathBuf> = fs::read_dir(home.join(&run).join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_str().unwrap().contains("refused"))
            .collect();
        assert!(all.len() >= 2, "{all:?}");
        for checkpoint in &all {
            let path = checkpoint.join("temperature/c/0/0");
            let length = fs::metadata(&path).unwrap().len();
            fs::write(&path, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
        let (code, err) = ringfort(home, &format!("restart {run} --local-ranks 2"));
        // Without what an indented report adds to its words.
        let err = err.split_whitespace().filter(|word| *word != "\u{2502}").collect::<Vec<_>>().join(" ");
        assert_eq!(code, 4, "{err}");
        assert_eq!(err.matches("refused checkpoint of step").count(), all.len(), "{err}");
        assert!(err.contains("holds no valid checkpoint"), "{err}");
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
}
