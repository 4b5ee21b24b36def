//! `ringfort plan`: cuts and map of ranks onto a machine's nodes, what they cost, and how fast a run would be.
//!
//! Input: a job file and a machine file, or the job alone. Output: a page, JSON or a launcher's file; a picture.
//! Invariant: nothing is run or measured: the same files give the same plan; standard output takes one thing, and
//! files are written only where `--write` and `--picture` say. Without a machine there are cuts alone.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::check::{Page, axes, plural, six, thousands};
use super::checkpoint::text::{by, size};
use super::checkpoint::{print, print_json};
use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::job::{Job, unknown_word};
use crate::observe::picture::{Mosaic, mosaic};
use crate::run::shape::Shape;
use crate::torus::machine::Machine;
use crate::torus::machine::network::Kind;
use crate::torus::placement::write::{Format, write};
use crate::torus::placement::{Ask, Placement};

/// Lay a job out on a machine: cuts, rank-to-node map, what they cost, predicted times; files for launchers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --ranks the machine is filled, and cuts and map are chosen together by predicted time. Without \
    --machine there are cuts alone.\n\nExamples:\n  ringfort plan job.toml --machine machine.toml\n  \
    ringfort plan job.toml --machine machine.toml --ranks 512 --json\n  \
    ringfort plan job.toml --machine machine.toml --write rankfile=ranks.txt --picture map.png\n  \
    ringfort plan job.toml --ranks 4096"
)]
pub struct Args {
    /// Job file.
    job: PathBuf,
    /// Machine file: nodes, and how they are joined.
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// Number of ranks [default: those of the job, else all that the machine has room for].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    ranks: Option<u32>,
    /// Steps between two halo exchanges; halos are as many steps deep.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=65536))]
    steps_per_exchange: Option<u32>,
    /// Override a key of the job file, say torus.ranks=[2,2].
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Print the map as rankfile, mpich-rank-order, slurm-hostfile, fujitsu, simgrid or csv; with =PATH to a file.
    #[arg(long, value_name = "FORMAT[=PATH]", value_parser = target, requires = "machine")]
    write: Vec<Target>,
    /// Draw the map as a PNG file.
    #[arg(long, value_name = "FILE", requires = "machine")]
    picture: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A format and where to.
#[derive(Clone, Debug)]
struct Target {
    format: Format,
    path: Option<PathBuf>,
}

fn target(text: &str) -> Result<Target, String> {
    let (name, path) = text.split_once('=').map_or((text, None), |(name, path)| (name, Some(path)));
    let Some((_, format)) = Format::ALL.iter().find(|(known, _)| *known == name) else {
        return Err(unknown_word("format", name, &Format::ALL.map(|(name, _)| name)));
    };
    match path {
        Some("") => Err("give a path after `=`".into()),
        path => Ok(Target { format: *format, path: path.map(PathBuf::from) }),
    }
}

/// Prints the plan. With `--json`: `cuts` (the process grid, slowest axis first), `ranks`; `inter_node_edges` (messages
/// between nodes in one exchange, one each way along each edge of the process grid), `worst_node_edges` (those that leave
/// the node which sends most), `lower_bound_edges`, `lower_bound_worst` (proven: no map has fewer that fills every node but
/// the last); `hop_bytes` (links that all messages of unit weight take), `dilation` (links of the longest way),
/// `max_link_load` (messages of unit weight over the busiest link, one way); `seconds_per_step`, `weak_scaling_efficiency`
/// (time of a step of the same block on a rank alone, over that of a step here with checkpoints and failures);
/// `assumptions` (words). Without a machine all but `cuts` and `ranks` are null.
///
/// # Errors
///
/// A usage error if job or machine are wrong, or the grid cannot be cut so; it names the nearest numbers of ranks.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let job = Job::read(&args.job, &args.overrides, library()).map_err(Failure::report)?;
    let ask = Ask {
        job: &job,
        library: library(),
        ranks: args.ranks.map(|ranks| ranks as usize),
        steps: args.steps_per_exchange.map(|steps| steps as usize),
    };
    let Some(path) = &args.machine else {
        let shape = ask.cuts()?;
        if args.json {
            print_json(&cuts_as_json(&job, &shape));
        } else {
            let mut page = Page(String::new());
            cuts(&mut page, &job, &shape);
            print(&page.0);
        }
        return Ok(Exit::Done);
    };
    if args.write.iter().filter(|target| target.path.is_none()).count() + usize::from(args.json) > 1 {
        return Err(Failure::usage(
            "standard output takes one of --json and --write FORMAT; give the others a path: --write FORMAT=PATH",
        ));
    }
    let machine = Machine::read(path).map_err(Failure::report)?;
    let placement = ask.place(&machine)?;
    let names = axes(&job);
    let mut printed = None;
    for target in &args.write {
        let text = write(target.format, &placement, &machine, &names).map_err(Failure::usage)?;
        match &target.path {
            Some(path) => store(path, text.as_bytes())?,
            None => printed = Some(text),
        }
    }
    if let Some(path) = &args.picture {
        let picture = mosaic(&picture(&job, &placement)).map_err(|error| Failure::new(Exit::Usage, error))?;
        store(path, &picture)?;
    }
    match printed {
        Some(text) => print(&text),
        None if args.json => print_json(&as_json(&job, &placement, &machine)),
        None => print(&as_text(&job, &placement, &machine)),
    }
    Ok(Exit::Done)
}

