//! Probes and outputs are functions of the job alone: no cut, thread, halo depth, restart or crash changes a byte of them.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod common;
#[path = "series/files.rs"]
mod files;
#[path = "series/programs.rs"]
mod programs;

use std::fs;
use std::path::Path;

use common::jobs::{LIBRARY, Variant, text};
use common::layouts::{Bits, Case, all_parts};
use common::runs::{Way, start};
use files::{Tree, tree, values};
use ringfort::grid::Region;
use ringfort::observe::reduce::shortest;

/// Last step of all runs.
const LAST: u64 = 11;

const SERIES: &str = r#"
[checkpoint]
every = "4 steps"
[[probe]]
name = "middle"
at = [AT]
field = "pressure"
every = "1 step"
[[probe]]
name = "derived"
at = [ORIGIN]
field = "energy"
every = "3 steps"
[[output]]
fields = ["energy", "pressure"]
every = "3 steps"
stride = [STRIDE]
[[output]]
name = "all.of-it"
fields = ["stiffness", "flux"]
every = "5 steps"
type = "f32"
"#;

const VARIANT: Variant = Variant::Relay { varying: true, start: false };

fn job(points: &[usize], precision: &str) -> String {
    let axes = points.len();
    let beyond = &["[\"fixed\", \"open\"]", "\"periodic\"", "\"wall\""][..axes];
    let job = text(points, beyond, VARIANT, precision, LAST).replace("dt = 0.1", "dt = 0.03");
    let list = |all: &[&str]| all[..axes].join(", ");
    let series = SERIES.replace("AT", &list(&["4.2", "-1.3", "3.0"])).replace("STRIDE", &list(&["2", "3", "4"]));
    job + &series.replace("ORIGIN", &list(&["0.0", "0", "0.4"]))
}

/// Checks every value of the files in `dir` against the states of the plain reference.
fn check_values<T: Bits>(case: &Case<T>, dir: &Path) {
    let (job, grid) = (&case.job, &case.job.grid);
    let value = |step: u64, slot: usize, cell| {
        case.states[usize::try_from(step).unwrap()][slot][grid.region().offset(cell)].to_f64()
    };
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let time = |step: u64| step as f64 * 0.03;
    for probe in &job.probes {
        let mut lines = String::from("step,time,value\n");
        for step in (0..=LAST).filter(|step| step.is_multiple_of(probe.every)) {
            let value = value(step, probe.slot, probe.cell);
            lines += &format!("{step},{},{}\n", shortest(time(step)), shortest(value));
        }
        assert_eq!(fs::read_to_string(dir.join(format!("probes/{}.csv", probe.name))).unwrap(), lines);
    }
    for output in &job.outputs {
        let home = dir.join(format!("{}.zarr", output.name));
        let extent = std::array::from_fn(|axis| grid.points[axis].div_ceil(output.stride[axis]));
        for (at, step) in (0..=LAST).filter(|step| step.is_multiple_of(output.every)).enumerate() {
            for (field, &slot) in output.fields.iter().zip(&output.slots) {
                let mut expected = Vec::new();
                for [w, z, y] in (Region { start: [0; 4], extent }).rows() {
                    for x in 0..extent[3] {
                        let [a, b, c, d] = output.stride;
                        expected.push(value(step, slot, [w * a, z * b, y * c, x * d]));
                    }
                }
                let file = format!("{field}/c/{at}{}", "/0".repeat(grid.axes));
                let width = if output.precision == ringfort::job::Precision::F32 { 4 } else { 8 };
                let found = values(&home.join(file), width);
                #[allow(clippy::cast_possible_truncation, reason = "single precision is what was asked for")]
                let rounded = |value: f64| if width == 4 { f64::from(value as f32) } else { value };
                assert!(
                    found.iter().map(|v| v.to_bits()).eq(expected.iter().map(|v| rounded(*v).to_bits())),
                    "{field}"
                );
            }
        }
    }
}

fn check<T: Bits>(points: &[usize], precision: &str, most: usize) -> usize {
    let text = job(points, precision);
    let case = Case::<T>::new(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, &text).unwrap();
    let mut first: Option<Tree> = None;
    let mut done = 0;
    for (number, parts) in all_parts(points.len(), most).into_iter().enumerate() {
        let last = |points: usize, parts: usize| points.saturating_sub(points.div_ceil(parts) * (parts - 1));
        if points.iter().zip(&parts).any(|(&points, &parts)| last(points, parts) < VARIANT.radius(true)) {
            continue;
        }
        let way = Way { threads: 1 + number % 2, steps_per_exchange: 1 + number % 4, ..Way::on(&parts, LAST) };
        let dir = folder.path().join(number.to_string());
        start(Some(&path), &dir, &way);
        let found = tree(&dir);
        match &first {
            None => {
                check_values(&case, &dir);
                first = Some(found);
            }
            Some(first) => assert!(*first == found, "{way:?}: {:?}", first.keys().chain(found.keys())),
        }
        done += 1;
    }
    done
}

#[test]
fn every_layout_writes_what_the_reference_says() {
    let counts =
        [check::<f64>(&[41], "f64", 6), check::<f32>(&[13, 17], "f32", 6), check::<f64>(&[7, 9, 11], "f64", 4)];
    println!("layouts by job: {counts:?}");
    assert!(counts.iter().all(|&count| count >= 3), "{counts:?}");
}

