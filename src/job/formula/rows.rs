//! Formulas as operations on whole rows of values.
//!
//! Input: a formula of fields and coordinates, and rows of their values. Output: a row of the formula's values. Invariant:
//! each value has the bits that its operations give in the order of the text, one cell at a time.

use super::grammar::{self, FormulaError, Names};
use super::operators::{self, power};
use super::tree::{Node, Pair};
use super::{FUNCTIONS, Formula};
use crate::grid::{AXES, Grid};

/// Most values in a row: a few rows fit the nearest cache.
pub const ROW: usize = 512;

/// Values worked on at once where a loop has an inner one.
const LANES: usize = 8;

/// What a formula of fields reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// The field of a slot.
    Field(usize),
    /// The coordinate along an axis (0 to 3).
    Coordinate(usize),
}

/// A formula of fields and coordinates, ready to run on rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    text: String,
    variables: Vec<Variable>,
    steps: Vec<Step>,
    result: Operand,
    registers: usize,
}

/// One operation, and the register it writes; the registers it reads are others.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    to: usize,
    operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Negate(Operand),
    Call(usize, Operand),
    Pair(Pair, Operand, Operand),
    /// A power with a whole exponent up to 1024.
    Whole(Operand, f64),
    Fill(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operand {
    Number(f64),
    Variable(usize),
    Register(usize),
}

/// Rows for what lies between the operations.
#[derive(Debug, Default)]
pub struct Work {
    registers: Vec<Vec<f64>>,
}

impl Map {
    /// The formula `text` of the fields `fields` (name and slot each) and of the coordinates of `grid`.
    ///
    /// # Errors
    ///
    /// [`FormulaError`] if it is not well formed or names something unknown; it points into the text.
    pub fn parse(text: &str, fields: &[(&str, usize)], grid: &Grid) -> Result<Self, FormulaError> {
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let coordinates = Formula::coordinates(grid);
        let tree = grammar::parse(text, Names { fields: &names, coordinates: &coordinates })?;
        let known = fields.iter().map(|(_, slot)| Variable::Field(*slot));
        let known: Vec<Variable> = known.chain((grid.first()..AXES).map(Variable::Coordinate)).collect();
        let mut compiler = Compiler { known, variables: Vec::new(), steps: Vec::new(), free: Vec::new(), registers: 0 };
        let mut result = compiler.compile(&tree);
        if let Operand::Number(value) = result {
            result = compiler.step(Operation::Fill(value), &[]);
        }
        let Compiler { variables, steps, registers, .. } = compiler;
        Ok(Self { text: text.to_owned(), variables, steps, result, registers })
    }

    /// The text as given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads, each once.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Slots of the fields that it reads.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        self.variables.iter().filter_map(|variable| match variable {
            Variable::Field(slot) => Some(*slot),
            Variable::Coordinate(_) => None,
        })
    }

    /// Values of the formula at `cells` cells, where `rows` holds as many values of each of [`Map::variables`].
    ///
    /// # Panics
    ///
    /// If there are more than [`ROW`] cells, or too few rows or values.
    pub fn run<'a>(&self, cells: usize, rows: &[&'a [f64]], work: &'a mut Work) -> &'a [f64] {
        assert!(cells <= ROW, "a row has at most {ROW} values");
        if work.registers.len() < self.registers {
            work.registers.resize_with(self.registers, || vec![0.0; ROW]);
        }
        for step in &self.steps {
            // Taken out, so that it can be written while others are read.
            let mut out = std::mem::take(&mut work.registers[step.to]);
            let view = |operand: Operand| match operand {
                Operand::Number(value) => View::Number(value),
                Operand::Variable(at) => View::Row(&rows[at][..cells]),
                Operand::Register(at) => View::Row(&work.registers[at][..cells]),
            };
            apply(step.operation, view, &mut out[..cells]);
            work.registers[step.to] = out;
        }
        match self.result {
            Operand::Variable(at) => &rows[at][..cells],
            Operand::Register(at) => &work.registers[at][..cells],
            Operand::Number(_) => &[],
        }
    }
}

/// Turns a tree into steps.
struct Compiler {
    /// All names that the tree may use.
    known: Vec<Variable>,
    /// Those that it does.
    variables: Vec<Variable>,
    steps: Vec<Step>,
    /// Registers whose value is no longer needed.
    free: Vec<usize>,
    registers: usize,
}

