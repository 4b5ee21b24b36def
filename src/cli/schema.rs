//! `ringfort schema`.

use crate::exit::{Exit, Failure};

/// Help line of schema.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
///
/// Any error of the command, with its exit code.
pub fn run(_args: &Args) -> Result<Exit, Failure> {
    super::absent("schema")
}
