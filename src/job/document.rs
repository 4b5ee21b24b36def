//! The job file's text: overrides applied, keys checked, every value's place known.
//!
//! Invariant: a `Document` is valid TOML.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{JobError, Located, Mistake, nearest};
use super::formula::FormulaError;
use super::overrides;

/// Largest job file in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Keys whose features come later: the table they stand in (`*` for any name) and the key.
const LATER: &[(&[&str], &str)] =
    &[(&["torus"], "machine"), (&["fields", "*"], "checkpoint"), (&["fields", "*"], "field")];

/// The text in force and its name in errors.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// What it describes: a job or a machine.
    what: &'static str,
    name: String,
    text: Arc<String>,
}

/// Text of the job file at `path`.
///
/// # Errors
///
/// [`JobError`] if it is no regular file, too large, or not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, JobError> {
    let fail = |source| JobError::Read { path: path.to_owned(), source };
    let refuse = |problem| JobError::NotText { path: path.to_owned(), problem };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.is_dir() {
        return Err(refuse("a folder"));
    }
    if !metadata.is_file() {
        return Err(refuse("not a regular file"));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(refuse("larger than 1 MiB"));
    }
    Ok(text)
}

impl Document {
    /// The text in force, overrides applied.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// `text`, which describes a `what`; `path` names it.
    pub(crate) fn of(what: &'static str, text: &str, path: &Path) -> Result<Self, JobError> {
        let document = Document { what, name: path.display().to_string(), text: Arc::new(text.to_owned()) };
        document.parse()?;
        Ok(document)
    }

