//! The state after step n is a function of the job alone: no cut, halo depth, thread, instruction set or restart changes
//! a bit of it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::cast_possible_truncation, reason = "tests")]

mod common;

use std::path::Path;
use std::process::Command;

use common::jobs::{
    self, BEYOND, PERIODIC_OR_WALL, Variant, elastics, gases, lattices, maxwells, text, variants, waters, waves,
};
use common::layouts::{Bits, Case, Layout, all_parts, history, instruction_sets};
use ringfort::advance::{Blocking, Simd, Tiling};
use ringfort::checkpoint::{self, Checkpoint, Disk};

/// Steps of each run: rounds of 1 to 5 steps, most with a shorter one at the end.
const STEPS: u64 = 7;

/// Several steps in one pass or not, in tiles of one cell and of many.
const BLOCKINGS: [Blocking; 7] = [
    Blocking::Never,
    tiles(0, 1, 1),
    tiles(0, usize::MAX, 1),
    tiles(0, 1, 5),
    tiles(4000, 200, 3),
    tiles(1 << 20, usize::MAX, 1),
    tiles(1 << 20, 1, 1),
];

const fn tiles(ring_bytes: usize, row_bytes: usize, tiles: usize) -> Blocking {
    Blocking::Tiles(Tiling { ring_bytes, row_bytes, tiles, margins: 0 })
}

/// What was run and compared.
#[derive(Default)]
struct Tally {
    jobs: usize,
    runs: usize,
    values: usize,
    /// Runs by steps per exchange in force.
    in_force: [usize; 6],
    lowered: usize,
    refused: usize,
}

impl Tally {
    /// A layout with the next instruction set, number of threads and blocking in turn. Several threads are slow to start, so
    /// most runs have one.
    fn layout(&self, parts: &[usize], steps_per_exchange: usize) -> Layout {
        let sets = instruction_sets();
        let threads = if self.runs % 4 == 1 { 2 + self.runs / 4 % 3 } else { 1 };
        let blocking = BLOCKINGS[self.runs / 3 % BLOCKINGS.len()];
        Layout { parts: parts.to_vec(), threads, steps_per_exchange, simd: sets[self.runs % sets.len()], blocking }
    }

    /// Runs `case` on each of `cuts`, exchanging after each of `depths` steps.
    fn cuts<T: Bits>(&mut self, case: &Case<T>, variant: Variant, cuts: &[Vec<usize>], depths: &[usize]) {
        self.jobs += 1;
        for parts in cuts {
            for &depth in depths {
                let layout = self.layout(parts, depth);
                match steps_in_force(case, variant, &layout) {
                    None => {
                        self.refused += 1;
                        assert!(case.shape(&layout).is_err(), "{layout:?}\n{}", case.job.text);
                    }
                    Some(steps) => {
                        let shape = case.shape(&layout).unwrap();
                        assert_eq!(shape.steps_per_exchange, steps, "{layout:?}\n{}", case.job.text);
                        assert_eq!(shape.note.is_some(), steps < depth, "{:?}", shape.note);
                        self.in_force[steps] += 1;
                        self.lowered += usize::from(steps < depth);
                        self.values += case.check(&layout);
                        self.runs += 1;
                    }
                }
            }
        }
    }

    /// The same in one precision, 8 bytes if `wide`, on all cuts into at most 8 parts.
    fn job(&mut self, grid: (&[usize], &[&str]), variant: Variant, wide: bool, depths: &[usize]) {
        self.some(grid, (variant, wide), &all_parts(grid.0.len(), 8), depths);
    }

    /// The same on some cuts.
    fn some(
        &mut self,
        (points, beyond): (&[usize], &[&str]),
        (variant, wide): (Variant, bool),
        cuts: &[Vec<usize>],
        depths: &[usize],
    ) {
        let text = |precision| text(points, beyond, variant, precision, STEPS);
        match wide {
            true => self.cuts(&Case::<f64>::new(&text("f64")), variant, cuts, depths),
            false => self.cuts(&Case::<f32>::new(&text("f32")), variant, cuts, depths),
        }
    }

    fn print(&self, what: &str, least: usize) {
        println!(
            "{what}: {} runs of {} jobs, {} values compared; T = 1 to 5 in force in {:?}, lowered in {}; {} layouts refused",
            self.runs,
            self.jobs,
            self.values,
            &self.in_force[1..],
            self.lowered,
            self.refused
        );
        assert!(self.runs >= least, "{} runs are too few", self.runs);
        assert!(self.in_force[1..].iter().all(|&runs| runs > least / 100), "{:?}", self.in_force);
    }
}

