//! The kernel `wave` against the exact solutions of its scheme and of the wave equation.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod common;

use std::f64::consts::PI;
use std::path::Path;

use common::jobs::{LIBRARY, parse};
use common::layouts::{Layout, states};
use ringfort::job::Job;

const ORDERS: [usize; 3] = [2, 4, 8];

/// Weights of a second derivative, by distance.
fn weights(order: usize) -> &'static [f64] {
    match order {
        2 => &[-2.0, 1.0],
        4 => &[-2.5, 4.0 / 3.0, -1.0 / 12.0],
        _ => &[-205.0 / 72.0, 1.6, -0.2, 8.0 / 315.0, -1.0 / 560.0],
    }
}

/// A job on points `spacing` apart. `kernel`: further lines of `[kernel]`.
fn job(points: &[usize], spacing: &[f64], beyond: &str, kernel: &str, fields: &str, time: &str) -> String {
    let beyond = vec![format!("\"{beyond}\""); points.len()].join(", ");
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{beyond}]\n\
         [kernel]\nname = \"wave\"\n{kernel}\n[fields]\n{fields}\n[time]\n{time}\n"
    )
}

/// Time step and pressure after each exchange of two steps, on two parts along the slowest axis.
fn run(text: &str) -> (f64, Vec<Vec<f64>>) {
    let job = parse(text);
    states::<f64>(&job, 0, &layout(&job, 2))
}

fn layout(job: &Job, steps_per_exchange: usize) -> Layout {
    let mut parts = vec![1; job.grid.axes];
    parts[0] = 2;
    Layout { parts, steps_per_exchange, ..Layout::alone(job.grid.axes) }
}

/// Largest of some numbers, NaN if one is.
fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, one| if one <= most { most } else { one })
}

/// Angular frequency of the scheme for the speed 1 and waves of `angles` from point to point along the axes.
fn frequency(order: usize, angles: &[f64], spacing: &[f64], dt: f64) -> f64 {
    let along = |(angle, h): (&f64, &f64)| {
        let w = weights(order);
        (1..w.len()).fold(w[0], |sum, k| sum + 2.0 * w[k] * (k as f64 * angle).cos()) / (h * h)
    };
    let square: f64 = -angles.iter().zip(spacing).map(along).sum::<f64>();
    2.0 / dt * (0.5 * dt * square.sqrt()).asin()
}

/// `sum angle_d i_d` of all points, in memory order.
fn phases(points: &[usize], angles: &[f64]) -> Vec<f64> {
    let phase = |mut at: usize| {
        let mut phase = 0.0;
        for (count, angle) in points.iter().zip(angles).rev() {
            phase += (at % count) as f64 * angle;
            at /= count;
        }
        phase
    };
    (0..points.iter().product()).map(phase).collect()
}

#[test]
fn plane_waves_have_the_frequency_of_the_scheme() {
    let cases: [(&[usize], &[f64], &[f64]); 6] = [
        (&[37], &[0.5], &[3.0]),
        (&[12, 21], &[0.9, 0.9], &[1.0, -2.0]),
        (&[12, 21], &[0.9, 1.3], &[2.0, 3.0]),
        (&[9, 10, 13], &[0.7, 0.7, 0.7], &[1.0, 2.0, -1.0]),
        (&[9, 10, 13], &[0.7, 0.9, 1.1], &[1.0, 0.0, 2.0]),
        (&[9, 10, 13], &[1.0, 1.0, 0.5], &[-1.0, 1.0, 1.0]),
    ];
    let mut worst = 0.0;
    for (points, spacing, modes) in cases {
        for order in ORDERS {
            let angles: Vec<f64> = modes.iter().zip(points).map(|(m, &n)| 2.0 * PI * m / n as f64).collect();
            let speed = 1.7;
            let dt = 0.2;
            // Time in units in which the speed is 1.
            let turn = frequency(order, &angles, spacing, dt) * dt;
            let names = &["z", "y", "x"][3 - points.len()..];
            let terms: Vec<String> =
                (0..points.len()).map(|axis| format!("({:?})*{}", angles[axis] / spacing[axis], names[axis])).collect();
            let wave = |shift: f64| format!("{{ formula = \"sin({} + ({shift:?}))\" }}", terms.join(" + "));
            for speed_given in [format!("{speed:?}"), format!("{{ formula = \"{speed:?}\" }}")] {
                let fields =
                    format!("pressure = {}\npressure_before = {}\nspeed = {speed_given}", wave(0.0), wave(turn));
                let time = format!("steps = 60\ndt = {:?}", dt / speed);
                let text = job(points, spacing, "periodic", &format!("order = {order}"), &fields, &time);
                let end = run(&text).1.pop().unwrap();
                let expected = phases(points, &angles).into_iter().map(|phase| (phase - 60.0 * turn).sin());
                let off = most(end.iter().zip(expected).map(|(end, expected)| (end - expected).abs()));
                assert!(off < 1e-11, "{off:e}\n{text}");
                worst = most([worst, off].into_iter());
            }
        }
    }
    println!("worst point of a plane wave {worst:e}");
    assert!(worst > 1e-16, "{worst:e}");
}

