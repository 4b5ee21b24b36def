//! Job file to [`Job`]: every value checked once, here and nowhere else.
//!
//! Input: TOML text and the files it names. Output: a [`Job`]. Invariant: a `Job` that exists is valid; values of
//! formulas and files are checked where [`Source::fill`] computes or reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ringfort_kernels::{Declaration, FAR, KernelError, Real, Setup, Value};

use crate::checkpoint::Keep;
use crate::grid::{AXES, Boundary, Extents, Grid, Region, Units};

mod axes;
pub(crate) mod document;
mod error;
mod fields;
mod fingerprint;
pub mod formula;
mod inflow;
pub mod input;
mod npy;
mod output;
mod overrides;
mod parameters;
mod points;
mod reduce;
mod schedule;
mod schema;
mod source;
pub mod stored;

pub use axes::{COLORS, planes};
use document::Document;
pub use error::{JobError, Located, Mistake, unknown_word};
pub use input::InputError;
pub use output::Output;
pub use points::Probe;
pub use reduce::{Bins, Reduce, With};
pub use ringfort_engine::inflow::Inflow;
pub use ringfort_engine::source::PointSource;
pub use ringfort_kernels::Catalog;
pub use schedule::KEEP;

/// A valid job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name: `name` in the file, else the file's stem.
    pub name: String,
    /// Text as given, without overrides.
    pub text: String,
    /// Overrides (`key=value`) that enter the physics: grid, kernel, fields and time step.
    pub overrides: Vec<String>,
    /// The job file.
    pub path: PathBuf,
    /// The grid.
    pub grid: Grid,
    /// What the kernel says about itself on this grid.
    pub declaration: Declaration,
    /// Kernel's parameters and how each field is given; `dt` is the one in force (1 until a Courant number is resolved).
    pub setup: Setup,
    /// Precision of the fields.
    pub precision: Precision,
    /// Where each slot's values come from, defaults included; `None` for slots without values at the start.
    pub sources: Vec<Option<Source>>,
    /// What flows in through sides of the grid.
    pub inflows: Vec<Inflow>,
    /// What is added at points.
    pub point_sources: Vec<PointSource>,
    /// Time axis.
    pub time: Time,
    /// When to checkpoint and how many to keep.
    pub checkpoint: Checkpoint,
    /// Images to draw.
    pub images: Vec<Image>,
    /// Numbers of all cells to write to `sums.csv`.
    pub reduces: Vec<Reduce>,
    /// Points whose values are written to `probes/`.
    pub probes: Vec<Probe>,
    /// Fields to write to Zarr groups.
    pub outputs: Vec<Output>,
    /// Torus mode's settings.
    pub torus: Torus,
    /// Data-center mode's settings.
    pub datacenter: Datacenter,
    /// Hash of everything that the values of the fields depend on, `steps` excluded.
    pub fingerprint: [u8; 32],
    /// What the reader changed or passed over, in words for the user.
    pub notes: Vec<String>,
    /// Text in force, for errors found later.
    document: Document,
}

/// Precision of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes.
    F32,
    /// 8 bytes.
    F64,
}

impl From<Precision> for crate::checkpoint::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Float32,
            Precision::F64 => Self::Float64,
        }
    }
}

/// What a job has to look at.
#[derive(Clone, Debug)]
pub struct Views {
    /// The grid.
    pub grid: Grid,
    /// What the kernel says about itself on this grid.
    pub declaration: Declaration,
    /// Images to draw.
    pub images: Vec<Image>,
    /// Fields to write to Zarr groups.
    pub outputs: Vec<Output>,
}

/// Where a field's values come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One number for all points.
    Number(f64),
    /// A formula of the coordinates.
    Formula(formula::Formula),
    /// An array in a file.
    File(input::Input),
    /// A component of another run's checkpoint.
    Checkpoint(Box<stored::Stored>),
    /// A function of latitude and the spacing along it, of the kernel's own.
    Latitude(fn(f64, f64) -> f64),
    /// Distance in cells from the nearest side that is not periodic.
    Depth,
    /// The walls that a point lies at.
    Walls,
}