    /// The job `text` with `overrides` applied; `path` names it.
    pub(super) fn new(text: &str, path: &Path, overrides: &[String]) -> Result<Self, JobError> {
        let given = Document::of("job", text, path)?;
        if overrides.is_empty() {
            return Ok(given);
        }
        let mut tree: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            let problem = error.message().to_owned();
            given.located(error.span().unwrap_or(0..0), Mistake::Syntax { file: given.what, problem })
        })?;
        let mut name = format!("{} with", given.name);
        for set in overrides {
            overrides::apply(&mut tree, set)?;
            name.push_str(&format!(" --set {set}"));
        }
        let document = Document { what: given.what, name, text: Arc::new(tree.to_string()) };
        document.parse()?;
        Ok(document)
    }

    fn parse(&self) -> Result<Spanned<DeTable<'_>>, JobError> {
        DeTable::parse(&self.text).map_err(|error| {
            let problem = error.message().to_owned();
            self.located(error.span().unwrap_or(0..0), Mistake::Syntax { file: self.what, problem })
        })
    }

    /// The text as `T`.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let key = self.key_of(&span).unwrap_or_else(|| format!("the {}", self.what));
            match error.message().strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
                Some(missing) => {
                    let key = if key == format!("the {}", self.what) {
                        missing.to_owned()
                    } else {
                        format!("{key}.{missing}")
                    };
                    let schema = if self.what == "job" { " (`ringfort schema` describes all keys)" } else { "" };
                    let remedy = format!("a {} needs it{schema}", self.what);
                    self.located(span, Mistake::Missing { key, remedy })
                }
                None => self.located(span, Mistake::Value { key, problem: plain(error.message()) }),
            }
        })
    }

    /// Checks that the schema `schema` knows every key of the text.
    pub(crate) fn check_keys(&self, schema: &Json) -> Result<(), JobError> {
        let tree = self.parse()?;
        self.check_table(tree.get_ref(), &[schema], &mut Vec::new())
    }

    fn check_table(&self, table: &DeTable<'_>, schemas: &[&Json], path: &mut Vec<String>) -> Result<(), JobError> {
        let mut shapes = Vec::new();
        schemas.iter().for_each(|schema| alternatives(schema, &mut shapes));
        shapes.retain(|shape| shape.get("properties").is_some() || shape.get("additionalProperties").is_some());
        if shapes.is_empty() {
            return Ok(());
        }
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let below: Vec<&Json> = shapes.iter().filter_map(|shape| property(shape, name)).collect();
            if below.is_empty() {
                return Err(self.unknown(key, &shapes, path));
            }
            path.push(name.to_owned());
            self.check_value(value.get_ref(), &below, path)?;
            path.pop();
        }
        Ok(())
    }

    fn check_value(&self, value: &DeValue<'_>, schemas: &[&Json], path: &mut Vec<String>) -> Result<(), JobError> {
        if let Some(table) = value.as_table() {
            return self.check_table(table, schemas, path);
        }
        let Some(array) = value.as_array() else { return Ok(()) };
        let mut shapes = Vec::new();
        schemas.iter().for_each(|schema| alternatives(schema, &mut shapes));
        let items: Vec<&Json> = shapes.iter().filter_map(|shape| shape.get("items")).collect();
        for element in array.iter() {
            self.check_value(element.get_ref(), &items, path)?;
        }
        Ok(())
    }

    fn unknown(&self, key: &Spanned<toml::de::DeString<'_>>, shapes: &[&Json], path: &[String]) -> JobError {
        let name = key.get_ref().as_ref();
        let table = if path.is_empty() { format!("the {}", self.what) } else { format!("[{}]", path.join(".")) };
        let later = LATER.iter().any(|(place, word)| {
            *word == name && place.len() == path.len() && place.iter().zip(path).all(|(a, b)| *a == "*" || a == b)
        });
        if later {
            let key_path = if path.is_empty() { format!("[{name}]") } else { format!("`{name}` in {table}") };
            return self.located(key.span(), Mistake::Later { key: key_path });
        }
        let known: Vec<String> = shapes
            .iter()
            .filter_map(|shape| shape.get("properties").and_then(Json::as_object))
            .flat_map(|properties| properties.keys().cloned())
            .collect();
        self.unknown_key(key.span(), name, table, known)
    }

    /// The unknown key `name` of `table` at `span`.
    pub(super) fn unknown_key(&self, span: Range<usize>, name: &str, table: String, known: Vec<String>) -> JobError {
        let nearest = nearest(name, known.iter().map(String::as_str));
        self.located(span, Mistake::UnknownKey { key: name.to_owned(), table, nearest, known })
    }

    /// The unknown word `word` at `path`, which should name a `what`.
    pub(crate) fn unknown_word(&self, path: &[&str], what: &'static str, word: &str, known: &[&str]) -> JobError {
        let nearest = nearest(word, known.iter().copied());
        let known = known.iter().map(|&name| name.to_owned()).collect();
        let mistake = Mistake::UnknownWord { key: path.join("."), what, word: word.to_owned(), nearest, known };
        self.located(self.value(path), mistake)
    }

    /// The value at `path` is wrong.
    pub(crate) fn wrong(&self, path: &[&str], problem: impl Into<String>) -> JobError {
        self.located(self.value(path), Mistake::Value { key: path.join("."), problem: problem.into() })
    }

    /// The formula `text` at `path` is wrong.
    pub(crate) fn wrong_formula(&self, path: &[&str], text: &str, error: FormulaError) -> JobError {
        let span = self.value(path);
        let inside = self.text.get(span.clone()).unwrap_or("").find(text).filter(|_| !text.is_empty());
        let place = inside.map_or(span.clone(), |at| {
            let start = span.start + at;
            start + error.at.start..start + error.at.end
        });
        self.located(place, Mistake::Value { key: path.join("."), problem: error.problem })
    }

    /// The key at `path` is missing.
    pub(super) fn missing(&self, path: &[&str], remedy: impl Into<String>) -> JobError {
        self.located(self.value(path), Mistake::Missing { key: path.join("."), remedy: remedy.into() })
    }

    /// The feature `key` at `path` comes later.
    pub(super) fn later(&self, path: &[&str], key: impl Into<String>) -> JobError {
        self.located(self.value(path), Mistake::Later { key: key.into() })
    }

    /// `mistake` at `span`, cut to the first line of it.
    pub(super) fn located(&self, span: Range<usize>, mistake: Mistake) -> JobError {
        let start = span.start.min(self.text.len());
        let rest = self.text.as_bytes()[start..].iter().position(|&byte| byte == b'\n');
        let line_end = rest.map_or(self.text.len(), |length| start + length);
        let end = span.end.clamp(start, line_end);
        let source = NamedSource::new(&self.name, Arc::clone(&self.text));
        JobError::Located(Box::new(Located { mistake, source, span: (start..end).into() }))
    }

    /// Place of the value at `path` (table keys and array positions), or of the innermost table that holds it.
    pub(super) fn value(&self, path: &[&str]) -> Range<usize> {
        self.places(path).1
    }

    /// Place of the key at `path`, or of the innermost table that holds it.
    pub(super) fn key(&self, path: &[&str]) -> Range<usize> {
        self.places(path).0
    }

    fn places(&self, path: &[&str]) -> (Range<usize>, Range<usize>) {
        let Ok(tree) = self.parse() else { return (0..0, 0..0) };
        let Some((first, rest)) = path.split_first() else { return (0..0, 0..0) };
        let Some((key, mut value)) = entry(tree.get_ref(), first) else { return (0..0, 0..0) };
        let mut key_span = key.span();
        for name in rest {
            let below = match value.get_ref() {
                DeValue::Table(table) => entry(table, name).map(|(key, value)| (key.span(), value)),
                DeValue::Array(array) => {
                    name.parse().ok().and_then(|at: usize| array.get(at)).map(|value| (value.span(), value))
                }
                _ => None,
            };
            let Some((span, inner)) = below else { return (value.span(), value.span()) };
            (key_span, value) = (span, inner);
        }
        (key_span, value.span())
    }

    /// Dotted path of the value that lies at `span`.
    fn key_of(&self, span: &Range<usize>) -> Option<String> {
        let tree = self.parse().ok()?;
        let mut path = Vec::new();
        find(tree.get_ref(), span, &mut path).then(|| path.join("."))
    }
}

fn entry<'a, 'i>(
    table: &'a DeTable<'i>,
    name: &str,
) -> Option<(&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

fn find(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        path.push(key.get_ref().to_string());
        let found = find_value(value, span, path);
        if !found {
            path.pop();
        }
        found
    })
}

fn find_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, path: &mut Vec<String>) -> bool {
    let inside = match value.get_ref() {
        DeValue::Table(table) => find(table, span, path),
        DeValue::Array(array) => array.iter().any(|element| find_value(element, span, path)),
        _ => false,
    };
    inside || value.span() == *span
}

/// `schema` and the schemas it offers as alternatives.
fn alternatives<'a>(schema: &'a Json, found: &mut Vec<&'a Json>) {
    found.push(schema);
    for word in ["anyOf", "oneOf", "allOf"] {
        for inner in schema.get(word).and_then(Json::as_array).into_iter().flatten() {
            alternatives(inner, found);
        }
    }
}

fn property<'a>(shape: &'a Json, name: &str) -> Option<&'a Json> {
    let named = shape.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| shape.get("additionalProperties").filter(|more| more.is_object()))
}

/// The parser's message in words that a reader of job files knows.
fn plain(message: &str) -> String {
    message
        .replace("expected u64", "expected a whole number, 0 or more")
        .replace("expected f64", "expected a number")
        .replace("expected a sequence", "expected a list")
        .replace("invalid type: sequence", "invalid type: list")
        .replace("invalid type: map", "invalid type: table")
        .replace(", expected struct ", ", expected the table ")
}
