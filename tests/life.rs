//! The kernel `life` against a plain program that counts neighbours, and against what is known of gliders.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

mod common;

use std::path::Path;

use common::jobs::{LIBRARY, parse};
use common::layouts::{Bits, Layout, instruction_sets, states};
use ringfort::checkpoint::{FieldMeta, Fill};
use ringfort::job::Job;

/// Generations of most runs.
const STEPS: usize = 1000;

/// A grid of the plain program: rows of living and dead cells.
type Cells = Vec<Vec<bool>>;

/// What lies beyond an axis.
#[derive(Clone, Copy, Debug)]
enum Beyond {
    Periodic,
    Wall,
}

impl Beyond {
    /// The index that stands for `at` among `points`.
    fn index(self, at: isize, points: usize) -> usize {
        let points = points.cast_signed();
        let inside = match self {
            Beyond::Periodic => at.rem_euclid(points),
            Beyond::Wall => at.clamp(0, points - 1),
        };
        inside.cast_unsigned()
    }

    fn word(self) -> &'static str {
        if matches!(self, Beyond::Periodic) { "\"periodic\"" } else { "\"wall\"" }
    }
}

/// The next generation: born with a number of neighbours in `rule[0]`, surviving with one in `rule[1]`.
fn next(cells: &Cells, rule: [&str; 2], beyond: [Beyond; 2]) -> Cells {
    let (height, width) = (cells.len(), cells[0].len());
    let alive = |y: isize, x: isize| cells[beyond[0].index(y, height)][beyond[1].index(x, width)];
    let cell = |y: usize, x: usize| {
        let mut count = 0;
        for (dy, dx) in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)] {
            count += u8::from(alive(y.cast_signed() + dy, x.cast_signed() + dx));
        }
        rule[usize::from(cells[y][x])].contains(char::from(b'0' + count))
    };
    (0..height).map(|y| (0..width).map(|x| cell(y, x)).collect()).collect()
}

/// `points` cells of which about 3 in 8 live, by a generator of its own.
fn soup(points: [usize; 2], mut seed: u64) -> Cells {
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % 8 < 3
    };
    (0..points[0]).map(|_| (0..points[1]).map(|_| random()).collect()).collect()
}

/// A `.npy` file of bytes.
fn npy(cells: &Cells) -> Vec<u8> {
    let shape = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}, {}), }}", cells.len(), cells[0].len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let header = format!("{shape:117}\n");
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(cells.iter().flatten().map(|&alive| u8::from(alive)));
    bytes
}

fn job(cells: &Cells, rule: [&str; 2], beyond: [Beyond; 2], precision: &str, folder: &Path, steps: usize) -> Job {
    std::fs::write(folder.join("cells.npy"), npy(cells)).unwrap();
    let text = format!(
        "[grid]\npoints = [{}, {}]\nboundary = [{}, {}]\n[kernel]\nname = \"life\"\nrule = \"B{}/S{}\"\n\
         precision = \"{precision}\"\n[fields]\nalive = {{ file = \"cells.npy\" }}\n[time]\nsteps = {steps}\n",
        cells.len(),
        cells[0].len(),
        beyond[0].word(),
        beyond[1].word(),
        rule[0],
        rule[1]
    );
    Job::parse(&text, &folder.join("job.toml"), &[], &LIBRARY).map_err(miette::Report::new).unwrap()
}

/// Runs a soup and compares each generation that is exchanged with the plain program's; returns how many cells lived at the end.
fn compare<T: Bits>(
    points: [usize; 2],
    rule: [&str; 2],
    beyond: [Beyond; 2],
    precision: &str,
    layout: &Layout,
) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut cells = soup(points, 20_261_126 + points[1] as u64);
    let job = job(&cells, rule, beyond, precision, folder.path(), STEPS);
    let (dt, seen) = states::<T>(&job, 0, layout);
    assert_eq!(dt, 1.0, "a generation is a step, and needs no dt");
    let mut rounds = seen.iter();
    for step in 0..=STEPS {
        if step > 0 {
            cells = next(&cells, rule, beyond);
        }
        if step % layout.steps_per_exchange == 0 || step == STEPS {
            let wanted = cells.iter().flatten().map(|&alive| T::of(f64::from(u8::from(alive))).bits());
            let same = rounds.next().unwrap().iter().map(|value| value.bits()).eq(wanted);
            assert!(same, "generation {step} of B{}/S{} on {points:?}, {beyond:?}, {layout:?}", rule[0], rule[1]);
        }
    }
    assert!(rounds.next().is_none());
    cells.iter().flatten().filter(|&&alive| alive).count()
}