/// The time axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time {
    /// Last step.
    pub steps: u64,
    /// How the time step is given.
    pub step: TimeStep,
    /// Largest speed expected, in m/s, for a Courant number of a kernel whose bound depends on the state; else 0.
    pub speed_max: f64,
}

/// How a job gives its time step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeStep {
    /// Seconds.
    Seconds(f64),
    /// Share of the kernel's bound.
    Courant(f64),
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Every {
    /// At multiples of so many steps.
    Steps(u64),
    /// When so many seconds have gone by.
    Seconds(f64),
    /// As often as loses least where a failure comes every `mtbf_s` seconds on average.
    Auto {
        /// Mean time between failures in seconds.
        mtbf_s: f64,
    },
}

/// `[checkpoint]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// When; `None`: only after the last step.
    pub every: Option<Every>,
    /// Newest kept.
    pub keep: usize,
    /// Of every so many steps the first one is kept for good.
    pub keep_every: Option<u64>,
    /// They are written while the run goes on, from a copy of the state.
    pub background: bool,
}

impl Checkpoint {
    /// Which ones stay.
    #[must_use]
    pub fn keeps(&self) -> Keep {
        Keep { newest: self.keep, every: self.keep_every }
    }

    /// True if one may be written while a run of `steps` steps goes on, so that a copy of the state is needed. Those after
    /// the last step, or before an early end, are waited for anyway.
    #[must_use]
    pub fn overlaps(&self, steps: u64) -> bool {
        self.background
            && match self.every {
                None => false,
                Some(Every::Steps(every)) => every < steps,
                Some(Every::Seconds(_) | Every::Auto { .. }) => true,
            }
    }
}

/// `[[image]]`: a picture of a plane of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Name of the field: a component, coefficient or derived field.
    pub field: String,
    /// Slot of the field.
    pub slot: usize,
    /// At multiples of so many steps.
    pub every: u64,
    /// Cut planes: axis (0 to 3) and point index on it, slowest axis first; empty for grids of one or two axes.
    pub plane: Vec<(usize, usize)>,
    /// Name of the colour map.
    pub colors: String,
    /// Lowest and highest value of the colour bar; `None`: those of the picture.
    pub range: Option<(f64, f64)>,
    /// Cells where it is not above 0 are drawn as cells without a value.
    pub shown: Option<formula::Map>,
}

/// `[torus]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Torus {
    /// Ranks along each axis of the job.
    pub ranks: Option<Vec<usize>>,
    /// Steps per exchange, at least 1.
    pub steps_per_exchange: usize,
    /// How long a halo may take, in seconds.
    pub deadline_s: f64,
}

/// `[datacenter]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Datacenter {
    /// Blocks along each axis of the job.
    pub blocks: Option<Vec<usize>>,
    /// Steps per round, at least 1.
    pub steps_per_round: Option<usize>,
    /// Steps between snapshots.
    pub snapshot_every: Option<u64>,
    /// Time without a sign of life after which a worker counts as gone, in seconds.
    pub lease_s: f64,
}

impl Job {
    /// Text in force: as given, with overrides applied.
    #[must_use]
    pub fn text_in_force(&self) -> &str {
        self.document.text()
    }

    /// The job in the file at `path` with `overrides` (`key=value`) applied.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the file cannot be read or does not describe a valid job; it points into the file.
    pub fn read(path: &Path, overrides: &[String], catalog: &dyn Catalog) -> Result<Job, JobError> {
        let text = document::read(path)?;
        Job::parse(&text, path, overrides, catalog)
    }

