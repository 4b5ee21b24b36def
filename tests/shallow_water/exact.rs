//! Dam breaks, smooth flow and a hump on the sphere, against what is known of them exactly.

use super::tank::Tank;

const GRAVITY: f64 = 9.81;

/// A dam at x = 0 between depths 10 and `low` breaks, along x or y; `points` cells over 200 m.
fn dam(points: usize, low: f64, along_x: bool, time: f64) -> Tank {
    let h = 200.0 / points as f64;
    let origin = -100.0 + 0.5 * h;
    let (shape, origin, axis) = match along_x {
        true => ([1, points], [0.0, origin], "x"),
        false => ([points, 1], [origin, 0.0], "y"),
    };
    let text = format!(
        "[grid]\npoints = {shape:?}\nspacing = [{h}, {h}]\norigin = {origin:?}\nboundary = [\"wall\", \"wall\"]\n\
         [kernel]\nname = \"shallow-water\"\n\
         [fields]\ndepth = {{ formula = \"10 - {} * step({axis})\" }}\nbed = 0.0\n\
         [time]\nsteps = 1\ndt = {}\n",
        10.0 - low,
        0.01 * h,
    );
    let mut tank = Tank::new(&text);
    let steps = (time / tank.dt()).round() as usize;
    tank.advance(steps);
    tank
}

/// Depth at `x / t` after a dam between depths 10 and 1 broke (Stoker 1957).
fn stoker(ratio: f64) -> f64 {
    let (left, right) = ((GRAVITY * 10.0).sqrt(), (GRAVITY * 1.0).sqrt());
    let middle: f64 = 3.961_748_168;
    let c = (GRAVITY * middle).sqrt();
    let speed = 2.0 * (left - c);
    let shock = right * (0.5 * middle * (middle + 1.0)).sqrt();
    match ratio {
        r if r < -left => 10.0,
        r if r < speed - c => (2.0 * left - r).powi(2) / (9.0 * GRAVITY),
        r if r < shock => middle,
        _ => 1.0,
    }
}

#[test]
fn a_dam_breaks_as_stoker_says() {
    for along_x in [true, false] {
        let tank = dam(400, 1.0, along_x, 5.0);
        let depth = tank.field("depth");
        let x = |at: usize| -100.0 + 0.5 * (at as f64 + 0.5);
        let exact: Vec<f64> = (0..400).map(|at| stoker(x(at) / tank.time())).collect();
        let error: f64 = depth.iter().zip(&exact).map(|(got, want)| (got - want).abs()).sum::<f64>();
        let error = error / exact.iter().sum::<f64>();
        let middle = depth[260] / 3.961_748_168 - 1.0;
        println!("Stoker: relative L1 error {error:e}, depth of the middle off by {middle:e}");
        assert!(error < 0.01 && middle.abs() < 0.005);
    }
}

#[test]
fn a_dry_bed_floods_as_ritter_says() {
    let mut tank = dam(400, 0.0, true, 0.0);
    let c = (GRAVITY * 10.0_f64).sqrt();
    for _ in 0..8 {
        let quarter = (0.5 / tank.dt()).round() as usize;
        tank.advance(quarter);
        let depth = tank.field("depth");
        assert!(depth.iter().all(|&depth| depth >= 0.0));
        for (name, depth) in ["momentum_x", "momentum_y"].map(|name| (tank.field(name), &depth)) {
            assert!(name.iter().zip(depth).all(|(momentum, &depth)| depth >= 1e-6 || *momentum == 0.0));
        }
    }
    let (depth, time) = (tank.field("depth"), tank.time());
    let x = |at: usize| -100.0 + 0.5 * (at as f64 + 0.5);
    let exact = |x: f64| match x / time {
        r if r < -c => 10.0,
        r if r < 2.0 * c => (2.0 * c - r).powi(2) / (9.0 * GRAVITY),
        _ => 0.0,
    };
    let error: f64 = depth.iter().enumerate().map(|(at, depth)| (depth - exact(x(at))).abs()).sum();
    let error = error / (0..400).map(|at| exact(x(at))).sum::<f64>();
    let front = (0..400).rev().find(|&at| depth[at] > 1e-3).map(x).unwrap();
    // Where Ritter's depth is a millimetre.
    let wanted = time * (2.0 * c - (9.0 * GRAVITY * 1e-3).sqrt());
    println!("Ritter: relative L1 error {error:e}, front at {front}, expected {wanted} of {}", 2.0 * c * time);
    assert!(error < 0.01 && (front / wanted - 1.0).abs() < 0.1);
}

