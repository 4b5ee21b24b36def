//! `ringfort datacenter query`: the state as of any step has the bits of a run that ends there, while a run goes on and after
//! it; what is too old or too far is refused with the limits.

#![cfg(all(feature = "datacenter", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ringfort::clock;

/// Ends in the middle of a way between two checkpoints.
const STEPS: u64 = 90;
const EVERY: u64 = 20;

fn job(dir: &Path, points: [usize; 2], precision: &str) {
    let path = dir.join("job.toml");
    let text = format!(
        "[grid]\npoints = {points:?}\nboundary = [\"wall\", \"periodic\"]\n[kernel]\nname = \"shallow-water\"\nprecision = \
         \"{precision}\"\n[fields]\ndepth = {{ formula = \"1 + 0.1*exp(-((x-20)^2 + (y-30)^2)/40)\" }}\nbed = {{ formula = \
         \"-1 + 0.2*sin(0.2*x)\" }}\n[time]\nsteps = {STEPS}\ndt = 0.05\n[checkpoint]\nevery = \"{EVERY} steps\"\nkeep = 2\n\
         [datacenter]\nblocks = [3, 2]\nsteps_per_round = 4\nlease = \"1 s\"\n[[reduce]]\nname = \"volume\"\nmap = \"depth\"\n\
         with = \"sum\"\nevery = \"1 steps\"\n"
    );
    fs::write(path, text).unwrap();
}

