//! `ringfort render`: a picture of a plane of a checkpoint, or a film of a whole run.
//!
//! Input: the folder of a checkpoint or of a run. Output: a PNG file and its path. Invariant: nothing but the picture
//! is written, and it is there whole or not at all; of the values only those in the plane are read, and a plane that
//! does not fit memory is refused first. What is not asked for is as in the job's first image of the field.

mod film;
mod plane;

use std::path::{Path, PathBuf};

use plane::{hidden, seen, values_of};
use ringfort_kernels::Role;

use super::checkpoint::{Target, failure, locate, of_run, print};
use super::tell;
use crate::checkpoint::{Checkpoint, Disk};
use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::grid::Region;
use crate::job::{COLORS, Image, Job, planes, unknown_word};
use crate::observe::image::{self, About, Partial};
use crate::observe::record::RunRecord;
use crate::run::memory;

/// Bytes of memory that a point of a picture takes while it is drawn.
const POINT_BYTES: u64 = 48;

/// Draw a plane of a checkpoint as a PNG, or a whole run as an animated one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Field, plane, colours and range not given are those of the job's first image of the field.\n\n\
    Examples:\n  ringfort render out/plate\n  ringfort render out/head --plane z=0.016 --colors inferno\n  \
    ringfort render out/head/checkpoints/step-0000000240 --plane x=0 --range 37,41.5 --out side.png\n  \
    ringfort render out/ocean --film --range -0.5,0.5"
)]
pub struct Args {
    /// Checkpoint folder; of a run's folder, its newest whole one.
    path: PathBuf,
    /// Field [default: the first].
    #[arg(long, value_name = "F")]
    field: Option<String>,
    /// Where the plane cuts the other axes, say z=0.5 [default: the middle of the slowest axis].
    #[arg(long, value_name = "CUT", allow_hyphen_values = true)]
    plane: Option<String>,
    /// File [default: FIELD-PLANE-step-N.png or FIELD-film.png, in the folder images of a run, else here].
    #[arg(long, value_name = "F.png")]
    out: Option<PathBuf>,
    /// Colour map: viridis, magma, inferno, plasma, cividis, rdbu_r (blue, white, red) or turbo.
    #[arg(long, value_name = "C")]
    colors: Option<String>,
    /// Lowest and highest value of the colour bar [default: those of the picture, or of all pictures of a film].
    #[arg(long, value_name = "A,B", value_parser = range, allow_hyphen_values = true)]
    range: Option<(f64, f64)>,
    /// All times of a run as one animated PNG: those of an [[output]] that holds the field, else those of the checkpoints.
    #[arg(long)]
    film: bool,
    /// Pictures of a film in a second.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "film", value_parser = clap::value_parser!(u16).range(1..=1000))]
    fps: u16,
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let numbers = text.split_once(',').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    numbers
        .filter(|(low, high): &(f64, f64)| low.is_finite() && high.is_finite() && low < high)
        .ok_or_else(|| "give two finite numbers, the lower one first, say 37,41.5".to_owned())
}

/// Draws a plane of a checkpoint and prints the picture's path.
///
/// # Errors
///
/// A usage error for a field, plane or colours that are not there; [`Exit::Damaged`] for a damaged checkpoint.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(colors) = &args.colors
        && !COLORS.contains(&colors.as_str())
    {
        return Err(Failure::usage(unknown_word("colour map", colors, &COLORS)));
    }
    let path = match locate(&args.path)? {
        Target::Checkpoint(_) if args.film => {
            return Err(Failure::usage(format!(
                "{} is one checkpoint; give the folder of the run for a film",
                args.path.display()
            )));
        }
        Target::Checkpoint(folder) => {
            let checkpoint = Checkpoint::open(&Disk, &folder).map_err(failure)?;
            let run_dir = folder.parent().and_then(Path::parent).map(Path::to_path_buf);
            let wanted = Wanted::of(args, &checkpoint, run_dir.as_deref())?;
            let png = wanted.png(&checkpoint)?;
            let name = wanted.file_name(&checkpoint);
            write(args, Path::new(name.strip_prefix("images/").unwrap_or(&name)), &png)?
        }
        Target::Run(dir) if args.film => film::film(args, &dir)?,
        Target::Run(dir) => newest(args, &dir)?,
    };
    print(&format!("{}\n", path.display()));
    Ok(Exit::Done)
}

/// Draws the newest checkpoint of the run in `dir` that can be read.
fn newest(args: &Args, dir: &Path) -> Result<PathBuf, Failure> {
    let mut damaged = false;
    for entry in of_run(dir)? {
        let drawn = Checkpoint::open(&Disk, &entry.folder).map_err(failure).and_then(|checkpoint| {
            let wanted = Wanted::of(args, &checkpoint, Some(dir))?;
            Ok((wanted.png(&checkpoint)?, wanted.file_name(&checkpoint)))
        });
        match drawn {
            Ok((png, name)) => return write(args, &args.path.join(name), &png),
            Err(failure) if failure.exit == Exit::Damaged => {
                damaged = true;
                tell(&format!("passed over {}: {}", entry.name, failure.report));
            }
            Err(other) => return Err(other),
        }
    }
    let words = Failure::usage(format!("{} holds no whole checkpoint", args.path.display()));
    Err(if damaged { Failure { exit: Exit::Damaged, ..words } } else { words })
}

