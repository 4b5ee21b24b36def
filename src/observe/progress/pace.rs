//! When a line is due, and how fast the run has been of late. Time comes in as seconds since the start.
//!
//! Input: times that do not fall, and the steps reached. Output: whether a line is due, steps per second, seconds to
//! go. Invariant: no clock is read here. Lines never come closer than their interval, and those that were missed are
//! not made up for. A window keeps at most 128 samples, however long the run is.

use std::collections::VecDeque;

/// Seconds between two lines, on a terminal and in a log.
const TERMINAL_S: f64 = 4.0;
const LOG_S: f64 = 60.0;

/// Says when a line is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    every_s: f64,
    next_s: f64,
}

impl Pace {
    /// Lines every 4 s on a terminal, every 60 s in a log; the first after that time.
    #[must_use]
    pub fn new(terminal: bool) -> Self {
        let every_s = if terminal { TERMINAL_S } else { LOG_S };
        Self { every_s, next_s: every_s }
    }

    /// True if a line is due at `now_s`; the next one is due a whole interval later.
    pub fn due(&mut self, now_s: f64) -> bool {
        let due = now_s >= self.next_s;
        if due {
            self.next_s = now_s + self.every_s;
        }
        due
    }
}

/// Steps per second over a window of time, so that a slow start or a pause is forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    length_s: f64,
    /// Time and step, at most [`SAMPLES`], oldest first.
    samples: VecDeque<(f64, u64)>,
}

/// Most samples kept.
const SAMPLES: usize = 128;

impl Window {
    /// An empty window of `length_s` seconds.
    #[must_use]
    pub fn new(length_s: f64) -> Self {
        Self { length_s, samples: VecDeque::with_capacity(SAMPLES + 1) }
    }

    /// Takes note that `step` was reached at `now_s`. Samples closer than the window can hold replace each other.
    pub fn add(&mut self, now_s: f64, step: u64) {
        #[allow(clippy::cast_precision_loss, reason = "a small constant")]
        let apart = self.length_s / (SAMPLES - 2) as f64;
        let close = self.samples.iter().rev().nth(1).is_some_and(|before| now_s - before.0 < apart);
        if close {
            self.samples.pop_back();
        }
        self.samples.push_back((now_s, step));
        while self.samples.len() > 2 && (now_s - self.samples[1].0 >= self.length_s || self.samples.len() > SAMPLES) {
            self.samples.pop_front();
        }
    }

    /// Steps per second over the window; `None` until two times are known.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a rate is approximate")]
    pub fn steps_per_second(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.0 - first.0;
        (seconds > 0.0).then(|| last.1.saturating_sub(first.1) as f64 / seconds)
    }

    /// Seconds until `steps` are done at the rate of the window; `None` while it stands still.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a forecast is approximate")]
    pub fn remaining_s(&self, steps: u64) -> Option<f64> {
        let left = steps.saturating_sub(self.samples.back()?.1);
        self.steps_per_second().filter(|rate| *rate > 0.0).map(|rate| left as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_distance() {
        for (terminal, expected) in [(true, 24), (false, 1)] {
            let mut pace = Pace::new(terminal);
            let lines = (0..=1000).filter(|tenth| pace.due(f64::from(*tenth) / 10.0)).count();
            assert!((expected..=expected + 1).contains(&lines), "{lines}");
        }
        let mut pace = Pace::new(true);
        assert!(!pace.due(3.9) && pace.due(100.0) && !pace.due(103.9) && pace.due(104.0));
    }

    #[test]
    fn the_window_forgets() {
        let mut window = Window::new(10.0);
        assert_eq!((window.steps_per_second(), window.remaining_s(5)), (None, None));
        let mut step = 0;
        for millisecond in 0..60_000_u32 {
            step += if millisecond < 30_000 { 1 } else { 5 };
            window.add(f64::from(millisecond) / 1000.0, step);
            assert!(window.samples.len() <= SAMPLES);
        }
        let rate = window.steps_per_second().expect("rate");
        assert!((rate - 5000.0).abs() < 1.0, "{rate}");
        let span = window.samples.back().expect("last").0 - window.samples[0].0;
        assert!((9.9..10.5).contains(&span), "{span}");
        assert!((window.remaining_s(step + 10_000).expect("rest") - 2.0).abs() < 0.01);
        assert_eq!(window.remaining_s(3), Some(0.0));
        let mut still = Window::new(10.0);
        still.add(0.0, 7);
        still.add(1.0, 7);
        assert_eq!((still.steps_per_second(), still.remaining_s(9)), (Some(0.0), None));
    }
}