#[test]
fn restarts_on_other_ranks_and_leftovers_end_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, job(&[17, 13], "f64")).unwrap();
    let straight = folder.path().join("straight");
    start(Some(&path), &straight, &Way::on(&[1, 1], LAST));
    let expected = tree(&straight);
    for (first, parts) in [(4, [2, 1]), (6, [1, 3])] {
        for leftovers in 0..3 {
            let dir = folder.path().join(format!("{first}-{leftovers}"));
            start(Some(&path), &dir, &Way::on(&parts, first));
            match leftovers {
                0 => {}
                // What a crash after the checkpoint leaves: all that came later, or parts of it.
                1 => files::copy(&expected, &dir),
                _ => {
                    let torn = dir.join("fields.zarr/pressure/c/4/0");
                    fs::create_dir_all(&torn).unwrap();
                    fs::write(torn.join("0.part"), "half").unwrap();
                    let probe = dir.join("probes/middle.csv");
                    let lines = fs::read_to_string(&probe).unwrap();
                    fs::write(&probe, lines + "5,0.1").unwrap();
                }
            }
            let said = start(None, &dir, &Way { threads: 2, ..Way::on(&[1, 1 + leftovers], LAST) });
            assert!(!said.iter().any(|line| line.contains("warning")), "{said:?}");
            assert!(tree(&dir) == expected, "from {first}, leftovers {leftovers}");
        }
    }
}

#[test]
fn what_is_in_the_way_is_told_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, job(&[13, 9], "f64")).unwrap();
    let dir = folder.path().join("run");
    fs::create_dir_all(dir.join("fields.zarr")).unwrap();
    fs::write(dir.join("fields.zarr/mine.txt"), "mine").unwrap();
    fs::create_dir(dir.join("probes")).unwrap();
    fs::write(dir.join("probes/derived.csv"), "my own numbers\n").unwrap();
    let said = start(Some(&path), &dir, &Way::on(&[2, 1], 5)).join("\n");
    for words in ["no fields in fields.zarr of step 0", "no value of probe derived of step 0", "move it away"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(fs::read_to_string(dir.join("probes/derived.csv")).unwrap(), "my own numbers\n");
    assert_eq!(fs::read_dir(dir.join("fields.zarr")).unwrap().count(), 1);
    assert!(dir.join("all.of-it.zarr/flux/c/1").is_dir() && dir.join("probes/middle.csv").is_file());
    let events = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    assert!(events.contains("output-failed") && events.contains("probe-failed"), "{events}");
    // Another interval means other times: what is there stays as it is.
    let before = tree(&dir);
    let set = vec!["output.1.every=\"4 steps\"".to_owned()];
    let said = start(None, &dir, &Way { set, ..Way::on(&[1, 1], LAST) }).join("\n");
    assert!(said.contains("all.of-it.zarr was written for another [[output]]"), "{said}");
    let after = tree(&dir);
    assert!(before.iter().filter(|(name, _)| name.starts_with("all")).all(|(name, bytes)| after[name] == *bytes));
}

/// A full disk under the output alone: the run goes on, what is missing is told and reads as NaN.
#[test]
fn a_full_disk_is_told_and_what_is_missing_stays_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    let text = job(&[60, 70], "f64").replace("stride = [2, 3]", "stride = [1, 1]");
    fs::write(&path, text).unwrap();
    let dir = folder.path().join("run");
    let at = dir.join("fields.zarr");
    fs::create_dir_all(&at).unwrap();
    // Room for the metadata and one time, not for four.
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=208k", "tmpfs"]).arg(&at).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: no right to mount a small file system");
        return;
    }
    let said = start(Some(&path), &dir, &Way::on(&[1, 2], LAST)).join("\n");
    let whole = |time: u32| {
        at.join(format!("pressure/c/{time}/0/0")).exists() && at.join(format!("energy/c/{time}/0/0")).exists()
    };
    let there: Vec<bool> = (0..4).map(whole).collect();
    let halves = (0..4).any(|time| at.join(format!("energy/c/{time}")).exists() != whole(time));
    let unmounted = std::process::Command::new("umount").arg("-l").arg(&at).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert!(said.contains("warning: no fields in fields.zarr of step 9") && said.contains("No space left"), "{said}");
    assert!(there[0] && !there[3] && !halves, "{there:?}");
    assert!(dir.join(format!("checkpoints/step-{LAST:010}/MANIFEST")).exists());
}

/// What `checkpoint export` computes of a checkpoint's components, in layers, is what the run computed.
#[test]
fn derived_fields_and_coefficients_come_back_from_components() {
    let case = Case::<f64>::new(&job(&[7, 9, 11], "f64"));
    let (job, grid) = (&case.job, &case.job.grid);
    let kernel = LIBRARY.find(job.declaration.name).unwrap();
    let state = case.states.last().unwrap();
    let cut = |slot: usize, region: &Region| -> Vec<f64> {
        let cells = region.rows().flat_map(|[w, z, y]| (region.start[3]..region.end(3)).map(move |x| [w, z, y, x]));
        cells.map(|cell| state[slot][grid.region().offset(cell)]).collect()
    };
    for name in ["energy", "stiffness"] {
        let slot = job.declaration.slot(name).unwrap();
        for region in [grid.region(), Region { start: [0, 2, 0, 0], extent: [1, 3, 9, 11] }] {
            let mut out = vec![0.0; region.cells()];
            let mut read = |slot: usize, region: &Region, out: &mut [f64]| {
                out.copy_from_slice(&cut(slot, region));
                Ok(())
            };
            let derived = ringfort::run::derive::derive((job, kernel, 0.03), slot, &region, &mut read, &mut out);
            derived.map_err(|failure| failure.report).unwrap();
            assert!(out == cut(slot, &region), "{name} in {region:?}");
        }
    }
}
