//! `ringfort check`: what a run would take, without running.
//!
//! Input: a job file and how it is to be cut. Output: a page or JSON, both of one preview. Invariant: nothing is
//! written and no step is taken; every value of the start is looked at, and what a run would refuse in a job is
//! refused here in the same words.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::checkpoint::show::boundaries;
use super::checkpoint::text::{by, size};
use super::checkpoint::{print, print_json};
use super::run::{Ranks, ranks};
use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::grid::{AXES, Units};
use crate::job::{Every, Job, Precision};
use crate::observe::record::Input;
use crate::run::provenance::inputs;
use crate::run::state::time;
use crate::torus::preview::{Ask, Preview, checkpoints};

mod views;

/// Show what a run of a job would take, and what is wrong with it, without running.
#[derive(Debug, clap::Args)]
#[command(after_help = "Every value of every field is looked at, and nothing is written.\n\nExamples:\n  \
    ringfort check job.toml\n  ringfort check job.toml --ranks 2x2x1 --steps-per-exchange 4\n  \
    ringfort check job.toml --on 512 --set 'grid.points=[1024,1024,1024]'\n  ringfort check job.toml --json")]
pub struct Args {
    /// Job file.
    job: PathBuf,
    /// Override a key of the job file, say kernel.precision=f32.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Ranks along each axis, slowest first, say 2x2x1.
    #[arg(long, value_name = "AxBxC", value_parser = ranks)]
    ranks: Option<Ranks>,
    /// Plan for so many ranks on this machine, whose memory must do.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096), conflicts_with = "on")]
    local_ranks: Option<u32>,
    /// Plan for so many ranks on other machines, whatever the memory of this one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    on: Option<u32>,
    /// Steps between two halo exchanges; halos are as many steps deep.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=65536))]
    steps_per_exchange: Option<u32>,
    /// Threads of each rank [default: as for a run on this machine; on others 1].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the plan. With `--json`: `job`, `path`; `axes`, `points`, `spacing`, `origin`, `units`, `boundary` (one entry
/// per axis, slowest first); `kernel`, `precision`, `scheme`, `bound`; `steps`, `dt`, `seconds` (model time at the end),
/// `courant`, `longest_dt` (null: nothing bounds it); `ranks`, `cuts`, `block` (largest, in points),
/// `steps_per_exchange`, `halo_messages`, `halo_bytes` (sent by the busiest rank in one exchange); `memory_per_rank`,
/// `memory` (bytes at the peak: fields, planes between steps, messages, the copy that checkpoints are written from; the program
/// itself takes some MiB more), `memory_of_copy` (bytes of that copy per rank; 0: none), `memory_available` (null: unknown); `checkpoint_bytes`, `checkpoint_files` (of each),
/// `checkpoint_every` (null: at the end alone), `checkpoints` (number written; those that the clock asks for come on top),
/// `checkpoints_kept`, `checkpoints_kept_every` (of so many steps the first stays for good; null: none); `images` (`field`, `plane`, `every`, `count`, `colors`); `reduces` (`name`, `map`, `with`, `every`,
/// `count`); `probes` (`name`, `field`, `at` (coordinates of the point), `every`, `count`); `outputs` (`name`, `fields`,
/// `every`, `stride`, `type`, `count`, `bytes` of each time); `inputs` (`path`, `bytes`, `blake3`); `notes`.
///
/// # Errors
///
/// What a run would refuse, as a usage error.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let job = Job::read(&args.job, &args.overrides, library()).map_err(Failure::report)?;
    let ask = Ask {
        ranks: args.ranks.clone().map(|ranks| ranks.0),
        count: args.local_ranks.or(args.on).map(|count| count as usize),
        elsewhere: args.on.is_some(),
        steps_per_exchange: args.steps_per_exchange.map(|steps| steps as usize),
        threads: args.threads.map(|threads| threads as usize),
    };
    let preview = Preview::of(&job, library(), &ask, &mut shower())?;
    let notes: Vec<&String> = job.notes.iter().chain(&preview.shape.note).collect();
    if args.json {
        print_json(&as_json(&job, &preview, &notes));
    } else {
        print(&as_text(&job, &preview, &notes));
    }
    Ok(Exit::Done)
}

/// Shows on a terminal how far the look at the values is, where that takes a while.
fn shower() -> impl FnMut(f64) {
    let began = crate::clock::now();
    let mut shown = 0.0;
    let terminal = std::io::stderr().is_terminal();
    move |share| {
        let seconds = crate::clock::now().duration_since(began).as_secs_f64();
        if terminal && (seconds > shown + 1.0 || (share >= 1.0 && shown > 0.0)) {
            shown = seconds;
            let end = if share >= 1.0 { "\r                              \r" } else { "" };
            let _nobody_listens = write!(std::io::stderr(), "\rlooking at values: {:.0} %{end}", 100.0 * share);
        }
    }
}

