//! What a torus run under failures takes, in seconds: fitted to measured runs, replayed over kills, and as Daly's
//! formula.
//!
//! Input: trials; kills, or their mean time and a seed. Output: seconds. Pure.
//!
//! Source: J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future
//! Generation Computer Systems 22, 2006. Invariant: the same trials, kills and seed give the same seconds; a replay
//! ends, since after a bounded number of restarts it counts as infinite.

use super::schedule::kills;
use super::trial::Trial;
use super::{CompareError, Mode, larger, smaller};
use crate::checkpoint::interval::optimum;

/// Schedules that a band is drawn from.
const SCHEDULES: u32 = 400;
/// Restarts after which a schedule counts as endless.
const RESTARTS: usize = 10_000;

/// A job in torus mode on a machine, in seconds and steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Last step.
    pub steps: u64,
    /// Steps between checkpoints.
    pub every: u64,
    /// Seconds of a step, checkpoints' share included.
    pub step_s: f64,
    /// Seconds before the first step of a new run.
    pub start_s: f64,
    /// The same for one that goes on from a checkpoint.
    pub restart_s: f64,
    /// Seconds after the last step.
    pub end_s: f64,
    /// Seconds for which a checkpoint holds the steps up.
    pub blocking_s: f64,
    /// Seconds after which it counts.
    pub flush_s: f64,
    /// Seconds from a kill to the end of the job.
    pub notice_s: f64,
    /// Seconds until the restart.
    pub repair_s: f64,
}

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

impl Model {
    /// The model of `trials`: medians of what the undisturbed runs in torus mode took for their steps and checkpoints, and of what
    /// all restarts took before they went on.
    ///
    /// # Errors
    ///
    /// [`CompareError::Short`] if there are fewer than two checkpoints in an undisturbed run.
    pub fn fit(trials: &[Trial], repair_s: f64) -> Result<Self, CompareError> {
        let torus = || trials.iter().filter(|trial| trial.mode == Mode::Torus);
        let attempts = || torus().filter_map(|trial| trial.attempts.first());
        let count = attempts().map(|attempt| attempt.saved.len()).min().unwrap_or(0);
        let step_s = median(attempts().filter_map(|attempt| attempt.pace())).ok_or(CompareError::Short { count })?;
        let first = attempts().next().ok_or(CompareError::Short { count })?;
        let every = first.saved.windows(2).map(|pair| pair[1].step - pair[0].step).max().unwrap_or(1).max(1);
        let saved = || attempts().flat_map(|attempt| &attempt.saved);
        let start_s = median(attempts().filter_map(|attempt| attempt.start_s(step_s))).unwrap_or(0.0);
        let failing = || trials.iter().filter(|trial| trial.mode == Mode::TorusFailing);
        let again = failing().flat_map(|trial| trial.attempts.iter().skip(1));
        Ok(Self {
            steps: first.saved.iter().map(|saved| saved.step).max().unwrap_or(0),
            every,
            step_s,
            start_s,
            restart_s: median(again.filter_map(|attempt| attempt.start_s(step_s))).unwrap_or(start_s),
            end_s: median(attempts().filter_map(|attempt| attempt.end_s())).unwrap_or(0.0),
            blocking_s: median(saved().map(|saved| saved.blocking_s)).unwrap_or(0.0),
            flush_s: median(saved().map(|saved| saved.write_s)).unwrap_or(0.0),
            notice_s: median(failing().flat_map(|trial| &trial.kills).filter_map(|kill| kill.noticed_s)).unwrap_or(0.0),
            repair_s,
        })
    }

    /// Seconds that the run takes under `kills`, in seconds since its start. Those that come while nothing runs kill nobody.
    #[must_use]
    pub fn replay(&self, kills: &[f64]) -> f64 {
        self.replayed(kills, false)
    }

    /// The same under kills that are known to have hit: the model's run is there to be hit as well, though it would have ended by
    /// then, or would not run again yet.
    #[must_use]
    pub fn replay_hits(&self, kills: &[f64]) -> f64 {
        self.replayed(kills, true)
    }

    fn replayed(&self, kills: &[f64], hit: bool) -> f64 {
        let mut kills = kills.iter().copied().peekable();
        let (mut time, mut done, mut before) = (0.0, 0, self.start_s);
        for _ in 0..RESTARTS {
            let begun = time + before;
            let end = begun + (self.steps - done) as f64 * self.step_s + self.end_s;
            while kills.next_if(|&at| at < time && !hit).is_some() {}
            let Some(at) = kills.next().filter(|&at| at < end || hit) else { return end };
            let killed = larger(smaller(at, end), time);
            done = if at < end { done + self.committed(done, killed - begun) } else { self.steps };
            time = killed + self.notice_s + self.repair_s;
            before = if done > 0 { self.restart_s } else { self.start_s };
        }
        f64::INFINITY
    }

