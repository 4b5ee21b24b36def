//! The budget of retries.
//!
//! Invariant: retries never exceed a share of the successes, plus a trickle that keeps a worker alive in a long outage.

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