/// Steps between exchanges that `layout` must get; none if a part would be empty or narrower than a step's halo.
fn steps_in_force<T: Bits>(case: &Case<T>, variant: Variant, layout: &Layout) -> Option<usize> {
    let grid = &case.job.grid;
    let mut steps = layout.steps_per_exchange;
    for (at, &parts) in layout.parts.iter().enumerate() {
        let axis = grid.first() + at;
        let largest = grid.points[axis].div_ceil(parts);
        let smallest = grid.points[axis].checked_sub(largest * (parts - 1)).filter(|&cells| cells > 0)?;
        if parts > 1 || grid.periodic(axis) {
            steps = steps.min(smallest / variant.radius(axis == 3));
        }
    }
    (steps > 0).then_some(steps)
}

/// A variant of heat and one of relay; all come up as `turn` counts on.
fn one_of_each(turn: usize) -> [Variant; 2] {
    let (heat, relay): (Vec<_>, Vec<_>) =
        variants().into_iter().partition(|variant| matches!(variant, Variant::Heat { .. }));
    [heat[turn % heat.len()], relay[turn % relay.len()]]
}

#[test]
fn one_axis() {
    let mut tally = Tally::default();
    for points in [1, 2, 3, 5, 17, 33] {
        for beyond in BEYOND {
            for variant in variants() {
                for wide in [true, false] {
                    tally.job((&[points], &[beyond]), variant, wide, &[1, 2, 3, 4, 5]);
                }
            }
        }
    }
    tally.print("one axis, everything", 15_000);
}

#[test]
fn two_axes() {
    let mut tally = Tally::default();
    for (at, points) in [[1, 5], [4, 17], [6, 9], [12, 33]].into_iter().enumerate() {
        for (low, first) in BEYOND.into_iter().enumerate() {
            for (high, last) in BEYOND.into_iter().enumerate() {
                let turn = at + 3 * low + high;
                for variant in one_of_each(turn) {
                    tally.job((&points, &[first, last]), variant, (low + high) % 2 == 0, &[1 + turn % 5, 5 - turn % 3]);
                }
            }
        }
    }
    tally.print("two axes, all pairs of boundaries", 10_000);
}

#[test]
fn water() {
    let mut tally = Tally::default();
    for (at, points) in [[1, 9], [9, 20], [25, 33]].into_iter().enumerate() {
        for (low, first) in BEYOND.into_iter().enumerate() {
            for (high, last) in BEYOND.into_iter().enumerate() {
                let turn = at + 3 * low + high;
                let variant = waters()[turn % 4];
                tally.job((&points, &[first, last]), variant, (low + high) % 2 == 0, &[1 + turn % 5]);
            }
        }
    }
    tally.print("water on two axes, all pairs of boundaries", 2_000);
}

#[test]
fn gray_scott() {
    let mut tally = Tally::default();
    for (at, points) in [[1, 5], [4, 17], [12, 33]].into_iter().enumerate() {
        for (low, first) in BEYOND.into_iter().enumerate() {
            for (high, last) in BEYOND.into_iter().enumerate() {
                let turn = at + 3 * low + high;
                tally.job((&points, &[first, last]), Variant::GrayScott, (low + high) % 2 == 0, &[1 + turn % 5]);
            }
        }
    }
    tally.print("Gray and Scott on two axes, all pairs of boundaries", 3_000);
    let three = every_choice(&[&[3, 4, 17], &[5, 6, 3]], 3, |_, _| Variant::GrayScott);
    three.print("Gray and Scott on three axes, all choices of boundaries", 2_000);
}

#[test]
fn life() {
    let mut tally = Tally::default();
    for (turn, beyond) in choices(&BEYOND, 2).enumerate() {
        let (points, wide) = ([[4, 17], [12, 33]][turn % 2], turn / 2 % 2 == 0);
        tally.job((&points, &beyond), Variant::Life, wide, &[1 + turn % 5]);
    }
    tally.print("life, all pairs of boundaries", 500);
}

