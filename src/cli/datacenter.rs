//! `ringfort datacenter`: a run on workers that may be lost, a worker, how a run stands, its state as of a step, and
//! asking a worker to leave.
//!
//! Input: a job file, or the folder of a run. Output: words or JSON, an exit code. Invariant: `status` and `query`
//! ask nothing of a worker, and `drain` writes one record that the worker itself obeys, so that none of them holds up
//! a run; a worker that a supervisor started leaves when its standard input ends, and so does not outlive it.

mod query;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use tokio::sync::mpsc;

use super::checkpoint::print;
use super::run::duration;
use crate::checkpoint::RunId;
use crate::cli::library;
use crate::datacenter::blobs::Blobs;
use crate::datacenter::ledger::Ledger;
use crate::datacenter::node::{self, Leave};
use crate::datacenter::records::Keys;
use crate::datacenter::spec::Spec;
use crate::datacenter::status::{Status, status};
use crate::datacenter::supervise::{self, Request};
use crate::exit::{Exit, Failure};
use crate::run::folder::How;
use crate::run::signal::Signals;

/// Run a job on workers that may come, go and be lost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ringfort datacenter run job.toml --workers 4\n  ringfort datacenter status out/job\n  \
    ringfort datacenter worker out/job\n  ringfort datacenter query out/job --at-step 100 --field temperature --out t.npy"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Worker(WorkerArgs),
    Status(StatusArgs),
    Query(query::QueryArgs),
    Drain(DrainArgs),
    /// A command that comes later, or none.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Run a job: start workers on this machine, replace those that are lost, end with the last checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort datacenter run job.toml --workers 4\n  \
    ringfort datacenter run job.toml --workers 2 --out results --resume")]
struct RunArgs {
    /// Job file.
    job: PathBuf,
    /// Workers to start on this machine; 0 waits for workers started elsewhere.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    workers: u32,
    /// Blocks that each worker computes at once [default: this machine's cores shared among its workers].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Continue from the newest valid checkpoint in the folder, or start if there is none.
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Start anew in a folder that holds a run.
    #[arg(long)]
    fresh: bool,
    /// Folder of the run [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Last step.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Stop (exit code 85) after this much time, say 23h55m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_time: Option<Duration>,
    /// The ledger, say sqlite:PATH [default: in the run's folder].
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Override a key of the job file, say kernel.precision=f32.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Join the run in a folder as one more worker.
#[derive(Debug, clap::Args)]
struct WorkerArgs {
    /// Folder of the run.
    dir: PathBuf,
    /// Blocks computed at once.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: u32,
    /// Address to listen on; port 0 is any that is free.
    #[arg(long, value_name = "A:P", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Exchange everything over HTTP, also with workers of this machine.
    #[arg(long)]
    no_shared_memory: bool,
    /// Leave when standard input ends.
    #[arg(long, hide = true)]
    supervised: bool,
}

/// Show how a run stands.
#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// Folder of the run.
    dir: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Ask a worker to hand over its blocks and leave.
#[derive(Debug, clap::Args)]
struct DrainArgs {
    /// Folder of the run.
    dir: PathBuf,
    /// The worker, as `status` names it.
    #[arg(required_unless_present = "pid")]
    worker: Option<String>,
    /// The worker whose process on this machine this is.
    #[arg(long, value_name = "P", conflicts_with = "worker")]
    pid: Option<u32>,
}

/// Runs the command.
///
/// # Errors
///
/// Any error of the run, with its exit code.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Run(args) => start(args),
        Command::Worker(args) => work(args),
        Command::Status(args) => show(args),
        Command::Query(args) => query::query(args),
        Command::Drain(args) => drain(args),
        Command::Other(words) => match words.first().map_or("", String::as_str) {
            "log" => Err(Failure::usage("ringfort datacenter log is not yet supported")),
            name => Err(Failure::usage(format!(
                "ringfort datacenter has no command `{name}`; ringfort datacenter --help lists all"
            ))),
        },
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| Failure::usage(format!("cannot start threads: {error}")))
}

