//! `[kernel]`: its name and parameters, checked against what the kernel declares.
//!
//! Input: the table of the job file and a catalog. Output: the kernel's declaration and a value for each parameter.
//! Invariant: every parameter that is declared has a value and no other has one; given ones are of the declared kind
//! and within its bounds, so kernels need not ask again.

use std::collections::BTreeMap;

use ringfort_kernels::{Declaration, Parameter, ParameterKind, Value};

use super::document::Document;
use super::error::JobError;
use super::{Catalog, axes, schema};
use crate::grid::Grid;

/// What the kernel that the job names says about itself on `grid`.
pub(super) fn declaration(
    document: &Document,
    given: &schema::Kernel,
    grid: &Grid,
    catalog: &dyn Catalog,
) -> Result<Declaration, JobError> {
    let Some(declaration) = catalog.declare(&given.name, grid.axes) else {
        return Err(document.unknown_word(&["kernel", "name"], "kernel", &given.name, &catalog.names()));
    };
    let (fewest, most) = declaration.axes;
    if !(fewest..=most).contains(&grid.axes) {
        let problem = format!("the kernel {} runs on {fewest} to {most} axes, not {}", declaration.name, grid.axes);
        return Err(document.wrong(&["grid", "points"], problem));
    }
    axes::check_units(document, grid, &declaration)?;
    Ok(declaration)
}

/// All parameters of the kernel, defaults filled in.
pub(super) fn read(
    document: &Document,
    given: &schema::Kernel,
    declaration: &Declaration,
) -> Result<BTreeMap<String, Value>, JobError> {
    for name in given.parameters.keys() {
        if !declaration.parameters.iter().any(|parameter| parameter.name == name) {
            let own = ["name", "precision"].into_iter();
            let known = own.chain(declaration.parameters.iter().map(|parameter| parameter.name)).map(str::to_owned);
            let table = format!("[kernel] of {}", declaration.name);
            return Err(document.unknown_key(document.key(&["kernel", name]), name, table, known.collect()));
        }
    }
    let mut values = BTreeMap::new();
    for parameter in &declaration.parameters {
        let path = ["kernel", parameter.name];
        let value = match given.parameters.get(parameter.name) {
            Some(given) => match (given, &parameter.kind) {
                (schema::Parameter::Table(table), ParameterKind::Group { entries }) => {
                    group(document, parameter.name, entries, table)?
                }
                (given, kind) => check(given, kind).map_err(|problem| document.wrong(&path, problem))?,
            },
            None => default(&parameter.kind).ok_or_else(|| {
                document.missing(
                    &path,
                    format!("the kernel {} needs it: {} [{}]", declaration.name, parameter.about, parameter.unit),
                )
            })?,
        };
        values.insert(parameter.name.to_owned(), value);
    }
    Ok(values)
}

/// The group `name` of `entries`, defaults filled in, of which the job gives `table`.
fn group(
    document: &Document,
    name: &str,
    entries: &[Parameter],
    table: &BTreeMap<String, f64>,
) -> Result<Value, JobError> {
    if let Some(key) = table.keys().find(|key| entries.iter().all(|entry| entry.name != key.as_str())) {
        let known = entries.iter().map(|entry| entry.name.to_owned()).collect();
        return Err(document.unknown_key(document.key(&["kernel", name, key]), key, format!("[kernel.{name}]"), known));
    }
    let mut values = BTreeMap::new();
    for entry in entries {
        let path = ["kernel", name, entry.name];
        let value = match table.get(entry.name) {
            Some(&value) => check(&schema::Parameter::Number(value), &entry.kind),
            None => default(&entry.kind).ok_or_else(|| format!("it is missing: {} [{}]", entry.about, entry.unit)),
        };
        if let Value::Number(value) = value.map_err(|problem| document.wrong(&path, problem))? {
            values.insert(entry.name.to_owned(), value);
        }
    }
    Ok(Value::Group(Some(values)))
}

fn default(kind: &ParameterKind) -> Option<Value> {
    match kind {
        ParameterKind::Number { default, .. } => default.map(Value::Number),
        ParameterKind::Choice { default, .. } => Some(Value::Number(*default)),
        ParameterKind::Group { .. } => Some(Value::Group(None)),
        ParameterKind::Word { default, .. } => Some(Value::Word((*default).to_owned())),
        ParameterKind::List { default, .. } => Some(Value::List(default.clone())),
        ParameterKind::Text { default, .. } => Some(Value::Word((*default).to_owned())),
    }
}

