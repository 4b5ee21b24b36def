//! Files of probes and outputs, read without the code that wrote them.
#![allow(unreachable_pub, reason = "shared within a test binary")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Names and contents.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// All files of probes and outputs of the run in `dir`.
pub fn tree(dir: &Path) -> Tree {
    let mut all = Tree::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name == "probes" || name.ends_with(".zarr") {
            add(&entry.path(), &name, &mut all);
        }
    }
    assert!(!all.is_empty());
    all
}

fn add(path: &Path, name: &str, all: &mut Tree) {
    if path.is_file() {
        all.insert(name.to_owned(), fs::read(path).unwrap());
        return;
    }
    for entry in fs::read_dir(path).unwrap().flatten() {
        add(&entry.path(), &format!("{name}/{}", entry.file_name().to_str().unwrap()), all);
    }
}

/// Writes the files of `tree` into `dir`.
pub fn copy(tree: &Tree, dir: &Path) {
    for (name, bytes) in tree {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Values of `width` bytes in the chunk at `path`, whose checksum must be right.
pub fn values(path: &Path, width: usize) -> Vec<f64> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (values, checksum) = bytes.split_last_chunk::<4>().unwrap();
    assert_eq!(crc32c::crc32c(values), u32::from_le_bytes(*checksum));
    match width {
        4 => values.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
        _ => values.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
    }
}
