//! `ringfort bench`: how fast this machine steps each kernel, and what it could do at most.
//!
//! Input: a kernel, or none for all of them, and what a person fixes. Output: a line or an object for each job
//! measured. Invariant: nothing is written to disk, and a state that is not sound has no speed: it ends in a failure.
//! The keys of the JSON and their units are those at `run`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::checkpoint::{print, print_json};
use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::job::{Catalog, Precision};
use crate::observe::progress::rate;

mod case;
mod ceilings;
mod measure;
mod works;

use measure::{Measured, measure};
use works::{Ask, all, one};

/// Measure the time of stepping alone: one kernel, or all of them in both precisions, two sizes, on one thread and on all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What a machine can do at most (the roofline) is measured between the repeats, on as many threads: how fast it copies memory, and
how fast the engine's own vectors multiply and add, divide and take roots. Bytes and operations of a cell update are counted.

Examples:
  ringfort bench
  ringfort bench heat --points 256,256,256 --steps 100 --threads 2 --json
  ringfort bench wave --precision f32 --steps-per-pass 4 --set kernel.order=4")]
pub struct Args {
    /// Kernel; without it all are measured.
    kernel: Option<String>,
    /// Points along each axis, slowest first.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', requires = "kernel")]
    points: Option<Vec<u64>>,
    /// Precision [default: f64; without a kernel both].
    #[arg(long, value_name = "f32|f64", value_parser = ["f32", "f64"])]
    precision: Option<String>,
    /// Steps of each repeat [default: as many as take some tenths of a second].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Threads [default: this machine's cores; without a kernel 1 as well].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// Steps in one pass through memory [default: the fastest of 1, 2, 4, 8 and 12 in a short trial].
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=65536))]
    steps_per_pass: Option<u32>,
    /// Repeats, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
    /// Override a key of the job that is measured, say kernel.order=4.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "kernel")]
    overrides: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Measures. With `--json` an object for a kernel, else a list of them: `kernel`, `precision`, `points`, `threads`, `simd`;
/// `steps` of each repeat, `steps_per_pass`, `halo` (cells along each axis); `seconds` (one per repeat), `updates_per_second`
/// (cells, median); `bytes_per_update` (least that a pass moves to and from memory per cell: each value once),
/// `operations_per_update` (`simple`, `divisions`, `roots`), `field_bytes`; `copy_bandwidth` (bytes per second, read and
/// written), `multiply_adds_per_second`, `divisions_per_second`, `roots_per_second` (null where the kernel has none; medians of
/// what was measured between the repeats); `roofline` (cell updates per second that these allow), `bound_by` (`memory` or
/// `arithmetic`: fields that fit in a cache are bound by arithmetic alone) and `share` of it; `plain_roofline`, what they allow a
/// plain sweep (one step, stage by stage), and `plain_share` of that.
///
/// # Errors
///
/// A usage error if there is no such kernel or it refuses what it is given; exit 3 if the values left the finite numbers.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let precision = args.precision.as_deref().map(|word| if word == "f32" { Precision::F32 } else { Precision::F64 });
    let ask = Ask {
        points: args.points.clone(),
        precision,
        threads: args.threads.map(|threads| threads as usize),
        cores,
        overrides: args.overrides.clone(),
        steps: args.steps.map(u64::from),
        steps_per_pass: args.steps_per_pass.map(|steps| steps as usize),
    };
    let works = match &args.kernel {
        Some(kernel) => vec![one(known(kernel)?, &ask)],
        None => all(&ask),
    };
    let mut results = Vec::new();
    for (number, work) in works.iter().enumerate() {
        let measured = measure(work, args.repeats)?;
        if args.json {
            results.push(as_json(&measured));
        } else {
            let head = if number == 0 { HEAD } else { "" };
            print(&format!("{head}{}", as_text(&measured)));
        }
    }
    if args.json {
        print_json(&if args.kernel.is_some() { results.remove(0) } else { Value::from(results) });
    }
    Ok(Exit::Done)
}

/// The kernel called `name`.
fn known(name: &str) -> Result<&'static str, Failure> {
    let names = library().names();
    names.iter().find(|known| **known == name).copied().ok_or_else(|| {
        let near = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name)).unwrap_or(&"heat");
        Failure::usage(format!("no kernel is called `{name}`; did you mean {near}? Known are {}", names.join(", ")))
    })
}

const HEAD: &str = "\
kernel         type points       thr    T halo      median   slowest   fastest  roofline share plain bound by    copy       FMA
";

fn as_text(measured: &Measured) -> String {
    let points: Vec<String> = measured.points.iter().map(ToString::to_string).collect();
    let halo = measured.halo.iter().max().unwrap_or(&0);
    let [slowest, median, fastest] = measured.rates();
    let mut line = format!(
        "{:14} {:4} {:12} {:3} {:4} {halo:4}",
        measured.kernel,
        measured.precision,
        points.join("x"),
        measured.threads,
        measured.steps_per_pass
    );
    for value in [median, slowest, fastest, measured.roofline.updates_per_second] {
        let _ = write!(line, " {:>9}", rate(value).replace("cell/s", ""));
    }
    let _ = writeln!(
        line,
        " {:4.0}% {:4.0}% {:10} {:5.1} GB/s {:5.1} G/s",
        100.0 * measured.share(),
        100.0 * measured.plain_share(),
        measured.roofline.bound_by,
        measured.ceilings.copy_bandwidth / 1e9,
        measured.ceilings.multiply_adds / 1e9
    );
    line
}

fn as_json(measured: &Measured) -> Value {
    let Measured { operations, ceilings, roofline, .. } = measured;
    json!({
        "kernel": measured.kernel,
        "precision": measured.precision,
        "points": measured.points,
        "threads": measured.threads,
        "simd": measured.simd.to_string(),
        "steps": measured.steps,
        "steps_per_pass": measured.steps_per_pass,
        "halo": measured.halo,
        "seconds": measured.seconds,
        "updates_per_second": measured.rates()[1],
        "bytes_per_update": measured.bytes_per_update,
        "operations_per_update": {
            "simple": operations.simple, "divisions": operations.divisions, "roots": operations.roots,
        },
        "field_bytes": measured.field_bytes,
        "copy_bandwidth": ceilings.copy_bandwidth,
        "multiply_adds_per_second": ceilings.multiply_adds,
        "divisions_per_second": ceilings.divisions,
        "roots_per_second": ceilings.roots,
        "roofline": roofline.updates_per_second,
        "bound_by": roofline.bound_by,
        "share": measured.share(),
        "plain_roofline": measured.plain.updates_per_second,
        "plain_share": measured.plain_share(),
    })
}
