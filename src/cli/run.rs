//! `ringfort run` and `ringfort restart`: ranks as MPI processes, as threads, or one alone.
//!
//! Input: a job file, or the folder of a run. Output: an exit code. Invariant: only the first rank speaks, and its
//! result is the program's; but an MPI rank that lost a peer says so and aborts all with exit code 75. A rank that is
//! a thread and fails is marked as lost, so that no other waits for it without end.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::run::folder::How;
use crate::run::signal::Signals;
use crate::run::threads_of_each;
use crate::torus::peers::FIRST_DEADLINE;
use crate::torus::run::{self as torus, Request};
use crate::torus::threads::Threads;
use crate::torus::{launched, launched_ranks_here};

/// Run a job in torus mode: under mpirun on its ranks, else alone or on threads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort run job.toml\n  ringfort run job.toml --out results --resume\n  \
    mpirun -n 4 ringfort run job.toml --ranks 2x2x1\n  ringfort run job.toml --local-ranks 4 --set time.steps=100")]
pub struct RunArgs {
    /// Job file.
    job: PathBuf,
    /// Continue from the newest valid checkpoint in the folder, or start if there is none.
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Start anew in a folder that holds a run.
    #[arg(long)]
    fresh: bool,
    /// Folder of the run [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Continue the run in a folder from its newest valid checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort restart out/plate\n  mpirun -n 6 ringfort restart out/head\n  \
    ringfort restart out/head --branch out/warmer --set kernel.perfusion=0.02")]
pub struct RestartArgs {
    /// Folder of the run.
    dir: PathBuf,
    /// Go on in a new run in this folder, with other physics if need be (--set kernel.KEY=VALUE); the run in DIR stays as it is.
    #[arg(long, value_name = "NEWDIR")]
    branch: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What `run` and `restart` share.
#[derive(Debug, clap::Args)]
struct Common {
    /// Last step.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Ranks along each axis, slowest first, say 2x2x1.
    #[arg(long, value_name = "AxBxC", value_parser = ranks)]
    ranks: Option<Ranks>,
    /// Run on so many ranks that are threads of this process.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    local_ranks: Option<u32>,
    /// Threads of each rank [default: this machine's cores shared among its ranks].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Steps between two halo exchanges; halos are as many steps deep.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=65536))]
    steps_per_exchange: Option<u32>,
    /// Stop with a checkpoint (exit code 85) before this much time has gone by, say 23h55m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_time: Option<Duration>,
    /// Override a key of the job file, say kernel.precision=f32.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Ranks along each axis.
#[derive(Clone, Debug)]
pub(super) struct Ranks(pub(super) Vec<usize>);

pub(super) fn ranks(text: &str) -> Result<Ranks, String> {
    let counts: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    counts
        .ok()
        .filter(|counts| counts.iter().all(|&count| count > 0))
        .map(Ranks)
        .ok_or_else(|| "write counts with x between them, say 2x2x1".into())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write, say, 90s, 15min, 23h55m or 1h".to_owned();
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit = match unit.trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = tail;
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

/// Runs a job.
///
/// # Errors
///
/// Any error of the run, with its exit code.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let how = match (args.resume, args.fresh) {
        (true, _) => How::Resume,
        (false, true) => How::Fresh,
        (false, false) => How::New,
    };
    start(Some(args.job.clone()), (args.out.clone(), None), how, &args.common)
}

/// Continues a run.
///
/// # Errors
///
/// Any error of the run, with its exit code.
pub fn restart(args: &RestartArgs) -> Result<Exit, Failure> {
    start(None, (Some(args.dir.clone()), args.branch.clone()), How::Restart, &args.common)
}

fn start(
    job: Option<PathBuf>,
    (dir, branch): (Option<PathBuf>, Option<PathBuf>),
    how: How,
    common: &Common,
) -> Result<Exit, Failure> {
    let signals = Signals::listen().map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
    let mut overrides = common.overrides.clone();
    overrides.extend(common.steps.map(|steps| format!("time.steps={steps}")));
    let mut request = Request {
        job,
        overrides,
        dir,
        branch,
        how,
        ranks: common.ranks.clone().map(|ranks| ranks.0),
        threads: 1,
        steps_per_exchange: common.steps_per_exchange.map(|steps| steps as usize),
        max_time: common.max_time.map(|time| time.as_secs_f64()),
        mpi: None,
        ranks_here: 1,
        library: *library(),
        signals,
    };
    let threads =
        |ranks_here: usize| common.threads.map_or_else(|| threads_of_each(ranks_here), |threads| threads as usize);
    if let Some(ranks) = common.local_ranks {
        request.ranks_here = ranks as usize;
        request.threads = threads(request.ranks_here);
        return local(&request);
    }
    if launched() {
        request.ranks_here = launched_ranks_here();
        request.threads = threads(request.ranks_here);
        return processes(request);
    }
    request.threads = threads(1);
    local(&request)
}

/// Ranks as threads; one rank is the main thread itself.
fn local(request: &Request) -> Result<Exit, Failure> {
    let mut group = Threads::group(request.ranks_here, FIRST_DEADLINE).into_iter();
    let Some(mut first) = group.next() else { return Err(Failure::usage("no ranks")) };
    std::thread::scope(|scope| {
        let others: Vec<_> = group
            .map(|mut peers| {
                scope.spawn(move || {
                    let result = torus::run(request, &mut peers, &|_| {});
                    peers.leave(result.is_err());
                })
            })
            .collect();
        let result = torus::run(request, &mut first, &super::tell);
        first.leave(result.is_err());
        // A rank that panicked has said so; the first rank's result names it.
        others.into_iter().for_each(|rank| drop(rank.join()));
        result
    })
}

/// Ranks as MPI processes. Launchers merge exit codes differently, so after an orderly end only rank 0 returns one.
#[cfg(feature = "mpi")]
fn processes(mut request: Request) -> Result<Exit, Failure> {
    use crate::torus::mpi::Mpi;
    use crate::torus::peers::Peers;

    let mut peers = Mpi::start(FIRST_DEADLINE).ok_or_else(|| Failure::usage("MPI was started before"))?;
    request.mpi = Some(Mpi::library());
    let first = peers.rank() == 0;
    let speak: &dyn Fn(&str) = if first { &super::tell } else { &|_| {} };
    match torus::run(&request, &mut peers, speak) {
        Err(failure) if failure.exit == Exit::PeerLost => {
            super::tell(&format!("rank {}: {:?}", peers.rank(), failure.report));
            // A launcher that is told to abort may drop words that it has not yet passed on.
            std::thread::sleep(Duration::from_millis(200));
            Mpi::abort(Exit::PeerLost as i32)
        }
        result if first => result,
        _ => Ok(Exit::Done),
    }
}

#[cfg(not(feature = "mpi"))]
fn processes(_: Request) -> Result<Exit, Failure> {
    Err(Failure::usage(
        "this program was built without MPI but started by an MPI launcher, which would run the same job many times; \
         start it alone with --local-ranks N, or build it with --features mpi",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "mpi"))]
    #[test]
    fn without_mpi_a_launched_rank_is_refused() {
        let request = Request {
            branch: None,
            job: None,
            overrides: Vec::new(),
            dir: None,
            how: How::New,
            ranks: None,
            threads: 1,
            steps_per_exchange: None,
            max_time: None,
            mpi: None,
            ranks_here: 2,
            library: *library(),
            signals: Signals::default(),
        };
        let refused = processes(request).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.report.to_string().contains("built without MPI"));
    }

    #[test]
    fn durations_and_ranks_are_read() {
        assert_eq!(duration("23h55m"), Ok(Duration::from_secs(86100)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "5", "h", "5x", "0s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ranks("2x3x1").map(|ranks| ranks.0), Ok(vec![2, 3, 1]));
        assert!(ranks("2x0").is_err() && ranks("x").is_err() && ranks("2,2").is_err());
    }
}
