//! Orders of the ranks of a box along curves that turn at the sides, strip by strip.
//!
//! Input: extents, strips along each axis. Output: cells one after another. Invariant: each cell once; cells that follow
//! each other touch.

use crate::grid::{AXES, Extents};

/// A curve through strips: along every axis but the one it runs along the box is cut into strips of equal width but for
/// one cell; the curve fills the cross-section of a strip before it moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curve {
    /// Axes from the one whose strips are left last to the one that the curve runs along.
    pub order: [usize; AXES],
    /// Strips along each axis; that of the last axis in `order` is not looked at.
    pub strips: Extents,
}

/// A walk under way.
struct Walk<'a> {
    curve: Curve,
    extent: Extents,
    /// Strip in force: its first cell and its width along each axis.
    strip: [(usize, usize); AXES],
    cell: Extents,
    /// Whether each level runs backwards: strips, then cells.
    back: [bool; 2 * AXES],
    visit: &'a mut dyn FnMut(Extents),
}

impl Curve {
    /// Calls `visit` with the cells of a box of `extent`, in order.
    pub fn walk(&self, extent: Extents, visit: &mut dyn FnMut(Extents)) {
        let strip = extent.map(|cells| (0, cells));
        let mut walk = Walk { curve: *self, extent, strip, cell: [0; AXES], back: [false; 2 * AXES], visit };
        walk.level(0);
    }
}

impl Walk<'_> {
    /// Strips of the first three axes, cells of the last, then cells of the first three within their strips.
    fn level(&mut self, level: usize) {
        if level == 2 * AXES - 1 {
            (self.visit)(self.cell);
            return;
        }
        let axis = self.curve.order[if level < AXES { level } else { level - AXES }];
        let (from, steps) = match level {
            level if level < AXES - 1 => (0, self.curve.strips[axis].clamp(1, self.extent[axis])),
            level if level == AXES - 1 => (0, self.extent[axis]),
            _ => self.strip[axis],
        };
        let back = self.back[level];
        for step in 0..steps {
            let at = if back { steps - 1 - step } else { step };
            if level < AXES - 1 {
                let cells = self.extent[axis];
                let (low, high) = (at * cells / steps, (at + 1) * cells / steps);
                self.strip[axis] = (low, high - low);
            } else {
                self.cell[axis] = from + at;
            }
            self.level(level + 1);
        }
        if level < AXES - 1 {
            self.strip[axis] = (0, self.extent[axis]);
        }
        self.back[level] = !back;
    }
}
