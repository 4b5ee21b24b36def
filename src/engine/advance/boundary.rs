//! What lies beyond the sides of the grid that are not periodic: mirrors, copies and held values.
//!
//! Input: a block's fields. Output: cells beyond the grid filled, held points kept. Invariant: the value beyond a
//! boundary is a function of global indices, so cuts change no bit. Each axis maps its index alone, hence the order of
//! axes does not matter in corners.

use ringfort_kernels::{Declaration, Field, Mirror, Real, Role};

use crate::field::{Fields, Layout, Span};
use crate::grid::{AXES, Boundary, Grid, Region, Side};

/// Values that a boundary holds: slot, where, values.
type Held<T> = Vec<(usize, Span, Vec<T>)>;

/// What lies beyond each side of one block.
pub(crate) struct Edges {
    /// The boundary on each side of each axis; `Periodic` where a peer (or the block itself) is.
    beyond: [[Boundary; 2]; AXES],
    /// First and last point of the grid along each axis, counted from the block's first cell.
    ends: [[isize; 2]; AXES],
    /// Which ends hold their value, those of peers in the halo included.
    fixed: [[bool; 2]; AXES],
    /// Axes with a wall at some end of the grid.
    walls: [bool; AXES],
    first: usize,
}

impl Edges {
    pub(crate) fn new(grid: &Grid, block: &Region) -> Self {
        let mut beyond = [[Boundary::Periodic; 2]; AXES];
        for axis in grid.first()..AXES {
            if block.start[axis] == 0 {
                beyond[axis][0] = grid.boundary[axis][0];
            }
            if block.end(axis) == grid.points[axis] {
                beyond[axis][1] = grid.boundary[axis][1];
            }
        }
        let ends = std::array::from_fn(|axis| {
            let start = block.start[axis].cast_signed();
            [-start, grid.points[axis].cast_signed() - 1 - start]
        });
        let fixed = grid.boundary.map(|sides| sides.map(|side| side == Boundary::Fixed));
        let walls = grid.boundary.map(|sides| sides.contains(&Boundary::Wall));
        Self { beyond, ends, fixed, walls, first: grid.first() }
    }

    /// First axis of the grid.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// First and last point of the grid along `axis`, counted from the block's first cell.
    pub(crate) fn ends(&self, axis: usize) -> [isize; 2] {
        self.ends[axis]
    }

    /// The boundary on `side` of `axis`, if it is the block's own and not a peer's.
    pub(crate) fn beyond(&self, axis: usize, side: Side) -> Option<Boundary> {
        Some(self.beyond[axis][side as usize]).filter(|boundary| *boundary != Boundary::Periodic)
    }

    /// Points along `axis` that hold their value, low and high.
    pub(crate) fn held(&self, axis: usize) -> [Option<isize>; 2] {
        Side::BOTH.map(|side| self.fixed[axis][side as usize].then_some(self.ends[axis][side as usize]))
    }

    /// Which point the cell `cells` cells past the first one beyond `side` of `axis` repeats: index from, index to, and
    /// whether with opposite sign.
    pub(crate) fn image(&self, axis: usize, side: Side, field: &Field, cells: isize) -> (isize, isize, bool) {
        let (inside, negate) = image(self.beyond[axis][side as usize], field.mirror[axis - self.first], cells);
        let [first, last] = self.ends[axis];
        let inside = inside.min(last - first);
        match side {
            Side::Low => (first + inside, first - 1 - cells, negate),
            Side::High => (last - inside, last + 1 + cells, negate),
        }
    }

    /// True if a peer touches the block on some side of `axis`.
    pub(crate) fn open_axis(&self, axis: usize) -> bool {
        axis >= self.first && self.beyond[axis].contains(&Boundary::Periodic)
    }

    /// True if some wall of the grid mirrors `field` with opposite sign. The same for all blocks.
    pub(crate) fn negate(&self, field: &Field) -> bool {
        let odd = |mirror| matches!(mirror, Mirror::Odd | Mirror::OddAtPoint);
        (self.first..AXES).any(|axis| self.walls[axis] && odd(field.mirror[axis - self.first]))
    }