/// Surface after a smooth flow over a smooth bed on `points` cells of the unit length, along x or y.
fn smooth(points: usize, along_x: bool) -> Vec<f64> {
    let h = 1.0 / points as f64;
    let (shape, axis) = if along_x { ([8, points], "x") } else { ([points, 8], "y") };
    let boundary = "[\"periodic\", \"periodic\"]";
    let steps = points;
    let text = format!(
        "[grid]\npoints = {shape:?}\nspacing = [{h}, {h}]\norigin = [{}, {}]\nboundary = {boundary}\n\
         [kernel]\nname = \"shallow-water\"\n[fields]\n\
         bed = {{ formula = \"0.3*sin(2*pi*{axis})\" }}\n\
         surface = {{ formula = \"2 + 0.1*cos(2*pi*{axis})\" }}\n\
         momentum_{axis} = {{ formula = \"0.5 + 0.2*sin(2*pi*{axis})\" }}\n\
         [time]\nsteps = {steps}\ndt = {:?}\n",
        0.5 * h,
        0.5 * h,
        0.05 * h,
    );
    let mut tank = Tank::new(&text);
    tank.advance(steps);
    let surface = tank.field("surface");
    if along_x { surface[..points].to_vec() } else { surface.iter().step_by(8).copied().collect() }
}

#[test]
fn smooth_flow_converges_with_second_order() {
    for along_x in [true, false] {
        let finest = smooth(1024, along_x);
        let error = |points: usize| {
            let (coarse, wide) = (smooth(points, along_x), 1024 / points);
            let mean = |at: usize| finest[at * wide..(at + 1) * wide].iter().sum::<f64>() / wide as f64;
            coarse.iter().enumerate().map(|(at, value)| (value - mean(at)).abs()).sum::<f64>() / points as f64
        };
        let errors = [error(64), error(128), error(256)];
        let orders = [(errors[0] / errors[1]).log2(), (errors[1] / errors[2]).log2()];
        println!("smooth flow: errors {errors:?}, orders {orders:?}");
        assert!(orders.iter().all(|&order| order > 1.8), "{orders:?}");
    }
}

/// Distance in radians between two places in degrees.
fn apart(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let turn = (to.1 - from.1).to_radians();
    let half = (0.5 * (b - a)).sin().powi(2) + a.cos() * b.cos() * (0.5 * turn).sin().powi(2);
    2.0 * half.sqrt().asin()
}

#[test]
fn a_hump_travels_along_great_circles() {
    let source = (10.5, 357.5);
    let text = "[grid]\npoints = [120, 360]\nspacing = [1.0, 1.0]\norigin = [-59.5, 0.5]\nunits = \"degrees\"\n\
                boundary = [\"wall\", \"periodic\"]\n[kernel]\nname = \"shallow-water\"\n\
                [fields]\nbed = -4000.0\n\
                surface = { formula = \"exp(-((lat-10.5)^2 + (cos(10.5*pi/180)*(lon-357.5 + 360*step(180-lon)))^2)/18)\" }\n\
                [time]\nsteps = 1\ndt = 80.0\n";
    let mut tank = Tank::new(text);
    // Pairs of receivers on rays from the source: east over the seam, north, south, and between.
    let rays = [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0), (0.6, 0.8), (-0.6, 0.8)];
    let mut places = Vec::new();
    for (north, east) in rays {
        for far in [14.0, 38.0] {
            let (lat, lon) = (10.5_f64 + north * far, 357.5 + east * far);
            let (y, x) = ((lat + 59.5).round() as usize, ((lon - 0.5).rem_euclid(360.0)).round() as usize % 360);
            places.push((y, x));
        }
    }
    let mut series = vec![Vec::new(); places.len()];
    for _ in 0..310 {
        let surface = tank.field("surface");
        for (series, (y, x)) in series.iter_mut().zip(&places) {
            series.push(surface[y * 360 + x]);
        }
        tank.advance(1);
    }
    // Time of the highest water, by a parabola through three values.
    let peak = |series: &[f64]| {
        let at = (1..series.len() - 1).fold(1, |best, at| if series[at] > series[best] { at } else { best });
        let (a, b, c) = (series[at - 1], series[at], series[at + 1]);
        (at as f64 + 0.5 * (a - c) / (a - 2.0 * b + c)) * 80.0
    };
    let wave = (GRAVITY * 4000.0_f64).sqrt();
    for (pair, series) in places.chunks_exact(2).zip(series.chunks_exact(2)) {
        let distance = |(y, x): (usize, usize)| 6.371e6 * apart(source, (y as f64 - 59.5, x as f64 + 0.5));
        let travelled = distance(pair[1]) - distance(pair[0]);
        let speed = travelled / (peak(&series[1]) - peak(&series[0]));
        println!("{pair:?}: {speed:.2} m/s of {wave:.2}, {:+.2} %", 100.0 * (speed / wave - 1.0));
        assert!((speed / wave - 1.0).abs() < 0.01);
    }
}
