//! The kernel `heat` against what is known of its scheme and of the heat equation.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod common;

use std::f64::consts::PI;

use common::jobs::parse;
use common::layouts::{Bits, Layout, history};
use ringfort::advance::library::{HEAT, Precise};
use ringfort::grid::Grid;

/// A heat job. `time`: the lines of `[time]`.
fn job(points: &[usize], spacing: f64, beyond: &str, precision: &str, fields: &str, time: &str) -> String {
    let spacing = vec![spacing; points.len()];
    let beyond = vec![format!("\"{beyond}\""); points.len()].join(", ");
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{beyond}]\n\
         [kernel]\nname = \"heat\"\nprecision = \"{precision}\"\n[fields]\n{fields}\n[time]\n{time}\n"
    )
}

fn layout(parts: &[usize], steps_per_exchange: usize) -> Layout {
    Layout { parts: parts.to_vec(), steps_per_exchange, ..Layout::alone(parts.len()) }
}

/// The whole first component at the start and at the end of a job.
fn ends<T: Bits>(text: &str, layout: &Layout) -> (Vec<f64>, Vec<f64>) {
    let (_, history) = history::<T>(&parse(text), layout);
    let wide = |values: &Vec<T>| values.iter().map(|value| value.to_f64()).collect();
    (wide(history.first().unwrap()), wide(history.last().unwrap()))
}

/// `sum m_d i_d / N_d` of all points, in memory order.
fn phases(grid: &Grid, mode: &[i32]) -> Vec<f64> {
    let points = grid.own(&grid.points).to_vec();
    (0..grid.region().cells())
        .map(|mut at| {
            let mut phase = 0.0;
            for (axis, &count) in points.iter().enumerate().rev() {
                phase += f64::from(mode[axis]) * (at % count) as f64 / count as f64;
                at /= count;
            }
            phase
        })
        .collect()
}

/// A formula of a wave with `mode[d]` periods along each axis of `points` points `spacing` apart.
fn wave(points: &[usize], mode: &[i32], spacing: f64) -> String {
    let names = &["w", "z", "y", "x"][4 - points.len()..];
    let terms: Vec<String> = (0..points.len())
        .map(|axis| format!("({}) * {} / {}", mode[axis], names[axis], spacing * points[axis] as f64))
        .collect();
    format!("{{ formula = \"1 + sin(2 * pi * ({}))\" }}", terms.join(" + "))
}

/// Relative error of the amplitude of a wave after `steps` steps at `dt / h^2 = r`, and the error of its worst point.
fn decay<T: Bits>(
    precision: &str,
    points: &[usize],
    mode: &[i32],
    layout: &Layout,
    (steps, r): (i32, f64),
) -> (f64, f64) {
    let fields = format!("temperature = {}\ndiffusivity = 1.0", wave(points, mode, 1.0));
    let text = job(points, 1.0, "periodic", precision, &fields, &format!("steps = {steps}\ndt = {r}"));
    let (_, end) = ends::<T>(&text, layout);
    let squares: f64 = mode.iter().zip(points).map(|(&m, &n)| (PI * f64::from(m) / n as f64).sin().powi(2)).sum();
    let expected = (1.0 - 4.0 * r * squares).powi(steps);
    let sines: Vec<f64> = phases(&parse(&text).grid, mode).iter().map(|phase| (2.0 * PI * phase).sin()).collect();
    let projected: f64 = end.iter().zip(&sines).map(|(value, sine)| (value - 1.0) * sine).sum();
    let amplitude = projected / sines.iter().map(|sine| sine * sine).sum::<f64>();
    let worst = end.iter().zip(&sines).map(|(value, sine)| (value - 1.0 - expected * sine).abs());
    ((amplitude / expected - 1.0).abs(), worst.fold(0.0, f64::max_explicit))
}

/// The larger of two numbers, NaN if either is.
trait MaxExplicit {
    fn max_explicit(self, other: f64) -> f64;
}

impl MaxExplicit for f64 {
    fn max_explicit(self, other: f64) -> f64 {
        if other > self || other.is_nan() { other } else { self }
    }
}

/// Grids, modes and cuts of waves.
fn waves() -> Vec<(Vec<usize>, Vec<i32>, Vec<usize>)> {
    let mut all = Vec::new();
    for mode in [1, 2, 3, 5, -4, 7] {
        for parts in [1, 2, 3, 5] {
            all.push((vec![31], vec![mode], vec![parts]));
        }
    }
    for mode in [[0, 1], [1, 0], [1, 1], [2, -3], [3, 4]] {
        for parts in [[1, 1], [2, 1], [1, 3], [2, 2], [4, 2]] {
            all.push((vec![12, 21], mode.to_vec(), parts.to_vec()));
        }
    }
    for mode in [[1, 0, 2], [1, 1, 1], [0, -2, 1]] {
        for parts in [[1, 1, 1], [2, 1, 3], [2, 2, 2]] {
            all.push((vec![7, 10, 9], mode.to_vec(), parts.to_vec()));
        }
    }
    for mode in [[1, 0, 0, 1], [1, 1, -1, 1]] {
        for parts in [[1, 1, 1, 1], [2, 1, 2, 1], [1, 3, 1, 2]] {
            all.push((vec![5, 6, 4, 7], mode.to_vec(), parts.to_vec()));
        }
    }
    all
}

