//! How the protocol's records lie in the ledger: keys as paths under the run's id, values as JSON that people can read.
//!
//! Invariant: what cannot be read is passed over, as if it were not there: the ledger guards no truth.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ledger::{Entry, Write};
use super::protocol::{Block, Fence, Key, Lease, Member, Record, Revision, WorkerId};
use super::tally::Tally;
use super::transport::Address;
use crate::checkpoint::RunId;

/// What a worker says of itself, beside its sign of life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// Where it is.
    pub address: Address,
    /// Its process, on its host.
    pub pid: u32,
    /// The machine it runs on.
    pub machine: String,
    /// What it did so far.
    pub tally: Tally,
}

/// A worker's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberRecord {
    #[serde(flatten)]
    member: Member,
    /// What it says of itself.
    pub card: Card,
}

/// Why a run is over before its last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Exit code of all its workers.
    pub code: u8,
    /// Why, in words.
    pub words: String,
}

/// All of a run's records.
#[derive(Debug, Default)]
pub struct Records {
    /// The protocol's.
    pub protocol: Vec<(Key, Revision, Record)>,
    /// Who is where.
    pub cards: BTreeMap<WorkerId, Card>,
    /// Who is asked to leave.
    pub drained: BTreeSet<WorkerId>,
    /// Whose process was seen to end.
    pub dead: BTreeSet<WorkerId>,
    /// Why the run is over, if it is.
    pub over: Option<Over>,
}

/// Keys of one run.
#[derive(Clone, Debug)]
pub struct Keys(String);

impl Keys {
    /// Keys of run `run`.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self(format!("{run}/"))
    }

    /// What all keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    fn of(&self, key: Key) -> String {
        match key {
            Key::Member(WorkerId(id)) => format!("{}member/{id:016x}", self.0),
            Key::Block(Block(number)) => format!("{}block/{number}", self.0),
        }
    }

    /// The write that the protocol asks for; `card` goes with a sign of life.
    #[must_use]
    pub fn write(&self, key: Key, record: &Record, fence: Fence, card: Option<Card>) -> Write {
        let value = match (record, card) {
            (Record::Member(member), Some(card)) => serde_json::to_vec(&MemberRecord { member: member.clone(), card }),
            (Record::Member(member), None) => serde_json::to_vec(member),
            (Record::Lease(lease), _) => serde_json::to_vec(lease),
        };
        let fence = match fence {
            Fence::Literal(Revision(revision)) => Some(revision),
            Fence::Open | Fence::Wildcard(_) => None,
        };
        Write { key: self.of(key), value: Some(value.unwrap_or_default()), fence }
    }

    /// The write that asks `worker` to leave.
    #[must_use]
    pub fn drain(&self, worker: WorkerId) -> Write {
        Write { key: format!("{}drain/{:016x}", self.0, worker.0), value: Some(Vec::new()), fence: None }
    }

    /// The write that says that `worker` is dead.
    #[must_use]
    pub fn dead(&self, worker: WorkerId) -> Write {
        Write { key: format!("{}dead/{:016x}", self.0, worker.0), value: Some(Vec::new()), fence: None }
    }

    /// The write that says that the run is over. Who says so first is heard.
    #[must_use]
    pub fn over(&self, over: &Over) -> Write {
        Write { key: format!("{}over", self.0), value: serde_json::to_vec(over).ok(), fence: Some(0) }
    }

    /// The write that removes what was said of a run's end, so that it can go on.
    #[must_use]
    pub fn go_on(&self) -> Write {
        Write { key: format!("{}over", self.0), value: None, fence: None }
    }

    /// The write that removes the record of `worker`, who is dead.
    #[must_use]
    pub fn forget(&self, worker: WorkerId) -> Write {
        Write { key: self.of(Key::Member(worker)), value: None, fence: None }
    }

    /// The writes that clear blocks of the deaths of those who computed them, each with its fence.
    #[must_use]
    pub fn absolve(&self, records: &Records) -> Vec<Write> {
        let guilty = records.protocol.iter().filter_map(|(key, revision, record)| match record {
            Record::Lease(lease) if !lease.died.is_empty() || !lease.deaths.is_empty() => {
                Some((*key, *revision, lease.clone()))
            }
            Record::Lease(_) | Record::Member(_) => None,
        });
        let clear = |(key, revision, lease): (Key, Revision, Lease)| {
            let lease = Lease { died: Vec::new(), deaths: Vec::new(), alone: false, ..lease };
            self.write(key, &Record::Lease(lease), Fence::Literal(revision), None)
        };
        guilty.map(clear).collect()
    }

    /// What `entries` say.
    #[must_use]
    pub fn read(&self, entries: &[Entry]) -> Records {
        let mut records = Records::default();
        for entry in entries {
            let Some((kind, name)) = entry
                .key
                .strip_prefix(&self.0)
                .and_then(|key| key.split_once('/').or(if key == "over" { Some(("over", "")) } else { None }))
            else {
                continue;
            };
            let revision = Revision(entry.revision);
            let worker = || u64::from_str_radix(name, 16).ok().map(WorkerId);
            match kind {
                "member" => {
                    let read = serde_json::from_slice::<MemberRecord>(&entry.value).ok();
                    if let (Some(id), Some(MemberRecord { member, card })) = (worker(), read) {
                        records.protocol.push((Key::Member(id), revision, Record::Member(member)));
                        records.cards.insert(id, card);
                    }
                }
                "block" => {
                    let read = serde_json::from_slice::<Lease>(&entry.value).ok();
                    if let (Some(number), Some(lease)) = (name.parse().ok(), read) {
                        records.protocol.push((Key::Block(Block(number)), revision, Record::Lease(lease)));
                    }
                }
                "drain" => records.drained.extend(worker()),
                "dead" => records.dead.extend(worker()),
                "over" => records.over = serde_json::from_slice(&entry.value).ok(),
                _ => {}
            }
        }
        records
    }
}

