//! Cells beyond sides where no peer is, filled on all threads.
//!
//! Input: a block's own cells and what peers sent. Output: the cells around them that the next stages read.

use ringfort_kernels::{Real, Role};

use super::Engine;
use super::boundary::Sides;
use super::planes::PlaneFill;
use super::stream::Addresses;
use crate::field::{Fields, Span};
use crate::grid::AXES;

impl<T: Real> Engine<T> {
    /// Fills the cells of `slots` beyond the grid's boundaries, as deep as the halo is there.
    pub fn fill_boundary(&self, fields: &mut Fields<T>, slots: &[usize]) {
        let all = fields.layout().all();
        let slots: Vec<_> = slots.iter().map(|&slot| (slot, fields.layout().halo)).collect();
        self.fill_across(fields, &slots, &all, Sides::All);
        self.fill_along(fields, &slots, Sides::All);
    }

    /// Fills `depth` cells of the halo of all components that repeat the block's own other end, once all others are there.
    pub(super) fn repeat(&self, fields: &mut Fields<T>, depth: &[usize; AXES]) {
        if !self.edges.repeats() {
            return;
        }
        let span = self.edges.reach(fields.layout(), depth);
        let slots: Vec<_> = self.declaration.of_role(Role::Component).map(|(slot, _)| (slot, *depth)).collect();
        self.fill_across(fields, &slots, &span, Sides::Open);
        self.fill_along(fields, &slots, Sides::Open);
    }

    /// Fills the cells of some slots, each so deep, beyond the sides `which` of all axes but the first, for the cells of
    /// `span` and the corners.
    #[expect(unsafe_code, reason = "threads fill disjoint planes of the same field")]
    pub(super) fn fill_across(
        &self,
        fields: &mut Fields<T>,
        slots: &[(usize, [usize; AXES])],
        span: &Span,
        which: Sides,
    ) {
        let first = self.edges.first();
        if first == AXES - 1 || slots.is_empty() {
            return;
        }
        let addresses = Addresses::new(fields);
        let fills: Vec<_> = slots
            .iter()
            // A field with the same value everywhere has nothing to fill.
            .filter(|(slot, _)| addresses.plane(*slot, first, 0).1[first] != 0)
            .map(|(slot, depth)| {
                (*slot, PlaneFill::new(&self.edges, &self.declaration.fields[*slot], span, depth, which))
            })
            .collect();
        let fill = |index: isize| {
            for (slot, fill) in &fills {
                // SAFETY: the halo holds what is filled; each plane is filled by one thread, and nobody else uses it.
                unsafe { fill.run(addresses.plane(*slot, first, index)) };
            }
        };
        match &self.pool {
            None => (span.low[first]..span.high[first]).for_each(fill),
            Some(pool) => pool.install(|| {
                use rayon::prelude::*;
                (span.low[first]..span.high[first]).into_par_iter().for_each(fill);
            }),
        }
    }

    /// Fills the planes of some slots, each so deep, beyond the sides `which` of the first axis, once all others are filled.
    pub(super) fn fill_along(&self, fields: &mut Fields<T>, slots: &[(usize, [usize; AXES])], which: Sides) {
        for (slot, depth) in slots {
            self.edges.fill_ends(fields, (*slot, &self.declaration.fields[*slot]), depth, which);
        }
    }
}