#[test]
fn waves_stand_between_walls() {
    for (points, spacing, modes) in [
        (vec![40], vec![0.5], vec![3.0]),
        (vec![18, 19], vec![0.9, 0.9], vec![2.0, 5.0]),
        (vec![16, 8, 11], vec![0.7, 0.9, 0.7], vec![1.0, 2.0, 3.0]),
    ] {
        for order in ORDERS {
            // At rest at the start, between walls half a cell beyond the first and last points.
            let angles: Vec<f64> = modes.iter().zip(&points).map(|(m, &n)| PI * m / n as f64).collect();
            let names = &["z", "y", "x"][3 - points.len()..];
            let cosines: Vec<String> = (0..points.len())
                .map(|axis| format!("cos({:?}*({}/{:?} + 0.5))", angles[axis], names[axis], spacing[axis]))
                .collect();
            let dt = 0.2;
            let fields = format!("pressure = {{ formula = \"{}\" }}\nspeed = 1.0", cosines.join("*"));
            let time = format!("steps = 100\ndt = {dt:?}");
            let text = job(&points, &spacing, "wall", &format!("order = {order}"), &fields, &time);
            let (_, states) = run(&text);
            let turn = frequency(order, &angles, &spacing, dt) * dt;
            for (round, state) in states.iter().enumerate() {
                let share = (turn * 2.0 * round as f64).cos();
                let off = most(state.iter().zip(&states[0]).map(|(now, start)| (now - share * start).abs()));
                assert!(off < 1e-11, "{off:e} in round {round}\n{text}");
            }
        }
    }
}

/// Largest error at time 0.25 of a wave with three periods on an axis of length 1.
fn travelled(order: usize, points: usize, dt: f64) -> f64 {
    let number = 6.0 * PI;
    let wave = |shift: f64| format!("{{ formula = \"sin({number:?}*(x + {shift:?}))\" }}");
    let fields = format!("pressure = {}\npressure_before = {}\nspeed = 1.0", wave(0.0), wave(dt));
    let time = format!("steps = {}\ndt = {dt:?}", (0.25 / dt).round());
    let text = job(&[points], &[1.0 / points as f64], "periodic", &format!("order = {order}"), &fields, &time);
    let end = run(&text).1.pop().unwrap();
    most(end.iter().enumerate().map(|(at, end)| (end - (number * (at as f64 / points as f64 - 0.25)).sin()).abs()))
}

#[test]
fn schemes_have_their_order() {
    for (order, points) in [(2, 64), (4, 32), (8, 24)] {
        // Time steps so short that space counts, shorter by its order as points come closer.
        let dt = 1.0 / 4096.0;
        let errors = [travelled(order, points, dt), travelled(order, 2 * points, dt / f64::exp2(order as f64 / 2.0))];
        let found = (errors[0] / errors[1]).log2();
        println!("order {order}: errors {errors:?}, order {found:.3}");
        assert!((found - order as f64).abs() < 0.35, "order {found}");
    }
}

#[test]
fn rest_at_the_start_is_of_second_order() {
    let error = |points: usize| {
        let number = 4.0 * PI;
        let dt = 0.5 / points as f64;
        let fields = format!("pressure = {{ formula = \"cos({number:?}*x)\" }}\nspeed = 1.0");
        let time = format!("steps = {}\ndt = {dt:?}", points / 2);
        let text = job(&[points], &[1.0 / points as f64], "periodic", "order = 8", &fields, &time);
        let end = run(&text).1.pop().unwrap();
        let share = (number * 0.25_f64).cos();
        // After a quarter of a period, when all is level, and after a half, at the opposite crests.
        assert!((share + 1.0).abs() < 1e-12);
        let early = run(&text.replace(&format!("steps = {}", points / 2), &format!("steps = {}", points / 4)));
        let early = early.1.into_iter().next_back().unwrap();
        let quarter = most(early.iter().map(|early| early.abs()));
        let half =
            end.iter().enumerate().map(|(at, end)| (end - share * (number * at as f64 / points as f64).cos()).abs());
        most([quarter, most(half)].into_iter())
    };
    let errors = [error(64), error(128)];
    let order = (errors[0] / errors[1]).log2();
    println!("at rest: errors {errors:?}, order {order:.3}");
    assert!((1.9..2.1).contains(&order), "order {order}");
}

