//! The records in an SQLite file: one connection, one operation.
//!
//! Input: a prefix, or a batch. Output: the records under it, or the batch's revision. Revisions rise by random
//! strides from a random beginning, so that neither a new file nor an older copy of it counts on with numbers that
//! were in use. Invariant: a batch is one transaction in which all fences hold or nothing is written; a record whose
//! CRC-32C over key, revision and value is wrong is given to nobody: the whole file then counts as damaged.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::super::{Entry, Outcome, Write};

/// Marks our files, in their header: "ring".
const APPLICATION: i64 = 0x7269_6e67;
/// Error of SQLite: the file has lost its name since it was opened.
const MOVED: i32 = rusqlite::ffi::SQLITE_READONLY_DBMOVED;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS records (
        key BLOB PRIMARY KEY, revision INTEGER NOT NULL, crc INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// Why an operation did not happen.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is no database, or a malformed one.
    Damaged,
    /// The file cannot be written to: no rights, or a header that says so.
    ReadOnly(rusqlite::Error),
    /// The file lost its name.
    Replaced,
    /// The file is some other program's database.
    Foreign,
    /// There are no random numbers.
    Random(getrandom::Error),
    /// Anything else.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            // The tables are ours, so what does not fit them was not written by us.
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Damaged,
            rusqlite::Error::SqliteFailure(full, _) => match (full.code, full.extended_code) {
                (_, MOVED) => Self::Replaced,
                (_, rusqlite::ffi::SQLITE_READONLY) => Self::ReadOnly(error),
                (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation, _)
                | (_, rusqlite::ffi::SQLITE_ERROR) => Self::Damaged,
                _ => Self::Sqlite(error),
            },
            _ => Self::Sqlite(error),
        }
    }
}

/// An open ledger.
pub(super) struct Table {
    connection: Connection,
}

impl Table {
    /// Opens the file at `path`, or begins a new one.
    pub(super) fn open(path: &Path, wait: Duration) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(wait)?;
        connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
        let mut table = Self { connection };
        if !table.begun()? {
            table.begin()?;
        }
        // A copy may come in the other mode, whose files would not move together.
        let mode: String = table.connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        if mode == "delete" { Ok(table) } else { Err(Fault::Damaged) }
    }

    /// False if the file is new, or has no tables yet.
    fn begun(&self) -> Result<bool, Fault> {
        let number = |ask: &str| self.connection.query_row(ask, [], |row| row.get::<_, i64>(0));
        // One statement after the other: the file may be begun by another process in between, so the mark is read last.
        let tables = number("SELECT count(*) FROM sqlite_schema")?;
        match number("PRAGMA application_id")? {
            APPLICATION => Ok(number("SELECT count(*) FROM sqlite_schema WHERE name IN ('counter', 'records')")? == 2),
            0 if tables == 0 => Ok(false),
            _ => Err(Fault::Foreign),
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.execute_batch(TABLES)?;
        transaction.commit()?;
        Ok(())
    }

    /// See [`super::Ledger::read`].
    pub(super) fn read(&self, prefix: &str) -> Result<Vec<Entry>, Fault> {
        // No byte of a text is 255, so the keys with the prefix are those up to the prefix followed by that.
        let mut last = prefix.as_bytes().to_vec();
        last.push(u8::MAX);
        let select = "SELECT key, revision, crc, value FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key";
        let mut statement = self.connection.prepare(select)?;
        let mut rows = statement.query(params![prefix.as_bytes(), last])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, revision, crc): (Vec<u8>, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let value: Vec<u8> = row.get(3)?;
            if crc != checksum(&key, revision, &value) {
                return Err(Fault::Damaged);
            }
            let key = String::from_utf8(key).map_err(|_| Fault::Damaged)?;
            all.push(Entry { key, revision: unsigned(revision)?, value });
        }
        Ok(all)
    }

    /// See [`super::Ledger::write`].
    pub(super) fn write(&mut self, batch: &[Write]) -> Result<Outcome, Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in batch {
            let Some(fence) = write.fence else { continue };
            if stored(&transaction, &write.key)? != fence {
                return Ok(Outcome::Refused { key: write.key.clone() });
            }
        }
        let revision = next(&transaction)?;
        for Write { key, value, .. } in batch {
            let key = key.as_bytes();
            match value {
                None => transaction.execute("DELETE FROM records WHERE key = ?1", [key])?,
                Some(value) => transaction.execute(
                    "INSERT OR REPLACE INTO records (key, revision, crc, value) VALUES (?1, ?2, ?3, ?4)",
                    params![key, revision, checksum(key, revision, value), value],
                )?,
            };
        }
        transaction.commit()?;
        Ok(Outcome::Written(unsigned(revision)?))
    }
}

/// Revision of the record of `key`, 0 if there is none.
fn stored(transaction: &Transaction, key: &str) -> Result<u64, Fault> {
    let select = "SELECT revision FROM records WHERE key = ?1";
    let found: Option<i64> = transaction.query_row(select, [key.as_bytes()], |row| row.get(0)).optional()?;
    found.map_or(Ok(0), unsigned)
}

/// Revision of a new batch.
fn next(transaction: &Transaction) -> Result<i64, Fault> {
    let select = "SELECT revision FROM counter WHERE id = 0";
    let last: Option<i64> = transaction.query_row(select, [], |row| row.get(0)).optional()?;
    let random = i64::from(getrandom::u32().map_err(Fault::Random)?);
    let revision = match last {
        // Up to 2^61, in strides of up to 2^16: enough for 2^45 batches.
        None => 1 << 32 | random << 29,
        Some(last) if last > 0 => last.checked_add(1 + random % (1 << 16)).ok_or(Fault::Damaged)?,
        Some(_) => return Err(Fault::Damaged),
    };
    transaction.execute("INSERT OR REPLACE INTO counter (id, revision) VALUES (0, ?1)", [revision])?;
    Ok(revision)
}

fn unsigned(revision: i64) -> Result<u64, Fault> {
    u64::try_from(revision).map_err(|_| Fault::Damaged)
}

fn checksum(key: &[u8], revision: i64, value: &[u8]) -> i64 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &revision.to_le_bytes());
    i64::from(crc32c::crc32c_append(crc, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_wait_for_the_disk_in_a_library_that_loses_none() {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
        let dir = tempfile::tempdir().unwrap();
        let table = Table::open(&dir.path().join("ledger.sqlite"), Duration::from_secs(1)).unwrap();
        let synchronous: i64 = table.connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!(synchronous, 2);
        let mode: String = table.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete");
    }

    #[test]
    fn revisions_of_two_files_differ_and_rise() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = std::collections::BTreeSet::new();
        for file in 0..10 {
            let mut table = Table::open(&dir.path().join(file.to_string()), Duration::from_secs(1)).unwrap();
            let mut last = 0;
            for _ in 0..4 {
                let write = Write { key: "a".into(), value: Some(vec![1]), fence: None };
                let Ok(Outcome::Written(revision)) = table.write(&[write]) else { panic!("not written") };
                assert!(revision > last);
                all.insert(revision);
                last = revision;
            }
        }
        assert_eq!(all.len(), 40);
    }
}
