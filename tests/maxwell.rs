//! The kernel `maxwell` against the exact solutions of its scheme and of Maxwell's equations.
#![allow(
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod common;

use std::f64::consts::PI;
use std::path::Path;

use common::jobs::LIBRARY;
use common::numbers::{Vector, dot, every_step, history_of, index, most, phase_formula, wave_numbers};
use ringfort::advance::library::{MAXWELL, Precise};
use ringfort::job::Job;

const E: [&str; 3] = ["e_x", "e_y", "e_z"];
const H: [&str; 3] = ["h_x", "h_y", "h_z"];

/// A job on points `spacing` apart (slowest axis first). `kernel`: further lines of `[kernel]`.
fn job(points: &[usize], spacing: &[f64], beyond: &str, kernel: &str, fields: &str, time: &str) -> String {
    let beyond = vec![format!("\"{beyond}\""); points.len()].join(", ");
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{beyond}]\n\
         [kernel]\nname = \"maxwell\"\n{kernel}\n[fields]\n{fields}\n[time]\n{time}\n"
    )
}

/// Components of E and H on so many axes.
fn components(axes: usize) -> Vec<&'static str> {
    match axes {
        1 => vec!["e_z", "h_y"],
        2 => vec!["e_z", "h_x", "h_y"],
        _ => [E, H].concat(),
    }
}

/// True if the component `name` lies half a cell beyond the points along `d`, on so many axes.
fn half(name: &str, d: usize, axes: usize) -> bool {
    let own = E.iter().chain(&H).position(|known| *known == name).unwrap() % 3 == d;
    d < axes && own == name.starts_with('e')
}

fn cross(a: Vector, b: Vector) -> Vector {
    [0, 1, 2].map(|d| a[(d + 1) % 3] * b[(d + 2) % 3] - a[(d + 2) % 3] * b[(d + 1) % 3])
}

/// A wave of the scheme.
struct Mode {
    /// Amplitudes.
    e: Vector,
    h: Vector,
    /// Angular frequency.
    omega: f64,
}

/// The wave with numbers `k` on points `spacing` apart (x, y, z), in matter `eps`, `mu` where light in vacuum has speed `light`.
/// `E = e cos(k x - omega t)` and so H; between walls the standing wave of these.
fn mode(k: Vector, spacing: Vector, (eps, mu, light): (f64, f64, f64), dt: f64, axes: usize) -> Mode {
    let steep = [0, 1, 2].map(|d| 2.0 * (0.5 * k[d] * spacing[d]).sin() / spacing[d]);
    let any = if axes == 3 { [0.7, -0.4, 1.1] } else { [0.0, 0.0, 1.0] };
    let along = dot(any, steep) / dot(steep, steep);
    let e = [0, 1, 2].map(|d| any[d] - along * steep[d]);
    let rate = light * (dot(steep, steep) / (eps * mu)).sqrt();
    let h = cross(steep, e).map(|value| value * light / (mu * rate));
    Mode { e, h, omega: 2.0 / dt * (0.5 * rate * dt).asin() }
}

impl Mode {
    fn amplitude(&self, name: &str) -> f64 {
        let d = E.iter().chain(&H).position(|known| *known == name).unwrap();
        if d < 3 { self.e[d] } else { self.h[d - 3] }
    }
}