    /// Steps from `done` on of which a checkpoint counts after so many seconds of stepping.
    fn committed(&self, done: u64, seconds: f64) -> u64 {
        let stepping = seconds - self.flush_s;
        if stepping <= 0.0 {
            return 0;
        }
        // A finite number of steps, and no more than there are.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "above zero, and cut to a number of steps"
        )]
        let reached = done + ((stepping / self.step_s) as u64).min(self.steps - done);
        let last = if reached >= self.steps { self.steps } else { reached / self.every * self.every };
        last.saturating_sub(done)
    }

    /// Seconds without any failure.
    #[must_use]
    pub fn undisturbed_s(&self) -> f64 {
        self.replay(&[])
    }

    /// Daly's expected time with a mean of `mtbf_s` between failures: `M exp(R/M) (exp((tau + d)/M) - 1) Ts / tau`, with the
    /// interval `tau`, the checkpoint's cost `d`, the restart's `R` and the time `Ts` of the steps alone (his equation 20).
    #[must_use]
    pub fn daly_s(&self, mtbf_s: f64) -> f64 {
        let restart = self.notice_s + self.repair_s + self.restart_s;
        let segment = self.every as f64 * self.step_s;
        let segments = self.steps as f64 / self.every as f64;
        let lost = libm::exp(restart / mtbf_s) * mtbf_s * libm::expm1(segment / mtbf_s);
        self.start_s + self.end_s + segments * lost
    }

    /// The bounds between which nine of ten runs end, by replay of schedules drawn from `seed`.
    #[must_use]
    pub fn band_s(&self, mtbf_s: f64, seed: u64) -> (f64, f64) {
        let most = 100.0 * self.undisturbed_s();
        let one = |repeat| {
            // The same draws for all means, so that a curve of bounds is smooth.
            let kills: Vec<f64> =
                kills(seed, 1.0, repeat).map(|kill| kill.at_s * mtbf_s).take_while(|&at| at < most).collect();
            self.replay(&kills)
        };
        let mut all: Vec<f64> = (0..SCHEDULES).map(one).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 20], all[all.len() - 1 - all.len() / 20])
    }

    /// Time of a run on `mtbf_s` over that of its steps alone, checkpoints at Daly's best interval.
    #[must_use]
    pub fn slowdown_at_best(&self, mtbf_s: f64) -> f64 {
        let cost = larger(self.blocking_s, 1e-6);
        let restart = self.notice_s + self.repair_s + self.restart_s;
        // No shorter than a checkpoint takes to count, since one is in flight at a time.
        let interval = larger(optimum(cost, mtbf_s), self.flush_s);
        libm::exp(restart / mtbf_s) * mtbf_s * libm::expm1((interval + cost) / mtbf_s) / interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Model = Model {
        steps: 100,
        every: 10,
        step_s: 1.0,
        start_s: 2.0,
        restart_s: 3.0,
        end_s: 1.0,
        blocking_s: 0.1,
        flush_s: 0.5,
        notice_s: 0.25,
        repair_s: 5.0,
    };

    #[test]
    fn replays_count_every_second() {
        assert_eq!(MODEL.undisturbed_s(), 103.0);
        // Killed in step 25: back to 20. 27 s, then 0.25 + 5 s, 3 s, 80 steps, the end.
        assert_eq!(MODEL.replay(&[27.0]), 27.0 + 5.25 + 3.0 + 80.0 + 1.0);
        // While step 20 is being written: back to 10.
        assert_eq!(MODEL.replay(&[22.25]), 22.25 + 5.25 + 3.0 + 90.0 + 1.0);
        // Before the first checkpoint: from the start; a second one while nothing runs kills nobody.
        assert_eq!(MODEL.replay(&[5.0, 7.0]), 5.0 + 5.25 + 103.0);
        // After the last step: nothing runs, or what was killed then starts and ends again.
        assert_eq!(MODEL.replay(&[200.0]), 103.0);
        assert_eq!(MODEL.replay_hits(&[200.0]), 103.0 + 5.25 + 3.0 + 1.0);
        assert_eq!(MODEL.replay_hits(&[27.0]), MODEL.replay(&[27.0]));
        // While it does not run again yet: at once when it does.
        assert_eq!(MODEL.replay_hits(&[5.0, 7.0]), 5.0 + 2.0 * 5.25 + 103.0);
    }

    #[test]
    fn replays_agree_with_dalys_formula_on_average() {
        // A model in which kills come while stepping only, as the formula has it.
        let model =
            Model { start_s: 0.0, restart_s: 0.0, end_s: 0.0, flush_s: 0.0, notice_s: 0.0, repair_s: 0.0, ..MODEL };
        for mtbf in [10.0, 40.0, 200.0] {
            let one = |repeat| {
                let kills: Vec<f64> = kills(7, mtbf, repeat).map(|kill| kill.at_s).take(4000).collect();
                model.replay(&kills)
            };
            let mean = (0..4000).map(one).sum::<f64>() / 4000.0;
            let daly = model.daly_s(mtbf);
            assert!((mean / daly - 1.0).abs() < 0.03, "{mean} and {daly} at {mtbf}");
            let (low, high) = model.band_s(mtbf, 1);
            assert!(low < mean && mean < high, "{low} {mean} {high}");
        }
    }
}
