//! A checkpoint returns the bits that went in, whatever the cuts of writer and reader, and its bytes are pinned.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod checkpoint_common;

use std::path::Path;
use std::process::Command;

use checkpoint_common::{JOB, Quick, files, meta, value, values, write};
use ringfort::checkpoint::{Checkpoint, Disk, Manifest, Meta, Parent, Precision, RunId, compare, folder};
use ringfort::decomp::Cuts;
use ringfort::grid::{AXES, Extents, Region, Units};
use ringfort_kernels::Real;

/// All cuts of `points` into up to `most` parts along each axis.
fn all_cuts(points: Extents, most: usize) -> Vec<Cuts> {
    let counts = Region { start: [1; AXES], extent: [most; AXES] };
    let mut all = Vec::new();
    for [w, z, y] in counts.rows() {
        all.extend((1..=most).filter_map(|x| Cuts::new(points, [w, z, y, x]).ok()));
    }
    all
}

fn round_trips<T: Real>(axes: usize, points: Extents, most: usize) -> usize {
    let cuts = all_cuts(points, most);
    let mut count = 0;
    for (number, &written) in cuts.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut meta = Meta { precision: Precision::of::<T>(), ..meta(axes, points, [1; AXES], 40) };
        meta.cuts = written;
        write::<T>(&Quick, dir.path(), &meta).unwrap();
        let checkpoint = Checkpoint::open(&Disk, &folder(dir.path(), 40)).unwrap();
        assert_eq!(checkpoint.meta(), &meta);
        assert_eq!(checkpoint.verify().len(), 0);
        for read in cuts.iter().skip(number % 3).step_by(3) {
            for part in 0..read.count() {
                let region = read.block(part);
                let mut out = vec![T::of(-1.0); region.cells()];
                for component in 0..2 {
                    checkpoint.read_region(component, &region, &mut out).unwrap();
                    assert!(out == values::<T>(&meta, component, &region), "{written:?} to {read:?} part {part}");
                }
            }
            count += 1;
        }
    }
    count
}

#[test]
fn every_cut_reads_what_every_cut_wrote() {
    let grids =
        [(1, [1, 1, 1, 11], 6), (2, [1, 1, 7, 5], 4), (3, [1, 5, 4, 7], 3), (4, [3, 2, 5, 4], 2), (2, [1, 1, 1, 1], 1)];
    let mut count = 0;
    for (axes, points, most) in grids {
        count += round_trips::<f32>(axes, points, most);
        count += round_trips::<f64>(axes, points, most);
    }
    println!("{count} pairs of cuts read back with the same bits");
    assert!(count > 500, "{count}");
}

#[test]
fn bits_that_are_no_numbers_survive() {
    let dir = tempfile::tempdir().unwrap();
    let mut meta = meta(1, [1, 1, 1, 6], [1; AXES], 1);
    meta.components.truncate(1);
    let odd = [0x7ff8_0000_0000_0001, 0xfff4_0000_0000_0000, 0x8000_0000_0000_0000, 1, 0x7ff0_0000_0000_0000, 0_u64];
    let put: Vec<f64> = odd.iter().map(|&bits| f64::from_bits(bits)).collect();
    let pending = ringfort::checkpoint::begin(&Disk, dir.path(), &meta).unwrap();
    let record = ringfort::checkpoint::write_part(&Disk, &pending.folder, &meta, 0, 0, &put).unwrap();
    ringfort::checkpoint::commit(&Disk, &pending, &meta, vec![record]).unwrap();
    let checkpoint = Checkpoint::open(&Disk, &pending.folder).unwrap();
    let mut got = vec![0.0_f64; 6];
    checkpoint.read_region(0, &meta.grid.region(), &mut got).unwrap();
    assert!(got.iter().map(|value| value.to_bits()).eq(odd));
}

#[test]
fn more_than_one_piece_streams() {
    let dir = tempfile::tempdir().unwrap();
    let points = [1, 3, 301, 523];
    let one = meta(3, points, [1, 1, 2, 1], 1);
    let two = Meta { cuts: Cuts::new(points, [1, 2, 1, 3]).unwrap(), step: 2, time: 1.0, ..one.clone() };
    let value = |meta: &Meta, part| values::<f64>(&Meta { step: 1, ..meta.clone() }, 0, &meta.cuts.block(part));
    for meta in [&one, &two] {
        let pending = ringfort::checkpoint::begin(&Disk, dir.path(), meta).unwrap();
        let mut records = Vec::new();
        for part in 0..meta.cuts.count() {
            for component in 0..2 {
                let values = value(meta, part);
                records.push(
                    ringfort::checkpoint::write_part(&Disk, &pending.folder, meta, part, component, &values).unwrap(),
                );
            }
        }
        ringfort::checkpoint::commit(&Disk, &pending, meta, records).unwrap();
    }
    let [a, b] = [1, 2].map(|step| Checkpoint::open(&Disk, &folder(dir.path(), step)).unwrap());
    let region = Region { start: [0, 1, 17, 5], extent: [1, 2, 280, 510] };
    let mut out = vec![0.0; region.cells()];
    b.read_region(1, &region, &mut out).unwrap();
    assert!(out == values::<f64>(&one, 0, &region));
    let found = compare(&a, &b).unwrap();
    assert!(found.same(), "{found:?}");
}

