//! Rank 0's clock: when a checkpoint is due, and when the run is to stop, from what both were measured to take.
//!
//! Input: the present moment, and what became of checkpoints. Output: wishes for the control word. Pure: time is
//! passed in. Invariant: nothing is decided here: a wish counts once the control word carries it to all ranks. A
//! checkpoint is asked for once, until it is taken or skipped.

use std::time::Instant;

use crate::checkpoint::interval::{interval, waste};
use crate::job::{Every, Job};

/// Bytes per second at which a disk writes, until a checkpoint has been measured: slow, so that none comes too late.
const GUESSED_BYTES_PER_S: f64 = 2e8;
/// Longest time to the first checkpoint of `auto`, which has to be measured, in seconds.
const FIRST_S: f64 = 600.0;
/// Weight of the checkpoint measured last among all.
const LAST_COUNTS: f64 = 0.25;
/// Change of the interval of `auto` that is worth telling.
const WORTH_TELLING: f64 = 1.25;

/// When checkpoints are due by the clock, and when the time is up.
#[derive(Clone, Debug)]
pub struct When {
    every: Option<Every>,
    began: Instant,
    /// Seconds from `began` on that the run may take.
    limit_s: Option<f64>,
    /// When the last checkpoint was taken, or skipped.
    last: Instant,
    /// True while a checkpoint that the clock asked for is on its way.
    asked: bool,
    /// What a checkpoint is guessed to take.
    guess_s: f64,
    /// What checkpoints took.
    measured: Option<Measured>,
    /// Interval of `auto` that was told last, in seconds.
    told_s: Option<f64>,
}

/// What checkpoints took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    /// Holding up the steps, later ones counting more.
    cost_s: f64,
    /// From the copy until they were there, while steps went on.
    flight_s: f64,
    /// All of the one that took longest.
    longest_s: f64,
}

impl When {
    /// The clock of a start of `job` at `began`, which may take `limit_s` seconds; its checkpoints have `bytes` bytes.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a guess")]
    pub fn new(job: &Job, began: Instant, limit_s: Option<f64>, bytes: u64) -> Self {
        let guess_s = bytes as f64 / GUESSED_BYTES_PER_S;
        let every = job.checkpoint.every;
        Self { every, began, limit_s, last: began, asked: false, guess_s, measured: None, told_s: None }
    }

    /// True once, when a checkpoint is due at `now`.
    pub fn due(&mut self, now: Instant) -> bool {
        let wait_s = match self.every {
            Some(Every::Seconds(seconds)) => seconds,
            Some(Every::Auto { mtbf_s }) => self.interval_s(mtbf_s),
            Some(Every::Steps(_)) | None => return false,
        };
        let due = !self.asked && now.duration_since(self.last).as_secs_f64() >= wait_s;
        self.asked |= due;
        due
    }

    /// Seconds between checkpoints where failures come every `mtbf_s` seconds.
    fn interval_s(&self, mtbf_s: f64) -> f64 {
        match self.measured {
            Some(measured) => interval(measured.cost_s, measured.flight_s, mtbf_s),
            None => {
                let guess_s = interval(self.guess_s, self.guess_s, mtbf_s);
                if guess_s < FIRST_S { guess_s } else { FIRST_S }
            }
        }
    }

    /// True if no more than another two rounds of `round_s` seconds and two checkpoints fit before the limit.
    #[must_use]
    pub fn time_up(&self, now: Instant, round_s: f64) -> bool {
        let save_s = self.measured.map_or(self.guess_s, |measured| measured.longest_s);
        let elapsed_s = now.duration_since(self.began).as_secs_f64();
        self.limit_s.is_some_and(|limit_s| elapsed_s + 2.0 * round_s + 2.0 * save_s >= limit_s)
    }

    /// A checkpoint is taken, or skipped, at `now`.
    pub fn taken(&mut self, now: Instant) {
        self.last = now;
        self.asked = false;
    }

