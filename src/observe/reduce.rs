//! Numbers of all cells (`[[reduce]]`), in two halves: what a block gives, and the rows of all blocks together.
//!
//! Input: rows of fields of each block. Output: rows of `sums.csv`. Invariant: blocks in any order, repeated or not, cut
//! anywhere, give the same bits.

mod partial;

use super::rows::{Reader, coordinates, pieces};
use crate::grid::{Grid, Region};
use crate::job::formula::{ROW, Variable, Work};
use crate::job::{Bins, Reduce, With};

pub use partial::{Extreme, Partial};

/// Name of the file of all rows, in the run's folder.
pub const FILE: &str = "sums.csv";
/// Its first line.
pub const HEADER: &str = "step,name,value";

/// What one block gives at one step, for every reduce that is due then.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The step.
    pub step: u64,
    /// The block's cells, in global indices.
    pub region: Region,
    /// One for each reduce that is due, in order.
    pub partials: Vec<Partial>,
}

/// A row of `sums.csv` but for its step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the value is of: name of a reduce, or that and a bin.
    pub name: String,
    /// The value.
    pub value: Number,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Any number.
    Value(f64),
    /// How many cells.
    Count(u64),
}

/// Why there are no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReduceError {
    /// Bytes that are no part of a sum.
    #[error("a part of the sums is damaged: {problem}; compute it again")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// A part of another step, job or grid.
    #[error("the sums of step {step} got a part of {region:?} that does not belong to them; compute it again")]
    Foreign {
        /// The step.
        step: u64,
        /// The part's cells.
        region: Region,
    },
    /// Two parts that disagree.
    #[error("two parts of the sums of step {step} give different values for {region:?}; compute both again")]
    Conflict {
        /// The step.
        step: u64,
        /// The parts' cells.
        region: Region,
    },
    /// Cells that no part or more than one holds.
    #[error("the parts of the sums of step {step} hold {found} cells of {wanted}; wait for the parts of all blocks")]
    Cells {
        /// The step.
        step: u64,
        /// Cells of all parts.
        found: u64,
        /// Cells of the grid.
        wanted: u64,
    },
}

/// What `block` gives at `step` for the reduces `due`, numbers of `reduces`; `read` gives its fields. Every field is read
/// once for all of them.
#[must_use]
pub fn partial(
    grid: &Grid,
    reduces: &[Reduce],
    due: &[usize],
    (step, block): (u64, &Region),
    read: Reader<'_>,
) -> Block {
    let due: Vec<&Reduce> = due.iter().map(|&number| &reduces[number]).collect();
    let mut partials: Vec<Partial> = due.iter().map(|reduce| Partial::of(&reduce.with)).collect();
    let mut variables: Vec<Variable> = due.iter().flat_map(|reduce| reduce.map.variables()).copied().collect();
    variables.sort_unstable();
    variables.dedup();
    let place = |variable: &Variable| variables.binary_search(variable).unwrap_or_default();
    let inputs: Vec<Vec<usize>> = due.iter().map(|reduce| reduce.map.variables().iter().map(place).collect()).collect();
    let mut rows = vec![vec![0.0; ROW]; variables.len()];
    let mut work = Work::default();
    for piece in pieces(block) {
        let cells = piece.cells();
        for (variable, row) in variables.iter().zip(&mut rows) {
            match *variable {
                Variable::Field(slot) => read(slot, &piece, &mut row[..cells]),
                Variable::Coordinate(axis) => coordinates(grid, axis, &piece, &mut row[..cells]),
            }
        }
        for ((reduce, inputs), partial) in due.iter().zip(&inputs).zip(&mut partials) {
            let rows: Vec<&[f64]> = inputs.iter().map(|&at| &rows[at][..cells]).collect();
            partial.add(reduce.map.run(cells, &rows, &mut work), &reduce.with);
        }
    }
    Block { step, region: *block, partials }
}

