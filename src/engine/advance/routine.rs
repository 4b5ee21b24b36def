//! What a block goes through in some steps, worked out once and kept, so that a step works nothing out and allocates nothing.
//!
//! Input: layout and number of steps. Output: a [`Routine`]. Invariant: it is a function of these, the kernel, the boundaries
//! and what flows in and is added; what changes those forgets all routines.

use std::sync::{Arc, PoisonError};

use ringfort_kernels::Real;

use super::sweeps::Sweeps;
use super::tiled::Tiled;
use super::{Engine, Tiling};
use crate::field::{Fields, Layout};
use crate::grid::AXES;

/// Most routines kept: rounds of a run have few lengths.
const MOST: usize = 8;

/// What a block goes through in some steps.
pub(super) enum Routine {
    /// One stage after the other.
    Sweeps(Sweeps),
    /// All steps in one pass, in tiles.
    Tiled(Tiled),
}

/// What a routine is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Purpose {
    layout: Layout,
    steps: usize,
    tiling: Option<Tiling>,
    /// Tiles are cut so that some need no halo.
    overlaps: bool,
}

impl<T: Real> Engine<T> {
    /// What a block with the layout of `fields` goes through in `steps` steps.
    ///
    /// # Panics
    ///
    /// If the halo is not deep enough.
    pub(super) fn routine(&self, fields: &Fields<T>, steps: usize) -> Arc<Routine> {
        let layout = *fields.layout();
        let tiling = self.blocks(layout.extent, steps).filter(|_| self.can_block(fields));
        let purpose = Purpose { layout, steps, tiling, overlaps: tiling.is_some() && self.overlaps };
        let mut kept = self.routines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, routine)) = kept.iter().find(|(known, _)| *known == purpose) {
            return Arc::clone(routine);
        }
        let needed = self.halo(steps);
        assert!((0..AXES).all(|axis| needed[axis] <= layout.halo[axis]), "halo for fewer than {steps} steps");
        let routine = Arc::new(match tiling {
            Some(tiling) => Routine::Tiled(Tiled::new(self, &layout, steps, tiling)),
            None => Routine::Sweeps(Sweeps::new(self, &layout, steps)),
        });
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push((purpose, Arc::clone(&routine)));
        routine
    }

    /// Forgets all routines.
    pub(super) fn forget_routines(&mut self) {
        self.routines.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