    /// A checkpoint held up the steps for `cost_s` seconds and was written in another `flight_s` while steps went on. Returns what
    /// there is to tell of the interval that follows.
    pub fn measured(&mut self, cost_s: f64, flight_s: f64) -> Option<String> {
        let all_s = cost_s + flight_s;
        let new = match self.measured {
            None => Measured { cost_s, flight_s, longest_s: all_s },
            Some(old) => Measured {
                cost_s: old.cost_s + LAST_COUNTS * (cost_s - old.cost_s),
                flight_s: old.flight_s + LAST_COUNTS * (flight_s - old.flight_s),
                longest_s: if all_s > old.longest_s { all_s } else { old.longest_s },
            },
        };
        self.measured = Some(new);
        let Some(Every::Auto { mtbf_s }) = self.every else { return None };
        let next_s = self.interval_s(mtbf_s);
        let same = |told: f64| next_s < told * WORTH_TELLING && told < next_s * WORTH_TELLING;
        if self.told_s.is_some_and(same) {
            return None;
        }
        self.told_s = Some(next_s);
        let lost = 100.0 * waste(new.cost_s, new.flight_s, mtbf_s, next_s);
        Some(format!(
            "a checkpoint every {next_s:.3} s from now on: each holds the steps up for {:.3} s and is written in {:.3} s; with a \
             failure every {:.1} h some {lost:.2} % of the time will be lost",
            new.cost_s,
            new.flight_s,
            mtbf_s / 3600.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::advance::library::SHIPPED;
    use crate::checkpoint::interval::optimum;

    fn when(every: &str, limit_s: Option<f64>, bytes: u64) -> (When, Instant) {
        let text = format!(
            "grid.points = [9]\nkernel.name = \"heat\"\nfields = {{ temperature = 1.0, diffusivity = 1.0 }}\n\
             time = {{ steps = 100, dt = 0.1 }}\n[checkpoint]\n{every}\n"
        );
        let job = Job::parse(&text, Path::new("job.toml"), &[], &SHIPPED).expect("a job");
        let began = crate::clock::now();
        (When::new(&job, began, limit_s, bytes), began)
    }

    fn after(began: Instant, seconds: f64) -> Instant {
        began + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn minutes_are_due_once_each() {
        let (mut clock, began) = when("every = \"10 min\"", None, 0);
        assert!(!clock.due(after(began, 599.0)));
        assert!(clock.due(after(began, 600.0)) && !clock.due(after(began, 700.0)), "asked for once");
        clock.taken(after(began, 701.0));
        assert!(!clock.due(after(began, 1300.0)) && clock.due(after(began, 1301.0)));
        let (mut steps, began) = when("every = \"5 steps\"", None, 0);
        assert!(!steps.due(after(began, 1e6)));
    }

    proptest::proptest! {
        /// Elsewhere the clock's rule never came true. Whatever rounds take, checkpoints come as often as they should, and no
        /// oftener.
        #[test]
        fn one_is_due_in_every_interval(minutes in 1_u32..100, rounds in proptest::collection::vec(0.001..100.0_f64, 1..2000)) {
            let (mut clock, began) = when(&format!("every = \"{minutes} min\""), None, 0);
            let interval_s = f64::from(minutes) * 60.0;
            let (mut now_s, mut last_s) = (0.0, 0.0);
            for round_s in rounds {
                now_s += round_s;
                let due = clock.due(after(began, now_s));
                // A nanosecond is the clock's own step.
                let early = now_s - last_s < interval_s - 1e-6;
                let late = now_s - last_s > interval_s + 1e-6;
                proptest::prop_assert!(!(due && early) && (due || !late), "{last_s} s, then {now_s} s: {due}");
                if due {
                    clock.taken(after(began, now_s));
                    last_s = now_s;
                }
            }
        }
    }

    #[test]
    fn auto_follows_what_is_measured() {
        let (mut clock, began) = when("every = \"auto\"\nmtbf = \"24 h\"", None, 1 << 40);
        assert!(!clock.due(after(began, 599.0)) && clock.due(after(began, 600.0)), "the first is to be measured");
        clock.taken(after(began, 600.0));
        let told = clock.measured(300.0, 0.0).expect("the interval is told");
        assert!(told.contains("every 7001.389") && told.contains("24.0 h"), "{told}");
        let wait = optimum(300.0, 86400.0);
        assert!(!clock.due(after(began, 599.0 + wait)) && clock.due(after(began, 601.0 + wait)));
        assert_eq!(clock.measured(301.0, 0.0), None, "much the same");
        let (mut clock, began) = when("every = \"auto\"\nmtbf = \"1 h\"", None, 0);
        assert!(clock.measured(0.01, 500.0).is_some());
        assert!(!clock.due(after(began, 499.0)) && clock.due(after(began, 500.0)), "one flight at a time");
    }

    #[test]
    fn the_time_is_up_in_time() {
        let (mut clock, began) = when("every = \"5 steps\"", Some(1000.0), 2_000_000_000);
        assert!(!clock.time_up(after(began, 975.0), 2.0), "10 s are guessed for a checkpoint");
        assert!(clock.time_up(after(began, 977.0), 2.0));
        clock.measured(1.0, 49.0);
        clock.measured(0.5, 0.5);
        assert!(
            !clock.time_up(after(began, 895.0), 2.0) && clock.time_up(after(began, 897.0), 2.0),
            "the longest counts"
        );
        let (clock, began) = when("every = \"5 steps\"", None, 0);
        assert!(!clock.time_up(after(began, 1e9), 2.0));
    }
}
