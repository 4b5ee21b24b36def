//! Water at rest over real and steep ground stays at rest.

use super::data::thin;
use super::tank::{Tank, largest};

/// Runs water at rest for `steps` steps; gives the largest speed after each tenth, and checks that no water is lost.
fn rest(text: &str, steps: usize) -> f64 {
    let mut tank = Tank::new(text);
    let before = tank.volume();
    let dry = tank.field("depth").iter().filter(|&&depth| depth == 0.0).count();
    let mut most = 0.0;
    for _ in 0..10 {
        tank.advance(steps / 10);
        most = largest([most, tank.speed()].into_iter());
    }
    let lost = (tank.volume() / before - 1.0).abs();
    println!("{steps} steps of {:.4} s: speed {most:e}, volume changed by {lost:e}, {dry} dry cells", tank.dt());
    assert!(lost < 1e-12, "{lost:e}");
    most
}

fn monai_at_rest(stride: usize, steps: usize, surface: f64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let bed = folder.path().join("bed.npy");
    let (rows, columns) = thin("examples/data/tsunami_monai/elevation_m.npy", 0..244, stride, &bed);
    let spacing = 0.014 * stride as f64;
    rest(
        &format!(
            "[grid]\npoints = [{rows}, {columns}]\nspacing = [{spacing}, {spacing}]\nboundary = [\"wall\", \"wall\"]\n\
             [kernel]\nname = \"shallow-water\"\nmanning = 0.0025\n\
             [fields]\nsurface = {surface:?}\nbed = {{ file = {bed:?} }}\n\
             [time]\nsteps = 1\ncourant = 0.9\nspeed_max = 0.0\n"
        ),
        steps,
    )
}

fn island_at_rest(points: usize, steps: usize) -> f64 {
    let spacing = 10.0 / points as f64;
    rest(
        &format!(
            "[grid]\npoints = [{points}, {points}]\nspacing = [{spacing}, {spacing}]\n\
             boundary = [\"periodic\", \"wall\"]\n[kernel]\nname = \"shallow-water\"\ncoriolis = 0.1\n\
             [fields]\nsurface = 0.123\nbed = {{ formula = \"-0.7 + 1.3*exp(-((x-5)^2 + (y-4)^2)) + 0.1*sin(7*x)\" }}\n\
             [time]\nsteps = 1\ncourant = 0.9\nspeed_max = 0.0\n"
        ),
        steps,
    )
}

fn ocean_at_rest(stride: usize, steps: usize, surface: f64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let bed = folder.path().join("bed.npy");
    let (rows, columns) = thin("examples/data/ocean_etopo20/elevation_m.npy", 54..486, stride, &bed);
    let spacing = stride as f64 / 3.0;
    let south = -72.0 + 0.5 * spacing;
    rest(
        &format!(
            "[grid]\npoints = [{rows}, {columns}]\nspacing = [{spacing}, {spacing}]\norigin = [{south}, 20.0]\n\
             units = \"degrees\"\nboundary = [\"wall\", \"periodic\"]\n\
             [kernel]\nname = \"shallow-water\"\ncoriolis = 7.2921e-5\n\
             [fields]\nsurface = {surface:?}\nbed = {{ file = {bed:?} }}\n\
             [time]\nsteps = 1\ncourant = 0.9\nspeed_max = 0.0\n"
        ),
        steps,
    )
}

#[test]
fn water_at_rest_stays_at_rest() {
    for surface in [0.0, 0.0137] {
        assert!(monai_at_rest(4, 1000, surface) <= 1e-12);
        assert!(ocean_at_rest(6, 300, surface) <= 1e-11);
    }
    assert!(island_at_rest(60, 1000) <= 1e-12);
    // Long enough to see rounding errors grow: they did at the foot of land, on the turning sphere.
    assert!(ocean_at_rest(6, 5000, 0.0137) <= 1e-11);
}

/// Half an hour.
#[test]
#[ignore = "long: water at rest at full resolution for 10,000 steps"]
fn water_at_rest_stays_at_rest_for_long() {
    assert!(island_at_rest(200, 10_000) <= 1e-12);
    assert!(monai_at_rest(1, 10_000, 0.0137) <= 1e-12);
    assert!(ocean_at_rest(1, 10_000, 0.0) <= 1e-11);
    assert!(ocean_at_rest(3, 10_000, 0.0137) <= 1e-11);
}
