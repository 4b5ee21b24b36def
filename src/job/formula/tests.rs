//! What formulas mean, which mistakes they name, and that rows have the bits of single values.
//!
//! Input: texts, some of them random. Invariant: values are compared exactly, without tolerance; what runs in rows is
//! compared with a tree walked one operation after the other.

use ringfort_kernels::Allowed;

use super::grammar::Names;
use super::tree::{Node, Pair};
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
    let map = Map::parse(text, &[], &grid(1)).unwrap_or_else(|e| panic!("{text}: {e}"));
    let rows: Vec<&[f64]> = map.variables().iter().map(|_| std::slice::from_ref(&x)).collect();
    map.run(1, &rows, &mut Work::default())[0]
}

/// Value of `node` for its variable `x`: one operation after the other, as plainly as can be.
fn plain(node: &Node, x: f64) -> f64 {
    match node {
        Node::Number(value) => *value,
        Node::Variable(_) => x,
        Node::Negate(of) => -plain(of, x),
        Node::Call(function, of) => operators::FUNCTIONS_OF_ONE[*function](plain(of, x)),
        Node::Pair(pair, a, b) => {
            let (a, b) = (plain(a, x), plain(b, x));
            match pair {
                Pair::Add => a + b,
                Pair::Subtract => a - b,
                Pair::Multiply => a * b,
                Pair::Divide => a / b,
                Pair::Power => operators::power(a, b),
                Pair::Atan2 => libm::atan2(a, b),
                Pair::Min => operators::smaller(a, b),
                Pair::Max => operators::larger(a, b),
            }
        }
    }
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
        let error = Formula::parse(text, &grid(1), Allowed::ALL).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.problem.contains(words), "{text}: {error}");
    }
    for deep in ["(".repeat(4000), "-".repeat(4000), "x".repeat(5000), "1^".repeat(2000), "sin(".repeat(1000)] {
        assert!(Formula::parse(&deep, &grid(1), Allowed::ALL).is_err());
    }
}