#[test]
fn lattice_boltzmann() {
    let mut tally = Tally::default();
    let all = lattices();
    for (turn, beyond) in choices(&BEYOND, 2).enumerate() {
        let (points, wide) = ([[4, 17], [12, 33]][turn % 2], turn / 2 % 2 == 0);
        tally.some((&points, &beyond), (all[turn / 3 % 4], wide), &some_parts(2, turn), &[1 + turn % 5]);
    }
    tally.print("lattice Boltzmann on two axes, all pairs of boundaries", 200);
    let mut tally = Tally::default();
    for (turn, beyond) in choices(&BEYOND, 3).enumerate().step_by(7) {
        let (points, wide) = ([[3, 4, 17], [5, 6, 3]][turn % 2], turn / 2 % 2 == 0);
        tally.some((&points, &beyond), (all[turn / 3 % 4], wide), &some_parts(3, turn), &[1 + turn % 5]);
    }
    tally.print("lattice Boltzmann on three axes, some boundaries", 200);
}

#[test]
fn gas() {
    let all = gases();
    for (axes, sizes) in [(1, [[1, 1, 9], [1, 1, 33]]), (2, [[1, 9, 20], [1, 25, 33]]), (3, [[9, 4, 13], [5, 8, 12]])] {
        let mut tally = Tally::default();
        for (turn, beyond) in choices(&BEYOND, axes).enumerate().step_by([1, 1, 1, 11][axes]) {
            let (points, wide) = (&sizes[turn % 2][3 - axes..], turn / 2 % 2 == 0);
            tally.some((points, &beyond), (all[turn / 3 % 2], wide), &some_parts(axes, turn), &[1 + turn % 5]);
        }
        tally.print(&format!("gas on {axes} axes"), 10);
    }
}

/// One part, and three of the ways to cut `axes` axes into at most 8, others at each turn.
fn some_parts(axes: usize, turn: usize) -> Vec<Vec<usize>> {
    let all = all_parts(axes, 8);
    (0..4)
        .map(|number| if number == 0 { all[0].clone() } else { all[(3 * turn + number) % all.len()].clone() })
        .collect()
}

#[test]
fn wave() {
    let mut tally = Tally::default();
    let all = waves();
    for points in [1, 2, 3, 5, 17, 33] {
        for (turn, beyond) in BEYOND.into_iter().enumerate() {
            for (at, &variant) in all.iter().enumerate() {
                tally.job((&[points], &[beyond]), variant, (turn + at) % 2 == 0, &[1 + (turn + at) % 5]);
            }
        }
    }
    tally.print("waves on one axis, everything", 5_000);
    let mut tally = Tally::default();
    for (at, points) in [[1, 5], [9, 20], [14, 33]].into_iter().enumerate() {
        for (low, first) in BEYOND.into_iter().enumerate() {
            for (high, last) in BEYOND.into_iter().enumerate() {
                let turn = 100 * at + 10 * low + high;
                tally.job((&points, &[first, last]), all[turn % 48], turn / 2 % 2 == 0, &[1 + turn % 5]);
            }
        }
    }
    tally.print("waves on two axes, all pairs of boundaries", 2_000);
    let three = every_choice(&[&[3, 4, 17], &[9, 6, 5], &[13, 8, 4]], 5, |turn, _| waves()[turn % 48]);
    three.print("waves on three axes, all choices of boundaries", 2_000);
}

/// Every choice of which of `some` lies beyond each of `axes` axes.
fn choices(some: &'static [&'static str], axes: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let axis = |at: usize, turn: usize| some[turn / some.len().pow(at as u32) % some.len()];
    (0..some.len().pow(axes as u32)).map(move |turn| (0..axes).map(|at| axis(at, turn)).collect())
}

/// Staggered fields on grids of such sizes, in all of `variants`: between walls and around, on all cuts into at most 4 parts.
fn staggered(variants: &[Variant], sizes: &[&[usize]]) -> Tally {
    let mut tally = Tally::default();
    for (at, &variant) in variants.iter().enumerate() {
        for (turn, beyond) in choices(&PERIODIC_OR_WALL, sizes[0].len()).enumerate() {
            let points = sizes[(at + turn) % sizes.len()];
            let cuts = all_parts(points.len(), 4);
            tally.some((points, &beyond), (variant, (at + turn) % 2 == 0), &cuts, &[1 + (at + 2 * turn) % 5]);
        }
    }
    tally
}

