//! What a transport has done, in numbers.
//!
//! Output: all numbers since the transport's start. Invariant: each number only rises; they are read one after the
//! other, so together they are of no one instant, and nothing is decided by them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// What a transport has done since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        /// The numbers while they rise.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn now(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Messages sent as requests, each try counted.
    requests,
    /// Messages that came in from others.
    received,
    /// Requests that were refused: no or wrong seal, heard before, for another start of this worker, too long, or no message.
    refused,
    /// Requests that were turned away because there was too much to do.
    turned_away,
    /// Messages that were dropped before they were sent: to unknown workers, to full queues, behind one that failed, without
    /// a value that is gone, or too long.
    dropped,
    /// Messages that were sent in vain.
    failed,
    /// Messages that the peer turned away because it had too much to do.
    busy,
    /// Bytes of requests sent.
    sent_bytes,
    /// Bytes of requests that came in.
    received_bytes,
    /// Values handed on in this process, by pointer.
    by_pointer,
    /// Values received through shared memory.
    shared,
    /// Values received in the body of a request.
    over_http,
    /// Files written into shared memory.
    files,
}

/// One number.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn one(&self) {
        self.add(1);
    }
}
