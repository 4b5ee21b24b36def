//! Boxes of a field as little-endian bytes and back, row by row, memory fetched ahead.
//!
//! Input: a field's slot, a box, bytes. Output: the same values on the other side. Rows of a box lie far apart, so no processor
//! guesses that the next one follows: it is asked for while this one is copied. Invariant: what was written and is read again is
//! what it was, bit for bit.

use ringfort_kernels::Real;

use crate::field::{Fields, Span};
use crate::grid::AXES;

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Real> Fields<T> {
    /// Writes the values of `slot` in `span` to `bytes`, in memory order.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, `bytes` has another length, or the slot has no value per cell.
    pub fn to_bytes(&self, slot: usize, span: &Span, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), span.cells() * T::BYTES, "bytes of {span:?}");
        let (width, apart) = (span.extent(AXES - 1), self.layout().stride[AXES - 2].unsigned_abs());
        let values = self.values(slot);
        let mut rest = bytes;
        self.rows(slot, span, |cell, row| {
            let next = self.layout().at(cell).unsigned_abs() + apart;
            fetch(values.get(next..next + width).unwrap_or_default());
            let (some, more) = std::mem::take(&mut rest).split_at_mut(width * T::BYTES);
            rest = more;
            for (to, value) in some.chunks_exact_mut(T::BYTES).zip(row) {
                value.write_le(to);
            }
        });
    }

    /// Sets the values of `slot` in `span` to those in `bytes`, in which the row of a cell begins at byte `place(cell)`.
    ///
    /// # Panics
    ///
    /// If `span` leaves the layout, `bytes` ends before a row does, or the slot has no value per cell.
    pub fn set_bytes(&mut self, slot: usize, span: &Span, bytes: &[u8], place: impl Fn([isize; AXES]) -> usize) {
        assert!(self.layout().all().holds(span), "{span:?} leaves {:?}", self.layout());
        let (layout, width) = (*self.layout(), span.extent(AXES - 1));
        let apart = layout.stride[AXES - 2].unsigned_abs();
        let values = self.values_mut(slot);
        span.each_row(|cell| {
            let at = layout.at(cell).cast_unsigned();
            fetch(values.get(at + apart..at + apart + width).unwrap_or_default());
            let from = &bytes[place(cell)..][..width * T::BYTES];
            for (to, bytes) in values[at..at + width].iter_mut().zip(from.chunks_exact(T::BYTES)) {
                *to = T::read_le(bytes);
            }
        });
    }
}

/// Asks for the memory of `values`, which will be touched soon.
#[inline(always)]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "no safe call fetches ahead"))]
fn fetch<T: Real>(values: &[T]) {
    for line in values.chunks(LINE / T::BYTES) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 processor has it, and it is a hint whatever the address.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _processors_guess_here = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Layout;

    #[test]
    fn boxes_come_back_from_their_bytes_at_any_place() {
        let layout = Layout::new([2, 3, 4, 37], [1, 0, 2, 3]);
        let mut fields = Fields::<f64>::new(layout, 2);
        (0..2).for_each(|slot| fields.allocate(slot, false));
        let mut next = 0.0;
        fields.rows_mut(0, &layout.all(), |_, row| {
            for value in row {
                *value = next;
                next += 0.5;
            }
        });
        let all = layout.all();
        for span in [all, layout.own(), all.with(3, -3, 1), all.with(2, 3, 6).with(0, 1, 2), all.with(1, 1, 1)] {
            let mut bytes = vec![0; 8 * span.cells()];
            fields.to_bytes(0, &span, &mut bytes);
            let mut expected = vec![0.0; span.cells()];
            fields.read(0, &span, &mut expected);
            assert!(bytes.chunks_exact(8).map(f64::read_le).eq(expected.iter().copied()), "{span:?}");
            // Rows in the opposite order.
            let width = 8 * span.extent(3);
            let backwards: Vec<u8> =
                if width == 0 { Vec::new() } else { bytes.rchunks(width).flatten().copied().collect() };
            let mut number = bytes.len() / width.max(1);
            let places = std::cell::RefCell::new(std::iter::from_fn(|| {
                number -= 1;
                Some(number * width)
            }));
            fields.set_bytes(1, &span, &backwards, |_| places.borrow_mut().next().unwrap_or_default());
            let mut found = vec![0.0; span.cells()];
            fields.read(1, &span, &mut found);
            assert_eq!(found, expected, "{span:?}");
        }
    }
}
