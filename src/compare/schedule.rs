//! When processes are killed: a Poisson process, drawn from a seed. Pure.
//!
//! Input: seed, mean and repeat. Output: kills without end, in the order of time. Invariant: they are a function of
//! these three alone, so both modes meet the same ones, and the same command the same ones again; whom a kill hits is
//! a number, of which its rest by the number of those alive then counts.

use crate::random::Rng;

/// A kill: when, and whom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kill {
    /// Seconds since the start of the trial.
    pub at_s: f64,
    /// Chooses among those that live then: its rest by their number.
    pub pick: u64,
}

/// Kills with a mean of `mtbf_s` seconds between them. The same for the same seed, mean and repeat, whatever is killed.
pub fn kills(seed: u64, mtbf_s: f64, repeat: u32) -> impl Iterator<Item = Kill> {
    let mut rng = Rng::new(seed ^ mtbf_s.to_bits() ^ (u64::from(repeat) << 32));
    let mut at_s = 0.0;
    std::iter::from_fn(move || {
        at_s += -mtbf_s * libm::log(rng.unit());
        Some(Kill { at_s, pick: rng.bits() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_kills_and_the_mean_is_what_was_asked_for() {
        let some = |seed, mtbf, repeat| kills(seed, mtbf, repeat).take(20_000).collect::<Vec<_>>();
        let first = some(1, 20.0, 0);
        assert_eq!(first, some(1, 20.0, 0));
        assert!(first != some(2, 20.0, 0) && first != some(1, 21.0, 0) && first != some(1, 20.0, 1));
        assert!(first.windows(2).all(|pair| pair[0].at_s < pair[1].at_s));
        let mean = first[first.len() - 1].at_s / first.len() as f64;
        assert!((mean / 20.0 - 1.0).abs() < 0.03, "{mean}");
        // Of exponential gaps a share of 1/e is longer than the mean.
        let long = first.windows(2).filter(|pair| pair[1].at_s - pair[0].at_s > 20.0).count();
        assert!((long as f64 / first.len() as f64 - (-1.0_f64).exp()).abs() < 0.01, "{long}");
    }
}
