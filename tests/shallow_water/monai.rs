//! The wave tank of Monai: a measured wave comes in, gauges say what it did; inflows and what is wrong with them.

use std::path::Path;

use ringfort::advance::library::SHIPPED;
use ringfort::job::Job;

use super::common::jobs::parse;
use super::common::layouts::{Layout, all_parts, history};
use super::data::{read_f8, thin};
use super::tank::Tank;

/// The job of Monai's tank on every `stride`-th node, with its bed in `folder`.
fn monai(stride: usize, folder: &Path) -> String {
    let bed = folder.join("bed.npy");
    let (rows, columns) = thin("examples/data/tsunami_monai/elevation_m.npy", 0..244, stride, &bed);
    let spacing = 0.014 * stride as f64;
    format!(
        "[grid]\npoints = [{rows}, {columns}]\nspacing = [{spacing}, {spacing}]\nboundary = [\"wall\", [\"open\", \"wall\"]]\n\
         [kernel]\nname = \"shallow-water\"\nmanning = 0.0025\n\
         [fields]\nsurface = 0.0\nbed = {{ file = {bed:?} }}\n\
         [[inflow]]\nside = \"x-low\"\nfield = \"surface\"\nfile = \"data/tsunami_monai/inflow_t_eta.npy\"\n\
         [time]\nsteps = 20\ndt = {}\n",
        0.002 * stride as f64
    )
}

/// Runs the tank for 22.5 s; gives for each gauge how far its peak is off (share and seconds) and the mean difference in m.
fn gauges(stride: usize) -> Vec<(f64, f64, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let mut tank = Tank::new(&monai(stride, folder.path()));
    let node = |at: f64| (at / (0.014 * stride as f64)).round() as usize;
    let places = [1.196, 1.696, 2.196].map(|y| (node(y), node(4.521)));
    let measured = read_f8("examples/data/tsunami_monai/gauges_t_ch5_ch7_ch9.npy");
    let measured: Vec<_> = measured.into_iter().filter(|row| (0.0..=22.5).contains(&row[0])).collect();
    let mut computed = Vec::new();
    for row in &measured {
        let steps = ((row[0] - tank.time()) / tank.dt()).round() as usize;
        tank.advance(steps);
        computed.push(places.map(|(y, x)| tank.value("surface", y, x)));
    }
    assert!(tank.field("depth").iter().all(|&depth| depth >= 0.0));
    let times: Vec<f64> = measured.iter().map(|row| row[0]).collect();
    let peak = |series: &[f64]| {
        let at = (0..series.len()).fold(0, |best, at| if series[at] > series[best] { at } else { best });
        (series[at], times[at])
    };
    let one = |gauge: usize| {
        let (got, want): (Vec<f64>, Vec<f64>) =
            computed.iter().zip(&measured).map(|(computed, measured)| (computed[gauge], measured[gauge + 1])).unzip();
        let ((high, when), (wanted_high, wanted_when)) = (peak(&got), peak(&want));
        let mean = got.iter().zip(&want).map(|(got, want)| (got - want).abs()).sum::<f64>() / got.len() as f64;
        println!(
            "gauge {gauge}: peak {high:.4} m at {when:.2} s, measured {wanted_high:.4} m at {wanted_when:.2} s; \
             mean difference {mean:.5} m"
        );
        (high / wanted_high - 1.0, when - wanted_when, mean)
    };
    (0..3).map(one).collect()
}

#[test]
fn a_tsunami_runs_up_as_measured_coarsely() {
    for (height, time, mean) in gauges(4) {
        assert!(height.abs() < 0.1 && time.abs() < 0.4 && mean < 0.004);
    }
}

/// Minutes.
#[test]
#[ignore = "long: the tank of Monai at full resolution"]
fn a_tsunami_runs_up_as_measured() {
    for (height, time, mean) in gauges(1) {
        assert!(height.abs() < 0.1 && time.abs() < 0.4 && mean < 0.004);
    }
}

/// What flows in does so at the same bits on any cuts, threads and steps per exchange.
#[test]
fn inflows_have_the_same_bits_on_all_cuts() {
    let folder = tempfile::tempdir().unwrap();
    // At once, so that the first steps move water.
    let series = folder.path().join("series.csv");
    std::fs::write(&series, "time,value\n0,0.01\n0.3,0.05\n0.5,-0.01\n").unwrap();
    let text = monai(8, folder.path()).replace("\"data/tsunami_monai/inflow_t_eta.npy\"", &format!("{series:?}"));
    let job = parse(&text);
    let (_, alone) = history::<f64>(&job, &Layout::alone(2));
    let last = alone.last().unwrap();
    assert_ne!(&alone[0], last);
    let mut runs = 0;
    for parts in all_parts(2, 6) {
        for steps_per_exchange in [1, 2, 3] {
            let threads = 1 + runs % 2;
            let layout = Layout { parts: parts.clone(), steps_per_exchange, threads, ..Layout::alone(2) };
            if parts[0] > 4 {
                continue;
            }
            let (_, states) = history::<f64>(&job, &layout);
            let same = states.last().unwrap().iter().zip(last).all(|(one, other)| one.to_bits() == other.to_bits());
            assert!(same, "{layout:?}");
            runs += 1;
        }
    }
    assert!(runs >= 30, "{runs}");
}

#[test]
fn jobs_say_what_they_expect() {
    let refuse = |text: &str| match Job::parse(text, Path::new("examples/test.toml"), &[], &SHIPPED) {
        Ok(_) => panic!("{text}"),
        Err(error) => format!("{:?}", miette::Report::new(error)),
    };
    let folder = tempfile::tempdir().unwrap();
    let text = monai(8, folder.path());
    assert!(Job::parse(&text, Path::new("examples/test.toml"), &[], &SHIPPED).is_ok());
    for (from, to, says) in [
        ("dt = 0.016", "courant = 0.5", "speed_max"),
        ("dt = 0.016", "dt = 0.016\nspeed_max = 1.0", "remove it"),
        ("x-low", "x-high", "is not \"open\""),
        ("x-low", "z-low", "y-low"),
        ("field = \"surface\"", "field = \"depth\"", "surface"),
        ("inflow_t_eta.npy", "elevation_m.npy", "(n, 2)"),
        ("inflow_t_eta.npy", "nothing.npy", "cannot open"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = refuse(&text.replace(from, to));
        assert!(error.contains(says), "{to}: {error}");
    }
    let sphere = "[grid]\npoints = [8, 8]\nspacing = [10.0, 10.0]\norigin = [20.0, 0.0]\nunits = \"degrees\"\n\
                  [kernel]\nname = \"shallow-water\"\n[fields]\ndepth = 1.0\nbed = 0.0\n[time]\nsteps = 1\ndt = 1.0\n";
    assert!(refuse(sphere).contains("latitude"));
}
