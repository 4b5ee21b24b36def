//! `ringfort datacenter query`: a field, or a reduce, as of a step of a run, while it goes on or after its end.
//!
//! Input: the folder of a run, a step, a field with a box or a reduce. Output: a NumPy array, or rows as in
//! `sums.csv`. Invariant: the bits are the run's, and the run neither stops nor waits; a step ahead is waited for
//! only while somebody works on the run. The array is there whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::runtime;
use crate::advance::library::Precise;
use crate::cli::checkpoint::print;
use crate::cli::{library, values};
use crate::datacenter::blobs::Blobs;
use crate::datacenter::part::Part;
use crate::datacenter::query::{Base, Kept, Unreached, compute};
use crate::datacenter::spec::{Run, Spec};
use crate::datacenter::status::status;
use crate::exit::{Exit, Failure};
use crate::grid::{AXES, Grid, Region};
use crate::job::{Job, Precision, unknown_word};
use crate::observe::reduce;

/// Time between two looks at a run that is not there yet.
const LOOK: Duration = Duration::from_millis(200);
/// The way of so many looks is computed beside a run, lest it lets go of a generation between two of them.
const LOOKS_AHEAD: u64 = 10;
/// Looks at what is kept before one gives up on generations that are gone before they are read.
const LOOKS: usize = 5;

/// Write a field, or print a reduce, as it is after a step: the run neither stops nor waits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The state is computed once more, from the newest generation before the step: for a step ahead as soon as one is near enough. Exit
code 2 if the step is too old, or beyond the last one.

Examples:
  ringfort datacenter query out/plate --at-step 1200 --field temperature --out plate.npy
  ringfort datacenter query out/ocean --at-step 300 --field surface --box 100:200,0:360 --out part.npy
  ringfort datacenter query out/ocean --at-step 300 --reduce volume")]
pub(super) struct QueryArgs {
    /// Folder of the run.
    dir: PathBuf,
    /// After which step.
    #[arg(long, value_name = "N")]
    at_step: u64,
    /// Field to write: a component, coefficient or derived field.
    #[arg(long, value_name = "F", requires = "out", required_unless_present = "reduce")]
    field: Option<String>,
    /// Points to write along each axis, slowest first, each range without its end [default: all].
    #[arg(long = "box", value_name = "z0:z1,y0:y1,x0:x1", requires = "field")]
    region: Option<String>,
    /// NumPy array to write.
    #[arg(long, value_name = "F.npy")]
    out: Option<PathBuf>,
    /// Name of a reduce of the job, whose rows are printed as in sums.csv.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["field", "out"])]
    reduce: Option<String>,
    /// Threads [default: this machine's cores].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
}

/// What is asked for.
enum Wanted<'a> {
    Field(usize, &'a Path),
    Reduce(usize),
}

/// Answers.
///
/// # Errors
///
/// A usage error if there is no such run, field, reduce or box, the step is too old or beyond the last, or nobody works towards
/// it; damaged data if no generation can be read.
pub(super) fn query(args: &QueryArgs) -> Result<Exit, Failure> {
    let run = Spec::read(&args.dir)?.open(&args.dir, library())?;
    let job = &run.whole.job;
    if args.at_step > job.time.steps {
        return Err(Failure::usage(format!(
            "step {} lies beyond the last one: the run ends with step {}",
            args.at_step, job.time.steps
        )));
    }
    let wanted = match (&args.field, &args.out, &args.reduce) {
        (Some(field), Some(out), _) => {
            if out.extension().is_none_or(|ending| ending != "npy") {
                return Err(Failure::usage(format!("{} is of no known kind; end it in .npy", out.display())));
            }
            Wanted::Field(values::find(job, field)?, out)
        }
        (_, _, Some(name)) => {
            let names: Vec<&str> = job.reduces.iter().map(|reduce| reduce.name.as_str()).collect();
            let number = names.iter().position(|known| known == name);
            Wanted::Reduce(number.ok_or_else(|| Failure::usage(unknown_word("reduce", name, &names)))?)
        }
        _ => return Err(Failure::usage("say --field F --out F.npy, or --reduce NAME")),
    };
    let region = args.region.as_deref().map_or(Ok(job.grid.region()), |text| parse(&job.grid, text))?;
    match run.whole.job.precision {
        Precision::F64 => answer::<f64>(args, &run, &wanted, &region),
        Precision::F32 => answer::<f32>(args, &run, &wanted, &region),
    }
}

fn answer<T: Precise>(args: &QueryArgs, run: &Run, wanted: &Wanted<'_>, region: &Region) -> Result<Exit, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, |threads| threads as usize);
    let parts = state::<T>(&args.dir, run, (args.at_step, region), threads)?;
    match *wanted {
        Wanted::Field(slot, out) => {
            let values = gather(&parts, slot, region);
            values::write(out, |put| {
                put(&values::npy_head::<T>(run.whole.job.grid.own(&region.extent)))?;
                put(&values::bytes(&values))
            })?;
            print(&format!("{}\n", out.display()));
        }
        Wanted::Reduce(number) => print(&rows(&run.whole.job, number, args.at_step, &parts)?),
    }
    Ok(Exit::Done)
}

