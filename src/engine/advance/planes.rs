//! Rows of a plane copied within a field or a ring, or between them: among others what lies beyond the sides across a
//! plane's own axes.
//!
//! Input: addresses of cell 0 of planes. Output: rows copied, cells beyond sides filled. Invariant: an index along
//! the grid's first axis never moves an address, so one plan serves all planes. Axes are filled slowest first, each
//! over what those before filled, which gives the corners; along an axis cells within the grid are read and cells
//! beyond its ends written. Values are copied, negated or set to 0, never computed: how often a cell is filled
//! changes no bit.

use ringfort_kernels::{Field, Real};

use super::boundary::{Edges, Sides};
use crate::field::{Sign, Span};
use crate::grid::{AXES, Side};

/// What is copied within each plane of a field to fill its cells beyond sides: the same for all planes.
pub(super) struct PlaneFill {
    /// Rows of a box, from so many indices further along an axis, with which sign; one after the other.
    copies: Vec<(Span, usize, isize, Sign)>,
    /// Cells along rows, last.
    runs: Vec<Run>,
    /// The first of each `rows` rows, which lie one after the other along the axis before the last.
    heads: Span,
    rows: usize,
    first: usize,
}

impl PlaneFill {
    /// Fills `depth` cells beyond the sides `which` of all axes but the first, for the cells of `span` in any one plane, and the
    /// corners.
    pub(super) fn new(edges: &Edges, field: &Field, span: &Span, depth: &[usize; AXES], which: Sides) -> Self {
        let first = edges.first();
        let mut across = span.with(first, 0, 1);
        let mut fill = Self { copies: Vec::new(), runs: Vec::new(), heads: across, rows: 1, first };
        for axis in first + 1..AXES {
            let [low, high] = edges.ends(axis);
            let touched = [across.low[axis] <= low, across.high[axis] > high];
            let images =
                Side::BOTH.into_iter().filter(|&side| touched[side as usize] && edges.fills(axis, side, which));
            let images = images.flat_map(|side| (0..depth[axis].cast_signed()).map(move |cells| (side, cells)));
            let images = images.map(|(side, cells)| edges.image(axis, side, field, cells));
            if axis == AXES - 1 {
                fill.runs = runs(images);
                continue;
            }
            fill.copies.extend(images.map(|(from, to, sign)| (across.with(axis, to, to + 1), axis, from - to, sign)));
            let deep = depth[axis].cast_signed();
            if touched[0] && edges.fills(axis, Side::Low, which) {
                across.low[axis] = across.low[axis].min(low - deep);
            }
            if touched[1] && edges.fills(axis, Side::High, which) {
                across.high[axis] = across.high[axis].max(high + 1 + deep);
            }
        }
        let before = AXES - 2;
        fill.heads = across.with(AXES - 1, 0, 1);
        if first < before {
            fill.rows = across.extent(before);
            fill.heads = fill.heads.with(before, across.low[before], across.low[before] + 1);
        }
        fill
    }

    /// True if there is nothing to fill.
    pub(super) fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.runs.is_empty()
    }

    /// Fills the plane whose cell 0 is at `address`.
    ///
    /// # Safety
    ///
    /// The plane holds the span, what is filled, and what that repeats; nobody else touches it.
    #[expect(unsafe_code, reason = "rows are addressed in rings and in fields")]
    pub(super) unsafe fn run<T: Real>(&self, (address, stride): (*mut T, [isize; AXES])) {
        for (target, axis, cells, sign) in &self.copies {
            let from = address.wrapping_offset(cells * stride[*axis]).cast_const();
            // SAFETY: passed on.
            unsafe { copy_rows((from, stride), (address, stride), (self.first, target), *sign) };
        }
        if self.runs.is_empty() {
            return;
        }
        self.heads.each_row(|row| {
            let at = (self.first + 1..AXES - 1).map(|axis| row[axis] * stride[axis]).sum::<isize>();
            for run in &self.runs {
                // SAFETY: passed on.
                unsafe { run.fill(address.wrapping_offset(at), self.rows, stride[AXES - 2]) };
            }
        });
    }
}

/// Cells of a row that are copied within it.
#[derive(Clone, Copy)]
struct Run {
    from: isize,
    to: isize,
    /// How many; 1 unless with the same sign.
    cells: usize,
    sign: Sign,
}

/// Most cells of a run.
const RUN: usize = 4;

/// `images` (from, to, sign), those that follow each other taken together.
fn runs(images: impl Iterator<Item = (isize, isize, Sign)>) -> Vec<Run> {
    let mut images: Vec<_> = images.collect();
    images.sort_unstable_by_key(|&(_, to, _)| to);
    let mut runs: Vec<Run> = Vec::new();
    for (from, to, sign) in images {
        match runs.last_mut() {
            Some(run) if sign == Sign::Same && run.takes(from, to) => run.cells += 1,
            _ => runs.push(Run { from, to, cells: 1, sign }),
        }
    }
    runs
}

impl Run {
    /// True if the next cell may be copied from `from` to `to`.
    fn takes(&self, from: isize, to: isize) -> bool {
        let cells = self.cells.cast_signed();
        self.sign == Sign::Same && self.cells < RUN && from == self.from + cells && to == self.to + cells
    }

    /// Copies the run in `count` rows that lie `step` apart.
    ///
    /// # Safety
    ///
    /// The rows hold what is copied, and nobody else touches them.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows are addressed in rings and in fields")]
    unsafe fn fill<T: Real>(self, row: *mut T, count: usize, step: isize) {
        let mut from = row.wrapping_offset(self.from);
        let mut to = row.wrapping_offset(self.to);
        for _ in 0..count {
            // SAFETY: passed on.
            unsafe {
                if self.cells == RUN {
                    std::ptr::copy::<[T; RUN]>(from.cast(), to.cast(), 1);
                } else {
                    match self.sign {
                        Sign::Same => (0..self.cells).for_each(|cell| *to.add(cell) = *from.add(cell)),
                        Sign::Opposite => *to = -*from,
                        Sign::Zero => *to = T::default(),
                    }
                }
            }
            (from, to) = (from.wrapping_offset(step), to.wrapping_offset(step));
        }
    }
}

/// Copies the rows of `span`, all in one plane, as `sign` says.
///
/// # Safety
///
/// Both addresses are of cell 0 of a plane that holds the span, and nobody else touches the target.
#[expect(unsafe_code, reason = "rows are addressed in rings and in fields")]
pub(super) unsafe fn copy_rows<T: Real>(
    (from, from_stride): (*const T, [isize; AXES]),
    (to, to_stride): (*mut T, [isize; AXES]),
    (first, span): (usize, &Span),
    sign: Sign,
) {
    let width = span.extent(3).cast_signed();
    span.each_row(|row| {
        // A plane's address is that of its cell 0, so its own index does not count.
        let at = |stride: &[isize; AXES]| (first + 1..AXES).map(|axis| row[axis] * stride[axis]).sum::<isize>();
        let (from, to) = (from.wrapping_offset(at(&from_stride)), to.wrapping_offset(at(&to_stride)));
        match sign {
            // SAFETY: passed on.
            Sign::Same => unsafe { std::ptr::copy(from, to, width.cast_unsigned()) },
            // SAFETY: passed on.
            Sign::Opposite => (0..width).for_each(|x| unsafe { *to.offset(x) = -*from.offset(x) }),
            // SAFETY: passed on.
            Sign::Zero => (0..width).for_each(|x| unsafe { *to.offset(x) = T::default() }),
        }
    });
}
