//! Arrays of values: zeros, aligned to cache lines, large ones in huge pages where the system has them.
//!
//! Input: a length. Output: a slice. Invariant: but for small arrays, memory is given by the system page by page as it is first
//! written, so it lies near the thread that writes it first.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;
use ringfort_kernels::Real;

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes from which on an array has a map of its own: giving one back stops all threads of the process for a moment.
const MAPPED: usize = 64 << 10;

/// Bytes that the system gives for an array of `bytes` bytes that is written to everywhere: whole huge pages, where it has any.
pub(crate) fn held(bytes: usize) -> usize {
    if cfg!(target_os = "linux") && bytes >= HUGE { bytes.next_multiple_of(HUGE) } else { bytes }
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

#[derive(Debug)]
enum Memory {
    Lines(Vec<Line>),
    Map(MmapMut),
}

impl Memory {
    fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Lines(lines) => lines.as_ptr().cast(),
            Self::Map(map) => map.as_ptr(),
        }
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            Self::Lines(lines) => lines.as_mut_ptr().cast(),
            Self::Map(map) => map.as_mut_ptr(),
        }
    }
}

/// An array of zeros at first.
#[derive(Debug)]
pub(crate) struct Values<T> {
    memory: Memory,
    /// Bytes before the first value.
    before: usize,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Real> Values<T> {
    /// `len` zeros.
    ///
    /// # Panics
    ///
    /// If the system has no such memory, as any allocation does.
    pub(crate) fn zeros(len: usize) -> Self {
        let bytes = len * T::BYTES;
        if bytes < MAPPED {
            let memory = Memory::Lines(vec![Line([0; LINE]); bytes.div_ceil(LINE)]);
            return Self { memory, before: 0, len, values: PhantomData };
        }
        let huge = bytes >= HUGE;
        let map = MmapMut::map_anon(bytes + if huge { HUGE } else { 0 });
        let map = map.unwrap_or_else(|error| panic!("no memory for {bytes} bytes: {error}"));
        let before = if huge { map.as_ptr().align_offset(HUGE) } else { 0 };
        #[cfg(target_os = "linux")]
        if huge {
            // Without huge pages it is slower, and that is all.
            let _refused = map.advise(memmap2::Advice::HugePage);
        }
        debug_assert!(map.as_ptr().wrapping_add(before).align_offset(LINE) == 0, "a map begins at a page");
        Self { memory: Memory::Map(map), before, len, values: PhantomData }
    }

    /// The values' bytes, as memory holds them.
    #[expect(unsafe_code, reason = "values seen as bytes")]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the values' own memory, borrowed; they have no padding.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len * T::BYTES) }
    }
}

impl<T: Real> Deref for Values<T> {
    type Target = [T];

    #[expect(unsafe_code, reason = "bytes of memory seen as values")]
    fn deref(&self) -> &[T] {
        let first = self.memory.as_ptr().wrapping_add(self.before).cast();
        // SAFETY: the memory holds `len` values past `before`, aligned, and is borrowed; any bytes are a value of `f32` or `f64`,
        // the only types that are `Real`.
        unsafe { std::slice::from_raw_parts(first, self.len) }
    }
}

impl<T: Real> DerefMut for Values<T> {
    #[expect(unsafe_code, reason = "bytes of memory seen as values")]
    fn deref_mut(&mut self) -> &mut [T] {
        let first = self.memory.as_mut_ptr().wrapping_add(self.before).cast();
        // SAFETY: as for `deref`, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(first, self.len) }
    }
}
