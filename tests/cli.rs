//! What `check`, `render` and the help say.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Exit code, standard output and standard error of `ringfort ARGS` in `folder`.
fn ringfort(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_ringfort")).args(args).current_dir(folder).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (run.status.code().unwrap(), out, err)
}

const JOB: &str = r#"name = "box"
[grid]
points = [8, 10, 12]
spacing = [0.1, 0.1, 0.2]
origin = [-0.4, 0.0, 0.0]
boundary = ["wall", "periodic", ["fixed", "open"]]
[kernel]
name = "heat"
[fields]
temperature = { formula = "20 + 3*x + exp(-y^2)" }
diffusivity = { file = "a.npy", values = [1e-5, 2e-5] }
[time]
steps = 250
courant = 0.5
[checkpoint]
every = "100 steps"
async = false
keep = 1
[[image]]
field = "temperature"
every = "50 steps"
plane = "y=0.3"
colors = "inferno"
range = [20, 27]
[[reduce]]
name = "flow"
map = "diffusivity * temperature"
with = "mean"
every = "100 steps"
"#;

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.toml"), JOB).unwrap();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 10, 12), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend((0..960_u16).map(|at| u8::from(at == 500)));
    fs::write(folder.path().join("a.npy"), bytes).unwrap();
    folder
}

#[test]
fn check_prints_the_plan() {
    let folder = prepared();
    let args = ["check", "job.toml", "--ranks", "2x2x1", "--steps-per-exchange", "7"];
    let (code, out, err) = ringfort(folder.path(), &args);
    assert_eq!((code, err.as_str()), (0, ""));
    let memory = |line: &str| line.starts_with("memory").then(|| line.split(" (this").next().unwrap().to_owned());
    let lines: Vec<String> = out.lines().map(|line| memory(line).unwrap_or(line.to_owned())).collect();
    let text = lines.join("\n") + "\n";
    assert_eq!(text, include_str!("golden/check.txt"), "\n{text}");
    assert!(lines.len() <= 30 && lines.iter().all(|line| line.chars().count() <= 100));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written");
}

#[test]
fn check_gives_what_a_run_finds() {
    let folder = prepared();
    let at = folder.path();
    let (code, out, _) = ringfort(at, &["check", "job.toml", "--json", "--local-ranks", "4"]);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(ringfort(at, &["run", "job.toml", "--local-ranks", "4"]).0, 0);
    let (_, shown, _) = ringfort(at, &["checkpoint", "show", "out/box", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&plan["dt"], &plan["steps"]), (&shown["dt"], &shown["step"]));
    assert_eq!((&plan["cuts"], &plan["checkpoint_bytes"]), (&shown["cuts"], &shown["bytes"]));
    assert_eq!(plan["seconds"], shown["time"]);
    assert_eq!(plan["checkpoint_files"].as_u64(), shown["files"].as_u64().map(|files| files + 2));
    assert_eq!((&plan["checkpoints"], &plan["checkpoints_kept"]), (&3.into(), &2.into()));
    assert_eq!(plan["images"][0]["count"], fs::read_dir(at.join("out/box/images")).unwrap().count());
    let record: serde_json::Value = serde_json::from_slice(&fs::read(at.join("out/box/run.json")).unwrap()).unwrap();
    assert_eq!(plan["inputs"][0]["blake3"], record["inputs"][0]["blake3"]);
    assert!(plan["memory_available"].as_u64() > plan["memory"].as_u64());
}

/// A grid that is looked at in many boxes: the largest rate is in the last cell, the least value in the first.
#[test]
fn check_looks_at_every_value() {
    let folder = prepared();
    let text = "[grid]\npoints = [1200, 1100]\n[kernel]\nname = \"heat\"\n[fields]\ntemperature = 1.0\n\
                diffusivity = { formula = \"y + x\" }\n[time]\nsteps = 1\ncourant = 0.5\n";
    fs::write(folder.path().join("wide.toml"), text).unwrap();
    let check = |args: &[&str]| ringfort(folder.path(), &[&["check", "wide.toml", "--json"], args].concat());
    let (code, out, _) = check(&[]);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &plan["dt"]), (0, &(0.5 / (4.0 * 2298.0)).into()));
    for (formula, cell) in [("y + x - 1", "[0, 0]"), ("2297 - y - x", "[1199, 1099]")] {
        let (code, _, err) = check(&["--set", &format!("fields.diffusivity.formula={formula}")]);
        assert!(code == 2 && err.contains(&format!("gives -1 at cell {cell}")), "{err}");
    }
}

/// Width and height of the PNG at `path`.
fn dimensions(path: &Path) -> (u32, u32) {
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap()));
    let reader = decoder.read_info().unwrap();
    (reader.info().width, reader.info().height)
}

#[test]
fn render_draws_runs_and_checkpoints() {
    let folder = prepared();
    let at = folder.path();
    assert_eq!(ringfort(at, &["run", "job.toml", "--local-ranks", "4", "--ranks", "2x2x1"]).0, 0);
    let own = at.join("out/box/images/temperature-y3-step-0000000250.png");
    let before = fs::read(&own).unwrap();
    fs::remove_dir_all(at.join("out/box/images")).unwrap();
    fs::remove_file(at.join("a.npy")).unwrap();
    let (code, out, err) = ringfort(at, &["render", "out/box"]);
    assert_eq!((code, out.trim()), (0, "out/box/images/temperature-y3-step-0000000250.png"), "{err}");
    assert_eq!(fs::read(&own).unwrap(), before, "the picture is the run's own, from the checkpoint alone");

    let step = "out/box/checkpoints/step-0000000200";
    let (code, out, _) = ringfort(at, &["render", step, "--plane", "z=-0.2"]);
    assert_eq!((code, out.trim()), (0, "temperature-z2-step-0000000200.png"));
    let (width, height) = dimensions(&at.join(out.trim()));
    assert!((400..2000).contains(&width) && (300..1500).contains(&height), "{width} x {height}");
    let asked = ["render", step, "--colors", "magma", "--range", "-1,30", "--out", "b.png"];
    assert_eq!(ringfort(at, &asked).1, "b.png\n");
    assert_ne!(fs::read(at.join("b.png")).unwrap(), fs::read(at.join(out.trim())).unwrap());
}

