//! The receiving side: connections, deadlines, and what is checked in which order.
//!
//! A request's seal is checked on its head alone, so strangers never make this worker read a body. Then come what is
//! bounded, the body itself, its digest, and its content.
//!
//! Input: requests. Output: messages in the inbox, each with its sender. Invariant: a request is answered with success
//! only once its message is in the inbox, and no request's message gets there without a valid seal for this start and
//! a counter not heard before. A counter counts as heard only once the body has its digest. Connections and bytes of
//! bodies being read are bounded; what finds no room there or in the inbox is turned away, never kept waiting for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use blake3::Hash;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::seal::{self, Claim, Counters, Heard};
use super::wire::{UnpackError, unpack};
use super::{Common, values};

/// Pause after the system could not give a connection, for lack of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes that a message may have beyond its values.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes read at a time, and most bytes of an HTTP head.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes in one unit of the bound on bodies being read.
const UNIT: u64 = 1 << 10;

struct Server {
    common: Arc<Common>,
    nonce: Hash,
    heard: Counters,
    reading: Semaphore,
}

/// Serves until it is aborted; connections end with it.
pub(super) async fn run(common: Arc<Common>, listener: TcpListener, nonce: Hash) {
    let limits = common.limits;
    let units = usize::try_from(limits.reading_bytes as u64 / UNIT).unwrap_or(usize::MAX);
    let reading = Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS));
    let server = Arc::new(Server { common, nonce, heard: Counters::default(), reading });
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/hello", get(hello))
        .route("/message", post(message))
        .fallback(unsealed)
        .method_not_allowed_fallback(unsealed)
        .with_state(server.clone());
    let full = Router::new().fallback(full).with_state(server);
    let served = Arc::new(Semaphore::new(limits.connections.max(1)));
    let turned = Arc::new(Semaphore::new(limits.connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        // With no room for either kind the connection is closed here.
        if let Ok(permit) = served.clone().try_acquire_owned() {
            connections.spawn(connection(stream, open.clone(), permit, limits.request()));
        } else if let Ok(permit) = turned.clone().try_acquire_owned() {
            connections.spawn(connection(stream, full.clone(), permit, limits.request()));
        }
    }
}

async fn connection(stream: TcpStream, router: Router, _permit: OwnedSemaphorePermit, deadline: Duration) {
    // Small answers should not wait for more.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(deadline).max_buf_size(BUFFER_BYTES);
    // Whatever went wrong, the connection is over.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

async fn hello(State(server): State<Arc<Server>>) -> String {
    format!("{:016x}.{}", server.common.me.0, server.nonce)
}

async fn unsealed(State(server): State<Arc<Server>>) -> Response {
    server.refuse(StatusCode::UNAUTHORIZED)
}

async fn full(State(server): State<Arc<Server>>) -> Response {
    server.turn_away()
}

async fn message(State(server): State<Arc<Server>>, request: Request) -> Response {
    let taken = timeout(server.common.limits.request(), server.take(request)).await;
    taken.unwrap_or_else(|_| server.refuse(StatusCode::REQUEST_TIMEOUT)).into_response()
}

impl Server {
    fn refuse(&self, status: StatusCode) -> Response {
        self.common.counts.refused.one();
        status.into_response()
    }

    /// Too much to do. The connection goes too, so that others get their turn.
    fn turn_away(&self) -> Response {
        self.common.counts.turned_away.one();
        let seconds = self.common.limits.retry_after_ms.div_ceil(1000).max(1);
        let headers = [(RETRY_AFTER, HeaderValue::from(seconds)), (CONNECTION, HeaderValue::from_static("close"))];
        (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
    }

    async fn take(&self, request: Request) -> Response {
        match self.try_take(request).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(StatusCode::SERVICE_UNAVAILABLE) => self.turn_away(),
            Err(status) => self.refuse(status),
        }
    }

    async fn try_take(&self, request: Request) -> Result<(), StatusCode> {
        let Common { limits, inbox, counts, room, seen, .. } = &*self.common;
        let (claim, length) = self.claim(&request)?;
        self.heard(&claim, false)?;
        let most = limits.message_bytes as u64 + HEAD_BYTES as u64;
        let bytes = usize::try_from(length).ok().filter(|_| length <= most).ok_or(StatusCode::PAYLOAD_TOO_LARGE)?;
        if inbox.capacity() == 0 {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let units = u32::try_from(length.div_ceil(UNIT)).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let _reading = self.reading.try_acquire_many(units).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let body = read(request.into_body(), bytes, &claim.digest).await?;
        self.heard(&claim, true)?;
        let mut shared = 0;
        let message = unpack(&body, limits.message_bytes as u64, |shell, place| {
            let files = self.common.files.as_ref().ok_or(std::io::ErrorKind::Unsupported)?;
            shared += 1;
            // Shells come in every round and are read where they lie; other values come once in a while, and are kept.
            let in_place = shell.then(|| seen.read(files.folder(), claim.from, place).ok()).flatten();
            in_place.map_or_else(|| files.folder().read(claim.from, place, shell.then_some(room)), Ok)
        });
        let message = message.map_err(|error| match error {
            UnpackError::File(_) => StatusCode::GONE,
            UnpackError::Lengths | UnpackError::Head(_) => StatusCode::BAD_REQUEST,
        })?;
        let values = values(&message.body);
        let place = inbox.try_reserve().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        counts.received.one();
        counts.received_bytes.add(length);
        counts.shared.add(shared);
        counts.over_http.add(values - shared);
        place.send((claim.from, message));
        Ok(())
    }

    /// What the request claims, sealed and for this start of this worker, and the length of its body.
    fn claim(&self, request: &Request) -> Result<(Claim, u64), StatusCode> {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let length = request.body().size_hint().exact().ok_or(StatusCode::UNAUTHORIZED)?;
        let header = request.headers().get(seal::HEADER).and_then(|value| value.to_str().ok());
        let claim = header.and_then(|header| self.common.key.open(header, request.method(), path, length));
        let claim = claim.ok_or(StatusCode::UNAUTHORIZED)?;
        if claim.nonce == self.nonce { Ok((claim, length)) } else { Err(StatusCode::FORBIDDEN) }
    }

    fn heard(&self, claim: &Claim, keep: bool) -> Result<(), StatusCode> {
        match self.heard.heard(claim, keep) {
            Heard::New => Ok(()),
            Heard::Before => Err(StatusCode::UNAUTHORIZED),
            Heard::Full => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// The body, which has `length` bytes, if it has the digest.
async fn read(mut body: HttpBody, length: usize, digest: &Hash) -> Result<Bytes, StatusCode> {
    let mut bytes = BytesMut::with_capacity(length);
    let mut hasher = blake3::Hasher::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        if data.len() > length - bytes.len() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        hasher.update(&data);
        bytes.extend_from_slice(&data);
    }
    if hasher.finalize() == *digest { Ok(bytes.freeze()) } else { Err(StatusCode::UNAUTHORIZED) }
}

#[cfg(test)]
mod tests;
