//! `ringfort schema`: the job file's shape, for editors and scripts.
//!
//! Output: a JSON Schema. Invariant: it is made from the structs that job files are read into, so that both change
//! together; nothing of it is written by hand here.

use crate::exit::{Exit, Failure};
use crate::job::Job;

/// Print a JSON Schema of the job file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort schema > job.schema.json\n  \
    ringfort schema | python3 -c 'import json, sys; print(*json.load(sys.stdin)[\"properties\"])'")]
pub struct Args {}

/// Prints the JSON Schema of the job file.
///
/// # Errors
///
/// A usage error if standard output cannot be written.
pub fn run(_args: &Args) -> Result<Exit, Failure> {
    let schema = format!("{:#}\n", Job::schema());
    super::kernels::print(&schema)
}