impl Compiler {
    fn compile(&mut self, node: &Node) -> Operand {
        match node {
            Node::Number(value) => Operand::Number(*value),
            Node::Variable(at) => {
                let variable = self.known[*at];
                let found = self.variables.iter().position(|known| *known == variable);
                Operand::Variable(found.unwrap_or_else(|| {
                    self.variables.push(variable);
                    self.variables.len() - 1
                }))
            }
            Node::Negate(of) => match self.compile(of) {
                Operand::Number(value) => Operand::Number(-value),
                of => self.step(Operation::Negate(of), &[of]),
            },
            Node::Call(function, of) => {
                let of = self.compile(of);
                self.step(Operation::Call(*function, of), &[of])
            }
            Node::Pair(pair, left, right) => {
                let (left, right) = (self.compile(left), self.compile(right));
                let operation = match (pair, right) {
                    (Pair::Power, Operand::Number(exponent)) if operators::whole(exponent) => {
                        Operation::Whole(left, exponent)
                    }
                    _ => Operation::Pair(*pair, left, right),
                };
                self.step(operation, &[left, right])
            }
        }
    }

    /// Adds `operation`, after which the registers among `operands` are free.
    fn step(&mut self, operation: Operation, operands: &[Operand]) -> Operand {
        let to = self.free.pop().unwrap_or_else(|| {
            self.registers += 1;
            self.registers - 1
        });
        self.steps.push(Step { to, operation });
        for operand in operands {
            if let Operand::Register(at) = operand {
                self.free.push(*at);
            }
        }
        Operand::Register(to)
    }
}

/// Values of an operand.
#[derive(Clone, Copy)]
enum View<'a> {
    Number(f64),
    Row(&'a [f64]),
}

fn apply<'a>(operation: Operation, view: impl Fn(Operand) -> View<'a>, out: &mut [f64]) {
    match operation {
        Operation::Fill(value) => out.fill(value),
        Operation::Negate(of) => each(view(of), out, |a| -a),
        Operation::Call(function, of) => match FUNCTIONS[function] {
            // The same bits as those of libm, and computed by whole vectors.
            "sqrt" => each(view(of), out, f64::sqrt),
            "abs" => each(view(of), out, f64::abs),
            _ => each(view(of), out, operators::FUNCTIONS_OF_ONE[function]),
        },
        Operation::Whole(of, 2.0) => each(view(of), out, |a| a * a),
        Operation::Whole(of, exponent) => match view(of) {
            View::Number(base) => out.fill(power(base, exponent)),
            View::Row(base) => powers(base, exponent, out),
        },
        Operation::Pair(pair, a, b) => {
            let (a, b) = (view(a), view(b));
            match pair {
                Pair::Add => both(a, b, out, |a, b| a + b),
                Pair::Subtract => both(a, b, out, |a, b| a - b),
                Pair::Multiply => both(a, b, out, |a, b| a * b),
                Pair::Divide => both(a, b, out, |a, b| a / b),
                Pair::Power => both(a, b, out, power),
                Pair::Atan2 => both(a, b, out, libm::atan2),
                Pair::Min => both(a, b, out, operators::smaller),
                Pair::Max => both(a, b, out, operators::larger),
            }
        }
    }
}

fn each(of: View<'_>, out: &mut [f64], apply: impl Fn(f64) -> f64) {
    match of {
        View::Number(of) => out.fill(apply(of)),
        View::Row(of) => out.iter_mut().zip(of).for_each(|(out, of)| *out = apply(*of)),
    }
}

fn both(a: View<'_>, b: View<'_>, out: &mut [f64], apply: impl Fn(f64, f64) -> f64) {
    match (a, b) {
        (View::Number(a), View::Number(b)) => out.fill(apply(a, b)),
        (View::Row(a), View::Number(b)) => out.iter_mut().zip(a).for_each(|(out, a)| *out = apply(*a, b)),
        (View::Number(a), View::Row(b)) => out.iter_mut().zip(b).for_each(|(out, b)| *out = apply(a, *b)),
        (View::Row(a), View::Row(b)) => {
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = apply(*a, *b));
        }
    }
}

/// `base` to the power `exponent`, a whole number up to 1024.
fn powers(base: &[f64], exponent: f64, out: &mut [f64]) {
    let (lanes, rest) = base.as_chunks::<LANES>();
    let (to, to_rest) = out.as_chunks_mut::<LANES>();
    for (out, base) in to.iter_mut().zip(lanes) {
        *out = operators::powers(*base, exponent);
    }
    for (out, base) in to_rest.iter_mut().zip(rest) {
        *out = power(*base, exponent);
    }
}