    /// The own cells and `margin` cells more where peers are.
    pub(crate) fn reach(&self, layout: &Layout, margin: &[usize; AXES]) -> Span {
        let mut span = layout.own();
        for axis in self.first..AXES {
            if self.beyond[axis][0] == Boundary::Periodic {
                span.low[axis] -= margin[axis].cast_signed();
            }
            if self.beyond[axis][1] == Boundary::Periodic {
                span.high[axis] += margin[axis].cast_signed();
            }
        }
        span
    }

    /// The cells of `tile` and `margin` cells more, where the grid goes on.
    pub(crate) fn around(&self, layout: &Layout, tile: &Span, margin: &[usize; AXES]) -> Span {
        let reach = self.reach(layout, margin);
        let mut region = *tile;
        for axis in self.first..AXES {
            let wide = margin[axis].cast_signed();
            region.low[axis] = (region.low[axis] - wide).max(reach.low[axis]);
            region.high[axis] = (region.high[axis] + wide).min(reach.high[axis]);
        }
        region
    }

    /// Fills `depth` cells of `slot` beyond each boundary, for all cells of `span` and the corners.
    pub(crate) fn fill<T: Real>(
        &self,
        fields: &mut Fields<T>,
        slot: usize,
        field: &Field,
        span: &Span,
        depth: &[usize; AXES],
    ) {
        let mut across = *span;
        for axis in self.first..AXES {
            let deep = depth[axis].cast_signed();
            for side in Side::BOTH {
                let boundary = self.beyond[axis][side as usize];
                if boundary == Boundary::Periodic {
                    continue;
                }
                for cells in 0..deep {
                    let (from, to, negate) = self.image(axis, side, field, cells);
                    fields.copy_plane(slot, axis, from, to, &across, negate);
                }
            }
            if self.beyond[axis][0] != Boundary::Periodic {
                across.low[axis] = across.low[axis].min(-deep);
            }
            if self.beyond[axis][1] != Boundary::Periodic {
                across.high[axis] = across.high[axis].max(self.ends[axis][1] + 1 + deep);
            }
        }
    }

    /// Copies what fixed boundaries hold of the fields that a stage writes, within `span`, before the stage. A stage that
    /// reads no neighbours across a boundary is computed up to the end of the halo, where a peer's boundary may lie.
    pub(crate) fn hold<T: Real>(
        &self,
        fields: &Fields<T>,
        writes: &[usize],
        declaration: &Declaration,
        span: &Span,
    ) -> Held<T> {
        let mut held = Held::new();
        for axis in self.first..AXES {
            for side in Side::BOTH {
                let at = self.ends[axis][side as usize];
                if !self.fixed[axis][side as usize] || !(span.low[axis]..span.high[axis]).contains(&at) {
                    continue;
                }
                let plane = span.with(axis, at, at + 1);
                for &slot in writes {
                    let field = &declaration.fields[slot];
                    let source = if field.role == Role::Component { Some(slot) } else { field.stands_for };
                    if let Some(source) = source {
                        let mut values = vec![T::default(); plane.cells()];
                        fields.read(source, &plane, &mut values);
                        held.push((slot, plane, values));
                    }
                }
            }
        }
        held
    }
}

/// Which cell inside (counted from the boundary) the cell `beyond` cells past it repeats, and whether with opposite sign.
fn image(boundary: Boundary, mirror: Mirror, beyond: isize) -> (isize, bool) {
    match (boundary, mirror) {
        (Boundary::Wall, Mirror::Even) => (beyond, false),
        (Boundary::Wall, Mirror::Odd) => (beyond, true),
        (Boundary::Wall, Mirror::EvenAtPoint) => (beyond + 1, false),
        (Boundary::Wall, Mirror::OddAtPoint) => (beyond + 1, true),
        (Boundary::Periodic | Boundary::Fixed | Boundary::Open, _) => (0, false),
    }
}
