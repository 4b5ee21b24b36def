//! Zarr v3 metadata of groups and arrays, as text: of checkpoints, and of outputs.
//!
//! Input: a state's description, or arrays. Output: names and bytes of `zarr.json` files, the group's first.
//!
//! Specification: Zarr core, version 3 (arrays, groups, regular chunk grid, codecs `bytes` and `crc32c`). Metadata of
//! all arrays is repeated in the group's (consolidated), in the form that zarr-python writes and reads. Invariant:
//! the text is a function of what it describes, so all writers make the same bytes; manifests hold its length and
//! CRC-32C, and in data-center mode the group's text tells by which cuts an unfinished folder is written.

use serde_json::{Map, Value, json};

use super::meta::{FieldMeta, Fill, Meta};
use crate::grid::{AXES, Grid, Units};

pub use super::chunk::encode as chunk_file;

/// What an array's metadata says.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name in the group.
    pub name: String,
    /// Values along each dimension.
    pub shape: Vec<usize>,
    /// Values of a chunk along each dimension.
    pub chunk: Vec<usize>,
    /// Zarr's name of the type of its values.
    pub data_type: &'static str,
    /// Value of what is missing.
    pub fill: Fill,
    /// Units and the like.
    pub attributes: Map<String, Value>,
    /// Names of the dimensions.
    pub dimensions: Vec<String>,
}

/// Metadata files of a group of `arrays` as (name, bytes): the group's, then the arrays'.
#[must_use]
pub fn group(attributes: &Value, arrays: &[Array]) -> Vec<(String, Vec<u8>)> {
    let consolidated: Map<String, Value> = arrays.iter().map(|array| (array.name.clone(), document(array))).collect();
    let group = json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": consolidated },
    });
    let others = arrays.iter().map(|array| (format!("{}/zarr.json", array.name), text(&document(array))));
    std::iter::once(("zarr.json".to_owned(), text(&group))).chain(others).collect()
}

/// All metadata files as (name, bytes), in the order of the manifest; coordinates first.
pub(super) fn documents(meta: &Meta) -> Vec<(String, Vec<u8>)> {
    let coordinates = meta.coordinates().into_iter().map(|(_, axis, half)| {
        let points = meta.grid.points[axis];
        coordinate(&meta.grid, (axis, half), points)
    });
    let components = meta.components.iter().map(|field| component(meta, field));
    let arrays: Vec<Array> = coordinates.chain(components).collect();
    group(&json!({ "step": meta.step, "time": meta.time, "dt": meta.dt, "job": meta.job }), &arrays)
}

/// Text of the job in the group's metadata, if `bytes` are that.
pub(super) fn job(bytes: &[u8]) -> Option<String> {
    let group: Value = serde_json::from_slice(bytes).ok()?;
    Some(group.get("attributes")?.get("job")?.as_str()?.to_owned())
}

fn text(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("values with text keys have a form");
    bytes.push(b'\n');
    bytes
}

/// Name of the dimension along `axis`: `x`, or `x_half` for points half a cell beyond.
#[must_use]
pub fn dimension(grid: &Grid, axis: usize, half: bool) -> String {
    format!("{}{}", grid.name(axis), if half { "_half" } else { "" })
}

/// Array of `points` coordinates along `axis`, half a cell beyond the centres or not.
#[must_use]
pub fn coordinate(grid: &Grid, (axis, half): (usize, bool), points: usize) -> Array {
    let name = dimension(grid, axis, half);
    let mut attributes = Map::new();
    attributes.insert("units".into(), grid.unit(axis).into());
    if let (Units::Degrees, 2 | 3) = (grid.units, axis) {
        let standard = if axis == 2 { "latitude" } else { "longitude" };
        attributes.insert("standard_name".into(), standard.into());
    }
    let place = if half { "half a cell beyond the cell centres" } else { "cell centres" };
    attributes.insert("long_name".into(), format!("{} of {place}", grid.name(axis)).into());
    Array {
        shape: vec![points],
        chunk: vec![points],
        data_type: "float64",
        fill: Fill::Nan,
        attributes,
        dimensions: vec![name.clone()],
        name,
    }
}

/// Attributes of an array with the values of `field`.
#[must_use]
pub fn attributes(field: &FieldMeta) -> Map<String, Value> {
    let mut attributes = Map::new();
    attributes.insert("units".into(), field.unit.as_str().into());
    attributes.insert("long_name".into(), field.about.as_str().into());
    if let Some(name) = &field.standard_name {
        attributes.insert("standard_name".into(), name.as_str().into());
    }
    attributes
}

/// Array of a component.
fn component(meta: &Meta, field: &FieldMeta) -> Array {
    let grid = &meta.grid;
    Array {
        name: field.name.clone(),
        shape: grid.own(&grid.points).to_vec(),
        chunk: grid.own(&meta.cuts.largest()).to_vec(),
        data_type: meta.precision.name(),
        fill: field.fill,
        attributes: attributes(field),
        dimensions: (grid.first()..AXES).map(|axis| dimension(grid, axis, field.half[axis])).collect(),
    }
}

fn document(array: &Array) -> Value {
    let fill = match (array.fill, array.data_type) {
        (Fill::Nan, _) => json!("NaN"),
        (Fill::Zero, "int64") => json!(0),
        (Fill::Zero, _) => json!(0.0),
    };
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": array.shape,
        "data_type": array.data_type,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": array.chunk } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": fill,
        "codecs": [
            { "name": "bytes", "configuration": { "endian": "little" } },
            { "name": "crc32c" },
        ],
        "attributes": array.attributes,
        "dimension_names": array.dimensions,
        "storage_transformers": [],
    })
}
