//! Waves through the real earth: sound and elastic waves from the surface, against published times of first arrivals.
//!
//! Speeds and times: iasp91, B. L. N. Kennett and E. R. Engdahl, Geophys. J. Int. 105, 1991, 429-465; the times by ObsPy's TauP. A
//! plane through the earth's centre has the rays of the sphere. Rock of the crust goes on outside the earth: the shortest way between
//! two points of the surface lies within, and source and receivers lie on no free surface.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

use std::f64::consts::PI;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Radius of the earth in km.
const RADIUS_KM: f64 = 6371.0;
/// Distance of points in km.
const SPACING_KM: f64 = 20.0;
/// Points along z and x, and the index of the point just beyond the centre along either.
const POINTS: [usize; 2] = [720, 400];
const CENTRE: [usize; 2] = [360, 40];
/// Of the source.
const FREQUENCY_HZ: f64 = 0.03;
/// The share of a pulse's peak at which it counts as arrived; before S waves there are others.
const SHARE: f64 = 0.15;
const SHARE_OF_S: f64 = 0.4;
/// What the times may be off by.
const WITHIN: f64 = 0.01;

/// Depth in km, speeds of P and S in km/s, density in g/cm3; a depth that comes twice is a jump.
fn table() -> Vec<[f64; 4]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/earth_seismic/iasp91_depth_vp_vs_rho.npy");
    let bytes = fs::read(path).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f64> =
        bytes[head..].chunks_exact(8).map(|value| f64::from_le_bytes(value.try_into().unwrap())).collect();
    let table: Vec<[f64; 4]> = values.chunks_exact(4).map(|row| row.try_into().unwrap()).collect();
    assert_eq!((table.len(), table[0][0], table.last().unwrap()[0]), (138, 0.0, RADIUS_KM));
    table
}

/// Speeds of P and S, and density, at `radius` km.
fn at(table: &[[f64; 4]], radius: f64) -> [f64; 3] {
    let depth = if radius < RADIUS_KM { RADIUS_KM - radius } else { 0.0 };
    let next = table.iter().position(|row| row[0] > depth).unwrap_or(table.len() - 1);
    let (low, high) = (&table[next - 1], &table[next]);
    let part = (depth - low[0]) / (high[0] - low[0]);
    [1, 2, 3].map(|column| low[column] + part * (high[column] - low[column]))
}

/// The times of `phase`: distance in degrees, time in s.
fn times(phase: &str) -> Vec<(f64, f64)> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/earth_seismic/travel_times_surface_source.csv");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[0] == "iasp91" && row[1] == phase)
        .map(|row| (row[2].parse().unwrap(), row[3].parse().unwrap()))
        .collect()
}

/// Where a wave is looked at: a point of the grid near the surface.
struct Receiver {
    index: [usize; 2],
    /// When it should come, s.
    time_s: f64,
    /// How it comes up: sine and cosine of the angle between the ray and the way to the centre.
    ray: [f64; 2],
    /// Outwards and along the surface, away from the source: (z, x).
    outwards: [f64; 2],
}

impl Receiver {
    fn cells(&self) -> [f64; 2] {
        self.index.map(|index| index as f64)
    }
}

/// Kilometres from the centre of point `index`.
fn place(index: [usize; 2]) -> [f64; 2] {
    [0, 1].map(|axis| (index[axis] as f64 + 0.5 - CENTRE[axis] as f64) * SPACING_KM)
}

fn source() -> [usize; 2] {
    [(CENTRE[0] as f64 + RADIUS_KM / SPACING_KM - 0.5) as usize, CENTRE[1]]
}

/// A receiver for each of `times`, with the time for the point where it really is: `speed` is that of the crust.
fn receivers(times: &[(f64, f64)], speed: f64) -> Vec<Receiver> {
    let angle = |index| {
        let [z, x] = place(index);
        f64::atan2(x, z)
    };
    let first = angle(source());
    (0..times.len())
        .map(|number| {
            let (degrees, time_s) = times[number];
            let wanted = degrees.to_radians() + first;
            let index = [wanted.cos(), wanted.sin()];
            let index =
                [0, 1].map(|axis| (index[axis] * RADIUS_KM / SPACING_KM + CENTRE[axis] as f64 - 0.5).round() as usize);
            let (before, after) = (number.saturating_sub(1), (number + 1).min(times.len() - 1));
            // Seconds per radian: the ray's parameter.
            let slowness = (times[after].1 - times[before].1) / (times[after].0 - times[before].0).to_radians();
            let [z, x] = place(index);
            let radius = f64::hypot(z, x);
            let sine = slowness * speed / radius;
            let cosine = (1.0 - sine * sine).sqrt();
            let turn = (angle(index) - wanted + PI).rem_euclid(2.0 * PI) - PI;
            let time_s = time_s + slowness * turn - (RADIUS_KM - radius) * cosine / speed;
            Receiver { index, time_s, ray: [sine, cosine], outwards: [z / radius, x / radius] }
        })
        .collect()
}

