//! What `check` says of memory is what a run takes at its peak.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::cast_precision_loss, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Share of the peak by which the prediction may be off.
const OFF: f64 = 0.05;

/// Jobs whose fields are large beside the program.
const JOBS: [(&str, &str); 4] = [
    (
        "heat",
        "grid.points = [120, 256, 256]\nkernel.name = \"heat\"\nfields = { temperature = 1.0, diffusivity = 1.0 }\n\
         time = { steps = 16, dt = 0.1 }\n",
    ),
    (
        "copy",
        "grid.points = [100, 250, 250]\nkernel.name = \"heat\"\nfields = { temperature = 1.0, diffusivity = 1.0 }\n\
         time = { steps = 16, dt = 0.1 }\ncheckpoint.every = \"8 steps\"\n",
    ),
    (
        "wave",
        "grid = { points = [160, 256, 256], boundary = [\"wall\", \"wall\", \"wall\"] }\n\
         kernel = { name = \"wave\", order = 4, precision = \"f32\" }\nfields = { pressure = 1.0, speed = 0.3 }\n\
         time = { steps = 16, dt = 1.0 }\n",
    ),
    (
        "water",
        "grid = { points = [1100, 1500], boundary = [\"wall\", \"periodic\"] }\nkernel.name = \"shallow-water\"\n\
         fields = { depth = 1.0, bed = { formula = \"-1 + 0*x\" } }\ntime = { steps = 8, dt = 0.01 }\n",
    ),
];

/// Most bytes that a run with `args` in `folder` held at a time.
fn peak(folder: &Path, args: &[&str]) -> f64 {
    let mut run = Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .args([&["run", "--fresh"], args].concat())
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", run.id());
    let mut most = 0.0;
    loop {
        // The system's own count of the most that there was so far: looking now and then misses nothing but the end.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()) {
            most = kib * 1024.0;
        }
        if let Some(status) = run.try_wait().unwrap() {
            assert!(status.success(), "{args:?}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn check_predicts_the_peak() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let tiny = "grid.points = [99]\nkernel.name = \"heat\"\nfields = { temperature = 1.0, diffusivity = 1.0 }\n\
                time = { steps = 60000, dt = 0.1 }\n";
    fs::write(at.join("tiny.toml"), tiny).unwrap();
    let program = peak(at, &["tiny.toml", "--out", "tiny"]);
    let mut wrong = Vec::new();
    for (name, text) in JOBS {
        let job = format!("{name}.toml");
        fs::write(at.join(&job), text).unwrap();
        for ranks in ["1", "2"] {
            for steps in ["1", "8"] {
                let args = [job.as_str(), "--local-ranks", ranks, "--steps-per-exchange", steps, "--threads", "2"];
                let check = Command::new(env!("CARGO_BIN_EXE_ringfort"))
                    .args([&["check", "--json"], &args[..]].concat())
                    .current_dir(at)
                    .output()
                    .unwrap();
                let plan: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
                assert_eq!(plan["steps_per_exchange"].to_string(), steps, "the halo fits");
                let predicted = plan["memory"].as_f64().unwrap() + program;
                let found = peak(at, &[&args[..], &["--out", "out"]].concat());
                let line = format!(
                    "{name}, {ranks} ranks, T = {steps}: predicted {:.1} MiB with the program's {:.1} MiB, peak {:.1} MiB",
                    predicted / 1_048_576.0,
                    program / 1_048_576.0,
                    found / 1_048_576.0
                );
                println!("{line}");
                if (predicted - found).abs() > OFF * found {
                    wrong.push(line);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
