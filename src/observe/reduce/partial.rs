//! What the cells of one block give for one reduce, and the bytes of a block on the way to where rows are made.
//!
//! Input: values of cells, other partials, or bytes. Output: partials, and bytes. Invariant: the order of values, how
//! they are cut and the order of merging change no bit of a row; `-0` is less than `+0`, and one NaN makes an extreme
//! NaN. Bytes are taken only if the checksum fits, in memory of a few times their length; whoever changes their form
//! changes the version in their magic.

use super::{Block, ReduceError};
use crate::grid::{AXES, Region};
use crate::job::{Bins, With};
use crate::observe::exact::{BYTES, ExactSum};

/// First bytes of a block's: the last is the version.
const MAGIC: [u8; 8] = *b"RFSUMS\0\x01";
/// Bytes of step, starts, extents and number of partials.
const HEADER: usize = 8 + 8 + 2 * AXES * 8 + 4;
/// Values worked on at once.
const LANES: usize = 8;

/// What some cells give for one reduce.
#[derive(Clone, Debug, PartialEq)]
pub enum Partial {
    /// Exact sum, for sums and means.
    Sum(Box<ExactSum>),
    /// Least value.
    Least(Extreme),
    /// Largest value.
    Largest(Extreme),
    /// Cells below all bins, in each bin, above all bins, and without a number.
    Counts(Vec<u64>),
}

/// The least or largest value so far, and whether there was a NaN, which then is the answer. `-0` is less than `+0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extreme {
    /// The value; an infinity where there was none.
    number: f64,
    nan: bool,
}

impl Extreme {
    /// The value, NaN if there was one.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.nan { f64::NAN } else { self.number }
    }

    fn add(&mut self, values: &[f64], before: impl Fn(f64, f64) -> bool + Copy) {
        // Comparison alone, lane by lane: a loop of whole vectors.
        let mut best = [self.number; LANES];
        let mut nan = [false; LANES];
        let (lanes, odd) = values.as_chunks::<LANES>();
        for values in lanes {
            for lane in 0..LANES {
                best[lane] = if before(values[lane], best[lane]) { values[lane] } else { best[lane] };
                nan[lane] |= values[lane].is_nan();
            }
        }
        self.nan |= nan.contains(&true);
        for value in best.iter().chain(odd) {
            self.take(*value, before);
        }
        // Zeros compare equal: where one is the answer, its sign is still open.
        if self.number == 0.0 {
            values.iter().filter(|value| **value == 0.0).for_each(|value| self.take(*value, before));
        }
    }

    fn take(&mut self, value: f64, before: impl Fn(f64, f64) -> bool) {
        let sign = |value: f64| if value.is_sign_negative() { -1.0 } else { 1.0 };
        self.nan |= value.is_nan();
        let zeros = value == 0.0 && self.number == 0.0 && before(sign(value), sign(self.number));
        if before(value, self.number) || zeros {
            self.number = value;
        }
    }
}

fn less(a: f64, b: f64) -> bool {
    a < b
}

fn more(a: f64, b: f64) -> bool {
    a > b
}

impl Partial {
    /// What no cells give.
    #[must_use]
    pub fn of(with: &With) -> Self {
        match with {
            With::Sum | With::Mean => Partial::Sum(Box::default()),
            With::Min => Partial::Least(Extreme { number: f64::INFINITY, nan: false }),
            With::Max => Partial::Largest(Extreme { number: f64::NEG_INFINITY, nan: false }),
            With::Histogram(bins) => Partial::Counts(vec![0; bins.count() + 3]),
        }
    }

    /// Adds the cells with these values.
    pub fn add(&mut self, values: &[f64], with: &With) {
        match (self, with) {
            (Partial::Sum(sum), _) => sum.add_all(values),
            (Partial::Least(extreme), _) => extreme.add(values, less),
            (Partial::Largest(extreme), _) => extreme.add(values, more),
            (Partial::Counts(counts), With::Histogram(bins)) => {
                let scale = scale(bins);
                values.iter().for_each(|&value| counts[bin(bins, scale, value)] += 1);
            }
            (Partial::Counts(_), With::Sum | With::Mean | With::Min | With::Max) => {}
        }
    }

    /// Adds the cells of `other`, which is of the same reduce.
    ///
    /// # Panics
    ///
    /// If it is of another.
    pub fn merge(&mut self, other: &Partial) {
        match (self, other) {
            (Partial::Sum(own), Partial::Sum(other)) => own.merge(other),
            (Partial::Least(own), Partial::Least(other)) => {
                own.take(other.number, less);
                own.nan |= other.nan;
            }
            (Partial::Largest(own), Partial::Largest(other)) => {
                own.take(other.number, more);
                own.nan |= other.nan;
            }
            (Partial::Counts(own), Partial::Counts(other)) => {
                own.iter_mut().zip(other).for_each(|(own, other)| *own = own.saturating_add(*other));
            }
            (own, other) => panic!("partials of different reduces: {own:?} and {other:?}"),
        }
    }