    /// The job that `text` describes; `path` names it in errors, and its folder is where relative files begin.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the text does not describe a valid job; it points into the text.
    pub fn parse(text: &str, path: &Path, overrides: &[String], catalog: &dyn Catalog) -> Result<Job, JobError> {
        let document = Document::new(text, path, overrides)?;
        document.check_keys(&schema::json())?;
        let file: schema::File = document.deserialize()?;
        let grid = axes::grid(&document, &file.grid)?;
        let declaration = parameters::declaration(&document, &file.kernel, &grid, catalog)?;
        let parameters = parameters::read(&document, &file.kernel, &declaration)?;
        let precision = file.kernel.precision.unwrap_or_default().into();
        let folder = path.parent().unwrap_or(Path::new(""));
        let reader = fields::Reader {
            document: &document,
            declaration: &declaration,
            grid: &grid,
            folder,
            precision,
            parameters: &parameters,
        };
        let sources = reader.sources(&file.fields)?;
        let inflows = inflow::inflows(&document, &file.inflow, (&grid, folder), &declaration)?;
        let time = schedule::time(&document, &file.time, &declaration)?;
        let mut notes = Vec::new();
        let checkpoint = schedule::checkpoint(&document, &file.checkpoint, &mut notes)?;
        let seen = axes::Seen { document: &document, grid: &grid, declaration: &declaration, sources: &sources };
        let images = axes::images(&seen, &file.image)?;
        let reduces = reduce::reduces(&seen, &file.reduce)?;
        let point_sources = source::sources(&document, &file.source, &grid, &declaration, &mut notes)?;
        let probes = points::probes(&seen, &file.probe, &mut notes)?;
        let outputs = output::outputs(&seen, &file.output, precision)?;
        let torus = schedule::torus(&document, &file.torus, &grid)?;
        let datacenter = schedule::datacenter(&document, &file.datacenter, &grid, &checkpoint)?;
        let setup = setup(&grid, &time, parameters, &sources);
        let fingerprint =
            fingerprint::of(&grid, &declaration, &setup, precision, &sources, (&inflows, &point_sources), &time);
        let name = schedule::name(&document, file.name.as_deref(), path)?;
        let overrides = overrides.iter().filter(|text| overrides::enters_physics(text)).cloned().collect();
        Ok(Job {
            name,
            text: text.to_owned(),
            overrides,
            path: path.to_owned(),
            grid,
            declaration,
            setup,
            precision,
            sources,
            inflows,
            point_sources,
            time,
            checkpoint,
            images,
            reduces,
            probes,
            outputs,
            torus,
            datacenter,
            fingerprint,
            notes,
            document,
        })
    }

    /// Slots that images, reduces, probes and outputs read.
    #[must_use]
    pub fn seen(&self) -> BTreeSet<usize> {
        let images = self.images.iter().flat_map(|image| {
            let shown = image.shown.iter().flat_map(formula::Map::slots);
            shown.chain([image.slot])
        });
        let reduces = self.reduces.iter().flat_map(|reduce| reduce.map.slots());
        let probes = self.probes.iter().map(|probe| probe.slot);
        let outputs = self.outputs.iter().flat_map(|output| output.slots.iter().copied());
        images.chain(reduces).chain(probes).chain(outputs).collect()
    }

    /// Which checkpoints a run of the job `text` keeps. Nothing else is looked for.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the text does not describe that.
    pub fn keeps(text: &str, path: &Path) -> Result<Keep, JobError> {
        let document = Document::new(text, path, &[])?;
        let file: schema::File = document.deserialize()?;
        Ok(schedule::checkpoint(&document, &file.checkpoint, &mut Vec::new())?.keeps())
    }

    /// What the job `text` has to look at, with its kernel's declaration. Inputs are not looked for.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the text does not describe these.
    pub fn views(text: &str, path: &Path, overrides: &[String], catalog: &dyn Catalog) -> Result<Views, JobError> {
        let document = Document::new(text, path, overrides)?;
        let file: schema::File = document.deserialize()?;
        let grid = axes::grid(&document, &file.grid)?;
        let declaration = parameters::declaration(&document, &file.kernel, &grid, catalog)?;
        let precision = file.kernel.precision.unwrap_or_default().into();
        let sources = vec![Some(Source::Number(0.0)); declaration.fields.len()];
        let seen = axes::Seen { document: &document, grid: &grid, declaration: &declaration, sources: &sources };
        let images = axes::images(&seen, &file.image)?;
        let outputs = output::outputs(&seen, &file.output, precision)?;
        Ok(Views { grid, declaration, images, outputs })
    }