#[test]
fn soups_are_those_of_a_plain_program() {
    use Beyond::{Periodic, Wall};
    let rules = [["3", "23"], ["36", "23"], ["3678", "34678"], ["1357", "1357"], ["2", ""], ["0348", "12467"]];
    let boundaries = [[Periodic, Periodic], [Wall, Wall], [Wall, Periodic], [Periodic, Wall]];
    let sets = instruction_sets();
    for (turn, rule) in rules.into_iter().enumerate() {
        for (at, points) in [[23, 37], [40, 19]].into_iter().enumerate() {
            let parts = [[1, 1], [3, 2], [2, 1], [1, 3]][(turn + at) % 4].to_vec();
            let (threads, steps_per_exchange) = (1 + turn % 2, 1 + (turn + 3 * at) % 5);
            let simd = sets[(turn + at) % sets.len()];
            let layout = Layout { parts, threads, steps_per_exchange, simd, ..Layout::alone(2) };
            let beyond = boundaries[(turn + 2 * at) % 4];
            let lived = match (turn + at) % 2 {
                0 => compare::<f64>(points, rule, beyond, "f64", &layout),
                _ => compare::<f32>(points, rule, beyond, "f32", &layout),
            };
            println!("B{}/S{} on {points:?} {beyond:?}: {lived} alive after {STEPS} generations", rule[0], rule[1]);
        }
    }
}

#[test]
fn a_glider_glides_round_a_torus() {
    let mut cells = vec![vec![false; 21]; 17];
    for (y, x) in [(1, 2), (2, 3), (3, 1), (3, 2), (3, 3)] {
        cells[y][x] = true;
    }
    let folder = tempfile::tempdir().unwrap();
    let job = job(&cells, ["3", "23"], [Beyond::Periodic; 2], "f64", folder.path(), STEPS);
    let layout = Layout { parts: vec![2, 3], steps_per_exchange: 4, ..Layout::alone(2) };
    // Every 4 generations it has moved by one cell along both axes.
    for (turn, state) in states::<f64>(&job, 0, &layout).1.iter().enumerate() {
        for (y, row) in cells.iter().enumerate() {
            for (x, &alive) in row.iter().enumerate() {
                let found = state[(y + turn) % 17 * 21 + (x + turn) % 21];
                assert_eq!(found, f64::from(u8::from(alive)), "after {turn} cells, {y}, {x}");
            }
        }
    }
}

/// Padding of a border chunk is no cell that is neither alive nor dead.
#[test]
fn checkpoints_are_padded_with_zeros() {
    let declaration = LIBRARY.find("life").unwrap().declare(2);
    assert_eq!(FieldMeta::of(&declaration.fields[0], 2).fill, Fill::Zero);
}

fn refused(change: &str, to: &str) -> String {
    let text = "[grid]\npoints = [4, 4]\n[kernel]\nname = \"life\"\nrule = \"B3/S23\"\n[fields]\nalive = 1\n[time]\nsteps = 1\n";
    assert!(parse(text).setup.word("rule") == "B3/S23" && text.contains(change));
    let job = Job::parse(&text.replace(change, to), Path::new("life.toml"), &[], &LIBRARY);
    match job {
        Err(error) => format!("{:?}", miette::Report::new(error)),
        Ok(job) => {
            let mut values = vec![0.0; 16];
            let filled = job.sources[0].as_ref().unwrap().fill(&job.grid, &job.grid.region(), &mut values);
            job.refuse_input(0, filled.unwrap_err()).to_string()
        }
    }
}

#[test]
fn rules_and_starts_that_make_no_sense_are_refused() {
    for (change, to, words) in [
        ("B3/S23", "B3/S29", "a cell has 8 neighbours, never 9"),
        ("B3/S23", "23/3", "is no rule"),
        ("\"B3/S23\"", "3", "give B and the numbers"),
        ("alive = 1", "alive = 0.5", "0.5 is none of them: the values that make sense are 0 and 1"),
        ("alive = 1", "alive = { formula = \"0.5*x\" }", "gives 0.5 at cell [0, 1]"),
        ("points = [4, 4]", "points = [4]", "runs on 2"),
    ] {
        let error = refused(change, to).replace("\n", " ");
        assert!(error.contains(words), "{error}");
    }
}