/// Writes `value` at all points to `NAME.npy`.
fn field(folder: &Path, name: &str, value: impl Fn([f64; 2]) -> f64) {
    let mut head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {}), }}", POINTS[0], POINTS[1]);
    head += &" ".repeat(128 - 10 - 1 - head.len());
    head += "\n";
    let mut bytes = [b"\x93NUMPY\x01\x00".as_slice(), &118u16.to_le_bytes(), head.as_bytes()].concat();
    for z in 0..POINTS[0] {
        for x in 0..POINTS[1] {
            bytes.extend(value(place([z, x])).to_le_bytes());
        }
    }
    fs::write(folder.join(format!("{name}.npy")), bytes).unwrap();
}

/// Runs a job for `seconds`; gives its time step and the values of the probes, each of one field at one place in cells.
fn run(folder: &Path, job: &str, seconds: f64, probes: &[(&str, [f64; 2])]) -> (f64, Vec<Vec<f64>>) {
    let [ny, nx] = POINTS;
    let mut text = format!(
        "[grid]\npoints = [{ny}, {nx}]\nspacing = [{SPACING_KM:?}, {SPACING_KM:?}]\nboundary = [\"wall\", \"wall\"]\n\
         [torus]\nsteps_per_exchange = 4\n{job}"
    );
    for (number, (field, cells)) in probes.iter().enumerate() {
        let at = cells.map(|cells| cells * SPACING_KM);
        text += &format!("[[probe]]\nname = \"p{number}\"\nat = {at:?}\nfield = \"{field}\"\nevery = \"1 step\"\n");
    }
    fs::write(folder.join("job.toml"), text).unwrap();
    let ringfort = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ringfort")).args(args).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let said: serde_json::Value = serde_json::from_slice(&ringfort(&["check", "job.toml", "--json"])).unwrap();
    let dt = said["dt"].as_f64().unwrap_or_else(|| panic!("{said}"));
    let steps = format!("time.steps={}", (seconds / dt).ceil());
    ringfort(&["run", "job.toml", "--threads", "2", "--set", &steps, "--out", "out"]);
    let values = |number: usize| {
        let text = fs::read_to_string(folder.join(format!("out/probes/p{number}.csv"))).unwrap();
        text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect()
    };
    (dt, (0..probes.len()).map(values).collect())
}

/// When the pulse of `trace` arrives that should come at `time_s`: what comes two periods later does not count for its peak.
fn arrival(trace: &[f64], dt: f64, time_s: f64, share: f64) -> f64 {
    let end = (((time_s + 2.0 / FREQUENCY_HZ) / dt) as usize).min(trace.len());
    let peak =
        trace[..end].iter().map(|value| value.abs()).fold(0.0, |peak, value| if value > peak { value } else { peak });
    let over = trace.iter().position(|value| value.abs() > share * peak).unwrap();
    let (low, high) = (trace[over - 1].abs(), trace[over].abs());
    (over as f64 - 1.0 + (share * peak - low) / (high - low)) * dt
}

fn source_table(field: &str, amplitude: f64) -> String {
    let at = source().map(|index| index as f64 * SPACING_KM);
    format!(
        "[[source]]\nat = {at:?}\nfield = \"{field}\"\nwavelet = \"ricker\"\nfrequency = {FREQUENCY_HZ}\namplitude = {amplitude:?}\n"
    )
}

/// Compares all `arrivals` (expected, seen; s) and prints the worst.
fn compare(what: &str, arrivals: &[(f64, f64)]) {
    let off = |(expected, seen): &(f64, f64)| seen / expected - 1.0;
    let worst = arrivals.iter().map(off).fold(0.0, |worst: f64, off| if off.abs() > worst.abs() { off } else { worst });
    println!("{what}: {} first arrivals, the worst {:+.2} % off", arrivals.len(), worst * 100.0);
    assert!(worst.abs() < WITHIN, "{what}: {arrivals:?}");
}

