//! What collisions, walls and solid points must keep.

use super::{ends, job, sum};

const PERIODIC: [&str; 3] = ["periodic"; 3];

/// Names of all populations.
fn populations(axes: usize) -> Vec<String> {
    (0..if axes == 2 { 9 } else { 19 }).map(|number| format!("f{number}")).collect()
}

/// Mass and momenta (slowest axis first) of all points.
fn totals(text: &str, axes: usize) -> Vec<f64> {
    let names = populations(axes);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = ends(text, &names);
    let about = crate::common::jobs::parse(text).declaration;
    // The directions are those that the kernel says.
    let way = |number: usize, axis: usize| -> f64 {
        if number == 0 {
            return 0.0;
        }
        let (_, list) = about.fields[number].about.split_once("= (").unwrap();
        list.trim_end_matches(')').split(", ").nth(axis).unwrap().parse().unwrap()
    };
    let mass = sum(found.iter().flatten().copied());
    let momentum =
        |axis| sum(found.iter().enumerate().flat_map(|(number, f)| f.iter().map(move |f| way(number, axis) * f)));
    std::iter::once(mass).chain((0..axes).map(momentum)).collect()
}

#[test]
fn mass_and_momentum_are_kept() {
    let fields = "density = { formula = \"1 + 0.02*sin(0.7*x + 0.9)\" }\n\
                  velocity_x = { formula = \"0.04 + 0.02*sin(0.785398163397448*y)\" }\nvelocity_y = 0.03";
    for (points, collision) in [(&[8, 9][..], "bgk"), (&[8, 9], "trt"), (&[3, 4, 5], "trt")] {
        let axes = points.len();
        let text = |steps| {
            let kernel = format!("tau = 0.9\ncollision = \"{collision}\"");
            job(points, &PERIODIC[..axes], &kernel, fields, steps)
        };
        let (start, end) = (totals(&text(0), axes), totals(&text(10_000), axes));
        for (start, end) in start.iter().zip(&end).filter(|(start, _)| **start != 0.0 && start.abs() > 1e-12) {
            let off = (end - start).abs() / start.abs();
            println!("{points:?}, {collision}: {start} kept to {off:e}");
            assert!(off < 1e-12, "{off}");
        }
    }
}

#[test]
fn walls_and_solid_points_keep_mass() {
    let solid = "solid = { formula = \"step(sin(12.9*x + 4.1*sin(7.3*y)) - 0.5)\" }";
    let fields = format!("density = {{ formula = \"1 + 0.1*sin(x)\" }}\nvelocity_x = 0.02\n{solid}");
    for (points, beyond, walls) in [
        (&[12, 17][..], &["wall", "wall"][..], "wall_velocity_y_high = [0, 0.05]\nwall_velocity_x_low = [0.03, 0]"),
        (&[12, 17], &["periodic", "wall"], "wall_velocity_x_low = [-0.03, 0]"),
        (&[12, 17], &["periodic", "periodic"], ""),
        (
            &[5, 6, 7],
            &["wall", "wall", "wall"],
            "wall_velocity_z_low = [0, 0.02, 0.05]\nwall_velocity_x_high = [0.01, 0.03, 0]",
        ),
    ] {
        let kernel = format!("tau = 0.8\ncollision = \"trt\"\n{walls}");
        let text = |steps| job(points, beyond, &kernel, &fields, steps);
        let mass = |steps| {
            let found = ends(&text(steps), &["density", "solid"]);
            let fluid = found[0].iter().zip(&found[1]).filter(|(_, solid)| **solid == 0.0);
            (sum(fluid.map(|(density, _)| *density)), found[1].iter().filter(|&&solid| solid == 1.0).count())
        };
        let ((start, solid), (end, _)) = (mass(0), mass(3000));
        let off = (end - start).abs() / start;
        println!("{points:?} {beyond:?}: {solid} solid points, mass {start} kept to {off:e}");
        assert!(solid > 10 && off < 1e-12, "{solid}, {off}");
    }
}

/// Solid points keep what they were given and have no velocity.
#[test]
fn solid_points_rest() {
    let fields =
        "density = 1\nvelocity_x = 0.05\nsolid = { formula = \"step(2.5 - abs(x - 8))*step(2.5 - abs(y - 6))\" }";
    let text = |steps| job(&[13, 17], &["wall", "periodic"], "tau = 0.8", fields, steps);
    let (start, end) =
        (ends(&text(0), &["f5", "velocity_x", "solid"]), ends(&text(200), &["f5", "velocity_x", "solid"]));
    let mut count = 0;
    for at in 0..13 * 17 {
        if start[2][at] == 1.0 {
            assert_eq!((start[0][at], 0.0), (end[0][at], end[1][at]));
            assert_eq!(start[1][at], 0.0);
            count += 1;
        } else {
            assert!(end[1][at] != 0.05 && start[1][at] != 0.0, "the fluid feels the obstacle");
        }
    }
    assert_eq!(count, 25);
}
