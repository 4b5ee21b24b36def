//! What `ringfort new` writes works as it is, and a kernel of one's own has all that a kernel of Ringfort's has.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Ends well, or the test does not.
fn ended_well(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        words(&output.stdout),
        words(&output.stderr)
    );
    output
}

/// `ringfort ARGS` in `folder`.
fn ringfort(folder: &Path, args: &[&str]) -> Output {
    ended_well(Command::new(env!("CARGO_BIN_EXE_ringfort")).args(args).current_dir(folder))
}

/// The example program `name`, which a whole `cargo test` builds beside this one.
fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_ringfort")).with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is missing; run: cargo build --example {name}", path.display());
    path
}

/// Rust as it would be with other line breaks.
fn words(rust: &str) -> String {
    rust.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_new_job_of_every_kernel_passes_its_own_test() {
    let folder = tempfile::tempdir().unwrap();
    let kernels = ringfort(folder.path(), &["kernels"]).stdout;
    for line in String::from_utf8(kernels).unwrap().lines() {
        let kernel = line.split_whitespace().next().unwrap();
        ringfort(folder.path(), &["new", "job", kernel, "--kernel", kernel]);
        let test = Path::new(kernel).join("test.sh");
        let bash = &mut Command::new("bash");
        ended_well(bash.arg(test).current_dir(folder.path()).env("RINGFORT", env!("CARGO_BIN_EXE_ringfort")));
    }
}

#[test]
fn a_new_kernel_is_a_crate_on_the_sources_of_this_program() {
    let folder = tempfile::tempdir().unwrap();
    ringfort(folder.path(), &["new", "kernel", "my/two-fluids"]);
    let crate_folder = folder.path().join("my/two-fluids");
    let text = fs::read_to_string(crate_folder.join("src/main.rs")).unwrap();
    let template = include_str!("../src/cli/new/kernel.rs");
    assert_eq!(text.replace("TwoFluids", "NewKernel").replace("two-fluids", "new-kernel"), template);
    for file in ["Cargo.toml", "job.toml", "tests/same_bits.rs"] {
        let text = fs::read_to_string(crate_folder.join(file)).unwrap();
        assert!(text.contains("two-fluids") && !text.contains("new-kernel") && !text.contains("RINGFORT"), "{text}");
    }
    // Whole with the very versions that this program has, without a network: what other systems need may not be here.
    let host = String::from_utf8(ended_well(Command::new("rustc").arg("-vV")).stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1", "--filter-platform", host])
        .current_dir(&crate_folder)
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ringfort = packages.iter().find(|package| package["name"] == "ringfort").unwrap();
    assert_eq!(
        Path::new(ringfort["manifest_path"].as_str().unwrap()),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
    );
}

#[test]
fn what_a_new_kernel_begins_with_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("new-kernel");
    fs::write(folder.path().join("job.toml"), include_str!("../src/cli/new/job.toml")).unwrap();
    let run = |args: &[&str]| ended_well(Command::new(&program).args(args).current_dir(folder.path()));
    run(&["run", "job.toml", "--out", "alone"]);
    run(&["run", "job.toml", "--out", "cut", "--local-ranks", "4", "--steps-per-exchange", "3"]);
    run(&["checkpoint", "diff", "alone", "cut"]);
    let shown = String::from_utf8(run(&["kernels", "new-kernel"]).stdout).unwrap();
    assert!(shown.contains("du/dt = a lap u") && !shown.contains("source"), "{shown}");
    // It is measured as others are: its operations are counted.
    let words =
        ["bench", "new-kernel", "--points", "32,32", "--set", "kernel.a=0.1", "--set", "fields.u=1.0", "--json"];
    let measured: serde_json::Value =
        serde_json::from_slice(&run(&[&words[..], &["--repeats", "1"]].concat()).stdout).unwrap();
    assert_eq!(measured["operations_per_update"]["simple"], 8, "{measured}");
    // The kernels that come with Ringfort are there as well.
    assert!(String::from_utf8(run(&["kernels"]).stdout).unwrap().contains("shallow-water"));
}

#[test]
fn the_kernel_of_the_documentation_is_short_and_is_the_example() {
    let example = include_str!("../examples/burgers.rs");
    let page = include_str!("../docs/first-kernel.md");
    let (_, block) = page.split_once("```rust\n").unwrap();
    assert_eq!(words(block.split_once("```").unwrap().0), words(example));
    let lines = example.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//!")).count();
    assert!(lines <= 40, "{lines} lines");
}

/// `steps` steps of Burgers' equation on `rows` times `columns` points that repeat, one point at a time.
fn burgers(u: &mut [f64], [rows, columns]: [usize; 2], (dt, h, nu, steps): (f64, [f64; 2], f64, usize)) {
    let flux = |low: f64, high: f64, spreading: f64| {
        let (up, down) = (if low > 0.0 { low } else { 0.0 }, if high < 0.0 { high } else { 0.0 });
        0.5 * (up * up + down * down) - spreading * (high - low)
    };
    for _ in 0..steps {
        let before = u.to_vec();
        let at = |y: usize, x: usize| before[y % rows * columns + x % columns];
        for y in 0..rows {
            for x in 0..columns {
                let here = at(y, x);
                let around = [[at(y + rows - 1, x), at(y + 1, x)], [at(y, x + columns - 1), at(y, x + 1)]];
                u[y * columns + x] = around.iter().zip(h).fold(here, |next, ([low, high], h)| {
                    next + dt / h * (flux(*low, here, nu / h) - flux(here, *high, nu / h))
                });
            }
        }
    }
}

#[test]
fn a_kernel_of_ones_own_has_both_modes_restarts_and_the_bits_of_a_plain_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = example("burgers");
    let job = r#"
        grid = { points = [21, 37], spacing = [0.5, 0.25], boundary = ["periodic", "periodic"] }
        kernel = { name = "burgers", viscosity = 0.05 }
        fields.u = { formula = "sin(0.7*x) + 0.5*cos(1.1*y)" }
        time = { steps = 60, dt = 0.03125 }
        checkpoint.every = "20 steps"
        reduce = [{ name = "all", map = "u", with = "sum", every = "20 steps" }]
    "#;
    fs::write(folder.path().join("job.toml"), job).unwrap();
    let run = |args: &[&str]| ended_well(Command::new(&program).args(args).current_dir(folder.path()));
    run(&["run", "job.toml", "--out", "alone"]);
    run(&["run", "job.toml", "--out", "cut", "--local-ranks", "4", "--steps", "40"]);
    run(&["restart", "cut", "--local-ranks", "3", "--steps", "60", "--steps-per-exchange", "2"]);
    run(&["checkpoint", "diff", "alone", "cut"]);
    if cfg!(feature = "datacenter") {
        run(&["datacenter", "run", "job.toml", "--workers", "2", "--out", "workers"]);
        run(&["checkpoint", "diff", "alone", "workers"]);
        let simd = |dir: &str| {
            let record = fs::read(folder.path().join(dir).join("run.json")).unwrap();
            serde_json::from_slice::<serde_json::Value>(&record).unwrap()["cpu"]["simd"].clone()
        };
        assert_eq!(simd("alone"), simd("workers"));
    }
    let values = |dir: &str| {
        run(&["checkpoint", "export", dir, "--field", "u", "--out", "u.npy"]);
        let bytes = fs::read(folder.path().join("u.npy")).unwrap();
        let values = &bytes[bytes.len() - 21 * 37 * 8..];
        values.chunks_exact(8).map(|some| f64::from_le_bytes(some.try_into().unwrap())).collect::<Vec<_>>()
    };
    let end = values("alone");
    run(&["run", "job.toml", "--out", "start", "--steps", "20"]);
    let mut plain = values("start");
    burgers(&mut plain, [21, 37], (0.03125, [0.5, 0.25], 0.05, 40));
    assert!(plain.iter().map(|u| u.to_bits()).eq(end.iter().map(|u| u.to_bits())), "not the bits of a plain program");
    // It conserves: what flows out of a point flows into the next.
    let sums = fs::read_to_string(folder.path().join("alone/sums.csv")).unwrap();
    let sums: Vec<f64> = sums.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(sums.len(), 4);
    assert!(sums.iter().all(|sum| (sum - sums[0]).abs() < 1e-10), "{sums:?}");
}
