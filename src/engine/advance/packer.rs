//! Values of boxes of cells to the bytes of a message and back: whole rows, on all threads where a message is large.
//!
//! Input: fields, slots, a box. Output: the values of the box, slot by slot in memory order, in the machine's own byte order: all ranks
//! of a run are one program. Invariant: what was packed and is unpacked again is what it was, bit for bit.

#![expect(unsafe_code, reason = "values seen as bytes, rows on all threads")]

use std::ptr::copy_nonoverlapping;

use rayon::ThreadPool;
use ringfort_kernels::Real;

use super::Engine;
use super::stream::Addresses;
use crate::field::{Fields, Layout, Span};
use crate::grid::AXES;

/// Bytes below which waking threads takes longer than copying.
const LARGE_BYTES: usize = 256 << 10;

/// Rows of a strip at most, so that threads have some each.
const ROWS_PER_STRIP: usize = 512;

/// The values that make up a message: worked out once, copied many times.
#[derive(Clone, Debug)]
pub struct Bundle {
    layout: Layout,
    strips: Vec<Strip>,
    /// Values of a row.
    width: usize,
    /// Values in all.
    values: usize,
}

/// Rows of one slot that lie evenly apart, along the axis before the last.
#[derive(Clone, Copy, Debug)]
struct Strip {
    slot: usize,
    /// Position of the first value, in a field.
    at: usize,
    rows: usize,
    /// Position of the first value, in the message.
    place: usize,
}

impl Bundle {
    /// The values of `slots` in `span`, slot by slot in memory order, of fields that lie as `layout` says.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout.
    #[must_use]
    pub fn new(layout: &Layout, slots: &[usize], span: &Span) -> Self {
        assert!(layout.all().holds(span), "{span:?} leaves {layout:?}");
        let (width, high) = (span.extent(AXES - 1), span.high[AXES - 2]);
        let mut bundle = Self { layout: *layout, strips: Vec::new(), width, values: 0 };
        for &slot in slots.iter().filter(|_| span.cells() > 0) {
            // The first row of each strip.
            let firsts = span.with(AXES - 2, span.low[AXES - 2], span.low[AXES - 2] + 1);
            firsts.each_row(|cell| {
                for low in (cell[AXES - 2]..high).step_by(ROWS_PER_STRIP) {
                    let rows = (high - low).cast_unsigned().min(ROWS_PER_STRIP);
                    let cell = [cell[0], cell[1], low, cell[3]];
                    bundle.strips.push(Strip { slot, at: layout.at(cell).cast_unsigned(), rows, place: bundle.values });
                    bundle.values += rows * width;
                }
            });
        }
        bundle
    }

    /// Number of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Refuses fields that lie otherwise, and a message of another length.
    fn check<T: Real>(&self, fields: &Fields<T>, bytes: usize) {
        assert!(*fields.layout() == self.layout, "fields that lie as the bundle says");
        assert_eq!(self.values * T::BYTES, bytes, "bytes of a message");
    }

    /// Copies the rows of `strip`, whose slot's values begin at `address`, to the message at `bytes` if `PACK`, else from it.
    ///
    /// # Safety
    ///
    /// Fields and message are those that were checked; nobody else writes what is read or touches what is written.
    #[inline(always)]
    unsafe fn copy<T: Real, const PACK: bool>(&self, strip: &Strip, address: *mut T, bytes: *mut u8) {
        let values = address.wrapping_add(strip.at);
        let bytes = bytes.wrapping_add(strip.place * T::BYTES);
        // SAFETY: passed on.
        unsafe { rows::<T, PACK>(values, self.layout.stride[AXES - 2], (strip.rows, self.width), bytes) };
    }
}

/// Where a message begins.
#[derive(Clone, Copy)]
struct Start(*mut u8);

// SAFETY: threads copy strips, which have no common bytes.
unsafe impl Send for Start {}
// SAFETY: as above.
unsafe impl Sync for Start {}

