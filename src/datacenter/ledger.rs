//! The ledger: a small key-value store with compare-and-set, for the rare records of all runs.
//!
//! Input: batches of writes, each under a condition on the very key that it writes. Output: a batch is stored as a whole or
//! not at all. Invariant: of all writes that name one revision of one key, at most one is stored.
//!
//! A ledger may forget anything at any time: that costs work and never truth. Revisions are never used twice all the same,
//! so that nobody takes a record of today for one that was forgotten. A write whose answer was lost is stored or not; to ask
//! again with the same fence is safe, since a stored one refuses its double.

pub mod sqlite;

use async_trait::async_trait;

pub use sqlite::Sqlite;

/// Most bytes of a key.
pub const MAX_KEY: usize = 512;
/// Most bytes of a value.
pub const MAX_VALUE: usize = 1 << 20;
/// Most writes of a batch.
pub const MAX_BATCH: usize = 1024;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Number of the batch that wrote it; higher for later ones.
    pub revision: u64,
    /// Its content.
    pub value: Vec<u8>,
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which record.
    pub key: String,
    /// Its new content; none deletes it.
    pub value: Option<Vec<u8>>,
    /// None: no condition. A number: that very record has this revision; 0: it is not there.
    pub fence: Option<u64>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored; all its records have this revision.
    Written(u64),
    /// Nothing of it is stored.
    Refused {
        /// The first key of the batch whose fence does not hold.
        key: String,
    },
}

/// A key-value store with compare-and-set.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// All records whose key begins with `prefix`, as of now, in order of keys.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] if they cannot be had; to ask again is safe.
    async fn read(&self, prefix: &str) -> Result<Vec<Entry>, LedgerError>;

    /// Writes all of `batch` if all its fences hold, else nothing. Fences look at what was there before the batch, in which
    /// no key comes twice.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the batch is then stored or not, and to ask again with the same fences is safe.
    async fn write(&self, batch: &[Write]) -> Result<Outcome, LedgerError>;
}

/// Checks that `batch` is within bounds, and that no key comes twice.
///
/// # Errors
///
/// The first bound that is broken.
pub fn check(batch: &[Write]) -> Result<(), LedgerError> {
    if batch.is_empty() || batch.len() > MAX_BATCH {
        return Err(LedgerError::Batch { writes: batch.len() });
    }
    let mut keys = std::collections::BTreeSet::new();
    for write in batch {
        let shown = || write.key.chars().take(80).collect();
        if write.key.is_empty() || write.key.len() > MAX_KEY {
            return Err(LedgerError::Key { key: shown(), bytes: write.key.len() });
        }
        if let Some(value) = write.value.as_ref().filter(|value| value.len() > MAX_VALUE) {
            return Err(LedgerError::Value { key: shown(), bytes: value.len() });
        }
        if !keys.insert(&write.key) {
            return Err(LedgerError::Twice { key: shown() });
        }
    }
    Ok(())
}

/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Others use it, for too long.
    #[error("the ledger {name} is busy: no turn came within {waited_ms} ms; ask again")]
    Busy {
        /// Which ledger.
        name: String,
        /// How long was waited.
        waited_ms: u128,
    },
    /// The store refused an operation: a full disk, a missing folder, no permission.
    #[error("cannot {action} the ledger {name}: {source}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// Which ledger.
        name: String,
        /// Its reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Some other program's file.
    #[error("{name} is a database of another program, so it is left alone; choose another path for the ledger")]
    Foreign {
        /// Which file.
        name: String,
    },
    /// A key that is empty or too long.
    #[error("a key of the ledger has 1 to {MAX_KEY} bytes, not {bytes}: {key:?}")]
    Key {
        /// Its beginning.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// A value that is too long.
    #[error("a value of the ledger has at most {MAX_VALUE} bytes, that of {key:?} has {bytes}")]
    Value {
        /// Its key.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// A batch of nothing, or of too much.
    #[error("a batch for the ledger has 1 to {MAX_BATCH} writes, not {writes}")]
    Batch {
        /// Its writes.
        writes: usize,
    },
    /// A key twice in a batch.
    #[error("key {key:?} comes twice in one batch for the ledger")]
    Twice {
        /// The key.
        key: String,
    },
}
