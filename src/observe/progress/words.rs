//! Times and rates as people read them.
//!
//! Input: seconds, or updates per second. Output: a rounded number with its unit, or hours, minutes and seconds.
//! Invariant: any number gives words, NaN and infinities too. They are rounded for people, so no program may take a
//! value back from them.

/// Hours, minutes and seconds: `00:14:10`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate, which is meant")]
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    format!("{:02}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

/// A time gone by, roughly: `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn age(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{:.0} s", s.floor()),
        s if s < 3600.0 => format!("{:.0} min", (s / 60.0).floor()),
        s if s < 86_400.0 => format!("{:.0} h", (s / 3600.0).floor()),
        s => format!("{:.0} d", (s / 86_400.0).floor()),
    }
}

/// A duration in seconds.
pub(super) fn seconds(duration: f64) -> String {
    match duration {
        s if s < 0.1 => format!("{s:.3} s"),
        s if s < 99.95 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// Time in the model, three digits: `1.20 s`, `350 us`, `12.5 d`.
pub(super) fn model_time(time_s: f64) -> String {
    let size = time_s.abs();
    let units =
        [(259_200.0, 86_400.0, "d"), (1.0, 1.0, "s"), (1e-3, 1e-3, "ms"), (1e-6, 1e-6, "us"), (0.0, 1e-9, "ns")];
    let (_, unit, name) = units.into_iter().find(|(least, ..)| size >= *least).unwrap_or((0.0, 1.0, "s"));
    if size == 0.0 || !size.is_finite() {
        return format!("{time_s} s");
    }
    format!("{} {name}", three(time_s / unit))
}

/// Cell updates per second: `812 Mcell/s`.
#[must_use]
pub fn rate(updates: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (unit, name) = units.into_iter().find(|(unit, _)| updates >= *unit).unwrap_or((1.0, ""));
    format!("{} {name}cell/s", three(updates / unit))
}

/// `value` with three digits, more where it is larger.
fn three(value: f64) -> String {
    match value.abs() {
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        v if v < 1e7 => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_words() {
        assert_eq!([0.4, 59.6, 850.0, 446_650.0].map(clock), ["00:00:00", "00:01:00", "00:14:10", "124:04:10"]);
        assert_eq!(clock(f64::NAN), "00:00:00");
        assert_eq!([0.9, 59.9, 185.0, 7300.0, 2e5].map(age), ["0 s", "59 s", "3 min", "2 h", "2 d"]);
        assert_eq!([0.0004, 0.8, 41.55, 780.0].map(seconds), ["0.000 s", "0.8 s", "41.5 s", "780 s"]);
        assert_eq!(
            [0.0, 1.2, 35.04e-5, 3.5e-9, 86_400.0, 1e6, -2.0].map(model_time),
            ["0 s", "1.20 s", "350 us", "3.50 ns", "86400 s", "11.6 d", "-2.00 s"]
        );
        assert_eq!(
            [0.0, 950.0, 12_345.0, 812e6, 4.2e9, 3e13].map(rate),
            ["0.00 cell/s", "950 cell/s", "12.3 kcell/s", "812 Mcell/s", "4.20 Gcell/s", "30.0 Tcell/s"]
        );
    }
}
