//! `ringfort checkpoint`: look at checkpoints, verify, compare, export and remove them, and ask for one.
//!
//! Input: the folder of a run or of a checkpoint, which `locate` alone tells apart. Output: words or JSON, an exit
//! code. Invariant: only `prune` removes anything, only `now` asks something of a run, only `export` writes a file;
//! all others read. Of a run's folder `show`, `diff` and `export` take the newest whole checkpoint of the run that
//! `run.json` names.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;

use super::run::duration;
use super::tell;
use crate::checkpoint::{
    Checkpoint, CheckpointError, Disk, Entry, MANIFEST, Refused, RunId, State, home, newest, scan,
};
use crate::exit::{Exit, Failure};
use crate::observe::record::RunRecord;

mod diff;
mod export;
mod list;
mod now;
pub(super) mod show;
pub(super) mod text;
mod verify;

/// List, show, verify, compare, export and remove checkpoints.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort checkpoint list out/plate\n  ringfort checkpoint verify out/plate\n  \
    ringfort checkpoint show out/plate/checkpoints/step-0000000500\n  ringfort checkpoint diff out/a out/b\n  \
    ringfort checkpoint prune out/plate --keep 2\n  ringfort checkpoint now out/plate\n  \
    ringfort checkpoint export out/plate --field temperature --out plate.vti")]