fn check(given: &schema::Parameter, kind: &ParameterKind) -> Result<Value, String> {
    match (kind, given) {
        (ParameterKind::Number { least, most, .. }, schema::Parameter::Number(value)) => {
            if !value.is_finite() || value < least || value > most {
                return Err(format!("{value} is out of range; give a finite number{}", range(*least, *most)));
            }
            Ok(Value::Number(*value))
        }
        (ParameterKind::Number { least, most, .. }, _) => Err(format!("give a number{}", range(*least, *most))),
        (ParameterKind::Choice { choices, .. }, schema::Parameter::Number(value)) if choices.contains(value) => {
            Ok(Value::Number(*value))
        }
        (ParameterKind::Choice { choices, .. }, given) => {
            let all: Vec<String> = choices.iter().map(f64::to_string).collect();
            let found =
                if let schema::Parameter::Number(value) = given { format!("{value} is none; ") } else { String::new() };
            Err(format!("{found}give one of {}", all.join(", ")))
        }
        (ParameterKind::Group { entries }, _) => {
            let keys: Vec<String> = entries.iter().map(|entry| format!("{} = ...", entry.name)).collect();
            Err(format!("give a table of numbers, {{ {} }}", keys.join(", ")))
        }
        (ParameterKind::Word { choices, .. }, schema::Parameter::Word(word)) if choices.contains(&word.as_str()) => {
            Ok(Value::Word(word.clone()))
        }
        (ParameterKind::Word { choices, .. }, _) => Err(format!("give one of \"{}\"", choices.join("\", \""))),
        (ParameterKind::List { len, .. }, schema::Parameter::List(list))
            if list.len() == *len && list.iter().all(|value| value.is_finite()) =>
        {
            Ok(Value::List(list.clone()))
        }
        (ParameterKind::List { len, .. }, _) => Err(format!("give a list of {len} finite numbers")),
        (ParameterKind::Text { check, .. }, schema::Parameter::Word(word)) => check(word).map(Value::Word),
        (ParameterKind::Text { default, form, .. }, _) => Err(format!("give {form}, such as \"{default}\"")),
    }
}

fn range(least: f64, most: f64) -> String {
    match (least.is_finite(), most.is_finite()) {
        (true, true) => format!(" from {least} to {most}"),
        (true, false) => format!(", at least {least}"),
        (false, true) => format!(", at most {most}"),
        (false, false) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_to_their_kind() {
        let number = ParameterKind::Number { default: None, least: 0.0, most: 2.0 };
        let word = ParameterKind::Word { default: "a", choices: &["a", "b"] };
        let list = ParameterKind::List { default: vec![0.0; 2], len: 2 };
        let long = |word: &str| if word.len() > 1 { Ok(word.to_lowercase()) } else { Err(format!("{word} is short")) };
        let text = ParameterKind::Text { default: "ab", form: "letters", check: long };
        let given = |kind: usize, value: f64| match kind {
            0 => schema::Parameter::Number(value),
            1 => schema::Parameter::Word("b".to_owned()),
            2 => schema::Parameter::List(vec![value, 1.0]),
            _ => schema::Parameter::Other(serde::de::IgnoredAny),
        };
        for (wanted, kind) in [&number, &word, &list].into_iter().enumerate() {
            for got in 0..4 {
                assert_eq!(check(&given(got, 1.0), kind).is_ok(), wanted == got, "{kind:?} given {got}");
            }
        }
        for value in [f64::NAN, f64::INFINITY, -1e-300, 2.1] {
            assert!(check(&given(0, value), &number).is_err(), "{value}");
        }
        assert!(check(&given(2, f64::NAN), &list).is_err());
        assert!(check(&schema::Parameter::List(vec![1.0]), &list).is_err());
        assert_eq!(default(&number), None);
        let word = |word: &str| check(&schema::Parameter::Word(word.to_owned()), &text);
        assert_eq!(word("Cd"), Ok(Value::Word("cd".to_owned())));
        assert_eq!(word("c"), Err("c is short".to_owned()));
        assert_eq!(check(&given(0, 1.0), &text), Err("give letters, such as \"ab\"".to_owned()));
    }
}
