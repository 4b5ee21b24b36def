//! What can be wrong with a job: errors that point into the job file.
//!
//! Input: a mistake, the text it stands in (a job's with overrides applied, or a machine's), and where. Output: the
//! words that a person reads, with a caret in the text. Invariant: only `Document` makes a `Located`, so its span
//! lies within one line of the text that it carries. A name is suggested only if it is one of those known and at
//! least half alike.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::input::InputError;

/// Why a job cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The file cannot be opened or read.
    #[error("cannot read the job file {}; give the path of a TOML file", path.display())]
    Read {
        /// The job file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The path is a folder, a device or a pipe, or the file is too large.
    #[error("the job file {} is {problem}; give the path of a TOML file", path.display())]
    NotText {
        /// The job file.
        path: PathBuf,
        /// What it is instead of a small text.
        problem: &'static str,
    },
    /// An override cannot be applied.
    #[error("--set {given}: {problem}")]
    Set {
        /// As given.
        given: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A mistake at a place in the job file.
    #[error(transparent)]
    Located(Box<Located>),
}

/// A mistake with its place in the job file.
#[derive(Debug)]
pub struct Located {
    /// What is wrong.
    pub mistake: Mistake,
    /// The job file's text, overrides included.
    pub source: NamedSource<Arc<String>>,
    /// Where.
    pub span: SourceSpan,
}

/// What is wrong at a place in the job file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// Not TOML.
    #[error("the {file} file is not valid TOML: {problem}")]
    Syntax {
        /// What the file describes.
        file: &'static str,
        /// What the parser says.
        problem: String,
    },
    /// A key that means nothing there.
    #[error("unknown key `{key}` in {table}; {}", hint(nearest.as_deref(), known))]
    UnknownKey {
        /// The key.
        key: String,
        /// Table it stands in.
        table: String,
        /// Known key that looks most like it.
        nearest: Option<String>,
        /// All known keys.
        known: Vec<String>,
    },
    /// A word that means nothing there.
    #[error("{key}: unknown {what} `{word}`; {}", hint(nearest.as_deref(), known))]
    UnknownWord {
        /// Key of the value.
        key: String,
        /// What the word should name.
        what: &'static str,
        /// The word.
        word: String,
        /// Known word that looks most like it.
        nearest: Option<String>,
        /// All known words.
        known: Vec<String>,
    },
    /// A key or value whose feature is not built.
    #[error("{key} {} not yet supported by this version of ringfort; remove it from the job", if key.ends_with('s') { "are" } else { "is" })]
    Later {
        /// The key, with its value where only that value is meant.
        key: String,
    },
    /// A value of the wrong type, out of range or at odds with another.
    #[error("{key}: {problem}")]
    Value {
        /// Key of the value.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A key that must be given.
    #[error("{key} is missing; {remedy}")]
    Missing {
        /// The key.
        key: String,
        /// What to write.
        remedy: String,
    },
    /// A file or formula whose values cannot be used.
    #[error("field `{field}`: {error}")]
    Input {
        /// Name of the field.
        field: String,
        /// What is wrong.
        #[source]
        error: InputError,
    },
}

impl Mistake {
    /// Words beside the caret.
    fn label(&self) -> &'static str {
        match self {
            Mistake::Syntax { .. } => "not understood from here on",
            Mistake::UnknownKey { .. } | Mistake::UnknownWord { .. } => "unknown",
            Mistake::Later { .. } => "not yet supported",
            Mistake::Value { .. } | Mistake::Input { .. } => "here",
            Mistake::Missing { .. } => "missing here",
        }
    }
}

/// Name in `known` that looks most like `word`, if any looks like it.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase());
    let mut best: Option<(f64, &str)> = None;
    for name in known {
        let score = likeness(name);
        if score >= 0.5 && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// Words for the unknown `word`, which should name one of `known`, each a `what`.
#[must_use]
pub fn unknown_word(what: &str, word: &str, known: &[&str]) -> String {
    let all: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
    format!("unknown {what} `{word}`; {}", hint(nearest(word, known.iter().copied()).as_deref(), &all))
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    let all = known.join(", ");
    match nearest {
        Some(name) if known.len() <= 8 => format!("did you mean `{name}`? known are: {all}"),
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "none is known there".to_owned(),
        None => format!("known are: {all}"),
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistake.fmt(f)
    }
}

impl std::error::Error for Located {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.mistake {
            Mistake::Input { error, .. } => std::error::Error::source(error),
            Mistake::Syntax { .. }
            | Mistake::UnknownKey { .. }
            | Mistake::UnknownWord { .. }
            | Mistake::Later { .. }
            | Mistake::Value { .. }
            | Mistake::Missing { .. } => None,
        }
    }
}

impl Diagnostic for JobError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        match self {
            JobError::Located(located) => Some(&located.source),
            JobError::Read { .. } | JobError::NotText { .. } | JobError::Set { .. } => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match self {
            JobError::Located(located) => {
                let words = located.mistake.label().to_owned();
                Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some(words), located.span))))
            }
            JobError::Read { .. } | JobError::NotText { .. } | JobError::Set { .. } => None,
        }
    }
}