/// Width of the names on the left, and of the page.
const LEFT: usize = 13;
const PAGE: usize = 100;
/// Most images and inputs that are listed.
const LISTED: usize = 4;

fn as_text(job: &Job, preview: &Preview, notes: &[&String]) -> String {
    let mut page = Page(String::new());
    page.line("job", &job.name);
    grid(&mut page, job);
    let precision = precision(job);
    page.line("kernel", &format!("{} in {precision}: {}", job.declaration.name, job.declaration.title));
    page.line("scheme", job.declaration.scheme);
    let seconds = time(job.time.steps, preview.dt);
    let steps = plural(job.time.steps, "step");
    page.line("time", &format!("{steps} of {} s, to {} s{}", six(preview.dt), six(seconds), long(seconds)));
    page.line("Courant", &courant(job, preview));
    layout(&mut page, job, preview);
    checkpoint(&mut page, job, preview);
    let more = |count: usize, what: &str| (count > LISTED).then(|| format!("and {} more {what}", count - LISTED));
    for (name, lines) in views::lines(job) {
        lines.iter().take(LISTED).for_each(|line| page.line(name, line));
        page.0.extend(more(lines.len(), &format!("{name}s")).map(|line| format!("{:LEFT$}{line}\n", "")));
    }
    let inputs = inputs(job);
    for Input { path, bytes, blake3 } in inputs.iter().take(LISTED) {
        page.line("input", &format!("{path}, {}, blake3 {}", size(*bytes), &blake3[..16]));
    }
    page.0.extend(more(inputs.len(), "inputs").map(|line| format!("{:LEFT$}{line}\n", "")));
    for note in notes {
        page.line("note", note);
    }
    page.0
}

fn grid(page: &mut Page, job: &Job) {
    let grid = &job.grid;
    let names: Vec<&str> = axes(job);
    let all = thousands(grid.region().cells() as u64);
    page.line("grid", &format!("{} points along {}: {all} in all", by(grid.own(&grid.points)), names.join(", ")));
    let extent = |axis: usize| {
        let (low, high) = (grid.coordinate(axis, 0), grid.coordinate(axis, grid.points[axis] - 1));
        format!("{} {} to {}", grid.name(axis), six(low), six(high))
    };
    let extents: Vec<String> = (grid.first()..AXES).map(extent).collect();
    let spacing: Vec<String> = grid.own(&grid.spacing).iter().map(|&h| six(h)).collect();
    page.line("extents", &format!("{} {}, spacing {}", extents.join(", "), unit(job), by(&spacing)));
    let boundary = boundaries(grid);
    let sides: Vec<String> = names.iter().zip(&boundary).map(|(name, word)| format!("{name} {word}")).collect();
    page.line("boundary", &sides.join(", "));
}

fn courant(job: &Job, preview: &Preview) -> String {
    let Some(longest) = preview.longest_dt else { return "0: nothing bounds the time step here".into() };
    let when = if job.declaration.rate_of_state { " at the start" } else { "" };
    format!("{:.4} of 1; the longest stable step{when} is {} s", preview.courant, six(longest))
}

fn layout(page: &mut Page, job: &Job, preview: &Preview) {
    let cuts = &preview.shape.cuts;
    let (parts, largest) = (by(job.grid.own(&cuts.parts())), by(job.grid.own(&cuts.largest())));
    let ranks = plural(preview.ranks() as u64, "rank");
    page.line("layout", &format!("{ranks}, cuts {parts}, largest block {largest} points"));
    let every = plural(preview.shape.steps_per_exchange as u64, "step");
    let sent = match preview.messages {
        0 => "no messages".to_owned(),
        count => format!("{} with {} from the busiest rank", plural(count, "message"), size(preview.halo_bytes)),
    };
    page.line("exchange", &format!("every {every}, {sent}"));
    let left = preview.available.map_or("unknown".to_owned(), |bytes| format!("{} left", size(bytes)));
    let (own, all) = (size(preview.rank_bytes), size(preview.all_bytes()));
    page.line("memory", &format!("{own} per rank, {all} in all (this machine: {left})"));
}

fn checkpoint(page: &mut Page, job: &Job, preview: &Preview) {
    let written = checkpoints(job);
    let kept = match job.checkpoint.keep_every {
        None => format!("newest {} kept", job.checkpoint.keep),
        Some(every) => format!("newest {} kept, and the first of every {}", job.checkpoint.keep, plural(every, "step")),
    };
    let when = match job.checkpoint.every {
        _ if written == 0 => "none: no steps".to_owned(),
        Some(Every::Steps(every)) => {
            format!("every {}: {written} written, {kept}", plural(every, "step"))
        }
        Some(Every::Seconds(seconds)) => format!("every {} s and at the end, {kept}", six(seconds)),
        Some(Every::Auto { mtbf_s }) => format!(
            "as often as loses least with a failure every {} h, by what they are measured to take, and at the end; \
             {kept}",
            six(mtbf_s / 3600.0)
        ),
        None => "one at the end".to_owned(),
    };
    let each = format!("{} in {} files", size(preview.checkpoint_bytes), thousands(preview.files));
    let how = match preview.copy_bytes {
        0 => String::new(),
        bytes => format!(", written while the run goes on from a copy ({} of each rank's memory)", size(bytes)),
    };
    page.line("checkpoints", &format!("{when}; {each} each{how}"));
}

