//! Vectors of AVX-512 and AVX2: one macro call each.
//!
//! Input and output: registers, and rows of values in memory. Invariant: values of these types exist only inside the
//! functions of `rows` that are compiled for their instruction set, and what is inlined there; these are called only
//! where it was detected, and all that is unsafe here rests on that. Every operation rounds each value as the scalar
//! one does: products and sums are fused in `mul_add` alone, and a comparison with NaN is false. Loads and stores
//! need no alignment, but for those past the cache.

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use ringfort_kernels::{Lane, Mask};

use super::Vector;

/// Defines a vector type: name, register, scalar, width, mask type, then its intrinsics.
macro_rules! vector {
    ($name:ident, $reg:ty, $t:ty, $width:literal, $mask:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $fma:ident, $sqrt:ident, $splat:ident, $load:ident, $store:ident, $past:ident, $neg:expr, $abs:expr,
     $lt:expr, $le:expr, $eq:expr, $select:expr $(, $near:ident)?) => {
        #[doc = concat!(stringify!($width), " values of ", stringify!($t), ".")]
        #[derive(Clone, Copy)]
        pub(crate) struct $name($reg);

        impl Add for $name {
            type Output = Self;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: values of this type exist only where the instruction set was detected.
                Self(unsafe { $add(self.0, other.0) })
            }
        }
        impl Sub for $name {
            type Output = Self;
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $sub(self.0, other.0) })
            }
        }
        impl Mul for $name {
            type Output = Self;
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $mul(self.0, other.0) })
            }
        }
        impl Div for $name {
            type Output = Self;
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $div(self.0, other.0) })
            }
        }
        impl Neg for $name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $neg(self.0) })
            }
        }
        impl Lane for $name {
            type Mask = $mask;

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "rounding to the lane's precision is the purpose")]
            fn of(value: f64) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $splat(value as $t) })
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $fma(self.0, factor.0, term.0) })
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $sqrt(self.0) })
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $abs(self.0) })
            }
            #[inline(always)]
            fn lt(self, other: Self) -> $mask {
                // SAFETY: as for `add`.
                $mask(unsafe { $lt(self.0, other.0) })
            }
            #[inline(always)]
            fn le(self, other: Self) -> $mask {
                // SAFETY: as for `add`.
                $mask(unsafe { $le(self.0, other.0) })
            }
            #[inline(always)]
            fn equals(self, other: Self) -> $mask {
                // SAFETY: as for `add`.
                $mask(unsafe { $eq(self.0, other.0) })
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                // SAFETY: as for `add`.
                Self(unsafe { $select(mask.0, yes.0, no.0) })
            }
        }
        impl Vector<$t> for $name {
            const WIDTH: usize = $width;

            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: readable, says the caller.
                Self(unsafe { $load(from) })
            }
            $(
                #[inline(always)]
                unsafe fn load_near(from: *const $t, cells: isize) -> Self {
                    // SAFETY: readable, says the caller.
                    Self(unsafe { $near(from, cells) })
                }
            )?
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: writable, says the caller.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn store_past_cache(self, to: *mut $t) {
                // SAFETY: writable and aligned, says the caller.
                unsafe { $past(to, self.0) }
            }
            #[inline(always)]
            fn fetch(from: *const $t) {
                // SAFETY: a hint, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
            }
            #[inline(always)]
            fn fence() {
                // SAFETY: every x86-64 processor has it.
                unsafe { _mm_sfence() }
            }
        }
    };
}

/// Defines a mask type over a register or bit set.
macro_rules! mask {
    ($name:ident, $reg:ty, $and:expr, $or:expr, $not:expr) => {
        #[doc = concat!("Truth values in a ", stringify!($reg), ".")]
        #[derive(Clone, Copy)]
        pub(crate) struct $name($reg);

        impl BitAnd for $name {
            type Output = Self;
            #[inline(always)]
            fn bitand(self, other: Self) -> Self {
                Self($and(self.0, other.0))
            }
        }
        impl BitOr for $name {
            type Output = Self;
            #[inline(always)]
            fn bitor(self, other: Self) -> Self {
                Self($or(self.0, other.0))
            }
        }
        impl Not for $name {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self($not(self.0))
            }
        }
        impl Mask for $name {}
    };
}

/// Inlined helpers for operations that are not one intrinsic.
macro_rules! helper {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name($($arg: $ty),*) -> $out {
                // SAFETY: values of these register types exist only where the instruction set was detected.
                unsafe { $body }
            }
        )*
    };
}

