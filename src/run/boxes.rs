//! A box of cells cut into boxes of few cells, so that what is done with all of them needs little memory.
//!
//! Invariant: every cell lies in one of them, and they follow each other in memory order. Pure integers.

use crate::grid::{AXES, Extents, Region};

/// Most cells of a box that is looked at at once.
const BOX_CELLS: usize = 1 << 18;

/// A box of cells cut into boxes of few cells, whole rows and planes where these are few enough.
pub struct Boxes {
    whole: Region,
    size: Extents,
}

impl Boxes {
    /// `whole` in boxes that are looked at at once.
    #[must_use]
    pub fn of(whole: &Region) -> Self {
        Self::new(whole, BOX_CELLS)
    }

    fn new(whole: &Region, most: usize) -> Self {
        let mut size = [1; AXES];
        let mut room = most;
        for axis in (0..AXES).rev() {
            size[axis] = whole.extent[axis].min(room.max(1));
            room /= size[axis];
        }
        Self { whole: *whole, size }
    }

    fn along(&self, axis: usize) -> usize {
        self.whole.extent[axis].div_ceil(self.size[axis])
    }

    /// Number of boxes.
    #[must_use]
    pub fn count(&self) -> usize {
        (0..AXES).map(|axis| self.along(axis)).product()
    }

    /// Box `number`, slowest axis first.
    #[must_use]
    pub fn get(&self, mut number: usize) -> Region {
        let mut below = [0; AXES];
        for axis in (0..AXES).rev() {
            below[axis] = number % self.along(axis) * self.size[axis];
            number /= self.along(axis);
        }
        let extent = std::array::from_fn(|axis| self.size[axis].min(self.whole.extent[axis] - below[axis]));
        Region { start: std::array::from_fn(|axis| self.whole.start[axis] + below[axis]), extent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_every_cell_once() {
        for extent in [[1, 1, 1, 9], [1, 5, 6, 7], [2, 3, 4, 5], [1, 1, 1, 1]] {
            for most in [1, 2, 7, 30, 42, 100, 1000] {
                let whole = Region { start: [3, 0, 1, 7], extent };
                let boxes = Boxes::new(&whole, most);
                let mut seen = Vec::new();
                for number in 0..boxes.count() {
                    let part = boxes.get(number);
                    assert!(part.cells() <= most);
                    for [w, z, y] in part.rows() {
                        for x in part.start[3]..part.end(3) {
                            seen.push(whole.offset([w, z, y, x]));
                        }
                    }
                }
                assert!(seen.into_iter().eq(0..whole.cells()), "{extent:?} in boxes of {most}");
            }
        }
    }
}