fn store(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    std::fs::write(path, bytes).map_err(fail)
}

fn cuts_as_json(job: &Job, shape: &Shape) -> Value {
    json!({
        "cuts": job.grid.own(&shape.cuts.parts()),
        "ranks": shape.cuts.count(),
        "inter_node_edges": null, "worst_node_edges": null, "lower_bound_edges": null, "lower_bound_worst": null,
        "hop_bytes": null, "dilation": null, "max_link_load": null,
        "seconds_per_step": null, "weak_scaling_efficiency": null, "assumptions": [],
    })
}

fn as_json(job: &Job, placement: &Placement, machine: &Machine) -> Value {
    let (metrics, bound) = (&placement.map.metrics, &placement.map.bound);
    json!({
        "cuts": job.grid.own(&placement.shape.cuts.parts()),
        "ranks": placement.ranks.count(),
        "inter_node_edges": metrics.cost.total,
        "worst_node_edges": metrics.cost.worst,
        "lower_bound_edges": bound.total,
        "lower_bound_worst": bound.worst,
        "hop_bytes": metrics.hops,
        "dilation": metrics.dilation,
        "max_link_load": whole(metrics.link_load),
        "seconds_per_step": placement.prediction.step_s,
        "weak_scaling_efficiency": placement.prediction.efficiency,
        "assumptions": assumptions(placement, machine),
    })
}

/// `value` as a whole number where it is one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of messages")]
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

/// Numbers of ranks that are looked ahead to.
const AHEAD: [usize; 2] = [100_000, 1_000_000];

fn assumptions(placement: &Placement, machine: &Machine) -> Vec<String> {
    let mut all = placement.prediction.assumptions(machine);
    for ranks in AHEAD {
        let ahead = placement.scaled(machine, ranks);
        all.push(format!("{} ranks, so assumed: efficiency {:.4}", thousands(ranks as u64), ahead.efficiency));
    }
    all
}

fn cuts(page: &mut Page, job: &Job, shape: &Shape) {
    let cuts = &shape.cuts;
    let names = axes(job).join(", ");
    let parts = by(job.grid.own(&cuts.parts()));
    let (largest, smallest) = (by(job.grid.own(&cuts.largest())), by(job.grid.own(&cuts.smallest())));
    let ranks = plural(cuts.count() as u64, "rank");
    page.line("cuts", &format!("{ranks}: {parts} along {names}; blocks of {largest} points, the last {smallest}"));
    if let Some(note) = &shape.note {
        page.line("note", note);
    }
}

