//! `[[output]]`: fields written every so many steps.
//!
//! Input: the tables of the job file. Output: an [`Output`] each. Invariant: no two have one name, which is that of a
//! group in the run's folder; each has at least one field, none twice, all with values in this job; strides are 1 to
//! the points of their axis.

use super::axes::{self, Seen};
use super::error::JobError;
use super::{Precision, schedule, schema};
use crate::grid::{AXES, Extents};

/// Name of an output that the job does not name.
const NAME: &str = "fields";

/// `[[output]]`: what to write to a Zarr group.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name: that of its group without `.zarr`.
    pub name: String,
    /// Names of the fields: components, coefficients or derived fields.
    pub fields: Vec<String>,
    /// Slots of the fields.
    pub slots: Vec<usize>,
    /// At multiples of so many steps.
    pub every: u64,
    /// Every how many points along each axis.
    pub stride: Extents,
    /// Type of the values written.
    pub precision: Precision,
}

/// All outputs, by default in the `precision` of the run.
pub(super) fn outputs(
    seen: &Seen<'_>,
    given: &[schema::Output],
    precision: Precision,
) -> Result<Vec<Output>, JobError> {
    let mut all: Vec<Output> = Vec::new();
    for (at, given) in given.iter().enumerate() {
        let at = at.to_string();
        let path = |key| ["output", at.as_str(), key];
        let name = match &given.name {
            Some(name) => schedule::word(seen.document, &path("name"), name)?,
            None => NAME.to_owned(),
        };
        if all.iter().any(|other| other.name == name) {
            let problem = format!("two outputs would be written to {name}.zarr; give each a name of its own");
            return Err(seen.document.wrong(&path("name"), problem));
        }
        if given.fields.is_empty() {
            return Err(seen.document.wrong(&path("fields"), "it names no field; give one or more"));
        }
        let mut slots = Vec::new();
        for (number, field) in given.fields.iter().enumerate() {
            let place = ["output", at.as_str(), "fields", &number.to_string()];
            let slot = seen.slot(&place, field)?;
            if slots.contains(&slot) {
                return Err(seen.document.wrong(&place, format!("`{field}` is named twice; name it once")));
            }
            slots.push(slot);
        }
        let every = seen.steps(&path("every"), &given.every, "outputs")?;
        let stride = stride(seen, &at, given.stride.as_deref())?;
        let precision = given.kind.map_or(precision, Into::into);
        all.push(Output { name, fields: given.fields.clone(), slots, every, stride, precision });
    }
    Ok(all)
}

fn stride(seen: &Seen<'_>, at: &str, given: Option<&[u64]>) -> Result<Extents, JobError> {
    let mut stride = [1; AXES];
    let Some(given) = given else { return Ok(stride) };
    let grid = seen.grid;
    axes::check_length(seen.document, &["output", at, "stride"], given.len(), grid.axes)?;
    for (number, &every) in given.iter().enumerate() {
        let axis = grid.first() + number;
        let points = grid.points[axis];
        stride[axis] = usize::try_from(every).ok().filter(|every| (1..=points).contains(every)).ok_or_else(|| {
            let problem = format!("every {every} points along an axis of {points}; give 1 to {points}");
            seen.document.wrong(&["output", at, "stride", &number.to_string()], problem)
        })?;
    }
    Ok(stride)
}
