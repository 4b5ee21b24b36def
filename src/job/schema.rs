//! The job file's shape: what TOML must look like, before any value is checked.
//!
//! These structs are the single source of the accepted keys and of the JSON Schema. Their comments are its
//! descriptions, which users read.
//!
//! Invariant: a key that is not here is refused, save names of the kernel's own, which are checked once the kernel is
//! known. Runs on disk hold the text of their job: keys may be added, never renamed or given another meaning.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A Ringfort job: one stencil computation over tensor fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Name of the job; default: the file's stem.
    pub(super) name: Option<String>,
    /// Points, spacing and boundaries.
    pub(super) grid: Grid,
    /// What is computed.
    pub(super) kernel: Kernel,
    /// Components and coefficients, by the kernel's names: a number, a formula or a file each.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Field>,
    /// What flows in through open sides of the grid.
    #[serde(default)]
    pub(super) inflow: Vec<Inflow>,
    /// Wavelets added at points.
    #[serde(default)]
    pub(super) source: Vec<Source>,
    /// Steps and time step.
    pub(super) time: Time,
    /// When to checkpoint and how many to keep.
    #[serde(default)]
    pub(super) checkpoint: Checkpoint,
    /// Pictures to draw.
    #[serde(default)]
    pub(super) image: Vec<Image>,
    /// Numbers of all cells to write to sums.csv.
    #[serde(default)]
    pub(super) reduce: Vec<Reduce>,
    /// Values at points to write to probes/NAME.csv.
    #[serde(default)]
    pub(super) probe: Vec<Probe>,
    /// Fields to write to NAME.zarr.
    #[serde(default)]
    pub(super) output: Vec<Output>,
    /// Settings of torus mode.
    #[serde(default)]
    pub(super) torus: Torus,
    /// Settings of data-center mode.
    #[serde(default)]
    pub(super) datacenter: Datacenter,
}

/// Points, spacing and boundaries.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grid {
    /// Points along each axis, slowest first: 1 to 4 axes (x; y, x; z, y, x; w, z, y, x).
    pub(super) points: Vec<u64>,
    /// Distance between points along each axis, in `units`; default 1.
    pub(super) spacing: Option<Vec<f64>>,
    /// Coordinate of point 0 along each axis; default 0.
    pub(super) origin: Option<Vec<f64>>,
    /// Unit of spacing and origin: "m" (default) or "degrees" (axes lat, lon; kernels that allow it).
    #[serde(default)]
    pub(super) units: Units,
    /// What lies beyond each axis: one word for both sides or a pair [low, high]; default "periodic".
    pub(super) boundary: Option<Vec<Boundary>>,
}

/// Unit of the coordinates.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub(super) enum Units {
    /// Metres.
    #[default]
    #[serde(rename = "m")]
    Metres,
    /// Degrees of latitude and longitude.
    #[serde(rename = "degrees")]
    Degrees,
}

/// Boundary of one axis.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Boundary {
    /// Both sides.
    Both(Beyond),
    /// Low and high side.
    Pair([Beyond; 2]),
    /// Anything else: refused with its place.
    #[schemars(skip)]
    Other(IgnoredAny),
}

/// What lies beyond one side.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Beyond {
    /// The other end of the axis.
    Periodic,
    /// A mirror.
    Wall,
    /// The last point keeps its initial value.
    Fixed,
    /// Outflow.
    Open,
}

/// What is computed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Kernel {
    /// Name of the kernel; `ringfort kernels` lists them.
    pub(super) name: String,
    /// "f64" (default) or "f32".
    pub(super) precision: Option<Precision>,
    /// The kernel's own parameters; `ringfort kernels NAME` lists them.
    #[serde(flatten)]
    pub(super) parameters: BTreeMap<String, Parameter>,
}

/// Precision of the fields.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Precision {
    /// 4 bytes.
    F32,
    /// 8 bytes.
    #[default]
    F64,
}

impl From<Precision> for super::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F64 => Self::F64,
        }
    }
}

/// A kernel's parameter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Parameter {
    /// A number.
    Number(f64),
    /// A word, such as a rule "B3/S23".
    Word(String),
    /// A list of numbers.
    List(Vec<f64>),
    /// A table of numbers.
    Table(BTreeMap<String, f64>),
    /// Anything else: refused with its place once the kernel is known.
    #[schemars(skip)]
    Other(IgnoredAny),
}

/// Values of a field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number, { formula = \"...\" }, or { file = \"....npy\" } with `start = [...]` and \
                 `values = [...]` where needed"
)]
pub(super) enum Field {
    /// One number for all points.
    Number(f64),
    /// A formula or a file.
    Table(FieldTable),
}

/// A formula or a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldTable {
    /// Formula of the coordinates w, z, y, x (or lat, lon), such as "exp(-(x^2 + y^2) / 2)".
    pub(super) formula: Option<String>,
    /// A .npy array, relative to the job file.
    pub(super) file: Option<String>,
    /// Folder of another run's checkpoint, relative to the job file.
    pub(super) checkpoint: Option<String>,
    /// Component of the checkpoint; left out: the one of the same name.
    pub(super) field: Option<String>,
    /// First index of the box to read along each axis of the array or of the checkpoint's grid.
    pub(super) start: Option<Vec<u64>>,
    /// Table for an array of whole numbers: label k stands for values[k].
    pub(super) values: Option<Vec<f64>>,
}

/// Steps and time step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    /// Last step; absolute, a restart stops here too.
    pub(super) steps: u64,
    /// Time step in seconds.
    pub(super) dt: Option<f64>,
    /// Time step as a share of the kernel's bound.
    pub(super) courant: Option<f64>,
    /// With courant, for a kernel whose bound depends on the state: the largest speed to expect, in m/s. The bound is taken
    /// at the start, with this speed (or the speed there, where that is larger) at every point.
    pub(super) speed_max: Option<f64>,
}

