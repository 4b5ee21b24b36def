//! `sums.csv` is a function of the job alone: no cut, thread, halo depth, restart or crash changes a byte of it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use common::jobs::{Variant, text};
use common::layouts::{Bits, Case, all_parts};
use common::runs::{Way, refused, start};
use num_bigint::BigInt;
use ringfort::observe::reduce::shortest;

/// Last step of all runs: reduces are due then, or not.
const LAST: u64 = 11;

const REDUCES: &str = r#"
[[reduce]]
name = "total"
map = "A"
with = "sum"
every = "1 step"
[[reduce]]
name = "product"
map = "A * D - 0.25*(C + 1)"
with = "mean"
every = "3 steps"
[[reduce]]
name = "least"
map = "A"
with = "min"
every = "4 steps"
[[reduce]]
name = "most"
map = "x + D^2 * sin(A)"
with = "max"
every = "3 steps"
[[reduce]]
name = "spread"
map = "D"
with = "histogram"
bins = 4
low = -0.5
high = 1.5
every = "5 steps"
"#;

/// The job of `variant` with reduces: `A` and `D` are two fields that change, or not, `C` a coefficient.
fn job(points: &[usize], variant: Variant, precision: &str) -> String {
    let first = if variant.staggered() { "\"wall\"" } else { "[\"fixed\", \"open\"]" };
    let beyond = &[first, "\"periodic\"", "\"wall\""][..points.len()];
    let [a, c, d] = match variant {
        Variant::Heat { .. } => ["temperature", "diffusivity", "temperature"],
        // A derived field.
        Variant::Relay { .. } => ["pressure", "stiffness", "energy"],
        Variant::Water { .. } => ["depth", "bed", "surface"],
        Variant::Wave { .. } => ["pressure", "speed", "pressure"],
        Variant::GrayScott => ["u", "v", "u"],
        Variant::Maxwell { .. } => ["e_z", "permittivity", "h_y"],
        Variant::Elastic { .. } => ["velocity_x", "speed_p", "pressure"],
        Variant::Life => ["alive"; 3],
        Variant::Lattice { .. } => ["f0", "f1", "density"],
        Variant::Gas { .. } => ["density", "energy", "pressure"],
    };
    let reduces = REDUCES.replace(" D", &format!(" {d}")).replace("\"D\"", &format!("\"{d}\""));
    let reduces =
        reduces.replace("\"A", &format!("\"{a}")).replace("(A)", &format!("({a})")).replace("(C ", &format!("({c} "));
    let job = text(points, beyond, variant, precision, LAST).replace("dt = 0.1", "dt = 0.03");
    format!("{job}[checkpoint]\nevery = \"4 steps\"\n{reduces}")
}

fn sums(dir: &Path) -> String {
    fs::read_to_string(dir.join("sums.csv")).unwrap()
}

/// The lines that the states of the plain reference give, computed by plain loops and whole numbers of any size.
fn oracle<T: Bits>(case: &Case<T>) -> String {
    let slot = |name| case.job.declaration.slot(name).unwrap();
    let [a, c, d] = match case.job.declaration.name {
        "heat" => [slot("temperature"), slot("diffusivity"), slot("temperature")],
        "maxwell" => [slot("e_z"), slot("permittivity"), slot("h_y")],
        _ => [slot("pressure"), slot("stiffness"), slot("energy")],
    };
    let grid = &case.job.grid;
    let width = grid.points[3];
    let mut lines = String::from("step,name,value\n");
    for (step, state) in case.states.iter().enumerate() {
        let all = |slot: usize| state[slot].iter().map(|value: &T| value.to_f64()).collect::<Vec<f64>>();
        let (a, c, d) = (all(a), all(c), all(d));
        let mut row = |every: usize, name: &str, value: &dyn Fn() -> String| {
            if step % every == 0 {
                lines += &format!("{step},{name},{}\n", value());
            }
        };
        row(1, "total", &|| shortest(exact(&a)));
        let product: Vec<f64> = (0..a.len()).map(|at| a[at] * d[at] - 0.25 * (c[at] + 1.0)).collect();
        row(3, "product", &|| shortest(exact(&product) / a.len() as f64));
        row(4, "least", &|| shortest(a.iter().copied().min_by(f64::total_cmp).unwrap()));
        let most = (0..a.len()).map(|at| grid.coordinate(3, at % width) + d[at] * d[at] * sin(a[at]));
        let most = most.max_by(f64::total_cmp).unwrap();
        row(3, "most", &|| shortest(most));
        let edges = [f64::NEG_INFINITY, -0.5, 0.0, 0.5, 1.0, 1.5, f64::INFINITY];
        for (name, edges) in
            ["-inf:-0.5)", "-0.5:0)", "0:0.5)", "0.5:1)", "1:1.5)", "1.5:inf]"].iter().zip(edges.windows(2))
        {
            let inside = |value: &&f64| edges[0] <= **value && **value < edges[1];
            row(5, &format!("spread[{name}"), &|| d.iter().filter(inside).count().to_string());
        }
    }
    lines
}

