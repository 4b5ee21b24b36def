//! What many clients at once see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfort::datacenter::ledger::Outcome;
use tokio::task::JoinSet;

use super::{Shared, one, put, read, remove, write, written};

/// Many clients take over one lease again and again: each revision is taken over by one of them.
pub(crate) async fn one_winner_per_revision(shared: &dyn Shared) {
    const TASKS: u64 = 8;
    const EPOCHS: u64 = 12;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let client = shared.client();
        tasks.spawn(async move {
            let mut won = Vec::new();
            loop {
                let found = one(&*client, "lease").await;
                let (fence, epoch) =
                    found.map_or((0, 0), |entry| (entry.revision, u64::from_le_bytes(entry.value.try_into().unwrap())));
                if epoch == EPOCHS {
                    return won;
                }
                let winner = format!("won/{:03}/{task}", epoch + 1);
                let batch = [put("lease", (epoch + 1).to_le_bytes(), Some(fence)), put(&winner, "", Some(0))];
                if let Outcome::Written(revision) = write(&*client, &batch).await {
                    won.push((fence, revision, winner));
                }
            }
        });
    }
    let mut won = BTreeMap::new();
    for (fence, revision, winner) in tasks.join_all().await.into_iter().flatten() {
        assert!(won.insert(fence, (revision, winner)).is_none(), "two winners of revision {fence}");
    }
    // They form one chain, from 0 to the newest.
    assert_eq!(won.len() as u64, EPOCHS);
    let client = shared.client();
    let mut at = 0;
    let mut winners = Vec::new();
    while let Some((revision, winner)) = won.remove(&at) {
        assert!(revision > at);
        at = revision;
        winners.push(winner);
    }
    assert_eq!(one(&*client, "lease").await.unwrap().revision, at);
    let stored: Vec<_> = read(&*client, "won/").await.into_iter().map(|entry| entry.key).collect();
    assert_eq!(stored, winners);
}

/// While leases pass from hand to hand, owners of yesterday try to write under them.
pub(crate) async fn a_zombie_writes_nothing(shared: &dyn Shared) {
    let owner = shared.client();
    let mut revision = written(&*owner, &[put("lease", "0", Some(0))]).await;
    for epoch in 1..8_u32 {
        let stale = revision;
        let mut zombies = JoinSet::new();
        let taken = Arc::new(AtomicBool::new(false));
        for zombie in 0..4 {
            let client = shared.client();
            let taken = Arc::clone(&taken);
            zombies.spawn(async move {
                // The first half of them asks while the takeover is on its way, the others after.
                while zombie >= 2 && !taken.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                let batch = [put(&format!("work/{epoch}/{zombie}"), "late", None), put("lease", "zombie", Some(stale))];
                (zombie, write(&*client, &batch).await)
            });
        }
        // The takeover itself may lose against one that is not dead yet.
        match write(&*owner, &[put("lease", epoch.to_le_bytes(), Some(stale))]).await {
            Outcome::Written(now) => revision = now,
            Outcome::Refused { .. } => {
                let found = one(&*owner, "lease").await.unwrap();
                assert_eq!(found.value, b"zombie");
                revision = found.revision;
            }
        }
        taken.store(true, Ordering::SeqCst);
        let ended = zombies.join_all().await;
        let stored: Vec<_> = ended.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Written(_))).collect();
        assert!(
            stored.iter().all(|(zombie, outcome)| *zombie < 2 && *outcome == Outcome::Written(revision)),
            "{ended:?}"
        );
        let work = read(&*owner, &format!("work/{epoch}/")).await;
        assert_eq!(work.len(), stored.len());
        assert!(work.len() <= 1);
        assert_eq!(one(&*owner, "lease").await.unwrap().revision, revision);
    }
}

/// Batches that always write the same number into two keys, or remove both, and readers that look for a difference.
pub(crate) async fn readers_see_whole_batches(shared: &dyn Shared) {
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let client = shared.client();
        let done = Arc::clone(&done);
        readers.spawn(async move {
            let mut seen = 0_u64;
            let mut newest = 0;
            while !done.load(Ordering::SeqCst) {
                let found = read(&*client, "pair/").await;
                match &found[..] {
                    [] => {}
                    [a, b] => {
                        assert_eq!((a.revision, &a.value), (b.revision, &b.value));
                        assert!(a.revision >= newest, "time goes back");
                        newest = a.revision;
                    }
                    _ => panic!("half a batch: {found:?}"),
                }
                seen += 1;
            }
            seen
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..2_u32 {
        let client = shared.client();
        writers.spawn(async move {
            for round in 0..25_u32 {
                if round % 8 == 7 {
                    written(&*client, &[remove("pair/a", None), remove("pair/b", None)]).await;
                }
                let value = [writer.to_le_bytes(), round.to_le_bytes()].concat();
                written(&*client, &[put("pair/a", &value, None), put("pair/b", &value, None)]).await;
            }
        });
    }
    writers.join_all().await;
    done.store(true, Ordering::SeqCst);
    let seen: u64 = readers.join_all().await.into_iter().sum();
    assert!(seen > 0);
}

/// Counters raised by read, compare and set.
pub(crate) async fn no_increment_is_lost(shared: &dyn Shared) {
    const CLIENTS: u64 = 6;
    const EACH: u64 = 15;
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let ledger = shared.client();
        tasks.spawn(async move {
            for op in 0..EACH {
                let key = format!("count/{}", (client + op) % 2);
                loop {
                    let found = one(&*ledger, &key).await;
                    let (fence, count) = found
                        .map_or((0, 0), |entry| (entry.revision, u64::from_le_bytes(entry.value.try_into().unwrap())));
                    let batch = [put(&key, (count + 1).to_le_bytes(), Some(fence))];
                    if matches!(write(&*ledger, &batch).await, Outcome::Written(_)) {
                        break;
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    let counts = read(&*shared.client(), "count/").await;
    let sum: u64 = counts.iter().map(|entry| u64::from_le_bytes(entry.value.clone().try_into().unwrap())).sum();
    assert_eq!(sum, CLIENTS * EACH);
}

/// Each client sees at once what it wrote, and others see it too once it was acknowledged.
pub(crate) async fn acknowledged_writes_are_seen(shared: &dyn Shared) {
    let mut tasks = JoinSet::new();
    for client in 0..5_u32 {
        let [mine, theirs] = [shared.client(), shared.client()];
        tasks.spawn(async move {
            let key = format!("member/{client}");
            for beat in 0..12_u32 {
                let revision = written(&*mine, &[put(&key, beat.to_le_bytes(), None)]).await;
                for reader in [&mine, &theirs] {
                    let found = one(&**reader, &key).await.unwrap();
                    assert_eq!((found.revision, found.value), (revision, beat.to_le_bytes().to_vec()));
                }
            }
        });
    }
    tasks.join_all().await;
}
