//! `ringfort checkpoint export`: a field of a checkpoint as a NumPy array or a VTK image.
//!
//! Input: a checkpoint, a field's name, a path whose ending says the format. Output: the file. Invariant: it is there
//! whole or not at all; values are in memory one layer at a time, and a layer that does not fit is refused before it
//! is taken; the bits of a component are those of the checkpoint.
//!
//! Source: VTK file formats, "XML formats", ImageData with appended raw data.

use std::path::Path;

use super::{failure, print};
use crate::advance::library::Precise;
use crate::checkpoint::{Checkpoint, FieldMeta, Precision};
use crate::cli::{library, values};
use crate::exit::Failure;
use crate::grid::{AXES, Region};
use crate::job::Job;
use crate::observe::record::RunRecord;
use crate::run::derive::derive;
use crate::run::memory;

/// Copies of a field that are in memory while a derived one is computed: components, coefficients, what comes of them.
const DERIVED_COPIES: u64 = 8;

/// What to write.
enum What {
    /// A component, by its number.
    Component(usize),
    /// Another field of the job, by its slot.
    Other(Box<Job>, usize),
}

/// Kinds of files.
#[derive(Clone, Copy)]
enum Kind {
    Npy,
    Vti,
}

/// Writes field `field` of `checkpoint` to `out`, and prints the path.
pub(super) fn export(checkpoint: &Checkpoint<'_>, field: &str, out: &Path) -> Result<(), Failure> {
    let kind = match out.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => Kind::Npy,
        Some("vti") => Kind::Vti,
        _ => return Err(Failure::usage(format!("{} is of no known kind; end it in .npy or .vti", out.display()))),
    };
    let axes = checkpoint.meta().grid.axes;
    if matches!(kind, Kind::Vti) && axes > 3 {
        return Err(Failure::usage(format!("VTK knows three axes, the grid has {axes}; write a .npy file instead")));
    }
    if let Some(error) = checkpoint.verify_lengths().into_iter().next() {
        return Err(failure(error));
    }
    let (what, about) = find(checkpoint, field)?;
    match checkpoint.meta().precision {
        Precision::Float32 => write::<f32>(checkpoint, &what, &about, (kind, out))?,
        Precision::Float64 => write::<f64>(checkpoint, &what, &about, (kind, out))?,
    }
    print(&format!("{}\n", out.display()));
    Ok(())
}

/// The field called `name`: a component, or one that the job of the checkpoint gives or computes.
fn find(checkpoint: &Checkpoint<'_>, name: &str) -> Result<(What, FieldMeta), Failure> {
    let meta = checkpoint.meta();
    if let Some(number) = checkpoint.component(name) {
        return Ok((What::Component(number), meta.components[number].clone()));
    }
    let held: Vec<&str> = meta.components.iter().map(|field| field.name.as_str()).collect();
    let run_dir = checkpoint.folder().parent().and_then(Path::parent);
    let record = run_dir.and_then(|dir| RunRecord::read(&dir.join("run.json")).ok()).unwrap_or_default();
    let job = Job::parse(&meta.job, &record.job_path, &[], library()).map_err(|error| {
        let words = format!(
            "the checkpoint holds {}; other fields need its job with the inputs, which cannot be read: {error}",
            held.join(", ")
        );
        Failure::usage(words)
    })?;
    let slot = values::find(&job, name)?;
    let about = FieldMeta::of(&job.declaration.fields[slot], job.grid.axes);
    Ok((What::Other(Box::new(job), slot), about))
}

fn write<T: Precise>(
    checkpoint: &Checkpoint<'_>,
    what: &What,
    about: &FieldMeta,
    (kind, out): (Kind, &Path),
) -> Result<(), Failure> {
    let grid = &checkpoint.meta().grid;
    values::write(out, |put| {
        put(&match kind {
            Kind::Npy => values::npy_head::<T>(grid.own(&grid.points)),
            Kind::Vti => vti_head::<T>(checkpoint, about),
        })?;
        for layer in layers(checkpoint) {
            put(&values::bytes(&layer_values::<T>(checkpoint, what, &layer)?))?;
        }
        match kind {
            Kind::Npy => Ok(()),
            Kind::Vti => put(b"\n  </AppendedData>\n</VTKFile>\n"),
        }
    })
}