#[test]
fn render_refuses_with_reasons() {
    let folder = prepared();
    let at = folder.path();
    assert_eq!(ringfort(at, &["run", "job.toml", "--set", "kernel.precision=f32"]).0, 0);
    let refused = |args: &[&str], code: i32, words: &str| {
        let (found, _, err) = ringfort(at, &[&["render", "out/box"], args].concat());
        let err: Vec<&str> = err.split_whitespace().filter(|word| *word != "│" && *word != "×").collect();
        assert!(found == code && err.join(" ").contains(words), "{args:?}: exit {found}, {err:?}");
    };
    refused(&["--field", "temprature"], 2, "unknown field `temprature`; did you mean `temperature`?");
    refused(&["--field", "diffusivity"], 2, "checkpoints do not hold `diffusivity`");
    refused(&["--plane", "y=7"], 2, "y = 7 lies outside the grid, which spans 0 to 0.9");
    refused(&["--plane", "q=7"], 2, "`q=7` is no plane; write an axis (z, y, x)");
    refused(&["--plane", "y=0,x=1"], 2, "has 2 cuts; a grid of 3 axes needs 1");
    refused(&["--colors", "virids"], 2, "unknown colour map `virids`; did you mean `viridis`?");
    refused(&["--range", "3,1"], 2, "the lower one first");
    refused(&["--out", "none/\0"].map(|text| text.trim_end_matches('\0')), 2, "cannot write");

    let newest = at.join("out/box/checkpoints/step-0000000250/temperature/c/0/0/0");
    let mut bytes = fs::read(&newest).unwrap();
    bytes[20] ^= 1;
    fs::write(&newest, &bytes).unwrap();
    let (code, out, err) = ringfort(at, &["render", "out/box"]);
    assert_eq!((code, out.trim()), (0, "out/box/images/temperature-y3-step-0000000200.png"));
    assert!(err.contains("passed over checkpoints/step-0000000250"), "{err}");
    fs::write(at.join("out/box/checkpoints/step-0000000200/temperature/c/0/0/0"), [0; 9]).unwrap();
    fs::remove_dir_all(at.join("out/box/images")).unwrap();
    refused(&[], 4, "holds no whole checkpoint");
    assert!(!at.join("out/box/images").exists());
    let (code, _, err) = ringfort(at, &["render", "out/box/checkpoints/step-0000000250"]);
    assert!(code == 4 && err.contains("is damaged"), "exit {code}: {err}");
}

#[test]
fn help_is_short_and_gives_examples() {
    let here = Path::new(".");
    let (code, out, _) = ringfort(here, &["--help"]);
    assert!(code == 0 && out.contains("85  stopped early") && out.lines().count() < 40, "{out}");
    for command in ["run", "restart", "datacenter", "check", "checkpoint", "render", "kernels", "bench", "schema"] {
        assert!(out.contains(&format!("\n  {command} ")), "{out}");
        let (code, help, _) = ringfort(here, &[command, "--help"]);
        assert!(code == 0 && help.contains("Examples:\n  ringfort "), "{help}");
        assert!(help.lines().count() < 40 && !help.contains("Help line"), "{help}");
    }
    assert_eq!(ringfort(here, &[]).0, 2);
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out, _) = ringfort(folder.path(), &["doctor", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    let findings = said["findings"].as_array().unwrap();
    assert!(findings.len() >= 5, "{out}");
    for found in findings {
        assert!(["ok", "info", "warning", "error"].contains(&found["level"].as_str().unwrap()), "{found}");
        assert!(!found["what"].as_str().unwrap().is_empty() && found["remedy"].is_string(), "{found}");
    }
    // A name that is taken by a file is no folder to run in.
    fs::write(folder.path().join("file"), b"").unwrap();
    let (_, out, err) = ringfort(folder.path(), &["doctor", "--out", "new/one"]);
    assert!(out.contains("cores") && err.is_empty(), "{out}{err}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made");
}

#[test]
fn shells_and_man_know_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, err) = ringfort(folder.path(), &["completions", shell]);
        assert_eq!(code, 0, "{err}");
        for command in ["restart", "checkpoint", "doctor"] {
            assert!(out.contains(command), "{shell} does not know {command}");
        }
    }
    assert_eq!(ringfort(folder.path(), &["completions", "dos"]).0, 2);
    let (code, out, _) = ringfort(folder.path(), &["man"]);
    assert!(code == 0 && out.starts_with(".ie") && out.contains("ringfort"), "{out}");
    let (code, _, err) = ringfort(folder.path(), &["man", "--out", "pages/man1"]);
    assert_eq!(code, 0, "{err}");
    assert!(folder.path().join("pages/man1/ringfort-checkpoint-diff.1").exists());
}

#[test]
fn commands_that_come_later_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = ringfort(folder.path(), &["datacenter", "log", "out"]);
    assert!(code == 2 && err.contains("ringfort datacenter log is not yet supported"), "{err}");
    let (code, _, err) = ringfort(folder.path(), &["chek", "job.toml"]);
    assert!(code == 2 && err.contains("did you mean check?"), "{err}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
