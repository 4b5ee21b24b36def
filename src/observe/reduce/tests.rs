//! Reduces: rows of cut grids, bytes of blocks, extremes, bins, and files of rows that were cut at any byte.
//!
//! Invariant: rows that may hold NaN are compared as text, since NaN equals no number and `-0` equals 0. A new kind
//! of reduce belongs in `all`: cuts, gaps, repeats and damage are tried on those alone.

use std::fs;

use super::*;
use crate::decomp::Cuts;
use crate::grid::AXES;
use crate::grid::{Boundary, Units};
use crate::job::formula::Map;
use crate::observe::table::{Table, TableError};

fn grid(axes: usize) -> Grid {
    let mut points = [1; AXES];
    points[AXES - axes..].copy_from_slice(&[3, 4, 5, 7][AXES - axes..]);
    Grid {
        axes,
        points,
        spacing: [0.5; AXES],
        origin: [0.0; AXES],
        units: Units::Metres,
        boundary: [[Boundary::Periodic; 2]; AXES],
    }
}

fn reduce(name: &str, map: &str, with: With, grid: &Grid) -> Reduce {
    let map = Map::parse(map, &[("u", 0), ("v", 1)], grid).expect("formula");
    Reduce { name: name.to_owned(), map, with, every: 1 }
}

fn all(grid: &Grid) -> Vec<Reduce> {
    let histogram = With::Histogram(Bins::new(3, -1.0, 0.5).expect("bins"));
    vec![
        reduce("total", "u", With::Sum, grid),
        reduce("energy", "0.5*(u^2 + v^2)", With::Mean, grid),
        reduce("least", "u*v", With::Min, grid),
        reduce("most", "u + x", With::Max, grid),
        reduce("spread", "u", histogram, grid),
        reduce("roots", "sqrt(v)", With::Max, grid),
    ]
}

/// Some value of `slot` at the cell of this number: of many sizes, not all of one sign.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn value(slot: usize, cell: usize) -> f64 {
    let mixed = (cell * 37 + slot * 101) % 211;
    (mixed as f64 - 100.0) * [1.0, 1e-3, 1e-6, 1e-9, 1e-12][cell % 5]
}

fn read(grid: &Grid) -> impl FnMut(usize, &Region, &mut [f64]) {
    let whole = grid.region();
    move |slot, region, out| {
        for ([w, z, y], out) in region.rows().zip(out.chunks_exact_mut(region.extent[3])) {
            for (x, out) in (region.start[3]..).zip(out) {
                *out = value(slot, whole.offset([w, z, y, x]));
            }
        }
    }
}

fn blocks(grid: &Grid, reduces: &[Reduce], due: &[usize], parts: [usize; AXES]) -> Vec<Block> {
    let cuts = Cuts::new(grid.points, parts).expect("cuts");
    let block = |part| partial(grid, reduces, due, (9, &cuts.block(part)), &mut read(grid));
    (0..cuts.count()).map(block).collect()
}

