//! Formulas: the same bits on every machine.
//!
//! `grammar` reads the text into a `tree`. For formulas of the coordinates that is written with every operation in
//! parentheses, and `exmex` evaluates it, in `f64`, with operators from `libm`; formulas of fields become `rows`: operations on
//! whole rows of values, with the same operators. So the order of operations is ours: `-x^2` is `-(x^2)`, `a^b^c` is
//! `a^(b^c)`.

use exmex::{Express, FlatEx, NumberMatcher};
use ringfort_kernels::{Allowed, Real};

use super::input::InputError;
use crate::grid::{AXES, Grid, Region};

mod grammar;
mod operators;
mod rows;
mod tree;

pub use grammar::FormulaError;
use grammar::Names;
use operators::Operators;
pub use rows::{Map, ROW, Variable, Work};

/// A formula of the coordinates.
#[derive(Clone, Debug)]
pub struct Formula {
    text: String,
    /// Large, so it stays off the stack.
    expression: Box<FlatEx<f64, Operators, NumberMatcher>>,
    /// Axis of each variable of the expression.
    variables: Vec<usize>,
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
    ///
    /// # Panics
    ///
    /// Never: what `grammar` accepts, the evaluator does.
    pub fn parse(text: &str, grid: &Grid, allowed: Allowed) -> Result<Self, FormulaError> {
        let names = Self::coordinates(grid);
        let mut explicit = String::new();
        grammar::parse(text, Names { fields: &[], coordinates: &names })?.write(&names, &mut explicit);
        let expression = FlatEx::parse_wo_compile(&explicit)
            .map_err(|error| FormulaError { at: 0..text.len(), problem: error.msg().to_owned() })?;
        let axis = |name: &String| names.iter().position(|known| known == name).map(|at| grid.first() + at);
        let variables = expression.var_names().iter().filter_map(axis).collect();
        let half = [false; AXES];
        Ok(Self { text: text.to_owned(), expression: Box::new(expression), variables, allowed, half })
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
        &self.text
    }

    /// Value at the point `at`.
    fn value(&self, at: &[f64; AXES]) -> f64 {
        let mut values = [0.0; AXES];
        for (value, axis) in values.iter_mut().zip(&self.variables) {
            *value = at[*axis];
        }
        self.expression.eval(&values[..self.variables.len()]).unwrap_or(f64::NAN)
    }

    fn coordinate(&self, grid: &Grid, axis: usize, index: usize) -> f64 {
        grid.coordinate_of(axis, self.half[axis], index)
    }

    /// Values at the cells of `region`, each evaluated in `f64` and rounded once.
    pub(super) fn fill<T: Real>(&self, grid: &Grid, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        let width = region.extent[AXES - 1].max(1);
        for (row, cells) in region.rows().zip(out.chunks_exact_mut(width)) {
            let mut cell = [row[0], row[1], row[2], 0];
            let mut at: [f64; AXES] = std::array::from_fn(|axis| self.coordinate(grid, axis, cell[axis]));
            for (offset, out) in cells.iter_mut().enumerate() {
                cell[AXES - 1] = region.start[AXES - 1] + offset;
                at[AXES - 1] = self.coordinate(grid, AXES - 1, cell[AXES - 1]);
                let value = self.value(&at);
                *out = T::of(value);
                if !out.finite() || !self.allowed.holds(value) {
                    let names = (grid.first()..AXES).map(|axis| format!("{} = {}", grid.name(axis), at[axis]));
                    return Err(InputError::Formula {
                        formula: self.text.clone(),
                        value,
                        cell: grid.own(&cell).to_vec(),
                        place: names.collect::<Vec<_>>().join(", "),
                        allowed: self.allowed,
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
