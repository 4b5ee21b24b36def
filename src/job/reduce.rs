//! `[[reduce]]`: one number, or a few, of all cells, every so many steps.
//!
//! Input: the tables of the job file. Output: a [`Reduce`] each. Invariant: no two have one name; a histogram has 1
//! to 2^16 bins whose edges are finite and rise, and they are a function of the job alone, so that all parts count
//! into the same bins.

use super::axes::Seen;
use super::document::Document;
use super::error::JobError;
use super::formula::Map;
use super::{schedule, schema};

/// Most bins of a histogram.
const MOST_BINS: u64 = 1 << 16;

/// `[[reduce]]`: what a formula gives over all cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Its name in `sums.csv`.
    pub name: String,
    /// The formula, of fields and coordinates.
    pub map: Map,
    /// How its values become few.
    pub with: With,
    /// At multiples of so many steps.
    pub every: u64,
}

/// How values become few.
#[derive(Clone, Debug, PartialEq)]
pub enum With {
    /// Their exact sum, rounded once.
    Sum,
    /// That, divided by their number.
    Mean,
    /// The least.
    Min,
    /// The largest.
    Max,
    /// How many lie in each bin.
    Histogram(Bins),
}

/// Bins of a histogram: each holds its lower edge, not its upper one.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// Edges, rising: one more than bins.
    pub edges: Vec<f64>,
}

impl With {
    /// Its word in the job file.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            With::Sum => "sum",
            With::Mean => "mean",
            With::Min => "min",
            With::Max => "max",
            With::Histogram(_) => "histogram",
        }
    }
}

impl Bins {
    /// `count` bins of one width from `low` to `high`; none if they cannot be told apart.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "at most 2^16 bins")]
    pub fn new(count: usize, low: f64, high: f64) -> Option<Self> {
        let edge = |at: usize| if at == count { high } else { low + (high - low) * (at as f64 / count as f64) };
        let edges: Vec<f64> = (0..=count).map(edge).collect();
        let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
        (count > 0 && rising && low.is_finite() && high.is_finite()).then_some(Self { edges })
    }

    /// Number of bins.
    #[must_use]
    pub fn count(&self) -> usize {
        self.edges.len() - 1
    }
}

/// All reduces.
pub(super) fn reduces(seen: &Seen<'_>, given: &[schema::Reduce]) -> Result<Vec<Reduce>, JobError> {
    let document = seen.document;
    let mut all: Vec<Reduce> = Vec::new();
    for (at, given) in given.iter().enumerate() {
        let at = at.to_string();
        let path = |key| ["reduce", at.as_str(), key];
        let name = schedule::word(document, &path("name"), &given.name)?;
        if all.iter().any(|other| other.name == name) {
            let problem = format!("`{name}` names two reduces; each needs a name of its own in sums.csv");
            return Err(document.wrong(&path("name"), problem));
        }
        let map = seen.map(&path("map"), &given.map)?;
        let every = seen.steps(&path("every"), &given.every, "reduces")?;
        let with = with(document, &at, given)?;
        all.push(Reduce { name, map, with, every });
    }
    Ok(all)
}

fn with(document: &Document, at: &str, given: &schema::Reduce) -> Result<With, JobError> {
    let path = |key| ["reduce", at, key];
    let with = match given.with.as_str() {
        "sum" => With::Sum,
        "mean" => With::Mean,
        "min" => With::Min,
        "max" => With::Max,
        "histogram" => return bins(document, at, given).map(With::Histogram),
        other => {
            let known = ["sum", "mean", "min", "max", "histogram"];
            return Err(document.unknown_word(&path("with"), "reduction", other, &known));
        }
    };
    let bins = [("bins", given.bins.is_some()), ("low", given.low.is_some()), ("high", given.high.is_some())];
    if let Some((key, _)) = bins.into_iter().find(|(_, given)| *given) {
        return Err(document.wrong(&path(key), "it belongs to a histogram; remove it"));
    }
    Ok(with)
}

fn bins(document: &Document, at: &str, given: &schema::Reduce) -> Result<Bins, JobError> {
    let path = |key| ["reduce", at, key];
    let missing = |key| {
        let remedy = "a histogram needs its bins, such as bins = 10, low = 0.0, high = 1.0";
        document.missing(&path(key), remedy)
    };
    let count = given.bins.ok_or_else(|| missing("bins"))?;
    let low = given.low.ok_or_else(|| missing("low"))?;
    let high = given.high.ok_or_else(|| missing("high"))?;
    let count = usize::try_from(count).ok().filter(|_| (1..=MOST_BINS).contains(&count)).ok_or_else(|| {
        let problem = format!("{count} bins; give 1 to {MOST_BINS}");
        document.wrong(&path("bins"), problem)
    })?;
    for (key, value) in [("low", low), ("high", high)] {
        if !value.is_finite() {
            return Err(document.wrong(&path(key), format!("{value} is not a finite number")));
        }
    }
    Bins::new(count, low, high).ok_or_else(|| {
        let problem = match low < high {
            true => format!("{count} bins from {low} to {high} cannot be told apart; give fewer bins or a wider range"),
            false => format!("{high} is not above low = {low}"),
        };
        document.wrong(&path("high"), problem)
    })
}
