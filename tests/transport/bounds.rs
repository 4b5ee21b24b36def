//! Deadlines and bounds on the receiving side.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use ringfort::clock;
use ringfort::datacenter::protocol::{Block, Body, Epoch, Message, WorkerId};
use ringfort::datacenter::transport::TransportLimits;
use tokio::task::block_in_place;

use super::node::{Node, PATIENCE, anywhere, exchange, pattern, quick, read_one, recorded, shell, status, until};

/// Sends a byte now and then until the connection ends; the status of the answer, if there is one.
fn drip(address: std::net::SocketAddr, request: &[u8], at_once: usize) -> u16 {
    block_in_place(|| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        stream.write_all(&request[..at_once]).unwrap();
        let start = clock::now();
        for byte in request[at_once..].iter().cycle() {
            assert!(start.elapsed() < PATIENCE, "never cut off");
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            let answer = read_one(&mut stream);
            if !answer.is_empty() {
                return status(&answer);
            }
        }
        0
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_byte_now_and_then_is_cut_off() {
    let limits = TransportLimits { request_ms: 500, ..quick() };
    let (sender, mut receiver) = (Node::new(1, None, quick()).await, Node::new(2, None, limits).await);
    let address = receiver.transport.address().http;
    let request = recorded(&sender, &receiver, |sender| sender.give(WorkerId(2), 9, pattern(20_000, 1))).await;
    let slow_head = drip(address, &[&b"GET /healthz HTTP/1.1\r\n"[..], &[b'a'; 4000]].concat(), 10);
    assert!(matches!(slow_head, 0 | 408), "{slow_head}");
    let slow_body = drip(address, &request, request.len() - 10_000);
    assert!(matches!(slow_body, 0 | 408), "{slow_body}");
    // One who says nothing at all, and one who says nothing more.
    for first in [&b""[..], b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(first).unwrap();
        let ended = block_in_place(|| {
            read_one(&mut stream);
            read_one(&mut stream)
        });
        assert!(ended.is_empty() || status(&ended) == 408, "the connection ends");
    }
    assert_eq!(exchange(address, &request).0, 204, "a request that was cut off was not heard");
    assert_eq!(receiver.given().await.len(), 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_long_is_refused_at_both_ends() {
    let small = TransportLimits { message_bytes: 10_000, ..quick() };
    let (sender, mut receiver) = (Node::new(1, None, quick()).await, Node::new(2, None, small).await);
    sender.meet(&[&receiver]);
    sender.give(receiver.id, 1, pattern(10_001, 1));
    until("refused", || sender.transport.counts().failed == 1).await;
    sender.give(receiver.id, 1, pattern(1_000_000, 1));
    until("refused", || sender.transport.counts().failed == 2).await;
    sender.give(receiver.id, 1, pattern(10_000, 2));
    assert_eq!(receiver.given().await, pattern(10_000, 2));
    receiver.meet(&[&sender]);
    receiver.give(sender.id, 1, pattern(10_001, 1));
    until("dropped", || receiver.transport.counts().dropped == 1).await;
    assert_eq!(receiver.transport.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_means_later() {
    let mut asker = Node::new(1, None, quick()).await;
    let limits = TransportLimits { retry_after_ms: 1_500, ..quick() };
    let mut busy = Node::at(2, anywhere(), None, limits, 1).await;
    asker.meet(&[&busy]);
    let send = |body| asker.transport.send(WorkerId(2), Message { lamport: 5, body });
    send(Body::Wait(shell(1)));
    send(Body::Ask(shell(4), 0));
    send(Body::AskBlock(Block(3), Epoch(1), 0));
    send(Body::Elsewhere(shell(4)));
    until("turned away", || asker.transport.counts().busy == 3).await;
    let answers = [asker.next().await, asker.next().await];
    assert!(asker.inbox.try_recv().is_err(), "an answer to each question, none to the rest");
    assert!(
        matches!(answers[0], (WorkerId(2), Message { lamport: 0, body: Body::Later(name, 2_000) }) if name == shell(4))
    );
    assert!(matches!(answers[1], (WorkerId(2), Message { lamport: 0, body: Body::LaterBlock(Block(3), 2_000) })));
    assert_eq!(busy.transport.counts().turned_away, 3);
    assert!(matches!(busy.next().await.1.body, Body::Wait(_)));
    asker.transport.send(WorkerId(2), Message { lamport: 6, body: Body::Ask(shell(4), 0) });
    assert!(matches!(busy.next().await.1.body, Body::Ask(..)), "room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_and_too_many_bytes_are_turned_away() {
    let limits = TransportLimits { connections: 2, message_bytes: 64 << 10, reading_bytes: 64 << 10, ..quick() };
    let (sender, mut receiver) = (Node::new(1, None, quick()).await, Node::new(2, None, limits).await);
    let address = receiver.transport.address().http;
    let request = recorded(&sender, &receiver, |sender| sender.give(WorkerId(2), 9, pattern(50_000, 1))).await;
    // Half a body takes its share of the bytes, and one connection.
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(&request[..request.len() / 2]).unwrap();
    let mut asker = Node::new(3, None, quick()).await;
    asker.meet(&[&receiver]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    asker.give(receiver.id, 1, pattern(30_000, 3));
    until("turned away", || asker.transport.counts().busy + asker.transport.counts().failed == 1).await;
    assert_eq!(receiver.transport.counts().turned_away, 1);
    // Another takes the last connection.
    let mut idle = TcpStream::connect(address).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(status(&block_in_place(|| read_one(&mut idle))), 200);
    let (status, answer) = exchange(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(status, 503);
    assert!(String::from_utf8(answer).unwrap().to_lowercase().contains("retry-after: 1"));
    // Five more than are served or told to come back.
    let silent: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    asker.transport.send(receiver.id, Message { lamport: 1, body: Body::Ask(shell(4), 0) });
    until("no room", || asker.transport.counts().busy + asker.transport.counts().failed == 2).await;
    drop((silent, idle));
    half.write_all(&request[request.len() / 2..]).unwrap();
    assert_eq!(receiver.given().await, pattern(50_000, 1));
    until("room again", || {
        asker.give(receiver.id, 2, pattern(30_000, 4));
        std::thread::sleep(Duration::from_millis(20));
        receiver.inbox.try_recv().is_ok()
    })
    .await;
    while asker.inbox.try_recv().is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_without_a_free_connection_means_later() {
    let limits = TransportLimits { connections: 1, ..quick() };
    let (mut asker, mut busy) = (Node::new(1, None, quick()).await, Node::new(2, None, limits).await);
    asker.meet(&[&busy]);
    let mut idle = TcpStream::connect(busy.transport.address().http).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(status(&block_in_place(|| read_one(&mut idle))), 200);
    asker.transport.send(WorkerId(2), Message { lamport: 5, body: Body::Ask(shell(4), 0) });
    until("turned away", || asker.transport.counts().busy == 1).await;
    assert_eq!(asker.transport.counts().failed, 0);
    assert!(
        matches!(asker.next().await, (WorkerId(2), Message { lamport: 0, body: Body::Later(name, 1_000) }) if name == shell(4))
    );
    drop(idle);
    until("room again", || {
        let ask = Message { lamport: 5, body: Body::Ask(shell(4), 0) };
        asker.transport.send(WorkerId(2), ask);
        std::thread::sleep(Duration::from_millis(20));
        busy.inbox.try_recv().is_ok()
    })
    .await;
}
