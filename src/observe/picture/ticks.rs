//! Round numbers along an axis, and how to print them.
//!
//! Invariant: labels are made from whole numbers and powers of ten, so they are exact and all different.

use super::text::{raised, unit as printed};

/// Ticks along an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    /// Value and printed number of each tick, rising.
    pub(super) marks: Vec<(f64, String)>,
    /// Power of ten that the printed numbers leave out.
    exponent: i32,
    /// What the printed numbers leave out before that, with its sign turned: ` − 300`.
    less: String,
}

/// Steps of one power of ten.
const ROUND: [i64; 3] = [1, 2, 5];

/// At most `most` ticks between `low` and `high`; on a circle, steps that divide it.
pub(super) fn ticks(low: f64, high: f64, most: usize, degrees: bool) -> Ticks {
    let Some((mantissa, power)) = step(high - low, most, degrees) else { return Ticks::default() };
    let step = value(mantissa, power);
    let first = whole((low / step - 1e-9).ceil());
    let last = whole((high / step + 1e-9).floor());
    let (Some(first), Some(last)) = (first, last) else { return Ticks::default() };
    let far = if low.abs() < high.abs() { high.abs() } else { low.abs() };
    // Numbers that differ only after the fifth digit are printed relative to one nearby.
    let base = if far > 2e5 * step { roundest(2 * first - last, last) } else { 0 };
    let widest = if base == 0 { far } else { high - low };
    let exponent = exponent_of(widest, if base == 0 { 5 } else { 3 });
    let marks = (first..=last)
        .map(|count| {
            let label = decimal((count - base) * mantissa, power - exponent);
            (value(count * mantissa, power), label)
        })
        .collect();
    let less = match base {
        0 => String::new(),
        base if base < 0 => format!(" + {}", shortest(-base * mantissa, power)),
        base => format!(" \u{2212} {}", shortest(base * mantissa, power)),
    };
    Ticks { marks, exponent, less }
}

impl Ticks {
    /// Label of the axis: its name, what the printed numbers leave out, and the unit.
    pub(super) fn caption(&self, name: &str, unit: &str) -> String {
        let name = format!("{name}{}", self.less);
        let prefixed = |prefix: &str| format!("{name} ({prefix}{unit})");
        let printed = printed(unit);
        match (self.exponent, unit) {
            (-9, "m" | "s") => prefixed("n"),
            (-6, "m" | "s") => prefixed("\u{3bc}"),
            (-3, "m" | "s") => prefixed("m"),
            (3, "m") => prefixed("k"),
            (0, _) if printed.is_empty() => name,
            (0, _) => format!("{name} ({printed})"),
            (power, _) => {
                let unit = format!("10{} {printed}", raised(&power.to_string()));
                format!("{name} ({})", unit.trim_end())
            }
        }
    }
}

/// The whole number from `first` to `last` with the most zeros at its end.
fn roundest(first: i64, last: i64) -> i64 {
    let multiple = |unit: &i64| {
        let multiple = last.div_euclid(*unit) * unit;
        (multiple >= first).then_some(multiple)
    };
    (0..18).rev().map(|power| 10_i64.pow(power)).find_map(|unit| multiple(&unit)).unwrap_or(first)
}

/// Least round step, as mantissa and power of ten, that puts at most `most` ticks on a `span`.
fn step(span: f64, most: usize, degrees: bool) -> Option<(i64, i32)> {
    if !(span.is_finite() && span > 1e-300) {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "a few ticks")]
    let fits = |&(mantissa, power): &(i64, i32)| span / value(mantissa, power) <= most as f64 + 1e-9;
    let circle = degrees && span > 20.0 && span <= 720.0;
    if circle && let Some(found) = [5, 10, 15, 30, 45, 60, 90, 180].map(|step| (step, 0)).iter().find(|step| fits(step))
    {
        return Some(*found);
    }
    let power = floor_log10(span) - 3;
    (power..power + 6).flat_map(|power| ROUND.map(|mantissa| (mantissa, power))).find(fits)
}

/// Greatest `power` with `10^power <= value`, for a positive value.
#[allow(clippy::cast_possible_truncation, reason = "the logarithm of a double is within 400 of zero")]
fn floor_log10(value: f64) -> i32 {
    (value.log10() + 1e-12).floor() as i32
}

