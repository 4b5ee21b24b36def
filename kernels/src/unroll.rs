//! Loops over axes and weights, unrolled in the source.
//!
//! A compiler unrolls a kernel's loops by itself only while all of them together are short. Where it does not, slots
//! and offsets are numbers of a running program: addresses are computed point by point, which takes longer than the
//! arithmetic.
//!
//! Invariant: the body stands in the source once for each of 0, 1 and 2, in this order, so that what it adds up is
//! added in the same order everywhere. A bound above 3 would leave numbers out without a word.

/// Runs its body for each whole number below a bound, 3 at most, with the number as a constant.
macro_rules! unroll {
    ($number:ident < $most:expr, $body:block) => {
        unroll!($number ($most) $body 0 1 2)
    };
    ($number:ident ($most:expr) $body:block $($value:literal)*) => {
        $({
            const $number: usize = $value;
            if $number < $most $body
        })*
    };
}

pub(crate) use unroll;
