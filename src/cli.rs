//! The command line: one file per command, the only code that prints.

use std::io::{IsTerminal, Write};

use clap::{CommandFactory, Parser, Subcommand};

use crate::exit::{Exit, Failure};

pub mod bench;
pub mod check;
pub mod checkpoint;
#[cfg(feature = "datacenter")]
pub mod compare;
#[cfg(feature = "datacenter")]
pub mod datacenter;
pub mod doctor;
pub mod kernels;
pub mod plan;
pub mod render;
pub mod run;
pub mod schema;
pub mod words;

/// Stencil computations over tensor fields: one job file, the same bits on any number of processors.
#[derive(Debug, Parser)]
#[command(name = "ringfort", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  checkpoint diff found a difference
   2  job or usage error; folder in use; nothing to restart from
   3  diverged: NaN, overflow or beyond the bound; no checkpoint was written from it
   4  damaged data
  74  the last checkpoint could not be written
  75  a peer was lost: restart me
  85  stopped early on purpose after a checkpoint (signal or time limit)

Begin with: ringfort check JOB, then ringfort run JOB";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Restart(run::RestartArgs),
    #[cfg(feature = "datacenter")]
    Datacenter(datacenter::Args),
    #[cfg(feature = "datacenter")]
    Compare(compare::Args),
    Check(check::Args),
    Plan(plan::Args),
    Checkpoint(checkpoint::Args),
    Render(render::Args),
    Kernels(kernels::Args),
    Bench(bench::Args),
    Schema(schema::Args),
    Doctor(doctor::Args),
    Completions(words::CompletionsArgs),
    Man(words::ManArgs),
    /// A command that comes later, or none.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Commands that come later: refused by name until they work.
const LATER: [&str; 1] = ["new"];
/// Commands of data-center mode, which a build may leave out.
const OF_DATACENTER: [&str; 2] = ["compare", "datacenter"];

/// Reads the arguments, runs the command and returns the exit code.
#[must_use]
pub fn main() -> u8 {
    let cli = Cli::parse();
    // Words stay whole, and lines too where no person reads them as they come, so that logs can be searched.
    let terminal = std::io::stderr().is_terminal();
    let _set_once = miette::set_hook(Box::new(move |_| {
        Box::new(miette::MietteHandlerOpts::new().break_words(false).wrap_lines(terminal).build())
    }));
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Restart(args) => run::restart(&args),
        #[cfg(feature = "datacenter")]
        Command::Datacenter(args) => datacenter::run(&args),
        #[cfg(feature = "datacenter")]
        Command::Compare(args) => compare::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => words::completions(&args),
        Command::Man(args) => words::man(&args),
        Command::Other(words) => other(words.first().map_or("", String::as_str)),
    };
    match result {
        Ok(exit) => exit as u8,
        Err(failure) => {
            tell(&failure.rendered());
            failure.exit as u8
        }
    }
}

/// Tells a person. Where nobody can listen, a full disk under a log or a closed terminal, that is no trouble of the run.
fn tell(line: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{line}");
}

/// Refuses the command `name`: one that comes later, or one misspelt.
fn other(name: &str) -> Result<Exit, Failure> {
    if LATER.contains(&name) {
        return absent(&format!("ringfort {name}"));
    }
    if OF_DATACENTER.contains(&name) {
        return Err(Failure::usage(format!(
            "this ringfort was built without data-center mode, which {name} needs; build it with --features datacenter"
        )));
    }
    let known = Cli::command();
    let known = known.get_subcommands().map(clap::Command::get_name);
    let near = known.min_by_key(|known| strsim::damerau_levenshtein(known, name)).unwrap_or("run");
    Err(Failure::usage(format!("ringfort has no command `{name}`; did you mean {near}? ringfort --help lists all")))
}

/// Refuses what comes later.
fn absent(what: &str) -> Result<Exit, Failure> {
    Err(Failure::usage(format!("{what} is not yet supported")))
}
