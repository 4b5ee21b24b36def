//! What one client after the other sees.

use ringfort::datacenter::ledger::{Entry, LedgerError, MAX_BATCH, MAX_KEY, MAX_VALUE, Outcome};

use super::{Shared, one, put, read, remove, write, written};

fn refused(key: &str) -> Outcome {
    Outcome::Refused { key: key.into() }
}

pub(crate) async fn compare_and_set(shared: &dyn Shared) {
    let [a, b] = [shared.client(), shared.client()];
    assert_eq!(read(&*a, "").await, []);
    let first = written(&*a, &[put("k", "1", Some(0))]).await;
    assert!(first > 0);
    assert_eq!(write(&*b, &[put("k", "x", Some(0))]).await, refused("k"));
    assert_eq!(write(&*b, &[put("k", "x", Some(first + 1))]).await, refused("k"));
    assert_eq!(one(&*b, "k").await, Some(Entry { key: "k".into(), revision: first, value: b"1".to_vec() }));
    let second = written(&*b, &[put("k", "2", Some(first))]).await;
    assert!(second > first);
    assert_eq!(write(&*a, &[put("k", "x", Some(first))]).await, refused("k"));
    assert_eq!(write(&*a, &[remove("k", Some(first))]).await, refused("k"));
    // Others' writes do not move a key's own revision.
    let other = written(&*a, &[put("other", "", None)]).await;
    assert!(other > second);
    let third = written(&*a, &[put("k", "3", Some(second))]).await;
    assert!(third > other);
    let open = written(&*b, &[put("k", "4", None)]).await;
    assert_eq!(write(&*a, &[put("k", "x", Some(third))]).await, refused("k"));
    assert_eq!(one(&*a, "k").await, Some(Entry { key: "k".into(), revision: open, value: b"4".to_vec() }));
}

pub(crate) async fn a_deleted_key_has_no_revision(shared: &dyn Shared) {
    let ledger = shared.client();
    let first = written(&*ledger, &[put("k", "1", Some(0))]).await;
    assert_eq!(write(&*ledger, &[remove("k", Some(0))]).await, refused("k"));
    let gone = written(&*ledger, &[remove("k", Some(first))]).await;
    assert!(gone > first);
    assert_eq!(read(&*ledger, "").await, []);
    assert_eq!(write(&*ledger, &[put("k", "2", Some(first))]).await, refused("k"));
    assert_eq!(write(&*ledger, &[put("k", "2", Some(gone))]).await, refused("k"));
    // What is not there may be deleted, and made anew under a revision of its own.
    written(&*ledger, &[remove("k", Some(0))]).await;
    written(&*ledger, &[remove("never", None)]).await;
    let again = written(&*ledger, &[put("k", "1", Some(0))]).await;
    assert!(again > gone);
    assert_eq!(write(&*ledger, &[put("k", "2", Some(first))]).await, refused("k"));
}

pub(crate) async fn bounds_are_refused_by_name(shared: &dyn Shared) {
    let ledger = shared.client();
    let long = "k".repeat(MAX_KEY + 1);
    for key in ["", &long] {
        let error = ledger.write(&[put("good", "1", None), put(key, "1", None)]).await.unwrap_err();
        assert!(matches!(error, LedgerError::Key { bytes, .. } if bytes == key.len()), "{error}");
    }
    let error = ledger.write(&[put("big", vec![0; MAX_VALUE + 1], None)]).await.unwrap_err();
    assert!(error.to_string().contains("\"big\"") && matches!(error, LedgerError::Value { .. }), "{error}");
    let error = ledger.write(&[put("k", "1", None), remove("k", None)]).await.unwrap_err();
    assert!(matches!(error, LedgerError::Twice { key } if key == "k"));
    assert!(matches!(ledger.write(&[]).await, Err(LedgerError::Batch { writes: 0 })));
    let many: Vec<_> = (0..=MAX_BATCH).map(|at| put(&at.to_string(), "", None)).collect();
    assert!(matches!(ledger.write(&many).await, Err(LedgerError::Batch { .. })));
    assert_eq!(read(&*ledger, "").await, []);
    // The bounds themselves are within.
    written(&*ledger, &many[1..]).await;
    assert_eq!(read(&*ledger, "").await.len(), MAX_BATCH);
    let value: Vec<u8> = (0..=250).cycle().take(MAX_VALUE).collect();
    written(&*ledger, &[put(&long[1..], &value, Some(0)), put("empty", "", Some(0))]).await;
    assert_eq!(one(&*ledger, &long[1..]).await.unwrap().value, value);
    assert_eq!(one(&*ledger, "empty").await.unwrap().value, b"");
}