/// Energy of a row with walls, which leapfrog keeps: from pressure now and one step before, for the speed 1 and points 1 apart.
fn energy(order: usize, dt: f64, now: &[f64], before: &[f64]) -> f64 {
    let w = weights(order);
    let count = now.len().cast_signed();
    let at = |index: isize| {
        let inside = if index < 0 { -1 - index } else { index.min(2 * count - 1 - index) };
        now[inside.unsigned_abs()]
    };
    let mut sum = 0.0;
    for (index, (now, before)) in now.iter().zip(before).enumerate() {
        let index = index.cast_signed();
        let around = (1..w.len()).map(|k| w[k] * (at(index - k.cast_signed()) + at(index + k.cast_signed())));
        let bent = w[0] * now + around.sum::<f64>();
        sum += ((now - before) / dt).powi(2) - bent * before;
    }
    sum
}

/// Energy after each exchange of a pulse on a row of 200 points between walls, over 2,000 steps.
fn energies(order: usize, absorb: &str) -> Vec<f64> {
    let dt = 0.5;
    let fields = "pressure = { formula = \"exp(-((x - 90)/6)^2)*cos(0.6*x)\" }\nspeed = 1.0";
    let kernel = format!("order = {order}\n{absorb}");
    let job = parse(&job(&[200], &[1.0], "wall", &kernel, fields, &format!("steps = 2000\ndt = {dt:?}")));
    let [now, before] = [0, 1].map(|slot| states::<f64>(&job, slot, &layout(&job, 10)).1);
    now.iter().zip(&before).map(|(now, before)| energy(order, dt, now, before)).collect()
}

#[test]
fn walls_keep_energy_and_sponges_take_it() {
    for order in ORDERS {
        let kept = energies(order, "");
        let off = most(kept.iter().map(|energy| (energy / kept[0] - 1.0).abs()));
        println!("order {order}: energy between walls changes by {off:e}");
        assert!(off < 1e-11, "{off:e}");
        let taken = energies(order, "absorb = { width = 30, strength = 0.15 }");
        // Both halves have met the sponge after 400 steps, which is 200 points.
        let share = taken[40] / taken[0];
        println!("order {order}: share of the energy that a sponge leaves {share:e}");
        assert!(share < 1e-4, "{share:e}");
        assert!(taken[40..].iter().all(|energy| energy / taken[0] < 1e-4), "none comes back");
        let narrow = energies(order, "absorb = { width = 2, strength = 0.01 }");
        assert!(narrow[40] / narrow[0] > 0.5, "a thin sponge takes little");
    }
}

#[test]
fn a_sponge_takes_its_share_at_both_levels() {
    let points = [11, 9, 14];
    for sides in ["\"wall\", \"wall\"", "\"periodic\", \"open\"", "\"periodic\", \"periodic\""] {
        let walls: Vec<bool> = sides.split(", ").chain(["open"]).map(|side| !side.contains("periodic")).collect();
        let absorb = "absorb = { width = 4, strength = 0.3 }";
        let text = job(&points, &[1.0; 3], "open", absorb, "pressure = 1.0\nspeed = 0.0", "steps = 1\ndt = 0.5");
        let text = text.replace("\"open\", \"open\", \"open\"", &format!("{sides}, \"open\""));
        let end = run(&text).1.pop().unwrap();
        let (mut outermost, mut untouched) = (0, 0);
        for (at, value) in end.iter().enumerate() {
            let index = [at / 126, at / 14 % 9, at % 14];
            let sides = (0..3).filter(|&axis| walls[axis]);
            let depth = sides.map(|axis| index[axis].min(points[axis] - 1 - index[axis])).min().unwrap();
            let kept = 1.0 - 0.3 * (4.0 - depth.min(4) as f64).powi(2) / 16.0;
            // Nothing moves: twice the value less the level before, which is the same.
            assert!((value - kept * (2.0 - kept)).abs() < 1e-15, "{value} at {index:?}");
            outermost += usize::from(depth == 0);
            untouched += usize::from(depth >= 4);
        }
        assert!(outermost > 0 && untouched > 0, "{outermost}, {untouched}");
    }
}

