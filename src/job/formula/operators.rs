//! The operators of formulas, on `libm`.
//!
//! Input: one or two numbers. Output: one. Invariant: all of it is arithmetic of `f64` and functions of `libm`, never
//! those of the system, so that it has the same bits on every machine; the table is in the order of the names. The
//! order in which a power multiplies may not change: it decides the bits.

/// Functions of one value, in the order of their names.
pub(super) const FUNCTIONS_OF_ONE: [fn(f64) -> f64; super::FUNCTIONS.len()] = [
    libm::sin,
    libm::cos,
    libm::tan,
    libm::asin,
    libm::acos,
    libm::atan,
    libm::sinh,
    libm::cosh,
    libm::tanh,
    libm::exp,
    libm::log,
    libm::log,
    libm::log10,
    libm::log2,
    libm::sqrt,
    libm::fabs,
    libm::floor,
    libm::ceil,
    libm::round,
    step,
    sign,
];

/// True for exponents whose power is a product.
pub(super) fn whole(exponent: f64) -> bool {
    exponent == libm::trunc(exponent) && exponent.abs() <= 1024.0
}

/// `base` to the power `exponent`: by multiplication where that is a whole number up to 1024.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    if whole(exponent) {
        let [power] = powers([base], exponent);
        return power;
    }
    libm::pow(base, exponent)
}

/// Each of `base` to the power `exponent`, a whole number up to 1024.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number up to 1024")]
#[inline(always)]
pub(super) fn powers<const N: usize>(base: [f64; N], exponent: f64) -> [f64; N] {
    let mut left = exponent.abs() as u32;
    let mut square = base;
    let mut product = [1.0; N];
    while left > 0 {
        if left & 1 == 1 {
            for lane in 0..N {
                product[lane] *= square[lane];
            }
        }
        for lane in 0..N {
            square[lane] *= square[lane];
        }
        left >>= 1;
    }
    if exponent < 0.0 { product.map(|value| 1.0 / value) } else { product }
}

/// The smaller value; NaN if one is.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if b < a || b.is_nan() { b } else { a }
}

/// The larger value; NaN if one is.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a < b || b.is_nan() { b } else { a }
}

/// 1 from zero up, 0 below; NaN stays.
fn step(a: f64) -> f64 {
    match a {
        a if a >= 0.0 => 1.0,
        a if a < 0.0 => 0.0,
        nan => nan,
    }
}

/// 1, -1, or the zero or NaN itself.
fn sign(a: f64) -> f64 {
    match a {
        a if a > 0.0 => 1.0,
        a if a < 0.0 => -1.0,
        other => other,
    }
}
