//! The files that the bad jobs name.
#![allow(unreachable_pub, reason = "shared by modules")]

use std::path::Path;
use std::process::Command;

/// Bytes of a `.npy` file of type `descr`.
fn npy(descr: &str, order: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), values].concat()
}

/// The numbers 0 to 11, one of them replaced.
fn doubles(at: usize, special: f64) -> Vec<u8> {
    let mut values: Vec<f64> = (0..12_u8).map(f64::from).collect();
    values[at] = special;
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The files that the jobs name.
pub fn prepare(folder: &Path) {
    let good = npy("<f8", "False", "(3, 4)", &doubles(1, -1.0));
    let mut long = good.clone();
    long[8..10].copy_from_slice(&[0xff, 0xff]);
    for (name, bytes) in [
        ("cut.npy", good[..good.len() - 3].to_vec()),
        ("long.npy", long),
        ("good.npy", good),
        ("empty.npy", Vec::new()),
        ("note.txt", b"3 4 5\n".to_vec()),
        ("lying.npy", npy("<f8", "False", "(4611686018427387904, 4611686018427387904)", &[0; 96])),
        ("big.npy", npy(">f8", "False", "(3, 4)", &[0; 96])),
        ("fortran.npy", npy("<f8", "True", "(3, 4)", &[0; 96])),
        ("wide.npy", npy("<f4", "False", "(5, 6)", &[0; 120])),
        ("nan.npy", npy("<f8", "False", "(3, 4)", &doubles(6, f64::NAN))),
        ("inf.npy", npy("<f8", "False", "(3, 4)", &doubles(0, f64::NEG_INFINITY))),
        ("labels.npy", npy("|u1", "False", "(3, 4)", &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 7])),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    std::fs::create_dir(folder.join("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
}
