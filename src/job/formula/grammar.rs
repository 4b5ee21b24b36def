//! The grammar of formulas: text in, a tree of operations out.
//!
//! `sum = product (("+" | "-") product)*`, `product = sign (("*" | "/") sign)*`, `sign = ("-" | "+") sign | power`,
//! `power = atom ("^" sign)?`, `atom = number | name | name "(" sum ("," sum)? ")" | "(" sum ")"`.
//!
//! Input: a text and the names it may use. Output: the tree, or the bytes at fault and what would be right.
//! Invariant: no text makes it panic or nest deeper than `MOST_DEPTH`; a text that was read once keeps its tree, for
//! runs on disk hold the text.

use std::ops::Range;

use super::tree::{Node, Pair};
use super::{FUNCTIONS, PAIRS};
use crate::job::error::nearest;

/// Longest formula in bytes.
const MOST_BYTES: usize = 4096;
/// Deepest nesting.
const MOST_DEPTH: usize = 64;

/// Why a formula cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FormulaError {
    /// Bytes of the text at fault.
    pub at: Range<usize>,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Names that a formula may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// Fields: variables 0 and up. They come before coordinates and constants of the same name.
    pub(super) fields: &'a [&'a str],
    /// Coordinates: the variables after those.
    pub(super) coordinates: &'a [&'a str],
}

/// The tree of `text`, whose variables are `names`.
pub(super) fn parse(text: &str, names: Names<'_>) -> Result<Node, FormulaError> {
    if text.len() > MOST_BYTES {
        let problem = format!("the formula has {} bytes, the most is {MOST_BYTES}; use a file", text.len());
        return Err(FormulaError { at: 0..text.len(), problem });
    }
    let mut reader = Reader { text, at: 0, depth: 0, names };
    let whole = reader.sum()?;
    match reader.peek() {
        None => Ok(whole),
        Some(other) => Err(reader.unexpected(other, "an operator (+ - * / ^)")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    names: Names<'a>,
}

impl Reader<'_> {
    fn sum(&mut self) -> Result<Node, FormulaError> {
        self.deeper()?;
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.at += 1;
            let pair = if sign == '+' { Pair::Add } else { Pair::Subtract };
            left = left.join(pair, self.product()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn deeper(&mut self) -> Result<(), FormulaError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(self.at..self.at, "the formula is nested too deeply; use a file".to_owned()));
        }
        Ok(())
    }

    fn product(&mut self) -> Result<Node, FormulaError> {
        let mut left = self.sign()?;
        while let Some(sign @ ('*' | '/')) = self.peek() {
            self.at += 1;
            if sign == '*' && self.text[self.at..].starts_with('*') {
                return Err(self.error(self.at - 1..self.at + 1, "unknown operator `**`; a power is `^`".to_owned()));
            }
            let pair = if sign == '*' { Pair::Multiply } else { Pair::Divide };
            left = left.join(pair, self.sign()?);
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Node, FormulaError> {
        self.deeper()?;
        let value = match self.peek() {
            Some('-') => {
                self.at += 1;
                Node::Negate(Box::new(self.sign()?))
            }
            Some('+') => {
                self.at += 1;
                self.sign()?
            }
            _ => self.power()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Result<Node, FormulaError> {
        let base = self.atom()?;
        if self.peek() != Some('^') {
            return Ok(base);
        }
        self.at += 1;
        Ok(base.join(Pair::Power, self.sign()?))
    }

    fn atom(&mut self) -> Result<Node, FormulaError> {
        let wanted = if self.names.fields.is_empty() { "a coordinate" } else { "a field" };
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inside = self.sum()?;
                self.close()?;
                Ok(inside)
            }
            Some('0'..='9' | '.') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            Some(other) => Err(self.unexpected(other, &format!("a number, {wanted} or a function"))),
            None => {
                let problem = format!("the formula ends too early: a number, {wanted} or a function is missing");
                Err(self.error(self.at..self.at, problem))
            }
        }
    }

    fn number(&mut self) -> Result<Node, FormulaError> {
        let start = self.at;
        let digits = |at: usize| self.text[at..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let mut end = start + digits(start);
        let rest = &self.text.as_bytes()[end..];
        if matches!(rest.first(), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
            let exponent = rest[1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        self.at = end;
        let value = self.text[start..end].parse::<f64>().ok().filter(|value| value.is_finite());
        value.map(Node::Number).ok_or_else(|| {
            let problem = format!("`{}` is no finite number", &self.text[start..end]);
            self.error(start..end, problem)
        })
    }

    fn name(&mut self) -> Result<Node, FormulaError> {
        let start = self.at;
        let length = self.text[start..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let end = length.map_or(self.text.len(), |length| start + length);
        self.at = end;
        let name = &self.text[start..end];
        if self.peek() == Some('(') {
            return self.call(name, start..end);
        }
        let Names { fields, coordinates } = self.names;
        if let Some(at) = fields.iter().chain(coordinates).position(|known| *known == name) {
            return Ok(Node::Variable(at));
        }
        if let Some(number) = Node::constant(name) {
            return Ok(number);
        }
        if FUNCTIONS.contains(&name) || PAIRS.contains(&name) {
            return Err(self.error(start..end, format!("the function `{name}` needs its arguments in parentheses")));
        }
        let known = format!("coordinates are {}; constants are pi, e", coordinates.join(", "));
        let problem = match nearest(name, fields.iter().copied()) {
            _ if fields.is_empty() => format!("unknown name `{name}`; {known}"),
            Some(near) => format!("unknown name `{name}`; did you mean `{near}`? fields are {}", fields.join(", ")),
            None => format!("unknown name `{name}`; fields are {}; {known}", fields.join(", ")),
        };
        Err(self.error(start..end, problem))
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Result<Node, FormulaError> {
        let pair = Pair::called(name);
        let function = FUNCTIONS.iter().position(|known| *known == name);
        if pair.is_none() && function.is_none() {
            let all = || FUNCTIONS.into_iter().chain(PAIRS);
            let problem = match nearest(name, all()) {
                Some(nearest) => format!("unknown function `{name}`; did you mean `{nearest}`?"),
                None => format!("unknown function `{name}`; known are: {}", all().collect::<Vec<_>>().join(", ")),
            };
            return Err(self.error(at, problem));
        }
        self.peek();
        self.at += 1;
        let first = self.sum()?;
        if let Some(function) = function {
            self.close()?;
            return Ok(Node::Call(function, Box::new(first)));
        }
        let Some(pair) = pair.filter(|_| self.peek() == Some(',')) else {
            return Err(self.error(at, format!("the function `{name}` takes two values: {name}(a, b)")));
        };
        self.at += 1;
        let second = self.sum()?;
        self.close()?;
        Ok(first.join(pair, second))
    }

    fn close(&mut self) -> Result<(), FormulaError> {
        match self.peek() {
            Some(')') => {
                self.at += 1;
                Ok(())
            }
            Some(other) => Err(self.unexpected(other, "an operator or `)`")),
            None => Err(self.error(self.at..self.at, "the formula ends too early: a `)` is missing".to_owned())),
        }
    }

    /// Next character that is not white space; moves up to it.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn unexpected(&self, found: char, wanted: &str) -> FormulaError {
        self.error(self.at..self.at + found.len_utf8(), format!("unexpected `{found}`; expected {wanted}"))
    }

    fn error(&self, at: Range<usize>, problem: String) -> FormulaError {
        FormulaError { at, problem }
    }
}
