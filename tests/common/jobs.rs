//! Small jobs of all kernels, with values that differ at every point.

use std::path::Path;

use ringfort::advance::library::{AnyKernel, GRAY_SCOTT, HEAT, LIFE, Library, SHALLOW_WATER, WAVE};
use ringfort::job::Job;

use super::relay::Relay;

static RELAY: &dyn AnyKernel = &Relay { steady: false };
static STEADY_RELAY: &dyn AnyKernel = &Relay { steady: true };

/// The kernels that tests run.
pub static LIBRARY: Library = Library::new(&[&HEAT, &WAVE, &GRAY_SCOTT, &SHALLOW_WATER, &LIFE, &RELAY, &STEADY_RELAY]);

/// A job that `text` describes.
pub fn parse(text: &str) -> Job {
    match Job::parse(text, Path::new("test.toml"), &[], &LIBRARY) {
        Ok(job) => job,
        Err(error) => panic!("{:?}\n{text}", miette::Report::new(error)),
    }
}

/// What lies beyond an axis, as a job file says it: every pair that is allowed.
pub const BEYOND: [&str; 10] = [
    "\"periodic\"",
    "\"wall\"",
    "\"fixed\"",
    "\"open\"",
    "[\"fixed\", \"open\"]",
    "[\"open\", \"fixed\"]",
    "[\"wall\", \"fixed\"]",
    "[\"fixed\", \"wall\"]",
    "[\"wall\", \"open\"]",
    "[\"open\", \"wall\"]",
];

/// Kernels with the ways to give their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Diffusivity varies or is one number; perfusion is absent, one number or varies.
    Heat { varying: bool, perfusion: Option<bool> },
    /// Stiffness varies or is one number; components are given or come from a start field.
    Relay { varying: bool, start: bool },
    /// On a plane or on a sphere; depth is given, or the surface, which leaves some land dry. On two axes only.
    Water { degrees: bool, surface: bool },
    /// On two or three axes only.
    GrayScott,
    /// On two axes only.
    Life,
    /// On one to three axes only. Speed varies or is one number; the level before is given or not; sponge or not; spacing is the
    /// same along all axes or not.
    Wave { order: usize, varying: bool, before: bool, sponge: bool, even: bool },
}

/// All orders of `wave` with each way to give its fields, in turn.
pub fn waves() -> Vec<Variant> {
    let wave = |turn: usize| {
        let [varying, before, sponge, even] = [1, 2, 4, 8].map(|bit| turn & bit > 0);
        Variant::Wave { order: [2, 4, 8][turn % 3], varying, before, sponge, even }
    };
    // Orders and ways have no common factor, so all pairs come up.
    (0..48).map(|turn| wave(turn * 7)).collect()
}

/// All variants of `shallow-water`.
pub fn waters() -> Vec<Variant> {
    let water = |degrees, surface| Variant::Water { degrees, surface };
    vec![water(false, true), water(true, false), water(true, true), water(false, false)]
}

/// All variants of the kernels that run on `axes` axes but not on any number.
pub fn particular(axes: usize) -> Vec<Variant> {
    match axes {
        1 => waves().into_iter().step_by(5).collect(),
        2 => [waters(), vec![Variant::GrayScott, Variant::Life], waves().into_iter().step_by(7).collect()].concat(),
        3 => [vec![Variant::GrayScott], waves().into_iter().step_by(11).collect()].concat(),
        _ => Vec::new(),
    }
}

/// All variants of the kernels that run on any number of axes.
pub fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for varying in [false, true] {
        for perfusion in [None, Some(false), Some(true)] {
            all.push(Variant::Heat { varying, perfusion });
        }
        for start in [false, true] {
            all.push(Variant::Relay { varying, start });
        }
    }
    all
}

impl Variant {
    /// Cells that one step reads along the last axis or along the others.
    pub fn radius(self, last: bool) -> usize {
        match self {
            Variant::Relay { .. } if last => 3,
            Variant::Heat { .. } | Variant::Relay { .. } | Variant::GrayScott | Variant::Life => 1,
            Variant::Water { .. } => 4,
            Variant::Wave { order, .. } => order / 2,
        }
    }

    fn spacing(self) -> [f64; 4] {
        if matches!(self, Variant::Wave { even: true, .. }) { [0.9; 4] } else { [1.0, 1.25, 0.9, 1.1] }
    }

    fn degrees(self) -> bool {
        matches!(self, Variant::Water { degrees: true, .. })
    }

    /// Lines for `[kernel]`: slow waves, on a sphere where a degree is about a metre.
    fn parameters(self) -> String {
        match self {
            Variant::Water { .. } => "gravity = 0.5\nmanning = 0.1\ncoriolis = 0.3\nradius = 57.3\n".into(),
            Variant::GrayScott => "du = 0.7\ndv = 0.4\nfeed = 0.3\nkill = 0.1\n".into(),
            Variant::Wave { order, sponge, .. } => {
                let sponge = if sponge { "absorb = { width = 3, strength = 0.4 }\n" } else { "" };
                format!("order = {order}\n{sponge}")
            }
            Variant::Life => "rule = \"B36/S23\"\n".into(),
            Variant::Heat { .. } | Variant::Relay { .. } => String::new(),
        }
    }

