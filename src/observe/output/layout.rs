//! What a group of an output looks like: a function of the job, its time step and the number of times alone.
//!
//! Time number `i` is that of step `i * every`, so the shape alone says which times there are.
//!
//! Input: a job, one of its outputs and the time step; then pieces of fields. Output: names and bytes of files. No
//! disk. Invariant: the bytes of the group's metadata may not change: a run that goes on knows its group by them, and
//! refuses one that has others. Files of times and steps are whole chunks, written ahead of what the shape shows.

use ringfort_kernels::Declaration;
use serde_json::{Map, Value, json};

use super::Piece;
use crate::checkpoint::zarr::{self, Array};
use crate::checkpoint::{FieldMeta, Fill, Precision};
use crate::grid::{AXES, Extents, Grid, Region};
use crate::job::{Job, Output};

/// Most points of a chunk.
const CHUNK_POINTS: usize = 1 << 22;
/// Times in a chunk of the time axis.
pub(super) const TIMES: usize = 1024;

/// How an output is laid out on the disk.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Name of the folder.
    pub folder: String,
    /// Fields written.
    pub fields: Vec<FieldMeta>,
    /// Their slots.
    pub slots: Vec<usize>,
    /// Steps between times.
    pub every: u64,
    /// Every how many points along each axis.
    pub stride: Extents,
    /// Points written along each axis.
    pub points: Extents,
    /// Points of a chunk along each axis; a chunk holds one time.
    pub chunk: Extents,
    /// Type of the values written.
    pub precision: Precision,
    grid: Grid,
    dt: f64,
    attributes: Value,
}

impl Layout {
    /// Layout of `output` of `job` with time step `dt`.
    #[must_use]
    pub fn new(job: &Job, output: &Output, dt: f64) -> Self {
        Self::of((&job.name, &job.grid, &job.declaration), output, dt)
    }

    /// Layout of `output` of the job called `name` with time step `dt`.
    #[must_use]
    pub fn of((name, grid, declaration): (&str, &Grid, &Declaration), output: &Output, dt: f64) -> Self {
        let grid = grid.clone();
        let points = std::array::from_fn(|axis| grid.points[axis].div_ceil(output.stride[axis]));
        let field = |&slot: &usize| FieldMeta::of(&declaration.fields[slot], grid.axes);
        let attributes = json!({
            "Conventions": "CF-1.11",
            "title": name,
            "source": format!("{SOURCE} kernel {}", declaration.name),
            "dt": dt,
            "every": output.every,
            "stride": grid.own(&output.stride),
        });
        Self {
            folder: super::folder(&output.name),
            fields: output.slots.iter().map(field).collect(),
            slots: output.slots.clone(),
            every: output.every,
            stride: output.stride,
            points,
            chunk: chunk(points),
            precision: output.precision.into(),
            grid,
            dt,
            attributes,
        }
    }

    /// The grid of the points that are written.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "an axis has far fewer than 2^53 points")]
    pub fn grid(&self) -> Grid {
        let spacing = std::array::from_fn(|axis| self.grid.spacing[axis] * self.stride[axis] as f64);
        Grid { points: self.points, spacing, ..self.grid.clone() }
    }

    /// Model time in seconds of `step`.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
    pub fn time(&self, step: u64) -> f64 {
        step as f64 * self.dt
    }

    /// Bytes of one value.
    #[must_use]
    pub fn width(&self) -> usize {
        self.precision.bytes()
    }

    /// Adds the bytes of `value` to `bytes`, rounded once where single precision is written.
    #[allow(clippy::cast_possible_truncation, reason = "single precision is what was asked for")]
    pub(super) fn push(&self, value: f64, bytes: &mut Vec<u8>) {
        match self.precision {
            Precision::Float32 => bytes.extend((value as f32).to_le_bytes()),
            Precision::Float64 => bytes.extend(value.to_le_bytes()),
        }
    }

    /// Number of times of the steps before `step`.
    pub(super) fn times_before(&self, step: u64) -> u64 {
        step.div_ceil(self.every)
    }

    /// Metadata files of a group of `times` times: the group's, then those of its arrays, those of the fields first.
    pub(super) fn documents(&self, times: u64) -> Vec<(String, Vec<u8>)> {
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        let mut arrays: Vec<Array> = self.fields.iter().map(|field| self.field(field, times)).collect();
        let along = self.coordinates();
        arrays.extend(along.iter().map(|&place| zarr::coordinate(&self.grid, place, self.points[place.0])));
        let attributes = |pairs: &[(&str, &str)]| -> Map<String, Value> {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect()
        };
        let time = |name: &str, data_type, fill, attributes| Array {
            name: name.to_owned(),
            shape: vec![times],
            chunk: vec![TIMES],
            data_type,
            fill,
            attributes,
            dimensions: vec!["time".to_owned()],
        };
        // `s`, not `seconds`: readers make dates or durations of the latter, and round.
        let about = [("units", "s"), ("long_name", "time since the start"), ("standard_name", "time"), ("axis", "T")];
        arrays.push(time("step", "int64", Fill::Zero, attributes(&[("units", "1"), ("long_name", "steps done")])));
        arrays.push(time("time", "float64", Fill::Nan, attributes(&about)));
        zarr::group(&self.attributes, &arrays)
    }