fn write(args: &Args, default: &Path, png: &[u8]) -> Result<PathBuf, Failure> {
    let path = args.out.as_deref().unwrap_or(default);
    let written = image::store(path, png).map(|()| path.to_path_buf());
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

/// Refuses a picture of the points of `region` that does not fit this machine's memory.
fn enough_memory(region: &Region) -> Result<(), Failure> {
    let needed = (region.cells() as u64).saturating_mul(POINT_BYTES);
    if memory::available().is_some_and(|free| needed > free) {
        return Err(Failure::usage(format!(
            "a picture of {} points needs {} of memory, more than this machine has left; cut the grid elsewhere",
            region.cells(),
            memory::in_words(needed)
        )));
    }
    Ok(())
}

/// What to draw.
struct Wanted {
    image: Image,
    component: usize,
    job: String,
    /// Names of the job's fields by slot, where it could be read.
    fields: Vec<&'static str>,
}

impl Wanted {
    /// What `args` ask for of `checkpoint`, which a run in `run_dir` may have written; the rest as its job has it.
    fn of(args: &Args, checkpoint: &Checkpoint<'_>, run_dir: Option<&Path>) -> Result<Self, Failure> {
        let meta = checkpoint.meta();
        let record = run_dir.and_then(|dir| RunRecord::read(&dir.join("run.json")).ok()).unwrap_or_default();
        // What the job says are suggestions: one that this program cannot read is no obstacle.
        let job = Job::views(&meta.job, &record.job_path, &[], library()).ok();
        let names: Vec<&str> = meta.components.iter().map(|field| field.name.as_str()).collect();
        let field = args.field.as_deref().unwrap_or(names[0]);
        let Some(component) = checkpoint.component(field) else {
            let role = job.as_ref().and_then(|job| Some(job.declaration.fields[job.declaration.slot(field)?].role));
            return Err(Failure::usage(match role {
                Some(Role::Derived) => format!(
                    "pictures of derived fields such as `{field}` are not yet supported; checkpoints hold {}",
                    names.join(", ")
                ),
                Some(_) => {
                    format!("checkpoints do not hold `{field}`, which does not evolve; they hold {}", names.join(", "))
                }
                None => unknown_word("field", field, &names),
            }));
        };
        let fields: Vec<_> = job.iter().flat_map(|job| job.declaration.fields.iter().map(|field| field.name)).collect();
        let like = job.and_then(|job| job.images.into_iter().find(|image| image.field == field));
        let shown = like.as_ref().and_then(|like| like.shown.clone());
        let shown = seen(shown, |slot| checkpoint.component(fields[slot]).is_some());
        let plane = match (&args.plane, &like) {
            (None, Some(like)) => like.plane.clone(),
            (given, _) => {
                planes(given.as_deref(), &meta.grid).map_err(|problem| Failure::usage(format!("--plane: {problem}")))?
            }
        };
        let own = args.colors.clone().or_else(|| like.as_ref().map(|like| like.colors.clone()));
        let image = Image {
            field: field.to_owned(),
            slot: fields.iter().position(|name| *name == field).unwrap_or_default(),
            every: 1,
            plane,
            colors: own.unwrap_or_else(|| COLORS[0].to_owned()),
            range: args.range.or_else(|| like.and_then(|like| like.range)),
            shown,
        };
        let name = if record.job.is_empty() { checkpoint.name() } else { record.job };
        Ok(Self { image, component, job: name, fields })
    }

    fn file_name(&self, checkpoint: &Checkpoint<'_>) -> String {
        image::file_name(&self.image, &checkpoint.meta().grid, checkpoint.meta().step)
    }

    /// The picture; of the checkpoint only what lies in the plane is read.
    fn png(&self, checkpoint: &Checkpoint<'_>) -> Result<Vec<u8>, Failure> {
        let meta = checkpoint.meta();
        if let Some(error) = checkpoint.verify_lengths().into_iter().next() {
            return Err(failure(error));
        }
        let region = image::plane(&self.image, &meta.grid);
        enough_memory(&region)?;
        let values = hidden(&self.image, &meta.grid, &mut |slot| {
            let name = match slot == self.image.slot {
                true => &meta.components[self.component].name,
                false => self.fields[slot],
            };
            values_of(checkpoint, name, &region)
        })?;
        let partial = Partial { region, values };
        let field = &meta.components[self.component];
        let about = About { job: &self.job, field: &field.about, unit: &field.unit, time_unit: "s" };
        image::finish(&self.image, &meta.grid, (meta.step, meta.time), &[partial], &about)
            .map_err(|error| Failure::new(Exit::Usage, error))
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_read() {
        assert_eq!(range("-3, 4.5"), Ok((-3.0, 4.5)));
        for wrong in ["", "1", "2,1", "1,1", "nan,1", "1,inf", "1,2,3", "a,b"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
