//! `ringfort checkpoint diff`.
//!
//! Input: two checkpoints, whatever their cuts. Output: where they differ, as words or JSON. Invariant: the exit code
//! says what the words say, by one comparison: 0 only if grids and components are the same and every value has the
//! same bits.

use serde_json::{Value, json};

use super::text::{by, table};
use super::{failure, print, print_json};
use crate::checkpoint::{Checkpoint, Difference, compare};
use crate::exit::{Exit, Failure};

/// Compares `a` with `b` and prints where they differ.
pub(super) fn diff(a: &Checkpoint, b: &Checkpoint, json: bool) -> Result<Exit, Failure> {
    let found = compare(a, b).map_err(failure)?;
    if json {
        print_json(&as_json(a, b, &found));
    } else {
        print(&as_text(a, b, &found));
    }
    Ok(if found.same() { Exit::Done } else { Exit::Different })
}

fn as_text(a: &Checkpoint, b: &Checkpoint, found: &Difference) -> String {
    let mut text = String::new();
    for (which, one) in [("first ", a), ("second", b)] {
        text.push_str(&format!("{which}  {}, time {} s, run {}\n", one.name(), one.meta().time, one.meta().run));
    }
    let grid = &a.meta().grid;
    if found.same() {
        let names: Vec<_> = found.fields.iter().map(|field| field.name.as_str()).collect();
        text.push_str(&format!("same bits: {} on {} points\n", names.join(", "), by(grid.own(&grid.points))));
        return text;
    }
    for obstacle in &found.obstacles {
        text.push_str(&format!("different: {obstacle}\n"));
    }
    if found.fields.is_empty() {
        return text;
    }
    let rows: Vec<_> = found
        .fields
        .iter()
        .map(|field| {
            let first = field.first.map_or("-".into(), |cell| format!("{:?}", grid.own(&cell)));
            let [max, rms] = [field.max_abs, field.rms].map(|value| format!("{value:e}"));
            let row = [field.differing.to_string(), field.cells.to_string(), max, rms];
            std::iter::once(field.name.clone()).chain(row).chain([field.undefined.to_string(), first]).collect()
        })
        .collect();
    let head = ["field", "differing", "cells", "max abs", "rms", "not finite", "first cell"];
    text.push_str(&table(&head, &[1, 2, 3, 4, 5], &rows));
    text
}

fn as_json(a: &Checkpoint, b: &Checkpoint, found: &Difference) -> Value {
    let one = |one: &Checkpoint| {
        json!({
            "name": one.name(), "step": one.meta().step, "time": one.meta().time, "run": one.meta().run.to_string(),
        })
    };
    let grid = &a.meta().grid;
    let fields: Vec<_> = found
        .fields
        .iter()
        .map(|field| {
            json!({
                "name": field.name,
                "cells": field.cells,
                "differing": field.differing,
                "not_finite": field.undefined,
                "max_abs": field.max_abs,
                "rms": field.rms,
                "first": field.first.map(|cell| grid.own(&cell).to_vec()),
            })
        })
        .collect();
    let obstacles: Vec<_> = found.obstacles.iter().map(ToString::to_string).collect();
    json!({ "same_bits": found.same(), "a": one(a), "b": one(b), "different": obstacles, "fields": fields })
}
