//! The command line: one file per command, the only code that prints.

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

pub mod check;
pub mod checkpoint;
pub mod kernels;
pub mod render;
pub mod run;
pub mod schema;

/// Stencil computations over tensor fields: one job file, the same bits on any number of processors.
#[derive(Debug, Parser)]
#[command(name = "ringfort", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Restart(run::RestartArgs),
    Check(check::Args),
    Checkpoint(checkpoint::Args),
    Render(render::Args),
    Kernels(kernels::Args),
    Schema(schema::Args),
}

/// Reads the arguments, runs the command and returns the exit code.
#[must_use]
pub fn main() -> u8 {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Restart(args) => run::restart(&args),
        Command::Check(args) => check::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    match result {
        Ok(exit) => exit as u8,
        Err(Failure { exit, report }) => {
            eprintln!("{report:?}");
            exit as u8
        }
    }
}

/// Exit of a command that is not built yet.
pub(crate) fn absent(what: &str) -> Result<Exit, Failure> {
    Err(Failure::usage(format!("{what} is not yet supported")))
}