pub struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// All checkpoints of a run, newest first, with their state.
    List {
        /// Folder of the run.
        dir: PathBuf,
        /// Check only that files are there with their lengths, and read none.
        #[arg(long)]
        quick: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What one checkpoint holds.
    Show {
        /// Checkpoint folder; of a run's folder, its newest.
        checkpoint: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every byte and check it; exit 4 if one is wrong.
    Verify {
        /// Checkpoint folder, or a run's folder for all its checkpoints.
        path: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare two checkpoints, whatever their cuts; exit 0 if every field has the same bits, else 1.
    Diff {
        /// Checkpoint folder; of a run's folder, its newest.
        a: PathBuf,
        /// Checkpoint folder; of a run's folder, its newest.
        b: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove old checkpoints of a run; two verified ones always remain.
    Prune {
        /// Folder of the run.
        dir: PathBuf,
        /// Newest checkpoints that stay [default: what the run's job says].
        #[arg(long, value_name = "N")]
        keep: Option<usize>,
        /// Of every so many steps the first one stays, too [default: what the run's job says; 0: none].
        #[arg(long, value_name = "STEPS")]
        keep_every: Option<u64>,
        /// Run id, where the newest checkpoint's is not the one meant.
        #[arg(long)]
        run: Option<String>,
    },
    /// Write a field to a NumPy array (.npy) or a VTK image for ParaView (.vti).
    Export {
        /// Checkpoint folder; of a run's folder, its newest.
        checkpoint: PathBuf,
        /// Field: a component, or a coefficient or derived field where the job's inputs are at hand.
        #[arg(long, value_name = "F")]
        field: String,
        /// File to write; its ending says the format.
        #[arg(long, value_name = "X.npy|X.vti")]
        out: PathBuf,
    },
    /// Ask the job that runs in a folder for a checkpoint, and wait for it; exit 74 if it could not be written.
    Now {
        /// Folder of the run.
        dir: PathBuf,
        /// How long to wait at most.
        #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
        wait: Duration,
    },
}

/// Runs the command.
///
/// # Errors
///
/// Any error of the command, with its exit code.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.tool {
        Tool::List { dir, quick, json } => list::list(&run_dir(dir)?, *quick, *json),
        Tool::Show { checkpoint, json } => show::show(&one(checkpoint)?, *json),
        Tool::Verify { path, json } => match locate(path)? {
            Target::Run(dir) => verify::all(&dir, *json),
            Target::Checkpoint(folder) => verify::one(&folder, *json),
        },
        Tool::Diff { a, b, json } => diff::diff(&one(a)?, &one(b)?, *json),
        Tool::Prune { dir, keep, keep_every, run } => list::prune(&run_dir(dir)?, (*keep, *keep_every), run.as_deref()),
        Tool::Export { checkpoint, field, out } => export::export(&one(checkpoint)?, field, out).map(|()| Exit::Done),
        Tool::Now { dir, wait } => now::now(&run_dir(dir)?, *wait),
    }
}

/// What a path on the command line names.
pub(super) enum Target {
    /// Folder of a run.
    Run(PathBuf),
    /// Folder of one checkpoint.
    Checkpoint(PathBuf),
}

/// What `path` names.
pub(super) fn locate(path: &Path) -> Result<Target, Failure> {
    let real = std::fs::canonicalize(path)
        .map_err(|error| Failure::usage(format!("cannot open {}: {error}", path.display())))?;
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let holds = |file: &str| real.join(file).exists();
    if !real.is_dir() {
        return Err(Failure::usage(format!("{} is not a folder", path.display())));
    }
    if name == "checkpoints" {
        return Ok(Target::Run(real.parent().map_or_else(|| real.clone(), Path::to_path_buf)));
    }
    if home(&real).is_dir() || holds("run.json") || holds("job.toml") {
        return Ok(Target::Run(real));
    }
    if name.starts_with("step-") || holds(MANIFEST) || holds("OWNER") {
        return Ok(Target::Checkpoint(real));
    }
    Err(Failure::usage(format!("{} is neither the folder of a run nor a checkpoint", path.display())))
}

fn run_dir(path: &Path) -> Result<PathBuf, Failure> {
    match locate(path)? {
        Target::Run(dir) => Ok(dir),
        Target::Checkpoint(_) => {
            Err(Failure::usage(format!("{} is one checkpoint; give the folder of the run", path.display())))
        }
    }
}

/// The checkpoint at `path`, or the newest whole one of the run at `path`: of the run that `run.json` names, since what
/// the folder held before a start with `--fresh` may have more steps.
fn one(path: &Path) -> Result<Checkpoint<'static>, Failure> {
    let dir = match locate(path)? {
        Target::Checkpoint(folder) => return Checkpoint::open(&Disk, &folder).map_err(failure),
        Target::Run(dir) => dir,
    };
    let found = newest(&Disk, &dir, recorded(&dir), true).map_err(failure)?;
    for Refused { name, reason, .. } in &found.refused {
        tell(&format!("passed over {name}: {reason}"));
    }
    found.checkpoint.ok_or_else(|| {
        let words = format!("{} holds no whole checkpoint", path.display());
        if found.refused.is_empty() {
            Failure::usage(words)
        } else {
            Failure { exit: Exit::Damaged, ..Failure::usage(words) }
        }
    })
}

/// Checkpoints in `dir`, newest first, without those that are known to be another run's than `run.json` names, or were
/// moved aside.
pub(super) fn of_run(dir: &Path) -> Result<Vec<Entry>, Failure> {
    let run = recorded(dir);
    let ours = |entry: &Entry| match (&entry.state, run) {
        (State::Committed(manifest), Some(run)) => manifest.meta.run == run,
        (State::Committed(_) | State::Damaged(_) | State::Partial, _) => true,
    };
    Ok(scan(&Disk, dir).map_err(failure)?.into_iter().filter(|entry| !entry.aside && ours(entry)).collect())
}

/// The run that `run.json` in `dir` names, if it can be read.
fn recorded(dir: &Path) -> Option<RunId> {
    RunRecord::read(&dir.join("run.json")).ok()?.run.parse().ok()
}

/// `error` with its exit code.
pub(super) fn failure(error: CheckpointError) -> Failure {
    Failure::new(if error.damaged() { Exit::Damaged } else { Exit::Usage }, error)
}

/// Prints `text`; a reader that went away is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints `value` as JSON.
pub(super) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
