//! What a job says to a kernel: values of parameters, how fields are given, grid and time step.
//!
//! Output: [`Setup`], which a kernel builds its stencil from, or [`KernelError`]. Invariant: a stencil's constants
//! depend on nothing else, and it is the same on every rank: it holds no extent, cut or part. All declared parameters
//! are there, so asking for one panics only where a kernel asks for what it did not declare.

use std::collections::BTreeMap;
use std::fmt;

use crate::declare::Beyond;

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a [`crate::ParameterKind::Number`] or [`crate::ParameterKind::Choice`].
    Number(f64),
    /// Of a [`crate::ParameterKind::Group`]: by key, defaults filled in; `None` where the job leaves it out.
    Group(Option<BTreeMap<String, f64>>),
    /// Of a [`crate::ParameterKind::Word`] or [`crate::ParameterKind::Text`].
    Word(String),
    /// Of a [`crate::ParameterKind::List`].
    List(Vec<f64>),
}

/// How a job gives a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given {
    /// Not at all.
    Absent,
    /// As one number for all points.
    Number(f64),
    /// As values that differ from point to point.
    Varying,
}

/// All that a stencil's constants depend on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Number of axes.
    pub axes: usize,
    /// Distance between points along each axis, slowest first, in metres (or degrees, where the kernel allows it).
    pub spacing: Vec<f64>,
    /// Time step in seconds.
    pub dt: f64,
    /// All declared parameters, defaults filled in.
    pub parameters: BTreeMap<String, Value>,
    /// How each slot is given.
    pub given: Vec<Given>,
    /// True if the axes are latitude and longitude in degrees.
    pub degrees: bool,
    /// What lies beyond the low and the high side of each axis, slowest first.
    pub beyond: Vec<[Beyond; 2]>,
    /// Largest speed that the job expects, in m/s; 0 where it does not say. A rate that depends on the state counts at least
    /// this speed everywhere.
    pub speed: f64,
}

impl Setup {
    /// Number parameter `name`.
    ///
    /// # Panics
    ///
    /// If the kernel did not declare it as a number: a kernel's own mistake.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        match self.parameters.get(name) {
            Some(Value::Number(value)) => *value,
            other => panic!("kernel asks for number parameter {name}, declared is {other:?}"),
        }
    }

    /// Checks that each side is one of `known`; `remedy` says what to do instead.
    ///
    /// # Errors
    ///
    /// [`KernelError`] that names the first other side.
    pub fn sides(&self, known: &[Beyond], remedy: &str) -> Result<(), KernelError> {
        match self.beyond.iter().flatten().find(|side| !known.contains(side)) {
            None => Ok(()),
            Some(other) => {
                let words: Vec<String> = known.iter().map(|side| format!("\"{}\"", side.word())).collect();
                let problem =
                    format!("the kernel has no \"{}\" sides; use {}; {remedy}", other.word(), words.join(" or "));
                Err(KernelError { key: "boundary".into(), problem })
            }
        }
    }

    /// True if a wall lies at `side` (0 low, 1 high) of `axis`.
    #[must_use]
    pub fn wall(&self, axis: usize, side: usize) -> bool {
        self.beyond[axis][side] == Beyond::Wall
    }

    /// Word parameter `name`.
    ///
    /// # Panics
    ///
    /// If the kernel did not declare it as a word: a kernel's own mistake.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        match self.parameters.get(name) {
            Some(Value::Word(word)) => word,
            other => panic!("kernel asks for word parameter {name}, declared is {other:?}"),
        }
    }

    /// List parameter `name`.
    ///
    /// # Panics
    ///
    /// If the kernel did not declare it as a list: a kernel's own mistake.
    #[must_use]
    pub fn list(&self, name: &str) -> &[f64] {
        match self.parameters.get(name) {
            Some(Value::List(list)) => list,
            other => panic!("kernel asks for list parameter {name}, declared is {other:?}"),
        }
    }

    /// Numbers of the group `name` by key, if the job gives it.
    ///
    /// # Panics
    ///
    /// If the kernel did not declare it as a group: a kernel's own mistake.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&BTreeMap<String, f64>> {
        match self.parameters.get(name) {
            Some(Value::Group(values)) => values.as_ref(),
            other => panic!("kernel asks for the group of parameters {name}, declared is {other:?}"),
        }
    }
}

/// A parameter out of its range, or a combination that makes no sense.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelError {
    /// Key in `[kernel]` or `[fields]`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for KernelError {}
