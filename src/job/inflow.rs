//! `[[inflow]]`: values beyond a side of the grid, as functions of time.
//!
//! Input: a file of two columns, time in seconds and value. Output: an [`Inflow`], its times rising. Invariant: times
//! and values are finite and there is at least one; the side is open, and no field flows in twice through the same
//! side.

use std::path::Path;

use ringfort_engine::inflow::Inflow;
use ringfort_kernels::Declaration;

use super::document::Document;
use super::error::JobError;
use super::npy::{self, Scalar};
use super::schema;
use crate::grid::{AXES, Boundary, Grid, Side};

/// Largest file in bytes: a series of millions of values.
const MOST_BYTES: u64 = 1 << 28;

/// All inflows of a job.
pub(super) fn inflows(
    document: &Document,
    given: &[schema::Inflow],
    (grid, folder): (&Grid, &Path),
    declaration: &Declaration,
) -> Result<Vec<Inflow>, JobError> {
    let mut all: Vec<Inflow> = Vec::new();
    for (number, given) in given.iter().enumerate() {
        let number = number.to_string();
        let path = |key| ["inflow", number.as_str(), key];
        let (axis, side) = side(document, &path("side"), &given.side, grid)?;
        let known: Vec<&str> = declaration.fields.iter().filter(|field| field.inflow).map(|field| field.name).collect();
        if known.is_empty() {
            let problem = format!("the kernel {} takes no inflow; remove [[inflow]]", declaration.name);
            return Err(document.wrong(&path("field"), problem));
        }
        let slot = declaration.fields.iter().position(|field| field.inflow && field.name == given.field);
        let slot = slot.ok_or_else(|| document.unknown_word(&path("field"), "field", &given.field, &known))?;
        if all.iter().any(|other| (other.axis, other.side, other.slot) == (axis, side, slot)) {
            return Err(document.wrong(&path("side"), format!("{} flows in there already", given.field)));
        }
        let series = series(&folder.join(&given.file))
            .map_err(|problem| document.wrong(&path("file"), format!("{}: {problem}", given.file)))?;
        all.push(Inflow::new((axis, side), slot, series));
    }
    Ok(all)
}

/// Axis and side of a word such as `x-low`.
fn side(document: &Document, path: &[&str], text: &str, grid: &Grid) -> Result<(usize, Side), JobError> {
    let words = (grid.first()..AXES).flat_map(|axis| Side::BOTH.map(|side| (word(grid, axis, side), axis, side)));
    let words: Vec<_> = words.collect();
    let Some((_, axis, side)) = words.iter().find(|(word, ..)| word == text) else {
        let names: Vec<&str> = words.iter().map(|(word, ..)| word.as_str()).collect();
        return Err(document.unknown_word(path, "side", text, &names));
    };
    if grid.boundary[*axis][*side as usize] != Boundary::Open {
        return Err(document.wrong(path, format!("{text} is not \"open\" in [grid] boundary; open it")));
    }
    Ok((*axis, *side))
}

fn word(grid: &Grid, axis: usize, side: Side) -> String {
    let end = if side == Side::Low { "low" } else { "high" };
    format!("{}-{end}", grid.name(axis))
}

/// Times and values in the file at `path`: a `.npy` of shape (n, 2), or text with a header and two columns.
fn series(path: &Path) -> Result<Vec<(f64, f64)>, String> {
    let about = std::fs::metadata(path).map_err(|error| format!("cannot open it: {error}"))?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(format!("it is no regular file of at most {MOST_BYTES} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read it: {error}"))?;
    let series = if bytes.starts_with(b"\x93NUMPY") { from_npy(&bytes)? } else { from_text(&bytes)? };
    if let Some(at) = series.iter().position(|(time, value)| !(time.is_finite() && value.is_finite())) {
        return Err(format!("row {at} is not finite; give times and values"));
    }
    if series.is_empty() {
        return Err("it has no rows; give at least one time and value".to_owned());
    }
    match series.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
        Some(at) => Err(format!("the time of row {} is not after that of row {at}; sort the rows by time", at + 1)),
        None => Ok(series),
    }
}

#[allow(clippy::cast_precision_loss, reason = "whole numbers beyond 2^53 are rounded to the nearest")]
fn from_npy(bytes: &[u8]) -> Result<Vec<(f64, f64)>, String> {
    let header = npy::header(bytes)?;
    let [rows, 2] = header.shape[..] else {
        return Err(format!("it has shape {:?}; give an array of shape (n, 2)", header.shape));
    };
    let data = &bytes[header.start..];
    let value = |at| match header.kind.read(data, at) {
        Scalar::Float(value) => value,
        Scalar::Integer(value) => value as f64,
    };
    Ok((0..rows).map(|row| (value(2 * row), value(2 * row + 1))).collect())
}

fn from_text(bytes: &[u8]) -> Result<Vec<(f64, f64)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither .npy nor text".to_owned())?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let row = line.split_once(',').and_then(|(time, value)| Some((number_in(time)?, number_in(value)?)));
        rows.push(
            row.ok_or_else(|| format!("line {} is not `time,value`; give two columns after a header", number + 1))?,
        );
    }
    Ok(rows)
}

fn number_in(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_header_and_two_columns() {
        assert_eq!(from_text(b"time,value\n0, 1.5\n2,-3e-1\n\n"), Ok(vec![(0.0, 1.5), (2.0, -0.3)]));
        for bad in ["t,v\n1\n", "t,v\n1,2,3\n", "t,v\na,b\n"] {
            assert!(from_text(bad.as_bytes()).is_err(), "{bad}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("series.csv");
        for (text, fine) in
            [("t,v\n0,1\n1,2\n", true), ("t,v\n1,1\n1,2\n", false), ("t,v\n", false), ("t,v\n0,nan\n", false)]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(series(&path).is_ok(), fine, "{text}");
        }
    }
}