#[test]
fn plane_waves_have_the_frequency_of_the_scheme() {
    let cases: [(&[usize], &[f64], [f64; 3]); 5] = [
        (&[37], &[0.5], [3.0, 0.0, 0.0]),
        (&[12, 21], &[0.9, 0.9], [2.0, -1.0, 0.0]),
        (&[12, 21], &[0.9, 1.3], [3.0, 2.0, 0.0]),
        (&[9, 10, 13], &[0.7, 0.9, 1.1], [-1.0, 2.0, 1.0]),
        (&[9, 10, 13], &[1.0, 1.0, 0.5], [1.0, 0.0, -2.0]),
    ];
    let mut worst = 0.0;
    for (points, spacing, modes) in cases {
        let axes = points.len();
        let (h, k) = wave_numbers(points, spacing, modes, 2.0 * PI);
        for (eps, mu, light) in [(1.0, 1.0, 1.0), (2.25, 1.5, 3.0)] {
            let dt = 0.2 / light;
            let wave = mode(k, h, (eps, mu, light), dt, axes);
            for given in [[false, false], [true, false], [false, true], [true, true]] {
                let number = |varying: bool, value: f64| {
                    if varying { format!("{{ formula = \"{value:?}\" }}") } else { format!("{value:?}") }
                };
                let mut fields =
                    format!("permittivity = {}\npermeability = {}\n", number(given[0], eps), number(given[1], mu));
                let phase = phase_formula(k, axes);
                for name in components(axes) {
                    let early = if name.starts_with('h') { 0.5 * wave.omega * dt } else { 0.0 };
                    let amplitude = wave.amplitude(name);
                    fields += &format!("{name} = {{ formula = \"({amplitude:?})*cos({phase} + {early:?})\" }}\n");
                }
                let kernel = format!("light_speed = {light:?}");
                let text = job(points, spacing, "periodic", &kernel, &fields, &format!("steps = 60\ndt = {dt:?}"));
                for name in components(axes) {
                    let end = history_of(&text, name).pop().unwrap();
                    let steps = if name.starts_with('h') { 59.5 } else { 60.0 };
                    let off = most(end.iter().enumerate().map(|(at, end)| {
                        let index = index(points, at);
                        let place = |d: usize| h[d] * (index[d] as f64 + if half(name, d, axes) { 0.5 } else { 0.0 });
                        let phase: f64 = (0..axes).map(|d| k[d] * place(d)).sum();
                        (end - wave.amplitude(name) * (phase - wave.omega * dt * steps).cos()).abs()
                    }));
                    assert!(off < 1e-11, "{name}: {off:e}\n{text}");
                    worst = most([worst, off].into_iter());
                }
            }
        }
    }
    println!("worst value of a plane wave is off by {worst:e}");
    assert!(worst > 1e-16, "{worst:e}");
}

/// A standing wave in a box of perfect conductors with `modes` half waves along x, y, z, after 100 steps: all components.
fn cavity(points: &[usize], spacing: &[f64], modes: [f64; 3]) -> f64 {
    let axes = points.len();
    let cells: Vec<usize> = points.iter().map(|count| count - 1).collect();
    let (h, k) = wave_numbers(&cells, spacing, modes, PI);
    let dt = 0.2;
    let wave = mode(k, h, (1.0, 1.0, 1.0), dt, axes);
    // Along its own axis a component of E is a cosine, along others a sine; of H the other way round.
    let shape = |name: &str, d: usize| if half(name, d, axes) { "cos" } else { "sin" };
    let mut fields = String::new();
    for name in components(axes) {
        let factors = (0..axes).map(|d| format!("{}({:?}*{})", shape(name, d), k[d], ["x", "y", "z"][d]));
        let share = if name.starts_with('h') { (0.5 * wave.omega * dt).sin() } else { 1.0 };
        let amplitude = wave.amplitude(name) * share;
        fields += &format!("{name} = {{ formula = \"({amplitude:?})*{}\" }}\n", factors.collect::<Vec<_>>().join("*"));
    }
    let text = job(points, spacing, "wall", "", &fields, &format!("steps = 100\ndt = {dt:?}"));
    let mut worst = 0.0;
    for name in components(axes) {
        let end = history_of(&text, name).pop().unwrap();
        let time = wave.omega * dt;
        let share = if name.starts_with('h') { -(99.5 * time).sin() } else { (100.0 * time).cos() };
        for (at, end) in end.iter().enumerate() {
            let index = index(points, at);
            let beyond = (0..axes).any(|d| half(name, d, axes) && index[d] + 1 == points[axes - 1 - d]);
            let factor = |d: usize| match half(name, d, axes) {
                true => (k[d] * h[d] * (index[d] as f64 + 0.5)).cos(),
                false => (k[d] * h[d] * index[d] as f64).sin(),
            };
            let expected = wave.amplitude(name) * share * (0..axes).map(factor).product::<f64>();
            let off = if beyond { end.abs() } else { (end - expected).abs() };
            assert!(off < 1e-11, "{name}: {off:e}\n{text}");
            worst = most([worst, off].into_iter());
        }
    }
    worst
}

