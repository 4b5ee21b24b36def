//! Bodies that carry the right seal and are rubbish, and bodies that are too large.
//!
//! Invariant: whatever a sealed body holds, it gets an answer and no panic, and the room that its bytes took is free
//! again; bodies over a bound are turned away before they are read.

use std::sync::atomic::AtomicU64;

use axum::http::Method;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::super::super::protocol::{Message, WorkerId};
use super::super::Room;
use super::super::TransportLimits;
use super::super::counts;
use super::super::seal::Key;
use super::super::secret::Secret;
use super::super::shared::mapped::Seen;
use super::*;

fn server(limits: TransportLimits) -> (Arc<Server>, mpsc::Receiver<(WorkerId, Message)>) {
    let (inbox, messages) = mpsc::channel(4);
    let common = Common {
        me: WorkerId(2),
        key: Key::new(&Secret::of(b"the secret of the tests").unwrap()),
        limits,
        files: None,
        counts: counts::Counters::default(),
        counter: AtomicU64::new(1),
        inbox,
        shelf: None,
        seen: Seen::new(1),
        room: Room::default(),
    };
    let (nonce, reading) = (blake3::hash(b"nonce"), Semaphore::new(limits.reading_bytes / 1024));
    (Arc::new(Server { common: Arc::new(common), nonce, heard: Counters::default(), reading }), messages)
}

/// A request with the right seal over `body`.
fn sealed(server: &Server, counter: u64, body: Vec<u8>) -> Request {
    let claim = Claim { from: WorkerId(1), counter, nonce: server.nonce, digest: blake3::hash(&body) };
    let seal = server.common.key.seal(&claim, &Method::POST, "/message", body.len() as u64);
    Request::post("/message").header(seal::HEADER, seal).body(HttpBody::from(body)).unwrap()
}

proptest! {
    #[test]
    fn rubbish_under_the_right_seal_is_refused(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..10)) {
        let (server, mut messages) = server(TransportLimits::default());
        let runtime = Runtime::new().unwrap();
        for (counter, mut body) in (1..).zip(bodies) {
            // A head of a few bytes at most, so that it is reached.
            if let Some(first) = body.first_chunk_mut::<4>() {
                *first = [first[0] % 80, 0, 0, 0];
            }
            let answer = runtime.block_on(server.take(sealed(&server, counter, body)));
            match answer.status() {
                // Rubbish can be a message.
                StatusCode::NO_CONTENT => prop_assert!(messages.try_recv().is_ok()),
                // Or name a file that is not there.
                status => prop_assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::GONE), "{status}"),
            }
            prop_assert_eq!(server.reading.available_permits(), server.common.limits.reading_bytes / 1024);
        }
    }
}

#[tokio::test]
async fn bodies_over_the_bound_are_turned_away_unread() {
    let limits = TransportLimits { message_bytes: 8 << 10, reading_bytes: 8 << 10, ..TransportLimits::default() };
    let (server, _messages) = server(limits);
    let held = server.reading.try_acquire_many(5).unwrap();
    assert_eq!(server.take(sealed(&server, 1, vec![0; 4 << 10])).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    assert_eq!(server.take(sealed(&server, 1, vec![0; 4 << 10])).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(server.take(sealed(&server, 2, vec![0; 1 << 20])).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
