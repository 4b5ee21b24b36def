//! Randomness that spreads, and the budget of retries.
//!
//! Invariant: retries never exceed a share of the successes, plus a trickle that keeps a worker alive in a long outage.

/// A small generator of random numbers: SplitMix64, from G. Steele, D. Lea and C. Flood, *Fast splittable pseudorandom
/// number generators*, OOPSLA 2014. It spreads waits and claims; nothing else depends on it.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }
}

/// Spreads the bits of `word`.
pub(super) fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Tokens for retries, in tenths: a success earns one tenth, and so does every tenth of the trickle's period.
#[derive(Debug)]
pub(super) struct Budget {
    tenths: u64,
    trickle_ms: u64,
    at_ms: u64,
}

/// Most retries saved up.
pub(super) const SAVED: u64 = 20;

impl Budget {
    pub(super) fn new(trickle_ms: u64, now_ms: u64) -> Self {
        Self { tenths: SAVED * 10, trickle_ms, at_ms: now_ms }
    }

    pub(super) fn succeeded(&mut self) {
        self.tenths = (self.tenths + 1).min(SAVED * 10);
    }

    /// True if a retry may be sent now.
    pub(super) fn take(&mut self, now_ms: u64) -> bool {
        let earned = (now_ms - self.at_ms) * 10 / self.trickle_ms;
        self.at_ms += earned * self.trickle_ms / 10;
        self.tenths = (self.tenths + earned).min(SAVED * 10);
        let enough = self.tenths >= 10;
        if enough {
            self.tenths -= 10;
        }
        enough
    }
}
