//! The ledger: one writer per revision, whole batches, nothing acknowledged that is not there, and any loss of its file.
//!
//! `ledger/suite.rs` holds for every ledger; `ledger/sqlite.rs` is about what befalls a file.

#![cfg(feature = "datacenter")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

#[path = "ledger/races.rs"]
mod races;
#[path = "ledger/sqlite.rs"]
mod sqlite;
#[path = "ledger/suite.rs"]
mod suite;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use ringfort::datacenter::ledger::{Entry, Ledger, LedgerError, Outcome, Sqlite, Write};

/// A ledger as a test sees it: any number of clients that share nothing but the ledger.
pub(crate) trait Shared: Send + Sync {
    /// One more client.
    fn client(&self) -> Arc<dyn Ledger>;
}

/// An SQLite file in a folder of its own.
pub(crate) struct File {
    _dir: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl File {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        Self { _dir: dir, path }
    }
}

impl Shared for File {
    fn client(&self) -> Arc<dyn Ledger> {
        Arc::new(Sqlite::new(&self.path))
    }
}

/// Runs `test` on several threads.
pub(crate) fn run<V>(test: impl Future<Output = V>) -> V {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(test)
}

pub(crate) fn put(key: &str, value: impl AsRef<[u8]>, fence: Option<u64>) -> Write {
    Write { key: key.into(), value: Some(value.as_ref().to_vec()), fence }
}

pub(crate) fn remove(key: &str, fence: Option<u64>) -> Write {
    Write { key: key.into(), value: None, fence }
}

/// Writes, waiting for as long as the ledger is busy.
pub(crate) async fn write(ledger: &dyn Ledger, batch: &[Write]) -> Outcome {
    loop {
        match ledger.write(batch).await {
            Ok(outcome) => return outcome,
            Err(LedgerError::Busy { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Revision of a batch that must be stored.
pub(crate) async fn written(ledger: &dyn Ledger, batch: &[Write]) -> u64 {
    match write(ledger, batch).await {
        Outcome::Written(revision) => revision,
        Outcome::Refused { key } => panic!("{key} was refused"),
    }
}

pub(crate) async fn read(ledger: &dyn Ledger, prefix: &str) -> Vec<Entry> {
    loop {
        match ledger.read(prefix).await {
            Ok(entries) => return entries,
            Err(LedgerError::Busy { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// The record of exactly this key.
pub(crate) async fn one(ledger: &dyn Ledger, key: &str) -> Option<Entry> {
    read(ledger, key).await.into_iter().find(|entry| entry.key == key)
}

/// Runs a test of the suite on every ledger that there is.
macro_rules! conforms {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod sqlite_conforms {
            $(#[test]
            fn $name() {
                let file = super::File::new();
                super::run(super::$module::$name(&file));
            })*
        }
    };
}

conforms!(
    suite::compare_and_set,
    suite::a_deleted_key_has_no_revision,
    suite::bounds_are_refused_by_name,
    suite::order_and_prefixes,
    suite::a_refused_batch_leaves_nothing,
    suite::the_answer_may_be_lost,
    races::one_winner_per_revision,
    races::a_zombie_writes_nothing,
    races::readers_see_whole_batches,
    races::no_increment_is_lost,
    races::acknowledged_writes_are_seen,
);
