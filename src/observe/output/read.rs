//! Reading back what an output holds.
//!
//! Input: a group on the disk, perhaps of a run that goes on. Output: values of a box of points at one time, each
//! chunk checked against its checksum; points whose chunk is not there are NaN. Invariant: no value is taken from a
//! chunk whose checksum does not fit, and nothing is written or locked. A chunk is read whether its time is shown yet
//! or not: which times there are is for the caller to know.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use super::{Layout, OutputError};
use crate::checkpoint::Precision;
use crate::grid::{AXES, Extents, Region};

/// Most bytes of a group's metadata.
const MOST_METADATA: u64 = 1 << 20;

/// Time step in seconds that the group in `home` was written with; none if there is no group.
#[must_use]
pub fn time_step(home: &Path) -> Option<f64> {
    let mut bytes = Vec::new();
    File::open(home.join("zarr.json")).ok()?.take(MOST_METADATA).read_to_end(&mut bytes).ok()?;
    let document: Value = serde_json::from_slice(&bytes).ok()?;
    document.pointer("/attributes/dt")?.as_f64()
}

/// Values of field number `field` of `step` at the points of `region`, of the group of `layout` in the run's folder `dir`.
///
/// # Errors
///
/// [`OutputError::Damaged`] for a chunk that is not as it was written, [`OutputError::File`] from the system.
pub fn values(
    layout: &Layout,
    dir: &Path,
    (field, step): (usize, u64),
    region: &Region,
) -> Result<Vec<f64>, OutputError> {
    let mut out = vec![f64::NAN; region.cells()];
    for place in layout.chunks() {
        let start: Extents = std::array::from_fn(|axis| place[axis] * layout.chunk[axis]);
        let own = Region { start, extent: layout.chunk };
        let Some(both) = own.intersection(region) else { continue };
        let path = dir.join(&layout.folder).join(layout.chunk_name((field, step / layout.every), &place));
        // One byte more than there may be tells of a longer file.
        let most = (own.cells() * layout.width() + 5) as u64;
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(OutputError::File { path, action: "read", source }),
        }
        let values = checked(&bytes, own.cells() * layout.width()).ok_or_else(|| OutputError::Damaged {
            field: layout.fields[field].name.clone(),
            problem: "its checksum",
        })?;
        let row = both.extent[AXES - 1];
        for [w, z, y] in both.rows() {
            let cell = [w, z, y, both.start[AXES - 1]];
            let (from, to) = (own.offset(cell), region.offset(cell));
            for (at, out) in (from..).zip(&mut out[to..to + row]) {
                *out = value(layout.precision, values, at);
            }
        }
    }
    Ok(out)
}

/// What a chunk's file holds before its checksum, if that fits and the length is `length`.
fn checked(bytes: &[u8], length: usize) -> Option<&[u8]> {
    let (values, crc) = bytes.split_last_chunk()?;
    (values.len() == length && crc32c::crc32c(values) == u32::from_le_bytes(*crc)).then_some(values)
}

fn value(precision: Precision, values: &[u8], at: usize) -> f64 {
    match precision {
        Precision::Float32 => {
            values[4 * at..].first_chunk().map_or(f64::NAN, |bytes| f32::from_le_bytes(*bytes).into())
        }
        Precision::Float64 => values[8 * at..].first_chunk().map_or(f64::NAN, |bytes| f64::from_le_bytes(*bytes)),
    }
}