/// `mantissa * 10^power`, rounded once where the power of ten is exact.
#[allow(clippy::cast_precision_loss, reason = "marks are placed to a fraction of a pixel")]
fn value(mantissa: i64, power: i32) -> f64 {
    let mantissa = mantissa as f64;
    if power < 0 { mantissa / 10f64.powi(-power) } else { mantissa * 10f64.powi(power) }
}

/// `value` as a whole number, if it is one that fits.
#[allow(clippy::cast_possible_truncation, reason = "checked before")]
fn whole(value: f64) -> Option<i64> {
    (value.abs() < 1e15).then_some(value as i64)
}

/// Power of ten to leave out of numbers up to `far`: a multiple of three, and 0 for numbers of 0.001 up to `digits` digits.
fn exponent_of(far: f64, digits: i32) -> i32 {
    let power = if far > 0.0 { floor_log10(far) } else { 0 };
    if (-3..digits).contains(&power) { 0 } else { power.div_euclid(3) * 3 }
}

/// `number * 10^power` with as many decimals as the power asks for.
fn decimal(number: i64, power: i32) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    let digits = number.unsigned_abs().to_string();
    let places = usize::try_from(-power).unwrap_or(0);
    if places == 0 {
        let zeros = if number == 0 { 0 } else { usize::try_from(power).unwrap_or(0) };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (before, after) = digits.split_at(digits.len() - places);
    format!("{sign}{before}.{after}")
}

/// The same without zeros at the end of its decimals.
fn shortest(number: i64, power: i32) -> String {
    let decimal = decimal(number, power);
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.').to_owned() } else { decimal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, most: usize) -> (Vec<String>, String) {
        let ticks = ticks(low, high, most, false);
        let caption = ticks.caption("p", "Pa");
        (ticks.marks.into_iter().map(|mark| mark.1).collect(), caption)
    }

    #[test]
    fn numbers_are_round_and_exact() {
        for (low, high, expected, caption) in [
            (0.0, 1.0, "0.0 0.2 0.4 0.6 0.8 1.0", "p (Pa)"),
            (-0.1, 0.1, "\u{2212}0.10 \u{2212}0.05 0.00 0.05 0.10", "p (Pa)"),
            (1e-12, 1e-9, "0.2 0.4 0.6 0.8 1.0", "p (10\u{207b}\u{2079} Pa)"),
            (0.0, 1e6, "0.0 0.2 0.4 0.6 0.8 1.0", "p (10\u{2076} Pa)"),
            (-9026.0, 6228.0, "\u{2212}5000 0 5000", "p (Pa)"),
            (300.0, 300.000_01, "0 2 4 6 8 10", "p \u{2212} 300 (10\u{207b}\u{2076} Pa)"),
            (-1e300, 1e300, "\u{2212}1.0 \u{2212}0.5 0.0 0.5 1.0", "p (10\u{b3}\u{2070}\u{2070} Pa)"),
        ] {
            let (labels, found) = labels(low, high, 6);
            assert_eq!((labels.join(" ").as_str(), found.as_str()), (expected, caption), "{low} to {high}");
        }
    }

    #[test]
    fn circles_are_cut_evenly() {
        let marks: Vec<_> = ticks(0.0, 360.0, 9, true).marks.into_iter().map(|mark| mark.1).collect();
        assert_eq!(marks.join(" "), "0 45 90 135 180 225 270 315 360");
    }

    #[test]
    fn every_range_has_few_ticks_within_it() {
        for power in (-280..280).step_by(7) {
            for (low, high) in [(0.0, 1.0), (-3.0, 7.0), (0.999, 1.0), (-1.0, -0.2), (1.0, 1.000_000_1)] {
                let scale = 10f64.powi(power);
                let (low, high) = (low * scale, high * scale);
                for most in 1..12 {
                    let marks = ticks(low, high, most, false).marks;
                    assert!(marks.len() <= most + 1, "{low} {high} {most}: {marks:?}");
                    assert!(most < 4 || marks.len() >= 2, "{low} {high} {most}: {marks:?}");
                    let slack = (high - low) * 1e-6;
                    assert!(marks.iter().all(|mark| mark.0 >= low - slack && mark.0 <= high + slack), "{marks:?}");
                    assert!(marks.windows(2).all(|pair| pair[0].1 != pair[1].1), "{marks:?}");
                }
            }
        }
        for (low, high) in [(0.0, 0.0), (1.0, f64::INFINITY), (f64::NAN, 1.0), (5e-324, 1e-323)] {
            assert!(ticks(low, high, 5, false).marks.is_empty());
        }
    }
}
