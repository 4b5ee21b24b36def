//! The tools `ringfort checkpoint ...`: what they print, and their exit codes.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;

use std::path::Path;
use std::process::Command;

use checkpoint_common::{OTHER, Quick, meta, values, write};
use ringfort::checkpoint::{Meta, Precision, begin, commit, folder, write_part};
use ringfort::decomp::Cuts;

/// Exit code, standard output and standard error of `ringfort checkpoint ARGS`.
fn tool(args: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringfort")).arg("checkpoint").args(args).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (run.status.code().unwrap(), out, err)
}

fn json(args: &[&str]) -> (i32, serde_json::Value) {
    let (code, out, err) = tool(&[args, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}

fn state(step: u64) -> Meta {
    meta(2, [1, 1, 5, 6], [1, 1, 2, 3], step)
}

/// Writes `state` with the values of step 1, `change` applied to those of component 1 that lie in part 0.
fn write_changed(dir: &Path, state: &Meta, change: impl Fn(&mut Vec<f64>)) {
    let pending = begin(&Quick, dir, state).unwrap();
    let mut records = Vec::new();
    for part in 0..state.cuts.count() {
        for component in 0..2 {
            let mut all = values(&Meta { step: 1, ..state.clone() }, component, &state.cuts.block(part));
            if (part, component) == (0, 1) {
                change(&mut all);
            }
            records.push(write_part(&Quick, &pending.folder, state, part, component, &all).unwrap());
        }
    }
    commit(&Quick, &pending, state, records).unwrap();
}

#[test]
fn list_show_and_verify_tell_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    for step in [100, 200, 300, 400] {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
    }
    let newest = folder(dir.path(), 200);
    let newest = newest.to_str().unwrap();
    assert_eq!(tool(&["verify", home]).0, 0);
    std::fs::remove_file(folder(dir.path(), 400).join("MANIFEST")).unwrap();
    let chunk = folder(dir.path(), 300).join("height/c/1/2");
    let mut bytes = std::fs::read(&chunk).unwrap();
    bytes[7] ^= 4;
    std::fs::write(&chunk, bytes).unwrap();

    let (code, found) = json(&["list", home]);
    assert_eq!(code, 0);
    let states: Vec<_> = found["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["step"].as_u64(), one["state"].as_str()))
        .collect();
    let expected = [(400, "partial"), (300, "damaged"), (200, "whole"), (100, "whole")];
    assert_eq!(states, expected.map(|(step, state)| (Some(step), Some(state))));
    assert_eq!(found["checkpoints"][2]["run"], "07".repeat(16));
    assert_eq!(found["checkpoints"][2]["time"], 20.0);
    let (_, out, _) = tool(&["list", home]);
    assert!(out.starts_with("step"), "{out}");
    assert!(out.contains("damaged: checkpoints/step-0000000300/height/c/1/2 is damaged"), "{out}");
    assert!(tool(&["list", home, "--quick"]).1.contains("step-0000000300"));

    let (code, out, _) = tool(&["verify", home]);
    assert_eq!(code, 4);
    assert!(out.contains("checkpoints/step-0000000400: partial, not verified"), "{out}");
    assert!(out.contains("checkpoints/step-0000000300/height/c/1/2 is damaged: its checksum"), "{out}");
    assert_eq!(tool(&["verify", newest]).0, 0);
    let (code, found) = json(&["verify", folder(dir.path(), 400).to_str().unwrap()]);
    assert_eq!((code, found["checkpoints"][0]["state"].as_str()), (4, Some("partial")));
    assert_eq!(tool(&["show", folder(dir.path(), 400).to_str().unwrap()]).0, 4);

    let (code, out, _) = tool(&["show", newest]);
    assert_eq!(code, 0);
    assert!(out.contains("grid          5 x 6 points along y, x"), "{out}");
    let (_, found) = json(&["show", home]);
    assert_eq!(found["step"], 200);
    assert_eq!(found["cuts"], serde_json::json!([2, 3]));
    assert_eq!(found["components"][1]["name"], "speed");
}

#[test]
fn diff_compares_bits_whatever_the_cuts() {
    let [a, b, c] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let [a, b, c] = [&a, &b, &c].map(|dir| dir.path().to_path_buf());
    let [home_a, home_b, home_c] = [&a, &b, &c].map(|dir| dir.to_str().unwrap().to_owned());
    let first = state(1);
    write_changed(&a, &first, |_| {});
    let cuts = Cuts::new(first.grid.points, [1, 1, 3, 1]).unwrap();
    write_changed(&b, &Meta { cuts, run: OTHER, step: 2, ..first.clone() }, |_| {});
    let (code, out, err) = tool(&["diff", &home_a, &home_b]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("same bits: height, speed on 5 x 6 points\n"), "{out}");

    write_changed(&c, &first, |values| {
        values[1] += 3.0;
        values[2] += 4.0;
        values[3] = f64::NAN;
    });
    let (code, found) = json(&["diff", &home_b, folder(&c, 1).to_str().unwrap()]);
    assert_eq!(code, 1);
    assert_eq!(found["same_bits"], false);
    let field = &found["fields"][1];
    assert_eq!((field["differing"].as_u64(), field["not_finite"].as_u64()), (Some(3), Some(1)));
    assert_eq!(field["max_abs"], 4.0);
    assert_eq!(field["rms"].as_f64(), Some((25.0_f64 / 30.0).sqrt()));
    assert_eq!(field["first"], serde_json::json!([0, 1]));
    assert_eq!(found["fields"][0]["differing"], 0);
    let (code, out, _) = tool(&["diff", &home_a, &home_c]);
    assert_eq!(code, 1);
    assert!(out.contains("max abs") && out.contains("speed") && out.contains("[0, 1]"), "{out}");

    let other = meta(2, [1, 1, 6, 5], [1; 4], 7);
    write::<f64>(&Quick, &c, &other).unwrap();
    let (code, out, _) = tool(&["diff", &home_a, &home_c]);
    assert_eq!(code, 1);
    assert!(out.contains("different: grids have [5, 6] and [6, 5] points"), "{out}");
    write::<f32>(&Quick, &c, &Meta { precision: Precision::Float32, ..state(9) }).unwrap();
    let (code, out, _) = tool(&["diff", &home_a, &home_c]);
    assert_eq!(code, 1);
    assert!(out.contains("different: values are float64 and float32"), "{out}");
    std::fs::write(folder(&a, 1).join("x/c/0"), b"").unwrap();
    assert_eq!(tool(&["diff", folder(&a, 1).to_str().unwrap(), &home_c]).0, 4);
    assert_eq!(tool(&["diff", &home_a, &home_c]).0, 4);
}

#[test]
fn prune_keeps_two_and_usage_errors_are_two() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    for step in 1..=5 {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
    }
    assert_eq!(tool(&["prune", home, "--keep", "0"]).0, 2);
    assert_eq!(tool(&["prune", home]).1, "removed step 2\nremoved step 1\n");
    let (code, out, err) = tool(&["prune", home, "--keep", "1"]);
    assert_eq!((code, out.as_str()), (0, "removed step 3\n"));
    assert!(err.contains("raised to 2"), "{err}");
    assert_eq!(tool(&["prune", home]).1, "nothing to remove\n");
    for step in 6..=9 {
        write::<f64>(&Quick, dir.path(), &state(step)).unwrap();
    }
    let (code, out, _) = tool(&["prune", home, "--keep", "2", "--keep-every", "5"]);
    assert_eq!((code, out.as_str()), (0, "removed step 7\nremoved step 6\nremoved step 4\n"));
    for args in [
        &["list", "/nonexistent"][..],
        &["show", "/tmp"],
        &["verify", "/etc/passwd"],
        &["list"],
        &["now", home],
        &["export", home],
        &["export", home, "--field", "speed", "--out", "speed.csv"],
        &["export", home, "--field", "sped", "--out", "sped.npy"],
    ] {
        let (code, _, err) = tool(args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(!err.is_empty());
    }
}
