//! Both modes side by side under the same schedule of failures: what each way of surviving costs, from measurements.
//!
//! Input: a job, mean times between failures, a seed. Output: a report. The program starts itself, once for each trial:
//! torus mode undisturbed, under kills with restarts, and without checkpoints; data-center mode undisturbed and under the same
//! kills. Trials take turns, so that what disturbs the machine disturbs all. Invariant: there is no report unless all trials end
//! with the same bits.

pub mod model;
pub mod page;
pub mod processes;
pub mod report;
pub mod schedule;
pub mod trial;

use std::path::{Path, PathBuf};
use std::process::Command;

use std::time::Duration;

use self::model::Model;
use self::trial::{Launch, Trial};

/// Folders below the report's in which runs lie: the one that all are compared with, and the present one.
pub const RUNS: [&str; 2] = ["reference", "trial"];
/// How long the comparison of two checkpoints may take.
const DIFF: Duration = Duration::from_secs(3600);

/// What to compare.
#[derive(Clone, Debug)]
pub struct Request {
    /// Job file.
    pub job: PathBuf,
    /// Folder of the report; runs lie in folders below it while they are needed.
    pub dir: PathBuf,
    /// Mean times between failures, in seconds.
    pub mtbf_s: Vec<f64>,
    /// Trials of each kind.
    pub repeats: u32,
    /// Seed of the schedules.
    pub seed: u64,
    /// Ranks in torus mode.
    pub ranks: u32,
    /// Workers in data-center mode.
    pub workers: u32,
    /// Seconds between the end of a failed run and its restart.
    pub repair_s: f64,
    /// Machine sizes to carry the model to, in nodes.
    pub nodes: Vec<f64>,
    /// Mean time between failures of one of these nodes, in seconds.
    pub node_mtbf_s: f64,
    /// Overrides of the job.
    pub overrides: Vec<String>,
}

/// How a job is run in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Torus mode without checkpoints: the floor.
    Floor,
    /// Torus mode undisturbed.
    Torus,
    /// Torus mode under kills, restarted each time.
    TorusFailing,
    /// Data-center mode undisturbed.
    Datacenter,
    /// Data-center mode under the same kills.
    DatacenterFailing,
}

impl Mode {
    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Torus => "torus",
            Self::TorusFailing => "torus-failing",
            Self::Datacenter => "datacenter",
            Self::DatacenterFailing => "datacenter-failing",
        }
    }

    /// True for data-center mode.
    #[must_use]
    pub fn datacenter(self) -> bool {
        matches!(self, Self::Datacenter | Self::DatacenterFailing)
    }

    /// True for trials with kills.
    #[must_use]
    pub fn failing(self) -> bool {
        matches!(self, Self::TorusFailing | Self::DatacenterFailing)
    }
}

/// What was measured, and what follows from it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All trials, in the order in which they ran.
    pub trials: Vec<Trial>,
    /// The model of torus mode, fitted to them.
    pub model: Model,
    /// How ranks were started, in words.
    pub launcher: String,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A trial that should have ended well.
    #[error("{what} ended with exit code {code}: {words}")]
    Ended {
        /// Which trial.
        what: String,
        /// Its exit code, or 128 and the signal.
        code: i32,
        /// The last of what it said.
        words: String,
    },
    /// A trial that took too long.
    #[error(
        "{what} has not ended within {seconds:.0} s and was killed; a larger --mtbf gives it a chance to come to an end"
    )]
    Endless {
        /// Which trial.
        what: String,
        /// Its deadline.
        seconds: f64,
    },
    /// Two ends that differ.
    #[error(
        "{what} ended with other bits than the undisturbed run, so there is no report; compare {a} and {b} with ringfort checkpoint diff"
    )]
    Different {
        /// Which trial.
        what: String,
        /// Folder of the undisturbed run.
        a: PathBuf,
        /// Folder of the other.
        b: PathBuf,
    },
    /// A run too short to tell its pace.
    #[error(
        "the undisturbed run wrote {count} checkpoints, too few to tell its pace; give [checkpoint] every so that there are 3 or more"
    )]
    Short {
        /// Its checkpoints.
        count: usize,
    },
    /// The system's.
    #[error("cannot {action}")]
    Io {
        /// What failed.
        action: String,
        /// Why.
        source: std::io::Error,
    },
}

