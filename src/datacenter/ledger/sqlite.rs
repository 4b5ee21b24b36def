//! The ledger in one SQLite file, for all processes of one machine.
//!
//! Invariant: a batch that was acknowledged lies on the disk, in the file that has the ledger's name at that time.
//!
//! The file may be deleted, cut short, replaced by an older copy or filled with rubbish at any time, while others use it.
//! So every operation opens it anew, and every record carries a checksum. A file that is no database, or a malformed one,
//! is moved aside to `NAME.damaged-K`, its journal too, and a new one is begun. A full disk and missing rights move nothing.

mod aside;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::ErrorCode;
use tokio::sync::Mutex;

use super::{Entry, Ledger, LedgerError, Outcome, Write, check};
use aside::Identity;
use table::{Fault, Table};

/// How long one waits for a turn.
const TURN: Duration = Duration::from_secs(5);
/// Times that an operation is begun anew because the file was damaged or replaced under it.
const ATTEMPTS: usize = 4;

/// A ledger in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    /// The turn within this process: SQLite's own waiting is not fair.
    turn: Arc<Mutex<()>>,
}

impl Sqlite {
    /// The ledger in the file at `path`, which need not be there yet; its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turn: Arc::default() }
    }

    /// Does `work` on a blocking thread, when it is this handle's turn.
    async fn work<V: Send + 'static>(
        &self,
        action: &'static str,
        mut work: impl FnMut(&mut Table) -> Result<V, Fault> + Send + 'static,
    ) -> Result<V, LedgerError> {
        let path = self.path.clone();
        let turn = Arc::clone(&self.turn).lock_owned();
        let turn = tokio::time::timeout(TURN, turn).await.map_err(|_late| busy(&path))?;
        let done = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, even if nobody waits for it any more.
            let _turn = turn;
            attempt(&path, action, &mut work)
        });
        done.await.map_err(|gone| store(action, &self.path, gone))?
    }
}

#[async_trait]
impl Ledger for Sqlite {
    async fn read(&self, prefix: &str) -> Result<Vec<Entry>, LedgerError> {
        let prefix = prefix.to_owned();
        self.work("read", move |table| table.read(&prefix)).await
    }

    async fn write(&self, batch: &[Write]) -> Result<Outcome, LedgerError> {
        check(batch)?;
        let batch = batch.to_vec();
        self.work("write to", move |table| table.write(&batch)).await
    }
}

/// Opens the file and does `work` on it, again if the file turned out damaged or was replaced meanwhile.
fn attempt<V>(
    path: &Path,
    action: &'static str,
    work: &mut dyn FnMut(&mut Table) -> Result<V, Fault>,
) -> Result<V, LedgerError> {
    for _ in 0..ATTEMPTS {
        // What this attempt finds is about this file; another one may have its name by then.
        let mut opened = Identity::of(path);
        let done = Table::open(path, TURN).and_then(|mut table| {
            opened = Identity::of(path);
            let value = work(&mut table)?;
            // As long as the table is open, no other file can have its identity.
            if opened.is_some() && Identity::of(path) == opened { Ok(value) } else { Err(Fault::Replaced) }
        });
        match done {
            Ok(value) => return Ok(value),
            Err(Fault::Replaced) => {}
            Err(Fault::Foreign) => return Err(LedgerError::Foreign { name: path.display().to_string() }),
            Err(Fault::Damaged) => move_aside(path, opened)?,
            Err(Fault::ReadOnly(error)) if !aside::writable(path) => return Err(store(action, path, error)),
            Err(Fault::ReadOnly(_)) => move_aside(path, opened)?,
            Err(Fault::Sqlite(error)) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return Err(busy(path)),
                _ => return Err(store(action, path, error)),
            },
            Err(Fault::Random(error)) => return Err(store(action, path, error)),
        }
    }
    Err(busy(path))
}

fn move_aside(path: &Path, damaged: Option<Identity>) -> Result<(), LedgerError> {
    aside::move_aside(path, damaged, TURN).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => busy(path),
        _ => store("move aside", path, error),
    })
}

fn busy(path: &Path) -> LedgerError {
    LedgerError::Busy { name: path.display().to_string(), waited_ms: TURN.as_millis() }
}

fn store(
    action: &'static str,
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LedgerError {
    LedgerError::Store { action, name: path.display().to_string(), source: source.into() }
}
