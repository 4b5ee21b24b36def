//! A formula as a tree of operations: what `grammar` reads, and what both evaluators are made from.

use super::{CONSTANTS, FUNCTIONS, PAIRS};

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
    /// As the evaluator of formulas writes it between its operands.
    fn word(self) -> &'static str {
        match self {
            Pair::Add => "+",
            Pair::Subtract => "-",
            Pair::Multiply => "*",
            Pair::Divide => "/",
            Pair::Power => "^",
            Pair::Atan2 => " atan2 ",
            Pair::Min => " min ",
            Pair::Max => " max ",
        }
    }

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

    /// Writes the tree with every operation in parentheses and constants as numbers; `names` are those of the variables.
    pub(super) fn write(&self, names: &[&str], text: &mut String) {
        match self {
            // Rust writes a float without exponent and reads it back to the same bits.
            Node::Number(value) => text.push_str(&format!("{value}")),
            Node::Variable(at) => text.push_str(names[*at]),
            Node::Negate(of) => Node::around("(-(", of, "))", names, text),
            Node::Call(function, of) => Node::around(&format!("({}(", FUNCTIONS[*function]), of, "))", names, text),
            Node::Pair(pair, left, right) => {
                Node::around("(", left, pair.word(), names, text);
                Node::around("", right, ")", names, text);
            }
        }
    }

    fn around(before: &str, node: &Node, after: &str, names: &[&str], text: &mut String) {
        text.push_str(before);
        node.write(names, text);
        text.push_str(after);
    }
}