impl CompareError {
    fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

/// Runs all trials; `tell` hears of each.
///
/// # Errors
///
/// [`CompareError`] at the first trial that does not end as it should, or with other bits.
pub fn compare(request: &Request, tell: &dyn Fn(&str)) -> Result<Outcome, CompareError> {
    std::fs::create_dir_all(&request.dir).map_err(CompareError::io(format!("make {}", request.dir.display())))?;
    let launch = Launch::new(request)?;
    tell(&format!("torus mode: {}; data-center mode: {} workers", launch.words(), request.workers));
    let [reference, present] = RUNS.map(|name| request.dir.join(name));
    let mut trials: Vec<Trial> = Vec::new();
    for repeat in 0..request.repeats {
        for (mode, mtbf_s) in kinds(&request.mtbf_s) {
            let first = trials.is_empty();
            let dir = if first { reference.clone() } else { present.clone() };
            remove(&dir)?;
            // Of the first nobody knows how long it takes: it is given an hour.
            let usual = trials.iter().map(|trial| trial.seconds).fold(0.0, larger);
            let deadline_s = if usual > 0.0 { 30.0 * usual + 60.0 } else { 3600.0 };
            let trial = trial::run(&launch, (mode, mtbf_s, repeat), &dir, deadline_s)?;
            tell(&trial.line());
            if mode != Mode::Floor && !first {
                same_bits(&launch, &reference, &dir, &trial.name())?;
            }
            if !first {
                remove(&dir)?;
            }
            trials.push(trial);
        }
    }
    remove(&reference)?;
    let model = Model::fit(&trials, request.repair_s)?;
    for trial in trials.iter_mut().filter(|trial| !trial.mode.datacenter() && trial.mode != Mode::Floor) {
        let kills: Vec<f64> = trial.kills.iter().filter(|kill| kill.hit).map(|kill| kill.at_s).collect();
        // Machines swing by more than what is asked here: whether kills, checkpoints and restarts explain the rest.
        let own = Model { step_s: trial.pace().unwrap_or(model.step_s), ..model };
        trial.predicted_s = Some(own.replay_hits(&kills));
    }
    Ok(Outcome { trials, model, launcher: launch.words() })
}

/// The trials of one turn: each mean time for both modes.
fn kinds(mtbf_s: &[f64]) -> Vec<(Mode, Option<f64>)> {
    let mut all = vec![(Mode::Torus, None), (Mode::Datacenter, None), (Mode::Floor, None)];
    for &mtbf_s in mtbf_s {
        all.extend([(Mode::TorusFailing, Some(mtbf_s)), (Mode::DatacenterFailing, Some(mtbf_s))]);
    }
    all
}

/// The larger of two finite numbers.
fn larger(a: f64, b: f64) -> f64 {
    if a < b { b } else { a }
}

/// The smaller of two finite numbers.
fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

fn remove(dir: &Path) -> Result<(), CompareError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CompareError::io(format!("remove {}", dir.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Compares the last checkpoints of two runs, every bit.
fn same_bits(launch: &Launch, a: &Path, b: &Path, what: &str) -> Result<(), CompareError> {
    let compared = processes::said(Command::new(&launch.program).args(["checkpoint", "diff"]).arg(a).arg(b), DIFF);
    let (status, words) = compared.map_err(CompareError::io("run ringfort checkpoint diff"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(CompareError::Different { what: what.into(), a: a.into(), b: b.into() }),
        code => Err(CompareError::Ended {
            what: format!("the comparison of {what} with the undisturbed run"),
            code: code.unwrap_or(128),
            words: words.trim().to_owned(),
        }),
    }
}