pub(crate) async fn order_and_prefixes(shared: &dyn Shared) {
    let ledger = shared.client();
    let mut keys =
        ["a", "a%", "a%b", "a_", "a_b", "aXb", "ab", "b/1", "b/10", "b/2", "B", "b", "\u{e4}", "a\u{10ffff}", "'; --"];
    let batch: Vec<_> = keys.iter().rev().map(|key| put(key, key, None)).collect();
    let revision = written(&*ledger, &batch).await;
    keys.sort_unstable();
    for prefix in ["", "a", "a%", "a_", "ab", "abc", "b/", "b/1", "B", "\u{e4}", "a\u{10ffff}", "'", "%", "_", "c"] {
        let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).map(|&key| key.to_owned()).collect();
        let found = read(&*ledger, prefix).await;
        assert!(found.iter().all(|entry| entry.revision == revision && entry.value == entry.key.as_bytes()));
        assert_eq!(found.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), expected, "{prefix:?}");
    }
}

pub(crate) async fn a_refused_batch_leaves_nothing(shared: &dyn Shared) {
    let ledger = shared.client();
    let revision = written(&*ledger, &[put("a", "1", None), put("b", "1", None)]).await;
    let before = read(&*ledger, "").await;
    for fails_at in 0..4 {
        let mut batch = vec![
            put("a", "2", Some(revision)),
            remove("b", Some(revision)),
            put("c", "2", Some(0)),
            put("d", "2", None),
        ];
        batch[fails_at].fence = Some(revision + 7);
        let key = batch[fails_at].key.clone();
        assert_eq!(write(&*ledger, &batch).await, refused(&key));
        assert_eq!(read(&*ledger, "").await, before);
    }
    // The first of several is named.
    let batch = [put("d", "2", None), put("b", "2", Some(0)), put("a", "2", Some(0))];
    assert_eq!(write(&*ledger, &batch).await, refused("b"));
    // Fences look at what was there before, and one revision holds for all.
    let batch = [put("c", "2", Some(0)), put("a", "2", Some(revision)), remove("b", Some(revision))];
    let next = written(&*ledger, &batch).await;
    let after = read(&*ledger, "").await;
    let expected = ["a", "c"].map(|key| Entry { key: key.into(), revision: next, value: b"2".to_vec() });
    assert_eq!(after, expected);
}

/// A client that stops waiting at any instant: its write is stored or not, and asking again stores it once.
pub(crate) async fn the_answer_may_be_lost(shared: &dyn Shared) {
    let mut revision = 0;
    let mut at_once = 0;
    for round in 0..30_u64 {
        let client = shared.client();
        let value = round.to_le_bytes();
        let batch = [put("lease", value, Some(revision)), put(&format!("log/{round:03}"), value, Some(0))];
        let asked = client.write(&batch);
        let _unknown = tokio::time::timeout(std::time::Duration::from_micros(round * 150), asked).await;
        let again = shared.client();
        match write(&*again, &batch).await {
            Outcome::Written(now) => revision = now,
            Outcome::Refused { key } => {
                assert_eq!(key, "lease");
                let found = one(&*again, "lease").await.unwrap();
                assert_eq!(found.value, value, "refused by its own double");
                revision = found.revision;
                at_once += 1;
            }
        }
        let log = read(&*again, "log/").await;
        assert_eq!(log.len() as u64, round + 1);
        assert_eq!(log.last().unwrap().revision, revision);
    }
    println!("{at_once} of 30 writes were stored though nobody heard of it");
}
