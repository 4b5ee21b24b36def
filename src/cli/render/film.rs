//! `ringfort render --film`: all times of a run, one after another.
//!
//! Input: an output that holds the field, else the run's checkpoints. Output: an animated PNG with one scale for all
//! times. Invariant: the scale is settled before the first picture is drawn; steps ascend; times are read and drawn
//! one by one, so that only a few planes are in memory at a time; the file is there whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::plane::{hidden, seen, values_of};
use super::{Args, enough_memory};
use crate::checkpoint::{Checkpoint, Disk};
use crate::cli::checkpoint::of_run;
use crate::cli::{library, tell};
use crate::exit::{Exit, Failure};
use crate::grid::Grid;
use crate::job::{COLORS, Image, Job, Views, planes, unknown_word};
use crate::observe::image::{self, About, plane};
use crate::observe::output::{self, Group, Layout, OutputError};
use crate::observe::picture::{Film, Picture, extremes};
use crate::observe::record::RunRecord;
use crate::run::provenance::given;

/// Most times of a film.
const MOST_FRAMES: u64 = 100_000;

/// Times of a run to draw.
struct Frames {
    image: Image,
    grid: Grid,
    job: String,
    about: String,
    unit: String,
    /// Step and model time of each, at least one.
    times: Vec<(u64, f64)>,
    kept: Kept,
}

/// What holds the values.
enum Kept {
    Output { layout: Box<Layout>, dir: PathBuf },
    Checkpoints { checkpoints: Vec<Checkpoint<'static>>, views: Box<Views> },
}

/// Draws the run in `dir`; returns the film's path.
pub(super) fn film(args: &Args, dir: &Path) -> Result<PathBuf, Failure> {
    let mut frames = Frames::of(args, dir)?;
    enough_memory(&plane(&frames.image, &frames.grid))?;
    if frames.image.range.is_none() {
        frames.image.range = frames.range()?;
    }
    let default = args.path.join(format!("images/{}-film.png", frames.image.field));
    let path = args.out.clone().unwrap_or(default);
    let part = path.with_extension("png.part");
    let written = write(&frames, &part, args.fps).and_then(|()| {
        fs::rename(&part, &path).map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
    });
    if written.is_err() {
        let _may_be_absent = fs::remove_file(&part);
    }
    written.map(|()| path)
}

fn write(frames: &Frames, part: &Path, per_second: u16) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", part.display()));
    let bad = |error| Failure::new(Exit::Usage, error);
    if let Some(folder) = part.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut out = BufWriter::new(File::create(part).map_err(wrong)?);
    let last = frames.times.len() - 1;
    let count = u32::try_from(frames.times.len()).unwrap_or(u32::MAX);
    let ends = [&frames.picture(0)?, &frames.picture(last)?];
    let mut film = Film::new(&mut out, ends, count, per_second).map_err(bad)?;
    for number in 0..=last {
        film.add(&frames.picture(number)?).map_err(bad)?;
    }
    film.finish().map_err(bad)?;
    out.flush().map_err(wrong)
}

impl Frames {
    /// What `args` ask for of the run in `dir`; the rest as its job has it.
    fn of(args: &Args, dir: &Path) -> Result<Self, Failure> {
        let (text, path, overrides, _) = given(dir)?;
        let views = Job::views(&text, &path, &overrides, library()).map_err(Failure::report)?;
        let job = RunRecord::read(&dir.join("run.json")).unwrap_or_default().job;
        let mut image = wanted(args, &views)?;
        let about = &views.declaration.fields[image.slot];
        let (about, unit) = (about.about.to_owned(), about.unit.to_owned());
        let (grid, times, kept) = match written(&views, &image.field, (&job, dir)) {
            Some((layout, last)) => {
                let count = last / layout.every + 1;
                if count > MOST_FRAMES {
                    return Err(Failure::usage(format!(
                        "the output has {count} times, a film at most {MOST_FRAMES}; write a coarser one, with a larger `every`, and draw that"
                    )));
                }
                let steps = (0..count).map(|number| number * layout.every);
                let times = steps.map(|step| (step, layout.time(step))).collect();
                let (grid, stride) = (layout.grid(), layout.stride);
                for (axis, index) in &mut image.plane {
                    *index = ((*index + stride[*axis] / 2) / stride[*axis]).min(grid.points[*axis] - 1);
                }
                (grid, times, Kept::Output { layout: Box::new(layout), dir: dir.to_path_buf() })
            }
            None => {
                let checkpoints = checkpoints(dir, &image.field)?;
                let times = checkpoints.iter().map(|one| (one.meta().step, one.meta().time)).collect();
                (views.grid.clone(), times, Kept::Checkpoints { checkpoints, views: Box::new(views) })
            }
        };
        let shown = image.shown.take();
        let mut frames = Self { image, grid, job, about, unit, times, kept };
        frames.image.shown = seen(shown, |slot| frames.holds(slot));
        Ok(frames)
    }

