//! Numbers that a kernel computes with: one value or a vector of them, in either precision.
//!
//! Invariant: every operation rounds each value as IEEE 754 says, so that a vector of any width gives the same
//! bits as one value at a time. A product and a sum are fused only where the kernel writes [`Lane::mul_add`].

use std::fmt::Debug;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// Truth of a comparison for each value of a lane.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {}

/// One value or a vector of values that stand for neighbouring points of a row.
pub trait Lane:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Result of a comparison.
    type Mask: Mask;

    /// `value` in every place, rounded to the lane's precision.
    fn of(value: f64) -> Self;

    /// `self * factor + term` with one rounding.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;

    /// Value without its sign.
    fn abs(self) -> Self;

    /// `self < other`; false where either is NaN.
    fn lt(self, other: Self) -> Self::Mask;

    /// `self <= other`; false where either is NaN.
    fn le(self, other: Self) -> Self::Mask;

    /// `self == other`; false where either is NaN, true for zeros of unlike sign.
    fn equals(self, other: Self) -> Self::Mask;

    /// `yes` where `mask` holds, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// `other` where `self < other`, else `self`: keeps a NaN in `self`, and `self` among equal zeros.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        Self::select(self.lt(other), other, self)
    }

    /// `other` where `other < self`, else `self`: keeps a NaN in `self`, and `self` among equal zeros.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        Self::select(other.lt(self), other, self)
    }
}

/// Precision of a field's values: `f32` or `f64`.
pub trait Real: Lane<Mask = bool> + PartialOrd + Debug + Default + Send + Sync + 'static {
    /// Bytes of one value.
    const BYTES: usize;
    /// NumPy's and Zarr's name of the type, `float32` or `float64`.
    const NAME: &'static str;

    /// The value as `f64`, exact.
    fn to_f64(self) -> f64;

    /// True for neither infinity nor NaN.
    fn finite(self) -> bool;

    /// Writes the value's little-endian bytes to `to`, which holds [`Real::BYTES`].
    fn write_le(self, to: &mut [u8]);

    /// Value of the little-endian bytes in `from`, which holds [`Real::BYTES`].
    fn read_le(from: &[u8]) -> Self;
}

impl Mask for bool {}

macro_rules! scalar {
    ($t:ty, $bytes:literal, $name:literal) => {
        impl Lane for $t {
            type Mask = bool;

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "rounding to the lane's precision is the purpose")]
            fn of(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                <$t>::mul_add(self, factor, term)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn lt(self, other: Self) -> bool {
                self < other
            }
            #[inline(always)]
            fn le(self, other: Self) -> bool {
                self <= other
            }
            #[inline(always)]
            fn equals(self, other: Self) -> bool {
                self == other
            }
            #[inline(always)]
            fn select(mask: bool, yes: Self, no: Self) -> Self {
                if mask { yes } else { no }
            }
        }

        impl Real for $t {
            const BYTES: usize = $bytes;
            const NAME: &'static str = $name;

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn write_le(self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn read_le(from: &[u8]) -> Self {
                let mut bytes = [0; $bytes];
                bytes.copy_from_slice(from);
                Self::from_le_bytes(bytes)
            }
        }
    };
}

scalar!(f32, 4, "float32");
scalar!(f64, 8, "float64");
