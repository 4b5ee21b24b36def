//! `ringfort checkpoint show`.
//!
//! Input: an open checkpoint. Output: what its manifest and its job's text say, as words or JSON. Invariant: no value
//! is read, so that a checkpoint whose values are damaged can still be shown.

use serde_json::json;

use super::text::{by, size, table};
use super::{print, print_json};
use crate::checkpoint::{Checkpoint, FieldMeta};
use crate::exit::{Exit, Failure};
use crate::grid::{AXES, Boundary, Grid};

/// Prints what `checkpoint` holds.
pub(super) fn show(checkpoint: &Checkpoint, json: bool) -> Result<Exit, Failure> {
    if json {
        print_json(&as_json(checkpoint));
        return Ok(Exit::Done);
    }
    let meta = checkpoint.meta();
    let grid = &meta.grid;
    let axes: Vec<&str> = (grid.first()..AXES).map(|axis| grid.name(axis)).collect();
    let parent = meta.parent.map_or("none".into(), |parent| format!("step {} of run {}", parent.step, parent.run));
    let parts = meta.cuts.parts();
    let lines = [
        ("checkpoint", checkpoint.name()),
        ("run", meta.run.to_string()),
        ("started from", parent),
        ("step", meta.step.to_string()),
        ("time", format!("{} s", meta.time)),
        ("time step", format!("{} s", meta.dt)),
        ("grid", format!("{} points along {}", by(grid.own(&grid.points)), axes.join(", "))),
        ("spacing", format!("{} {}", by(grid.own(&grid.spacing)), grid.unit(AXES - 1))),
        ("origin", by(grid.own(&grid.origin))),
        ("boundary", boundaries(grid).join(", ")),
        ("parts", by(grid.own(&parts))),
        ("values", meta.precision.name().into()),
        ("files", format!("{}, {}", checkpoint.manifest().files.len(), size(checkpoint.manifest().bytes()))),
        ("physics", hex(&meta.fingerprint)),
    ];
    let mut text = String::new();
    for (key, value) in lines {
        text.push_str(&format!("{key:<14}{value}\n"));
    }
    text.push('\n');
    let rows: Vec<_> = meta
        .components
        .iter()
        .map(|field| vec![field.name.clone(), field.unit.clone(), staggered(checkpoint, field), field.about.clone()])
        .collect();
    text.push_str(&table(&["component", "unit", "half a cell beyond along", "about"], &[], &rows));
    print(&text);
    Ok(Exit::Done)
}

fn staggered(checkpoint: &Checkpoint, field: &FieldMeta) -> String {
    let axes: Vec<_> =
        (0..AXES).filter(|&axis| field.half[axis]).map(|axis| checkpoint.meta().grid.name(axis)).collect();
    if axes.is_empty() { "-".into() } else { axes.join(", ") }
}

/// One word for each axis, or two for sides that differ.
pub(in crate::cli) fn boundaries(grid: &Grid) -> Vec<String> {
    let word = |side: Boundary| match side {
        Boundary::Periodic => "periodic",
        Boundary::Wall => "wall",
        Boundary::Fixed => "fixed",
        Boundary::Open => "open",
    };
    let own = grid.own(&grid.boundary).iter();
    own.map(|&[low, high]| if low == high { word(low).into() } else { format!("{}-{}", word(low), word(high)) })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_json(checkpoint: &Checkpoint) -> serde_json::Value {
    let meta = checkpoint.meta();
    let grid = &meta.grid;
    let parts = meta.cuts.parts();
    let components: Vec<_> = meta
        .components
        .iter()
        .map(|field| {
            json!({
                "name": field.name,
                "unit": field.unit,
                "about": field.about,
                "standard_name": field.standard_name,
                "half": grid.own(&field.half),
            })
        })
        .collect();
    json!({
        "name": checkpoint.name(),
        "run": meta.run.to_string(),
        "parent": meta.parent.map(|parent| json!({ "run": parent.run.to_string(), "step": parent.step })),
        "step": meta.step,
        "time": meta.time,
        "dt": meta.dt,
        "axes": (grid.first()..AXES).map(|axis| grid.name(axis)).collect::<Vec<_>>(),
        "points": grid.own(&grid.points),
        "spacing": grid.own(&grid.spacing),
        "origin": grid.own(&grid.origin),
        "units": grid.unit(AXES - 1),
        "boundary": boundaries(grid),
        "cuts": grid.own(&parts),
        "precision": meta.precision.name(),
        "components": components,
        "files": checkpoint.manifest().files.len(),
        "bytes": checkpoint.manifest().bytes(),
        "fingerprint": hex(&meta.fingerprint),
        "job": meta.job,
    })
}