#[test]
fn requests_that_make_no_sense_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let meta = meta(2, [1, 1, 4, 5], [1, 1, 2, 2], 9);
    write::<f64>(&Disk, dir.path(), &meta).unwrap();
    let found = Checkpoint::open(&Disk, &folder(dir.path(), 9)).unwrap();
    let whole = meta.grid.region();
    let error = found.read_region(0, &whole, &mut [0.0_f32; 20]).unwrap_err().to_string();
    assert_eq!(
        error,
        "checkpoints/step-0000000009 holds float64 values, float32 are asked for; set precision in [kernel] to match it"
    );
    assert!(found.read_region(2, &whole, &mut [0.0_f64; 20]).is_err());
    let beyond = Region { start: [0, 0, 3, 0], extent: [1, 1, 2, 5] };
    assert!(found.read_region(0, &beyond, &mut [0.0_f64; 10]).is_err());
    let huge = Region { start: [0, 0, usize::MAX, 0], extent: [1, 1, 2, 5] };
    assert!(found.read_region(0, &huge, &mut [0.0_f64; 10]).is_err());
    assert_eq!(found.component("speed"), Some(1));
    assert_eq!(found.meta().job, JOB);
}

/// Compares `bytes` with the file `name` in `tests/golden`, or writes it where `RINGFORT_GOLDEN` is set.
fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("RINGFORT_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == bytes, "{name} changed: the format is pinned");
}

#[test]
fn bytes_are_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let meta = meta(2, [1, 1, 4, 5], [1, 1, 2, 2], 200);
    write::<f64>(&Disk, dir.path(), &meta).unwrap();
    let home = folder(dir.path(), 200);
    golden("checkpoint.manifest", &std::fs::read(home.join("MANIFEST")).unwrap());
    golden("checkpoint.zarr.json", &std::fs::read(home.join("zarr.json")).unwrap());
    golden("checkpoint.speed.json", &std::fs::read(home.join("speed/zarr.json")).unwrap());
    golden("checkpoint.speed.chunk", &std::fs::read(home.join("speed/c/0/1")).unwrap());
    let manifest = Manifest::read(&Disk, &home).unwrap();
    let listed = manifest.files.iter().map(|file| file.name.as_str()).chain(["MANIFEST", "OWNER"]);
    let listed: std::collections::BTreeSet<_> = listed.map(Path::new).map(Path::to_path_buf).collect();
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), files(&home));
}