#[test]
fn cuts_order_and_repeats_change_no_row() {
    for axes in 1..=4 {
        let grid = grid(axes);
        let reduces = all(&grid);
        for due in [vec![0, 1, 2, 3, 4, 5], vec![4], vec![1, 5]] {
            let rows = |blocks: &[Block]| finish(&grid, &reduces, (9, &due), blocks).expect("rows");
            let expected = rows(&blocks(&grid, &reduces, &due, [1; AXES]));
            for most in [2, 3, 4] {
                let parts = grid.points.map(|points| if points > most { most } else { 1 });
                let Ok(cuts) = Cuts::new(grid.points, parts) else { continue };
                let mut cut = blocks(&grid, &reduces, &due, cuts.parts());
                cut.reverse();
                cut.push(cut[0].clone());
                // NaN is no number, so rows are compared as they are written.
                assert_eq!(format!("{:?}", rows(&cut)), format!("{expected:?}"));
            }
        }
    }
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn rows_are_what_a_plain_loop_gives() {
    let grid = grid(2);
    let reduces = all(&grid);
    let rows =
        finish(&grid, &reduces, (9, &[0, 1, 2, 3, 4, 5]), &blocks(&grid, &reduces, &[0, 1, 2, 3, 4, 5], [1; AXES]));
    let u: Vec<f64> = (0..35).map(|cell| value(0, cell)).collect();
    let v: Vec<f64> = (0..35).map(|cell| value(1, cell)).collect();
    let exact = |values: &mut dyn Iterator<Item = f64>| {
        let mut sum = crate::observe::exact::ExactSum::default();
        values.for_each(|value| sum.add(value));
        sum.value()
    };
    let least = u.iter().zip(&v).map(|(u, v)| u * v).min_by(f64::total_cmp).expect("cells");
    let most = u.iter().enumerate().map(|(at, u)| u + 0.5 * (at % 7) as f64).max_by(f64::total_cmp).expect("cells");
    let count = |low: f64, high: f64| Number::Count(u.iter().filter(|u| low <= **u && **u < high).count() as u64);
    let energy = exact(&mut u.iter().zip(&v).map(|(u, v)| 0.5 * (u * u + v * v))) / 35.0;
    let expected = [
        ("total", Number::Value(exact(&mut u.iter().copied()))),
        ("energy", Number::Value(energy)),
        ("least", Number::Value(least)),
        ("most", Number::Value(most)),
        ("spread[-inf:-1)", count(f64::NEG_INFINITY, -1.0)),
        ("spread[-1:-0.5)", count(-1.0, -0.5)),
        ("spread[-0.5:0)", count(-0.5, 0.0)),
        ("spread[0:0.5)", count(0.0, 0.5)),
        ("spread[0.5:inf]", count(0.5, f64::INFINITY)),
        ("roots", Number::Value(f64::NAN)),
    ];
    let rows = rows.expect("rows");
    assert_eq!(rows.len(), expected.len());
    for (row, (name, value)) in rows.iter().zip(expected) {
        assert_eq!((row.name.as_str(), row.value.to_string()), (name, value.to_string()));
    }
}

#[test]
fn gaps_strangers_and_conflicts_are_refused() {
    let grid = grid(2);
    let reduces = all(&grid);
    let due = [0, 2, 4];
    let good = blocks(&grid, &reduces, &due, [1, 1, 2, 3]);
    let end = |blocks: &[Block]| finish(&grid, &reduces, (9, &due), blocks);
    assert!(end(&good).is_ok());
    assert_eq!(end(&good[1..]), Err(ReduceError::Cells { step: 9, found: 26, wanted: 35 }));
    let changed = |change: &dyn Fn(&mut Block)| {
        let mut blocks = good.clone();
        change(&mut blocks[2]);
        end(&blocks)
    };
    assert!(matches!(changed(&|block| block.step = 8), Err(ReduceError::Foreign { .. })));
    assert!(matches!(changed(&|block| block.region.start[3] += 9), Err(ReduceError::Foreign { .. })));
    assert!(matches!(changed(&|block| block.partials.swap(0, 1)), Err(ReduceError::Foreign { .. })));
    assert!(matches!(changed(&|block| drop(block.partials.pop())), Err(ReduceError::Foreign { .. })));
    let mut twice = good.clone();
    twice.push(good[3].clone());
    assert_eq!(end(&twice), end(&good));
    twice[3].partials[0].add(&[1.0], &With::Sum);
    assert!(matches!(end(&twice), Err(ReduceError::Conflict { .. })));
}

#[test]
fn bytes_survive_the_way_and_damage_is_seen() {
    let grid = grid(2);
    let reduces = all(&grid);
    let block = blocks(&grid, &reduces, &[0, 1, 2, 3, 4], [1; AXES]).remove(0);
    let bytes = block.to_bytes();
    assert_eq!(Block::from_bytes(&bytes), Ok(block));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Block::from_bytes(&damaged).is_err() && Block::from_bytes(&bytes[..at]).is_err(), "{at}");
    }
    // Sealed garbage: counts that would take all memory, and anything else.
    let body = bytes.len() - 4;
    for (at, with) in [(80, 0xff), (83, 0x7f), (84, 9), (85, 0xff), (55, 0xff), (7, 2)] {
        let mut odd = bytes[..body].to_vec();
        odd[at] = with;
        odd.extend(crc32c::crc32c(&odd).to_le_bytes());
        assert!(matches!(Block::from_bytes(&odd), Err(ReduceError::Damaged { .. })), "{at}");
    }
}

