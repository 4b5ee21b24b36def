//! The grammar of formulas: text in, the same text with every operation in parentheses out.
//!
//! `sum = product (("+" | "-") product)*`, `product = sign (("*" | "/") sign)*`, `sign = ("-" | "+") sign | power`,
//! `power = atom ("^" sign)?`, `atom = number | name | name "(" sum ("," sum)? ")" | "(" sum ")"`.

use std::ops::Range;

use super::{CONSTANTS, FUNCTIONS, PAIRS};
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

/// `text` with every operation in parentheses and constants as numbers; `variables` are the allowed names.
pub(super) fn parenthesise(text: &str, variables: &[&str]) -> Result<String, FormulaError> {
    if text.len() > MOST_BYTES {
        let problem = format!("the formula has {} bytes, the most is {MOST_BYTES}; use a file", text.len());
        return Err(FormulaError { at: 0..text.len(), problem });
    }
    let mut reader = Reader { text, at: 0, depth: 0, variables };
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
    variables: &'a [&'a str],
}

impl Reader<'_> {
    fn sum(&mut self) -> Result<String, FormulaError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(self.at..self.at, "the formula is nested too deeply; use a file".to_owned()));
        }
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.at += 1;
            left = format!("({left}{sign}{})", self.product()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Result<String, FormulaError> {
        let mut left = self.sign()?;
        while let Some(sign @ ('*' | '/')) = self.peek() {
            self.at += 1;
            if sign == '*' && self.text[self.at..].starts_with('*') {
                return Err(self.error(self.at - 1..self.at + 1, "unknown operator `**`; a power is `^`".to_owned()));
            }
            left = format!("({left}{sign}{})", self.sign()?);
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<String, FormulaError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(self.at..self.at, "the formula is nested too deeply; use a file".to_owned()));
        }
        let value = match self.peek() {
            Some('-') => {
                self.at += 1;
                format!("(-({}))", self.sign()?)
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

    fn power(&mut self) -> Result<String, FormulaError> {
        let base = self.atom()?;
        if self.peek() != Some('^') {
            return Ok(base);
        }
        self.at += 1;
        Ok(format!("({base}^{})", self.sign()?))
    }

    fn atom(&mut self) -> Result<String, FormulaError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inside = self.sum()?;
                self.close()?;
                Ok(format!("({inside})"))
            }
            Some('0'..='9' | '.') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            Some(other) => Err(self.unexpected(other, "a number, a coordinate or a function")),
            None => {
                let problem = "the formula ends too early: a number, a coordinate or a function is missing";
                Err(self.error(self.at..self.at, problem.to_owned()))
            }
        }
    }

    fn number(&mut self) -> Result<String, FormulaError> {
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
        // Rust writes a float without exponent and reads it back to the same bits.
        value.map(|value| format!("{value}")).ok_or_else(|| {
            let problem = format!("`{}` is no finite number", &self.text[start..end]);
            self.error(start..end, problem)
        })
    }

    fn name(&mut self) -> Result<String, FormulaError> {
        let start = self.at;
        let length = self.text[start..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let end = length.map_or(self.text.len(), |length| start + length);
        self.at = end;
        let name = &self.text[start..end];
        if self.peek() == Some('(') {
            return self.call(name, start..end);
        }
        if self.variables.contains(&name) {
            return Ok(name.to_owned());
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|(known, _)| *known == name) {
            return Ok(format!("{value}"));
        }
        if FUNCTIONS.contains(&name) || PAIRS.contains(&name) {
            return Err(self.error(start..end, format!("the function `{name}` needs its arguments in parentheses")));
        }
        let known = format!("coordinates are {}; constants are pi, e", self.variables.join(", "));
        Err(self.error(start..end, format!("unknown name `{name}`; {known}")))
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Result<String, FormulaError> {
        let pair = PAIRS.contains(&name);
        if !pair && !FUNCTIONS.contains(&name) {
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
        if !pair {
            self.close()?;
            return Ok(format!("({name}({first}))"));
        }
        if self.peek() != Some(',') {
            return Err(self.error(at, format!("the function `{name}` takes two values: {name}(a, b)")));
        }
        self.at += 1;
        let second = self.sum()?;
        self.close()?;
        Ok(format!("(({first}) {name} ({second}))"))
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
