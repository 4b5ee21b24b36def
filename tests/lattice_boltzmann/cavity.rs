//! A square cavity whose lid moves, against the tables I and II of U. Ghia, K. N. Ghia and C. T. Shin, *High-Re solutions for
//! incompressible flow using the Navier-Stokes equations and a multigrid method*, J. Comput. Phys. 48, 1982, 387-411.

use super::{ends, job, sum};

/// Heights of table I and positions of table II, in sides of the cavity, walls left out.
const Y: [f64; 15] = [
    0.9766, 0.9688, 0.9609, 0.9531, 0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016, 0.0703, 0.0625, 0.0547,
];
const X: [f64; 15] = [
    0.9688, 0.9609, 0.9531, 0.9453, 0.9063, 0.8594, 0.8047, 0.5, 0.2344, 0.2266, 0.1563, 0.0938, 0.0781, 0.0703, 0.0625,
];
/// Velocity along x on the vertical centre line, at Re 100 and 1,000.
const U: [[f64; 15]; 2] = [
    [
        0.84123, 0.78871, 0.73722, 0.68717, 0.23151, 0.00332, -0.13641, -0.20581, -0.21090, -0.15662, -0.10150,
        -0.06434, -0.04775, -0.04192, -0.03717,
    ],
    [
        0.65928, 0.57492, 0.51117, 0.46604, 0.33304, 0.18719, 0.05702, -0.06080, -0.10648, -0.27805, -0.38289,
        -0.29730, -0.22220, -0.20196, -0.18109,
    ],
];
/// Velocity along y on the horizontal centre line.
const V: [[f64; 15]; 2] = [
    [
        -0.05906, -0.07391, -0.08864, -0.10313, -0.16914, -0.22445, -0.24533, 0.05454, 0.17527, 0.17507, 0.16077,
        0.12317, 0.10890, 0.10091, 0.09233,
    ],
    [
        -0.21388, -0.27669, -0.33714, -0.39188, -0.51550, -0.42665, -0.31966, 0.02526, 0.32235, 0.33075, 0.37095,
        0.32627, 0.30353, 0.29012, 0.27485,
    ],
];

/// Value at `share` of the way along the centre line across `axis` of a square of `points` by `points`, linear between points.
fn on_line(values: &[f64], points: usize, axis: usize, share: f64) -> f64 {
    let at = (share * points as f64 - 0.5).clamp(0.0, points as f64 - 1.0);
    let low = (at.floor() as usize).min(points - 2);
    let part = at - low as f64;
    let value = |index: usize| {
        // The middle lies between two points.
        let [a, b] = [points / 2 - 1, points / 2];
        let cell = |other: usize| if axis == 0 { index * points + other } else { other * points + index };
        0.5 * (values[cell(a)] + values[cell(b)])
    };
    (1.0 - part) * value(low) + part * value(low + 1)
}

/// Largest difference from the tables in lid speeds; table 0 is Re 100, 1 is Re 1,000. `turns` times the lid passes.
fn difference(points: usize, table: usize, lid: f64, turns: f64) -> f64 {
    let viscosity = lid * points as f64 / [100.0, 1000.0][table];
    let steps = turns * points as f64 / lid;
    let kernel =
        format!("tau = {:?}\ncollision = \"trt\"\nwall_velocity_y_high = [0.0, {lid:?}]", 3.0 * viscosity + 0.5);
    let text = job(&[points, points], &["wall", "wall"], &kernel, "density = 1", steps as usize);
    let found = ends(&text, &["velocity_x", "velocity_y", "density"]);
    let mass = sum(found[2].iter().copied()) / (points * points) as f64 - 1.0;
    let mut most = 0.0;
    for at in 0..15 {
        let u = on_line(&found[0], points, 0, Y[at]) / lid - U[table][at];
        let v = on_line(&found[1], points, 1, X[at]) / lid - V[table][at];
        println!("y {:.4}: {u:+.4}   x {:.4}: {v:+.4}", Y[at], X[at]);
        most = [u.abs(), v.abs()].into_iter().fold(most, |most, off| if off <= most { most } else { off });
    }
    println!("{points} points: {most:.4} lid speeds; mass kept to {mass:e}");
    assert!(mass.abs() < 1e-11, "{mass}");
    most
}

#[test]
fn the_cavity_at_re_100_is_ghias() {
    let most = difference(64, 0, 0.1, 30.0);
    assert!(most < 0.01, "{most}");
}

#[test]
#[ignore = "most of a minute: cargo test --test lattice_boltzmann -- --ignored"]
fn the_cavity_at_re_1000_is_ghias() {
    let most = difference(128, 1, 0.1, 80.0);
    assert!(most < 0.02, "{most}");
}
