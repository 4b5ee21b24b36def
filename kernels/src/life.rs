//! Life: cells that live or die by the number of their living neighbours, by any rule that counts no more than that.
//!
//! A cell has 8 neighbours. With rule `B3/S23` a dead cell with 3 living neighbours is born and a living one with 2 or
//! 3 survives; all others are dead in the next generation. `alive` is 0 or 1, so sums are exact in either precision
//! and no rule is a rounding away from another.
//!
//! One step is one generation; there is no bound on the time step.
//!
//! Input: `alive` at a point and its 8 neighbours. Output: `alive` a generation later. Invariant: it is 0 or 1
//! exactly, whatever the neighbours hold. Every spelling of a rule is kept as the same word, digits in order and
//! letters large, so jobs that mean the same rule say the same.
//!
//! Source: M. Gardner, *The fantastic combinations of John Conway's new solitaire game "life"*, Scientific American
//! 223(4), 1970, 120-123; other rules: S. Wolfram and N. H. Packard, *Two-dimensional cellular automata*, J. Stat.
//! Phys. 38, 1985, 901-946, who call them outer totalistic.

use crate::declare::{Declaration, Field, Parameter, ParameterKind, Role};
use crate::lane::Lane;
use crate::setup::{KernelError, Setup};
use crate::stencil::{Build, Cell, Kernel, Near, Stencil};

const ALIVE: usize = 0;
/// Most neighbours that a cell has.
const MOST: u8 = 8;

/// The kernel `life`.
#[derive(Clone, Copy, Debug)]
pub struct Life;

/// The stencil of a rule: what becomes of a dead and of a living cell, by living neighbours.
struct LifeStencil {
    dead: [f64; MOST as usize + 1],
    living: [f64; MOST as usize + 1],
}

/// Living cells among three of a row, `cells` away along the slow axis.
#[inline(always)]
fn three<L: Lane>(cell: &impl Near<L, 2>, cells: isize) -> L {
    cell.at(ALIVE, [cells, -1]) + cell.at(ALIVE, [cells, 0]) + cell.at(ALIVE, [cells, 1])
}

impl Stencil<2> for LifeStencil {
    #[inline(always)]
    fn point<L: Lane>(&self, _stage: usize, cell: &mut impl Cell<L, 2>) {
        let beside = cell.at(ALIVE, [0, -1]) + cell.at(ALIVE, [0, 1]);
        let around = (three(cell, -1) + three(cell, 1)) + beside;
        let (mut dead, mut living) = (L::of(self.dead[0]), L::of(self.living[0]));
        for count in 1..=MOST {
            let so_many = around.equals(L::of(f64::from(count)));
            dead = L::select(so_many, L::of(self.dead[usize::from(count)]), dead);
            living = L::select(so_many, L::of(self.living[usize::from(count)]), living);
        }
        let alive = L::of(0.5).lt(cell.here(ALIVE));
        cell.set(ALIVE, L::select(alive, living, dead));
    }

    #[inline(always)]
    fn rate<L: Lane>(&self, _cell: &impl Near<L, 2>) -> L {
        L::of(0.0)
    }
}

/// What becomes of a dead and of a living cell under `rule`, by living neighbours: 1 for alive.
fn outcomes(rule: &str) -> Result<[[f64; MOST as usize + 1]; 2], String> {
    let shape = || format!("`{rule}` is no rule; {FORM}, such as \"B3/S23\"");
    let upper = rule.to_ascii_uppercase();
    let (birth, survival) = upper.split_once('/').ok_or_else(shape)?;
    let digits = [birth.strip_prefix('B').ok_or_else(shape)?, survival.strip_prefix('S').ok_or_else(shape)?];
    let mut outcomes = [[0.0; MOST as usize + 1]; 2];
    for (outcomes, digits) in outcomes.iter_mut().zip(digits) {
        for digit in digits.chars() {
            let count = digit.to_digit(10).ok_or_else(shape)?;
            let outcome = outcomes.get_mut(count as usize);
            *outcome.ok_or_else(|| format!("a cell has {MOST} neighbours, never {count} as in `{rule}`"))? = 1.0;
        }
    }
    Ok(outcomes)
}

/// How a rule is written.
const FORM: &str =
    "B and the numbers of living neighbours with which a cell is born, /S and those with which it survives";

/// `rule` with its digits in order.
fn in_order(rule: &str) -> Result<String, String> {
    let [birth, survival] = outcomes(rule)?.map(|outcomes| {
        (0..=MOST)
            .filter(|&count| outcomes[usize::from(count)] > 0.0)
            .map(|count| count.to_string())
            .collect::<String>()
    });
    Ok(format!("B{birth}/S{survival}"))
}

impl Kernel for Life {
    fn declare(&self, _axes: usize) -> Declaration {
        Declaration {
            name: "life",
            title: "cells that are born, survive and die by the number of their neighbours, by any such rule",
            equation: "alive' = 1 if the living among the 8 neighbours are as many as the rule says, else 0",
            scheme: "exact; radius 1",
            bound: "none: one step is one generation",
            source: "M. Gardner, Scientific American 223(4), 1970, 120-123; S. Wolfram and N. H. Packard, J. Stat. Phys. 38, \
                     1985, 901-946",
            axes: (2, 2),
            parameters: vec![Parameter {
                name: "rule",
                about: "living neighbours with which a cell is born and survives",
                unit: "1",
                kind: ParameterKind::Text { default: "B3/S23", form: FORM, check: in_order },
            }],
            fields: vec![Field::new("alive", Role::Component, "1", "1 where a cell lives, else 0").one_of(&[0.0, 1.0])],
            rate_of_state: false,
            degrees: false,
            default_dt: Some(1.0),
        }
    }

    fn build<B: Build>(&self, setup: &Setup, build: B) -> Result<B::Output, KernelError> {
        if setup.axes != 2 {
            let problem = format!("life runs on 2 axes, not {}", setup.axes);
            return Err(KernelError { key: "points".into(), problem });
        }
        match outcomes(setup.word("rule")) {
            Ok([dead, living]) => Ok(build.stencil(LifeStencil { dead, living })),
            Err(problem) => Err(KernelError { key: "rule".into(), problem }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_in_any_order_and_case() {
        assert_eq!(in_order("b3/s32").unwrap(), "B3/S23");
        assert_eq!(in_order("B/S").unwrap(), "B/S");
        assert_eq!(in_order("B8037/S0").unwrap(), "B0378/S0");
        let [dead, living] = outcomes("B36/S125").unwrap();
        assert_eq!(dead, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(living, [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn other_text_is_refused_with_what_is_wrong() {
        for text in ["", "3/23", "B3S23", "B3/23", "S23/B3", "B3/S2-3", "B3/S23 ", "B3/S2/3", "B\u{663}/S"] {
            let error = in_order(text).unwrap_err();
            assert!(error.contains("is no rule") && error.contains("B3/S23"), "{error}");
        }
        assert_eq!(in_order("B3/S239").unwrap_err(), "a cell has 8 neighbours, never 9 as in `B3/S239`");
    }
}
