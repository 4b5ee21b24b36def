//! `ringfort run` and `ringfort restart`.

use crate::exit::{Exit, Failure};

/// Run a job in torus mode.
#[derive(Debug, clap::Args)]
pub struct RunArgs {}

/// Continue a run.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {}

/// Runs a job.
///
/// # Errors
///
/// Any error of the run, with its exit code.
pub fn run(_args: &RunArgs) -> Result<Exit, Failure> {
    super::absent("run")
}

/// Continues a run.
///
/// # Errors
///
/// Any error of the run, with its exit code.
pub fn restart(_args: &RestartArgs) -> Result<Exit, Failure> {
    super::absent("restart")
}
