//! Links of the simulated world: who talks to whom, and what goes wrong between them.

use ringfort::datacenter::protocol::WorkerId;

/// Who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Worker(WorkerId),
    Ledger,
    Blobs,
}

/// How links and stores behave until the world calms down: chances in thousandths, times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) drop: u64,
    pub(crate) double: u64,
    pub(crate) delay: u64,
    pub(crate) torn: u64,
    pub(crate) lost: u64,
    pub(crate) busy: u64,
}

/// A link that carries nothing until a time; none stands for anybody.
pub(crate) struct Cut {
    pub(crate) from: Option<Party>,
    pub(crate) to: Option<Party>,
    pub(crate) until: u64,
}

impl Cut {
    pub(crate) fn covers(&self, from: Party, to: Party, now: u64) -> bool {
        now < self.until && self.from.is_none_or(|party| party == from) && self.to.is_none_or(|party| party == to)
    }
}