#[test]
fn sound_arrives_when_p_waves_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = table();
    let crust = at(&table, RADIUS_KM)[0];
    let mut times_through = times("PKIKP");
    // Before 145 degrees the core's caustic sends waves of such a length ahead of the ray.
    times_through.retain(|(degrees, _)| *degrees > 145.0);
    let receivers: Vec<_> = [times("P"), times_through].iter().flat_map(|times| receivers(times, crust)).collect();
    let job = |speed: &str| {
        format!(
            "[kernel]\nname = \"wave\"\norder = 8\nabsorb = {{ width = 25, strength = 0.05 }}\n\
             [fields]\npressure = 0.0\nspeed = {speed}\n[time]\nsteps = 1\ncourant = 0.9\n{}",
            source_table("pressure", 1.0)
        )
    };
    // What a pulse needs until it counts as arrived, beside its way.
    let far = [source()[0] - 100, source()[1]];
    let (dt, traces) = run(folder, &job("8.0"), 400.0, &[("pressure", far.map(|index| index as f64))]);
    let way_s = 100.0 * SPACING_KM / 8.0;
    let lag_s = arrival(&traces[0], dt, way_s, SHARE) - way_s;
    assert!((0.0..1.0 / FREQUENCY_HZ).contains(&lag_s), "{lag_s}");

    fs::remove_dir_all(folder.join("out")).unwrap();
    field(folder, "speed", |[z, x]| at(&table, f64::hypot(z, x))[0]);
    let probes: Vec<_> = receivers.iter().map(|receiver| ("pressure", receiver.cells())).collect();
    let (dt, traces) = run(folder, &job("{ file = \"speed.npy\" }"), 1300.0, &probes);
    let seen =
        receivers.iter().zip(&traces).map(|(at, trace)| (at.time_s, arrival(trace, dt, at.time_s, SHARE) - lag_s));
    compare("sound", &seen.collect::<Vec<_>>());
}

#[test]
fn p_and_s_waves_arrive_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let table = table();
    let [crust_p, crust_s, _] = at(&table, RADIUS_KM);
    let phases = [receivers(&times("P"), crust_p), receivers(&times("S"), crust_s)];
    // A couple: it sends S waves down and P waves aslant.
    let job = |matter: [&str; 3]| {
        format!(
            "[kernel]\nname = \"elastic\"\norder = 4\nabsorb = {{ width = 25, strength = 0.05 }}\n\
             [fields]\ndensity = {}\nspeed_p = {}\nspeed_s = {}\n[time]\nsteps = 1\ncourant = 0.9\n{}",
            matter[0],
            matter[1],
            matter[2],
            source_table("stress_xy", 1.0)
        )
    };
    let probes = |phases: &[Receiver]| {
        let fields = |at: &Receiver| ["velocity_y", "velocity_x"].map(|field| (field, at.cells()));
        phases.iter().flat_map(fields).collect::<Vec<_>>()
    };
    // Motion along the ray, or across it.
    let motion = |at: &Receiver, traces: &[Vec<f64>], across: bool| {
        let ([out_z, out_x], [sine, cosine]) = (at.outwards, at.ray);
        let way = if across { [-sine, cosine] } else { [cosine, sine] };
        let (z, x) = (way[0] * out_z - way[1] * out_x, way[0] * out_x + way[1] * out_z);
        traces[0].iter().zip(&traces[1]).map(|(up, beside)| z * up + x * beside).collect::<Vec<f64>>()
    };
    let share = |across| if across { SHARE_OF_S } else { SHARE };
    let way: [f64; 2] = [65.0, 38.0];
    let cells = f64::hypot(way[0], way[1]);
    let index = [source()[0] - way[0] as usize, source()[1] + way[1] as usize];
    let below = [Receiver { index, time_s: 0.0, ray: [0.0, 1.0], outwards: [way[0] / cells, -way[1] / cells] }];
    let (dt, traces) = run(folder, &job(["3.0", "8.0", "4.6"]), 450.0, &probes(&below));
    let lag_s = [(8.0, false), (4.6, true)].map(|(speed, across)| {
        let way_s = cells * SPACING_KM / speed;
        arrival(&motion(&below[0], &traces, across), dt, way_s, share(across)) - way_s
    });
    assert!(lag_s.iter().all(|lag_s| (0.0..1.0 / FREQUENCY_HZ).contains(lag_s)), "{lag_s:?}");

    fs::remove_dir_all(folder.join("out")).unwrap();
    for (name, column) in [("density", 2), ("speed_p", 0), ("speed_s", 1)] {
        field(folder, name, |[z, x]| at(&table, f64::hypot(z, x))[column]);
    }
    let files = ["density", "speed_p", "speed_s"].map(|name| format!("{{ file = \"{name}.npy\" }}"));
    let all = [probes(&phases[0]), probes(&phases[1])].concat();
    let (dt, traces) = run(folder, &job(files.each_ref().map(String::as_str)), 1530.0, &all);
    let mut pairs = traces.chunks(2);
    for (number, what) in ["P", "S"].into_iter().enumerate() {
        let seen = phases[number].iter().map(|at| {
            let trace = motion(at, pairs.next().unwrap(), number == 1);
            (at.time_s, arrival(&trace, dt, at.time_s, share(number == 1)) - lag_s[number])
        });
        compare(what, &seen.collect::<Vec<_>>());
    }
}
