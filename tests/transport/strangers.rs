//! What does not carry the run's seal changes nothing.

use std::io::Write;
use std::net::TcpStream;

use ringfort::datacenter::protocol::{Body, Message, WorkerId};
use ringfort::datacenter::transport::{Secret, Transport};
use tokio::sync::mpsc;

use super::node::{Node, anywhere, exchange, pattern, quick, read_one, recorded, relay, shell, until};

fn find(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_goes_through_and_nothing_is_heard_twice() {
    let (sender, mut receiver) = (Node::new(1, None, quick()).await, Node::new(2, None, quick()).await);
    let real = receiver.transport.address().http;
    let request = recorded(&sender, &receiver, |sender| sender.give(WorkerId(2), 9, pattern(40, 1))).await;
    let head = find(&request, b"\r\n\r\n") + 4;
    let seal = find(&request, b"x-ringfort-seal: ") + "x-ringfort-seal: ".len();
    let seal_end = seal + find(&request[seal..], b"\r\n");
    let length = find(&request, b"content-length: ") + "content-length: ".len();
    let length_end = length + find(&request[length..], b"\r\n");
    let path_end = find(&request, b" HTTP/1.1");
    // The rest of the head says nothing.
    let says = [0..path_end, seal..seal_end, length..length_end, head..request.len()];
    for at in says.into_iter().flatten() {
        for bit in 0..8 {
            let mut flipped = request.clone();
            flipped[at] ^= 1 << bit;
            if at >= length && at < length_end {
                // A longer body is never waited for; one that ends early must not leave the rest to be read as a request.
                assert!(flipped != request);
            }
            let (status, answer) = exchange(real, &flipped);
            let refused = matches!(status, 400 | 401 | 403);
            assert!(refused, "byte {at}, bit {bit}: {}", String::from_utf8_lossy(&answer));
        }
    }
    assert_eq!(receiver.transport.counts().received, 0);
    assert!(receiver.inbox.try_recv().is_err());
    let elsewhere = Node::new(2, None, quick()).await;
    assert_eq!(
        exchange(elsewhere.transport.address().http, &request).0,
        403,
        "it is for another start of the receiver"
    );
    assert_eq!(exchange(real, &request).0, 204, "the very request goes through");
    assert_eq!(receiver.given().await, pattern(40, 1));
    assert_eq!(exchange(real, &request).0, 401, "once");
    assert_eq!(receiver.transport.counts().received, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_seal_there_is_health_and_hello() {
    let receiver = Node::new(2, None, quick()).await;
    let address = receiver.transport.address().http;
    let ask = |line: &str| exchange(address, format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
    assert_eq!(ask("GET /healthz").0, 200);
    let (status, hello) = ask("GET /hello");
    assert_eq!(status, 200);
    assert!(String::from_utf8(hello).unwrap().contains("\r\n\r\n0000000000000002."));
    for line in
        ["POST /message", "GET /message", "GET /", "POST /hello", "PUT /message", "GET /../secret", "DELETE /healthz"]
    {
        assert_eq!(ask(line).0, 401, "{line}");
    }
    // A stranger's body is never waited for.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"POST /message HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n").unwrap();
    let answer = tokio::task::block_in_place(|| read_one(&mut stream));
    assert!(answer.starts_with(b"HTTP/1.1 401"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_is_another_run() {
    let mut receiver = Node::new(2, None, quick()).await;
    let (inbox, _kept) = mpsc::channel(4);
    let other = Secret::of(b"the secret of another run").unwrap();
    let stranger = Transport::start(WorkerId(1), &other, anywhere(), None, quick(), inbox).await.unwrap();
    stranger.meet(&[(receiver.id, receiver.transport.address().clone())].into());
    stranger.send(receiver.id, Message { lamport: 1, body: Body::Ask(shell(4), 0) });
    until("refused", || stranger.counts().failed == 1).await;
    let counts = receiver.transport.counts();
    assert_eq!((counts.refused, counts.received), (1, 0));
    assert!(receiver.inbox.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_nonce_is_asked_for_again_once() {
    for (lies, arrives) in [(1, true), (2, false)] {
        let (sender, mut receiver) = (Node::new(1, None, quick()).await, Node::new(2, None, quick()).await);
        let real = receiver.transport.address().http;
        let mut hellos = 0;
        let address = relay(move |request| {
            let hello = request.starts_with(b"GET /hello");
            hellos += u32::from(hello);
            if hello && hellos <= lies {
                let body = format!("{:016x}.{}", 2, "ab".repeat(32));
                return format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
            }
            let mut stream = TcpStream::connect(real).unwrap();
            stream.write_all(request).unwrap();
            read_one(&mut stream)
        });
        sender.meet_at(receiver.id, address);
        sender.give(receiver.id, 1, pattern(100, 1));
        if arrives {
            assert_eq!(receiver.given().await, pattern(100, 1));
            assert_eq!(sender.transport.counts().failed, 0);
        } else {
            until("given up", || sender.transport.counts().failed == 1).await;
        }
        assert_eq!(receiver.transport.counts().refused, u64::from(lies));
        assert_eq!(sender.transport.counts().requests, 2);
    }
}
