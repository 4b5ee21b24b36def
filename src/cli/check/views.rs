//! What `ringfort check` tells of images, reduces, probes and outputs.
//!
//! Input: a job. Output: lines for people, objects for JSON, in the job's order. Invariant: all of it follows from
//! the job alone, and no value of a field is read; both tell the same number of times, with step 0 among them.

use serde_json::{Value, json};

use super::super::checkpoint::text::{by, size};
use super::{plural, six};
use crate::grid::AXES;
use crate::job::{Image, Job, Output, Precision, Probe};

/// Lines of each kind, with the kind's name.
pub(super) fn lines(job: &Job) -> [(&'static str, Vec<String>); 4] {
    let times =
        |every: u64, what: &str| format!("every {}: {}", plural(every, "step"), plural(count(job, every), what));
    let images = job.images.iter().map(|image| {
        let plane: String = plane(job, image).iter().map(|cut| format!(" at {cut}")).collect();
        format!("{}{plane}, {}", image.field, times(image.every, "picture"))
    });
    let reduces = job.reduces.iter().map(|reduce| {
        let (name, word, map) = (&reduce.name, reduce.with.word(), reduce.map.text());
        format!("{name}: {word} of {map}, {}", times(reduce.every, "time"))
    });
    let probes = job.probes.iter().map(|probe| {
        let at: Vec<String> = place(job, probe).iter().map(|&at| six(at)).collect();
        format!("{}: {} at [{}], {}", probe.name, probe.field, at.join(", "), times(probe.every, "time"))
    });
    let outputs = job.outputs.iter().map(|output| {
        let stride = by(job.grid.own(&output.stride));
        let (name, fields, each) = (&output.name, output.fields.join(", "), size(bytes(job, output)));
        format!("{name}.zarr: {fields}, stride {stride}, {}, {each} each", times(output.every, "time"))
    });
    [
        ("image", images.collect()),
        ("reduce", reduces.collect()),
        ("probe", probes.collect()),
        ("output", outputs.collect()),
    ]
}

pub(super) fn images(job: &Job) -> Vec<Value> {
    let image = |image: &Image| {
        json!({
            "field": image.field,
            "plane": plane(job, image),
            "every": image.every,
            "count": count(job, image.every),
            "colors": image.colors,
        })
    };
    job.images.iter().map(image).collect()
}

pub(super) fn reduces(job: &Job) -> Vec<Value> {
    let all = job.reduces.iter().map(|reduce| {
        json!({
            "name": reduce.name,
            "map": reduce.map.text(),
            "with": reduce.with.word(),
            "every": reduce.every,
            "count": count(job, reduce.every),
        })
    });
    all.collect()
}

pub(super) fn probes(job: &Job) -> Vec<Value> {
    let all = job.probes.iter().map(|probe| {
        json!({
            "name": probe.name,
            "field": probe.field,
            "at": place(job, probe),
            "every": probe.every,
            "count": count(job, probe.every),
        })
    });
    all.collect()
}

pub(super) fn outputs(job: &Job) -> Vec<Value> {
    let all = job.outputs.iter().map(|output| {
        json!({
            "name": output.name,
            "fields": output.fields,
            "every": output.every,
            "stride": job.grid.own(&output.stride),
            "type": if output.precision == Precision::F32 { "f32" } else { "f64" },
            "count": count(job, output.every),
            "bytes": bytes(job, output),
        })
    });
    all.collect()
}

/// Steps at which something is due: step 0, then multiples.
fn count(job: &Job, every: u64) -> u64 {
    job.time.steps / every + 1
}

/// The cuts of `image`, each as `z=0.5`.
fn plane(job: &Job, image: &Image) -> Vec<String> {
    let cut =
        |&(axis, index): &(usize, usize)| format!("{}={}", job.grid.name(axis), six(job.grid.coordinate(axis, index)));
    image.plane.iter().map(cut).collect()
}

/// Coordinates of the point of `probe`.
fn place(job: &Job, probe: &Probe) -> Vec<f64> {
    let grid = &job.grid;
    let half = |axis: usize| job.declaration.fields[probe.slot].half[axis - grid.first()];
    (grid.first()..AXES).map(|axis| grid.coordinate_of(axis, half(axis), probe.cell[axis])).collect()
}

/// Bytes of one time of `output`.
fn bytes(job: &Job, output: &Output) -> u64 {
    let points = (0..AXES).map(|axis| job.grid.points[axis].div_ceil(output.stride[axis]) as u64);
    let width = if output.precision == Precision::F32 { 4 } else { 8 };
    points.product::<u64>() * width * output.fields.len() as u64
}
