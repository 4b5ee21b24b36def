//! The kernel `gray-scott` against what is known of its scheme and of Gray and Scott's equations.
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
use common::layouts::{Bits, Layout, states};

/// Diffusivities, feed and kill.
type Rates = [f64; 4];

/// Pearson's spots that divide, on points one apart.
const SPOTS: Rates = [0.16, 0.08, 0.035, 0.065];

fn job(points: &[usize], precision: &str, [du, dv, feed, kill]: Rates, fields: &str, time: &str) -> String {
    let beyond = vec!["\"periodic\""; points.len()].join(", ");
    format!(
        "[grid]\npoints = {points:?}\nboundary = [{beyond}]\n\
         [kernel]\nname = \"gray-scott\"\nprecision = \"{precision}\"\n\
         du = {du:?}\ndv = {dv:?}\nfeed = {feed:?}\nkill = {kill:?}\n\
         [fields]\n{fields}\n[time]\n{time}\n"
    )
}

/// `u` and `v` at the end of a job on two parts along the slowest axis.
fn end<T: Bits>(text: &str) -> [Vec<f64>; 2] {
    let job = parse(text);
    let mut parts = vec![1; job.grid.axes];
    parts[0] = 2;
    let layout = Layout { parts, steps_per_exchange: 4, ..Layout::alone(job.grid.axes) };
    let wide = |values: &Vec<T>| values.iter().map(|value| value.to_f64()).collect();
    [0, 1].map(|slot| wide(states::<T>(&job, slot, &layout).1.last().unwrap()))
}

fn furthest(values: &[f64], from: f64) -> f64 {
    values.iter().map(|value| (value - from).abs()).fold(0.0, |most, one| if one <= most { most } else { one })
}

/// A uniform state that the reaction keeps: `u v = feed + kill` and `feed (1 - u) = u v^2`, with the larger `v`.
fn steady([_, _, feed, kill]: Rates) -> (f64, f64) {
    let loss = feed + kill;
    let u = 0.5 * (1.0 - (1.0 - 4.0 * loss * loss / feed).sqrt());
    (u, feed * (1.0 - u) / loss)
}

#[test]
fn steady_states_stay() {
    // The living one is stable where both eigenvalues are, as for these rates.
    let rates = [0.16, 0.08, 0.05, 0.05];
    let (living_u, living_v) = steady(rates);
    assert!(living_v > 0.3, "{living_v}");
    for points in [&[8, 9][..], &[4, 5, 6]] {
        for (u, v) in [(1.0, 0.0), (living_u, living_v)] {
            let text = job(points, "f64", rates, &format!("u = {u:?}\nv = {v:?}"), "steps = 1000\ndt = 0.6");
            let [end_u, end_v] = end::<f64>(&text);
            let moved = [furthest(&end_u, u), furthest(&end_v, v)];
            println!("({u}, {v}) moved by {moved:?} in 1,000 steps");
            assert!(moved.iter().all(|&moved| moved < 1e-10), "{moved:?}");
        }
    }
}

#[test]
fn a_uniform_field_follows_the_reaction_alone() {
    for (u0, v0, dt) in [(0.9, 0.3, 0.5), (0.5, 0.25, 0.9), (0.8, 0.01, 0.25), (0.2, 0.6, 0.7)] {
        for points in [&[5, 6][..], &[4, 3, 5]] {
            let rates = [0.08, 0.04, 0.035, 0.065];
            let [_, _, feed, kill] = rates;
            let fields = format!("u = {u0:?}\nv = {v0:?}");
            let text = job(points, "f64", rates, &fields, &format!("steps = 200\ndt = {dt:?}"));
            let (mut u, mut v) = (u0, v0);
            for _ in 0..200 {
                let met: f64 = u * v * v;
                (u, v) = (u + dt * (feed * (1.0 - u) - met), v + dt * (met - (feed + kill) * v));
            }
            let [end_u, end_v] = end::<f64>(&text);
            let off = [furthest(&end_u, u), furthest(&end_v, v)];
            assert!(off.iter().all(|&off| off < 1e-12), "{off:?} from ({u}, {v})");
            assert!((u - u0).abs() > 1e-3, "something happens");
        }
    }
}

/// A square of `v` in the middle.
fn square(points: usize, half: usize) -> String {
    let middle = points / 2;
    let inside = format!("step({half}.5 - abs(x - {middle}))*step({half}.5 - abs(y - {middle}))");
    format!("u = {{ formula = \"1 - 0.5*{inside}\" }}\nv = {{ formula = \"0.25*{inside}*(1 + 0.04*sin(3*x + 5*y))\" }}")
}

