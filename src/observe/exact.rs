//! Exact sums of `f64`: order-free, mergeable, rounded once.
//!
//! Input: values, in any order and any grouping. Output: their sum, rounded to nearest even. Invariant: what a sum says and
//! its bytes depend on the multiset of values alone.
//!
//! A sum is a whole number of `2^-1074`, the least subnormal, held in bins of 32 bits with room above for carries (the small
//! superaccumulator of R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015,
//! <https://arxiv.org/abs/1505.05571>). Slices of many values are first added up in two levels of 44 bits, which is faster.
//!
//! A NaN, or infinities of both signs, make the sum NaN; infinities of one sign make it that infinity. A sum of exactly zero
//! is `+0`, also that of `-0` alone. A sum beyond the largest finite number rounds to an infinity, but only as a whole:
//! what happens on the way is of no matter.

mod levels;

/// Bins: room for the 2098 bits of a finite value, for the sum of 2^64 of them, and for the sign.
const BINS: usize = 68;
/// Bits of a bin after carrying.
const BITS: u32 = 32;
/// Values whose halves fit a bin of 64 bits before carries must go on: each adds less than 2^53 to a bin.
const BEFORE_CARRY: u32 = 1 << 9;
/// Bits of the mantissa that are stored.
const STORED: u32 = 52;
/// Bytes of a sum: flags of special values, then the bins.
pub const BYTES: usize = 1 + 4 * BINS;

/// An exact sum.
#[derive(Clone, Debug)]
pub struct ExactSum {
    /// Bin `i` counts `2^(32 i - 1074)`.
    bins: [i64; BINS],
    /// Values added since carries last went on.
    added: u32,
    /// Values that are no finite numbers: NaN, infinity, minus infinity.
    special: [bool; 3],
}

impl Default for ExactSum {
    fn default() -> Self {
        Self { bins: [0; BINS], added: 0, special: [false; 3] }
    }
}

/// Bytes that are no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that are no exact sum; compute it again")]
pub struct NoSum;

impl ExactSum {
    /// Adds one value.
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = (bits >> STORED) & 0x7ff;
        let stored = bits & ((1 << STORED) - 1);
        if exponent == 0x7ff {
            let kind = if stored != 0 { 0 } else { 1 + usize::from(value < 0.0) };
            self.special[kind] = true;
            return;
        }
        // Subnormals have the scale of the least normal numbers, and no leading bit.
        let (shift, mantissa) = if exponent == 0 { (0, stored) } else { (exponent - 1, stored | (1 << STORED)) };
        #[allow(clippy::cast_possible_truncation, reason = "at most 2045")]
        let (bin, within) = ((shift / u64::from(BITS)) as usize, (shift % u64::from(BITS)) as u32);
        let low = ((mantissa << within) & u64::from(u32::MAX)).cast_signed();
        let high = (mantissa >> (BITS - within)).cast_signed();
        let sign = if value < 0.0 { -1 } else { 1 };
        self.bins[bin] += sign * low;
        self.bins[bin + 1] += sign * high;
        self.added += 1;
        if self.added == BEFORE_CARRY {
            self.carry();
        }
    }

    /// Adds all `values`.
    pub fn add_all(&mut self, values: &[f64]) {
        levels::add_all(self, values);
    }

    /// Adds the values of another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (own, other) in self.bins.iter_mut().zip(other.bins) {
            *own += other;
        }
        self.carry();
        for (own, other) in self.special.iter_mut().zip(other.special) {
            *own |= other;
        }
    }

    /// Carries on, so that all bins but the last lie from 0 to `2^32 - 1`; the last one has the sign. This form is unique.
    fn carry(&mut self) {
        let mut carry = 0;
        for bin in &mut self.bins[..BINS - 1] {
            let sum = *bin + carry;
            *bin = sum & i64::from(u32::MAX);
            carry = sum >> BITS;
        }
        self.bins[BINS - 1] += carry;
        self.added = 0;
    }

    /// The sum, rounded to the nearest `f64`, to the even one of two.
    #[must_use]
    pub fn value(&self) -> f64 {
        match self.special {
            [true, ..] | [_, true, true] => return f64::NAN,
            [_, true, _] => return f64::INFINITY,
            [.., true] => return f64::NEG_INFINITY,
            [false, false, false] => {}
        }
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.bins[BINS - 1] < 0;
        if negative {
            sum.bins.iter_mut().for_each(|bin| *bin = -*bin);
            sum.carry();
        }
        let size = rounded(&sum.bins);
        if negative { -size } else { size }
    }

    /// The sum as bytes: special values, then bins, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let mut sum = self.clone();
        sum.carry();
        let mut bytes = [0; BYTES];
        let flags = sum.special.iter().rev().fold(0, |flags, special| (flags << 1) | u8::from(*special));
        bytes[0] = flags;
        for (to, bin) in bytes[1..].chunks_exact_mut(4).zip(&sum.bins) {
            to.copy_from_slice(&bin.to_le_bytes()[..4]);
        }
        bytes
    }

    /// The sum that `bytes` hold.
    ///
    /// # Errors
    ///
    /// [`NoSum`] if they are not what [`ExactSum::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Result<Self, NoSum> {
        let mut sum = Self::default();
        if bytes[0] >= 1 << sum.special.len() {
            return Err(NoSum);
        }
        for (at, special) in sum.special.iter_mut().enumerate() {
            *special = (bytes[0] >> at) & 1 == 1;
        }
        let (words, _) = bytes[1..].as_chunks::<4>();
        for (bin, word) in sum.bins.iter_mut().zip(words) {
            *bin = i64::from(u32::from_le_bytes(*word));
        }
        if let Some(word) = words.last() {
            sum.bins[BINS - 1] = i64::from(i32::from_le_bytes(*word));
        }
        Ok(sum)
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

/// The number that `bins`, carried on and not negative, stand for, rounded to nearest even.
fn rounded(bins: &[i64; BINS]) -> f64 {
    let top = bins.iter().rposition(|&bin| bin != 0).unwrap_or(0);
    // The top three bins hold the leading bit and 64 bits or more below it; all others can only break a tie.
    let least = top.saturating_sub(2);
    let head = (least..=top).rev().fold(0_u128, |head, at| (head << BITS) | u128::from(bins[at].unsigned_abs()));
    let rest = bins[..least].iter().any(|&bin| bin != 0);
    let length = u128::BITS - head.leading_zeros();
    let drop = length.saturating_sub(STORED + 1);
    let (mantissa, dropped) = (head >> drop, head & ((1 << drop) - 1));
    let half = (1 << drop) >> 1;
    let up = dropped > half || (dropped == half && drop > 0 && (rest || mantissa & 1 == 1));
    // The mantissa's leading bit adds one to the exponent, unless the number is subnormal; so does rounding up to the next
    // power of two, be it infinity.
    let shift = least as u128 * u128::from(BITS) + u128::from(drop);
    let bits = (shift << STORED) + mantissa + u128::from(up);
    f64::from_bits(u64::try_from(bits).unwrap_or(u64::MAX).min(f64::INFINITY.to_bits()))
}

#[cfg(test)]
mod tests;
