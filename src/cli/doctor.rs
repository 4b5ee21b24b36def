//! `ringfort doctor`: what of this machine would slow a run down, end it, or surprise its owner, and what to do about
//! each.
//!
//! Input: the folder that a run would write to. Output: findings as words or JSON; exit code 2 if one is an error.
//! Invariant: `gather` alone looks at the machine and `rules` alone judge, so that every rule can be tried on a
//! machine that is not here; no finding ends the look.

mod gather;
mod rules;

use std::path::PathBuf;

use serde_json::json;

use super::checkpoint::{print, print_json};
use crate::exit::{Exit, Failure};
use rules::{Finding, Level, examine};

/// Examine this machine: MPI, cores, memory, disks, limits and settings; each finding with its remedy.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Levels are ok, info, warning and error; the exit code is 2 if there is an error.\n\nExamples:\n  ringfort doctor\n  \
    ringfort doctor --out /scratch/me/run --json"
)]
pub struct Args {
    /// Folder that a run would write to, or does [default: this one].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON: `findings`, each with `level`, `what` and `remedy`.
    #[arg(long)]
    json: bool,
}

/// Prints what was found.
///
/// # Errors
///
/// None: findings that are errors end in exit code 2.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let dir = args.out.clone().unwrap_or_else(|| PathBuf::from("."));
    let findings = examine(&gather::machine(&dir));
    if args.json {
        let all = findings
            .iter()
            .map(|found| json!({ "level": found.level.name(), "what": found.what, "remedy": found.remedy }));
        print_json(&json!({ "findings": all.collect::<Vec<_>>() }));
    } else {
        print(&findings.iter().map(line).collect::<String>());
    }
    let worst = findings.iter().map(|found| found.level).max();
    Ok(if worst == Some(Level::Error) { Exit::Usage } else { Exit::Done })
}

fn line(found: &Finding) -> String {
    let remedy = if found.remedy.is_empty() { String::new() } else { format!("\n         {}", found.remedy) };
    format!("{:<8} {}{remedy}\n", found.level.name(), found.what)
}