#[test]
fn spots_live_and_weak_ones_die() {
    for precision in ["f64", "f32"] {
        let run = |rates| {
            let text = job(&[64, 64], precision, rates, &square(64, 8), "steps = 5000\ndt = 1.0");
            if precision == "f64" { end::<f64>(&text) } else { end::<f32>(&text) }
        };
        let [u, v] = run(SPOTS);
        let covered = v.iter().filter(|&&v| v > 0.1).count();
        println!("{precision}: {covered} of 4096 points alive, started with 289");
        assert!(covered > 600, "the pattern grows: {covered}");
        assert!(u.iter().chain(&v).all(|&value| (0.0..=1.0).contains(&value)), "shares stay shares");
        // What is fed too little and decays too fast leaves nothing: zero itself, not something subnormal.
        let [u, v] = run([0.16, 0.08, 0.02, 0.1]);
        assert!(v.iter().all(|&v| v == 0.0), "{:e} of v is left", furthest(&v, 0.0));
        assert!(furthest(&u, 1.0) < 1e-3, "{}", furthest(&u, 1.0));
    }
}

#[test]
fn what_is_too_little_becomes_zero() {
    for precision in ["f64", "f32"] {
        for (v, kept) in [(0.9e-30, false), (1.2e-30, true)] {
            let text =
                job(&[4, 5], precision, [0.1, 0.1, 0.0, 0.0], &format!("u = 0.0\nv = {v:e}"), "steps = 1\ndt = 1");
            let [u, end] = if precision == "f64" { end::<f64>(&text) } else { end::<f32>(&text) };
            assert!(end.iter().all(|&end| (end > 0.0) == kept), "{v:e} gives {end:?}");
            assert!(u.iter().all(|&u| u == 0.0 || u > 1e-31), "nothing subnormal: {u:?}");
        }
    }
}

/// Error after a time of 0.02 of a wave of `u` that only diffuses, on the unit box.
fn error(points: usize, axes: usize) -> f64 {
    let h = 1.0 / points as f64;
    let names = &["z", "y", "x"][3 - axes..];
    let shape = vec![points; axes];
    let steps = (0.02 * (points * points * axes) as f64 / 0.4).round();
    let dt = 0.02 / steps;
    let phase = names.join(" + ");
    let fields = format!("u = {{ formula = \"0.5 + 0.2*sin(2*pi*({phase}))\" }}\nv = 0.0");
    let text = job(&shape, "f64", [1.0, 0.5, 0.0, 0.0], &fields, &format!("steps = {steps}\ndt = {dt:?}"));
    let text = text.replace("boundary", &format!("spacing = {:?}\nboundary", vec![h; axes]));
    let [u, _] = end::<f64>(&text);
    let amplitude = 0.2 * (-4.0 * PI * PI * axes as f64 * 0.02).exp();
    let mut most = 0.0;
    for (at, u) in u.iter().enumerate() {
        let index: usize = (0..axes).map(|axis| at / points.pow(axis as u32) % points).sum();
        let off = (u - 0.5 - amplitude * (2.0 * PI * index as f64 * h).sin()).abs();
        assert!(off.is_finite());
        most = if off > most { off } else { most };
    }
    most
}

#[test]
fn diffusion_is_of_second_order() {
    for (axes, coarse) in [(2, 20), (3, 10)] {
        let errors = [error(coarse, axes), error(2 * coarse, axes)];
        let order = (errors[0] / errors[1]).log2();
        println!("{axes} axes: errors {errors:?}, order {order:.3}");
        assert!((1.9..2.1).contains(&order), "order {order}");
    }
}

#[test]
fn the_bound_is_that_of_the_scheme() {
    let text = |dt: f64| {
        job(&[16, 16], "f64", [0.16, 0.08, 0.04, 0.06], "v = 0.0", &format!("steps = 400\ndt = {dt:?}"))
            .replace("[fields]", "[fields]\nu = { formula = \"1 + 0.001*cos(pi*(x + y))\" }")
    };
    // About u = 1, v = 0 the fastest mode changes sign from cell to cell and bears dt (4 du + feed / 2) = 1.
    let limit = 1.0 / (4.0 * 0.16 + 0.02);
    assert!(limit > 1.5);
    let [u, _] = end::<f64>(&text(1.0 / (4.0 * 0.16 + 0.145)));
    assert!(furthest(&u, 1.0) < 1e-6, "{}", furthest(&u, 1.0));
    let refused = std::panic::catch_unwind(|| end::<f64>(&text(limit)));
    assert!(refused.is_err(), "a time step beyond the bound is refused");
}