fn start(args: &RunArgs) -> Result<Exit, Failure> {
    let signals = Signals::listen().map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
    let mut overrides = args.overrides.clone();
    overrides.extend(args.steps.map(|steps| format!("time.steps={steps}")));
    let workers = args.workers as usize;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let request = Request {
        job: Some(args.job.clone()),
        overrides,
        dir: args.out.clone(),
        how: match (args.resume, args.fresh) {
            (true, _) => How::Resume,
            (false, true) => How::Fresh,
            (false, false) => How::New,
        },
        workers,
        threads: args.threads.map_or((cores / workers.max(1)).max(1), |threads| threads as usize),
        ledger: args.ledger.clone(),
        blobs: None,
        max_time: args.max_time.map(|time| time.as_secs_f64()),
        library: *library(),
        signals,
    };
    runtime()?.block_on(supervise::run(&request, &super::tell))
}

fn work(args: &WorkerArgs) -> Result<Exit, Failure> {
    let run = Spec::read(&args.dir)?.open(&args.dir, library())?;
    let setup = node::Setup {
        dir: args.dir.clone(),
        threads: args.threads as usize,
        listen: args.listen,
        share: !args.no_shared_memory,
    };
    let ledger = supervise::ledger(&run.spec.ledger)?;
    let blobs = Blobs::from_url(&run.spec.blobs).map_err(Failure::usage)?;
    let (drain, drained) = mpsc::channel(1);
    let (gone, left) = mpsc::channel(1);
    let supervised = args.supervised;
    let runtime = runtime()?;
    let result = runtime.block_on(async move {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
        tokio::spawn(async move {
            while terminated.recv().await.is_some() {
                let _asked_already = drain.try_send(());
            }
        });
        if supervised {
            std::thread::spawn(move || {
                let mut rest = Vec::new();
                // The supervisor writes nothing: this returns when it is gone.
                let _end = std::io::stdin().read_to_end(&mut rest);
                let _ended = gone.blocking_send(());
            });
            node::work(run, setup, (ledger, blobs), Leave { drain: drained, now: left }).await
        } else {
            let _kept_open = gone;
            node::work(run, setup, (ledger, blobs), Leave { drain: drained, now: left }).await
        }
    });
    runtime.shutdown_background();
    result
}

fn show(args: &StatusArgs) -> Result<Exit, Failure> {
    let status = runtime()?.block_on(status(&args.dir))?;
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|error| Failure::new(Exit::Usage, error))?;
        print(&format!("{text}\n"));
    } else {
        print(&words(&status));
    }
    Ok(Exit::Done)
}

fn words(status: &Status) -> String {
    let mut text = format!(
        "run {}\nstep {} of {}, newest complete checkpoint {}\n{} blocks, {} workers lost, {} block steps recomputed, {} stolen, \
         {} requests sent again\n",
        status.run,
        status.step,
        status.steps,
        status.newest,
        status.blocks,
        status.lost,
        status.recomputed_steps,
        status.stolen,
        status.retried,
    );
    for worker in &status.workers {
        text += &format!(
            "worker {} at {} (pid {}): {} blocks, round {:.3} s, shell {:.3} s, chunk {:.3} s\n",
            worker.id,
            worker.address,
            worker.pid,
            worker.blocks.len(),
            worker.compute,
            worker.fetch,
            worker.commit,
        );
    }
    text
}

fn drain(args: &DrainArgs) -> Result<Exit, Failure> {
    let spec = Spec::read(&args.dir)?;
    let id: RunId = spec.run.parse().map_err(Failure::usage)?;
    let ledger = supervise::ledger(&spec.ledger)?;
    runtime()?.block_on(ask_to_leave(&args.dir, args, &Keys::new(id), ledger))?;
    Ok(Exit::Done)
}

async fn ask_to_leave(dir: &Path, args: &DrainArgs, keys: &Keys, ledger: Arc<dyn Ledger>) -> Result<(), Failure> {
    let entries = ledger.read(keys.prefix()).await.map_err(Failure::usage)?;
    let records = keys.read(&entries);
    let named = |id: u64| args.worker.as_deref().is_some_and(|name| u64::from_str_radix(name, 16) == Ok(id));
    let found = records.cards.iter().find(|(id, card)| named(id.0) || args.pid == Some(card.pid));
    let Some((&worker, _)) = found else {
        let known: Vec<String> =
            records.cards.iter().map(|(id, card)| format!("{:016x} (pid {})", id.0, card.pid)).collect();
        return Err(Failure::usage(format!(
            "the run in {} has no such worker; it has {}",
            dir.display(),
            if known.is_empty() { "none".into() } else { known.join(", ") }
        )));
    };
    ledger.write(&[keys.drain(worker)]).await.map_err(Failure::usage)?;
    Ok(())
}
