//! The kernel `elastic` against the exact solutions of its scheme, the acoustic kernel and the laws of reflection.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    reason = "tests"
)]

mod common;

use std::f64::consts::PI;
use std::path::Path;

use common::jobs::LIBRARY;
use common::numbers::{Vector, dot, every_step, history_of, index, most, phase_formula, wave_numbers};
use ringfort::advance::library::{ELASTIC, Precise};
use ringfort::job::Job;

/// Matter whose two speeds and density are far from 1.
const MATTER: [f64; 3] = [1.7, 2.0, 1.1];

/// A job on points `spacing` apart (slowest axis first). `kernel`: further lines of `[kernel]`.
fn job(points: &[usize], spacing: &[f64], beyond: &str, kernel: &str, fields: &str, time: &str) -> String {
    let beyond = vec![format!("\"{beyond}\""); points.len()].join(", ");
    format!(
        "[grid]\npoints = {points:?}\nspacing = {spacing:?}\nboundary = [{beyond}]\n\
         [kernel]\nname = \"elastic\"\n{kernel}\n[fields]\n{fields}\n[time]\n{time}\n"
    )
}

/// Density and speeds as numbers, or as formulas of the same value everywhere.
fn matter([rho, vp, vs]: [f64; 3], varying: bool) -> String {
    let given = |value: f64| if varying { format!("{{ formula = \"{value:?}\" }}") } else { format!("{value:?}") };
    format!("density = {}\nspeed_p = {}\nspeed_s = {}\n", given(rho), given(vp), given(vs))
}

/// Axes of the component `name`: one of a velocity, two of a stress, perhaps the same one twice.
fn axes_of(name: &str) -> Vec<usize> {
    let letters = name.rsplit('_').next().unwrap();
    letters.chars().map(|letter| "xyz".find(letter).unwrap()).collect()
}

/// True if the component `name` lies half a cell beyond the points along `d`.
fn half(name: &str, d: usize) -> bool {
    let axes = axes_of(name);
    axes.contains(&d) && (axes.len() == 1 || axes[0] != axes[1])
}

fn components(axes: usize) -> Vec<&'static str> {
    match axes {
        2 => vec!["velocity_x", "velocity_y", "stress_xx", "stress_yy", "stress_xy"],
        _ => vec![
            "velocity_x",
            "velocity_y",
            "velocity_z",
            "stress_xx",
            "stress_yy",
            "stress_zz",
            "stress_xy",
            "stress_xz",
            "stress_yz",
        ],
    }
}

/// A wave of the scheme: amplitudes of velocity, what they do to stress, and angular frequency.
struct Mode {
    velocity: Vector,
    stress: [Vector; 3],
    omega: f64,
}

/// The wave with numbers `k` on points `spacing` apart (x, y, z): of pressure or of shear. `v = a cos(k x - omega t)` and so stress.
fn mode(k: Vector, spacing: Vector, order: usize, pressure: bool, dt: f64, axes: usize) -> Mode {
    let [rho, vp, vs] = MATTER;
    let steep = [0, 1, 2].map(|d| {
        let angle = 0.5 * k[d] * spacing[d];
        let sum = if order == 2 { angle.sin() } else { 9.0 / 8.0 * angle.sin() - (3.0 * angle).sin() / 24.0 };
        2.0 * sum / spacing[d]
    });
    let any = if axes == 3 { [0.7, -0.4, 1.1] } else { [0.7, -0.4, 0.0] };
    let along = dot(any, steep) / dot(steep, steep);
    let velocity = [0, 1, 2].map(|d| if pressure { along * steep[d] } else { any[d] - along * steep[d] });
    let (mu, lambda) = (rho * vs * vs, rho * (vp * vp - 2.0 * vs * vs));
    let rate = if pressure { vp } else { vs } * dot(steep, steep).sqrt();
    let spread = lambda * dot(steep, velocity);
    let stress = [0, 1, 2].map(|a| {
        [0, 1, 2].map(|b| {
            let own = if a == b { spread } else { 0.0 };
            -(own + mu * (steep[a] * velocity[b] + steep[b] * velocity[a])) / rate
        })
    });
    Mode { velocity, stress, omega: 2.0 / dt * (0.5 * rate * dt).asin() }
}

impl Mode {
    fn amplitude(&self, name: &str) -> f64 {
        match axes_of(name)[..] {
            [d] => self.velocity[d],
            [a, b] => self.stress[a][b],
            _ => unreachable!("one letter or two"),
        }
    }
}