    fn field(&self, field: &FieldMeta, times: usize) -> Array {
        let own = |extents: &Extents| self.grid.own(extents).to_vec();
        let axes = (self.grid.first()..AXES).map(|axis| zarr::dimension(&self.grid, axis, field.half[axis]));
        let mut attributes = zarr::attributes(field);
        attributes.insert("coordinates".to_owned(), "step".into());
        Array {
            name: field.name.clone(),
            shape: [vec![times], own(&self.points)].concat(),
            chunk: [vec![1], own(&self.chunk)].concat(),
            data_type: self.precision.name(),
            fill: field.fill,
            attributes,
            dimensions: std::iter::once("time".to_owned()).chain(axes).collect(),
        }
    }

    /// Names of what the group holds.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let along = self.coordinates().into_iter().map(|(axis, half)| zarr::dimension(&self.grid, axis, half));
        let own = ["zarr.json", "zarr.part", "step", "time"].map(str::to_owned);
        self.fields.iter().map(|field| field.name.clone()).chain(along).chain(own)
    }

    /// Coordinates in use: axis, and whether they lie half a cell beyond the centres.
    fn coordinates(&self) -> Vec<(usize, bool)> {
        let axes = (self.grid.first()..AXES).flat_map(|axis| [(axis, false), (axis, true)]);
        axes.filter(|&(axis, half)| self.fields.iter().any(|field| field.half[axis] == half)).collect()
    }

    /// True if metadata file `name` is that of coordinates along an axis, which times do not change.
    pub(super) fn is_coordinate(&self, name: &str) -> bool {
        let array = name.strip_suffix("/zarr.json");
        self.coordinates().iter().any(|&(axis, half)| array == Some(&zarr::dimension(&self.grid, axis, half)))
    }

    /// Files of coordinates along the axes, as (name, bytes).
    pub(super) fn coordinate_files(&self) -> Vec<(String, Vec<u8>)> {
        let file = |(axis, half)| {
            let points = self.points[axis];
            let values =
                (0..points).flat_map(|at| self.grid.coordinate_of(axis, half, at * self.stride[axis]).to_le_bytes());
            let name = zarr::dimension(&self.grid, axis, half);
            (format!("{name}/c/0"), line(points, &values.collect::<Vec<u8>>()))
        };
        self.coordinates().into_iter().map(file).collect()
    }

    /// Files of the chunk of times and steps that holds time number `time`: also of those after it, which the shape hides.
    #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^53 steps")]
    pub(super) fn time_files(&self, time: u64) -> [(String, Vec<u8>); 2] {
        let number = time / TIMES as u64;
        let steps = (0..TIMES as u64).map(|at| (number * TIMES as u64 + at).saturating_mul(self.every));
        let times: Vec<u8> = steps.clone().flat_map(|step| (step as f64 * self.dt).to_le_bytes()).collect();
        let steps: Vec<u8> = steps.flat_map(u64::to_le_bytes).collect();
        [(format!("step/c/{number}"), line(TIMES, &steps)), (format!("time/c/{number}"), line(TIMES, &times))]
    }

    /// Folder of the chunks of field number `field` at time number `time`.
    pub(super) fn time_folder(&self, field: usize, time: u64) -> String {
        format!("{}/c/{time}", self.fields[field].name)
    }

    /// Places of the chunks of one time along each axis.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Extents> + use<> {
        let count = std::array::from_fn(|axis| self.points[axis].div_ceil(self.chunk[axis]));
        let places = Region { start: [0; AXES], extent: count };
        places.rows().flat_map(move |[w, z, y]| (0..count[AXES - 1]).map(move |x| [w, z, y, x]))
    }

    /// Name of the chunk at `place` of field number `field` at time number `time`.
    pub(super) fn chunk_name(&self, (field, time): (usize, u64), place: &Extents) -> String {
        let at: String = self.grid.own(place).iter().map(|at| format!("/{at}")).collect();
        format!("{}{at}", self.time_folder(field, time))
    }

    /// Bytes of the file of the chunk at `place` of field number `field`, from all `pieces` of the field.
    pub(super) fn chunk_file(&self, field: usize, place: &Extents, pieces: &[Piece]) -> Vec<u8> {
        let start = std::array::from_fn(|axis| place[axis] * self.chunk[axis]);
        let extent: Extents =
            std::array::from_fn(|axis| self.chunk[axis].min(self.points[axis] - place[axis] * self.chunk[axis]));
        let own = Region { start, extent };
        let width = self.width();
        let mut values = vec![0; own.cells() * width];
        for piece in pieces {
            let Some(both) = own.intersection(&piece.region) else { continue };
            let row = both.extent[AXES - 1] * width;
            for [w, z, y] in both.rows() {
                let cell = [w, z, y, both.start[AXES - 1]];
                let (to, from) = (own.offset(cell) * width, piece.region.offset(cell) * width);
                values[to..to + row].copy_from_slice(&piece.values[from..from + row]);
            }
        }
        zarr::chunk_file([extent, self.chunk], self.fields[field].fill, width, &values)
    }
}

/// What the attribute `source` of all outputs begins with.
pub(super) const SOURCE: &str = "ringfort";

/// Points of a chunk: all, halved along the slowest axes until they are few enough.
fn chunk(points: Extents) -> Extents {
    let mut chunk = points;
    while chunk.iter().product::<usize>() > CHUNK_POINTS {
        let Some(slowest) = chunk.iter_mut().find(|extent| **extent > 1) else { break };
        *slowest = slowest.div_ceil(2);
    }
    chunk
}

/// File of one chunk with `count` values of eight bytes in a line.
fn line(count: usize, values: &[u8]) -> Vec<u8> {
    let extent = [1, 1, 1, count];
    zarr::chunk_file([extent, extent], Fill::Nan, 8, values)
}
