//! The search against one that tries everything.
//!
//! Input: grids, numbers of parts, radii. Invariant: `brute` shares with the search nothing but `Cuts`, and chooses
//! among equal cuts by the rule written out here, so both must find the same cut, not only one that is as good. A
//! change of that rule changes how jobs that name no parts are cut.

use super::*;
use crate::decomp::CutError;
use crate::grid::{Boundary, Units};

fn grid(points: &[usize], periodic: bool) -> Grid {
    let beyond = if periodic { Boundary::Periodic } else { Boundary::Wall };
    let mut all = [1; AXES];
    all[AXES - points.len()..].copy_from_slice(points);
    Grid {
        axes: points.len(),
        points: all,
        spacing: [1.0; AXES],
        origin: [0.0; AXES],
        units: Units::Metres,
        boundary: [[beyond; 2]; AXES],
    }
}

/// Best cuts by trying every number on every axis but the last.
fn brute(grid: &Grid, parts: usize, radius: Extents) -> Option<Extents> {
    fn try_all(
        (grid, radius): (&Grid, Extents),
        axis: usize,
        rest: usize,
        sofar: Extents,
        best: &mut Option<((usize, usize, Extents), Extents)>,
    ) {
        for count in 1..=rest.min(grid.points[axis]) {
            if !rest.is_multiple_of(count) || (axis == AXES - 1 && count != rest) {
                continue;
            }
            let mut parts = sofar;
            parts[axis] = count;
            if axis < AXES - 1 {
                try_all((grid, radius), axis + 1, rest / count, parts, best);
                continue;
            }
            let Ok(cuts) = Cuts::new(grid.points, parts) else { continue };
            if !cuts.fits(grid, radius) {
                continue;
            }
            let block = cuts.largest();
            let cells: usize = block.iter().product();
            let faces = (0..AXES).filter(|&axis| parts[axis] > 1).map(|axis| radius[axis] * cells / block[axis]);
            let score = (cells, faces.sum(), [parts[3], parts[2], parts[1], parts[0]]);
            if best.is_none_or(|(least, _)| score < least) {
                *best = Some((score, parts));
            }
        }
    }
    let mut best = None;
    try_all((grid, radius), grid.first(), parts, [1; AXES], &mut best);
    best.map(|(_, parts)| parts)
}

fn agree(points: &[usize], radius: Extents, counts: impl Iterator<Item = usize>) {
    let grids = [grid(points, false), grid(points, true)];
    for parts in counts {
        for grid in &grids {
            let found = best(grid, parts, radius).map(|cuts| cuts.parts());
            assert_eq!(found, brute(grid, parts, radius), "{parts} parts of {points:?}, radius {radius:?}");
        }
    }
}

#[test]
fn the_best_is_the_best_of_all() {
    agree(&[720, 1080], [1; AXES], 1..=400);
    agree(&[97, 50, 36], [1, 2, 1, 3], 1..=400);
    agree(&[30, 41, 8, 20], [1; AXES], 1..=200);
    agree(&[1000], [2; AXES], 1..=600);
}

#[test]
#[ignore = "half a minute of one core in a release build"]
fn the_best_is_the_best_of_all_up_to_20_000() {
    agree(&[1080, 432], [1; AXES], 1..=20_000);
    agree(&[181, 217, 150], [1, 4, 2, 1], 1..=20_000);
    agree(&[40, 64, 50, 33], [1; AXES], 1..=20_000);
}

#[test]
fn nearest_counts_are_the_nearest() {
    for (points, radius) in [(vec![13], 1), (vec![7, 11], 2), (vec![5, 9, 4], 1), (vec![3, 4, 5, 6], 1)] {
        for periodic in [false, true] {
            let grid = grid(&points, periodic);
            let radius = [radius; AXES];
            let most = grid.region().cells() + 3;
            let fits: Vec<usize> = (1..=most).filter(|&parts| brute(&grid, parts, radius).is_some()).collect();
            for parts in 0..=most {
                let below = fits.iter().copied().filter(|&count| count < parts).max();
                let above = fits.iter().copied().find(|&count| count > parts);
                assert_eq!(nearest(&grid, parts, radius), (below, above), "{parts} parts of {points:?}");
            }
        }
    }
    let grid = grid(&[1 << 20, 1 << 20], true);
    let refused = Cuts::best(&grid, 1_299_709, [600_000; AXES]).unwrap_err();
    assert_eq!(refused, CutError::NoCut { parts: 1_299_709, below: Some(1), above: None });
}

#[test]
fn weights_turn_the_cut() {
    let grid = grid(&[64, 64], false);
    assert_eq!(Cuts::best(&grid, 8, [1, 1, 1, 1]).unwrap().parts(), [1, 1, 4, 2]);
    assert_eq!(Cuts::best(&grid, 8, [1, 1, 4, 1]).unwrap().parts(), [1, 1, 1, 8]);
}
