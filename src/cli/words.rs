//! `ringfort completions` and `ringfort man`: what shells and `man` want to know of the commands.
//!
//! Input: the declaration of the commands, a shell or a folder. Output: text, or a page for each command. Invariant:
//! all of it follows from that declaration, so that a new command or option needs no change here; files are written
//! only to the folder of `--out`.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::checkpoint::print;
use crate::exit::{Exit, Failure};

/// Print completions for a shell: bash, elvish, fish, powershell or zsh.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(ringfort completions bash)\n  ringfort completions fish > ~/.config/fish/completions/ringfort.fish"
)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, or write those of all commands to a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort man | man -l -\n  ringfort man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for the pages of all commands.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints completions.
///
/// # Errors
///
/// None.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "ringfort", &mut text);
    print(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}

/// Prints or writes manual pages.
///
/// # Errors
///
/// A usage error if the folder cannot be written to.
pub fn man(args: &ManArgs) -> Result<Exit, Failure> {
    if let Some(dir) = &args.out {
        let fail = |error| Failure::usage(format!("cannot write manual pages to {}: {error}", dir.display()));
        std::fs::create_dir_all(dir).map_err(fail)?;
        clap_mangen::generate_to(super::Cli::command(), dir).map_err(fail)?;
        return Ok(Exit::Done);
    }
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(super::Cli::command()).render(&mut text);
    rendered.map_err(|error| Failure::usage(format!("cannot make the manual page: {error}")))?;
    print(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}