helper! {
    neg_pd8(a: __m512d) -> __m512d = _mm512_castsi512_pd(_mm512_xor_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(i64::MIN)));
    neg_ps16(a: __m512) -> __m512 = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi32(i32::MIN)));
    neg_pd4(a: __m256d) -> __m256d = _mm256_xor_pd(a, _mm256_set1_pd(-0.0));
    neg_ps8(a: __m256) -> __m256 = _mm256_xor_ps(a, _mm256_set1_ps(-0.0));
    abs_pd4(a: __m256d) -> __m256d = _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
    abs_ps8(a: __m256) -> __m256 = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
    lt_pd8(a: __m512d, b: __m512d) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b);
    le_pd8(a: __m512d, b: __m512d) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b);
    eq_pd8(a: __m512d, b: __m512d) -> __mmask8 = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b);
    lt_ps16(a: __m512, b: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b);
    le_ps16(a: __m512, b: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b);
    eq_ps16(a: __m512, b: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b);
    lt_pd4(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_LT_OQ>(a, b);
    le_pd4(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_LE_OQ>(a, b);
    eq_pd4(a: __m256d, b: __m256d) -> __m256d = _mm256_cmp_pd::<_CMP_EQ_OQ>(a, b);
    lt_ps8(a: __m256, b: __m256) -> __m256 = _mm256_cmp_ps::<_CMP_LT_OQ>(a, b);
    le_ps8(a: __m256, b: __m256) -> __m256 = _mm256_cmp_ps::<_CMP_LE_OQ>(a, b);
    eq_ps8(a: __m256, b: __m256) -> __m256 = _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b);
    pick_pd8(m: __mmask8, yes: __m512d, no: __m512d) -> __m512d = _mm512_mask_blend_pd(m, no, yes);
    pick_ps16(m: __mmask16, yes: __m512, no: __m512) -> __m512 = _mm512_mask_blend_ps(m, no, yes);
    pick_pd4(m: __m256d, yes: __m256d, no: __m256d) -> __m256d = _mm256_blendv_pd(no, yes, m);
    pick_ps8(m: __m256, yes: __m256, no: __m256) -> __m256 = _mm256_blendv_ps(no, yes, m);
    and_pd4(a: __m256d, b: __m256d) -> __m256d = _mm256_and_pd(a, b);
    or_pd4(a: __m256d, b: __m256d) -> __m256d = _mm256_or_pd(a, b);
    not_pd4(a: __m256d) -> __m256d = _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi64x(-1)));
    and_ps8(a: __m256, b: __m256) -> __m256 = _mm256_and_ps(a, b);
    or_ps8(a: __m256, b: __m256) -> __m256 = _mm256_or_ps(a, b);
    not_ps8(a: __m256) -> __m256 = _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
}

/// Values `cells` past `from`, out of the two aligned vectors that hold them: each is loaded once for all who ask, and no
/// load crosses a cache line. Free of branches, so that a kernel's loop over axes is unrolled before `cells` is known;
/// then the permutation is a single shift.
macro_rules! near {
    ($name:ident, $reg:ty, $t:ty, $int:ty, $width:literal, $load:ident, $add:ident, $set:ident, $permute:ident, $iota:expr) => {
        #[inline(always)]
        #[allow(clippy::cast_possible_truncation, reason = "a kernel reads at most a vector away")]
        unsafe fn $name(from: *const $t, cells: isize) -> $reg {
            // SAFETY: as many values before and after are readable, says the caller.
            unsafe {
                let low = cells >> isize::ilog2($width);
                let low = from.offset(low * $width);
                let (here, after) = ($load(low), $load(low.offset($width)));
                let index = $add($iota, $set((cells & ($width - 1)) as $int));
                $permute(here, index, after)
            }
        }
    };
}

near!(
    near_pd8,
    __m512d,
    f64,
    i64,
    8,
    _mm512_loadu_pd,
    _mm512_add_epi64,
    _mm512_set1_epi64,
    _mm512_permutex2var_pd,
    _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)
);
near!(
    near_ps16,
    __m512,
    f32,
    i32,
    16,
    _mm512_loadu_ps,
    _mm512_add_epi32,
    _mm512_set1_epi32,
    _mm512_permutex2var_ps,
    _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
);

mask!(Mask8, __mmask8, BitAnd::bitand, BitOr::bitor, Not::not);
mask!(Mask16, __mmask16, BitAnd::bitand, BitOr::bitor, Not::not);
mask!(Mask4, __m256d, and_pd4, or_pd4, not_pd4);
mask!(Mask8f, __m256, and_ps8, or_ps8, not_ps8);

vector!(
    F64x8,
    __m512d,
    f64,
    8,
    Mask8,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_div_pd,
    _mm512_fmadd_pd,
    _mm512_sqrt_pd,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_stream_pd,
    neg_pd8,
    _mm512_abs_pd,
    lt_pd8,
    le_pd8,
    eq_pd8,
    pick_pd8,
    near_pd8
);
vector!(
    F32x16,
    __m512,
    f32,
    16,
    Mask16,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_fmadd_ps,
    _mm512_sqrt_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_stream_ps,
    neg_ps16,
    _mm512_abs_ps,
    lt_ps16,
    le_ps16,
    eq_ps16,
    pick_ps16,
    near_ps16
);
vector!(
    F64x4,
    __m256d,
    f64,
    4,
    Mask4,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_div_pd,
    _mm256_fmadd_pd,
    _mm256_sqrt_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_stream_pd,
    neg_pd4,
    abs_pd4,
    lt_pd4,
    le_pd4,
    eq_pd4,
    pick_pd4
);
vector!(
    F32x8,
    __m256,
    f32,
    8,
    Mask8f,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_fmadd_ps,
    _mm256_sqrt_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_stream_ps,
    neg_ps8,
    abs_ps8,
    lt_ps8,
    le_ps8,
    eq_ps8,
    pick_ps8
);