#[test]
fn maxwell() {
    let all = maxwells();
    staggered(&all, &[&[1], &[2], &[5], &[17], &[34]]).print("maxwell on one axis", 40);
    staggered(&all, &[&[1, 5], &[9, 20], &[25, 18]]).print("maxwell on two axes", 100);
    staggered(&all[..5], &[&[13, 3, 17], &[5, 12, 4]]).print("maxwell on three axes", 100);
    rows_of(&[all[1], all[9]]);
}

#[test]
fn elastic() {
    let all = elastics();
    staggered(&all, &[&[4, 5], &[9, 20], &[25, 18]]).print("elastic on two axes", 100);
    staggered(&all[..5], &[&[13, 4, 17], &[5, 12, 6]]).print("elastic on three axes", 100);
    rows_of(&[all[3], all[6]]);
}

/// Rows of staggered fields, of lengths around those of vectors, with every instruction set and several threads.
fn rows_of(variants: &[Variant]) {
    for &variant in variants {
        for points in [2, 7, 8, 9, 15, 16, 17, 33].into_iter().filter(|&points| points >= variant.radius(true)) {
            let beyond = [PERIODIC_OR_WALL[1], PERIODIC_OR_WALL[points % 2]];
            let wide = Case::<f64>::new(&text(&[6, points], &beyond, variant, "f64", 2));
            let narrow = Case::<f32>::new(&text(&[6, points], &beyond, variant, "f32", 2));
            for simd in instruction_sets() {
                for threads in [1, 3] {
                    let layout = Layout { threads, simd, steps_per_exchange: 2, ..Layout::alone(2) };
                    wide.check(&layout);
                    narrow.check(&layout);
                }
            }
        }
    }
}

/// Every choice of boundaries, each alone and on `cuts` cuts; cuts, sizes, precisions and depths take turns. `variant` gives the
/// variant by turn and by the sum of the turn's digits: the kind of boundary, summed over the axes.
fn every_choice(sizes: &[&[usize]], cuts: usize, variant: impl Fn(usize, usize) -> Variant) -> Tally {
    let mut tally = Tally::default();
    let axes = sizes[0].len();
    let all = all_parts(axes, 8);
    let mut others = all[1..].iter().cycle();
    for (turn, beyond) in choices(&BEYOND, axes).enumerate() {
        let some: Vec<_> = all[..1].iter().chain(others.by_ref().take(cuts)).cloned().collect();
        let digits: usize = (0..axes).map(|at| turn / 10_usize.pow(at as u32) % 10).sum();
        let variant = variant(turn, digits);
        let points = sizes[turn / 4 % sizes.len()];
        tally.some((points, &beyond), (variant, turn / 3 % 2 == 0), &some, &[1 + turn / 7 % 5]);
    }
    tally
}

/// Every boundary of every axis meets both kernels, whatever the other axes have.
fn either(turn: usize, digits: usize) -> Variant {
    one_of_each(turn / 2)[digits % 2]
}

#[test]
fn three_axes() {
    every_choice(&[&[3, 4, 17], &[5, 6, 3], &[10, 2, 9]], 11, either)
        .print("three axes, all choices of boundaries", 5_000);
}

#[test]
fn four_axes() {
    every_choice(&[&[2, 3, 4, 5], &[6, 1, 2, 7], &[2, 5, 3, 4]], 1, either)
        .print("four axes, all choices of boundaries", 10_000);
}

/// Rows of all lengths around the widest vectors, with every instruction set and number of threads.
#[test]
fn rows_and_threads() {
    let sets = instruction_sets();
    let mut runs = 0;
    for points in (1..=40).chain([1100]) {
        for variant in variants().into_iter().chain([Variant::GrayScott]).chain(waves().into_iter().step_by(5)) {
            let (points, beyond): (&[usize], &[&str]) = match points {
                1100 if variant == Variant::GrayScott => (&[2, 1100], &["\"wall\"", "\"open\""]),
                1100 => (&[1100], &["\"open\""]),
                _ if points < variant.radius(true).max(3) => (&[5, points], &["\"periodic\"", "\"wall\""]),
                _ => (&[5, points], &["\"fixed\"", "\"periodic\""]),
            };
            let wide = Case::<f64>::new(&text(points, beyond, variant, "f64", 2));
            let narrow = Case::<f32>::new(&text(points, beyond, variant, "f32", 2));
            for &simd in &sets {
                for threads in 1..=4 {
                    let layout = Layout { threads, simd, steps_per_exchange: 2, ..Layout::alone(points.len()) };
                    wide.check(&layout);
                    narrow.check(&layout);
                    runs += 2;
                }
            }
        }
    }
    println!("rows of 1 to 40 cells, threads 1 to 4, {sets:?}: {runs} runs");
    assert!(runs >= 3280 * sets.len(), "{runs} runs are too few");
}