#[test]
fn extremes_do_not_depend_on_order() {
    let values = [0.0, -0.0, 3.0, -3.0, f64::INFINITY, -f64::INFINITY, f64::NAN, 1.0];
    let extreme = |with: &With, values: &[f64]| {
        let mut partial = Partial::of(with);
        partial.add(values, with);
        match partial {
            Partial::Least(extreme) | Partial::Largest(extreme) => extreme.value(),
            other => panic!("{other:?}"),
        }
    };
    // All choices of three of them, each many times over and in both orders.
    for choice in 0..values.len().pow(3) {
        let some: Vec<f64> = [1, 8, 64].map(|power| values[choice / power % 8]).to_vec();
        let mut sorted = some.clone();
        sorted.sort_by(f64::total_cmp);
        let nan = some.iter().any(|value| value.is_nan());
        let expected = |value: f64| if nan { "NaN".to_owned() } else { format!("{value:?}") };
        for repeat in [1, 2, 5, 11] {
            let mut many = some.repeat(repeat);
            for _ in 0..2 {
                many.reverse();
                assert_eq!(format!("{:?}", extreme(&With::Min, &many)), expected(sorted[0]), "{many:?}");
                assert_eq!(format!("{:?}", extreme(&With::Max, &many)), expected(sorted[2]), "{many:?}");
                for cut in 0..=many.len() {
                    for with in [With::Min, With::Max] {
                        let (mut one, mut other) = (Partial::of(&with), Partial::of(&with));
                        one.add(&many[..cut], &with);
                        other.add(&many[cut..], &with);
                        other.merge(&one);
                        let mut whole = Partial::of(&with);
                        whole.add(&many, &with);
                        assert_eq!(format!("{other:?}"), format!("{whole:?}"));
                    }
                }
            }
        }
    }
}

#[test]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn edges_decide_what_a_bin_holds() {
    let below = |value: f64| if value == 0.0 { -f64::from_bits(1) } else { value.next_down() };
    for (count, low, high) in
        [(10, 0.0, 1.0), (7, -0.3, 0.1), (1, -5.0, -4.0), (1000, 1e-3, 1e3), (3, 1.0, 1.0 + 1e-14)]
    {
        let bins = Bins::new(count, low, high).expect("bins");
        let with = With::Histogram(bins.clone());
        for (at, &edge) in bins.edges.iter().enumerate() {
            for (value, expected) in [(edge, at + 1), (below(edge), at), (edge.next_up(), at + 1)] {
                let mut partial = Partial::of(&with);
                partial.add(&[value], &with);
                let Partial::Counts(counts) = partial else { panic!("counts") };
                assert_eq!(counts.iter().position(|&count| count == 1), Some(expected), "{value} at edge {at}");
                assert_eq!(counts.iter().sum::<u64>(), 1);
            }
        }
        let mut partial = Partial::of(&with);
        partial.add(&[f64::NAN, f64::INFINITY, -f64::INFINITY, -f64::NAN], &with);
        let Partial::Counts(counts) = partial else { panic!("counts") };
        assert_eq!((counts[0], counts[count + 1], counts[count + 2]), (1, 1, 2));
    }
    for (count, low, high) in [(0, 0.0, 1.0), (2, 1.0, 1.0), (2, 1.0, 0.0), (9, 1.0, 1.0 + 1e-15), (2, -1e308, 1e308)] {
        assert!(Bins::new(count, low, high).is_none(), "{count}, {low}, {high}");
    }
}

