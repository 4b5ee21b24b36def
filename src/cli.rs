//! The command line: one module for each command or pair of commands, the only code that prints.
//!
//! Input: the program's arguments and its kernels. Output: an exit code; answers on standard output, progress,
//! warnings and failures on standard error. Invariant: all commands see the same kernels, set once before any of them
//! runs; a failure that a command returns is told here, once, and gives its exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{CommandFactory, Parser, Subcommand};

use crate::advance::library::{Library, SHIPPED};
use crate::exit::{Exit, Failure};
use crate::job::Catalog;

pub mod bench;
pub mod check;
pub mod checkpoint;
#[cfg(feature = "datacenter")]
pub mod compare;
#[cfg(feature = "datacenter")]
pub mod datacenter;
pub mod doctor;
pub mod kernels;
pub mod new;
pub mod plan;
pub mod render;
pub mod run;
pub mod schema;
mod values;
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
    New(new::Args),
    Completions(words::CompletionsArgs),
    Man(words::ManArgs),
    /// No command of this build.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Commands of data-center mode, which a build may leave out.
const OF_DATACENTER: [&str; 2] = ["compare", "datacenter"];

/// The kernels of this program.
static LIBRARY: OnceLock<Library> = OnceLock::new();

/// The kernels of this program: those that come with Ringfort, unless [`main`] was given others.
fn library() -> &'static Library {
    LIBRARY.get_or_init(|| SHIPPED)
}

/// Reads the arguments, runs the command with the kernels of `library` and returns the exit code: all of a program.
///
/// Exit code 2 if two kernels have one name.
#[must_use]
pub fn main(library: Library) -> ExitCode {
    ExitCode::from(run_with(library))
}

fn run_with(library: Library) -> u8 {
    let names = library.names();
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        tell(&format!("two kernels of this program are called `{}`; rename one of them", twice.1));
        return Exit::Usage as u8;
    }
    let library = LIBRARY.get_or_init(|| library);
    debug_assert_eq!(library.names(), names, "one program, one library");
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
        Command::New(args) => new::run(&args),
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

/// Refuses the command `name`: one that this build leaves out, or one misspelt.
fn other(name: &str) -> Result<Exit, Failure> {
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