/// The exact sum, rounded once: as a whole number of `2^-1074`, whose decimal digits the standard library rounds.
fn exact(values: &[f64]) -> f64 {
    let whole = |value: &f64| {
        let (exponent, stored) = (value.abs().to_bits() >> 52, value.to_bits() & ((1 << 52) - 1));
        let size = if exponent == 0 { stored.into() } else { BigInt::from(stored | (1 << 52)) << (exponent - 1) };
        if *value < 0.0 { -size } else { size }
    };
    let digits = values.iter().map(whole).sum::<BigInt>() * BigInt::from(5).pow(1074);
    format!("{digits}e-1074").parse().unwrap()
}

/// The sine of formulas.
fn sin(value: f64) -> f64 {
    use ringfort::grid::{AXES, Boundary, Grid, Units};
    use ringfort::job::formula::{Map, Work};
    let grid = Grid {
        axes: 1,
        points: [1; AXES],
        spacing: [1.0; AXES],
        origin: [0.0; AXES],
        units: Units::Metres,
        boundary: [[Boundary::Periodic; 2]; AXES],
    };
    Map::parse("sin(u)", &[("u", 0)], &grid).unwrap().run(1, &[&[value]], &mut Work::default())[0]
}

/// Every job of `points` and `variant` in many layouts has the bytes that the oracle says.
fn check<T: Bits>(points: &[usize], variant: Variant, most: usize) -> usize {
    let precision = if T::BYTES == 4 { "f32" } else { "f64" };
    let text = job(points, variant, precision);
    let expected = oracle(&Case::<T>::new(&text));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, &text).unwrap();
    let mut done = 0;
    for (number, parts) in all_parts(points.len(), most).into_iter().enumerate() {
        // Cells of the last part: none if there are too many parts.
        let last = |points: usize, parts: usize| points.saturating_sub(points.div_ceil(parts) * (parts - 1));
        if points.iter().zip(&parts).any(|(&points, &parts)| last(points, parts) < variant.radius(true)) {
            continue;
        }
        let way = Way { threads: 1 + number % 3, steps_per_exchange: 1 + number % 5, ..Way::on(&parts, LAST) };
        let dir = folder.path().join(number.to_string());
        start(Some(&path), &dir, &way);
        assert_eq!(sums(&dir), expected, "{way:?}\n{text}");
        done += 1;
    }
    done
}

const HEAT: Variant = Variant::Heat { varying: true, perfusion: Some(true) };
const RELAY: Variant = Variant::Relay { varying: true, start: false };

#[test]
fn every_layout_writes_what_the_reference_says() {
    let counts = [
        check::<f64>(&[41], HEAT, 8),
        check::<f32>(&[41], RELAY, 8),
        check::<f64>(&[13, 17], RELAY, 8),
        check::<f32>(&[17, 13], HEAT, 8),
        check::<f64>(&[9, 7, 11], HEAT, 8),
        check::<f32>(&[7, 9, 11], RELAY, 6),
        check::<f64>(&[13, 17], Variant::Maxwell { varying: [true, false, false], lossy: true }, 4),
        // More cells in a row than are worked on at once.
        check::<f64>(&[3, 1100], RELAY, 3),
    ];
    println!("layouts by job: {counts:?}");
    assert!(counts.iter().sum::<usize>() >= 60 && counts.iter().all(|&count| count >= 3), "{counts:?}");
}

#[test]
fn coefficients_given_as_numbers_and_those_that_only_reduces_read_are_kept() {
    for (varying, start) in [(false, true), (true, true), (false, false)] {
        assert!(check::<f64>(&[13, 9], Variant::Relay { varying, start }, 2) >= 2);
    }
    assert!(check::<f64>(&[13, 9], Variant::Heat { varying: false, perfusion: None }, 2) >= 2);
}