#[test]
fn waves_decay_at_the_rate_of_the_scheme() {
    let mut worst = (0.0, 0.0);
    let all = waves();
    for (at, (points, mode, parts)) in all.iter().enumerate() {
        let r = 0.4 / points.len() as f64;
        let (amplitude, point) = decay::<f64>("f64", points, mode, &layout(parts, 1 + at % 3), (10, r));
        worst = (amplitude.max_explicit(worst.0), point.max_explicit(worst.1));
        assert!(amplitude < 1e-12 && point < 1e-12, "{points:?}, {mode:?}, {parts:?}: {amplitude:e}, {point:e}");
    }
    println!("{} waves: worst relative error of the amplitude {:e}, of a point {:e}", all.len(), worst.0, worst.1);
}

#[test]
fn waves_decay_in_single_precision() {
    let mut worst = 0.0;
    for (at, (points, mode, parts)) in waves().iter().enumerate() {
        let r = 0.25 / points.len() as f64;
        let (_, point) = decay::<f32>("f32", points, mode, &layout(parts, 1 + at % 3), (10, r));
        worst = point.max_explicit(worst);
    }
    println!("f32: worst error of a point {worst:e}");
    assert!(worst < 2e-6 && worst > 1e-9, "{worst:e}");
}

/// Largest error against `1 + exp(-4 pi^2 |m|^2 t) sin(2 pi m x)` on the unit box at `t = 0.01`, with `points` points along
/// each axis and `dt = 0.4 h^2 / axes`.
fn continuum_error(points: usize, mode: &[i32], parts: &[usize]) -> f64 {
    let h = 1.0 / points as f64;
    let axes = mode.len();
    let steps = (0.01 * (points * points * axes) as f64 / 0.4).round();
    let shape = vec![points; axes];
    let fields = format!("temperature = {}\ndiffusivity = 1.0", wave(&shape, mode, h));
    let text = job(&shape, h, "periodic", "f64", &fields, &format!("steps = {steps}\ndt = {:?}", 0.01 / steps));
    let (_, end) = ends::<f64>(&text, &layout(parts, 2));
    let square: f64 = mode.iter().map(|&m| f64::from(m * m)).sum();
    let amplitude = (-4.0 * PI * PI * square * 0.01).exp();
    let phases = phases(&parse(&text).grid, mode);
    let errors =
        end.iter().zip(phases).map(|(value, phase)| (value - 1.0 - amplitude * (2.0 * PI * phase).sin()).abs());
    errors.fold(0.0, f64::max_explicit)
}

#[test]
fn the_scheme_is_of_second_order() {
    let cases: [(&[i32], [usize; 2], &[usize]); 4] = [
        (&[1], [40, 80], &[3]),
        (&[2], [40, 80], &[1]),
        (&[1, 2], [40, 80], &[2, 2]),
        (&[1, 1, 1], [20, 40], &[1, 2, 1]),
    ];
    for (mode, [coarse, fine], parts) in cases {
        let errors = [continuum_error(coarse, mode, parts), continuum_error(fine, mode, parts)];
        let order = (errors[0] / errors[1]).log2();
        println!("mode {mode:?}: errors {:e} and {:e}, order {order:.3}", errors[0], errors[1]);
        assert!((1.9..2.1).contains(&order), "order {order}");
    }
}

const UNEVEN: &str = "temperature = { formula = \"20 + 5*sin(3*x) + 4*cos(7*x*y)\" }\n\
                      diffusivity = { formula = \"0.6 + 0.5*sin(2*x + 5*y)\" }";

#[test]
fn walls_keep_all_heat() {
    for (parts, depth) in [([1, 1], 1), ([2, 3], 4), ([4, 1], 3)] {
        let text = job(&[23, 31], 1.0, "wall", "f64", UNEVEN, "steps = 300\ncourant = 0.9");
        let (start, end) = ends::<f64>(&text, &layout(&parts, depth));
        let (before, after): (f64, f64) = (start.iter().sum(), end.iter().sum());
        let lost = (after / before - 1.0).abs();
        println!("{parts:?}: share of heat lost in 300 steps {lost:e}");
        assert!(lost < 1e-13, "{lost:e}");
        let spread = |values: &[f64]| values.iter().map(|value| (value - 20.0).abs()).fold(0.0, f64::max_explicit);
        assert!(spread(&end) < 0.9 * spread(&start), "heat flows");
    }
}

