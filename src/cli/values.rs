//! Fields that commands write to files: which there are, and NumPy arrays of them.
//!
//! Input: a job and a name; values. Output: a slot; a file. Invariant: a file is there whole or not at all, since it
//! is written as `NAME.part` and then renamed; values are little-endian on every machine, and a `.npy` head has a
//! length that is a multiple of 64 bytes.
//!
//! Source: NumPy enhancement proposal 1, "A simple file format for NumPy arrays".

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ringfort_kernels::{Real, Role};

use crate::exit::Failure;
use crate::job::{Job, unknown_word};

/// Slot of the field called `name`, if it has values: a component, or a coefficient or derived field.
///
/// # Errors
///
/// A usage error with the fields that there are.
pub(super) fn find(job: &Job, name: &str) -> Result<usize, Failure> {
    let shown = |role| matches!(role, Role::Component | Role::Coefficient | Role::Derived);
    let known: Vec<&str> =
        job.declaration.fields.iter().filter(|field| shown(field.role)).map(|field| field.name).collect();
    let slot = job.declaration.slot(name).filter(|_| known.contains(&name));
    let slot = slot.ok_or_else(|| Failure::usage(unknown_word("field", name, &known)))?;
    if job.declaration.fields[slot].role == Role::Coefficient && job.sources[slot].is_none() {
        return Err(Failure::usage(format!("the job gives no `{name}`, so it has no values")));
    }
    Ok(slot)
}

/// Writes the file `out` by `fill`, under another name first, so that it is there whole or not at all.
///
/// # Errors
///
/// A usage error if it cannot be written, or what `fill` fails with.
pub(super) fn write(
    out: &Path,
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let part = PathBuf::from(format!("{}.part", out.display()));
    let refused = |source: io::Error| Failure::usage(format!("cannot write {}: {source}", out.display()));
    let mut file = BufWriter::new(File::create(&part).map_err(refused)?);
    let written = fill(&mut |bytes| file.write_all(bytes).map_err(refused))
        .and_then(|()| file.flush().and_then(|()| fs::rename(&part, out)).map_err(refused));
    if written.is_err() {
        let _may_be_absent = fs::remove_file(&part);
    }
    written
}

/// Little-endian bytes of `values`.
pub(super) fn bytes<T: Real>(values: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * T::BYTES];
    for (to, value) in bytes.chunks_exact_mut(T::BYTES).zip(values) {
        value.write_le(to);
    }
    bytes
}

/// What stands before the values of type `T` in a `.npy` file: magic, version, and a dictionary padded to 64 bytes.
pub(super) fn npy_head<T: Real>(shape: &[usize]) -> Vec<u8> {
    let words: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let words = if shape.len() == 1 { words.trim_end() } else { words.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({words}), }}", T::BYTES);
    let begin = 10;
    text.push_str(&" ".repeat((begin + text.len() + 1).next_multiple_of(64) - begin - text.len() - 1));
    text.push('\n');
    // Four axes of at most 13 digits: far below 2^16 bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}
