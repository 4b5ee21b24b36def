//! Where time enters: nobody else calls `Instant::now` or `SystemTime::now`, so decisions stay pure.
//!
//! Output: times, and a wall time as text. Invariant: waits, deadlines and leases are told by clocks that never go
//! back; the wall clock, which may jump, is for records, and for the one limit that is given as a wall time, the
//! scheduler's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, on the clock that never goes back.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds on a clock that never goes back and counts on while the machine sleeps.
#[must_use]
pub fn awake_ms() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(id);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Seconds since the Unix epoch, on the wall clock: for records that people read, never for decisions.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// `wall`, seconds since the Unix epoch, as date and time for people: `2026-03-01 12:00:05 UTC`.
///
/// Source: the days of the proleptic Gregorian calendar counted in eras of 400 years that begin on 1 March, as in
/// H. Hinnant, "chrono-compatible low-level date algorithms", 2013.
#[must_use]
pub fn utc(wall: f64) -> String {
    let seconds = Duration::try_from_secs_f64(wall).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (wall, text) in [
            (0.0, "1970-01-01 00:00:00 UTC"),
            (951_782_399.9, "2000-02-28 23:59:59 UTC"),
            (951_782_400.0, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200.0, "2024-03-01 00:00:00 UTC"),
            (4_107_542_399.0, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400.0, "2100-03-01 00:00:00 UTC"),
            (-1.0, "1970-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(wall), text);
        }
    }
}
