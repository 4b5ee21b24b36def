//! Ledger and blobs of the simulated world, with what goes wrong inside them.

use std::collections::{BTreeMap, BTreeSet};

use ringfort::datacenter::protocol::{Blob, Fence, Key, LedgerReply, Record, Revision, Value};

/// Time, key and what was there before.
type Undo = (u64, Key, Option<(Revision, Record)>);
type Records = BTreeMap<Key, (Revision, Record)>;

/// The ledger: a write is checked when it arrives and applied a little later, as in a replicated log.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) records: Records,
    revision: u64,
    in_flight: Vec<Key>,
    /// What a loss of acknowledged writes undoes.
    undo: Vec<Undo>,
    /// What a replica that fell behind answers with.
    pub(crate) stale: Option<Records>,
}

impl Ledger {
    pub(crate) fn read(&self, number: u64, fresh: bool) -> LedgerReply {
        let records = self.stale.as_ref().filter(|_| !fresh).unwrap_or(&self.records);
        LedgerReply::View(number, records.iter().map(|(&key, (rev, record))| (key, *rev, record.clone())).collect())
    }

    /// True if the write may go on.
    pub(crate) fn admits(&mut self, key: Key, fence: Fence) -> bool {
        let revision = self.records.get(&key).map_or(Revision(0), |&(revision, _)| revision);
        let admitted = match fence {
            Fence::Open => true,
            Fence::Literal(expected) => revision == expected && !self.in_flight.contains(&key),
            // Judged by what is applied, blind to what is in flight.
            Fence::Wildcard(newest) => revision <= newest,
        };
        if admitted {
            self.in_flight.push(key);
        }
        admitted
    }

    pub(crate) fn apply(&mut self, now: u64, key: Key, record: Record) -> LedgerReply {
        if let Some(at) = self.in_flight.iter().position(|&other| other == key) {
            self.in_flight.remove(at);
        }
        self.revision += 1;
        let revision = Revision(self.revision);
        let before = self.records.insert(key, (revision, record.clone()));
        self.undo.push((now, key, before));
        LedgerReply::Written(key, revision, record)
    }

    /// Loses all writes since `since`, acknowledged or not. Revisions are given out again.
    pub(crate) fn roll_back(&mut self, since: u64) {
        while self.undo.last().is_some_and(|&(at, ..)| at >= since) {
            let (_, key, before) = self.undo.pop().unwrap();
            self.revision -= 1;
            match before {
                Some(before) => self.records.insert(key, before),
                None => self.records.remove(&key),
            };
        }
    }

    pub(crate) fn wipe(&mut self) {
        let in_flight = std::mem::take(&mut self.in_flight);
        *self = Self { in_flight, ..Self::default() };
    }
}

/// The blobs.
#[derive(Default)]
pub(crate) struct Blobs {
    pub(crate) objects: BTreeMap<Blob, Value>,
    /// Damaged or removed at rest, or torn while it replaced a damaged one.
    pub(crate) hit: BTreeSet<Blob>,
    pub(crate) newest_manifest: u64,
}

pub(crate) fn damaged(value: &Value) -> Value {
    let mut bytes = value.bytes().to_vec();
    match bytes.first_mut() {
        Some(byte) => *byte ^= 1,
        None => bytes.push(1),
    }
    Value::received(bytes, value.digest())
}

impl Blobs {
    pub(crate) fn intact(&self, blob: Blob) -> bool {
        self.objects.get(&blob).is_some_and(Value::intact)
    }

    /// Newest manifests, the newest first.
    pub(crate) fn manifests(&self) -> Vec<u64> {
        let steps = self.objects.keys().filter(|blob| matches!(blob, Blob::Manifest { .. }));
        steps.map(Blob::step).collect::<BTreeSet<_>>().into_iter().rev().collect()
    }
}