#[test]
fn plane_waves_have_the_frequency_of_the_scheme() {
    let cases: [(&[usize], &[f64], [f64; 3]); 4] = [
        (&[12, 21], &[0.9, 0.9], [2.0, -1.0, 0.0]),
        (&[12, 21], &[0.9, 1.3], [3.0, 2.0, 0.0]),
        (&[9, 10, 13], &[0.7, 0.9, 1.1], [-1.0, 2.0, 1.0]),
        (&[9, 10, 13], &[1.0, 1.0, 0.5], [1.0, 0.0, -2.0]),
    ];
    let mut worst = 0.0;
    for (points, spacing, modes) in cases {
        let axes = points.len();
        let (h, k) = wave_numbers(points, spacing, modes, 2.0 * PI);
        for (order, pressure, varying) in [2, 4]
            .into_iter()
            .flat_map(|order| [(order, true, false), (order, false, true), (order, true, true), (order, false, false)])
        {
            let dt = 0.1;
            let wave = mode(k, h, order, pressure, dt, axes);
            let mut fields = matter(MATTER, varying);
            let phase = phase_formula(k, axes);
            for name in components(axes) {
                let early = if name.starts_with('v') { 0.5 * wave.omega * dt } else { 0.0 };
                let amplitude = wave.amplitude(name);
                fields += &format!("{name} = {{ formula = \"({amplitude:?})*cos({phase} + {early:?})\" }}\n");
            }
            let text = job(
                points,
                spacing,
                "periodic",
                &format!("order = {order}"),
                &fields,
                &format!("steps = 60\ndt = {dt:?}"),
            );
            for name in components(axes) {
                let end = history_of(&text, name).pop().unwrap();
                let steps = if name.starts_with('v') { 59.5 } else { 60.0 };
                let off = most(end.iter().enumerate().map(|(at, end)| {
                    let index = index(points, at);
                    let place = |d: usize| h[d] * (index[d] as f64 + if half(name, d) { 0.5 } else { 0.0 });
                    let phase: f64 = (0..axes).map(|d| k[d] * place(d)).sum();
                    (end - wave.amplitude(name) * (phase - wave.omega * dt * steps).cos()).abs()
                }));
                assert!(off < 1e-11, "{name}: {off:e}\n{text}");
                worst = most([worst, off].into_iter());
            }
        }
    }
    println!("worst value of a plane wave is off by {worst:e}");
    assert!(worst > 1e-16, "{worst:e}");
}

#[test]
fn waves_stand_between_walls() {
    for (points, spacing, modes) in
        [(&[17, 20][..], &[0.9, 0.8][..], [2.0, 3.0, 0.0]), (&[9, 10, 13], &[0.7, 0.9, 1.1], [2.0, 1.0, 3.0])]
    {
        let axes = points.len();
        // Walls lie half a cell outside.
        let (h, k) = wave_numbers(points, spacing, modes, PI);
        for (order, pressure) in [(2, true), (2, false), (4, true), (4, false)] {
            let dt = 0.1;
            let wave = mode(k, h, order, pressure, dt, axes);
            // A velocity is a sine along its own axis and a cosine along others; stress is 0 at the start.
            let mut fields = matter(MATTER, pressure);
            for name in components(axes).into_iter().filter(|name| name.starts_with('v')) {
                let factors = (0..axes).map(|d| {
                    let shape = if half(name, d) { "sin" } else { "cos" };
                    format!("{shape}({:?}*({} + {:?}))", k[d], ["x", "y", "z"][d], 0.5 * h[d])
                });
                let amplitude = wave.amplitude(name) * (0.5 * wave.omega * dt).cos();
                let factors = factors.collect::<Vec<_>>().join("*");
                fields += &format!("{name} = {{ formula = \"({amplitude:?})*{factors}\" }}\n");
            }
            let text = job(
                points,
                spacing,
                "wall",
                &format!("order = {order}"),
                &fields,
                &format!("steps = 100\ndt = {dt:?}"),
            );
            for name in components(axes).into_iter().filter(|name| name.starts_with('v')) {
                let end = history_of(&text, name).pop().unwrap();
                let off = most(end.iter().enumerate().map(|(at, end)| {
                    let index = index(points, at);
                    let factor = |d: usize| {
                        let angle = |cells: f64| k[d] * h[d] * cells;
                        match half(name, d) {
                            true => angle(index[d] as f64 + 1.0).sin(),
                            false => angle(index[d] as f64 + 0.5).cos(),
                        }
                    };
                    let shape: f64 = (0..axes).map(factor).product();
                    (end - wave.amplitude(name) * (99.5 * wave.omega * dt).cos() * shape).abs()
                }));
                assert!(off < 1e-11, "{name}: {off:e}\n{text}");
            }
        }
    }
}