#[test]
fn no_point_leaves_the_range_of_the_start() {
    for beyond in ["periodic", "wall", "fixed", "open"] {
        for (fields, courant) in [(UNEVEN.to_owned(), 1.0), (UNEVEN.replace("0.6 + 0.5", "0.6 + 0.0"), 0.95)] {
            let time = format!("steps = 60\ncourant = {courant}");
            let text = job(&[12, 17], 1.0, beyond, "f64", &fields, &time);
            let (_, states) = history::<f64>(&parse(&text), &layout(&[2, 2], 1));
            let bounds = |values: &[f64]| {
                let low = values.iter().fold(f64::INFINITY, |low, &value| if value < low { value } else { low });
                (low, values.iter().fold(f64::NEG_INFINITY, |high, &value| high.max_explicit(value)))
            };
            let first = bounds(&states[0]);
            for (step, state) in states.iter().enumerate() {
                let (low, high) = bounds(state);
                // One rounding of a value near 29.
                let inside = low >= first.0 - 1e-14 * 29.0 && high <= first.1 + 1e-14 * 29.0;
                assert!(inside, "{beyond}: {low} to {high} at step {step}, {first:?} at the start");
            }
        }
    }
}

#[test]
fn one_number_and_a_formula_of_it_agree() {
    let number = "temperature = { formula = \"20 + 5*sin(3*x) + 4*cos(7*x*y)\" }\ndiffusivity = 0.7";
    let formula = number.replace("= 0.7", "= { formula = \"0.7\" }");
    for beyond in ["periodic", "wall", "fixed", "open"] {
        let text = |fields: &str| job(&[14, 19], 1.0, beyond, "f64", fields, "steps = 50\ndt = 0.3");
        let (_, one) = ends::<f64>(&text(number), &layout(&[2, 1], 2));
        let (_, other) = ends::<f64>(&text(&formula), &layout(&[1, 2], 3));
        let differences = one.iter().zip(&other).map(|(one, other)| (one / other - 1.0).abs());
        let worst = differences.fold(0.0, f64::max_explicit);
        println!("{beyond}: schemes of constant and varying diffusivity differ by {worst:e}");
        assert!(worst < 1e-13, "{worst:e}");
        assert_ne!(one, other, "the schemes are not the same");
        let program = |fields: &str| f64::program(HEAT, &parse(&text(fields)).setup).unwrap();
        assert_ne!(program(number).footprint(), program(&formula).footprint());
        assert_ne!(parse(&text(number)).fingerprint, parse(&text(&formula)).fingerprint);
    }
}

#[test]
fn perfusion_relaxes_at_its_rate() {
    for perfusion in ["0.3", "{ formula = \"0.3\" }"] {
        for (diffusivity, steps) in [("0.0", 1), ("0.5", 20), ("{ formula = \"0.5\" }", 20)] {
            let fields =
                format!("temperature = 20.0\ndiffusivity = {diffusivity}\nperfusion = {perfusion}\narterial = 37.0");
            let text = job(&[6, 9], 1.0, "wall", "f64", &fields, &format!("steps = {steps}\ndt = 0.2"));
            let (_, end) = ends::<f64>(&text, &layout(&[2, 2], 2));
            let expected = 37.0 - 17.0 * (1.0 - 0.3 * 0.2_f64).powi(steps);
            for value in end {
                assert!((value / expected - 1.0).abs() < 1e-12, "{value}, expected {expected}");
            }
        }
    }
}

#[test]
fn a_linear_profile_between_held_ends_stays() {
    for diffusivity in ["0.7", "{ formula = \"0.7\" }"] {
        let fields = format!("temperature = {{ formula = \"3 + 2*x - 0.5*y\" }}\ndiffusivity = {diffusivity}");
        let text = job(&[9, 26], 1.0, "fixed", "f64", &fields, "steps = 400\ndt = 0.3");
        let (start, end) = ends::<f64>(&text, &layout(&[2, 3], 3));
        let moved = start.iter().zip(&end).map(|(start, end)| (start - end).abs()).fold(0.0, f64::max_explicit);
        println!("a linear profile moved by {moved:e} in 400 steps");
        assert!(moved < 1e-12, "{moved:e}");
    }
    // From an uneven start the profile between held ends becomes linear.
    let fields = "temperature = { formula = \"1 + x + 3*sin(0.8*x)\" }\ndiffusivity = { formula = \"0.7\" }";
    let text = job(&[17], 1.0, "fixed", "f64", fields, "steps = 4000\ncourant = 0.95");
    let (start, end) = ends::<f64>(&text, &layout(&[4], 2));
    for (at, value) in end.iter().enumerate() {
        let expected = start[0] + (start[16] - start[0]) * at as f64 / 16.0;
        assert!((value - expected).abs() < 1e-12, "{at}: {value}, expected {expected}");
    }
}
