//! Boxes of arrays, and labels that stand for values.
//!
//! Input: files written for one test, which count up from 0. Invariant: each cell of a box has another number,
//! computed from its place, so that a wrong offset cannot hide.

use ringfort_kernels::Allowed;

use super::*;
use crate::grid::{Boundary, Units};

fn grid(points: &[usize]) -> Grid {
    let mut all = [1; AXES];
    all[AXES - points.len()..].copy_from_slice(points);
    Grid {
        axes: points.len(),
        points: all,
        spacing: [1.0; AXES],
        origin: [0.0; AXES],
        units: Units::Metres,
        boundary: [[Boundary::Periodic; 2]; AXES],
    }
}

/// A file of `i2` values 0, 1, 2 .. of `shape`.
fn counted(folder: &Path, shape: &[usize]) -> PathBuf {
    let path = folder.join("a.npy");
    let words: Vec<String> = shape.iter().map(|extent| format!("{extent},")).collect();
    let header = format!("{{'descr': '<i2', 'fortran_order': False, 'shape': ({})}}", words.concat());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    for value in 0..shape.iter().product::<usize>() {
        bytes.extend(i16::try_from(value).unwrap().to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_box_of_a_box() {
    let folder = tempfile::tempdir().unwrap();
    let path = counted(folder.path(), &[4, 5, 6]);
    let grid = grid(&[2, 3, 4]);
    for (z, y, x) in [(0, 0, 0), (2, 2, 2), (1, 0, 2)] {
        let input = Input::open(&path, Allowed::ALL).unwrap().with_box(Some(&[z, y, x]), &grid).unwrap();
        let value = |cell: Extents| {
            let at = |axis: usize, start: u64| cell[axis] + usize::try_from(start).unwrap();
            f64::from(u32::try_from((at(1, z) * 5 + at(2, y)) * 6 + at(3, x)).unwrap())
        };
        for start in grid.region().rows().flat_map(|[_, z, y]| (0..4).map(move |x| [0, z, y, x])) {
            let extent = std::array::from_fn(|axis| (grid.points[axis] - start[axis]).min(2));
            let region = Region { start, extent };
            let mut out = vec![-1.0; region.cells()];
            input.fill(&grid, &region, &mut out).unwrap();
            for (row, cells) in region.rows().zip(out.chunks(extent[3])) {
                for (offset, got) in cells.iter().enumerate() {
                    assert_eq!(*got, value([row[0], row[1], row[2], start[3] + offset]));
                }
            }
        }
    }
    for start in [[3, 0, 0], [0, 3, 0], [0, 0, 3], [u64::MAX, 0, 0]] {
        let error = Input::open(&path, Allowed::ALL).unwrap().with_box(Some(&start), &grid).unwrap_err();
        assert!(matches!(error, InputError::Box { .. }), "{error}");
    }
    let input = Input::open(&path, Allowed::ALL).unwrap();
    assert!(matches!(input.clone().with_box(Some(&[0, 0]), &grid), Err(InputError::StartLength { .. })));
    assert!(matches!(input.with_box(None, &grid), Err(InputError::Shape { .. })));
}

#[test]
fn labels_stand_for_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = counted(folder.path(), &[3]);
    let grid = grid(&[3]);
    let open = |values: &[f64]| Input::open(&path, Allowed::ALL).unwrap().with_values(Some(values.into())).unwrap();
    let mut out = [0.0_f32; 3];
    open(&[0.1, 0.2, 0.3]).fill(&grid, &grid.region(), &mut out).unwrap();
    assert_eq!(out, [0.1, 0.2, 0.3]);
    let error = open(&[0.1, 0.2]).fill(&grid, &grid.region(), &mut out).unwrap_err().to_string();
    assert!(error.contains("label 2 at [2], beyond the table of 2 values; labels run from 0 to 1"), "{error}");
    let input = Input::open(&path, Allowed::AtLeast(1.0)).unwrap();
    let error = input.fill(&grid, &grid.region(), &mut out).unwrap_err().to_string();
    assert!(error.contains("holds 0 at [0]; the least value that makes sense is 1"), "{error}");
    assert_eq!(input.hash(), blake3::hash(&std::fs::read(&path).unwrap()));
}