/// Speed of a wave along the diagonal with `points` to its length, from how its crests come and go, over the exact one.
fn speed(order: usize, pressure: bool, points: usize, dt: f64) -> f64 {
    let [_, vp, vs] = MATTER;
    let h = 1.0 / points as f64;
    let turn = format!("cos({:?}*(x + y))", 2.0 * PI);
    let sign = if pressure { "" } else { "-" };
    let fields = format!(
        "{}velocity_x = {{ formula = \"{turn}\" }}\nvelocity_y = {{ formula = \"{sign}{turn}\" }}\n",
        matter(MATTER, false)
    );
    let text = job(
        &[points; 2],
        &[h; 2],
        "periodic",
        &format!("order = {order}"),
        &fields,
        &format!("steps = 40\ndt = {dt:?}"),
    );
    // At rest in stress the wave stands; a cosine: what is before and after a value adds up to 2 cos(omega dt) times it.
    let series: Vec<f64> = every_step(&text, "velocity_x").iter().map(|state| state[1]).collect();
    let around: f64 = series.windows(3).skip(1).map(|three| three[1] * (three[0] + three[2])).sum();
    let squares: f64 = series.windows(3).skip(1).map(|three| 2.0 * three[1] * three[1]).sum();
    let exact = if pressure { vp } else { vs } * 2.0 * PI * 2.0_f64.sqrt();
    (around / squares).acos() / dt / exact
}

#[test]
fn schemes_have_their_order() {
    for pressure in [true, false] {
        for (order, steps) in [(2, [0.01, 0.005]), (4, [0.004, 0.001])] {
            let [first, second] = [speed(order, pressure, 16, steps[0]), speed(order, pressure, 32, steps[1])];
            let found = ((first - 1.0) / (second - 1.0)).log2();
            println!(
                "order {order}, pressure {pressure}: speed off by {:e} and {:e}: order {found:.3}",
                first - 1.0,
                second - 1.0
            );
            assert!((found - order as f64).abs() < 0.15, "{found}");
        }
    }
}

/// Minus the normal stress along x, at the start and after each exchange.
fn pressure(text: &str) -> Vec<Vec<f64>> {
    let negative = |state: Vec<f64>| state.into_iter().map(|value| -value).collect();
    history_of(text, "stress_xx").into_iter().map(negative).collect()
}

#[test]
fn without_shear_it_is_sound() {
    for (points, spacing) in [(&[22, 27][..], &[0.9, 1.2][..]), (&[9, 12, 10], &[1.0, 0.8, 1.1])] {
        for beyond in ["wall", "periodic"] {
            for speed in ["1.3", "{ formula = \"1.3 + 0.4*sin(x + 2*y)\" }"] {
                let time = "steps = 80\ndt = 0.2";
                let bump = "exp(-((x - 9)^2 + (y - 7)^2)/4)";
                let stresses = ["xx", "yy", "zz"][..points.len()].iter();
                let stresses: String =
                    stresses.map(|axes| format!("stress_{axes} = {{ formula = \"-{bump}\" }}\n")).collect();
                let fields = format!("density = 1.4\nspeed_s = 0.0\nspeed_p = {speed}\n{stresses}");
                let elastic = job(points, spacing, beyond, "order = 2", &fields, time);
                // Velocity 0 half a step before the start: the pressure has not changed.
                let sound = format!(
                    "pressure = {{ formula = \"{bump}\" }}\npressure_before = {{ formula = \"{bump}\" }}\nspeed = {speed}\n"
                );
                let wave = job(points, spacing, beyond, "order = 2", &sound, time).replace("\"elastic\"", "\"wave\"");
                let (elastic, wave) = (pressure(&elastic), history_of(&wave, "pressure"));
                let off = most(elastic.iter().flatten().zip(wave.iter().flatten()).map(|(a, b)| (a - b).abs()));
                let moved = most(wave[0].iter().zip(wave.last().unwrap()).map(|(a, b)| (a - b).abs()));
                assert!(off < 1e-12 && moved > 0.1, "{off:e}, {moved}");
            }
        }
    }
}

