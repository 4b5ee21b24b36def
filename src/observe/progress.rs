//! Progress in words: the line while a run goes, the table at its end, and when a line is due.
//!
//! Input: numbers, time among them. Output: text. Nothing here looks at a clock, save the measuring of memory.
//! Invariant: the line leaves out what is not known and never shows it as 0; no rank, no time and no steps give words
//! too. The words are for people: no program reads numbers back from them.

mod bandwidth;
mod pace;
mod words;

use std::fmt::Write;

pub use bandwidth::{COPIED_BYTES, copy_bandwidth};
pub use pace::{Pace, Window};
pub use words::rate;
use words::{age, clock, model_time, seconds};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Last step of the run.
    pub steps: u64,
    /// Model time in seconds; `None` where steps have no duration.
    pub time_s: Option<f64>,
    /// Cell updates per second; `None` until known.
    pub updates_per_second: Option<f64>,
    /// Bytes of memory traffic that one cell update takes.
    pub bytes_per_update: f64,
    /// Measured copy bandwidth in bytes per second, of all ranks together; `None` where not measured.
    pub copy_bandwidth: Option<f64>,
    /// Seconds since the last checkpoint, and how long it took.
    pub checkpoint: Option<(f64, f64)>,
    /// Seconds to go; `None` until known.
    pub remaining_s: Option<f64>,
}

/// The line for `progress`.
#[must_use]
pub fn progress_line(progress: &Progress) -> String {
    let Progress { step, steps, .. } = *progress;
    let percent = if steps == 0 { 100 } else { u128::from(step) * 100 / u128::from(steps) };
    let mut parts = vec![format!("step {step}/{steps} {percent}%")];
    parts.extend(progress.time_s.map(|time| format!("t {}", model_time(time))));
    if let Some(updates) = progress.updates_per_second {
        let (rate, memory) = speed(updates, progress.bytes_per_update, progress.copy_bandwidth);
        parts.push(format!("{rate} ({memory})"));
    }
    parts.extend(progress.checkpoint.map(|(ago, took)| format!("ckpt {} ago {}", age(ago), seconds(took))));
    parts.extend(progress.remaining_s.map(|remaining| format!("ETA {}", clock(remaining))));
    parts.join(" | ")
}

/// Cell updates per second, and what that means for memory.
fn speed(updates: f64, bytes_per_update: f64, copy_bandwidth: Option<f64>) -> (String, String) {
    let traffic = updates * bytes_per_update;
    let share = copy_bandwidth.filter(|copy| *copy > 0.0);
    let share = share.map_or(String::new(), |copy| format!(", {:.0}% of measured copy", 100.0 * traffic / copy));
    (rate(updates), format!("{:.1} GB/s{share}", traffic / 1e9))
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Step that it started from.
    pub from_step: u64,
    /// Step that it ended at.
    pub step: u64,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Cell updates per second of wall time.
    pub updates_per_second: f64,
    /// Bytes of memory traffic that one cell update takes.
    pub bytes_per_update: f64,
    /// Measured copy bandwidth in bytes per second, of all ranks together.
    pub copy_bandwidth: Option<f64>,
    /// Seconds that each rank computed.
    pub compute_seconds: Vec<f64>,
    /// Seconds of waiting for halos, mean over ranks.
    pub halo_wait_seconds: f64,
    /// Checkpoints written, and seconds that they held up the steps.
    pub checkpoints: (u64, f64),
    /// Images written, and seconds that they took.
    pub images: (u64, f64),
    /// Steps with sums, and seconds that they took.
    pub sums: (u64, f64),
}

impl Summary {
    /// Largest over mean computing time of the ranks: 1 is even; `None` if no rank computed.
    #[must_use]
    pub fn imbalance(&self) -> Option<f64> {
        let most = self.compute_seconds.iter().copied().fold(0.0, |most, own| if own > most { own } else { most });
        let mean = mean(&self.compute_seconds);
        (mean > 0.0).then(|| most / mean)
    }
}

