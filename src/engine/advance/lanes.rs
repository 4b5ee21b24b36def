//! Vectors of values for each instruction set, behind the kernels' lane trait.
//!
//! Invariant: every operation gives each value the bits that the scalar operation gives.

use ringfort_kernels::{Lane, Real};

/// A lane that is loaded from and stored to a row.
#[expect(unsafe_code, reason = "row access without bounds checks")]
pub(crate) trait Vector<T>: Lane {
    /// Values per vector.
    const WIDTH: usize;

    /// The [`Vector::WIDTH`] values at `from`.
    ///
    /// # Safety
    ///
    /// They are readable, and the processor has the instruction set.
    unsafe fn load(from: *const T) -> Self;

    /// The [`Vector::WIDTH`] values `cells` past `from`, which may be loaded together with those around them.
    ///
    /// # Safety
    ///
    /// They are readable, as are as many before and after `from`, and the processor has the instruction set.
    #[inline(always)]
    unsafe fn load_near(from: *const T, cells: isize) -> Self {
        // SAFETY: passed on.
        unsafe { Self::load(from.offset(cells)) }
    }

    /// Writes the values to `to`.
    ///
    /// # Safety
    ///
    /// They are writable by this thread alone, and the processor has the instruction set.
    unsafe fn store(self, to: *mut T);

    /// Writes the values to `to` without keeping them in a cache, as far as the instruction set can.
    ///
    /// # Safety
    ///
    /// As for [`Vector::store`]; `to` is aligned to the vector's size; [`Vector::fence`] follows on this thread before another
    /// one reads them.
    #[inline(always)]
    unsafe fn store_past_cache(self, to: *mut T) {
        // SAFETY: passed on.
        unsafe { self.store(to) }
    }

    /// Fetches the values at `from` into a cache, as far as the instruction set can; any address will do.
    #[inline(always)]
    fn fetch(from: *const T) {
        let _ = from;
    }

    /// Ends a series of [`Vector::store_past_cache`].
    #[inline(always)]
    fn fence() {}
}

impl<T: Real> Vector<T> for T {
    const WIDTH: usize = 1;

    #[inline(always)]
    #[expect(unsafe_code, reason = "row access without bounds checks")]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: readable, says the caller.
        unsafe { *from }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "row access without bounds checks")]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: writable, says the caller.
        unsafe { *to = self }
    }
}

/// Instruction set that rows are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// AVX-512 (x86-64-v4).
    Avx512,
    /// AVX2 with FMA (x86-64-v3).
    Avx2,
    /// One value at a time; on plain x86-64 fused products are a function call: correct and slow.
    Baseline,
}

impl Simd {
    /// The widest set of this machine, or the narrower one that `RINGFORT_SIMD` names (`avx512`, `avx2`, `baseline`).
    #[must_use]
    pub fn detect() -> Self {
        let wanted = match std::env::var("RINGFORT_SIMD").as_deref() {
            Ok("baseline") => Self::Baseline,
            Ok("avx2") => Self::Avx2,
            _ => Self::Avx512,
        };
        wanted.at_most()
    }

    /// This set, or the widest narrower one that this machine has.
    #[must_use]
    pub fn at_most(self) -> Self {
        match (self, Self::widest()) {
            (Self::Baseline, _) | (_, Self::Baseline) => Self::Baseline,
            (Self::Avx2, _) | (_, Self::Avx2) => Self::Avx2,
            (Self::Avx512, Self::Avx512) => Self::Avx512,
        }
    }

    fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if fma && is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if fma {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

impl std::fmt::Display for Simd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2 + FMA",
            Self::Baseline => "baseline",
        })
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{F32x8, F32x16, F64x4, F64x8};

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions")]
#[allow(unused_unsafe, reason = "the macros wrap helpers and raw intrinsics alike")]
mod x86;