/// The largest velocity that comes back from `x > 6` when a pulse of pressure or shear meets it, over that of the pulse.
fn reflected(points: usize, pressure: bool, beyond: [f64; 3]) -> f64 {
    let h = 12.0 / points as f64;
    let [rho, vp, vs] = MATTER;
    let (speed, name, stress) =
        if pressure { (vp, "velocity_x", "stress_xx") } else { (vs, "velocity_y", "stress_xy") };
    let dt = 0.4 * h / vp;
    let layer = |here: f64, there: f64| format!("{{ formula = \"{here:?} + ({:?})*step(x - 6)\" }}", there - here);
    let pulse = |shift: f64| format!("exp(-((x - 3.5 + ({shift:?}))/0.4)^2)");
    let fields = format!(
        "density = {}\nspeed_p = {}\nspeed_s = {}\n{name} = {{ formula = \"{}\" }}\n{stress} = {{ formula = \"-{:?}*{}\" }}\n",
        layer(rho, beyond[0]),
        layer(vp, beyond[1]),
        layer(vs, beyond[2]),
        // To the right: velocity half a step earlier.
        pulse(0.5 * dt * speed),
        rho * speed,
        pulse(0.0)
    );
    let steps = (4.5 / speed / dt).round() as u64;
    let text = job(&[8, points], &[h; 2], "periodic", "", &fields, &format!("steps = {steps}\ndt = {dt:?}"));
    let end = history_of(&text, name).pop().unwrap();
    // It is back at x = 4.5 after 2.5 + 2.
    let (low, high) = ((3.2 / h) as usize, (5.4 / h) as usize);
    end[low..high].iter().fold(0.0, |most: f64, &one| if one.abs() > most.abs() { one } else { most })
}

#[test]
fn borders_reflect_what_they_should() {
    let [rho, vp, vs] = MATTER;
    for (pressure, there) in
        [(true, [2.9, 3.0, 1.7]), (false, [2.9, 3.0, 1.7]), (true, [rho, 1.2, 0.6]), (false, [0.8, vp, 0.9])]
    {
        let at = |[rho, vp, vs]: [f64; 3]| rho * if pressure { vp } else { vs };
        let (here, beyond) = (at([rho, vp, vs]), at(there));
        let exact = (here - beyond) / (here + beyond);
        let errors = [240, 480].map(|points| reflected(points, pressure, there) - exact);
        println!("pressure {pressure}, beyond {there:?}: {exact:.4} comes back, off by {errors:?}");
        assert!(errors[1].abs() < 0.01 && errors[1].abs() < 0.8 * errors[0].abs(), "{errors:?}");
    }
}

#[test]
fn a_free_surface_turns_pressure_into_tension() {
    // Above x = 6 there is next to nothing: velocity comes back as it was, stress with opposite sign.
    let errors = [240, 480].map(|points| reflected(points, true, [1e-3, 0.0, 0.0]) - 1.0);
    println!("velocity back from a free surface is off by {errors:?}");
    assert!(errors[1].abs() < 0.02 && errors[1].abs() < errors[0].abs(), "{errors:?}");
}

#[test]
fn the_bound_holds_where_all_varies() {
    for (points, spacing) in [(&[16, 12][..], &[0.8, 1.1][..]), (&[8, 9, 7], &[1.0, 0.9, 1.2])] {
        for (beyond, order) in [("wall", 2), ("periodic", 2), ("wall", 4), ("periodic", 4)] {
            // Contrasts from point to point, fluids and next to nothing among them.
            for matter in [
                "density = { formula = \"1 + 5*step(sin(17*x + 5*floor(9*y)))\" }\nspeed_p = 2.0\nspeed_s = 1.1\n",
                "density = 1.5\nspeed_p = { formula = \"2 + step(sin(17*x + 3*y))\" }\nspeed_s = { formula = \"1.3*step(sin(17*x + 3*y))\" }\n",
                "density = { formula = \"0.01 + 2*step(sin(0.7*x) + sin(0.9*y))\" }\n\
                 speed_p = { formula = \"2*step(sin(0.7*x) + sin(0.9*y))\" }\nspeed_s = { formula = \"1.1*step(sin(0.7*x) + sin(0.9*y))\" }\n",
            ] {
                let mut fields = matter.to_owned();
                for (at, name) in components(points.len()).into_iter().filter(|name| name.starts_with('v')).enumerate()
                {
                    fields += &format!("{name} = {{ formula = \"sin({at} + 19*x + 3*y)\" }}\n");
                }
                let kernel = format!("order = {order}");
                let text = job(points, spacing, beyond, &kernel, &fields, "steps = 3000\ncourant = 0.95");
                let largest = most(history_of(&text, "stress_xx").last().unwrap().iter().map(|value| value.abs()));
                assert!(largest < 1000.0, "{largest:e}\n{text}");
            }
        }
    }
}

/// Kinetic energy and that of stress without its cross terms, which is large or small as the energy is.
fn vigour(text: &str) -> f64 {
    components(2)
        .iter()
        .map(|name| history_of(text, name).pop().unwrap().iter().map(|value| value * value).sum::<f64>())
        .sum()
}