/// A time step found from a Courant number is the same for all layouts, and as good as the same one given in seconds.
#[test]
fn courant_numbers_give_one_time_step() {
    let mut runs = 0;
    for variant in variants().into_iter().chain([Variant::GrayScott]).chain(waves().into_iter().step_by(5)) {
        let courant = text(&[6, 15], &[BEYOND[4], BEYOND[0]], variant, "f64", 5).replace("dt = 0.1", "courant = 0.4");
        let courant = courant.replace("name = \"relay\"", "name = \"steady-relay\"");
        let job = jobs::parse(&courant);
        let (dt, _) = history::<f64>(&job, &Layout::alone(2));
        let case = Case::<f64> { job, ..Case::new(&courant.replace("courant = 0.4", &format!("dt = {dt:?}"))) };
        for parts in all_parts(2, 8) {
            let layout = Layout { parts, steps_per_exchange: 2, ..Layout::alone(2) };
            if case.shape(&layout).is_ok() {
                case.check(&layout);
                runs += 1;
            }
        }
    }
    println!("time steps from Courant numbers: {runs} runs");
    assert!(runs >= 100, "{runs}");
}

/// A layout that was cut by hand exists for every number of ranks that some cut serves, and gives the same bits too.
#[test]
fn cuts_are_found_wherever_there_are_some() {
    let mut found = 0;
    for points in [vec![1, 9], vec![9, 2], vec![2, 9, 3], vec![7], vec![2, 1, 12], vec![1, 1, 2, 6]] {
        for beyond in [BEYOND[0], BEYOND[4]] {
            for variant in one_of_each(1) {
                let case = Case::<f64>::new(&text(&points, &vec![beyond; points.len()], variant, "f64", 3));
                for ranks in 1..=8 {
                    let layout =
                        |parts: Vec<usize>| Layout { parts, steps_per_exchange: 2, ..Layout::alone(points.len()) };
                    let by_hand = all_parts(points.len(), ranks)
                        .into_iter()
                        .map(layout)
                        .filter(|layout| layout.ranks() == ranks && case.shape(layout).is_ok())
                        .count();
                    let best = case.best(ranks);
                    assert_eq!(best.is_ok(), by_hand > 0, "{ranks} ranks: {best:?}\n{}", case.job.text);
                    if let Ok(shape) = best {
                        let parts = case.job.grid.own(&shape.cuts.parts()).to_vec();
                        case.check(&layout(parts));
                        found += 1;
                    }
                }
            }
        }
    }
    println!("cuts found for {found} numbers of ranks");
    assert!(found >= 80, "{found}");
}

/// The program itself, told which instruction set to use, says so in its record and writes the same checkpoint.
#[test]
fn the_environment_names_the_instruction_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    let variant = Variant::Heat { varying: true, perfusion: Some(true) };
    std::fs::write(&path, text(&[9, 21], &[BEYOND[4], BEYOND[1]], variant, "f32", 20)).unwrap();
    let mut dirs = Vec::new();
    for (simd, name) in [(Simd::Avx512, "avx512"), (Simd::Avx2, "avx2"), (Simd::Baseline, "baseline")] {
        let dir = folder.path().join(name);
        let mut run = Command::new(env!("CARGO_BIN_EXE_ringfort"));
        run.args(["run", "--threads", "1", "--local-ranks", "2", "--out"]).arg(&dir).arg(&path);
        let output = run.env("RINGFORT_SIMD", name).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let record = std::fs::read_to_string(dir.join("run.json")).unwrap();
        assert!(record.contains(&format!("\"{}\"", simd.at_most())), "{simd} in {record}");
        dirs.push(checkpoint::folder(&dir, 20));
    }
    let open = |dir: &Path| Checkpoint::open(&Disk, dir).unwrap();
    for dir in &dirs[1..] {
        assert!(checkpoint::compare(&open(&dirs[0]), &open(dir)).unwrap().same(), "{}", dir.display());
    }
}
