//! Small jobs of all kernels, with values that differ at every point.

use std::path::Path;

use ringfort::advance::library::{
    ELASTIC, EULER, GRAY_SCOTT, HEAT, LATTICE_BOLTZMANN, LIFE, Library, MAXWELL, SHALLOW_WATER, WAVE,
};
use ringfort::job::Job;
use ringfort_oracle::{RELAY, STEADY_RELAY};

/// The kernels that tests run.
pub static LIBRARY: Library = Library::new(&[
    &HEAT,
    &WAVE,
    &GRAY_SCOTT,
    &SHALLOW_WATER,
    &MAXWELL,
    &ELASTIC,
    &LIFE,
    &LATTICE_BOLTZMANN,
    &EULER,
    &RELAY,
    &STEADY_RELAY,
]);

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

/// The same for kernels whose fields are staggered.
pub const PERIODIC_OR_WALL: [&str; 2] = [BEYOND[0], BEYOND[1]];

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
    /// On two or three axes only. Walls move or not; some points are solid or none; populations are given, or density and velocity.
    Lattice { moving: bool, solid: bool, start: bool },
    /// On one to three axes only. Components are given, or velocity and pressure.
    Gas { start: bool },
    /// On one to three axes only. Speed varies or is one number; the level before is given or not; sponge or not; spacing is the
    /// same along all axes or not.
    Wave { order: usize, varying: bool, before: bool, sponge: bool, even: bool },
    /// On one to three axes only. Permittivity, permeability and conductivity vary or are numbers; something conducts or not.
    Maxwell { varying: [bool; 3], lossy: bool },
    /// On two or three axes only. Density and speeds vary or are numbers; sponge or not.
    Elastic { order: usize, varying: [bool; 2], sponge: bool },
}

/// Both orders of `elastic` with the ways to give its fields.
pub fn elastics() -> Vec<Variant> {
    let given = [[false, false], [true, false], [false, true], [true, true]];
    let turns = given.into_iter().zip([true, false, false, true]);
    let both =
        |(varying, sponge)| [2, 4].map(|order| Variant::Elastic { order, varying, sponge: sponge == (order == 4) });
    turns.flat_map(both).collect()
}