    fn holds(&self, slot: usize) -> bool {
        match &self.kept {
            Kept::Output { layout, .. } => layout.slots.contains(&slot),
            Kept::Checkpoints { checkpoints, views } => {
                let name = views.declaration.fields[slot].name;
                checkpoints.iter().all(|checkpoint| checkpoint.component(name).is_some())
            }
        }
    }

    /// Values of the plane at time number `number`.
    fn values(&self, number: usize) -> Result<Vec<f64>, Failure> {
        let region = plane(&self.image, &self.grid);
        hidden(&self.image, &self.grid, &mut |slot| match &self.kept {
            Kept::Output { layout, dir } => {
                let field = layout.slots.iter().position(|other| *other == slot).unwrap_or_default();
                output::values(layout, dir, (field, self.times[number].0), &region).map_err(|error| {
                    let system = matches!(error, OutputError::File { .. });
                    Failure::new(if system { Exit::Usage } else { Exit::Damaged }, error)
                })
            }
            Kept::Checkpoints { checkpoints, views } => {
                values_of(&checkpoints[number], views.declaration.fields[slot].name, &region)
            }
        })
    }

    /// Lowest and highest value of all times; none if they are one.
    fn range(&self) -> Result<Option<(f64, f64)>, Failure> {
        let mut all = Vec::new();
        for number in 0..self.times.len() {
            all.extend(extremes(&self.values(number)?).into_iter().flat_map(<[f64; 2]>::from));
        }
        Ok(extremes(&all).filter(|(low, high)| low < high))
    }

    fn picture(&self, number: usize) -> Result<Picture, Failure> {
        let about = About { job: &self.job, field: &self.about, unit: &self.unit, time_unit: "s" };
        image::picture(&self.image, &self.grid, self.times[number], self.values(number)?, &about)
            .map_err(|error| Failure::new(Exit::Usage, error))
    }
}

/// The picture that `args` ask for, the rest as in the job's first image of the field.
fn wanted(args: &Args, views: &Views) -> Result<Image, Failure> {
    let known: Vec<&str> = views.declaration.fields.iter().map(|field| field.name).collect();
    let field = match (&args.field, views.images.first(), views.outputs.first()) {
        (Some(field), ..) => field.as_str(),
        (None, Some(image), _) => image.field.as_str(),
        (None, None, Some(output)) => output.fields[0].as_str(),
        (None, None, None) => known[0],
    };
    let slot = views.declaration.slot(field);
    let slot = slot.ok_or_else(|| Failure::usage(unknown_word("field", field, &known)))?;
    let like = views.images.iter().find(|image| image.field == field);
    let plane = match (&args.plane, like) {
        (None, Some(like)) => like.plane.clone(),
        (given, _) => {
            planes(given.as_deref(), &views.grid).map_err(|problem| Failure::usage(format!("--plane: {problem}")))?
        }
    };
    let colors = args.colors.clone().or_else(|| like.map(|image| image.colors.clone()));
    Ok(Image {
        field: field.to_owned(),
        slot,
        every: 1,
        plane,
        colors: colors.unwrap_or_else(|| COLORS[0].to_owned()),
        range: args.range.or_else(|| like.and_then(|image| image.range)),
        shown: like.and_then(|image| image.shown.clone()),
    })
}

/// Layout and last step of an output that holds `field`, of the run of `job` in `dir`.
fn written(views: &Views, field: &str, (job, dir): (&str, &Path)) -> Option<(Layout, u64)> {
    let output = views.outputs.iter().find(|output| output.fields.iter().any(|name| name == field))?;
    let dt = output::time_step(&dir.join(output::folder(&output.name)))?;
    let layout = Layout::of((job, &views.grid, &views.declaration), output, dt);
    let last = Group::last(&layout, dir)?;
    Some((layout, last))
}

/// Whole checkpoints of the run in `dir`, oldest first, which must hold `field`.
fn checkpoints(dir: &Path, field: &str) -> Result<Vec<Checkpoint<'static>>, Failure> {
    let mut all = Vec::new();
    for entry in of_run(dir)? {
        match Checkpoint::open(&Disk, &entry.folder) {
            Ok(checkpoint) if checkpoint.component(field).is_some() => all.push(checkpoint),
            Ok(_) => {
                return Err(Failure::usage(format!(
                    "neither the run's outputs nor its checkpoints hold `{field}`; name it in fields of an [[output]]"
                )));
            }
            Err(error) => tell(&format!("passed over {}: {error}", entry.name)),
        }
    }
    all.sort_by_key(|checkpoint| checkpoint.meta().step);
    if all.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds no output with `{field}` and no whole checkpoint",
            dir.display()
        )));
    }
    Ok(all)
}
