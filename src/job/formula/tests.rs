use super::*;
use crate::grid::{Boundary, Units};

fn grid(axes: usize) -> Grid {
    let mut points = [1; AXES];
    points[AXES - axes..].fill(5);
    Grid {
        axes,
        points,
        spacing: [0.5; AXES],
        origin: [-1.0; AXES],
        units: Units::Metres,
        boundary: [[Boundary::Periodic; 2]; AXES],
    }
}

/// Value of `text` at `x`.
fn at(text: &str, x: f64) -> f64 {
    let formula = Formula::parse(text, &grid(1), f64::NEG_INFINITY).unwrap_or_else(|e| panic!("{text}: {e}"));
    formula.value(&[0.0, 0.0, 0.0, x])
}

#[test]
fn precedence_is_the_usual_one() {
    for (text, value) in [
        ("-x^2", -9.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("-2^-x", -0.125),
        ("8/4/2", 1.0),
        ("8-4-2", 2.0),
        ("2+3*x", 11.0),
        ("(2+3)*x", 15.0),
        ("2*-x", -6.0),
        ("1--x", 4.0),
        ("+x", 3.0),
        ("x/2*4", 6.0),
        ("-(x-1)^2", -4.0),
        ("1e3 + 1.5E-1 + .5 + 2.", 1002.65),
        (" min( x , 2 ) + max(x,7)", 9.0),
        ("atan2(0, -1) - pi", 0.0),
        ("ln(e)", 1.0),
        ("step(x) + step(-x) + step(0) + sign(-x) + sign(0)", 1.0),
        ("((((((x))))))", 3.0),
    ] {
        assert_eq!(at(text, 3.0), value, "{text}");
    }
}

#[test]
fn functions_are_those_of_libm() {
    let all: [fn(f64) -> f64; 19] = [
        libm::sin,
        libm::cos,
        libm::tan,
        libm::asin,
        libm::acos,
        libm::atan,
        libm::sinh,
        libm::cosh,
        libm::tanh,
        libm::exp,
        libm::log,
        libm::log,
        libm::log10,
        libm::log2,
        libm::sqrt,
        libm::fabs,
        libm::floor,
        libm::ceil,
        libm::round,
    ];
    for (name, function) in FUNCTIONS.iter().zip(all) {
        for x in [0.3, 0.7, 1.0] {
            assert_eq!(at(&format!("{name}(x)"), x).to_bits(), function(x).to_bits(), "{name}({x})");
        }
    }
}

#[test]
fn order_of_sums_is_as_written() {
    let (a, b) = (1e16, 1.0);
    assert_eq!(at("x + 1 + 1", a), (a + b) + b);
    assert_eq!(at("x + (1 + 1)", a), a + (b + b));
    assert_eq!(at("1 + 1 + x", a), (b + b) + a);
    assert_eq!(at("0.1 * x * 0.3", 0.7), 0.1 * 0.7 * 0.3);
    assert_eq!(at("x^3", 0.1), 0.1 * (0.1 * 0.1));
}

#[test]
fn mistakes_name_their_place() {
    for (text, at, words) in [
        ("", 0..0, "ends too early"),
        ("x +", 3..3, "ends too early"),
        ("sin(x", 5..5, "`)` is missing"),
        ("2 x", 2..3, "an operator"),
        ("2x", 1..2, "an operator"),
        ("x ** 2", 2..4, "a power is `^`"),
        ("x + foo", 4..7, "unknown name `foo`; coordinates are x"),
        ("y", 0..1, "unknown name `y`"),
        ("sine(x)", 0..4, "did you mean `sin`?"),
        ("sin x", 0..3, "in parentheses"),
        ("atan2(x)", 0..5, "two values"),
        ("1.2.3", 0..5, "no finite number"),
        ("1e999", 0..5, "no finite number"),
        (".", 0..1, "no finite number"),
        ("x § 2", 2..4, "unexpected `§`"),
        ("x)", 1..2, "an operator"),
        ("^2", 0..1, "unexpected `^`"),
        ("max(1,2,3)", 7..8, "an operator or `)`"),
    ] {
        let error = Formula::parse(text, &grid(1), 0.0).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.problem.contains(words), "{text}: {error}");
    }
    for deep in ["(".repeat(4000), "-".repeat(4000), "x".repeat(5000), "1^".repeat(2000), "sin(".repeat(1000)] {
        assert!(Formula::parse(&deep, &grid(1), 0.0).is_err());
    }
}

#[test]
fn boxes_hold_the_values_of_the_whole() {
    let grid = grid(3);
    let formula = Formula::parse("100*z + 10*y + x^2", &grid, f64::NEG_INFINITY).unwrap();
    let mut whole = vec![0.0; 125];
    formula.fill(&grid, &grid.region(), &mut whole).unwrap();
    assert_eq!(whole[grid.region().offset([0, 4, 3, 0])], 100.0 + 10.0 * 0.5 + 1.0);
    let part = Region { start: [0, 1, 2, 3], extent: [1, 3, 2, 2] };
    let mut values = vec![0.0_f32; 12];
    formula.fill(&grid, &part, &mut values).unwrap();
    for (row, cells) in part.rows().zip(values.chunks(2)) {
        for (x, value) in cells.iter().enumerate() {
            let cell = [row[0], row[1], row[2], 3 + x];
            assert_eq!(f64::from(*value), whole[grid.region().offset(cell)], "{cell:?}");
        }
    }
}

#[test]
fn unusable_values_name_the_cell() {
    let grid = grid(2);
    for (text, least, words) in [
        ("1/x", f64::NEG_INFINITY, "cell [0, 2] (y = -1, x = 0)"),
        ("sqrt(y)", f64::NEG_INFINITY, "NaN at cell [0, 0]"),
        ("x", 0.0, "the least value that makes sense is 0"),
    ] {
        let formula = Formula::parse(text, &grid, least).unwrap();
        let error = formula.fill(&grid, &grid.region(), &mut [0.0; 25]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let formula = Formula::parse("1e39", &grid, 0.0).unwrap();
    assert!(formula.fill(&grid, &grid.region(), &mut [0.0_f64; 25]).is_ok());
    assert!(formula.fill(&grid, &grid.region(), &mut [0.0_f32; 25]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[-+*/^(),. xe0-9sinmatx2]{0,40}") {
        if let Ok(formula) = Formula::parse(&text, &grid(1), 0.0) {
            formula.value(&[0.0, 0.0, 0.0, 1.5]);
        }
    }

    #[test]
    fn sums_agree_with_rust(a in -1e3..1e3_f64, b in -1e3..1e3_f64, c in -1e3..1e3_f64, x in -1e3..1e3_f64) {
        let text = format!("{a} - {b} * x / ({c} + x * x) - -x");
        let value: f64 = a - b * x / (c + x * x) - -x;
        proptest::prop_assert_eq!(at(&text, x).to_bits(), value.to_bits(), "{}", text);
    }
}

#[test]
fn coordinates_in_degrees_are_lat_and_lon() {
    let degrees = Grid { units: Units::Degrees, ..grid(2) };
    let formula = Formula::parse("lat + 10*lon", &degrees, f64::NEG_INFINITY).unwrap();
    assert_eq!(formula.value(&[0.0, 0.0, 2.0, 3.0]), 32.0);
    let error = Formula::parse("x", &degrees, 0.0).unwrap_err();
    assert!(error.problem.contains("lat, lon"), "{error}");
}