fn as_text(job: &Job, placement: &Placement, machine: &Machine) -> String {
    let mut page = Page(String::new());
    page.line(
        "job",
        &format!("{}, {} points, kernel {}", job.name, by(job.grid.own(&job.grid.points)), job.declaration.name),
    );
    page.line("machine", &words(machine));
    if let Some(note) = &placement.note {
        page.line("note", note);
    }
    cuts(&mut page, job, &placement.shape);
    let (metrics, bound) = (&placement.map.metrics, &placement.map.bound);
    page.line("map", &format!("by {}", placement.map.name));
    let (total, worst) = (metrics.cost.total, metrics.cost.worst);
    page.line(
        "edges",
        &format!(
            "{} between nodes; no map that fills them has fewer than {}",
            thousands(total),
            thousands(bound.total)
        ),
    );
    page.line(
        "worst node",
        &format!(
            "{} leave it; no map that fills them can do with fewer than {}",
            thousands(worst),
            thousands(bound.worst)
        ),
    );
    #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean = metrics.hops as f64 / total.max(1) as f64;
    let ways = format!("{} links on average, {} at most", six(mean), metrics.dilation);
    page.line(
        "links",
        &format!("{} messages over the busiest, one way; a message takes {ways}", six(metrics.link_load)),
    );
    let prediction = &placement.prediction;
    let each = plural(placement.work.steps as u64, "step");
    page.line(
        "step",
        &format!(
            "{} s predicted; {} s on a rank alone, an exchange every {each} {} s",
            six(prediction.step_s),
            six(prediction.alone_s),
            six(prediction.exchange_s),
        ),
    );
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes for people"
    )]
    let bytes = size((placement.work.checkpoint_bytes * placement.ranks.count() as f64) as u64);
    page.line("checkpoint", &format!("{} s predicted for {bytes}", six(prediction.checkpoint_s)));
    let mut ahead =
        vec![format!("{:.2} % at {} ranks", 100.0 * prediction.efficiency, thousands(placement.ranks.count() as u64))];
    for ranks in AHEAD {
        let efficiency = placement.scaled(machine, ranks).efficiency;
        ahead.push(format!("{:.2} % at {}", 100.0 * efficiency, thousands(ranks as u64)));
    }
    page.line("weak scaling", &format!("{}, all predicted", ahead.join(", ")));
    for (at, words) in prediction.assumptions(machine).iter().enumerate() {
        page.line(if at == 0 { "assumed" } else { "" }, words);
    }
    page.0
}

fn words(machine: &Machine) -> String {
    let network = &machine.network;
    let shape = by(&network.shape);
    let joined = match network.kind {
        Kind::None => "network not known".to_owned(),
        Kind::Torus if network.wrap.iter().all(|wrap| *wrap) => format!("torus of {shape}"),
        Kind::Torus => format!("torus of {shape}, not all axes rings"),
        Kind::FatTree => format!("fat tree of {shape}, oversubscribed {} to 1", network.oversubscription),
        Kind::Dragonfly => format!("dragonfly of {shape}"),
    };
    let nodes = plural((network.nodes() - machine.missing.len()) as u64, "node");
    let missing =
        if machine.missing.is_empty() { String::new() } else { format!(", {} missing", machine.missing.len()) };
    let (ranks, cores) = (plural(machine.ranks_per_node as u64, "rank"), plural(machine.cores_per_node as u64, "core"));
    format!("{nodes} of {cores}, {ranks} each; {joined}{missing}")
}

/// The map in planes of the process grid's two fastest axes.
fn picture(job: &Job, placement: &Placement) -> Mosaic {
    let [w, z, y, x] = placement.ranks.parts;
    let metrics = &placement.map.metrics;
    let name = |plane: usize| match (w > 1, z > 1) {
        (false, false) => String::new(),
        (false, true) => format!("z {plane}"),
        (true, _) => format!("w {}, z {}", plane / z, plane % z),
    };
    Mosaic {
        owner: placement.map.node.clone(),
        planes: w * z,
        rows: y,
        cols: x,
        names: (0..w * z).map(name).collect(),
        title: format!(
            "{}: {} ranks on nodes, by {}\n{} edges between nodes (bound {}), worst node {} (bound {})\nbusiest link {}, longest way {}",
            job.name,
            by(job.grid.own(&placement.ranks.parts)),
            placement.map.name,
            thousands(metrics.cost.total),
            thousands(placement.map.bound.total),
            metrics.cost.worst,
            placement.map.bound.worst,
            six(metrics.link_load),
            metrics.dilation,
        ),
    }
}