/// The blocks that hold `region` after step `at`, once there is a generation to start from.
fn state<T: Precise>(
    dir: &Path,
    run: &Run,
    (at, region): (u64, &Region),
    threads: usize,
) -> Result<BTreeMap<usize, Part<T>>, Failure> {
    let blobs = Blobs::from_url(&run.spec.blobs).map_err(Failure::usage)?;
    let mut why = None;
    for _ in 0..LOOKS {
        for base in wait(dir, run, blobs.folder(), at)? {
            match compute::<T>(run, &base, (at, region), threads) {
                // The one before may do; where the run has deleted it meanwhile there is a newer one to look for.
                Err(failure) if failure.exit == Exit::Damaged => why = Some(failure),
                done => return done,
            }
        }
    }
    Err(why.unwrap_or_else(|| Failure::usage("no generation can be read")))
}

/// From where to compute the state after step `at`; waits for a run that is on its way there.
fn wait(dir: &Path, run: &Run, folder: &Path, at: u64) -> Result<Vec<Base>, Failure> {
    let (mut before, mut pace) = (None, 0);
    loop {
        let kept = Kept::find(run, folder)?;
        let newest = kept.newest();
        pace = pace.max(newest.saturating_sub(before.unwrap_or(newest)));
        before = Some(newest);
        match kept.bases(at, LOOKS_AHEAD * pace) {
            Ok(bases) => return Ok(bases),
            Err(ahead @ (Unreached::Ahead { .. } | Unreached::None)) => {
                if runtime()?.block_on(status(dir))?.workers.is_empty() {
                    return Err(Failure::usage(format!(
                        "{ahead}; nobody works on this run, so let it go on first: ringfort datacenter run --resume"
                    )));
                }
                std::thread::sleep(LOOK);
            }
            Err(old @ Unreached::TooOld { .. }) => return Err(Failure::usage(old)),
        }
    }
}

/// Values of field `slot` in `region`, in memory order.
fn gather<T: Precise>(parts: &BTreeMap<usize, Part<T>>, slot: usize, region: &Region) -> Vec<T> {
    let mut values = vec![T::default(); region.cells()];
    for part in parts.values() {
        let Some(both) = part.block().intersection(region) else { continue };
        let row = both.extent[AXES - 1];
        let mut some = vec![0.0; both.cells()];
        part.read(slot, &both, &mut some);
        for ([w, z, y], from) in both.rows().zip(some.chunks_exact(row)) {
            let cell = [w, z, y, both.start[AXES - 1]];
            let at = region.offset(cell);
            for (to, &value) in values[at..at + row].iter_mut().zip(from) {
                *to = T::of(value);
            }
        }
    }
    values
}

/// Rows of reduce `number` after step `at`, below the header.
fn rows<T: Precise>(job: &Job, number: usize, at: u64, parts: &BTreeMap<usize, Part<T>>) -> Result<String, Failure> {
    let due = [number];
    let blocks: Vec<reduce::Block> = parts
        .values()
        .map(|part| {
            let mut read = |slot: usize, region: &Region, out: &mut [f64]| part.read(slot, region, out);
            reduce::partial(&job.grid, &job.reduces, &due, (at, &part.block()), &mut read)
        })
        .collect();
    let rows = reduce::finish(&job.grid, &job.reduces, (at, &due), &blocks);
    let rows = rows.map_err(|error| Failure::new(Exit::Damaged, error))?;
    Ok(format!("{}\n{}", reduce::HEADER, reduce::lines(at, &rows)))
}

/// The box of `grid` that `text` names, say `0:10,5:20`.
fn parse(grid: &Grid, text: &str) -> Result<Region, Failure> {
    let points = grid.own(&grid.points);
    let range = |text: &str| {
        let (from, to) = text.split_once(':')?;
        Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
    };
    let ranges: Option<Vec<(usize, usize)>> = text.split(',').map(range).collect();
    let ranges = ranges.filter(|ranges| {
        ranges.len() == points.len()
            && ranges.iter().zip(points).all(|(&(from, to), &points)| from < to && to <= points)
    });
    let Some(ranges) = ranges else {
        let all: Vec<String> = points.iter().map(|points| format!("0:{points}")).collect();
        return Err(Failure::usage(format!(
            "{text:?} is no box of the grid; give from:to for each axis, slowest first, within {}",
            all.join(",")
        )));
    };
    let mut region = grid.region();
    for (axis, (from, to)) in (grid.first()..AXES).zip(ranges) {
        (region.start[axis], region.extent[axis]) = (from, to - from);
    }
    Ok(region)
}
