//! What a block gives of a field at one step, and its bytes on the way to where the group is written.
//!
//! Input: a block's values; then the partials of all blocks. Output: a sealed partial; then pieces with each point
//! once. Invariant: of blocks of one set of cuts every point comes once, or it is an error: a partial that is
//! damaged, of something else or missing leaves no gap, and of two that disagree none is chosen. Memory stays within
//! the length of what is read.

use super::{Layout, OutputError};
use crate::grid::{AXES, Region};
use crate::observe::rows::Reader;
use crate::observe::sealed::{self, Words};

/// First bytes of a partial.
const MAGIC: [u8; 8] = *b"RFFIELD1";

/// Values of a field at some of the points that are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The points, counted by strides.
    pub region: Region,
    /// Values in memory order, little-endian, in the type that is written.
    pub values: Vec<u8>,
}

/// Points of `block`, counted by strides.
fn points(layout: &Layout, block: &Region) -> Region {
    let start = std::array::from_fn(|axis| block.start[axis].div_ceil(layout.stride[axis]));
    let extent = std::array::from_fn(|axis| block.end(axis).div_ceil(layout.stride[axis]) - start[axis]);
    Region { start, extent }
}

/// What `block` gives of field number `field` of the output at `step`, as bytes: step, field, points and values.
#[must_use]
pub fn partial(layout: &Layout, field: usize, (step, block): (u64, &Region), read: Reader<'_>) -> Vec<u8> {
    let points = points(layout, block);
    let mut content = Vec::with_capacity(10 * 8 + points.cells() * layout.width());
    let numbers = [field].into_iter().chain(points.start).chain(points.extent);
    content.extend(step.to_le_bytes());
    content.extend(numbers.flat_map(|number| (number as u64).to_le_bytes()));
    if points.cells() > 0 {
        let mut row = vec![0.0; block.extent[AXES - 1]];
        for [w, z, y] in points.rows() {
            let [w, z, y] = [(w, 0), (z, 1), (y, 2)].map(|(at, axis)| at * layout.stride[axis]);
            let start = [w, z, y, block.start[AXES - 1]];
            read(layout.slots[field], &Region { start, extent: [1, 1, 1, row.len()] }, &mut row);
            let skipped = points.start[AXES - 1] * layout.stride[AXES - 1] - block.start[AXES - 1];
            for &value in row[skipped..].iter().step_by(layout.stride[AXES - 1]) {
                layout.push(value, &mut content);
            }
        }
    }
    sealed::seal(MAGIC, &content)
}

/// Pieces of field number `field` at `step` from the partials of all blocks: each point once.
///
/// # Errors
///
/// [`OutputError`] if a partial is damaged, of something else, missing, or two disagree.
pub fn pieces(
    layout: &Layout,
    (field, step): (usize, u64),
    partials: &[impl AsRef<[u8]>],
) -> Result<Vec<Piece>, OutputError> {
    let name = || layout.fields[field].name.clone();
    let whole = Region { start: [0; AXES], extent: layout.points };
    let mut all = Vec::new();
    for bytes in partials {
        let piece = piece(layout, (field, step), bytes.as_ref());
        let piece = piece.map_err(|problem| OutputError::Damaged { field: name(), problem })?;
        if piece.region.cells() > 0 {
            if whole.intersection(&piece.region) != Some(piece.region) {
                return Err(OutputError::Foreign { field: name(), region: piece.region });
            }
            all.push(piece);
        }
    }
    all.sort_by_key(|piece| (piece.region.start, piece.region.extent));
    all.dedup();
    if let Some(pair) = all.windows(2).find(|pair| pair[0].region.intersection(&pair[1].region).is_some()) {
        return Err(OutputError::Conflict { field: name(), region: pair[0].region });
    }
    let (found, wanted) = (all.iter().map(|piece| piece.region.cells() as u64).sum(), whole.cells() as u64);
    if found == wanted { Ok(all) } else { Err(OutputError::Points { field: name(), found, wanted }) }
}

/// The piece in a partial of `field` at `step`. Memory stays within the length of `bytes`.
fn piece(layout: &Layout, (field, step): (usize, u64), bytes: &[u8]) -> Result<Piece, &'static str> {
    let mut words = Words(sealed::open(MAGIC, bytes)?);
    if words.word()? != step || words.index()? != field {
        return Err("it is of another step or field");
    }
    let mut region = Region { start: [0; AXES], extent: [0; AXES] };
    for number in region.start.iter_mut().chain(&mut region.extent) {
        *number = words.index()?;
    }
    let mut bytes = Some(layout.width());
    for axis in 0..AXES {
        region.start[axis].checked_add(region.extent[axis]).ok_or("an index is too large")?;
        bytes = bytes.and_then(|bytes| bytes.checked_mul(region.extent[axis]));
    }
    if bytes != Some(words.0.len()) {
        return Err("its values are not as many as its points");
    }
    Ok(Piece { region, values: words.0.to_vec() })
}
