//! The part of a plane in one block, and its bytes on the way to where the picture is drawn.
//!
//! Input: cells and their values, or bytes. Output: the other. Invariant: values keep their bits; bytes that were cut
//! or changed are refused, and what they hold has as many values as cells, in no more memory than their length calls
//! for. Another order of the bytes needs another magic: processes read each other's.

use super::ImageError;
use crate::grid::{AXES, Region};

/// The part of a plane that lies in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// Its cells, in global indices.
    pub region: Region,
    /// Their values in memory order.
    pub values: Vec<f64>,
}

/// First bytes of a partial.
const MAGIC: [u8; 8] = *b"RFIMAGE1";
/// Bytes before a partial's values.
const HEADER: usize = 8 + 2 * AXES * 8;

impl Partial {
    /// The partial as bytes: magic, starts, extents, values and CRC-32C, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 8 * self.values.len() + 4);
        bytes.extend(MAGIC);
        for number in self.region.start.iter().chain(&self.region.extent) {
            bytes.extend((*number as u64).to_le_bytes());
        }
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The partial that `bytes` hold.
    ///
    /// # Errors
    ///
    /// [`ImageError::Damaged`] if they are not what [`Partial::to_bytes`] writes. Memory stays within their length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImageError> {
        let damaged = |problem| ImageError::Damaged { problem };
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or(damaged("it is too short"))?;
        if content.len() < HEADER || content[..8] != MAGIC {
            return Err(damaged("it does not begin as one"));
        }
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(damaged("its checksum differs"));
        }
        let word = |at: usize| {
            let bytes = content[8 + 8 * at..].first_chunk::<8>().ok_or(damaged("it is too short"))?;
            usize::try_from(u64::from_le_bytes(*bytes)).map_err(|_| damaged("an index is too large"))
        };
        let mut region = Region { start: [0; AXES], extent: [0; AXES] };
        let mut cells = Some(1_usize);
        for axis in 0..AXES {
            region.start[axis] = word(axis)?;
            region.extent[axis] = word(AXES + axis)?;
            region.start[axis].checked_add(region.extent[axis]).ok_or(damaged("an index is too large"))?;
            cells = cells.and_then(|cells| cells.checked_mul(region.extent[axis]));
        }
        let values = &content[HEADER..];
        if cells.and_then(|cells| cells.checked_mul(8)) != Some(values.len()) {
            return Err(damaged("its values are not as many as its cells"));
        }
        let (values, _) = values.as_chunks::<8>();
        Ok(Self { region, values: values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way_and_damage_is_seen() {
        let partial = Partial {
            region: Region { start: [0, 4, 3, 6], extent: [1, 1, 2, 3] },
            values: vec![1.5, -0.0, f64::MIN_POSITIVE, f64::INFINITY, 1e300, -7.25],
        };
        let bytes = partial.to_bytes();
        assert_eq!(Partial::from_bytes(&bytes).expect("whole"), partial);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Partial::from_bytes(&damaged).is_err() && Partial::from_bytes(&bytes[..at]).is_err(), "{at}");
        }
        // Sealed garbage: extents that multiply beyond all memory.
        let mut huge = bytes[..bytes.len() - 4].to_vec();
        huge[8 + 32..8 + 64].fill(0x7f);
        huge.extend(crc32c::crc32c(&huge).to_le_bytes());
        assert!(matches!(Partial::from_bytes(&huge), Err(ImageError::Damaged { .. })));
    }
}