/// All ways to give the fields of `maxwell`.
pub fn maxwells() -> Vec<Variant> {
    let numbers = [false, true].map(|lossy| Variant::Maxwell { varying: [false; 3], lossy });
    let some = [[true, false, false], [false, true, false], [true, true, false]];
    let some = some.into_iter().flat_map(|varying| [false, true].map(|lossy| Variant::Maxwell { varying, lossy }));
    let conducting =
        [[false, false, true], [true, true, true]].map(|varying| Variant::Maxwell { varying, lossy: true });
    numbers.into_iter().chain(some).chain(conducting).collect()
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

/// Some variants of `lattice-boltzmann`, all ways to compile it among them.
pub fn lattices() -> Vec<Variant> {
    let lattice = |moving, solid, start| Variant::Lattice { moving, solid, start };
    vec![
        lattice(true, true, true),
        lattice(true, false, true),
        lattice(false, true, false),
        lattice(false, false, false),
    ]
}

/// All variants of `euler`.
pub fn gases() -> Vec<Variant> {
    vec![Variant::Gas { start: false }, Variant::Gas { start: true }]
}

/// All variants of `shallow-water`.
pub fn waters() -> Vec<Variant> {
    let water = |degrees, surface| Variant::Water { degrees, surface };
    vec![water(false, true), water(true, false), water(true, true), water(false, false)]
}

/// All variants of the kernels that run on `axes` axes but not on any number.
pub fn particular(axes: usize) -> Vec<Variant> {
    match axes {
        1 => [vec![gases()[0], maxwells()[1]], waves().into_iter().step_by(5).collect()].concat(),
        2 => [
            waters(),
            vec![Variant::GrayScott, Variant::Life, lattices()[0], gases()[1], maxwells()[5], elastics()[7]],
            waves().into_iter().step_by(7).collect(),
        ]
        .concat(),
        3 => [
            vec![Variant::GrayScott, lattices()[1], gases()[1], maxwells()[9], elastics()[2]],
            waves().into_iter().step_by(11).collect(),
        ]
        .concat(),
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
            Variant::Lattice { .. } => 1,
            Variant::Water { .. } | Variant::Gas { .. } => 4,
            Variant::Wave { order, .. } => order / 2,
            Variant::Maxwell { .. } => 2,
            Variant::Elastic { order, .. } => order,
        }
    }

    /// True if its fields are staggered.
    pub fn staggered(self) -> bool {
        matches!(self, Variant::Maxwell { .. } | Variant::Elastic { .. })
    }

    /// What may lie beyond an axis.
    pub fn beyond(self) -> &'static [&'static str] {
        if self.staggered() { &PERIODIC_OR_WALL } else { &BEYOND }
    }

    fn spacing(self) -> [f64; 4] {
        if matches!(self, Variant::Wave { even: true, .. } | Variant::Lattice { .. }) {
            [0.9; 4]
        } else {
            [1.0, 1.25, 0.9, 1.1]
        }
    }

    fn degrees(self) -> bool {
        matches!(self, Variant::Water { degrees: true, .. })
    }

    /// Lines for `[kernel]`: slow waves, on a sphere where a degree is about a metre. `beyond` is what lies beyond each axis.
    fn parameters(self, beyond: &[&str]) -> String {
        match self {
            Variant::Water { .. } => "gravity = 0.5\nmanning = 0.1\ncoriolis = 0.3\nradius = 57.3\n".into(),
            Variant::GrayScott => "du = 0.7\ndv = 0.4\nfeed = 0.3\nkill = 0.1\n".into(),
            Variant::Wave { order, sponge, .. } => {
                let sponge = if sponge { "absorb = { width = 3, strength = 0.4 }\n" } else { "" };
                format!("order = {order}\n{sponge}")
            }
            Variant::Elastic { order, sponge, .. } => {
                let sponge = if sponge { "absorb = { width = 3, strength = 0.4 }\n" } else { "" };
                format!("order = {order}\n{sponge}")
            }
            Variant::Maxwell { .. } => "light_speed = 1.2\n".into(),
            Variant::Lattice { moving, .. } => lattice(beyond, moving),
            Variant::Gas { .. } => "gamma = 1.3\n".into(),
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
            Variant::Maxwell { varying, lossy } => {
                let given = |varying: bool, number: &str, base: f64, size: f64, shift: f64| {
                    if varying { wave(base, size, shift) } else { number.into() }
                };
                let mut text = format!("permittivity = {}\n", given(varying[0], "1.5", 1.8, 0.6, 0.3));
                text += &format!("permeability = {}\n", given(varying[1], "1.1", 1.4, 0.3, 0.7));
                if lossy {
                    text += &format!("conductivity = {}\n", given(varying[2], "0.4", 0.5, 0.4, 1.1));
                }
                let components = match axes {
                    1 => &["e_z", "h_y"][..],
                    2 => &["e_z", "h_x", "h_y"],
                    _ => &["e_x", "e_y", "e_z", "h_x", "h_y", "h_z"],
                };
                for (name, shift) in components.iter().zip([0.2, 1.7, 0.9, 2.6, 0.4, 1.2]) {
                    text += &format!("{name} = {}\n", wave(0.1, 1.0, shift));
                }
                ("maxwell", text)
            }
            Variant::Elastic { varying: [dense, fast], .. } => {
                let given = |varying: bool, number: &str, base: f64, size: f64, shift: f64| {
                    if varying { wave(base, size, shift) } else { number.into() }
                };
                let mut text = format!("density = {}\n", given(dense, "1.4", 1.8, 0.6, 0.3));
                text += &format!("speed_p = {}\n", given(fast, "1.3", 1.5, 0.3, 0.7));
                // Half of it fluid.
                let slow = format!("{{ formula = \"step(sin({phase}))*0.8\" }}");
                text += &format!("speed_s = {}\n", if fast { slow } else { "0.7".into() });
                let components = match axes {
                    2 => &["velocity_x", "velocity_y", "stress_xx", "stress_yy", "stress_xy"][..],
                    _ => &["velocity_x", "velocity_z", "stress_xx", "stress_zz", "stress_xy", "stress_xz", "stress_yz"],
                };
                for (name, shift) in components.iter().zip([0.2, 1.7, 0.9, 2.6, 0.4, 1.2, 2.1]) {
                    text += &format!("{name} = {}\n", wave(0.1, 1.0, shift));
                }
                ("elastic", text)
            }
            Variant::Life => ("life", format!("alive = {{ formula = \"step(sin(17*({phase})^2) - 0.2)\" }}\n")),
            Variant::Lattice { solid, start, .. } => ("lattice-boltzmann", lattice_fields(axes, solid, start, &wave)),
            Variant::Gas { start } => ("euler", gas_fields(axes, start, &wave)),
            // Some of v is below what becomes zero, some above.
            Variant::GrayScott => {
                let v = format!("step(sin({phase}) - 0.5)*(0.3 + 0.2*sin({phase})) + 2e-30*abs(cos({phase}))");
                ("gray-scott", format!("u = {}\nv = {{ formula = \"{v}\" }}\n", wave(0.6, 0.3, 0.8)))
            }
        }
    }
}

