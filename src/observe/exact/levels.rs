//! Slices of values into an exact sum, many at once.
//!
//! Input: a slice of values. Output: all of them added to a sum. Invariant: nothing is lost to rounding on the way,
//! so that the sum has the bytes that adding them one by one gives; a batch with a value that is too large or not
//! finite is added one by one.
//!
//! Adding and subtracting a large constant splits each value, without error, into a multiple of a coarse unit and a
//! rest (`ExtractVector` of S. M. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation, part I", SIAM J. Sci.
//! Comput. 31, 2008). The unit is so coarse that the multiples of a whole batch add up without rounding. A level of
//! 44 bits is summed so, then the rests as the next level; what few values reach further down are added one by one.

use super::ExactSum;

/// Values of a batch: their sum is at most `2^ROOM` times the largest.
const BATCH: usize = 1 << ROOM;
const ROOM: i32 = 9;
/// Bits between two levels: 53, less the room for carries.
const DEPTH: i32 = 53 - ROOM;
/// Values of smaller size than this power of two begin at it, so that no level is subnormal.
const LEAST: i32 = -700;
/// Values up to this power of two leave room for the constants.
const MOST: i32 = 900;
/// Passes of two levels each before the rests are added one by one.
const PASSES: usize = 2;
/// Values worked on at once.
const LANES: usize = 8;

/// Adds all `values` to `sum`.
pub(super) fn add_all(sum: &mut ExactSum, values: &[f64]) {
    let mut rests = [0.0; BATCH];
    for batch in values.chunks(BATCH) {
        let (batch, odd) = batch.as_chunks::<LANES>();
        odd.iter().for_each(|value| sum.add(*value));
        let (rests, _) = rests[..batch.len() * LANES].as_chunks_mut();
        add(sum, batch, rests);
    }
}

fn add(sum: &mut ExactSum, batch: &[[f64; LANES]], rests: &mut [[f64; LANES]]) {
    let mut power = above(batch).max(LEAST);
    let one_by_one = |sum: &mut ExactSum, values: &[[f64; LANES]]| {
        values.as_flattened().iter().filter(|value| **value != 0.0).for_each(|value| sum.add(*value));
    };
    if power > MOST {
        return one_by_one(sum, batch);
    }
    rests.copy_from_slice(batch);
    for _ in 0..PASSES {
        let (sums, left) = two_levels(rests, power);
        if !sums.iter().all(|sum| sum.is_finite()) {
            // There is a NaN, and all splits are spoiled: only in the first pass.
            return one_by_one(sum, batch);
        }
        sums.iter().for_each(|level| sum.add(*level));
        if !left {
            return;
        }
        power -= 2 * DEPTH;
    }
    one_by_one(sum, rests);
}

/// Exponent of a power of two above the size of all values that are no NaN.
fn above(batch: &[[f64; LANES]]) -> i32 {
    let mut most = [0.0; LANES];
    for values in batch {
        for lane in 0..LANES {
            let size = values[lane].abs();
            most[lane] = if size > most[lane] { size } else { most[lane] };
        }
    }
    let most = most.into_iter().fold(0.0, |a: f64, b| if b > a { b } else { a });
    #[allow(clippy::cast_possible_truncation, reason = "an exponent has 11 bits")]
    let exponent = (most.to_bits() >> 52) as i32;
    exponent - 1022
}

/// Sums of two levels of `values`, whose size is at most `2^power`; `values` become what lies below, and the flag says whether
/// any of it is not zero.
fn two_levels(values: &mut [[f64; LANES]], power: i32) -> ([f64; 2], bool) {
    let magic = [constant(power + ROOM), constant(power + ROOM - DEPTH)];
    let mut sums = [[0.0; LANES]; 2];
    let mut left = [0; LANES];
    for values in values {
        for lane in 0..LANES {
            let mut rest = values[lane];
            for level in 0..2 {
                let multiple = (rest + magic[level]) - magic[level];
                sums[level][lane] += multiple;
                rest -= multiple;
            }
            values[lane] = rest;
            left[lane] |= rest.to_bits() << 1;
        }
    }
    // Without rounding, as all before.
    (sums.map(|lanes| lanes.into_iter().sum()), left.into_iter().any(|bits| bits != 0))
}

/// `1.5 * 2^power`: sums of it and of anything much smaller are multiples of `2^(power - 52)`.
fn constant(power: i32) -> f64 {
    f64::from_bits((u64::from((power + 1023).unsigned_abs()) << 52) | 1 << 51)
}
