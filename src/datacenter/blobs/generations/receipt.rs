//! Receipts: the names say that a chunk with this digest was read back, the contents are the records of its files.
//!
//! Input: a chunk that was read back. Output: its receipt; or the records in one, lost if they cannot be used.
//! Content: CRC-32C of all else, then the records as bincode. It is a function of the chunk, so it may be written
//! again. Invariant: `confirm` writes a receipt only for a chunk that it, or the look before it, read and found to
//! have the digest; one that is missing or damaged is lost, never an error, and the chunk tells all that it held.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use bytes::Bytes;

use super::super::{BlobError, Mode, blocking};
use super::chunk::check_values;
use super::mark::Place;
use super::{Generations, folder};
use crate::checkpoint::{self, FileRecord, Meta, codec};
use crate::datacenter::protocol::{Block, Value};

/// What became of a receipt.
pub(super) enum Receipt {
    /// The records of the chunk with this digest.
    Sound(u64, Vec<FileRecord>),
    /// There is none, or none that can be read.
    Lost,
}

impl Generations {
    /// Records of the files of the chunk of `block` with these values.
    ///
    /// # Errors
    ///
    /// [`BlobError::Values`] if they are not the block's.
    pub async fn records(&self, step: u64, block: Block, values: &Bytes) -> Result<Vec<FileRecord>, BlobError> {
        let meta = self.at(step, block);
        check_values(&meta, block, values)?;
        let values = values.clone();
        blocking("make", &folder(step), move || {
            let shares = values.chunks(values.len() / meta.components.len()).enumerate();
            let record = |(component, share): (usize, &[u8])| {
                let file = checkpoint::chunk_file(&meta, component, block.0, share);
                FileRecord::of(meta.chunk_name(component, block.0), &file)
            };
            Ok(shares.map(record).collect())
        })
        .await
    }

    /// Writes the receipt of a chunk that was just read back: its digest, and its [`Self::records`].
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    pub async fn put_receipt(
        &self,
        step: u64,
        block: Block,
        digest: u64,
        records: &[FileRecord],
    ) -> Result<(), BlobError> {
        let meta = self.at(step, block);
        if let Place::Other(_) = self.place(&meta).await? {
            return Ok(());
        }
        self.write_receipt(step, block, digest, records).await
    }

    /// Writes the receipt of the chunk of `block` at `step` if the one read last had this digest, else if the one there has;
    /// false if not.
    ///
    /// # Errors
    ///
    /// [`BlobError`] from the disk: ask again.
    pub async fn confirm(&self, step: u64, block: Block, digest: u64) -> Result<bool, BlobError> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner).remove(&block);
        if let Some(checked) = checked.filter(|checked| (checked.step, checked.digest) == (step, digest)) {
            self.put_receipt(step, block, digest, &checked.records).await?;
            return Ok(true);
        }
        let Some(value) = self.get_chunk(step, block).await?.filter(Value::intact) else { return Ok(false) };
        if value.digest() != digest {
            return Ok(false);
        }
        let records = self.records(step, block, value.bytes()).await?;
        self.put_receipt(step, block, digest, &records).await?;
        Ok(true)
    }

    pub(super) async fn write_receipt(
        &self,
        step: u64,
        block: Block,
        digest: u64,
        records: &[FileRecord],
    ) -> Result<(), BlobError> {
        let name = self.receipt(step, block, digest);
        let body = codec::encode(&records).map_err(|error| BlobError::Io {
            action: "write",
            name: name.clone(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
        })?;
        let mut bytes = crc32c::crc32c(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        self.blobs.put(&name, bytes.into(), Mode::Overwrite).await.map(drop)
    }

    /// The receipt of `block`, one of `digests` from its receipts' names.
    pub(super) async fn read_receipt(&self, meta: &Meta, block: Block, digests: &[u64]) -> Result<Receipt, BlobError> {
        for &digest in digests {
            let name = self.receipt(meta.step, block, digest);
            match self.blobs.get(&name, codec::LIMIT as u64).await {
                Ok(Some(bytes)) => {
                    if let Some(records) = decode(meta, block, &bytes) {
                        return Ok(Receipt::Sound(digest, records));
                    }
                }
                Ok(None) | Err(BlobError::Large { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(Receipt::Lost)
    }

    /// Digests in the names of the receipts of `step`, by block.
    pub(super) async fn receipts(&self, step: u64) -> Result<BTreeMap<usize, Vec<u64>>, BlobError> {
        let prefix = format!("{}/step-{step:010}", self.receipts);
        let mut all: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for listed in self.blobs.list(&prefix).await? {
            if let Some((block, digest)) = listed.name.get(prefix.len() + 1..).and_then(parse) {
                all.entry(block).or_default().push(digest);
            }
        }
        Ok(all)
    }

    /// Name of a receipt.
    pub(super) fn receipt(&self, step: u64, block: Block, digest: u64) -> String {
        format!("{}/step-{step:010}/{}-{digest:016x}", self.receipts, block.0)
    }
}

/// Block and digest in the name of a receipt.
pub(super) fn parse(name: &str) -> Option<(usize, u64)> {
    let (block, digest) = name.split_once('-')?;
    let parsed = (block.parse().ok()?, u64::from_str_radix(digest, 16).ok()?);
    (format!("{}-{:016x}", parsed.0, parsed.1) == name).then_some(parsed)
}

/// The records in a receipt of `block`, if it is whole.
fn decode(meta: &Meta, block: Block, bytes: &[u8]) -> Option<Vec<FileRecord>> {
    let (crc, body) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
        return None;
    }
    let records: Vec<FileRecord> = codec::decode(body).ok()?;
    let expected = (0..meta.components.len()).map(|component| meta.chunk_name(component, block.0));
    let fits = records.iter().map(|record| &record.name).eq(expected.collect::<Vec<_>>().iter())
        && records.iter().all(|record| record.bytes == meta.chunk_bytes());
    fits.then_some(records)
}