fn program() -> Command {
    let program = std::env::var_os("RINGFORT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from);
    let mut command = Command::new(program);
    command.env_remove("RINGFORT_FAULT").stdin(Stdio::null());
    command
}

/// Runs `ringfort` in `dir`.
fn ringfort(dir: &Path, words: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program().current_dir(dir).args(words.split_whitespace()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The same, which ends well; what it prints.
fn done(dir: &Path, words: &str) -> String {
    let (code, out, err) = ringfort(dir, words);
    assert_eq!(code, 0, "{words}\n{out}{err}");
    out
}

/// Bytes of field `field` of an undisturbed run on a torus that ends with step `step`.
fn reference(dir: &Path, step: u64, field: &str) -> Vec<u8> {
    let out = format!("torus-{step}");
    if !dir.join(&out).exists() {
        done(dir, &format!("run job.toml --steps {step} --threads 1 --out {out}"));
    }
    done(dir, &format!("checkpoint export {out} --field {field} --out {field}.npy"));
    fs::read(dir.join(format!("{field}.npy"))).unwrap()
}

fn query(dir: &Path, step: u64, words: &str) -> Vec<u8> {
    done(dir, &format!("datacenter query run --at-step {step} {words} --out asked.npy"));
    fs::read(dir.join("asked.npy")).unwrap()
}

/// Values of a `.npy` file, as bytes.
fn values(file: &[u8]) -> &[u8] {
    &file[10 + usize::from(u16::from_le_bytes([file[8], file[9]]))..]
}

#[test]
fn any_step_that_is_kept_has_the_bits_of_a_run_that_ends_there() {
    for precision in ["f64", "f32"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        job(dir, [61, 47], precision);
        done(dir, "datacenter run job.toml --workers 2 --threads 1 --out run");
        // Kept at the end: steps 80 and 90; and what lies within one generation after the start can be computed anyway.
        for step in [1, 7, 20, 80, 81, 87, 90] {
            for field in ["depth", "surface", "bed"] {
                let found = query(dir, step, &format!("--field {field}"));
                assert!(found == reference(dir, step, field), "{precision} {field} of step {step}");
            }
        }
        // A box: rows of the whole field.
        let (part, whole) = (query(dir, 85, "--field depth --box 17:40,5:46 --threads 3"), reference(dir, 85, "depth"));
        let bytes = if precision == "f64" { 8 } else { 4 };
        let row = |y: usize| &values(&whole)[(y * 47 + 5) * bytes..(y * 47 + 46) * bytes];
        assert_eq!(values(&part), (17..40).flat_map(row).copied().collect::<Vec<u8>>());
        // The job's sums.
        let sums = fs::read_to_string(dir.join("run/sums.csv")).unwrap();
        for step in [3, 84] {
            let found = done(dir, &format!("datacenter query run --at-step {step} --reduce volume"));
            let lines: Vec<&str> = found.lines().collect();
            assert_eq!(lines[0], sums.lines().next().unwrap());
            assert!(sums.lines().any(|line| line == lines[1]) && lines[1].starts_with(&format!("{step},volume,")));
        }
    }
}

#[test]
fn what_cannot_be_answered_is_told_with_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    job(dir, [61, 47], "f64");
    let refused = |words: &str, parts: &[&str]| {
        let (code, _, err) = ringfort(dir, &format!("datacenter query run {words}"));
        assert_eq!(code, 2, "{words}\n{err}");
        parts.iter().for_each(|part| assert!(err.contains(part), "{words}\n{err}"));
        assert!(!dir.join("a.npy").exists() && !dir.join("a.npy.part").exists(), "{words}");
    };
    let field = "--field depth --out a.npy";
    refused(&format!("--at-step 5 {field}"), &["holds no run"]);
    done(dir, "datacenter run job.toml --workers 1 --out run");
    refused(&format!("--at-step 21 {field}"), &["step 21 is no longer kept", "up to 20", "from 80 on"]);
    refused(&format!("--at-step 79 {field}"), &["step 79 is no longer kept"]);
    refused(&format!("--at-step 91 {field}"), &["step 91 lies beyond", "ends with step 90"]);
    refused("--at-step 90 --field dept --out a.npy", &["depth"]);
    refused("--at-step 90 --reduce mass", &["volume"]);
    refused("--at-step 90 --field depth --out a.vti", &[".npy"]);
    for bad in ["0:61", "0:61,0:48", "5:5,0:47", "x:3,0:47", "0:61,0:47,0:1"] {
        refused(&format!("--at-step 90 {field} --box {bad}"), &["no box of the grid", "0:61,0:47"]);
    }
    // A generation that is damaged: the one before it leads there as well.
    let chunk = dir.join("run/checkpoints/step-0000000090/depth/c/0/0");
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[9] ^= 1;
    fs::write(&chunk, bytes).unwrap();
    assert!(query(dir, 90, "--field depth") == reference(dir, 90, "depth"), "from step 80");
    fs::remove_dir_all(dir.join("run/checkpoints/step-0000000080")).unwrap();
    let (code, _, err) = ringfort(dir, &format!("datacenter query run --at-step 90 {field}"));
    assert!(code == 4 && err.contains("depth/c/0/0"), "{code} {err}");
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn a_run_that_goes_on_answers_for_steps_past_and_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    job(dir, [307, 241], "f64");
    // So long that it goes on through all of this.
    let run = "datacenter run job.toml --workers 2 --threads 1 --out run --steps 2000000";
    let log = fs::File::create(dir.join("log")).unwrap();
    let child = program().current_dir(dir).args(run.split_whitespace()).stderr(log).spawn().unwrap();
    let running = Running(child);
    let until = clock::now() + Duration::from_secs(60);
    let newest = || {
        let (code, out, _) = ringfort(dir, "datacenter status run --json");
        let status: Option<serde_json::Value> = (code == 0).then(|| serde_json::from_str(&out).unwrap());
        status.map_or(0, |status| status["newest"].as_u64().unwrap())
    };
    while newest() < 3 * EVERY {
        assert!(clock::now() < until, "no progress: {}", fs::read_to_string(dir.join("log")).unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (from, since) = (newest(), clock::now());
    std::thread::sleep(Duration::from_secs(1));
    let mut passed = newest() - from;
    passed = passed * 1000 / u64::try_from(since.elapsed().as_millis()).unwrap();
    // Some seconds ahead of the run.
    let mut answered = 0;
    for ahead in [2 * passed + 1, 3 * passed] {
        let step = newest() + ahead;
        let (code, _, err) =
            ringfort(dir, &format!("datacenter query run --at-step {step} --field surface --out asked.npy"));
        // On a machine that stood still for a while the run may have passed it and let go of it.
        if code == 2 && err.contains("no longer kept") {
            continue;
        }
        assert_eq!(code, 0, "{err}");
        assert!(fs::read(dir.join("asked.npy")).unwrap() == reference(dir, step, "surface"), "step {step}");
        answered += 1;
    }
    assert!(answered > 0, "every step was let go of before it was read");
    drop(running);
    // Workers leave when their supervisor is gone.
    while !ringfort(dir, "datacenter status run --json").1.contains("\"workers\": []") {
        assert!(clock::now() < until, "workers stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, _, err) = ringfort(dir, "datacenter query run --at-step 1999999 --field surface --out asked.npy");
    assert!(code == 2 && err.contains("lies ahead") && err.contains("nobody works on this run"), "{code} {err}");
}
