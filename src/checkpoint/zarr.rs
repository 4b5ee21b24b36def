//! Zarr v3 metadata of a checkpoint, as text.
//!
//! Specification: Zarr core, version 3 (arrays, groups, regular chunk grid, codecs `bytes` and `crc32c`). Metadata of all
//! arrays is repeated in the group's (consolidated), in the form that zarr-python writes and reads.

use serde_json::{Map, Value, json};

use super::meta::{FieldMeta, Fill, Meta};
use crate::grid::{AXES, Units};

/// All metadata files as (name, bytes), in the order of the manifest; coordinates first.
pub(super) fn documents(meta: &Meta) -> Vec<(String, Vec<u8>)> {
    let coordinates =
        meta.coordinates().into_iter().map(|(name, axis, half)| (coordinate(meta, &name, axis, half), name));
    let components = meta.components.iter().map(|field| (component(meta, field), field.name.clone()));
    let arrays: Vec<(Value, String)> = coordinates.chain(components).collect();
    let mut consolidated = Map::new();
    for (array, name) in &arrays {
        consolidated.insert(name.clone(), array.clone());
    }
    let group = json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": { "step": meta.step, "time": meta.time, "dt": meta.dt, "job": meta.job },
        "consolidated_metadata": { "kind": "inline", "must_understand": false, "metadata": consolidated },
    });
    let others = arrays.into_iter().map(|(array, name)| (format!("{name}/zarr.json"), text(&array)));
    std::iter::once(("zarr.json".to_owned(), text(&group))).chain(others).collect()
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

/// Metadata of the coordinates along `axis`.
fn coordinate(meta: &Meta, name: &str, axis: usize, half: bool) -> Value {
    let points = [meta.grid.points[axis]];
    let mut attributes = Map::new();
    attributes.insert("units".into(), meta.grid.unit(axis).into());
    if let (Units::Degrees, 2 | 3) = (meta.grid.units, axis) {
        let standard = if axis == 2 { "latitude" } else { "longitude" };
        attributes.insert("standard_name".into(), standard.into());
    }
    let place = if half { "half a cell beyond the cell centres" } else { "cell centres" };
    attributes.insert("long_name".into(), format!("{} of {place}", meta.grid.name(axis)).into());
    array(&points, &points, "float64", Fill::Nan, &attributes, &[name.to_owned()])
}

/// Metadata of a component.
fn component(meta: &Meta, field: &FieldMeta) -> Value {
    let mut attributes = Map::new();
    attributes.insert("units".into(), field.unit.as_str().into());
    attributes.insert("long_name".into(), field.about.as_str().into());
    if let Some(name) = &field.standard_name {
        attributes.insert("standard_name".into(), name.as_str().into());
    }
    let largest = meta.cuts.largest();
    let dimensions: Vec<String> =
        (meta.grid.first()..AXES).map(|axis| meta.dimension(axis, field.half[axis])).collect();
    let shape = meta.grid.own(&meta.grid.points);
    array(shape, meta.grid.own(&largest), meta.precision.name(), field.fill, &attributes, &dimensions)
}

fn array(
    shape: &[usize],
    chunk: &[usize],
    data_type: &str,
    fill: Fill,
    attributes: &Map<String, Value>,
    dimensions: &[String],
) -> Value {
    let fill = match fill {
        Fill::Nan => json!("NaN"),
        Fill::Zero => json!(0.0),
    };
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": chunk } },
        "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
        "fill_value": fill,
        "codecs": [
            { "name": "bytes", "configuration": { "endian": "little" } },
            { "name": "crc32c" },
        ],
        "attributes": attributes,
        "dimension_names": dimensions,
        "storage_transformers": [],
    })
}