#[test]
fn what_a_sponge_leaves_becomes_zero() {
    let fields = "pressure = { formula = \"cos(x)*cos(2*y)\" }\nspeed = 1.0";
    let absorb = "absorb = { width = 9, strength = 0.5 }";
    let text = job(&[16, 18], &[1.0, 1.0], "wall", absorb, fields, "steps = 6000\ndt = 0.5");
    let (_, states) = run(&text);
    assert!(states.last().unwrap().iter().all(|&value| value == 0.0));
}

#[test]
fn a_mirrored_start_stays_mirrored() {
    for order in ORDERS {
        let fields = "pressure = { formula = \"exp(-(x - 7)^2/5 - (y - 9)^2/7)\" }\nspeed = 1.1";
        for beyond in ["periodic", "wall", "open", "fixed"] {
            let kernel = format!("order = {order}\nabsorb = {{}}");
            let text = job(&[19, 15], &[1.0, 1.0], beyond, &kernel, fields, "steps = 40\ndt = 0.4");
            let end = run(&text).1.pop().unwrap();
            for (at, value) in end.iter().enumerate() {
                let (y, x) = (at / 15, at % 15);
                let mirrors = [end[(18 - y) * 15 + x], end[y * 15 + 14 - x]];
                assert!(mirrors.iter().all(|mirror| mirror.to_bits() == value.to_bits()), "{beyond}, {y}, {x}");
            }
        }
    }
}

#[test]
fn the_bound_is_sharp() {
    for (points, spacing) in [(vec![32], vec![0.8]), (vec![16, 12], vec![0.8, 1.1]), (vec![8, 8, 6], vec![1.0; 3])] {
        for order in ORDERS {
            let fields = "pressure = { formula = \"sin(19*x + 7) + cos(5*x)\" }\nspeed = 2.5";
            let kernel = format!("order = {order}");
            let text = |time: &str| job(&points, &spacing, "periodic", &kernel, fields, time);
            let (dt, states) = run(&text("steps = 1000\ncourant = 1.0"));
            let largest = most(states.last().unwrap().iter().map(|value| value.abs()));
            assert!(largest < 1000.0, "{largest:e}");
            let all: f64 = weights(order)[1..].iter().fold(-weights(order)[0], |sum, w| sum + 2.0 * w.abs());
            let steepest: f64 = spacing.iter().map(|h| all / (h * h)).sum();
            assert!((dt * 2.5 * steepest.sqrt() / 2.0 - 1.0).abs() < 1e-12);
            // The frequency of the wave that changes sign from point to point is then that of the steps.
            let angles = vec![PI; points.len()];
            assert!((frequency(order, &angles, &spacing, dt * 2.5) * dt * 2.5 - PI).abs() < 1e-6);
        }
    }
}

#[test]
fn wrong_parameters_are_named() {
    let refused = |kernel: &str| {
        let text = job(&[20], &[1.0], "wall", kernel, "pressure = 0.0\nspeed = 1.0", "steps = 1\ndt = 0.1");
        Job::parse(&text, Path::new("test.toml"), &[], &LIBRARY).unwrap_err().to_string()
    };
    for (kernel, words) in [
        ("order = 3", "kernel.order: 3 is none; give one of 2, 4, 8"),
        ("order = \"two\"", "kernel.order: give one of 2, 4, 8"),
        ("absorb = 3", "kernel.absorb: give a table of numbers, { width = ..., strength = ... }"),
        ("absorb = { width = 0 }", "kernel.absorb.width: 0 is out of range; give a finite number from 1 to 1000000"),
        (
            "absorb = { strength = 1.5 }",
            "kernel.absorb.strength: 1.5 is out of range; give a finite number from 0 to 1",
        ),
        (
            "absorb = { widht = 5 }",
            "unknown key `widht` in [kernel.absorb]; did you mean `width`? known are: width, strength",
        ),
        ("absorbs = { width = 5 }", "unknown key `absorbs` in [kernel] of wave; did you mean `absorb`?"),
    ] {
        let found = refused(kernel);
        assert!(found.starts_with(words), "{found}");
    }
}