/// A field's value beyond an open side of the grid, as a function of time; for kernels that take it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inflow {
    /// The side, such as "x-low" or "lat-high".
    pub(super) side: String,
    /// Name of the field.
    pub(super) field: String,
    /// Times in seconds and values: a .npy of shape (n, 2), or CSV with a header and two columns; linear in between.
    pub(super) file: String,
}

/// A wavelet added to a field at one point; for kernels that take it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// Coordinates, slowest axis first; the nearest point counts. Beyond a periodic axis they wrap around.
    pub(super) at: Vec<f64>,
    /// Name of the component.
    pub(super) field: String,
    /// "ricker": amplitude (1 - 2 a) exp(-a) with a = (pi frequency (t - 1/frequency))^2, a term of the equation's right side.
    pub(super) wavelet: String,
    /// Frequency in Hz.
    pub(super) frequency: f64,
    /// Value at the peak.
    pub(super) amplitude: f64,
}

/// When to checkpoint and how many to keep.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// "N steps", or "N s", "N min", "N h", or "auto": as often as loses least, from what checkpoints are measured to take and
    /// mtbf; default: only after the last step.
    pub(super) every: Option<String>,
    /// For "auto": mean time between failures of the machines together, such as "24 h" (default).
    pub(super) mtbf: Option<String>,
    /// Newest kept; default 3, at least 2.
    pub(super) keep: Option<u64>,
    /// "N steps": of every N steps the first checkpoint is kept for good, beside the newest.
    pub(super) keep_every: Option<String>,
    /// Torus mode: checkpoints are written from a copy while the run goes on (default), which takes memory for another state;
    /// false: the run waits until each is on the disk.
    #[serde(rename = "async")]
    pub(super) background: Option<bool>,
}

/// A picture of a plane of a field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    /// Name of the field.
    pub(super) field: String,
    /// "N steps": at multiples of N.
    pub(super) every: String,
    /// Where to cut a grid of three or four axes, such as "z=0.5" or "w=0, z=0.5"; default for three axes: the middle of
    /// the slowest.
    pub(super) plane: Option<String>,
    /// Colour map: viridis (default), magma, inferno, plasma, cividis, rdbu_r (blue, white, red) or turbo.
    pub(super) colors: Option<String>,
    /// Lowest and highest value of the colours; default: those of the picture.
    #[schemars(length(equal = 2))]
    pub(super) range: Option<Vec<f64>>,
    /// Formula of fields and coordinates, such as "depth - 0.01": cells where it is not above 0 are drawn grey.
    #[serde(rename = "where")]
    pub(super) shown: Option<String>,
}

/// One number of all cells, or a histogram, written to sums.csv.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reduce {
    /// Name in sums.csv: letters, digits, `_`, `-` and `.`.
    pub(super) name: String,
    /// Formula of fields (components, coefficients, derived ones) and coordinates, such as "0.5*(u^2 + v^2)".
    pub(super) map: String,
    /// "sum" (exact, then rounded once), "mean", "min", "max" or "histogram".
    pub(super) with: String,
    /// "N steps": at step 0 and at multiples of N.
    pub(super) every: String,
    /// Number of bins of a histogram.
    pub(super) bins: Option<u64>,
    /// Where the first bin of a histogram begins.
    pub(super) low: Option<f64>,
    /// Where the last bin of a histogram ends; the bin does not hold this value.
    pub(super) high: Option<f64>,
}

/// A field's value at one point, written to probes/NAME.csv.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    /// Name of the file probes/NAME.csv: letters, digits, `_`, `-` and `.`.
    pub(super) name: String,
    /// Coordinates, slowest axis first; the nearest point counts. Beyond a periodic axis they wrap around.
    pub(super) at: Vec<f64>,
    /// Name of the field: a component, coefficient or derived field.
    pub(super) field: String,
    /// "N steps": at step 0 and at multiples of N.
    pub(super) every: String,
}

/// Fields written every so many steps to NAME.zarr, which xarray opens while the run goes on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    /// Name of the group NAME.zarr: letters, digits, `_`, `-` and `.`; default "fields".
    pub(super) name: Option<String>,
    /// Names of the fields: components, coefficients or derived fields.
    pub(super) fields: Vec<String>,
    /// "N steps": at step 0 and at multiples of N.
    pub(super) every: String,
    /// Every how many points along each axis, slowest first; default 1.
    pub(super) stride: Option<Vec<u64>>,
    /// "f64" or "f32"; default: the precision of the run.
    #[serde(rename = "type")]
    pub(super) kind: Option<Precision>,
}

/// Settings of torus mode.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Torus {
    /// Ranks along each axis; default: chosen.
    pub(super) ranks: Option<Vec<u64>>,
    /// Steps between two halo exchanges; default 1.
    pub(super) steps_per_exchange: Option<u64>,
    /// How long a halo may take, "N s", "N min" or "N h"; default "10 min".
    pub(super) deadline: Option<String>,
}

/// Settings of data-center mode.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Datacenter {
    /// Blocks along each axis; default: chosen, a few for each worker.
    pub(super) blocks: Option<Vec<u64>>,
    /// Steps between two looks at the neighbours; default: those of [torus], else 4.
    pub(super) steps_per_round: Option<u64>,
    /// Steps between snapshots, "N steps", where more are wanted than checkpoints are kept.
    pub(super) snapshot_every: Option<String>,
    /// Time without a sign of life after which a worker's blocks are taken over, "N s"; default "10 s".
    pub(super) lease: Option<String>,
}

/// JSON Schema of [`File`].
pub(super) fn json() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "Ringfort job".into());
    schema.to_value()
}

#[cfg(test)]
mod tests;
