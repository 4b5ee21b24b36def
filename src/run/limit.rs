//! How long a start may take: what a person says, and what the scheduler allows.
//!
//! Input: a person's limit, Slurm's variable, and one look at the clock. Output: seconds from now on, and what to
//! tell. Invariant: a limit is never longer than the person's; a variable that is no time, or one that is over,
//! changes nothing and is told. A scheduler's limit is cut by two seconds, a person's by none.

/// The variable in which Slurm says when the job ends, in seconds since the Unix epoch.
const SLURM_END: &str = "SLURM_JOB_END_TIME";
/// Seconds before the scheduler's limit at which the run is to be over: clocks differ, and the end takes a moment.
const MARGIN_S: f64 = 2.0;

/// Seconds from now on that the run may take: `max_time`, or less where the scheduler allows less; and what to tell of that.
#[must_use]
pub fn limit(max_time: Option<f64>) -> (Option<f64>, Option<String>) {
    let end = std::env::var(SLURM_END).ok();
    shorter(max_time, end.as_deref(), crate::clock::wall())
}

/// The same at wall time `wall` where the scheduler ends the job at `end`.
fn shorter(max_time: Option<f64>, end: Option<&str>, wall: f64) -> (Option<f64>, Option<String>) {
    let Some(text) = end else { return (max_time, None) };
    let Some(end) = text.trim().parse::<f64>().ok().filter(|end| end.is_finite()) else {
        return (max_time, Some(format!("{SLURM_END}={text} is no time, so the scheduler's limit is not known")));
    };
    let left = end - MARGIN_S - wall;
    if left <= 0.0 {
        return (max_time, Some(format!("{SLURM_END}={text} is over, so it is taken for that of another job")));
    }
    if max_time.is_some_and(|most| most <= left) {
        return (max_time, None);
    }
    let words = format!("the scheduler ends this job in {left:.0} s: the run stops with a checkpoint before that");
    (Some(left), Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_limit_counts() {
        let told = |(limit, words): (Option<f64>, Option<String>)| (limit, words.unwrap_or_default());
        assert_eq!(told(shorter(None, None, 5.0)), (None, String::new()));
        assert_eq!(told(shorter(Some(60.0), None, 5.0)), (Some(60.0), String::new()));
        let (limit, words) = told(shorter(Some(600.0), Some("1000"), 500.0));
        assert!(limit == Some(498.0) && words.contains("in 498 s"), "{words}");
        assert_eq!(told(shorter(Some(60.0), Some("1000"), 500.0)), (Some(60.0), String::new()));
        let (limit, words) = told(shorter(None, Some("1000"), 2000.0));
        assert!(limit.is_none() && words.contains("is over"), "{words}");
        let (limit, words) = told(shorter(None, Some("UNLIMITED"), 2000.0));
        assert!(limit.is_none() && words.contains("is no time"), "{words}");
    }
}
