//! A worker of the tests, and what speaks HTTP by hand.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use ringfort::datacenter::protocol::{Block, Body, Message, Shell, Value, WorkerId};
use ringfort::datacenter::transport::{Address, Secret, Transport, TransportLimits};
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio::time::timeout;

/// Longest that anything here takes, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Node {
    pub id: WorkerId,
    pub transport: Transport,
    pub inbox: mpsc::Receiver<(WorkerId, Message)>,
}

pub fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub fn secret() -> Secret {
    Secret::of(b"the secret of the tests").unwrap()
}

pub fn quick() -> TransportLimits {
    TransportLimits { request_ms: 5_000, connect_ms: 2_000, ..TransportLimits::default() }
}

impl Node {
    pub async fn at(id: u64, listen: SocketAddr, shared: Option<&Path>, limits: TransportLimits, room: usize) -> Self {
        let (sender, inbox) = mpsc::channel(room);
        let id = WorkerId(id);
        let transport = Transport::start(id, &secret(), listen, shared, limits, sender).await.unwrap();
        Self { id, transport, inbox }
    }

    pub async fn new(id: u64, shared: Option<&Path>, limits: TransportLimits) -> Self {
        Self::at(id, anywhere(), shared, limits, 64).await
    }

    pub fn meet(&self, others: &[&Node]) {
        let peers: BTreeMap<_, _> = others.iter().map(|other| (other.id, other.transport.address().clone())).collect();
        self.transport.meet(&peers);
    }

    /// Meets a worker `id` who is said to be at `http`.
    pub fn meet_at(&self, id: WorkerId, http: SocketAddr) {
        self.transport.meet(&[(id, Address { http, host: String::new() })].into());
    }

    pub async fn next(&mut self) -> (WorkerId, Message) {
        timeout(PATIENCE, self.inbox.recv()).await.expect("a message arrives in time").unwrap()
    }

    pub fn give(&self, to: WorkerId, step: u64, bytes: Vec<u8>) {
        self.transport.send(to, Message { lamport: step, body: Body::Give(shell(step), Value::new(bytes)) });
    }

    /// The bytes of the next message, which is a shell.
    pub async fn given(&mut self) -> Vec<u8> {
        match self.next().await.1.body {
            Body::Give(_, value) => value.bytes().to_vec(),
            other => panic!("{other:?}"),
        }
    }
}

pub fn shell(step: u64) -> Shell {
    Shell { block: Block(1), step }
}

pub fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + seed * 7 + at / 251) % 256).unwrap()).collect()
}

/// Waits until `holds`.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// One whole request or answer from `stream`; less if it ends before.
pub fn read_one(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 65536]);
    loop {
        if let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if all.len() >= end + 4 + length.unwrap_or(0) {
                return all;
            }
        }
        match stream.read(&mut part) {
            Ok(count) if count > 0 => all.extend_from_slice(&part[..count]),
            _ => return all,
        }
    }
}

/// The answer to `request`, and its status: 0 if the connection was closed without one.
pub fn exchange(address: SocketAddr, request: &[u8]) -> (u16, Vec<u8>) {
    block_in_place(|| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may answer and close before all is written.
        let _ = stream.write_all(request);
        let answer = read_one(&mut stream);
        (status(&answer), answer)
    })
}

pub fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Stands between two workers: what `answer` makes of each request goes back. Ends with the test.
pub fn relay(mut answer: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_one(&mut stream);
            if !request.is_empty() {
                let text = answer(&request);
                let end = text.windows(2).position(|window| window == b"\r\n").map_or(0, |end| end + 2);
                let _ = stream.write_all(&[&text[..end], b"connection: close\r\n", &text[end..]].concat());
            }
        }
    });
    address
}

/// The very bytes of a request that `from` sends to `to`, which never arrives.
pub async fn recorded(from: &Node, to: &Node, send: impl FnOnce(&Node)) -> Vec<u8> {
    let (record, mut recorded) = mpsc::channel(4);
    let real = to.transport.address().http;
    let address = relay(move |request| {
        if request.starts_with(b"GET /hello") {
            let mut stream = TcpStream::connect(real).unwrap();
            stream.write_all(request).unwrap();
            return read_one(&mut stream);
        }
        record.blocking_send(request.to_vec()).unwrap();
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
    });
    from.meet_at(to.id, address);
    send(from);
    timeout(PATIENCE, recorded.recv()).await.unwrap().unwrap()
}