impl Records {
    /// Which blocks each worker owns.
    #[must_use]
    pub fn owned(&self) -> BTreeMap<WorkerId, Vec<usize>> {
        let mut owned: BTreeMap<WorkerId, Vec<usize>> = BTreeMap::new();
        for (key, _, record) in &self.protocol {
            if let (Key::Block(Block(number)), Record::Lease(lease)) = (key, record) {
                owned.entry(lease.owner).or_default().push(*number);
            }
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacenter::protocol::Epoch;

    #[test]
    fn records_come_back_as_they_were_and_rubbish_is_passed_over() {
        let keys = Keys::new(RunId([7; 16]));
        let lease = Lease {
            owner: WorkerId(u64::MAX),
            epoch: Epoch(3),
            from: Some(WorkerId(5)),
            generation: 40,
            died: vec![WorkerId(9)],
            deaths: vec![WorkerId(9)],
            alone: true,
            lamport: 77,
        };
        let member = Member { beat: 4, draining: true, keeps: Some(3), wall_ms: 12, lamport: 78 };
        let card = Card {
            address: Address { http: "127.0.0.1:80".parse().unwrap(), host: "here".into() },
            pid: 11,
            machine: "m".into(),
            tally: Tally::default(),
        };
        let writes = [
            keys.write(Key::Block(Block(12)), &Record::Lease(lease.clone()), Fence::Literal(Revision(0)), None),
            keys.write(Key::Member(WorkerId(255)), &Record::Member(member.clone()), Fence::Open, Some(card)),
            keys.drain(WorkerId(255)),
            keys.over(&Over { code: 3, words: "why".into() }),
        ];
        assert_eq!(writes.iter().map(|write| write.fence).collect::<Vec<_>>(), [Some(0), None, None, Some(0)]);
        let mut entries: Vec<Entry> = writes
            .iter()
            .enumerate()
            .map(|(at, write)| Entry {
                key: write.key.clone(),
                revision: at as u64 + 1,
                value: write.value.clone().unwrap(),
            })
            .collect();
        let rubbish = ["block/x", "block/1", "member/zz", "member/1", "nothing", "over/", "block/"];
        entries.extend(rubbish.map(|key| Entry { key: keys.0.clone() + key, revision: 9, value: b"{}".to_vec() }));
        entries.push(Entry { key: "other/block/1".into(), revision: 9, value: b"{}".to_vec() });
        let read = keys.read(&entries);
        let expected = [
            (Key::Block(Block(12)), Revision(1), Record::Lease(lease)),
            (Key::Member(WorkerId(255)), Revision(2), Record::Member(member)),
        ];
        assert_eq!(read.protocol, expected);
        assert_eq!((read.cards[&WorkerId(255)].pid, read.drained.contains(&WorkerId(255))), (11, true));
        assert_eq!(read.over, None, "the later, damaged one stands for it");
        assert_eq!(keys.read(&entries[..4]).over.unwrap().code, 3);
        let cleared = keys.absolve(&read);
        assert_eq!((cleared.len(), cleared[0].fence), (1, Some(1)));
        let entry = Entry { key: cleared[0].key.clone(), revision: 5, value: cleared[0].value.clone().unwrap() };
        let innocent = keys.read(&[entry]);
        assert_eq!(keys.absolve(&innocent).len(), 0);
        assert!(matches!(&innocent.protocol[0].2, Record::Lease(lease) if lease.epoch == Epoch(3)));
    }
}