    /// Last step of the job `text`. Inputs are not looked for.
    ///
    /// # Errors
    ///
    /// [`JobError`] if the text is no job.
    pub fn steps(text: &str, path: &Path, overrides: &[String]) -> Result<u64, JobError> {
        let file: schema::File = Document::new(text, path, overrides)?.deserialize()?;
        Ok(file.time.steps)
    }

    /// JSON Schema of the job file.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schema::json()
    }

    /// `error` of the kernel, with a caret at the key it names.
    #[must_use]
    pub fn refuse_kernel(&self, error: &KernelError) -> JobError {
        let table = match error.key.as_str() {
            "points" | "spacing" | "boundary" | "units" => "grid",
            "dt" | "courant" | "steps" => "time",
            key if self.declaration.slot(key).is_some() => "fields",
            _ => "kernel",
        };
        self.document.wrong(&[table, &error.key], error.problem.clone())
    }

    /// `error` in the values of slot `slot`, with a caret at the field.
    #[must_use]
    pub fn refuse_input(&self, slot: usize, error: InputError) -> JobError {
        let name = self.declaration.fields[slot].name;
        self.document.located(self.document.value(&["fields", name]), Mistake::Input { field: name.to_owned(), error })
    }
}

/// What the kernel's constants depend on.
fn setup(grid: &Grid, time: &Time, parameters: BTreeMap<String, Value>, sources: &[Option<Source>]) -> Setup {
    Setup {
        axes: grid.axes,
        spacing: grid.own(&grid.spacing).to_vec(),
        dt: if let TimeStep::Seconds(dt) = time.step { dt } else { 1.0 },
        parameters,
        given: sources.iter().map(fields::given).collect(),
        degrees: grid.units == Units::Degrees,
        beyond: grid.own(&grid.boundary).iter().map(|sides| sides.map(Boundary::beyond)).collect(),
        speed: time.speed_max,
    }
}

/// `count` as a number.
#[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
fn whole(count: usize) -> f64 {
    count as f64
}

impl Source {
    /// Writes the values at the cells of `region` to `out`, in memory order, each rounded once to `T`.
    ///
    /// # Errors
    ///
    /// [`InputError`] if a value is not finite, below the field's least value or a label beyond the table; it names the
    /// cell.
    ///
    /// # Panics
    ///
    /// If `out` does not hold one value per cell of `region`.
    pub fn fill<T: Real>(&self, grid: &Grid, region: &Region, out: &mut [T]) -> Result<(), InputError> {
        assert_eq!(out.len(), region.cells(), "one value per cell");
        match self {
            Source::Number(value) => {
                out.fill(T::of(*value));
                Ok(())
            }
            Source::Formula(formula) => formula.fill(grid, region, out),
            Source::File(input) => input.fill(grid, region, out),
            Source::Checkpoint(stored) => stored.fill(region, out),
            Source::Latitude(value) => {
                let width = region.extent[AXES - 1].max(1);
                for ([_, _, latitude], cells) in region.rows().zip(out.chunks_exact_mut(width)) {
                    let at = grid.coordinate(AXES - 2, latitude);
                    cells.fill(T::of(value(at, grid.spacing[AXES - 2])));
                }
                Ok(())
            }
            Source::Depth => {
                each(region, out, &|cell| T::of(grid.depth(cell).map_or(FAR, whole)));
                Ok(())
            }
            Source::Walls => {
                each(region, out, &|cell| T::of(f64::from(grid.walls(cell))));
                Ok(())
            }
        }
    }
}

/// Writes `value` of each cell of `region` to `out`, in memory order.
fn each<T>(region: &Region, out: &mut [T], value: &dyn Fn(Extents) -> T) {
    let width = region.extent[AXES - 1].max(1);
    for ([w, z, y], cells) in region.rows().zip(out.chunks_exact_mut(width)) {
        for (x, cell) in (region.start[AXES - 1]..).zip(cells) {
            *cell = value([w, z, y, x]);
        }
    }
}

#[cfg(test)]
mod tests;