/// Mean; 0 of nothing.
#[allow(clippy::cast_precision_loss, reason = "a number of ranks")]
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The table for `summary`: one line per number, each ended by a line break.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let share = |part: f64| {
        let percent = if summary.seconds > 0.0 { 100.0 * part / summary.seconds } else { 0.0 };
        format!("{:>12}  {percent:>5.1}%", seconds(part))
    };
    let counted = |(count, time): (u64, f64), what: &str| format!("{}  {count} {what}", share(time));
    let done = summary.step.saturating_sub(summary.from_step);
    let from =
        if summary.from_step > 0 { format!("  {} to {}", summary.from_step, summary.step) } else { String::new() };
    let (rate, memory) = speed(summary.updates_per_second, summary.bytes_per_update, summary.copy_bandwidth);
    let mut lines = vec![
        ("steps", format!("{done:>12}{from}")),
        ("wall time", format!("{:>12}", clock(summary.seconds))),
        ("speed", format!("{rate:>12}  {memory}")),
        ("compute", share(mean(&summary.compute_seconds))),
        ("halo wait", share(summary.halo_wait_seconds)),
        ("checkpoints", counted(summary.checkpoints, "written")),
        ("images", counted(summary.images, "written")),
    ];
    if summary.sums.0 > 0 {
        lines.push(("sums", counted(summary.sums, "steps")));
    }
    let ranks = summary.compute_seconds.len();
    if let Some(imbalance) = summary.imbalance().filter(|_| ranks > 1) {
        lines.push(("imbalance", format!("{imbalance:>12.2}  slowest over mean of {ranks} ranks")));
    }
    lines.into_iter().fold(String::new(), |mut table, (name, value)| {
        writeln!(table, "  {name:<12}{value}").expect("text grows");
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_full_and_in_part() {
        let full = Progress {
            step: 12_000,
            steps: 50_000,
            time_s: Some(1.2),
            updates_per_second: Some(812e6),
            bytes_per_update: 12.0,
            copy_bandwidth: Some(16e9),
            checkpoint: Some((185.0, 0.8)),
            remaining_s: Some(850.0),
        };
        assert_eq!(
            progress_line(&full),
            "step 12000/50000 24% | t 1.20 s | 812 Mcell/s (9.7 GB/s, 61% of measured copy) | ckpt 3 min ago 0.8 s | ETA 00:14:10"
        );
        let first = Progress { step: 0, steps: 10, ..Progress::default() };
        assert_eq!(progress_line(&first), "step 0/10 0%");
        let bare = Progress { copy_bandwidth: None, checkpoint: None, time_s: None, ..full };
        assert_eq!(progress_line(&bare), "step 12000/50000 24% | 812 Mcell/s (9.7 GB/s) | ETA 00:14:10");
        assert_eq!(progress_line(&Progress { step: 0, steps: 0, ..first }), "step 0/0 100%");
    }

    #[test]
    fn the_table_is_aligned() {
        let run = Summary {
            from_step: 200,
            step: 4000,
            seconds: 850.0,
            updates_per_second: 812e6,
            bytes_per_update: 12.0,
            copy_bandwidth: Some(16e9),
            compute_seconds: vec![780.0, 790.0, 800.0, 750.0],
            halo_wait_seconds: 41.5,
            checkpoints: (19, 3.4),
            images: (40, 0.05),
            sums: (400, 8.5),
        };
        let expected = "  steps               3800  200 to 4000
  wall time       00:14:10
  speed        812 Mcell/s  9.7 GB/s, 61% of measured copy
  compute            780 s   91.8%
  halo wait         41.5 s    4.9%
  checkpoints        3.4 s    0.4%  19 written
  images           0.050 s    0.0%  40 written
  sums               8.5 s    1.0%  400 steps
  imbalance           1.03  slowest over mean of 4 ranks
";
        assert_eq!(summary(&run), expected);
        assert!(summary(&Summary::default()).lines().count() == 7);
    }
}
