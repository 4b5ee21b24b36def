//! Formulas: the same bits on every machine.
//!
//! `grammar` reads the text into a `tree`, which becomes `rows`: operations on whole rows of values, in `f64`, in the
//! order of the text, with the functions of `libm`, bit for bit: `-x^2` is `-(x^2)`, `a^b^c` is `a^(b^c)`.
//!
//! Input: a text and a grid. Output: values at the cells of a box. Invariant: a value is a function of the text and
//! of the point's coordinates alone, whatever the box; one that is not finite or not allowed is an error that names
//! its cell. What a text means may not change: fingerprints hold the text, not the tree.

use ringfort_kernels::{Allowed, Real};

use super::input::InputError;
use crate::grid::{AXES, Extents, Grid, Region};

mod grammar;
mod operators;
mod rows;
mod tree;

pub use grammar::FormulaError;
pub use rows::{Map, ROW, Variable, Work};

/// A formula of the coordinates.
#[derive(Clone, Debug)]
pub struct Formula {
    map: Map,
    allowed: Allowed,
    /// Axes along which the points lie half a cell beyond the cell centres.
    half: [bool; AXES],
}

/// Functions of one value, by name.
const FUNCTIONS: [&str; 21] = [
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "ln", "log", "log10", "log2", "sqrt",
    "abs", "floor", "ceil", "round", "step", "sign",
];

/// Functions of two values, by name.
const PAIRS: [&str; 3] = ["atan2", "min", "max"];

/// Constants, by name.
const CONSTANTS: [(&str, f64); 2] = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

impl Formula {
    /// The formula `text` of the coordinates of `grid`, whose values must be `allowed`.
    ///
    /// # Errors
    ///
    /// [`FormulaError`] if it is not well formed or names something unknown; it points into the text.
    pub fn parse(text: &str, grid: &Grid, allowed: Allowed) -> Result<Self, FormulaError> {
        Ok(Self { map: Map::parse(text, &[], grid)?, allowed, half: [false; AXES] })
    }

    /// The same, for points half a cell beyond the cell centres along the axes that `half` names.
    #[must_use]
    pub(super) fn at(self, half: [bool; AXES]) -> Self {
        Self { half, ..self }
    }

    /// Names of the coordinates of `grid`, slowest axis first.
    fn coordinates(grid: &Grid) -> Vec<&'static str> {
        (grid.first()..AXES).map(|axis| grid.name(axis)).collect()
    }

    /// The text as given.
    #[must_use]
    pub fn text(&self) -> &str {
        self.map.text()
    }

    fn coordinate(&self, grid: &Grid, axis: usize, index: usize) -> f64 {
        grid.coordinate_of(axis, self.half[axis], index)
    }

    /// Values at the cells of `region`, each evaluated in `f64` and rounded once.
    pub(super) fn fill<T: Real>(&self, grid: &Grid, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        let last = AXES - 1;
        let width = region.extent[last].max(1);
        let mut rows = vec![vec![0.0; ROW.min(width)]; self.map.variables().len()];
        let mut work = Work::default();
        for (row, cells) in region.rows().zip(out.chunks_exact_mut(width)) {
            for (piece, cells) in cells.chunks_mut(ROW).enumerate() {
                let start = region.start[last] + piece * ROW;
                for (variable, values) in self.map.variables().iter().zip(&mut rows) {
                    let Variable::Coordinate(axis) = *variable else { continue };
                    let values = &mut values[..cells.len()];
                    if axis == last {
                        let along = values.iter_mut().enumerate();
                        along.for_each(|(offset, value)| *value = self.coordinate(grid, axis, start + offset));
                    } else {
                        values.fill(self.coordinate(grid, axis, row[axis]));
                    }
                }
                let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..cells.len()]).collect();
                let values = self.map.run(cells.len(), &rows, &mut work);
                for (offset, (out, &value)) in cells.iter_mut().zip(values).enumerate() {
                    *out = T::of(value);
                    if !out.finite() || !self.allowed.holds(value) {
                        return Err(self.refuse(grid, [row[0], row[1], row[2], start + offset], value));
                    }
                }
            }
        }
        Ok(())
    }

    /// That `value` at `cell` cannot be used.
    fn refuse(&self, grid: &Grid, cell: Extents, value: f64) -> InputError {
        let place = |axis: usize| format!("{} = {}", grid.name(axis), self.coordinate(grid, axis, cell[axis]));
        InputError::Formula {
            formula: self.text().to_owned(),
            value,
            cell: grid.own(&cell).to_vec(),
            place: (grid.first()..AXES).map(place).collect::<Vec<_>>().join(", "),
            allowed: self.allowed,
        }
    }
}

#[cfg(test)]
mod tests;