impl Start {
    fn address(&self) -> *mut u8 {
        self.0
    }
}

/// Copies values to messages and from them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packer<'a> {
    pool: Option<&'a ThreadPool>,
}

impl<T: Real> Engine<T> {
    /// Copies on this engine's threads.
    #[must_use]
    pub fn packer(&self) -> Packer<'_> {
        Packer { pool: self.pool.as_ref() }
    }
}

impl Packer<'_> {
    /// Copies the values of `bundle` to `bytes`.
    ///
    /// # Panics
    ///
    /// If the fields lie otherwise, `bytes` has another length, or a slot has no value per cell.
    pub fn pack<T: Real>(&self, fields: &Fields<T>, bundle: &Bundle, bytes: &mut [u8]) {
        bundle.check(fields, bytes.len());
        let start = Start(bytes.as_mut_ptr());
        let copy = |strip: &Strip| {
            let address = fields.values(strip.slot).as_ptr().cast_mut();
            // SAFETY: the fields are borrowed and only read, the bytes are borrowed exclusively.
            unsafe { bundle.copy::<T, true>(strip, address, start.address()) };
        };
        self.each(bundle, bytes.len(), copy);
    }

    /// Copies `bytes` to the values of `bundle`.
    ///
    /// # Panics
    ///
    /// If the fields lie otherwise, `bytes` has another length, or a slot has no value per cell.
    pub fn unpack<T: Real>(&self, fields: &mut Fields<T>, bundle: &Bundle, bytes: &[u8]) {
        bundle.check(fields, bytes.len());
        let start = Start(bytes.as_ptr().cast_mut());
        if self.shares(bytes.len()) {
            let addresses = Addresses::new(fields);
            let copy = |strip: &Strip| {
                let zero = addresses.plane(strip.slot, 0, 0).0;
                let address = zero.wrapping_offset(-bundle.layout.at([0; AXES]));
                // SAFETY: the fields are borrowed exclusively and strips have no common cells; the bytes are only read.
                unsafe { bundle.copy::<T, false>(strip, address, start.address()) };
            };
            bundle.strips.iter().for_each(|strip| assert!(fields.is_full(strip.slot), "slot {}", strip.slot));
            return self.each(bundle, bytes.len(), copy);
        }
        for strip in &bundle.strips {
            let address = fields.values_mut(strip.slot).as_mut_ptr();
            // SAFETY: the fields are borrowed exclusively; the bytes are only read.
            unsafe { bundle.copy::<T, false>(strip, address, start.address()) };
        }
    }

    /// True if threads share a message of `bytes` bytes.
    fn shares(&self, bytes: usize) -> bool {
        self.pool.is_some() && bytes >= LARGE_BYTES
    }

    /// Calls `copy` with every strip.
    fn each(&self, bundle: &Bundle, bytes: usize, copy: impl Fn(&Strip) + Send + Sync) {
        match self.pool {
            Some(pool) if self.shares(bytes) => pool.install(|| {
                use rayon::prelude::*;
                bundle.strips.par_iter().for_each(copy);
            }),
            _ => bundle.strips.iter().for_each(copy),
        }
    }
}

/// Copies `count` rows of `width` values that lie `apart` apart, to bytes that follow each other if `PACK`, else from them.
///
/// # Safety
///
/// Both hold the rows, and nobody else touches what is written.
#[inline(always)]
unsafe fn rows<T: Real, const PACK: bool>(
    values: *mut T,
    apart: isize,
    (count, width): (usize, usize),
    bytes: *mut u8,
) {
    // SAFETY: passed on.
    unsafe {
        match width {
            // Across the last axis a row is as short as the halo is wide: no call for each.
            1 => short::<T, 1, PACK>(values, apart, count, bytes),
            2 => short::<T, 2, PACK>(values, apart, count, bytes),
            3 => short::<T, 3, PACK>(values, apart, count, bytes),
            4 => short::<T, 4, PACK>(values, apart, count, bytes),
            8 => short::<T, 8, PACK>(values, apart, count, bytes),
            _ => {
                let len = width * T::BYTES;
                for row in 0..count {
                    let values = values.wrapping_offset(row.cast_signed() * apart).cast::<u8>();
                    let bytes = bytes.wrapping_add(row * len);
                    if PACK {
                        copy_nonoverlapping(values, bytes, len);
                    } else {
                        copy_nonoverlapping(bytes, values, len);
                    }
                }
            }
        }
    }
}

