//! Messages of workers over real sockets and real shared memory.
#![cfg(feature = "datacenter")]
#![allow(unreachable_pub, clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests")]

#[path = "transport/bounds.rs"]
mod bounds;
#[path = "transport/node.rs"]
mod node;
#[path = "transport/strangers.rs"]
mod strangers;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use node::{Node, anywhere, pattern, quick, shell, until};
use ringfort::clock;
use ringfort::datacenter::protocol::{Block, Body, Handover, Held, Message, Value, WorkerId};
use ringfort::datacenter::transport::TransportLimits;

/// Files and folders left in shared memory.
fn left(shared: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(shared) else { return 0 };
    folders.map(|own| 1 + std::fs::read_dir(own.unwrap().path()).map_or(0, Iterator::count)).sum()
}

struct Lazy(Option<Bytes>);

impl Held for Lazy {
    fn bytes(&self) -> Option<Bytes> {
        self.0.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_is_used_where_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let mut here = Node::new(1, Some(&shared), quick()).await;
    let mut near = Node::new(2, Some(&shared), quick()).await;
    let mut also = Node::new(3, Some(&shared), quick()).await;
    let mut far = Node::new(4, None, quick()).await;
    here.meet(&[&near, &also, &far]);
    let bytes = pattern(3_000_000, 1);
    let value = Value::new(bytes.clone());
    let address = value.bytes().as_ptr();
    for to in [1, 2, 3, 4] {
        here.transport.send(WorkerId(to), Message { lamport: to, body: Body::Give(shell(8), value.clone()) });
    }
    let (_, message) = here.next().await;
    assert!(matches!(&message.body, Body::Give(_, value) if value.bytes().as_ptr() == address), "no copy");
    for node in [&mut near, &mut also, &mut far] {
        let (from, message) = node.next().await;
        assert_eq!((from, message.lamport), (WorkerId(1), node.id.0));
        assert!(matches!(&message.body, Body::Give(name, got) if *name == shell(8) && *got == value));
    }
    let ways = |node: &Node| {
        [node.transport.counts().by_pointer, node.transport.counts().shared, node.transport.counts().over_http]
    };
    assert_eq!([ways(&here), ways(&near), ways(&also), ways(&far)], [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]);
    assert_eq!(here.transport.counts().files, 1, "written once for two readers");
    // Small values are not worth a file.
    here.give(near.id, 9, pattern(4095, 2));
    assert_eq!(near.given().await, pattern(4095, 2));
    assert_eq!(ways(&near), [0, 1, 1]);
    drop((here, near, also, far));
    until("no file is left", || left(&shared) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_handed_over_whole_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let here = Node::new(1, Some(&shared), quick()).await;
    let mut near = Node::new(2, Some(&shared), quick()).await;
    here.meet(&[&near]);
    let value = |seed| Value::new(pattern(100_000, seed));
    let held = |bytes: Option<Vec<u8>>| Value::held(Arc::new(Lazy(bytes.map(Bytes::from))), None);
    let hand = |state| Handover {
        step: 8,
        state,
        shells: vec![(4, value(1)), (8, Value::new("small"))],
        snapshots: vec![(8, value(2))],
    };
    let give =
        |state| here.transport.send(WorkerId(2), Message { lamport: 1, body: Body::GiveBlock(Block(3), hand(state)) });
    give(held(Some(pattern(50_000, 3))));
    let Body::GiveBlock(Block(3), Handover { step: 8, state, shells, snapshots }) = near.next().await.1.body else {
        panic!("another message")
    };
    assert_eq!(state, Value::new(pattern(50_000, 3)));
    assert_eq!(shells, [(4, value(1)), (8, Value::new("small"))]);
    assert_eq!(snapshots, [(8, value(2))]);
    assert_eq!((near.transport.counts().shared, near.transport.counts().over_http), (3, 1));
    until("files of one reader go once it has them", || left(&shared) == 2).await;
    give(held(None));
    assert!(matches!(near.next().await.1.body, Body::NoBlock(Block(3))), "what was held is gone");
    here.transport.send(WorkerId(2), Message { lamport: 1, body: Body::Give(shell(1), held(None)) });
    until("dropped", || here.transport.counts().dropped == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shared_goes_in_the_request() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] = dirs.each_ref().map(|dir| dir.path().join("shared"));
    let here = Node::new(1, Some(&one), quick()).await;
    let mut other = Node::new(2, Some(&two), quick()).await;
    // Another folder is another host.
    here.meet(&[&other]);
    here.give(other.id, 1, pattern(100_000, 1));
    assert_eq!(other.given().await, pattern(100_000, 1));
    assert_eq!((here.transport.counts().files, here.transport.counts().requests), (0, 1));
    // One that says it is the same, and is not.
    let mut address = other.transport.address().clone();
    address.host = here.transport.address().host.clone();
    here.transport.meet(&[(other.id, address)].into());
    here.give(other.id, 2, pattern(100_000, 2));
    assert_eq!(other.given().await, pattern(100_000, 2));
    assert_eq!((here.transport.counts().files, here.transport.counts().requests), (1, 3));
    // A folder that is gone cannot be written in.
    let mut near = Node::new(3, Some(&one), quick()).await;
    here.meet(&[&near]);
    ringfort::datacenter::transport::sweep(&one, here.id).unwrap();
    here.give(near.id, 3, pattern(100_000, 3));
    assert_eq!(near.given().await, pattern(100_000, 3));
    assert_eq!((near.transport.counts().shared, near.transport.counts().over_http), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_on_the_shelf_is_read_in_place() {
    let shared = Path::new("/dev/shm").join(format!("ringfort-test-{}", std::process::id()));
    let here = Node::new(1, Some(&shared), quick()).await;
    let mut near = Node::new(2, Some(&shared), quick()).await;
    let mut far = Node::new(3, None, quick()).await;
    let shelf = here.transport.shelf().unwrap().clone();
    assert!(shelf.fill(100_000, |_| panic!("nobody reads")).is_none());
    here.meet(&[&near, &far]);
    for step in 0..20 {
        let wanted = pattern(100_000, usize::try_from(step).unwrap());
        let value = Value::new(shelf.fill(100_000, |bytes| bytes.copy_from_slice(&wanted)).unwrap());
        for to in [near.id, far.id] {
            here.transport.send(to, Message { lamport: 1, body: Body::Give(shell(step), value.clone()) });
        }
        assert_eq!((near.given().await, far.given().await), (wanted.clone(), wanted));
    }
    assert_eq!(here.transport.counts().files, 0, "none was written for the readers");
    assert_eq!((near.transport.counts().shared, far.transport.counts().over_http), (20, 20));
    // What a worker reads outlives the one who made it.
    let value = Value::new(shelf.fill(100_000, |bytes| bytes.fill(7)).unwrap());
    here.transport.send(near.id, Message { lamport: 1, body: Body::Give(shell(21), value.clone()) });
    let Body::Give(_, read) = near.next().await.1.body else { panic!("another message") };
    drop((here, shelf, value));
    assert_eq!(read.bytes()[..], [7; 100_000]);
    drop((read, near, far));
    until("no file is left", || left(&shared) == 0).await;
    std::fs::remove_dir(&shared).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_files_all_goes_over_http() {
    let nowhere = Path::new("/proc/ringfort-nowhere");
    let here = Node::new(1, Some(nowhere), quick()).await;
    let mut other = Node::new(2, Some(nowhere), quick()).await;
    assert!(here.transport.shelf().is_none());
    assert!(here.transport.unshared().is_some_and(|why| why.contains("/proc/ringfort-nowhere")));
    here.meet(&[&other]);
    here.give(other.id, 1, pattern(100_000, 1));
    assert_eq!(other.given().await, pattern(100_000, 1));
    assert_eq!(other.transport.counts().over_http, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_vanishes_and_comes_back() {
    let here = Node::new(1, None, quick()).await;
    let mut peer = Node::new(2, None, quick()).await;
    here.give(peer.id, 1, pattern(10, 1));
    assert_eq!(here.transport.counts().dropped, 1, "nobody knows it yet");
    here.meet(&[&peer]);
    here.give(peer.id, 1, pattern(10, 1));
    assert_eq!(peer.given().await, pattern(10, 1));
    let address = peer.transport.address().http;
    drop(peer);
    until("nobody is there", || {
        here.give(WorkerId(2), 2, pattern(10, 2));
        here.transport.counts().failed > 0
    })
    .await;
    // At the same address, another start.
    let mut again = Node::at(2, address, None, quick(), 1024).await;
    until("it is found again", || {
        here.give(WorkerId(2), 3, pattern(10, 3));
        again.inbox.try_recv().is_ok()
    })
    .await;
    // At another address, as the ledger says.
    let mut moved = Node::new(2, None, quick()).await;
    assert_ne!(moved.transport.address(), again.transport.address());
    here.meet(&[&moved]);
    here.give(WorkerId(2), 4, pattern(10, 4));
    assert_eq!(moved.given().await, pattern(10, 4));
    // Another worker at a known address is not taken for the one that was there.
    let other = Node::new(5, None, quick()).await;
    here.meet_at(WorkerId(2), other.transport.address().http);
    let failed = here.transport.counts().failed;
    here.give(WorkerId(2), 5, pattern(10, 5));
    until("another one answers", || here.transport.counts().failed == failed + 1).await;
    assert_eq!(other.transport.counts().received, 0);
    here.transport.meet(&std::collections::BTreeMap::new());
    let dropped = here.transport.counts().dropped;
    here.give(WorkerId(2), 6, pattern(10, 6));
    assert_eq!(here.transport.counts().dropped, dropped + 1, "forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_are_bounded_and_go_with_a_peer_that_is_silent() {
    let limits = TransportLimits { queue: 8, request_ms: 300, ..quick() };
    let here = Node::new(1, None, limits).await;
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind(anywhere()).unwrap();
    here.meet_at(WorkerId(2), silent.local_addr().unwrap());
    let start = clock::now();
    for step in 0..100 {
        here.give(WorkerId(2), step, pattern(10, 1));
    }
    let full = here.transport.counts().dropped;
    assert!((91..=92).contains(&full), "{full} did not fit");
    assert!(start.elapsed() < node::PATIENCE, "sending never waits");
    until("all is over", || here.transport.counts().failed + here.transport.counts().dropped == 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_exchange_thousands() {
    const ROUNDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let shared = dir.path().join("shared");
    let limits = TransportLimits { queue: 4096, files: 16, share_from: 8 << 10, ..quick() };
    let mut nodes = Vec::new();
    for id in 0..8 {
        // Two of them have no shared memory.
        nodes.push(Node::at(id, anywhere(), (id < 6).then_some(&*shared), limits, 8192).await);
    }
    let all: Vec<&Node> = nodes.iter().collect();
    for node in &nodes {
        node.meet(&all);
    }
    for round in 0..ROUNDS {
        for node in &nodes {
            let name = ringfort::datacenter::protocol::Shell {
                block: Block(usize::try_from(node.id.0).unwrap()),
                step: round,
            };
            let length = if round % 2 == 0 { 100 } else { 20_000 };
            let value = Value::new(pattern(length, name.block.0 + usize::try_from(round).unwrap()));
            for to in 0..8 {
                node.transport.send(WorkerId(to), Message { lamport: round, body: Body::Give(name, value.clone()) });
            }
        }
    }
    for node in &mut nodes {
        let mut last = [None; 8];
        for _ in 0..8 * ROUNDS {
            let (from, message) = node.next().await;
            let Body::Give(name, value) = message.body else { panic!("another message") };
            assert_eq!(name.block.0 as u64, from.0);
            assert!(last[name.block.0] < Some(name.step), "in order");
            last[name.block.0] = Some(name.step);
            let seed = name.block.0 + usize::try_from(name.step).unwrap();
            assert_eq!(value.bytes(), &pattern(if name.step % 2 == 0 { 100 } else { 20_000 }, seed));
        }
    }
    for node in &nodes {
        let counts = node.transport.counts();
        assert_eq!((counts.dropped, counts.failed, counts.refused, counts.turned_away, counts.busy), (0, 0, 0, 0, 0));
        assert_eq!((counts.received, counts.by_pointer), (7 * ROUNDS, ROUNDS));
        assert_eq!(counts.shared, if node.id.0 < 6 { 5 * ROUNDS / 2 } else { 0 });
    }
    drop(nodes);
    until("no file is left", || left(&shared) == 0).await;
}

/// Run by hand: `cargo test --release --test transport -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn shells_of_8_megabytes() {
    let shared = Path::new("/dev/shm").join(format!("ringfort-measure-{}", std::process::id()));
    for (way, folder) in [("by map", Some(&*shared)), ("over HTTP", None)] {
        for readers in [1, 6] {
            let here = Node::new(100 * readers, folder, quick()).await;
            let mut near = Vec::new();
            for id in 0..readers {
                near.push(Node::new(100 * readers + 1 + id, folder, quick()).await);
            }
            here.meet(&near.iter().collect::<Vec<_>>());
            let bytes = Bytes::from(pattern(8_000_000, 1));
            let mut seconds = Vec::new();
            for step in 0..50 {
                let start = clock::now();
                let value = Value::new(bytes.clone());
                for node in &near {
                    here.transport.send(node.id, Message { lamport: 1, body: Body::Give(shell(step), value.clone()) });
                }
                for node in &mut near {
                    let Body::Give(_, value) = node.next().await.1.body else { panic!("another message") };
                    assert!(value.bytes().iter().step_by(64).map(|&byte| u64::from(byte)).sum::<u64>() > 0);
                }
                seconds.push(start.elapsed().as_secs_f64());
            }
            seconds.sort_by(f64::total_cmp);
            let median = seconds[seconds.len() / 2];
            let rate = f64::from(u32::try_from(near.len()).unwrap()) * 8.0 / median;
            println!("{way}, {readers} readers: all read after {:.2} ms, {rate:.0} MB/s", median * 1e3);
        }
    }
    let _ = std::fs::remove_dir_all(&shared);
}