#[test]
fn pieces_of_a_block_make_it_up() {
    for extent in [[1, 1, 1, 3], [2, 3, 5, 7], [1, 2, 200, 6], [1, 1, 3, 1200], [1, 1, 2, 512], [1, 1, 1100, 1]] {
        let block = Region { start: [1, 2, 3, 4], extent };
        let mut seen = vec![0; block.cells()];
        for piece in pieces(&block) {
            assert!(piece.cells() <= ROW);
            for [w, z, y] in piece.rows() {
                (piece.start[3]..piece.end(3)).for_each(|x| seen[block.offset([w, z, y, x])] += 1);
            }
        }
        assert!(seen.iter().all(|&count| count == 1), "{extent:?}");
    }
}

#[test]
fn numbers_are_short_and_read_back() {
    for (value, text) in [
        (0.1, "0.1"),
        (-0.0, "-0"),
        (3.0, "3"),
        (1e15, "1000000000000000"),
        (1e16, "1e16"),
        (-2.5e-7, "-2.5e-7"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::INFINITY, "inf"),
        (-f64::INFINITY, "-inf"),
    ] {
        assert_eq!(shortest(value), text);
        assert_eq!(text.parse::<f64>().expect("number").to_bits(), value.to_bits());
    }
    assert_eq!(shortest(f64::NAN), "NaN");
}

fn rows(step: u64) -> Vec<Row> {
    let row = |name: &str, value| Row { name: name.to_owned(), value };
    let third = f64::from(u32::try_from(step).expect("small")) / 3.0;
    vec![row("mass", Number::Value(third)), row("spread[0:0.5)", Number::Count(step))]
}

#[test]
fn a_file_cut_at_any_byte_goes_on_from_any_step() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(FILE);
    let steps = [0, 2, 4, 6, 8];
    let mut sums = Table::open(&path, HEADER, 0).expect("open");
    steps.iter().for_each(|&step| sums.add(step, &super::lines(step, &rows(step))).expect("write"));
    sums.sync_later()().expect("sync");
    let whole = fs::read_to_string(&path).expect("read");
    assert!(whole.starts_with("step,name,value\n0,mass,0\n0,spread[0:0.5),0\n2,mass,0.6666666666666666\n"), "{whole}");
    for cut in 0..=whole.len() {
        for from in [0, 1, 2, 6, 8, 9] {
            // What was forced to the disk before the checkpoint of step `from` is there.
            let kept: usize =
                whole.lines().take_while(|line| !line.starts_with(&from.to_string())).map(|line| line.len() + 1).sum();
            if from > 0 && cut < kept && from % 2 == 0 {
                continue;
            }
            fs::write(&path, &whole[..cut]).expect("write");
            let mut sums = Table::open(&path, HEADER, from).expect("open");
            let first = whole[..cut].rsplit_once('\n').map_or("", |(lines, _)| lines);
            let earlier = first
                .lines()
                .skip(1)
                .filter(|line| line.split_once(',').is_some_and(|(step, _)| step.parse::<u64>().expect("step") < from));
            let expected: String =
                std::iter::once("step,name,value").chain(earlier).map(|line| format!("{line}\n")).collect();
            assert_eq!(fs::read_to_string(&path).expect("read"), expected, "cut at {cut}, from {from}");
            steps
                .iter()
                .filter(|&&step| step >= from)
                .for_each(|&step| sums.add(step, &super::lines(step, &rows(step))).expect("write"));
            if from % 2 == 0 {
                assert_eq!(fs::read_to_string(&path).expect("read"), whole, "cut at {cut}, from {from}");
            }
        }
    }
}

#[test]
fn another_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(FILE);
    for other in ["name,value\n1,2\n", "step,name,values\n", "x", &"x".repeat(5000)] {
        fs::write(&path, other).expect("write");
        let error = Table::open(&path, HEADER, 0).expect_err("foreign");
        assert!(error.to_string().contains("left as it is"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("read"), other);
    }
    // A line of garbage ends what is kept.
    fs::write(&path, "step,name,value\n0,a,1\n\0\0\0\n2,a,1\n").expect("write");
    Table::open(&path, HEADER, 9).expect("open");
    assert_eq!(fs::read_to_string(&path).expect("read"), "step,name,value\n0,a,1\n");
    assert!(matches!(Table::open(folder.path(), HEADER, 0), Err(TableError::File { action: "opened", .. })));
}
