//! Cells beyond sides where no peer is: worked out once, filled as often as needed, on all threads where that pays.
//!
//! Input: a block's own cells and what peers sent. Output: the cells around them that the next stages read. Invariant:
//! only cells beyond such sides are written. Each plane is filled by one thread and read by no other meanwhile; planes
//! beyond the first axis's sides are copied whole once all others are filled, which gives the corners. How many threads
//! fill, and how often, changes no bit.

use std::ops::Range;

use ringfort_kernels::{Real, Role};

use super::Engine;
use super::boundary::Sides;
use super::planes::PlaneFill;
use super::stream::Addresses;
use crate::field::{Fields, Layout, Sign, Span};
use crate::grid::AXES;

/// Rows below which waking threads takes longer than filling.
const FEW_ROWS: usize = 4096;

/// What is filled beyond sides, of some slots.
pub(super) struct Fills {
    /// Planes in which cells are filled.
    planes: Range<isize>,
    /// What is filled in each of them.
    across: Vec<(usize, PlaneFill)>,
    /// Planes that are copied once all others are filled: slot, from, to, sign.
    along: Vec<(usize, isize, isize, Sign)>,
    /// Threads share the planes.
    shared: bool,
}

impl Fills {
    /// Without the planes beyond the sides of the first axis.
    pub(super) fn across(self) -> Self {
        Self { along: Vec::new(), ..self }
    }
}

impl<T: Real> Engine<T> {
    /// How to fill cells of some slots, each so deep, beyond the sides `which`: for the cells of `span` and the corners across
    /// all axes but the first, whole planes along it.
    pub(super) fn fills(&self, slots: &[(usize, [usize; AXES])], span: &Span, which: Sides) -> Fills {
        let first = self.edges.first();
        let field = |slot: usize| &self.declaration.fields[slot];
        let across = slots.iter().filter(|_| first < AXES - 1).map(|(slot, depth)| {
            let fill = PlaneFill::new(&self.edges, field(*slot), span, depth, which);
            (*slot, fill)
        });
        let along = slots.iter().flat_map(|&(slot, depth)| {
            let planes = self.edges.repeating(field(slot), depth[first], which);
            planes.into_iter().map(move |(from, to, sign)| (slot, from, to, sign))
        });
        Fills {
            planes: span.low[first]..span.high[first],
            across: across.filter(|(_, fill)| !fill.is_empty()).collect(),
            along: along.collect(),
            shared: span.cells() / span.extent(AXES - 1).max(1) >= FEW_ROWS,
        }
    }

    /// How to fill `depth` cells of the halo of all components that repeat the block's own other end, around `span`.
    pub(super) fn repeats(&self, span: &Span, depth: &[usize; AXES]) -> Fills {
        self.fills(&self.components(*depth), span, Sides::Open)
    }

    /// All components, each as deep.
    pub(super) fn components(&self, depth: [usize; AXES]) -> Vec<(usize, [usize; AXES])> {
        self.declaration.of_role(Role::Component).map(|(slot, _)| (slot, depth)).collect()
    }

    /// Fills what `fills` says.
    #[expect(unsafe_code, reason = "threads fill disjoint planes of the same field")]
    pub(super) fn fill(&self, fields: &mut Fields<T>, fills: &Fills) {
        let (first, all) = (self.edges.first(), fields.layout().all());
        if !fills.across.is_empty() {
            let addresses = Addresses::new(fields);
            let fill = |index: isize| {
                for (slot, fill) in &fills.across {
                    let plane = addresses.plane(*slot, first, index);
                    // A field with the same value everywhere has nothing to fill.
                    if plane.1[first] != 0 {
                        // SAFETY: the halo holds what is filled; each plane is filled by one thread, and nobody else uses it.
                        unsafe { fill.run(plane) };
                    }
                }
            };
            match &self.pool {
                Some(pool) if fills.shared => pool.install(|| {
                    use rayon::prelude::*;
                    fills.planes.clone().into_par_iter().for_each(fill);
                }),
                _ => fills.planes.clone().for_each(fill),
            }
        }
        for &(slot, from, to, sign) in &fills.along {
            fields.copy_plane(slot, first, from, to, &all, sign);
        }
    }

    /// Fills the cells of `slots` beyond the grid's boundaries, as deep as the halo is there.
    pub fn fill_boundary(&self, fields: &mut Fields<T>, slots: &[usize]) {
        let Layout { halo, .. } = *fields.layout();
        let slots: Vec<_> = slots.iter().map(|&slot| (slot, halo)).collect();
        let fills = self.fills(&slots, &fields.layout().all(), Sides::All);
        self.fill(fields, &fills);
    }
}
