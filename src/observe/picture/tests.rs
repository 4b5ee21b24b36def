//! Pictures of ordinary and of extreme values. With `RINGFORT_GALLERY=DIR` those of `drawn` are written there to be
//! looked at.
//!
//! Invariant: what `drawn` draws it draws twice, and the bytes must be the same. No picture is compared with a stored
//! one: looks may change, and are for the eye to judge. Without the variable nothing is written.

use super::*;

fn axis(name: &str, unit: &str, origin: f64, spacing: f64) -> AxisLabel {
    AxisLabel { name: name.to_owned(), unit: unit.to_owned(), origin, spacing }
}

/// A picture of `value(y, x)` with coordinates from -1 to 1.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn sample(rows: usize, cols: usize, value: impl Fn(f64, f64) -> f64) -> Picture {
    let at = |count: usize, points: usize| (2.0 * count as f64 + 1.0) / points as f64 - 1.0;
    let values = (0..rows * cols).map(|cell| value(at(cell / cols, rows), at(cell % cols, cols))).collect();
    Picture {
        values,
        rows,
        cols,
        row_axis: axis("y", "m", 0.0, 0.25),
        col_axis: axis("x", "m", 0.0, 0.25),
        title: "pulse: temperature\nstep 200 \u{b7} t = 1.2 s".to_owned(),
        label: "temperature".to_owned(),
        unit: "K".to_owned(),
        range: None,
        colors: Colors::Viridis,
    }
}

fn bump(y: f64, x: f64) -> f64 {
    (-6.0 * (y * y + x * x)).exp()
}

/// Draws, keeps for the eye where asked, and gives width and height.
fn drawn(name: &str, picture: &Picture) -> (u32, u32) {
    let bytes = draw(picture).expect(name);
    assert_eq!(bytes, draw(picture).expect(name), "{name}: the same picture gives the same bytes");
    if let Ok(folder) = std::env::var("RINGFORT_GALLERY") {
        std::fs::write(format!("{folder}/{name}.png"), &bytes).expect("gallery");
    }
    let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect(name);
    (reader.info().width, reader.info().height)
}

#[test]
fn ordinary_pictures() {
    let sizes = [
        drawn("gaussian", &sample(256, 256, bump)),
        drawn("tiny", &sample(5, 7, |y, x| 300.0 + y * x)),
        drawn(
            "wide",
            &Picture {
                unit: "m s-1".into(),
                label: "velocity_x".into(),
                ..sample(40, 900, |y, x| y * (9.0 * x).sin())
            },
        ),
        drawn("tall", &sample(600, 30, |y, x| (9.0 * y).sin() + x)),
        drawn("uneven", &Picture { row_axis: axis("z", "m", 0.0, 0.5), ..sample(60, 150, bump) }),
        drawn("one-column", &sample(50, 1, |y, _| y)),
    ];
    for (width, height) in sizes {
        assert!((300..1500).contains(&width) && (250..1200).contains(&height), "{width} x {height}");
    }
}

#[test]
fn extreme_values() {
    drawn(
        "small",
        &Picture { unit: "Pa".into(), colors: Colors::Magma, ..sample(64, 64, |y, x| 1e-12 + 1e-9 * bump(y, x)) },
    );
    drawn("large", &Picture { colors: Colors::Inferno, ..sample(64, 96, |y, x| 1e6 * (bump(y, x) - 2.0)) });
    drawn("negative", &Picture { colors: Colors::Plasma, ..sample(64, 64, |y, x| -3.0 - bump(y, x)) });
    drawn("offset", &Picture { colors: Colors::Cividis, ..sample(64, 64, |y, x| 300.0 + 1e-5 * bump(y, x)) });
    drawn("constant", &sample(16, 16, |_, _| 273.15));
    drawn("zero", &sample(16, 16, |_, _| 0.0));
    let holes = |y: f64, x: f64| if y * y + x * x < 0.1 { f64::NAN } else { x };
    drawn("holes", &Picture { range: Some((-0.5, 0.5)), colors: Colors::Turbo, ..sample(100, 100, holes) });
    for value in [f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 5e-324] {
        drawn("flat", &sample(3, 4, |_, _| value));
        drawn("split", &sample(3, 4, |y, _| if y > 0.0 { value } else { -value }));
        drawn("line", &sample(1, 4, |_, x| if x > 0.0 { value } else { -value }));
    }
    let far =
        Picture { col_axis: axis("x", "m", 1e7, 1e-3), row_axis: axis("a", "s", -1e-9, 1e-12), ..sample(30, 40, bump) };
    drawn("far", &far);
    drawn(
        "odd-axes",
        &Picture { col_axis: axis("x", "m", f64::MAX, 1e-300), row_axis: axis("y", "m", 0.0, -f64::MAX), ..far },
    );
}

#[test]
fn lines() {
    drawn("wave", &sample(1, 200, |_, x| (9.0 * x).sin() * (1.0 - x * x)));
    drawn("dense", &sample(1, 100_000, |_, x| (900.0 * x).sin() * x));
    drawn("broken", &sample(1, 300, |_, x| if x.abs() < 0.1 { f64::NAN } else { 1.0 / x }));
    drawn("point", &sample(1, 1, |_, _| 3.0));
}

#[test]
fn senseless_pictures_are_refused() {
    let good = sample(4, 4, bump);
    let bad = [
        Picture { rows: 3, ..good.clone() },
        Picture { rows: 0, values: vec![], ..good.clone() },
        Picture { rows: usize::MAX, ..good.clone() },
        Picture { col_axis: axis("x", "m", 0.0, 0.0), ..good.clone() },
        Picture { row_axis: axis("y", "m", f64::NAN, 1.0), ..good.clone() },
        Picture { range: Some((1.0, 1.0)), ..good.clone() },
        Picture { range: Some((f64::NEG_INFINITY, 1.0)), ..good.clone() },
    ];
    for picture in bad {
        assert!(draw(&picture).is_err(), "{picture:?}");
    }
    assert!(Colors::NAMES.iter().all(|name| Colors::named(name).is_some()) && Colors::named("jet").is_none());
}

#[test]
fn large_slices_are_quick() {
    let picture = sample(4000, 4000, bump);
    let start = crate::clock::now();
    draw(&picture).expect("picture");
    let seconds = start.elapsed().as_secs_f64();
    let most = if cfg!(debug_assertions) { 20.0 } else { 2.0 };
    assert!(seconds < most, "{seconds} s");
    println!("4000 x 4000: {seconds:.3} s");
}