#[test]
fn waves_stand_between_conductors() {
    let worst = [
        cavity(&[34], &[0.5], [3.0, 0.0, 0.0]),
        cavity(&[17, 20], &[0.9, 0.8], [2.0, 3.0, 0.0]),
        cavity(&[9, 10, 13], &[0.7, 0.9, 1.1], [2.0, 1.0, 3.0]),
    ];
    println!("worst value of a standing wave is off by {worst:?}");
}

#[test]
fn a_square_cavity_rings_at_the_frequency_of_the_scheme() {
    // 32 cells, so 33 points, between the walls; c dt / h = 0.5.
    let (cells, steps) = (32, 400);
    let h = 1.0 / f64::from(cells);
    let dt = 0.5 * h;
    let fields = "e_z = { formula = \"sin(pi*x)*sin(pi*y)\" }";
    let text = job(&[33, 33], &[h, h], "wall", "", fields, &format!("steps = {steps}\ndt = {dt:?}"));
    let found = every_step(&text, "e_z");
    // A cosine: what is before and after a value adds up to 2 cos(omega dt) times it.
    let series: Vec<f64> = found.iter().map(|state| state[9 * 33 + 14]).collect();
    let around: f64 = series.windows(3).map(|three| three[1] * (three[0] + three[2])).sum();
    let squares: f64 = series.windows(3).map(|three| 2.0 * three[1] * three[1]).sum();
    let ratio = (around / squares).acos() / dt / (PI * 2.0_f64.sqrt());
    let predicted = 2.0 / dt * (0.5 * 2.0_f64.sqrt() * (0.5 * PI * h).sin()).asin() / (PI * 2.0_f64.sqrt());
    println!("TM11: frequency {ratio:.12} of the exact one, the dispersion relation predicts {predicted:.12}");
    assert!((ratio - predicted).abs() < 1e-11, "{ratio}");
    assert!((ratio - 0.999_799_117_7).abs() < 1e-10, "{ratio}");
}

/// Divergence of B in all cells of a grid of three axes, from H and `mu` (all x fastest).
fn divergence(h: &[Vec<f64>; 3], mu: &[f64], points: [usize; 3], spacing: [f64; 3], walls: bool) -> Vec<f64> {
    let at = |index: [usize; 3]| {
        let wrapped = [0, 1, 2].map(|d| index[d] % points[d]);
        (wrapped[2] * points[1] + wrapped[1]) * points[0] + wrapped[0]
    };
    let moved = |index: [usize; 3], d: usize| {
        let mut moved = index;
        moved[d] += 1;
        moved
    };
    let b = |index: [usize; 3], d: usize| {
        let (one, two) = (moved(index, (d + 1) % 3), moved(index, (d + 2) % 3));
        let both = moved(one, (d + 2) % 3);
        0.25 * ((mu[at(index)] + mu[at(both)]) + (mu[at(one)] + mu[at(two)])) * h[d][at(index)]
    };
    let mut all = Vec::new();
    let inside = |d: usize| if walls { points[d] - 1 } else { points[d] };
    for z in 0..inside(2) {
        for y in 0..inside(1) {
            for x in 0..inside(0) {
                let cell = [x, y, z];
                all.push((0..3).map(|d| (b(moved(cell, d), d) - b(cell, d)) / spacing[d]).sum());
            }
        }
    }
    all
}

