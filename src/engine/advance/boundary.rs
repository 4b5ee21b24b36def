//! What lies beyond the sides of a block that no peer touches: mirrors, copies, held values, and the block itself where one
//! block makes up a periodic axis.
//!
//! Input: a grid and a block. Output: which cells beyond the grid repeat which, which points are held. Invariant: the value beyond a
//! boundary is a function of global indices, so cuts change no bit. Each axis maps its index alone, hence the order of
//! axes does not matter in corners.

use ringfort_kernels::{Declaration, Field, Mirror, Real, Role};

use crate::field::{Fields, Layout, Sign, Span};
use crate::grid::{AXES, Boundary, Extents, Grid, Region, Side};

/// What a boundary holds during a stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// Slot that the stage writes.
    pub(crate) slot: usize,
    /// Slot whose values are kept.
    pub(crate) source: usize,
    /// Which cells.
    pub(crate) span: Span,
}

/// What lies beyond each side of one block.
pub(crate) struct Edges {
    /// The boundary on each side of each axis; `Periodic` where a peer or the block itself is.
    beyond: [[Boundary; 2]; AXES],
    /// Periodic axes that the block makes up alone.
    wraps: [bool; AXES],
    /// First and last point of the grid along each axis, counted from the block's first cell.
    ends: [[isize; 2]; AXES],
    /// Which ends hold their value, those of peers in the halo included.
    fixed: [[bool; 2]; AXES],
    /// Which ends have a wall, those of peers included.
    walls: [[bool; 2]; AXES],
    /// Tiles may be cut along rows.
    cuts_rows: bool,
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
        let wraps = std::array::from_fn(|axis| wraps(grid, block, axis));
        let fixed = grid.boundary.map(|sides| sides.map(|side| side == Boundary::Fixed));
        let walls = grid.boundary.map(|sides| sides.map(|side| side == Boundary::Wall));
        Self { beyond, wraps, ends, fixed, walls, cuts_rows: false, first: grid.first() }
    }

    /// Says whether tiles may be cut along rows.
    pub(crate) fn cut_rows(&mut self, cuts_rows: bool) {
        self.cuts_rows = cuts_rows;
    }

    /// True if tiles may be cut along rows.
    pub(crate) fn cuts_rows(&self) -> bool {
        self.cuts_rows
    }

    /// First axis of the grid.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// First and last point of the grid along `axis`, counted from the block's first cell.
    pub(crate) fn ends(&self, axis: usize) -> [isize; 2] {
        self.ends[axis]
    }

    /// True if cells beyond `side` of `axis` are computed as own ones are, for later steps to read: those of a peer, and the
    /// block's own other end across the axes along which tiles are cut. Otherwise they are filled before each stage.
    pub(crate) fn open(&self, axis: usize, side: Side) -> bool {
        let periodic = self.beyond[axis][side as usize] == Boundary::Periodic;
        axis >= self.first && periodic && (!self.wraps[axis] || self.far(axis))
    }

    /// True if the block's own other end, where it lies beyond `axis`, is copied as deep as all steps need: not so along
    /// whole rows, whose ends are at hand whenever a row is.
    fn far(&self, axis: usize) -> bool {
        if axis == AXES - 1 { self.cuts_rows } else { axis <= self.first + 1 }
    }

    /// True if no peer touches the block.
    pub(crate) fn alone(&self) -> bool {
        !(self.first..AXES).any(|axis| Side::BOTH.iter().any(|&side| self.peer(axis, side)))
    }

    /// True if the block makes up the periodic `axis` alone.
    pub(crate) fn wraps(&self, axis: usize) -> bool {
        self.wraps[axis]
    }

    /// Points along `axis` at which `field` holds its value, low and high.
    pub(crate) fn held(&self, axis: usize, field: &Field) -> [Option<isize>; 2] {
        let rests = field.rests(axis - self.first);
        Side::BOTH.map(|side| {
            let side = side as usize;
            let held = self.fixed[axis][side] || (self.walls[axis][side] && rests[side]);
            held.then_some(self.ends[axis][side])
        })
    }

    /// Gives components the value 0 at the own points where walls hold them, as [`Edges::held`] says.
    pub(crate) fn rest<T: Real>(&self, fields: &mut Fields<T>, declaration: &Declaration) {
        let own = fields.layout().own();
        for (slot, field) in declaration.of_role(Role::Component) {
            for axis in self.first..AXES {
                for (side, rests) in field.rests(axis - self.first).into_iter().enumerate() {
                    let at = self.ends[axis][side];
                    if self.walls[axis][side] && rests && (own.low[axis]..own.high[axis]).contains(&at) {
                        let plane = own.with(axis, at, at + 1);
                        fields.write(slot, &plane, &vec![T::default(); plane.cells()]);
                    }
                }
            }
        }
    }

    /// Which point the cell `cells` cells past the first one beyond `side` of `axis` repeats: index from, index to, and
    /// with which sign.
    pub(crate) fn image(&self, axis: usize, side: Side, field: &Field, cells: isize) -> (isize, isize, Sign) {
        let [first, last] = self.ends[axis];
        if self.wraps[axis] {
            let beyond = if side == Side::Low { first - 1 - cells } else { last + 1 + cells };
            return (first + (beyond - first).rem_euclid(last + 1 - first), beyond, Sign::Same);
        }
        let own = axis - self.first;
        let half = field.half[own].then_some(side);
        let (inside, sign) = image(self.beyond[axis][side as usize], field.mirror[own], half, cells);
        let inside = inside.min(last - first);
        match side {
            Side::Low => (first + inside, first - 1 - cells, sign),
            Side::High => (last - inside, last + 1 + cells, sign),
        }
    }

    /// True if some side of `axis` is open.
    pub(crate) fn open_axis(&self, axis: usize) -> bool {
        Side::BOTH.iter().any(|&side| self.open(axis, side))
    }

    /// True if some wall of the grid mirrors `field` with opposite sign. The same for all blocks.
    pub(crate) fn negate(&self, field: &Field) -> bool {
        let odd = |mirror| matches!(mirror, Mirror::Odd | Mirror::OddAtPoint);
        (self.first..AXES).any(|axis| self.walls[axis].contains(&true) && odd(field.mirror[axis - self.first]))
    }

    /// The own cells and `margin` cells more at open sides.
    pub(crate) fn reach(&self, layout: &Layout, margin: &[usize; AXES]) -> Span {
        let mut span = layout.own();
        for axis in self.first..AXES {
            if self.open(axis, Side::Low) {
                span.low[axis] -= margin[axis].cast_signed();
            }
            if self.open(axis, Side::High) {
                span.high[axis] += margin[axis].cast_signed();
            }
        }
        span
    }

    /// The own cells, and `margin` cells more at open sides where they repeat the block's own other end: what is known before
    /// any halo arrives.
    pub(crate) fn known(&self, layout: &Layout, margin: &[usize; AXES]) -> Span {
        let (mut span, own) = (self.reach(layout, margin), layout.own());
        for axis in self.first..AXES {
            if self.peer(axis, Side::Low) {
                span.low[axis] = own.low[axis];
            }
            if self.peer(axis, Side::High) {
                span.high[axis] = own.high[axis];
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

    /// Planes beyond the sides `which` of the first axis, `depth` of them, that repeat one: from, to, sign.
    pub(crate) fn repeating(&self, field: &Field, depth: usize, which: Sides) -> Vec<(isize, isize, Sign)> {
        let sides = Side::BOTH.into_iter().filter(|&side| self.fills(self.first, side, which));
        let cells = |side| (0..depth.cast_signed()).map(move |cells| (side, cells));
        sides.flat_map(cells).map(|(side, cells)| self.image(self.first, side, field, cells)).collect()
    }

    /// True if a peer touches `side` of `axis`.
    pub(crate) fn peer(&self, axis: usize, side: Side) -> bool {
        axis >= self.first && !self.wraps[axis] && self.beyond[axis][side as usize] == Boundary::Periodic
    }

    /// True if `side` of `axis` is one of `which`, filled from own cells.
    pub(crate) fn fills(&self, axis: usize, side: Side, which: Sides) -> bool {
        let filled = self.wraps[axis] || self.beyond[axis][side as usize] != Boundary::Periodic;
        filled
            && match which {
                Sides::All => true,
                Sides::Closed => !self.open(axis, side),
                Sides::Open => self.open(axis, side),
            }
    }

    /// The index along `axis` of the own cell that the cell with index `index` repeats, where the block makes up a periodic
    /// axis alone; else `index` itself.
    pub(crate) fn repeated(&self, axis: usize, index: isize) -> isize {
        let [first, last] = self.ends[axis];
        if self.wraps[axis] { first + (index - first).rem_euclid(last + 1 - first) } else { index }
    }

    /// Where the point `cell` of the grid, in global indices, lies within `span`: more than once where it repeats.
    pub(crate) fn images(&self, cell: Extents, span: &Span) -> Vec<[isize; AXES]> {
        let mut images = vec![[0; AXES]];
        for axis in self.first..AXES {
            let [first, last] = self.ends[axis];
            let points = last + 1 - first;
            let (low, high) = (span.low[axis], span.high[axis]);
            let nearest = low + (first + cell[axis].cast_signed() - low).rem_euclid(points);
            let along: Vec<isize> = (nearest..high).step_by(points.cast_unsigned()).collect();
            images = images
                .iter()
                .flat_map(|image| {
                    along.iter().map(move |&index| {
                        let mut image = *image;
                        image[axis] = index;
                        image
                    })
                })
                .collect();
        }
        images
    }

    /// What boundaries hold of the fields that a stage writes, within `span`. A stage that reads no neighbours across a
    /// boundary is computed up to the end of the halo, where a peer's boundary may lie.
    pub(crate) fn holds(&self, writes: &[usize], declaration: &Declaration, span: &Span) -> Vec<Hold> {
        let mut holds = Vec::new();
        for axis in self.first..AXES {
            for side in Side::BOTH {
                let at = self.ends[axis][side as usize];
                if !(span.low[axis]..span.high[axis]).contains(&at) {
                    continue;
                }
                let span = span.with(axis, at, at + 1);
                for &slot in writes {
                    let field = &declaration.fields[slot];
                    if self.held(axis, field)[side as usize].is_none() {
                        continue;
                    }
                    let source = if field.role == Role::Component { Some(slot) } else { field.stands_for };
                    holds.extend(source.map(|source| Hold { slot, source, span }));
                }
            }
        }
        holds
    }
}

/// Which sides are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    /// All where no peer is.
    All,
    /// Those that are filled before each stage.
    Closed,
    /// Those that are filled once before the steps.
    Open,
}

/// True if `block` alone makes up the periodic `axis` of `grid`: then its halo there repeats its own cells, and the engine
/// fills it.
#[must_use]
pub fn wraps(grid: &Grid, block: &Region, axis: usize) -> bool {
    axis >= grid.first() && grid.periodic(axis) && block.extent[axis] == grid.points[axis]
}

/// Which cell inside (counted from the boundary) the cell `beyond` cells past it repeats, and with which sign. `half` is the
/// side of points that lie half a cell beyond the centres, which is inwards at the low side.
fn image(boundary: Boundary, mirror: Mirror, half: Option<Side>, beyond: isize) -> (isize, Sign) {
    if boundary != Boundary::Wall {
        return (0, Sign::Same);
    }
    let (at_point, sign) = match mirror {
        Mirror::Even => (0, Sign::Same),
        Mirror::Odd => (0, Sign::Opposite),
        Mirror::EvenAtPoint => (1, Sign::Same),
        Mirror::OddAtPoint => (1, Sign::Opposite),
    };
    match half {
        None => (beyond + at_point, sign),
        Some(Side::High) => (beyond + at_point + 1, sign),
        // On the wall itself.
        Some(Side::Low) if beyond + at_point == 0 => (0, if sign == Sign::Opposite { Sign::Zero } else { sign }),
        Some(Side::Low) => (beyond + at_point - 1, sign),
    }
}