    /// True if this is a partial of a reduce of this kind.
    #[must_use]
    pub fn fits(&self, with: &With) -> bool {
        match (self, with) {
            (Partial::Sum(_), With::Sum | With::Mean)
            | (Partial::Least(_), With::Min)
            | (Partial::Largest(_), With::Max) => true,
            (Partial::Counts(counts), With::Histogram(bins)) => counts.len() == bins.count() + 3,
            (Partial::Sum(_) | Partial::Least(_) | Partial::Largest(_) | Partial::Counts(_), _) => false,
        }
    }
}

/// Bins per unit, roughly.
#[allow(clippy::cast_precision_loss, reason = "at most 2^16 bins")]
fn scale(bins: &Bins) -> f64 {
    bins.count() as f64 / (bins.edges[bins.count()] - bins.edges[0])
}

/// Place of `value` among the counts.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate, and edges decide")]
fn bin(bins: &Bins, scale: f64, value: f64) -> usize {
    let (edges, count) = (&bins.edges, bins.count());
    if value < edges[0] {
        return 0;
    }
    if value >= edges[count] {
        return count + 1;
    }
    if value.is_nan() {
        return count + 2;
    }
    // Nearly right at once, whatever the rounding; the edges say what is right.
    let mut at = (((value - edges[0]) * scale) as usize).min(count - 1);
    while value < edges[at] {
        at -= 1;
    }
    while value >= edges[at + 1] {
        at += 1;
    }
    at + 1
}

impl Block {
    /// The block as bytes: magic, step, starts, extents, partials and CRC-32C, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.partials.len() * (1 + BYTES) + 4);
        bytes.extend(MAGIC);
        bytes.extend(self.step.to_le_bytes());
        for number in self.region.start.iter().chain(&self.region.extent) {
            bytes.extend((*number as u64).to_le_bytes());
        }
        bytes.extend(length(&self.partials).to_le_bytes());
        for partial in &self.partials {
            write(partial, &mut bytes);
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// The block that `bytes` hold.
    ///
    /// # Errors
    ///
    /// [`ReduceError::Damaged`] if they are not what [`Block::to_bytes`] writes. Memory stays within a few times their
    /// length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReduceError> {
        let damaged = |problem| ReduceError::Damaged { problem };
        let (content, checksum) = bytes.split_last_chunk::<4>().ok_or(damaged("it is too short"))?;
        let Some(rest) = content.strip_prefix(&MAGIC) else { return Err(damaged("it does not begin as one")) };
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(damaged("its checksum differs"));
        }
        let mut rest = Bytes(rest);
        let step = rest.word()?;
        let mut region = Region { start: [0; AXES], extent: [0; AXES] };
        for to in region.start.iter_mut().chain(&mut region.extent) {
            *to = usize::try_from(rest.word()?).map_err(|_| damaged("an index is too large"))?;
        }
        for axis in 0..AXES {
            region.start[axis].checked_add(region.extent[axis]).ok_or(damaged("an index is too large"))?;
        }
        let cells = region.extent.iter().try_fold(1_usize, |cells, &extent| cells.checked_mul(extent));
        cells.ok_or(damaged("an index is too large"))?;
        let count = u32::from_le_bytes(*rest.take()?);
        let partials = (0..count).map(|_| rest.partial()).collect::<Result<_, _>>()?;
        if !rest.0.is_empty() {
            return Err(damaged("it is too long"));
        }
        Ok(Self { step, region, partials })
    }
}

/// Number of `items`; a job has far fewer than 2^32 of anything listed here.
fn length<V>(items: &[V]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

fn write(partial: &Partial, bytes: &mut Vec<u8>) {
    match partial {
        Partial::Sum(sum) => {
            bytes.push(0);
            bytes.extend(sum.to_bytes());
        }
        Partial::Least(extreme) | Partial::Largest(extreme) => {
            bytes.push(if matches!(partial, Partial::Least(_)) { 1 } else { 2 });
            bytes.push(u8::from(extreme.nan));
            bytes.extend(extreme.number.to_le_bytes());
        }
        Partial::Counts(counts) => {
            bytes.push(3);
            bytes.extend(length(counts).to_le_bytes());
            bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        }
    }
}

/// Bytes yet to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], ReduceError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(ReduceError::Damaged { problem: "it is too short" })?;
        self.0 = rest;
        Ok(first)
    }

    fn word(&mut self) -> Result<u64, ReduceError> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn partial(&mut self) -> Result<Partial, ReduceError> {
        let damaged = |problem| ReduceError::Damaged { problem };
        let [kind] = *self.take()?;
        match kind {
            0 => ExactSum::from_bytes(self.take()?)
                .map(|sum| Partial::Sum(sum.into()))
                .map_err(|_| damaged("it holds no sum")),
            1 | 2 => {
                let [nan] = *self.take()?;
                let number = f64::from_le_bytes(*self.take()?);
                if nan > 1 || number.is_nan() {
                    return Err(damaged("it holds no least or largest value"));
                }
                let extreme = Extreme { number, nan: nan == 1 };
                Ok(if kind == 1 { Partial::Least(extreme) } else { Partial::Largest(extreme) })
            }
            3 => {
                let count = u32::from_le_bytes(*self.take()?);
                let counts = (0..count).map(|_| self.word()).collect::<Result<Vec<u64>, _>>()?;
                if counts.len() < 4 {
                    return Err(damaged("it holds no bins"));
                }
                Ok(Partial::Counts(counts))
            }
            _ => Err(damaged("it holds something unknown")),
        }
    }
}