/// Two relaxation times and a force; with `moving`, a velocity of its own for each wall of the grid.
fn lattice(beyond: &[&str], moving: bool) -> String {
    let axes = beyond.len();
    let mut text = format!("tau = 0.7\ncollision = \"trt\"\nforce = {:?}\n", &[0.002, -0.003, 0.005][..axes]);
    for (axis, word) in beyond.iter().enumerate().filter(|_| moving) {
        let (first, last) = word.split_once(',').unwrap_or((word, word));
        for (side, _) in [("low", first), ("high", last)].into_iter().filter(|pair| pair.1.contains("wall")) {
            let mut velocity = vec![0.02; axes];
            velocity[(axis + 1) % axes] = -0.03;
            velocity[axis] = 0.0;
            text += &format!("wall_velocity_{}_{side} = {velocity:?}\n", ["x", "y", "z"][axes - 1 - axis]);
        }
    }
    text
}

/// Populations, or density and velocities; about a third of the points solid, or none.
fn lattice_fields(axes: usize, solid: bool, start: bool, wave: &dyn Fn(f64, f64, f64) -> String) -> String {
    let mut text = match start {
        true => format!("density = {}\nvelocity_x = {}\n", wave(1.0, 0.1, 0.4), wave(0.01, 0.05, 1.4)),
        false => {
            let weights = if axes == 2 { [16.0, 4.0, 1.0, 0.0] } else { [12.0, 2.0, 2.0, 1.0] };
            let count = if axes == 2 { 9 } else { 19 };
            let population = |number: usize| {
                let kind: usize = number.div_ceil(4);
                let weight = weights[kind.min(3)] / 36.0;
                format!("f{number} = {}\n", wave(weight, 0.2 * weight, 0.37 * number as f64))
            };
            (0..count).map(population).collect()
        }
    };
    if solid {
        let phase = wave(0.0, 1.0, 2.2).replace("{ formula = \"", "").replace("\" }", "");
        text += &format!("solid = {{ formula = \"step(sin(9*({phase})) - 0.4)\" }}\n");
    }
    text
}

/// Density with momenta and energy, or with velocities and pressure.
fn gas_fields(axes: usize, start: bool, wave: &dyn Fn(f64, f64, f64) -> String) -> String {
    let (kind, last) = if start { ("velocity", "pressure") } else { ("momentum", "energy") };
    let mut text = format!("density = {}\n{last} = {}\n", wave(1.0, 0.4, 0.6), wave(2.0, 0.9, 1.1));
    for (at, name) in ["x", "y", "z"][..axes].iter().enumerate().filter(|&(at, _)| start || at != 1) {
        text += &format!("{kind}_{name} = {}\n", wave(0.1, 0.3, 1.9 * at as f64));
    }
    text
}

/// Text of a job: points and what lies beyond along each axis, variant, precision, steps.
pub fn text(points: &[usize], beyond: &[&str], variant: Variant, precision: &str, steps: u64) -> String {
    let axes = points.len();
    let spacing = &variant.spacing()[4 - axes..];
    let (kernel, fields) = variant.fields(axes);
    let (units, parameters) = (if variant.degrees() { "degrees" } else { "m" }, variant.parameters(beyond));
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{}]\nunits = \"{units}\"\n\
         [kernel]\nname = \"{kernel}\"\nprecision = \"{precision}\"\n{parameters}\
         [fields]\n{fields}[time]\nsteps = {steps}\ndt = 0.1\n{}",
        beyond.join(", "),
        sources(points, beyond, variant)
    )
}

/// Point sources in the middle and at both ends of the grid, where no boundary holds the value.
fn sources(points: &[usize], beyond: &[&str], variant: Variant) -> String {
    let field = match variant {
        Variant::Heat { varying: true, .. } => "temperature",
        Variant::GrayScott => "u",
        Variant::Wave { before: true, .. } => "pressure",
        Variant::Relay { varying: true, .. } => "flux",
        Variant::Maxwell { lossy: true, .. } => "e_z",
        Variant::Elastic { order: 4, .. } => "stress_xy",
        Variant::Heat { .. }
        | Variant::Wave { .. }
        | Variant::Relay { .. }
        | Variant::Water { .. }
        | Variant::Maxwell { .. }
        | Variant::Elastic { .. }
        | Variant::Life
        | Variant::Lattice { .. }
        | Variant::Gas { .. } => return String::new(),
    };
    let spacing = &variant.spacing()[4 - points.len()..];
    let inner = |number: usize, cell: usize| (1..points[number] - 1).contains(&cell);
    let free = |cells: &Vec<usize>| {
        let held = |word: &str| word.contains("fixed") || (variant.staggered() && word.contains("wall"));
        (0..cells.len()).all(|number| !held(beyond[number]) || inner(number, cells[number]))
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