#[test]
fn the_divergence_of_b_stays() {
    let (points, spacing) = ([11, 8, 9], [0.9, 1.1, 0.8]);
    for beyond in ["periodic", "wall"] {
        for (mu, wavy) in [("1.5", 0.0), ("{ formula = \"1.5 + 0.4*sin(x + 2*y) + 0.2*cos(3*z)\" }", 1.0)] {
            let mut fields = format!("permeability = {mu}\npermittivity = {{ formula = \"2 + sin(3*x - y)\" }}\n");
            for (at, name) in E.iter().chain(&H).enumerate() {
                fields += &format!("{name} = {{ formula = \"sin({at} + 7*x + 3*y*z + x*z)\" }}\n");
            }
            let text = job(&[9, 8, 11], &[0.8, 1.1, 0.9], beyond, "", &fields, "steps = 200\ndt = 0.3");
            let mu = (0..9 * 8 * 11).map(|at| {
                let at = index(&[9, 8, 11], at);
                let [x, y, z] = [0, 1, 2].map(|d| at[d] as f64 * spacing[d]);
                1.5 + wavy * (0.4 * (x + 2.0 * y).sin() + 0.2 * (3.0 * z).cos())
            });
            let mu: Vec<f64> = mu.collect();
            let h = H.map(|name| history_of(&text, name));
            let ends = [0, h[0].len() - 1].map(|time| {
                let now = [0, 1, 2].map(|d| h[d][time].clone());
                divergence(&now, &mu, points, spacing, beyond == "wall")
            });
            let start = most(ends[0].iter().map(|value| value.abs()));
            let off = most(ends[0].iter().zip(&ends[1]).map(|(start, end)| (end - start).abs()));
            let changed = most(h[0][0].iter().zip(h[0].last().unwrap()).map(|(start, end)| (end - start).abs()));
            println!("{beyond}: divergence of B up to {start:.2}, changes by {off:e} while H changes by {changed:.2}");
            assert!(start > 0.5 && changed > 0.5 && off < 1e-12, "{start}, {changed}, {off:e}");
        }
    }
}

#[test]
fn fields_decay_in_what_conducts() {
    let (sigma, dt, steps) = (0.8_f64, 0.25, 120);
    for (points, name) in [(&[9][..], "e_z"), (&[5, 9], "e_z"), (&[4, 5, 9], "e_x"), (&[4, 5, 9], "e_z")] {
        for (eps, of_x) in [(1.0, false), (2.5, false), (2.5, true)] {
            let number =
                |value: f64| if of_x { format!("{{ formula = \"{value:?}\" }}") } else { format!("{value:?}") };
            let fields = format!("{name} = 3.0\nconductivity = {}\npermittivity = {}", number(sigma), number(eps));
            let spacing = vec![1.0; points.len()];
            let time = format!("steps = {steps}\ndt = {dt:?}");
            let end = history_of(&job(points, &spacing, "periodic", "", &fields, &time), name).pop().unwrap();
            let share = 0.5 * sigma * dt / eps;
            let expected = 3.0 * ((1.0 - share) / (1.0 + share)).powi(steps);
            let off = most(end.iter().map(|end| (end / expected - 1.0).abs()));
            assert!(off < 1e-13, "{off:e}");
            // Which is the exponential of the equation to second order.
            let exact = 3.0 * (-sigma / eps * dt * f64::from(steps)).exp();
            assert!((expected / exact - 1.0).abs() < f64::from(steps) * share.powi(3), "{expected} {exact}");
        }
    }
}

/// Share of a pulse that comes back from the half space where `fields` says so, on so many points.
fn reflected(points: usize, fields: &str) -> f64 {
    let h = 8.0 / points as f64;
    // To the right: E and H opposite, H half a step earlier, so half a cell further on in space at dt = h.
    let dt = 0.9 * h;
    let pulse = |shift: f64| format!("exp(-((x - 2 + ({shift:?}))/0.25)^2)");
    let text = job(
        &[points],
        &[h],
        "wall",
        "",
        &format!("e_z = {{ formula = \"{}\" }}\nh_y = {{ formula = \"-{}\" }}\n{fields}", pulse(0.0), pulse(0.5 * dt)),
        &format!("steps = {}\ndt = {dt:?}", (3.0 / dt).round()),
    );
    let end = history_of(&text, "e_z").pop().unwrap();
    // It meets the border at x = 4 after 2, and is back at x = 3 after 3.
    let (low, high) = ((2.4 / h) as usize, (3.6 / h) as usize);
    end[low..high].iter().fold(0.0, |most: f64, &one| if one.abs() > most.abs() { one } else { most })
}