#[test]
fn boxes_hold_the_values_of_the_whole() {
    let grid = grid(3);
    let formula = Formula::parse("100*z + 10*y + x^2", &grid, Allowed::ALL).unwrap();
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
fn rows_longer_than_a_piece_are_filled_to_their_end() {
    let mut grid = grid(2);
    grid.points[3] = 3 * ROW + 7;
    let formula = Formula::parse("y + x", &grid, Allowed::ALL).unwrap();
    let part = Region { start: [0, 0, 2, 5], extent: [1, 1, 2, 3 * ROW + 1] };
    let mut values = vec![0.0; part.cells()];
    formula.fill(&grid, &part, &mut values).unwrap();
    for (row, cells) in part.rows().zip(values.chunks(3 * ROW + 1)) {
        let wanted = (5..).map(|x| grid.coordinate(2, row[2]) + grid.coordinate(3, x));
        assert!(cells.iter().zip(wanted).all(|(value, wanted)| *value == wanted));
    }
    let (last, x) = (2 * ROW + 9, grid.coordinate(3, 2 * ROW + 9));
    let formula = Formula::parse(&format!("sqrt({x} - x)"), &grid, Allowed::ALL).unwrap();
    let error = formula.fill(&grid, &part, &mut values).unwrap_err().to_string();
    assert!(error.contains(&format!("NaN at cell [2, {}]", last + 1)), "{error}");
}

#[test]
fn unusable_values_name_the_cell() {
    let grid = grid(2);
    for (text, allowed, words) in [
        ("1/x", Allowed::ALL, "cell [0, 2] (y = -1, x = 0)"),
        ("sqrt(y)", Allowed::ALL, "NaN at cell [0, 0]"),
        ("x", Allowed::AtLeast(0.0), "the least value that makes sense is 0"),
        ("x + 0.5", Allowed::OneOf(&[0.5, 1.5]), "the values that make sense are 0.5 and 1.5"),
    ] {
        let formula = Formula::parse(text, &grid, allowed).unwrap();
        let error = formula.fill(&grid, &grid.region(), &mut [0.0; 25]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let formula = Formula::parse("1e39", &grid, Allowed::ALL).unwrap();
    assert!(formula.fill(&grid, &grid.region(), &mut [0.0_f64; 25]).is_ok());
    assert!(formula.fill(&grid, &grid.region(), &mut [0.0_f32; 25]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[-+*/^(),. xe0-9sinmatx2]{0,40}") {
        if Map::parse(&text, &[], &grid(1)).is_ok() {
            agrees(&text, &[1.5, -0.0, f64::INFINITY]);
        }
    }

    #[test]
    fn rows_have_the_bits_of_single_values(text in formula(), x in proptest::collection::vec(-4.0..4.0_f64, 1..40)) {
        agrees(&text, &x);
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
    let formula = Formula::parse("lat + 10*lon", &degrees, Allowed::ALL).unwrap();
    let (cell, mut value) = (Region { start: [0, 0, 2, 3], extent: [1; AXES] }, [0.0]);
    formula.fill(&degrees, &cell, &mut value).unwrap();
    assert_eq!(value[0], degrees.coordinate(2, 2) + 10.0 * degrees.coordinate(3, 3));
    let error = Formula::parse("x", &degrees, Allowed::ALL).unwrap_err();
    assert!(error.problem.contains("lat, lon"), "{error}");
}

/// Checks that the formula `text`, run on the row `x`, gives what its operations give for each alone.
fn agrees(text: &str, x: &[f64]) {
    let tree = grammar::parse(text, Names { fields: &[], coordinates: &["x"] }).unwrap();
    let map = Map::parse(text, &[], &grid(1)).unwrap();
    let rows: Vec<&[f64]> = map.variables().iter().map(|_| x).collect();
    let mut work = Work::default();
    let row = map.run(x.len(), &rows, &mut work);
    assert_eq!(row.len(), x.len());
    for (x, row) in x.iter().zip(row) {
        let alone = plain(&tree, *x);
        let same = row.to_bits() == alone.to_bits() || (row.is_nan() && alone.is_nan());
        assert!(same, "{text} at {x}: {row} in a row, {alone} alone");
    }
}

/// Any formula of `x`.
fn formula() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just("x".to_owned()),
        Just("pi".to_owned()),
        (0.0..3.0_f64).prop_map(|number| number.to_string()),
        (0..6_u32).prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(6, 60, 2, |inner| {
        let functions = proptest::sample::select(FUNCTIONS.to_vec());
        let pairs = proptest::sample::select(PAIRS.to_vec());
        let operators = proptest::sample::select(vec!["+", "-", "*", "/", "^"]);
        prop_oneof![
            inner.clone().prop_map(|of| format!("-{of}")),
            inner.clone().prop_map(|of| format!("({of})")),
            (functions, inner.clone()).prop_map(|(name, of)| format!("{name}({of})")),
            (pairs, inner.clone(), inner.clone()).prop_map(|(name, a, b)| format!("{name}({a}, {b})")),
            (inner.clone(), -9..9_i32).prop_map(|(of, power)| format!("({of})^{power}")),
            (inner.clone(), operators, inner).prop_map(|(a, operator, b)| format!("{a} {operator} {b}")),
        ]
    })
}

#[test]
fn all_operations_agree_on_odd_values_and_long_rows() {
    let mut x =
        vec![0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e300, 1e-300, 5e-324, f64::INFINITY, -f64::INFINITY, f64::NAN];
    x.extend((x.len()..ROW).map(|at| (at as f64 - 250.0) / 16.0));
    let powers =
        ["x^0", "x^1", "x^2", "x^3", "x^7", "x^-1", "x^-2", "x^1024", "x^1025", "x^0.5", "x^x", "2^x", "2^3", "x^-0"];
    let plain =
        ["x", "-x", "1", "-2", "x + 1", "1 - x", "x - 1", "x * x", "3 / x", "x / 3", "1/(x-(2-(x+(3*(x-x/7)))))"];
    let functions = FUNCTIONS.iter().map(|name| format!("{name}(x)"));
    let constant = FUNCTIONS.iter().map(|name| format!("{name}(0.5) + x"));
    let pairs = PAIRS.iter().flat_map(|name| ["x, 1", "1, x", "x, -x", "1, 2"].map(|of| format!("{name}({of})")));
    let all = powers.into_iter().chain(plain).map(str::to_owned).chain(functions).chain(constant).chain(pairs);
    for text in all {
        for length in [1, 7, 8, 9, x.len()] {
            agrees(&text, &x[..length]);
        }
    }
}

#[test]
fn maps_read_fields_before_coordinates_and_name_the_nearest() {
    let fields = [("pressure", 4), ("x", 7), ("e", 9)];
    let map = Map::parse("pressure*y + x - pressure^2 + e", &fields, &grid(2)).unwrap();
    let variables = [Variable::Field(4), Variable::Coordinate(2), Variable::Field(7), Variable::Field(9)];
    assert_eq!(map.variables(), variables);
    let rows = [[3.0, 4.0], [10.0, 20.0], [0.5, 0.25], [1.0, 2.0]];
    let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
    let mut work = Work::default();
    assert_eq!(map.run(2, &rows, &mut work), [30.0 + 0.5 - 9.0 + 1.0, 80.0 + 0.25 - 16.0 + 2.0]);
    // A field alone is its row, not a copy of it.
    let plain = Map::parse("(+pressure)", &fields, &grid(2)).unwrap();
    assert!(std::ptr::eq(plain.run(2, &rows, &mut work), rows[0]));
    for (text, at, words) in [
        ("2*presure", 2..9, "did you mean `pressure`? fields are pressure, x, e"),
        ("u + v", 0..1, "unknown name `u`; fields are pressure, x, e; coordinates are y, x"),
        ("x + ", 4..4, "a number, a field or a function"),
    ] {
        let error = Map::parse(text, &fields, &grid(2)).unwrap_err();
        assert_eq!(error.at, at, "{text}");
        assert!(error.problem.contains(words), "{error}");
    }
}
