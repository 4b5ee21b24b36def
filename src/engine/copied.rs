//! A copy of fields at one moment: a block's own cells without halo, in memory order.
//!
//! Input: a block's cells and how many fields. Output: room for them, filled by [`crate::advance::Engine::copy`]. Invariant:
//! nothing that is done to the block afterwards changes a value of the copy.

use ringfort_kernels::Real;

use crate::memory::{Values, held};

/// Bytes of the smallest page that a system has.
const PAGE: usize = 4096;

/// Room for the own values of some fields of a block.
#[derive(Debug)]
pub struct Copied<T> {
    fields: Vec<Values<T>>,
}

impl<T: Real> Copied<T> {
    /// Room for `count` fields of `cells` cells each. The system gives its memory as it is written to.
    #[must_use]
    pub fn new(cells: usize, count: usize) -> Self {
        Self { fields: (0..count).map(|_| Values::zeros(cells)).collect() }
    }

    /// Bytes of memory that [`Copied::new`] takes.
    #[must_use]
    pub fn bytes_of(cells: usize, count: usize) -> usize {
        held(cells * T::BYTES) * count
    }

    /// Writes to all of its memory, so that the system gives it now and not during the first copy.
    pub fn touch(&mut self) {
        for values in &mut self.fields {
            values.iter_mut().step_by(PAGE / T::BYTES).for_each(|value| *value = T::default());
        }
    }

    /// Values of field number `number`, in memory order.
    #[must_use]
    pub fn values(&self, number: usize) -> &[T] {
        &self.fields[number]
    }

    /// The same as little-endian bytes, where memory holds them so.
    #[must_use]
    pub fn bytes(&self, number: usize) -> Option<&[u8]> {
        cfg!(target_endian = "little").then(|| self.fields[number].bytes())
    }

    /// Values of field number `number`, to be set.
    pub(crate) fn values_mut(&mut self, number: usize) -> &mut [T] {
        &mut self.fields[number]
    }
}
