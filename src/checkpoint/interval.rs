//! How long to wait between two checkpoints, from what they cost and how often machines fail.
//!
//! Input: seconds: what a checkpoint costs and takes, mean time between failures. Output: the interval, and the share
//! of the time that is lost. Pure. Invariant: `interval` is never shorter than a checkpoint's flight, since only one
//! is in flight at a time; a lost share is never above 1.
//!
//! Source: J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future
//! Generation Computer Systems 22, 2006.

/// Seconds of computing between two checkpoints that lose least, where each holds the steps up for `cost_s` seconds and a
/// failure comes every `mtbf_s` seconds on average: Daly's equation 37,
/// `sqrt(2 d M) (1 + sqrt(d / 2M) / 3 + (d / 2M) / 9) - d` for `d < 2M`, else `M`.
#[must_use]
pub fn optimum(cost_s: f64, mtbf_s: f64) -> f64 {
    let share = cost_s / (2.0 * mtbf_s);
    if share >= 1.0 {
        return mtbf_s;
    }
    (2.0 * cost_s * mtbf_s).sqrt() * (1.0 + share.sqrt() / 3.0 + share / 9.0) - cost_s
}

/// The same where a checkpoint is written within `flight_s` seconds from its copy on, since only one is in flight at a time.
#[must_use]
pub fn interval(cost_s: f64, flight_s: f64, mtbf_s: f64) -> f64 {
    let best = optimum(cost_s, mtbf_s);
    if best < flight_s { flight_s } else { best }
}

/// Share of the time that is lost, to first order: to checkpoints every `interval_s` seconds, and to what failures undo: half an
/// interval and the flight of the checkpoint that did not come to be.
#[must_use]
pub fn waste(cost_s: f64, flight_s: f64, mtbf_s: f64, interval_s: f64) -> f64 {
    let lost = cost_s / (interval_s + cost_s) + (interval_s / 2.0 + flight_s) / mtbf_s;
    if lost < 1.0 { lost } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: f64 = 60.0;

    #[test]
    fn published_cases() {
        // A checkpoint takes five minutes.
        for (mtbf, minutes) in [(24.0 * 60.0, 117.0), (6.0 * 60.0, 57.0), (15.0, 9.1)] {
            let found = optimum(5.0 * MIN, mtbf * MIN) / MIN;
            assert!((found - minutes).abs() < 0.5 * if minutes < 10.0 { 0.1 } else { 1.0 }, "{found} for {mtbf} min");
        }
        assert_eq!(optimum(10.0, 5.0), 5.0);
        assert_eq!(optimum(20.0, 5.0), 5.0);
    }

    #[test]
    fn no_other_interval_loses_less() {
        for cost in [0.01, 1.0, 60.0] {
            for mtbf in [3600.0, 86400.0, 1e6] {
                let best = optimum(cost, mtbf);
                let least = waste(cost, 0.0, mtbf, best);
                for off in [0.5, 0.8, 1.3, 2.0] {
                    assert!(waste(cost, 0.0, mtbf, best * off) > least, "{off} of {best} s at {cost} s, {mtbf} s");
                }
                assert!((least / (2.0 * cost / mtbf).sqrt() - 1.0).abs() < 0.2);
            }
        }
    }

    #[test]
    fn never_shorter_than_a_flight() {
        assert_eq!(interval(0.001, 50.0, 3600.0), 50.0);
        assert_eq!(interval(1.0, 50.0, 86400.0), optimum(1.0, 86400.0));
    }
}