/// [`rows`] for rows of `W` values.
///
/// # Safety
///
/// As for [`rows`].
#[inline(always)]
unsafe fn short<T: Real, const W: usize, const PACK: bool>(values: *mut T, apart: isize, count: usize, bytes: *mut u8) {
    let bytes = bytes.cast::<[T; W]>();
    for row in 0..count {
        let values = values.wrapping_offset(row.cast_signed() * apart).cast::<[T; W]>();
        // SAFETY: passed on; bytes need not be aligned as values are.
        unsafe {
            if PACK {
                bytes.add(row).write_unaligned(values.read());
            } else {
                values.write(bytes.add(row).read_unaligned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(layout: Layout) -> Fields<f32> {
        let mut fields = Fields::new(layout, 3);
        for slot in 0..3_u8 {
            fields.allocate(usize::from(slot), false);
            let mut value = f32::from(slot) * 1e6;
            fields.rows_mut(usize::from(slot), &layout.all(), |_, row| {
                for cell in row {
                    *cell = value;
                    value += 1.0;
                }
            });
        }
        fields
    }

    #[test]
    #[allow(clippy::host_endian_bytes, reason = "a message holds values as memory does")]
    fn boxes_of_any_width_come_back_on_any_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads");
        let small = (Layout::new([2, 3, 5, 19], [1, 2, 0, 9]), (0..=19).collect::<Vec<_>>());
        let large = (Layout::new([1, 40, 60, 50], [0, 3, 2, 5]), vec![1, 13, 50]);
        for (layout, widths) in [small, large] {
            let fields = filled(layout);
            let all = layout.all();
            for pool in [None, Some(&pool)] {
                let packer = Packer { pool };
                for &wide in &widths {
                    for (axis, low) in [(3, -layout.halo[3].cast_signed()), (1, -1), (3, 1)] {
                        let span = all.with(3, 0, wide).with(axis, low, low + if axis == 3 { wide } else { 2 });
                        let bundle = Bundle::new(&layout, &[2, 0], &span);
                        assert_eq!(bundle.values(), 2 * span.cells());
                        let mut bytes = vec![0; 4 * bundle.values()];
                        packer.pack(&fields, &bundle, &mut bytes);
                        let mut expected = vec![0.0; span.cells()];
                        fields.read(2, &span, &mut expected);
                        let found = bytes.chunks_exact(4).take(span.cells());
                        assert!(
                            found.map(|four| f32::from_ne_bytes([four[0], four[1], four[2], four[3]])).eq(expected)
                        );
                        let mut other = Fields::<f32>::new(layout, 3);
                        (0..3).for_each(|slot| other.allocate(slot, false));
                        packer.unpack(&mut other, &bundle, &bytes);
                        for slot in 0..3 {
                            other.rows(slot, &all, |cell, row| {
                                for (value, x) in row.iter().zip(all.low[3]..) {
                                    let cell = [cell[0], cell[1], cell[2], x];
                                    let within =
                                        (0..AXES).all(|axis| (span.low[axis]..span.high[axis]).contains(&cell[axis]));
                                    let copied = within && slot != 1;
                                    let expected = if copied { fields.value(slot, cell) } else { 0.0 };
                                    assert!(*value == expected, "slot {slot}, {cell:?}, {span:?}");
                                }
                            });
                        }
                    }
                }
            }
        }
    }
}