/// Rows of `step` for the reduces `due`, from what all blocks give.
///
/// # Errors
///
/// [`ReduceError`] if blocks are missing, disagree or belong elsewhere.
pub fn finish(
    grid: &Grid,
    reduces: &[Reduce],
    (step, due): (u64, &[usize]),
    blocks: &[Block],
) -> Result<Vec<Row>, ReduceError> {
    let due: Vec<&Reduce> = due.iter().map(|&number| &reduces[number]).collect();
    let mut all: Vec<&Block> = blocks.iter().collect();
    all.sort_by_key(|block| (block.region.start, block.region.extent));
    let belongs = |block: &Block| {
        let kinds = block.partials.iter().zip(&due).all(|(partial, reduce)| partial.fits(&reduce.with));
        let inside = grid.region().intersection(&block.region) == Some(block.region);
        block.step == step && block.partials.len() == due.len() && kinds && inside
    };
    if let Some(stranger) = all.iter().find(|block| !belongs(block)) {
        return Err(ReduceError::Foreign { step, region: stranger.region });
    }
    let twice = |pair: &&[&Block]| pair[0].region == pair[1].region && pair[0] != pair[1];
    if let Some(pair) = all.windows(2).find(twice) {
        return Err(ReduceError::Conflict { step, region: pair[0].region });
    }
    all.dedup_by_key(|block| block.region);
    let cells = |region: &Region| region.cells() as u64;
    let (found, wanted) = (all.iter().map(|block| cells(&block.region)).sum(), cells(&grid.region()));
    if found != wanted {
        return Err(ReduceError::Cells { step, found, wanted });
    }
    let mut rows = Vec::new();
    for (at, reduce) in due.iter().enumerate() {
        let mut whole = Partial::of(&reduce.with);
        all.iter().for_each(|block| whole.merge(&block.partials[at]));
        rows.extend(whole.rows(reduce, wanted));
    }
    Ok(rows)
}

/// Lines of `step` with these rows.
#[must_use]
pub fn lines(step: u64, rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{step},{},{}\n", row.name, row.value)).collect()
}

/// A number in its shortest form that reads back to the same bits.
#[must_use]
pub fn shortest(value: f64) -> String {
    let size = value.abs();
    let plain = size == 0.0 || (1e-5..1e16).contains(&size) || !size.is_finite();
    if plain { format!("{value}") } else { format!("{value:e}") }
}

/// Name of bin `at` of `reduce`: bin 0 lies below all others and the last one above.
fn bin_name(reduce: &Reduce, bins: &Bins, at: usize) -> String {
    let name = &reduce.name;
    let edge = |at: usize| shortest(bins.edges[at]);
    match at {
        0 => format!("{name}[-inf:{})", edge(0)),
        at if at > bins.count() => format!("{name}[{}:inf]", edge(bins.count())),
        at => format!("{name}[{}:{})", edge(at - 1), edge(at)),
    }
}

impl Partial {
    /// Rows of `reduce`, of which this is the part of all `cells` cells.
    fn rows(&self, reduce: &Reduce, cells: u64) -> Vec<Row> {
        let one = |value: f64| vec![Row { name: reduce.name.clone(), value: Number::Value(value) }];
        match (self, &reduce.with) {
            #[allow(clippy::cast_precision_loss, reason = "a grid has fewer than 2^48 cells")]
            (Partial::Sum(sum), With::Mean) => one(sum.value() / cells as f64),
            (Partial::Sum(sum), _) => one(sum.value()),
            (Partial::Least(extreme) | Partial::Largest(extreme), _) => one(extreme.value()),
            (Partial::Counts(counts), With::Histogram(bins)) => {
                let (nan, counts) = counts.split_last().unwrap_or((&0, &[]));
                let row =
                    |(at, count): (usize, &u64)| Row { name: bin_name(reduce, bins, at), value: Number::Count(*count) };
                let mut rows: Vec<Row> = counts.iter().enumerate().map(row).collect();
                if *nan > 0 {
                    rows.push(Row { name: format!("{}[NaN]", reduce.name), value: Number::Count(*nan) });
                }
                rows
            }
            (Partial::Counts(_), With::Sum | With::Mean | With::Min | With::Max) => Vec::new(),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Value(value) => f.write_str(&shortest(*value)),
            Number::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests;
