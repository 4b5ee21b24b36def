//! A block's own values copied at the speed of memory, on all threads, and looked at on the way.
//!
//! Input: a slot of a block, and room for its own cells. Output: their values in memory order, and whether all are
//! finite. Invariant: each own value is copied once, bit for bit, finite or not; the halo is neither copied nor
//! looked at. Threads write pieces that do not overlap, so their number changes neither the copy nor the answer.

use rayon::prelude::*;
use ringfort_kernels::Real;

use super::Engine;
use crate::copied::Copied;
use crate::field::{Fields, Layout};

/// Values that a thread copies at once.
const PIECE: usize = 1 << 16;
/// Values that are looked at while they are still in the nearest cache.
const LOOK: usize = 1 << 10;

impl<T: Real> Engine<T> {
    /// Copies the own values of `slot` to field number `number` of `copied`; true if all of them are finite.
    ///
    /// # Panics
    ///
    /// If the slot has no value per cell, or `copied` is for other cells.
    pub fn copy(&self, fields: &Fields<T>, slot: usize, copied: &mut Copied<T>, number: usize) -> bool {
        let (layout, from) = (fields.layout(), fields.stored(slot));
        let out = copied.values_mut(number);
        assert_eq!(out.len(), layout.own().cells(), "the copy is for this block");
        match &self.pool {
            None => piece(layout, from, 0, out),
            Some(pool) => pool.install(|| {
                let pieces = out.par_chunks_mut(PIECE).enumerate();
                pieces.map(|(at, out)| piece(layout, from, at * PIECE, out)).reduce(|| true, |one, other| one & other)
            }),
        }
    }
}

/// Copies own values from the one with number `first` on; true if all are finite.
fn piece<T: Real>(layout: &Layout, from: &[T], first: usize, out: &mut [T]) -> bool {
    let [_, z, y, x] = layout.extent;
    let (mut sound, mut at) = (true, first);
    let mut rest = out;
    while !rest.is_empty() {
        let (row, start) = (at / x, at % x);
        let cell = [row / (y * z), row / y % z, row % y, start].map(usize::cast_signed);
        let begin = layout.at(cell).cast_unsigned();
        let (own, after) = rest.split_at_mut((x - start).min(LOOK).min(rest.len()));
        own.copy_from_slice(&from[begin..begin + own.len()]);
        sound &= own.iter().fold(true, |all, value| all & value.finite());
        at += own.len();
        rest = after;
    }
    sound
}