fn as_json(job: &Job, preview: &Preview, notes: &[&String]) -> Value {
    let grid = &job.grid;
    let cuts = &preview.shape.cuts;
    let every = job.checkpoint.every.map(|every| match every {
        Every::Steps(steps) => plural(steps, "step"),
        Every::Seconds(seconds) => format!("{seconds} s"),
        Every::Auto { .. } => "auto".into(),
    });
    json!({
        "job": job.name,
        "path": job.path,
        "axes": axes(job),
        "points": grid.own(&grid.points),
        "spacing": grid.own(&grid.spacing),
        "origin": grid.own(&grid.origin),
        "units": grid.unit(AXES - 1),
        "boundary": boundaries(grid),
        "kernel": job.declaration.name,
        "precision": precision(job),
        "scheme": job.declaration.scheme,
        "bound": job.declaration.bound,
        "steps": job.time.steps,
        "dt": preview.dt,
        "seconds": time(job.time.steps, preview.dt),
        "courant": preview.courant,
        "longest_dt": preview.longest_dt,
        "ranks": preview.ranks(),
        "cuts": grid.own(&cuts.parts()),
        "block": grid.own(&cuts.largest()),
        "steps_per_exchange": preview.shape.steps_per_exchange,
        "halo_messages": preview.messages,
        "halo_bytes": preview.halo_bytes,
        "memory_per_rank": preview.rank_bytes,
        "memory": preview.all_bytes(),
        "memory_of_copy": preview.copy_bytes,
        "memory_available": preview.available,
        "checkpoint_bytes": preview.checkpoint_bytes,
        "checkpoint_files": preview.files,
        "checkpoint_every": every,
        "checkpoints": checkpoints(job),
        "checkpoints_kept": job.checkpoint.keep,
        "checkpoints_kept_every": job.checkpoint.keep_every,
        "images": views::images(job),
        "reduces": views::reduces(job),
        "probes": views::probes(job),
        "outputs": views::outputs(job),
        "inputs": inputs(job),
        "notes": notes,
    })
}

pub(super) fn axes(job: &Job) -> Vec<&'static str> {
    (job.grid.first()..AXES).map(|axis| job.grid.name(axis)).collect()
}

fn unit(job: &Job) -> &'static str {
    match job.grid.units {
        Units::Metres => "m",
        Units::Degrees => "degrees",
    }
}

fn precision(job: &Job) -> &'static str {
    match job.precision {
        Precision::F32 => "f32",
        Precision::F64 => "f64",
    }
}

/// Names on the left, values on the right, wrapped.
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn line(&mut self, name: &str, value: &str) {
        let mut row = format!("{name:LEFT$}");
        let mut used = LEFT;
        for (count, word) in value.split(' ').enumerate() {
            let width = word.chars().count();
            if count > 0 && used + 1 + width > PAGE {
                let _ = write!(row, "\n{:LEFT$}{word}", "");
                used = LEFT + width;
            } else {
                let gap = if count > 0 { " " } else { "" };
                let _ = write!(row, "{gap}{word}");
                used += gap.len() + width;
            }
        }
        self.0.push_str(&row);
        self.0.push('\n');
    }
}

pub(super) fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// `count` with commas between thousands.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `value` with at most six digits.
pub(super) fn six(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    let size = rounded.abs();
    if size == 0.0 || (1e-4..1e9).contains(&size) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A long time in larger units, in parentheses.
fn long(seconds: f64) -> String {
    for (unit, length) in [("years", 31_557_600.0), ("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)] {
        if seconds >= 2.0 * length {
            let rounded: f64 = format!("{:.2e}", seconds / length).parse().unwrap_or(seconds / length);
            return format!(" ({rounded} {unit})");
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.1 + 0.2, -0.072, 1.5e-7, 0.0, 1e12].map(six), ["0.3", "-0.072", "1.5e-7", "0", "1e12"]);
        assert_eq!(
            [40.0, 120.0, 7200.0, 2e5, 1e8].map(long),
            ["", " (2 minutes)", " (2 hours)", " (2.31 days)", " (3.17 years)"]
        );
        assert_eq!([1, 2].map(|count| plural(count, "rank")), ["1 rank", "2 ranks"]);
    }

    #[test]
    fn long_values_are_wrapped() {
        let mut page = Page(String::new());
        page.line("scheme", &"word ".repeat(40));
        assert!(page.0.lines().count() > 1 && page.0.lines().all(|line| line.len() <= PAGE));
        assert!(page.0.lines().skip(1).all(|line| line.starts_with(&" ".repeat(LEFT))));
    }
}