/// Rows that nobody can make again are missed aloud: a run does not go on with a file that is not what it wrote, unless told to.
#[test]
fn rows_that_lack_or_were_edited_are_told() {
    let text = job(&[17, 13], RELAY, "f64");
    let folder = tempfile::tempdir().unwrap();
    let (path, dir) = (folder.path().join("job.toml"), folder.path().join("out"));
    fs::write(&path, &text).unwrap();
    start(Some(&path), &dir, &Way::on(&[1, 1], 8));
    let early = |line: &&str| line.split(',').next().unwrap().parse::<u64>().map_or(true, |step| step < 5);
    let whole = sums(&dir);
    let lines: Vec<&str> = whole.lines().take_while(early).collect();
    let to_the_end = Way::on(&[1, 1], LAST);
    for (text, what) in [
        (whole.replacen("\n0,", "\n0, ", 1), "was edited"),
        (whole.replace('\n', "\r\n"), "was edited"),
        (lines.join("\n") + "\n", "was shortened"),
    ] {
        fs::write(dir.join("sums.csv"), &text).unwrap();
        let why = refused(&dir, &to_the_end);
        assert!(why.contains("sums.csv") && why.contains(what) && why.contains("series.json"), "{why}");
        assert_eq!(sums(&dir), text);
    }
    fs::rename(dir.join("sums.csv"), dir.join("away")).unwrap();
    let why = refused(&dir, &to_the_end);
    assert!(why.contains("sums.csv is gone"), "{why}");
    fs::rename(dir.join("away"), dir.join("sums.csv")).unwrap();
    fs::remove_file(dir.join("series.json")).unwrap();
    let said = start(None, &dir, &to_the_end).join("\n");
    assert!(said.contains("no sums of step 7: the file ends at step 4"), "{said}");
    let again = start(None, &dir, &to_the_end).join("\n");
    assert!(!again.contains("the file ends"), "{again}");
}

#[test]
fn restarts_on_other_ranks_and_torn_files_end_with_the_same_bytes() {
    let text = job(&[17, 13], RELAY, "f64");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, &text).unwrap();
    let straight = folder.path().join("straight");
    start(Some(&path), &straight, &Way::on(&[1, 1], LAST));
    let expected = sums(&straight);
    assert_eq!(expected, oracle(&Case::<f64>::new(&text)));
    let kept = |step: u64| -> usize {
        let before = |line: &&str| line.split(',').next().unwrap().parse::<u64>().map_or(true, |at| at < step);
        expected.lines().take_while(before).map(|line| line.len() + 1).sum()
    };
    let mut tries = 0;
    for (first, parts) in [(4, vec![2, 1]), (6, vec![1, 3]), (9, vec![2, 2])] {
        for spoil in 0..5 {
            let dir = folder.path().join(format!("{first}-{spoil}"));
            start(Some(&path), &dir, &Way::on(&parts, first));
            let file = dir.join("sums.csv");
            let own = fs::read(&file).unwrap();
            match spoil {
                0 => {}
                // What a crash after the checkpoint leaves: rows beyond it, or a torn line.
                1 => fs::write(&file, &expected).unwrap(),
                2 => fs::write(&file, &expected[..expected.len() - 3]).unwrap(),
                3 => fs::write(&file, &own[..own.len() - 2]).unwrap(),
                _ => fs::write(&file, &own[..kept(first)]).unwrap(),
            }
            let next = Way { threads: 2, steps_per_exchange: 3, ..Way::on(&[1, 1 + spoil % 3], LAST) };
            start(None, &dir, &next);
            assert_eq!(sums(&dir), expected, "from {first}, spoiled {spoil}");
            tries += 1;
        }
    }
    assert_eq!(tries, 15);
}

#[test]
fn a_file_in_the_way_is_told_and_the_run_goes_on() {
    let text = job(&[13, 9], HEAT, "f64");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    fs::write(&path, &text).unwrap();
    let dir = folder.path().join("run");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("sums.csv"), "my own numbers\n").unwrap();
    let said = start(Some(&path), &dir, &Way::on(&[2, 1], LAST));
    assert!(said.iter().any(|line| line.starts_with("warning: no sums") && line.contains("move it away")), "{said:?}");
    assert_eq!(sums(&dir), "my own numbers\n");
    assert!(fs::read_to_string(dir.join("events.jsonl")).unwrap().contains("sums-failed"));
    assert!(dir.join(format!("checkpoints/step-{LAST:010}")).exists());
    let record = fs::read_to_string(dir.join("run.json")).unwrap();
    assert!(record.contains("\"sums_seconds\""), "{record}");
}
