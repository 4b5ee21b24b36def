//! Flows that are known exactly.

use std::f64::consts::PI;

use super::{ends, job, largest};

/// Error of the velocity of a Taylor-Green vortex on `points` by `points` points once its speed has fallen to `1/e`, relative and
/// in the mean square; on three axes it is the same at each z. The flow slows down with the points, so that density matters less.
fn vortex(points: usize, axes: usize, collision: &str) -> f64 {
    let (tau, speed) = (0.8, 0.02 * 64.0 / points as f64);
    let viscosity = (tau - 0.5) / 3.0;
    let k = 2.0 * PI / points as f64;
    let steps = (1.0 / (2.0 * viscosity * k * k)).round();
    let fields = format!(
        "density = {{ formula = \"1 - 0.75*{speed:?}^2*(cos(2*{k:?}*x) + cos(2*{k:?}*y))\" }}\n\
         velocity_x = {{ formula = \"-{speed:?}*cos({k:?}*x)*sin({k:?}*y)\" }}\n\
         velocity_y = {{ formula = \"{speed:?}*sin({k:?}*x)*cos({k:?}*y)\" }}"
    );
    let mut shape = vec![points; axes];
    if axes == 3 {
        shape[0] = 4;
    }
    let kernel = format!("tau = {tau}\ncollision = \"{collision}\"");
    let found =
        ends(&job(&shape, &vec!["periodic"; axes], &kernel, &fields, steps as usize), &["velocity_x", "velocity_y"]);
    let left = speed * (-2.0 * viscosity * k * k * steps).exp();
    let (mut off, mut all) = (0.0, 0.0);
    for (at, (u, v)) in found[0].iter().zip(&found[1]).enumerate() {
        let (x, y) = (k * (at % points) as f64, k * (at / points % points) as f64);
        let exact = [-left * x.cos() * y.sin(), left * x.sin() * y.cos()];
        off += (u - exact[0]).powi(2) + (v - exact[1]).powi(2);
        all += exact[0].powi(2) + exact[1].powi(2);
    }
    (off / all).sqrt()
}

#[test]
fn vortices_decay_to_second_order() {
    for (axes, collision) in [(2, "bgk"), (2, "trt"), (3, "bgk"), (3, "trt")] {
        let sizes: &[usize] = if axes == 2 { &[16, 32, 64] } else { &[16, 32] };
        let errors: Vec<f64> = sizes.iter().map(|&points| vortex(points, axes, collision)).collect();
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            println!("{axes} axes, {collision}: errors {errors:?}, order {order:.3}");
            assert!((1.8..2.2).contains(&order), "order {order}");
        }
        if let [.., last] = errors[..]
            && axes == 2
        {
            assert!(last < 2e-3, "{last} on 64 points");
        }
    }
}

/// Largest error of a flow that a force drives between walls across the slowest axis, relative to its largest speed.
fn channel(width: usize, axes: usize, collision: &str, solid: bool) -> f64 {
    let (tau, force) = (0.9, 1e-5);
    let viscosity = (tau - 0.5) / 3.0;
    let mut shape = vec![2; axes];
    shape[axes - 1] = 3;
    shape[0] = if solid { width + 3 } else { width };
    let mut beyond = vec!["periodic"; axes];
    let mut fields = "density = 1".to_owned();
    if solid {
        // Two solid rows below, one above, which also touch round the axis.
        let name = ["y", "z"][axes - 2];
        fields += &format!("\nsolid = {{ formula = \"step(1.5 - {name}) + step({name} - {})\" }}", width as f64 + 1.5);
    } else {
        beyond[0] = "wall";
    }
    let mut along = vec![0.0; axes];
    along[axes - 1] = force;
    let kernel = format!("tau = {tau}\ncollision = \"{collision}\"\nforce = {along:?}");
    let found = ends(&job(&shape, &beyond, &kernel, &fields, 40 * width * width), &["velocity_x"]);
    let row: usize = shape[1..].iter().product();
    let fastest = force / (2.0 * viscosity) * (width as f64 / 2.0).powi(2);
    let off = found[0].iter().enumerate().map(|(at, u)| {
        let y = (at / row) as f64 + 0.5 - if solid { 2.0 } else { 0.0 };
        let inside = (0.0..width as f64).contains(&y);
        u - if inside { force / (2.0 * viscosity) * y * (width as f64 - y) } else { 0.0 }
    });
    largest(off) / fastest
}

