//! What `lattice-boltzmann` says of its parameters and fields.
//!
//! Input: the number of axes. Output: the lists for its declaration. Invariant: the order is part of the kernel: the
//! population at rest first, then each pair of opposite ones in the order of `legs` in the parent, then what its
//! slots from `SOLIDS` to `DENSITY_AT_START` count on, x before y before z. The names stand in job files and
//! checkpoints, so none changes or comes to mean another direction or wall.

use super::{PAIRS_2, PAIRS_3};
use crate::declare::{Field, Parameter, ParameterKind, Role};

/// Names of the populations.
const NAMES: [&str; 2 * PAIRS_3 + 1] = [
    "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15", "f16", "f17",
    "f18",
];
/// What they are, on two and on three axes.
const WAYS_2: [&str; 2 * PAIRS_2 + 1] = [
    "population at rest; or give density and velocities",
    "population that moves by (y, x) = (0, 1)",
    "population that moves by (y, x) = (0, -1)",
    "population that moves by (y, x) = (1, 0)",
    "population that moves by (y, x) = (-1, 0)",
    "population that moves by (y, x) = (1, 1)",
    "population that moves by (y, x) = (-1, -1)",
    "population that moves by (y, x) = (-1, 1)",
    "population that moves by (y, x) = (1, -1)",
];
const WAYS_3: [&str; 2 * PAIRS_3 + 1] = [
    "population at rest; or give density and velocities",
    "population that moves by (z, y, x) = (0, 0, 1)",
    "population that moves by (z, y, x) = (0, 0, -1)",
    "population that moves by (z, y, x) = (0, 1, 0)",
    "population that moves by (z, y, x) = (0, -1, 0)",
    "population that moves by (z, y, x) = (1, 0, 0)",
    "population that moves by (z, y, x) = (-1, 0, 0)",
    "population that moves by (z, y, x) = (0, 1, 1)",
    "population that moves by (z, y, x) = (0, -1, -1)",
    "population that moves by (z, y, x) = (0, -1, 1)",
    "population that moves by (z, y, x) = (0, 1, -1)",
    "population that moves by (z, y, x) = (1, 0, 1)",
    "population that moves by (z, y, x) = (-1, 0, -1)",
    "population that moves by (z, y, x) = (-1, 0, 1)",
    "population that moves by (z, y, x) = (1, 0, -1)",
    "population that moves by (z, y, x) = (1, 1, 0)",
    "population that moves by (z, y, x) = (-1, -1, 0)",
    "population that moves by (z, y, x) = (-1, 1, 0)",
    "population that moves by (z, y, x) = (1, -1, 0)",
];
const VELOCITIES: [&str; 3] = ["velocity_x", "velocity_y", "velocity_z"];
/// Velocities of walls, low and high, across x, y and z.
pub(super) const WALL_VELOCITIES: [[&str; 2]; 3] = [
    ["wall_velocity_x_low", "wall_velocity_x_high"],
    ["wall_velocity_y_low", "wall_velocity_y_high"],
    ["wall_velocity_z_low", "wall_velocity_z_high"],
];

/// Parameters on a grid of `axes` axes.
pub(super) fn parameters(axes: usize) -> Vec<Parameter> {
    let parameter = |name, about, kind| Parameter { name, about, unit: "1", kind };
    let list = |name, about| parameter(name, about, ParameterKind::List { default: vec![0.0; axes], len: axes });
    let words: &[&str] = if axes == 2 { &["d2q9"] } else { &["d3q19"] };
    let mut all = vec![
        parameter(
            "lattice",
            "d2q9 on two axes, d3q19 on three",
            ParameterKind::Word { default: words[0], choices: words },
        ),
        parameter(
            "tau",
            "relaxation time in steps, above 0.5; viscosity is (tau - 0.5) / 3",
            ParameterKind::Number { default: None, least: 0.5, most: f64::INFINITY },
        ),
        parameter(
            "collision",
            "one relaxation time or two",
            ParameterKind::Word { default: "bgk", choices: &["bgk", "trt"] },
        ),
        parameter(
            "magic",
            "for trt: (tau - 0.5) times the same of the odd time; 0.1875 puts walls half a cell outside exactly",
            ParameterKind::Number { default: Some(0.1875), least: 1e-6, most: f64::INFINITY },
        ),
        list("force", "force per volume, slowest axis first"),
    ];
    for names in WALL_VELOCITIES[..axes].iter().rev() {
        all.extend(names.map(|name| list(name, "velocity of this wall along itself, slowest axis first")));
    }
    all
}

/// Fields on a grid of `axes` axes, in slot order.
pub(super) fn fields(axes: usize) -> Vec<Field> {
    let ways: &[&'static str] = if axes == 2 { &WAYS_2 } else { &WAYS_3 };
    let field = |name, role, about| Field::new(name, role, "1", about);
    let mut fields: Vec<_> =
        NAMES.into_iter().zip(ways).map(|(name, about)| field(name, Role::Component, about)).collect();
    fields.push(
        field("solid", Role::Coefficient, "1 where a point is solid and sends back what comes, else 0")
            .or(0.0)
            .one_of(&[0.0, 1.0]),
    );
    fields.push(field("walls", Role::Coefficient, "walls that a point lies at").of_walls());
    let velocities = &VELOCITIES[..axes];
    fields.push(field("density", Role::Derived, "density"));
    let velocity = |name: &&'static str| field(name, Role::Derived, "velocity in spacings per step");
    fields.extend(velocities.iter().map(velocity));
    let density = field("density", Role::Start, "density at the start, instead of populations");
    fields.push(density.or(1.0).at_least(1e-6));
    let velocity = |name: &&'static str| field(name, Role::Start, "velocity at the start").or(0.0);
    fields.extend(velocities.iter().map(velocity));
    fields
}
