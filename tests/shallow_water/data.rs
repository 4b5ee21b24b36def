//! The shipped measurements, whole or thinned out.

use std::ops::Range;
use std::path::Path;

/// Rows and columns of a `.npy` of two axes that holds `f4`.
pub(super) fn read_f4(path: &str) -> (usize, usize, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).unwrap();
    let shape = header.split('(').nth(1).unwrap().split(')').next().unwrap();
    let shape: Vec<usize> = shape.split(',').map(|text| text.trim().parse().unwrap()).collect();
    let values = bytes[start..].chunks_exact(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())));
    (shape[0], shape[1], values.collect())
}

/// Writes every `stride`-th row (from `rows`) and column of `path` to `to`; gives the shape.
pub(super) fn thin(path: &str, rows: Range<usize>, stride: usize, to: &Path) -> (usize, usize) {
    let (_, width, values) = read_f4(path);
    let kept: Vec<usize> = rows.step_by(stride).collect();
    let columns = width.div_ceil(stride);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {columns}), }}\n", kept.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    for row in &kept {
        for x in (0..width).step_by(stride) {
            bytes.extend(values[row * width + x].to_le_bytes());
        }
    }
    std::fs::write(to, bytes).unwrap();
    (kept.len(), columns)
}

/// Rows of a `.npy` of two axes that holds `f8`.
pub(super) fn read_f8(path: &str) -> Vec<Vec<f64>> {
    let bytes = std::fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).unwrap();
    let columns: usize = header.split(", ").find_map(|text| text.strip_suffix(')')?.parse().ok()).unwrap();
    let values = bytes[start..].chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
    values.collect::<Vec<_>>().chunks_exact(columns).map(<[f64]>::to_vec).collect()
}