#[test]
fn numpy_xarray_and_zarr_open_it_without_a_warning() {
    let Some(python) = std::env::var_os("RINGFORT_PYTHON") else {
        println!("skipped: RINGFORT_PYTHON names no Python with zarr, xarray and numpy");
        return;
    };
    let degrees = |mut meta: Meta| {
        meta.grid.units = Units::Degrees;
        meta
    };
    let cases = [
        meta(1, [1, 1, 1, 11], [1, 1, 1, 3], 1),
        degrees(meta(2, [1, 1, 4, 5], [1, 1, 2, 2], 200)),
        meta(3, [1, 5, 4, 7], [1, 3, 1, 2], 7),
        Meta { precision: Precision::Float32, ..meta(4, [3, 2, 5, 4], [2, 1, 2, 1], 8) },
    ];
    for meta in cases {
        let dir = tempfile::tempdir().unwrap();
        match meta.precision {
            Precision::Float32 => write::<f32>(&Disk, dir.path(), &meta).unwrap(),
            Precision::Float64 => write::<f64>(&Disk, dir.path(), &meta).unwrap(),
        };
        let expected = dir.path().join("expected.json");
        std::fs::write(&expected, expectation(&meta).to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/open_checkpoint.py");
        let run = Command::new(&python).arg(script).arg(folder(dir.path(), meta.step)).arg(&expected).output().unwrap();
        let [out, err] = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(run.status.success() && err.is_empty(), "{out}{err}");
        println!("{out}");
    }
}

/// `tests/python/read_checkpoint.py` on `folder`: all that it prints, or why it refuses.
fn read_in_python(folder: &Path) -> Option<Result<serde_json::Value, String>> {
    let python = std::env::var_os("RINGFORT_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_checkpoint.py");
    let run = Command::new(python).arg(script).arg(folder).output().ok()?;
    let said = serde_json::from_slice(&run.stdout).map_err(|_| String::from_utf8_lossy(&run.stderr).into_owned());
    Some(said)
}

#[test]
fn a_short_reader_written_from_the_specification_reads_every_bit() {
    assert!(include_str!("python/read_checkpoint.py").lines().count() <= 60, "docs/format.md says so");
    let cases = [
        meta(1, [1, 1, 1, 11], [1, 1, 1, 3], 1),
        Meta { precision: Precision::Float32, ..meta(3, [1, 5, 4, 7], [1, 3, 1, 2], 7) },
        Meta { parent: Some(Parent { run: RunId([7; 16]), step: 3 }), ..meta(4, [3, 2, 5, 4], [2, 1, 2, 1], 8) },
    ];
    for meta in cases {
        let dir = tempfile::tempdir().unwrap();
        match meta.precision {
            Precision::Float32 => write::<f32>(&Disk, dir.path(), &meta).unwrap(),
            Precision::Float64 => write::<f64>(&Disk, dir.path(), &meta).unwrap(),
        };
        let folder = folder(dir.path(), meta.step);
        let Some(found) = read_in_python(&folder) else {
            println!("skipped: no python3");
            return;
        };
        let found = found.unwrap();
        let parent = meta.parent.map(|parent| serde_json::json!([parent.run.to_string(), parent.step]));
        assert_eq!(found["parent"], parent.unwrap_or_default());
        assert_eq!((&found["step"], &found["time"]), (&meta.step.into(), &meta.time.into()));
        assert_eq!(found["run"], meta.run.to_string());
        assert_eq!(found["spacing"], serde_json::json!(meta.grid.spacing));
        for (number, field) in meta.components.iter().enumerate() {
            let component = &found["components"][number];
            assert_eq!(
                (&component["name"], &component["about"]),
                (&field.name.clone().into(), &field.about.clone().into())
            );
            let mut values = component["values"].as_array().unwrap().iter();
            for [w, z, y] in meta.grid.region().rows() {
                for x in 0..meta.grid.points[3] {
                    let expected = value(&meta, number, [w, z, y, x]);
                    assert_eq!(hexadecimal(values.next().unwrap().as_str().unwrap()).to_bits(), expected.to_bits());
                }
            }
            assert!(values.next().is_none());
        }
        // A bit flipped in any file is seen.
        for name in ["MANIFEST", "zarr.json", "x/c/0", "speed/c/0"] {
            let mut path = folder.join(name);
            while path.is_dir() {
                path.push("0");
            }
            let Ok(sound) = std::fs::read(&path) else { continue };
            let mut bytes = sound.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(&path, bytes).unwrap();
            assert!(read_in_python(&folder).unwrap().unwrap_err().contains("AssertionError"), "{name}");
            std::fs::write(&path, sound).unwrap();
        }
    }
}

/// Number of Python's `float.hex`.
fn hexadecimal(text: &str) -> f64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (whole, power) = digits.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (ones, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    let bits = u64::from_str_radix(&format!("{ones}{fraction}"), 16).unwrap();
    let exponent = power.parse::<i32>().unwrap() - 4 * i32::try_from(fraction.len()).unwrap();
    #[allow(clippy::cast_precision_loss, reason = "53 bits at most")]
    let digits = bits as f64;
    sign * digits * 2.0_f64.powi(exponent)
}

/// What the script must find, as JSON.
fn expectation(meta: &Meta) -> serde_json::Value {
    let grid = &meta.grid;
    let own = grid.first()..AXES;
    let name = |axis: usize, half: bool| format!("{}{}", grid.name(axis), if half { "_half" } else { "" });
    let mut coordinates = serde_json::Map::new();
    for axis in own.clone() {
        let step = grid.spacing[axis];
        let values: Vec<f64> = (0..grid.points[axis]).map(|at| grid.coordinate(axis, at)).collect();
        let halves: Vec<f64> = values.iter().map(|value| value + step / 2.0).collect();
        let units = grid.unit(axis);
        coordinates.insert(name(axis, false), serde_json::json!({ "units": units, "values": values }));
        if axis == 3 {
            coordinates.insert(name(axis, true), serde_json::json!({ "units": units, "values": halves }));
        }
    }
    let mut fields = serde_json::Map::new();
    for (number, field) in meta.components.iter().enumerate() {
        let mut all = Vec::new();
        for [w, z, y] in grid.region().rows() {
            all.extend((0..grid.points[3]).map(|x| value(meta, number, [w, z, y, x])));
        }
        let dims: Vec<_> = own.clone().map(|axis| name(axis, field.half[axis])).collect();
        fields.insert(
            field.name.clone(),
            serde_json::json!({
                "dims": dims, "units": field.unit, "long_name": field.about, "standard_name": field.standard_name,
                "dtype": meta.precision.name(), "shape": grid.own(&grid.points), "values": all,
            }),
        );
    }
    serde_json::json!({
        "attributes": { "step": meta.step, "time": meta.time, "dt": meta.dt, "job": meta.job },
        "coordinates": coordinates, "fields": fields,
    })
}
