//! A formula as a tree of operations: what `grammar` reads, and what `rows` are made from.
//!
//! Invariant: operands stand in the order of the text, none moved and none computed ahead; each function and variable
//! is a place in the lists that `rows` looks it up in.

use super::{CONSTANTS, PAIRS};

/// An operation with its operands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A finite number, 0 or more.
    Number(f64),
    /// A variable, by its place among the names.
    Variable(usize),
    /// The opposite.
    Negate(Box<Node>),
    /// A function of [`FUNCTIONS`], by its place there.
    Call(usize, Box<Node>),
    /// An operation on two values.
    Pair(Pair, Box<Node>, Box<Node>),
}

/// An operation on two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// `a + b`.
    Add,
    /// `a - b`.
    Subtract,
    /// `a * b`.
    Multiply,
    /// `a / b`.
    Divide,
    /// `a ^ b`.
    Power,
    /// `atan2(a, b)`.
    Atan2,
    /// `min(a, b)`.
    Min,
    /// `max(a, b)`.
    Max,
}

impl Pair {
    /// The function of two values called `name`.
    pub(super) fn called(name: &str) -> Option<Self> {
        let known = [Pair::Atan2, Pair::Min, Pair::Max];
        PAIRS.iter().position(|known| *known == name).and_then(|at| known.get(at)).copied()
    }
}

impl Node {
    /// `self` and `other` joined by `pair`.
    pub(super) fn join(self, pair: Pair, other: Node) -> Node {
        Node::Pair(pair, Box::new(self), Box::new(other))
    }

    /// The constant that `name` names.
    pub(super) fn constant(name: &str) -> Option<Node> {
        CONSTANTS.iter().find(|(known, _)| *known == name).map(|(_, value)| Node::Number(*value))
    }
}