#[test]
fn walls_keep_energy_and_sponges_take_it() {
    let fields =
        format!("{}velocity_y = {{ formula = \"exp(-((x - 30)^2 + (y - 28)^2)/9)\" }}\n", matter(MATTER, false));
    let end = |kernel: &str, steps: u64| {
        vigour(&job(&[58, 64], &[1.0; 2], "wall", kernel, &fields, &format!("steps = {steps}\ncourant = 0.9")))
    };
    let (start, kept, long) = (end("", 2), end("", 400), end("", 4000));
    let taken = end("absorb = { width = 20, strength = 0.06 }", 400);
    println!("at the start {start:.3}, later {kept:.3} and {long:.3}, with a sponge {taken:e}");
    assert!(kept > 0.3 * start && long > 0.3 * start && long < 5.0 * start, "{start} {kept} {long}");
    assert!(taken < 2e-3 * kept, "{taken}");
    // Where all is sponge nothing is left, and nothing that is subnormal.
    let all = job(
        &[20, 20],
        &[1.0; 2],
        "wall",
        "absorb = { width = 40, strength = 0.5 }",
        &fields.replace("30", "9").replace("28", "9"),
        "steps = 600\ncourant = 0.9",
    );
    assert_eq!(vigour(&all).to_bits(), 0);
}

#[test]
fn a_mirrored_start_stays_mirrored() {
    let points = [24, 31];
    // Coordinates are whole numbers, which differences keep.
    let (h, middle) = (1.0, 15.0);
    let off = format!("abs(x - {middle:?})");
    let fields = format!(
        "density = {{ formula = \"1 + 0.3*sin({off} + y)\" }}\nspeed_p = {{ formula = \"2 + 0.5*cos({off})\" }}\n\
         speed_s = {{ formula = \"1 + 0.2*sin({off} - y)\" }}\nstress_xx = {{ formula = \"exp(-{off}^2 - (y - 7)^2)\" }}\n\
         velocity_y = {{ formula = \"exp(-{off}^2 - (y - 9)^2)\" }}\n"
    );
    for beyond in ["wall", "periodic"] {
        for order in [2, 4] {
            let sponge = format!("order = {order}\nabsorb = {{ width = 5, strength = 0.1 }}");
            let text = job(&points, &[h; 2], beyond, &sponge, &fields, "steps = 90\ncourant = 0.9");
            for name in components(2) {
                let end = history_of(&text, name).pop().unwrap();
                assert!(most(end.iter().map(|value| value.abs())) > 1e-6, "{name}");
                let (odd, half) = (axes_of(name).iter().filter(|&&d| d == 0).count() == 1, half(name, 0));
                for row in end.chunks(points[1]) {
                    let last = points[1] - 1 - usize::from(half);
                    for at in 0..=last {
                        let (here, there) = (row[at], row[last - at]);
                        let there = if odd { -there } else { there };
                        assert!(
                            here.to_bits() == there.to_bits() || here == there && here == 0.0,
                            "{name} {at}: {here} {there}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn walls_hold_what_lies_on_them() {
    let mut fields = matter(MATTER, true);
    components(3).iter().for_each(|name| fields += &format!("{name} = 1.0\n"));
    let points = [8, 6, 7];
    let text = job(&points, &[1.0; 3], "wall", "", &fields, "steps = 2\ndt = 0.1");
    for name in components(3) {
        for state in history_of(&text, name) {
            for (at, value) in state.iter().enumerate() {
                let index = index(&points, at);
                let rests = (0..3).any(|d| half(name, d) && index[d] + 1 == points[2 - d]);
                assert!(!rests || *value == 0.0, "{name} at {index:?}: {value}");
                assert!(rests || name.starts_with('v') || *value != 0.0, "{name} at {index:?}: {value}");
            }
        }
    }
}

#[test]
fn other_sides_are_refused_by_name() {
    for beyond in ["open", "fixed"] {
        let text = job(&[20, 20], &[1.0; 2], beyond, "", &matter(MATTER, false), "steps = 1\ndt = 0.1");
        let job = Job::parse(&text, Path::new("test.toml"), &[], &LIBRARY).unwrap();
        let refused = f64::program(ELASTIC, &job.setup).map(|_| ()).unwrap_err();
        let found = job.refuse_kernel(&refused).to_string();
        assert!(
            found.contains(&format!("the kernel has no \"{beyond}\" sides")) && found.contains("absorb"),
            "{found}"
        );
    }
}
