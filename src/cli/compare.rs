//! `ringfort compare`: both modes side by side under the same schedule of failures.
//!
//! Input: a job file, mean times between kills, a seed. Output: `report.json`, `report.csv` and `report.html` in a
//! folder, and a summary. Invariant: a folder that holds a report or runs already is refused before anything starts;
//! no report is written unless all runs end with the same bits.

use std::path::{Path, PathBuf};

use super::checkpoint::print;
use crate::compare::report::{csv, json, words};
use crate::compare::{CompareError, RUNS, Request, compare, page};
use crate::exit::{Exit, Failure};

/// Files of a report.
const REPORT: [&str; 3] = ["report.json", "report.csv", "report.html"];

/// Run a job in both modes under the same schedule of failures and report what each way of surviving costs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Processes are killed at random moments, the same for both modes: a rank, whose job is then restarted after the \
    repair time, and a worker, whose blocks others take over. There is no report unless all runs end with the same bits.\n\n\
    Examples:\n  ringfort compare job.toml --out comparison --mtbf \"20s,60s\" --repeats 3 --seed 1\n  \
    ringfort compare job.toml --out comparison --mtbf 10s --nodes 1000,100000 --node-mtbf 1826d"
)]
pub struct Args {
    /// Job file; its run should take at least some ten seconds and write at least three checkpoints.
    job: PathBuf,
    /// Folder of report.html, report.json and report.csv; runs lie there while they are needed.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Mean times between kills.
    #[arg(long, value_name = "TIMES", value_delimiter = ',', value_parser = seconds, required = true)]
    mtbf: Vec<f64>,
    /// Runs of each kind.
    #[arg(long, value_name = "R", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Seed of the schedules.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Ranks in torus mode [default: this machine's cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    ranks: Option<u32>,
    /// Workers in data-center mode [default: this machine's cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// Time between the end of a failed torus run and its restart.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = seconds_or_none)]
    repair: f64,
    /// Machine sizes to carry the result to, in nodes.
    #[arg(long, value_name = "NODES", value_delimiter = ',', default_value = "100,1000,10000,100000", value_parser = nodes)]
    nodes: Vec<f64>,
    /// Mean time between failures of one such node.
    #[arg(long, value_name = "TIME", default_value = "1826d", value_parser = seconds)]
    node_mtbf: f64,
    /// Override a key of the job file, say time.steps=1000.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// A time above zero, in seconds.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = seconds_or_none(text)?;
    if seconds > 0.0 { Ok(seconds) } else { Err("write a time above zero, say 20s".into()) }
}

/// A time in seconds, with one unit.
fn seconds_or_none(text: &str) -> Result<f64, String> {
    let wrong = || "write, say, 0.5s, 20s, 15min, 12h or 30d".to_owned();
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?);
    let unit = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let seconds = number.trim().parse::<f64>().map_err(|_| wrong())? * unit;
    if (0.0..1e12).contains(&seconds) { Ok(seconds) } else { Err(wrong()) }
}

fn nodes(text: &str) -> Result<f64, String> {
    let nodes = text.parse::<u64>().map_err(|_| "whole numbers, say 100,1000".to_owned())?;
    if nodes > 0 { Ok(nodes as f64) } else { Err("at least one node".into()) }
}

/// Runs the comparison and writes the report.
///
/// # Errors
///
/// Usage errors; a run that does not end as it should, with its words; exit code 1 if two runs end with other bits.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let job = args.job.canonicalize();
    let job = job.map_err(|error| Failure::usage(format!("cannot open {}: {error}", args.job.display())))?;
    // Whatever lies there is somebody's: a report, or runs of a comparison that was cut off.
    if let Some(taken) = REPORT.iter().chain(&RUNS).find(|name| args.out.join(name).exists()) {
        return Err(Failure::usage(format!(
            "{} holds {taken} already; name another folder with --out, or remove that one",
            args.out.display()
        )));
    }
    let request = Request {
        job,
        dir: args.out.clone(),
        mtbf_s: args.mtbf.clone(),
        repeats: args.repeats,
        seed: args.seed,
        ranks: args.ranks.unwrap_or(cores),
        workers: args.workers.unwrap_or(cores),
        repair_s: args.repair,
        nodes: args.nodes.clone(),
        node_mtbf_s: args.node_mtbf,
        overrides: args.overrides.clone(),
    };
    let outcome = compare(&request, &super::tell).map_err(failure)?;
    let report = serde_json::to_string_pretty(&json(&outcome, &request)).unwrap_or_default();
    write(&args.out, REPORT[0], &report)?;
    write(&args.out, REPORT[1], &csv(&outcome))?;
    write(&args.out, REPORT[2], &page::page(&outcome, &request))?;
    let mut said = words(&outcome, &request).join("\n");
    said.push_str(&format!(
        "\nAll {} runs ended with the same bits. Report: {}\n",
        outcome.trials.len(),
        args.out.join("report.html").display()
    ));
    print(&said);
    Ok(Exit::Done)
}

fn failure(error: CompareError) -> Failure {
    let exit = match &error {
        CompareError::Different { .. } => Exit::Different,
        CompareError::Ended { code, .. } => match u8::try_from(*code).map(Exit::of) {
            Ok(Exit::Done | Exit::Different) | Err(_) => Exit::PeerLost,
            Ok(exit) => exit,
        },
        CompareError::Endless { .. } => Exit::PeerLost,
        CompareError::Short { .. } | CompareError::Io { .. } => Exit::Usage,
    };
    Failure::new(exit, error)
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_nodes_are_read() {
        for (text, wanted) in [("0.5s", 0.5), ("20 s", 20.0), ("15min", 900.0), ("2h", 7200.0), ("30d", 2_592_000.0)] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        assert_eq!(seconds_or_none("0s"), Ok(0.0));
        for wrong in ["", "5", "s", "0s", "-1s", "nans", "infs", "5x", "1h30m"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(nodes("100"), Ok(100.0));
        assert!(nodes("0").is_err() && nodes("1.5").is_err());
    }
}