/// Boxes that follow each other in memory and hold whole parts, so that each chunk is read once.
fn layers(checkpoint: &Checkpoint<'_>) -> impl Iterator<Item = Region> + use<> {
    let meta = checkpoint.meta();
    let (whole, axis, thick) = (meta.grid.region(), meta.grid.first(), meta.cuts.largest()[meta.grid.first()]);
    (0..whole.extent[axis]).step_by(thick).map(move |start| {
        let mut layer = whole;
        layer.start[axis] = start;
        layer.extent[axis] = thick.min(whole.extent[axis] - start);
        layer
    })
}

fn layer_values<T: Precise>(checkpoint: &Checkpoint<'_>, what: &What, layer: &Region) -> Result<Vec<T>, Failure> {
    let copies = if matches!(what, What::Component(_)) { 2 } else { DERIVED_COPIES };
    let needed = (layer.cells() as u64).saturating_mul(T::BYTES as u64 * copies);
    if memory::available().is_some_and(|free| needed > free) {
        return Err(Failure::usage(format!(
            "{} points at once need {} of memory, more than this machine has left; use another machine",
            layer.cells(),
            memory::in_words(needed)
        )));
    }
    let mut values = vec![T::default(); layer.cells()];
    match what {
        What::Component(number) => checkpoint.read_region(*number, layer, &mut values).map_err(failure)?,
        What::Other(job, slot) => {
            let kernel = library().find(job.declaration.name);
            let kernel = kernel.ok_or_else(|| Failure::usage("the kernel is not in this program"))?;
            let mut read = |slot: usize, region: &Region, out: &mut [T]| {
                let name = job.declaration.fields[slot].name;
                let number = checkpoint.component(name);
                let number = number.ok_or_else(|| Failure::usage(format!("the checkpoint holds no {name}")))?;
                checkpoint.read_region(number, region, out).map_err(failure)
            };
            derive((job, kernel, checkpoint.meta().dt), *slot, layer, &mut read, &mut values)?;
        }
    }
    Ok(values)
}

/// What stands before the values in a `.vti` file. VTK names the fastest axis first, and has three.
fn vti_head<T: Precise>(checkpoint: &Checkpoint<'_>, field: &FieldMeta) -> Vec<u8> {
    let meta = checkpoint.meta();
    let grid = &meta.grid;
    let along = |value: &dyn Fn(usize) -> String| [3, 2, 1].map(value).join(" ");
    let extent = along(&|axis| format!("0 {}", grid.points[axis] - 1));
    let used = |axis: usize| axis >= grid.first();
    let origin =
        along(&|axis| if used(axis) { grid.coordinate_of(axis, field.half[axis], 0).to_string() } else { "0".into() });
    let spacing = along(&|axis| if used(axis) { grid.spacing[axis].to_string() } else { "1".into() });
    let (name, bits) = (&field.name, 8 * T::BYTES);
    let bytes = grid.points.iter().map(|&points| points as u64).product::<u64>() * T::BYTES as u64;
    let text = format!(
        "<?xml version=\"1.0\"?>\n\
         <VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">\n  \
         <ImageData WholeExtent=\"{extent}\" Origin=\"{origin}\" Spacing=\"{spacing}\">\n    \
         <FieldData>\n      \
         <DataArray type=\"Float64\" Name=\"TimeValue\" NumberOfTuples=\"1\" format=\"ascii\">{}</DataArray>\n    \
         </FieldData>\n    <Piece Extent=\"{extent}\">\n      <PointData Scalars=\"{name}\">\n        \
         <DataArray type=\"Float{bits}\" Name=\"{name}\" format=\"appended\" offset=\"0\"/>\n      \
         </PointData>\n    </Piece>\n  </ImageData>\n  <AppendedData encoding=\"raw\">\n   _",
        meta.time,
    );
    [text.as_bytes(), &bytes.to_le_bytes()].concat()
}

const _: () = assert!(AXES == 4, "a VTK image has the last three axes");
