//! Hash of the physics: all that the values of the fields depend on.
//!
//! Left out on purpose: steps, checkpoints, images, ranks. Numbers enter by their bits, files by their contents.
//! Invariant: runs on disk hold the hash, so what enters, in which order and in which words may not change: names of
//! units, boundaries and precisions enter as `Debug` writes them.

use std::fmt::Write;

use ringfort_kernels::{Declaration, Setup, Value};

use super::{Inflow, PointSource, Precision, Source, Time, TimeStep};
use crate::grid::Grid;

/// BLAKE3 over one line per fact.
pub(super) fn of(
    grid: &Grid,
    declaration: &Declaration,
    setup: &Setup,
    precision: Precision,
    sources: &[Option<Source>],
    (inflows, point_sources): (&[Inflow], &[PointSource]),
    time: &Time,
) -> [u8; 32] {
    let mut text = String::from("ringfort physics 1\n");
    let mut line = |key: &str, value: String| writeln!(text, "{key} {value}").expect("a string takes all");
    line("points", format!("{:?}", grid.own(&grid.points)));
    line("spacing", bits(grid.own(&grid.spacing)));
    line("origin", bits(grid.own(&grid.origin)));
    line("units", format!("{:?}", grid.units));
    line("boundary", format!("{:?}", grid.own(&grid.boundary)));
    line("kernel", declaration.name.to_owned());
    line("precision", format!("{precision:?}"));
    for (name, value) in &setup.parameters {
        line(name, parameter(value));
    }
    for (field, source) in declaration.fields.iter().zip(sources) {
        if let Some(source) = source {
            line(field.name, self::source(source));
        }
    }
    for inflow in inflows {
        let series: Vec<f64> = inflow.series().iter().flat_map(|&(time, value)| [time, value]).collect();
        let (axis, side, slot) = (inflow.axis, inflow.side, inflow.slot);
        line("inflow", format!("axis {axis} {side:?} {} {}", declaration.fields[slot].name, bits(&series)));
    }
    for PointSource { slot, cell, frequency, amplitude, order } in point_sources {
        let wavelet = format!("ricker {} order {order}", bits(&[*frequency, *amplitude]));
        line("source", format!("{} at {:?} {wavelet}", declaration.fields[*slot].name, grid.own(cell)));
    }
    line(
        "dt",
        match time.step {
            TimeStep::Seconds(dt) => format!("seconds {}", bits(&[dt])),
            TimeStep::Courant(share) => format!("courant {}", bits(&[share])),
        },
    );
    if time.speed_max > 0.0 {
        line("speed_max", bits(&[time.speed_max]));
    }
    *blake3::hash(text.as_bytes()).as_bytes()
}

fn parameter(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("number {}", bits(&[*number])),
        Value::Group(None) => "none".to_owned(),
        Value::Group(Some(values)) => {
            let entries: Vec<String> = values.iter().map(|(key, value)| format!("{key} {}", bits(&[*value]))).collect();
            format!("group {}", entries.join(" "))
        }
        Value::Word(word) => format!("word {word:?}"),
        Value::List(list) => format!("list {}", bits(list)),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Number(number) => format!("number {}", bits(&[*number])),
        Source::Formula(formula) => format!("formula {:?}", formula.text()),
        Source::Latitude(_) => "of the latitude".to_owned(),
        Source::Depth => "distance from sides".to_owned(),
        Source::Walls => "walls".to_owned(),
        Source::File(input) => {
            let values = input.values().map_or("none".to_owned(), bits);
            format!("file {} start {:?} values {values}", input.hash(), input.start())
        }
        Source::Checkpoint(stored) => {
            format!("checkpoint {} field {:?} start {:?}", stored.hash(), stored.field(), stored.start())
        }
    }
}

fn bits(values: &[f64]) -> String {
    let words: Vec<String> = values.iter().map(|value| format!("{:016x}", value.to_bits())).collect();
    words.join(",")
}