#[test]
fn borders_reflect_what_they_should() {
    for (fields, exact) in [
        ("permittivity = { formula = \"1 + 3*step(x - 4)\" }", -1.0 / 3.0),
        ("permeability = { formula = \"1 + 3*step(x - 4)\" }", 1.0 / 3.0),
        ("permeability = { formula = \"1 + 3*step(x - 4)\" }\npermittivity = { formula = \"1 + 3*step(x - 4)\" }", 0.0),
    ] {
        let errors = [400, 800].map(|points| reflected(points, fields) - exact);
        println!("{fields}: reflected share is off by {errors:?}");
        assert!(errors[1].abs() < 0.005 && errors[1].abs() < 0.7 * errors[0].abs(), "{errors:?}");
    }
}

#[test]
fn the_bound_holds_where_all_varies() {
    for (points, spacing) in [(&[40][..], &[0.8][..]), (&[16, 12], &[0.8, 1.1]), (&[8, 9, 7], &[1.0, 0.9, 1.2])] {
        for beyond in ["wall", "periodic"] {
            // Contrasts from point to point, out of step with each other.
            for matter in [
                "",
                "permittivity = { formula = \"1 + 20*step(sin(17*x + 5*floor(9*x)))\" }\n",
                "permeability = { formula = \"1 + 20*step(sin(17*x + 5*floor(9*x)))\" }\n",
                "permittivity = { formula = \"1 + 20*step(sin(17*x))\" }\npermeability = { formula = \"1 + 20*step(cos(17*x + 1))\" }\n",
            ] {
                let mut fields = matter.to_owned();
                for (at, name) in components(points.len()).into_iter().enumerate() {
                    fields += &format!("{name} = {{ formula = \"sin({at} + 19*x)\" }}\n");
                }
                let text = job(points, spacing, beyond, "light_speed = 2.5", &fields, "steps = 2000\ncourant = 1.0");
                let largest = most(history_of(&text, "e_z").last().unwrap().iter().map(|value| value.abs()));
                assert!(largest < 1000.0, "{largest:e}\n{text}");
            }
        }
    }
}

#[test]
fn walls_hold_what_lies_on_them() {
    let fields: String = [E, H].concat().iter().map(|name| format!("{name} = 1.0\n")).collect();
    let points = [5, 6, 7];
    let text = job(&points, &[1.0; 3], "wall", "", &fields, "steps = 2\ndt = 0.1");
    for name in [E, H].concat() {
        for state in history_of(&text, name) {
            for (at, value) in state.iter().enumerate() {
                let index = index(&points, at);
                let rests = (0..3).any(|d| {
                    let last = index[d] + 1 == points[2 - d];
                    let across = (name.starts_with('h')) == name.ends_with(["x", "y", "z"][d]);
                    if half(name, d, 3) { last } else { across && (last || index[d] == 0) }
                });
                assert_eq!(*value == 0.0, rests, "{name} at {index:?}: {value}");
            }
        }
    }
}

#[test]
fn other_sides_are_refused_by_name() {
    for beyond in ["open", "fixed"] {
        let text = job(&[20], &[1.0], beyond, "", "e_z = 0.0", "steps = 1\ndt = 0.1");
        let job = Job::parse(&text, Path::new("test.toml"), &[], &LIBRARY).unwrap();
        let refused = f64::program(MAXWELL, &job.setup).map(|_| ()).unwrap_err();
        let found = job.refuse_kernel(&refused).to_string();
        let words =
            format!("grid.boundary: the kernel has no \"{beyond}\" sides; use \"periodic\" or \"wall\"; for sides");
        assert!(found.starts_with(&words), "{found}");
    }
    let source = "[[source]]\nat = [0.0]\nfield = \"e_z\"\nwavelet = \"ricker\"\nfrequency = 1.0\namplitude = 1.0\n";
    let text = job(&[20], &[1.0], "wall", "", "", "steps = 1\ndt = 0.1") + source;
    let refused = Job::parse(&text, Path::new("test.toml"), &[], &LIBRARY).unwrap_err().to_string();
    assert!(refused.contains("the nearest point is held by the boundary"), "{refused}");
}