    fn fields(self, axes: usize) -> (&'static str, String) {
        // A wave that no symmetry of the grid maps to itself.
        let names = if self.degrees() { ["lon", "lat", "", ""] } else { ["x", "y", "z", "w"] };
        let phases: Vec<String> =
            [1.3, 0.7, 1.9, 0.4].iter().zip(names).take(axes).map(|(k, name)| format!("{k}*{name}")).collect();
        let phase = phases.join(" + ");
        let wave = |base: f64, size: f64, shift: f64| {
            format!("{{ formula = \"{base} + {size}*sin({phase} + {shift}) + 0.01*cos(11*({phase}))\" }}")
        };
        match self {
            Variant::Heat { varying, perfusion } => {
                let mut text = format!("temperature = {}\n", wave(20.0, 3.0, 0.3));
                let diffusivity = if varying { wave(0.5, 0.3, 1.0) } else { "0.7".into() };
                text += &format!("diffusivity = {diffusivity}\n");
                if let Some(varying) = perfusion {
                    let perfusion = if varying { wave(0.2, 0.1, 2.0) } else { "0.1".into() };
                    text += &format!("perfusion = {perfusion}\n");
                }
                ("heat", text)
            }
            Variant::Relay { varying, start } => {
                let stiffness = if varying { wave(2.0, 1.0, 0.5) } else { "1.5".into() };
                let components = match start {
                    true => format!("amplitude = {}\n", wave(0.1, 1.0, 0.2)),
                    false => format!("pressure = {}\nflux = {}\n", wave(-0.1, 1.0, 0.9), wave(0.3, 0.5, 1.7)),
                };
                ("relay", format!("stiffness = {stiffness}\n{components}"))
            }
            Variant::Water { surface, .. } => {
                let water = match surface {
                    // At rest: water a hair deep with momentum would be fast.
                    true => format!("surface = {}\n", wave(0.2, 0.1, 0.2)),
                    false => {
                        let momentum = format!("momentum_x = {}\nmomentum_y = -0.1\n", wave(0.1, 0.1, 1.7));
                        format!("depth = {}\n{momentum}", wave(0.6, 0.4, 0.9))
                    }
                };
                ("shallow-water", format!("bed = {}\n{water}", wave(0.0, 0.4, 2.1)))
            }
            Variant::Wave { varying, before, .. } => {
                let speed = if varying { wave(1.0, 0.5, 1.0) } else { "1.3".into() };
                let before =
                    if before { format!("pressure_before = {}\n", wave(0.1, 1.0, 0.5)) } else { String::new() };
                ("wave", format!("pressure = {}\n{before}speed = {speed}\n", wave(0.1, 1.0, 0.2)))
            }
            Variant::Life => ("life", format!("alive = {{ formula = \"step(sin(17*({phase})^2) - 0.2)\" }}\n")),
            // Some of v is below what becomes zero, some above.
            Variant::GrayScott => {
                let v = format!("step(sin({phase}) - 0.5)*(0.3 + 0.2*sin({phase})) + 2e-30*abs(cos({phase}))");
                ("gray-scott", format!("u = {}\nv = {{ formula = \"{v}\" }}\n", wave(0.6, 0.3, 0.8)))
            }
        }
    }
}

/// Text of a job: points and what lies beyond along each axis, variant, precision, steps.
pub fn text(points: &[usize], beyond: &[&str], variant: Variant, precision: &str, steps: u64) -> String {
    let axes = points.len();
    let spacing = &variant.spacing()[4 - axes..];
    let (kernel, fields) = variant.fields(axes);
    let (units, parameters) = (if variant.degrees() { "degrees" } else { "m" }, variant.parameters());
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{}]\nunits = \"{units}\"\n\
         [kernel]\nname = \"{kernel}\"\nprecision = \"{precision}\"\n{parameters}\
         [fields]\n{fields}[time]\nsteps = {steps}\ndt = 0.1\n{}",
        beyond.join(", "),
        sources(points, beyond, variant)
    )
}

/// Point sources in the middle and at both ends of the grid, where no fixed boundary holds the value.
fn sources(points: &[usize], beyond: &[&str], variant: Variant) -> String {
    let field = match variant {
        Variant::Heat { varying: true, .. } => "temperature",
        Variant::GrayScott => "u",
        Variant::Wave { before: true, .. } => "pressure",
        Variant::Relay { varying: true, .. } => "flux",
        Variant::Heat { .. } | Variant::Wave { .. } | Variant::Relay { .. } | Variant::Water { .. } => {
            return String::new();
        }
        Variant::Life => return String::new(),
    };
    let spacing = &variant.spacing()[4 - points.len()..];
    let inner = |number: usize, cell: usize| (1..points[number] - 1).contains(&cell);
    let free = |cells: &Vec<usize>| {
        (0..cells.len()).all(|number| !beyond[number].contains("fixed") || inner(number, cells[number]))
    };
    let cells = [
        points.iter().map(|&count| count / 2).collect::<Vec<_>>(),
        points.iter().map(|_| 0).collect(),
        points.iter().map(|&count| count - 1).collect(),
    ];
    let mut text = String::new();
    for (cells, frequency) in cells.iter().zip([2.0, 3.0, 1.5]).filter(|(cells, _)| free(cells)) {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let at: Vec<f64> = cells.iter().zip(spacing).map(|(&cell, h)| cell as f64 * h).collect();
        text += &format!(
            "[[source]]\nat = {at:?}\nfield = \"{field}\"\nwavelet = \"ricker\"\nfrequency = {frequency}\namplitude = 0.7\n"
        );
    }
    text
}