#[test]
fn channels_are_exact_with_the_magic_number() {
    for (axes, width) in [(2, 5), (2, 8), (2, 15), (3, 6)] {
        for solid in [false, true] {
            let error = channel(width, axes, "trt", solid);
            println!("{axes} axes, {width} points, solid {solid}: {error:e}");
            assert!(error < 1e-11, "{error}");
        }
    }
    // The test can fail: with one relaxation time walls are elsewhere.
    assert!(channel(8, 2, "bgk", false) > 1e-3);
}

/// Between walls of which one moves the velocity rises evenly, whichever walls they are.
#[test]
fn moving_walls_drag_the_fluid() {
    let width = 7;
    for axes in [2, 3] {
        for across in 0..axes {
            for (side, speed) in [("low", 0.05), ("high", -0.04)] {
                let along = (across + 1) % axes;
                let names = &["x", "y", "z"];
                let mut shape = vec![2; axes];
                shape[across] = width;
                let mut beyond = vec!["periodic"; axes];
                beyond[across] = "wall";
                let mut velocity = vec![0.0; axes];
                velocity[along] = speed;
                let name = names[axes - 1 - across];
                let kernel = format!("tau = 1.1\nwall_velocity_{name}_{side} = {velocity:?}");
                let field = format!("velocity_{}", names[axes - 1 - along]);
                let text = job(&shape, &beyond, &kernel, "density = 1.5", 1200);
                let found = ends(&text, &[&field]);
                let stride: usize = shape[across + 1..].iter().product();
                let off = found[0].iter().enumerate().map(|(at, u)| {
                    let share = ((at / stride % width) as f64 + 0.5) / width as f64;
                    u - speed * if side == "low" { 1.0 - share } else { share }
                });
                let off = largest(off);
                assert!(off < 1e-12, "{off} in {text}");
            }
        }
    }
}

/// A uniform fluid gains the force in each step; at the start it has the velocity that was given.
#[test]
fn velocity_counts_half_the_force() {
    for (axes, fields) in [(2, "density = 2\nvelocity_y = 0.01"), (3, "velocity_y = 0.01\ndensity = 2")] {
        for collision in ["bgk", "trt"] {
            for steps in [0, 1, 10] {
                let force = &[0.003, 0.002, 0.001][3 - axes..];
                let kernel = format!("tau = 0.7\ncollision = \"{collision}\"\nforce = {force:?}");
                let text = job(&vec![3; axes], &vec!["periodic"; axes], &kernel, fields, steps);
                let found = ends(&text, &["velocity_x", "velocity_y", "density"]);
                let gained = |force: f64| force * steps as f64 / 2.0;
                let wanted = [gained(0.001), 0.01 + gained(0.002), 2.0];
                for (found, wanted) in found.iter().zip(wanted) {
                    let off = largest(found.iter().map(|value| value - wanted));
                    assert!(off < 1e-15 * (1.0 + 4.0 * steps as f64), "{off} from {wanted} in\n{text}");
                }
            }
        }
    }
}

/// A velocity alone has density 1, and rest is kept to the last bit.
#[test]
fn rest_stays_rest() {
    for axes in [2, 3] {
        let text = |steps| {
            let beyond = &["wall", "periodic", "wall"][..axes];
            job(&vec![5; axes], beyond, "tau = 0.6\ncollision = \"trt\"", "velocity_x = 0", steps)
        };
        let names: Vec<String> = (0..if axes == 2 { 9 } else { 19 }).map(|number| format!("f{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("density");
        let (start, end) = (ends(&text(0), &names), ends(&text(500), &names));
        assert_eq!(start, end, "{axes} axes");
        assert!(end.last().unwrap().iter().all(|&density| density == 1.0));
    }
}
