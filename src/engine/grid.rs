//! The grid: axes, sides, boxes of cells. Pure integers and coordinates.
//!
//! Everything inside has four axes, slowest first; a grid of fewer axes has leading axes of one point. So loops are
//! uniform, and the fastest axis is always the last. [`Grid::axes`] says how many the job has.
//!
//! Invariant: memory order is the order of [`Region::offset`], last axis fastest, and [`Region::rows`] keeps to it. A
//! coordinate is a function of the grid and a global index alone, never added up from point to point. How `Debug`
//! writes sides, boundaries and units enters the fingerprint of jobs, so a variant that gets another name parts old
//! checkpoints from their jobs.

use ringfort_kernels::Beyond;

/// Number of axes that arrays and loops have.
pub const AXES: usize = 4;

/// Cells along each axis.
pub type Extents = [usize; AXES];

/// One end of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where indices begin.
    Low,
    /// Where indices end.
    High,
}

impl Side {
    /// Both sides, low first.
    pub const BOTH: [Side; 2] = [Side::Low, Side::High];

    /// The other end.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Low => Side::High,
            Side::High => Side::Low,
        }
    }
}

/// What lies beyond one side of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The other end of the axis.
    Periodic,
    /// A mirror, half a cell outside the last point, or at it where the kernel says so.
    Wall,
    /// Nothing: the last point keeps its initial value.
    Fixed,
    /// The same value as at the last point.
    Open,
}

impl Boundary {
    /// The same, as kernels know it.
    #[must_use]
    pub fn beyond(self) -> Beyond {
        match self {
            Self::Periodic => Beyond::Periodic,
            Self::Wall => Beyond::Wall,
            Self::Fixed => Beyond::Fixed,
            Self::Open => Beyond::Open,
        }
    }
}

/// Unit of the coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Metres.
    Metres,
    /// Degrees of latitude and longitude.
    Degrees,
}

/// The global grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Number of axes of the job, 1 to 4.
    pub axes: usize,
    /// Points along each axis.
    pub points: Extents,
    /// Distance between points along each axis.
    pub spacing: [f64; AXES],
    /// Coordinate of point 0 along each axis.
    pub origin: [f64; AXES],
    /// Unit of spacing and origin.
    pub units: Units,
    /// Low and high boundary of each axis.
    pub boundary: [[Boundary; 2]; AXES],
}

impl Grid {
    /// First axis that the job has; the axes before it have one point.
    #[must_use]
    pub fn first(&self) -> usize {
        AXES - self.axes
    }

    /// Name of `axis` (0 to 3): `w`, `z`, `y`, `x`, or `lat` and `lon` in degrees.
    #[must_use]
    pub fn name(&self, axis: usize) -> &'static str {
        match (self.units, axis) {
            (Units::Degrees, 2) => "lat",
            (Units::Degrees, 3) => "lon",
            (Units::Metres | Units::Degrees, axis) => ["w", "z", "y", "x"][axis],
        }
    }

    /// Unit of coordinates along `axis`, as CF writes it.
    #[must_use]
    pub fn unit(&self, axis: usize) -> &'static str {
        match (self.units, axis) {
            (Units::Degrees, 2) => "degrees_north",
            (Units::Degrees, 3) => "degrees_east",
            (Units::Metres | Units::Degrees, _) => "m",
        }
    }

    /// Coordinate of point `index` along `axis`.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
    pub fn coordinate(&self, axis: usize, index: usize) -> f64 {
        self.origin[axis] + self.spacing[axis] * index as f64
    }

    /// Coordinate of point `index` along `axis` of a field whose points lie half a cell beyond the centres if `half`.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
    pub fn coordinate_of(&self, axis: usize, half: bool, index: usize) -> f64 {
        let beyond = if half { 0.5 } else { 0.0 };
        self.origin[axis] + self.spacing[axis] * (index as f64 + beyond)
    }

    /// True if `axis` wraps around.
    #[must_use]
    pub fn periodic(&self, axis: usize) -> bool {
        self.boundary[axis][0] == Boundary::Periodic
    }

    /// Cells between `cell` and the nearest side that is not periodic: 0 in the outermost one; none without such sides.
    #[must_use]
    pub fn depth(&self, cell: Extents) -> Option<usize> {
        let axes = (self.first()..AXES).filter(|&axis| !self.periodic(axis));
        axes.map(|axis| cell[axis].min(self.points[axis] - 1 - cell[axis])).min()
    }

    /// The walls that `cell` lies at: the sum of `2^(2 a + s)` over those across the grid's axis number `a` on side `s`, 0 being
    /// the slowest axis and the low side.
    #[must_use]
    pub fn walls(&self, cell: Extents) -> u32 {
        let mut walls = 0;
        for axis in self.first()..AXES {
            let ends = [cell[axis] == 0, cell[axis] + 1 == self.points[axis]];
            for side in Side::BOTH.map(|side| side as usize) {
                let wall = ends[side] && self.boundary[axis][side] == Boundary::Wall;
                walls |= u32::from(wall) << (2 * (axis - self.first()) + side);
            }
        }
        walls
    }

    /// All points.
    #[must_use]
    pub fn region(&self) -> Region {
        Region { start: [0; AXES], extent: self.points }
    }

    /// The last `axes` entries of `values`: those that the job has.
    #[must_use]
    pub fn own<'a, T>(&self, values: &'a [T; AXES]) -> &'a [T] {
        &values[self.first()..]
    }
}

/// A box of cells, in global indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// First cell along each axis.
    pub start: Extents,
    /// Cells along each axis.
    pub extent: Extents,
}

impl Region {
    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.extent.iter().product()
    }

    /// First index past the box along `axis`.
    #[must_use]
    pub fn end(&self, axis: usize) -> usize {
        self.start[axis] + self.extent[axis]
    }

    /// Cells in both boxes, if any.
    #[must_use]
    pub fn intersection(&self, other: &Region) -> Option<Region> {
        let start: Extents = std::array::from_fn(|axis| self.start[axis].max(other.start[axis]));
        let end: Extents = std::array::from_fn(|axis| self.end(axis).min(other.end(axis)));
        let extent = std::array::from_fn(|axis| end[axis].saturating_sub(start[axis]));
        (!extent.contains(&0)).then_some(Region { start, extent })
    }

    /// Starts of all rows (runs along the last axis), as indices of the first three axes, in memory order.
    pub fn rows(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let Region { start: s, extent: e } = *self;
        (s[0]..s[0] + e[0])
            .flat_map(move |w| (s[1]..s[1] + e[1]).flat_map(move |z| (s[2]..s[2] + e[2]).map(move |y| [w, z, y])))
    }

    /// Position of `cell` among the cells of this box in memory order.
    #[must_use]
    pub fn offset(&self, cell: Extents) -> usize {
        let mut offset = 0;
        for axis in 0..AXES {
            offset = offset * self.extent[axis] + (cell[axis] - self.start[axis]);
        }
        offset
    }

    /// The cell at position `offset` in memory order: the inverse of [`Region::offset`].
    #[must_use]
    pub fn cell(&self, mut offset: usize) -> Extents {
        let mut cell = self.start;
        for axis in (0..AXES).rev() {
            cell[axis] += offset % self.extent[axis];
            offset /= self.extent[axis];
        }
        cell
    }
}
