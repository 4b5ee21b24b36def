//! Both modes under the same kills: the report holds what it should, and there is none where runs do not end as they should.

#![cfg(all(feature = "datacenter", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use ringfort::clock;
use serde_json::Value;

fn job(dir: &Path, steps: u64) -> PathBuf {
    let path = dir.join("job.toml");
    let text = format!(
        "[grid]\npoints = [61, 67, 71]\n[kernel]\nname = \"heat\"\n[fields]\n\
         temperature = {{ formula = \"sin(0.3*x)*cos(0.2*y) + 0.1*z\" }}\ndiffusivity = 0.5\n[time]\nsteps = {steps}\ndt = 0.1\n\
         [checkpoint]\nevery = \"50 steps\"\n[datacenter]\nblocks = [2, 1, 2]\nlease = \"1 s\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn program() -> PathBuf {
    std::env::var_os("RINGFORT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from)
}

/// Steps that take about so long on this machine, alone on both ranks.
fn steps_of(dir: &Path, long: Duration) -> u64 {
    let steps = 400;
    let job = job(dir, steps);
    let mut command = Command::new(program());
    command.arg("run").arg(job).args(["--local-ranks", "2", "--threads", "1", "--out"]).arg(dir.join("timed"));
    let began = clock::now();
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", words(&ended));
    (u128::from(steps) * long.as_micros()).div_ceil(clock::now().duration_since(began).as_micros()).try_into().unwrap()
}

fn compare(job: &Path, out: &Path, words: &str, fault: Option<&str>) -> Output {
    let mut command = Command::new(program());
    // Ranks as threads: the launcher that is named here is none.
    command.env("RINGFORT_MPIRUN", "no-such-launcher").env_remove("RINGFORT_FAULT");
    command.arg("compare").arg(job).arg("--out").arg(out).args(words.split_whitespace());
    if let Some(fault) = fault {
        command.env("RINGFORT_FAULT", fault);
    }
    command.output().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_report_tells_of_every_run_and_of_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    // Kills after 0.38 and 1.16 s of the first, after 0.67 s of the second: some hit, since the steps take longer than that here.
    let steps = steps_of(dir.path(), Duration::from_millis(1500));
    // A name that a shell would take apart.
    let folder = dir.path().join("it's here");
    std::fs::create_dir(&folder).unwrap();
    let (job, out) = (job(&folder, steps), dir.path().join("report"));
    let options =
        "--mtbf 1s,2s --repeats 1 --seed 1631 --ranks 2 --workers 2 --repair 0.1s --nodes 10,100000 --node-mtbf 30d";
    let ended = compare(&job, &out, options, None);
    assert!(ended.status.success(), "{}", words(&ended));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["same_bits"], true);
    let shown = format!("printf '%s\\n' {}", report["environment"]["repeat_with"].as_str().unwrap());
    let shown = Command::new("sh").arg("-c").arg(shown).output().unwrap().stdout;
    assert_eq!(String::from_utf8(shown).unwrap().lines().nth(2), job.to_str(), "{report:#}");
    let runs = report["runs"].as_array().unwrap();
    let modes: Vec<&str> = runs.iter().map(|run| run["mode"].as_str().unwrap()).collect();
    let failing = ["torus-failing", "datacenter-failing"];
    assert_eq!(modes, [&["torus", "datacenter", "floor"][..], &failing, &failing].concat());
    for run in runs {
        let failing = run["mode"].as_str().unwrap().ends_with("failing");
        assert_eq!(run["mtbf_s"].is_null(), !failing, "{run}");
        assert!(failing || run["kills"] == 0, "{run}");
        assert!(run["seconds"].as_f64().unwrap() > 0.0 && run["lost_steps"].as_f64().unwrap() >= 0.0, "{run}");
        let torus = run["mode"].as_str().unwrap().starts_with("torus");
        assert_eq!(run["predicted_s"].is_number(), torus, "{run}");
        assert!(run["peak_bytes"].as_u64().unwrap() > 0, "{run}");
        let bytes = ["halo_bytes", "checkpoint_bytes"].map(|key| run[key].as_f64().unwrap());
        // The floor writes a checkpoint at its end. Who is killed after the last step has none to exchange in when it is back.
        let over = run["attempts"].as_array().and_then(|all| all.last()).is_some_and(|last| last["step"] == steps);
        assert!((bytes[0] > 0.0 || over) && bytes[1] >= 8.0 * 61.0 * 67.0 * 71.0, "{run}");
        assert_eq!(
            run["recomputed_by_survivors"].is_null(),
            run["mode"].as_str().unwrap().contains("torus") || run["mode"] == "floor",
            "{run}"
        );
        // More than none only where a worker was so slow that it lost a block and took it again.
        let (again, all) = (&run["recomputed_by_survivors"], &run["recomputed_steps"]);
        assert!(again.as_u64() <= all.as_u64(), "{run}");
        // Every attempt but the last was ended by a kill.
        if torus {
            assert_eq!(run["attempts"].as_array().unwrap().len() as u64, 1 + run["kills"].as_u64().unwrap(), "{run}");
        }
    }
    let kills = |mode: &str| -> u64 {
        runs.iter().filter(|run| run["mode"] == mode).map(|run| run["kills"].as_u64().unwrap()).sum()
    };
    assert!(kills("torus-failing") > 0 && kills("datacenter-failing") > 0, "{report:#}");
    assert_eq!(report["machines"].as_array().unwrap().len(), 2);
    assert!(report["model"]["step_s"].as_f64().unwrap() > 0.0);
    let csv = std::fs::read_to_string(out.join("report.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + runs.len());
    assert!(csv.starts_with("mode,mtbf_s,repeat,seconds,kills,lost_steps,predicted_s,"));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("same bits"));
    assert!(!page.contains("http") && !page.contains("src=") && !page.contains("<link"), "nothing from outside");
    assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
    // Only the report stays, and a second comparison does not write over it.
    assert_eq!(std::fs::read_dir(&out).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count(), 3);
    let again = compare(&job, &out, options, None);
    assert_eq!(again.status.code(), Some(2));
    assert!(words(&again).contains("holds report.json already"), "{}", words(&again));
}

#[test]
fn a_run_that_does_not_end_well_is_named_and_there_is_no_report() {
    let dir = tempfile::tempdir().unwrap();
    let (job, out) = (job(dir.path(), 200), dir.path().join("report"));
    let ended = compare(&job, &out, "--mtbf 1s --repeats 1 --ranks 1 --workers 1", Some("nan@step=60,part=0"));
    assert_eq!(ended.status.code(), Some(3), "{}", words(&ended));
    assert!(words(&ended).contains("torus 1 ended with exit code 3"), "{}", words(&ended));
    assert!(!out.join("report.json").exists());
    let short = compare(
        &job,
        &dir.path().join("short"),
        "--mtbf 1s --repeats 1 --ranks 1 --workers 1 --set time.steps=50",
        None,
    );
    assert_eq!(short.status.code(), Some(2), "{}", words(&short));
    assert!(words(&short).contains("too few to tell its pace"), "{}", words(&short));
    for wrong in ["--mtbf 0s", "--mtbf 5", "--mtbf 1s --nodes 0", ""] {
        assert_eq!(compare(&job, &out, wrong, None).status.code(), Some(2), "{wrong}");
    }
    // A folder that happens to have a name of ours is not touched.
    let own = dir.path().join("own");
    std::fs::create_dir_all(own.join("trial/precious")).unwrap();
    assert_eq!(compare(&job, &own, "--mtbf 1s", None).status.code(), Some(2));
    assert!(own.join("trial/precious").exists());
    let none = compare(&dir.path().join("none.toml"), &out, "--mtbf 1s", None);
    assert_eq!(none.status.code(), Some(2), "{}", words(&none));
}
