//! Connections over TCP: how many there may be, and how long one may keep its place without getting anywhere.
//!
//! ```text
//! accept ──▶ place free, in all and for its address? ──no──▶ closed
//!                │ yes
//!                ▼                 header_timeout                      idle_timeout
//!         waits for a request ──────────────────▶ closed ◀──────────────────┐
//!                │ a whole header                                           │
//!                ▼                                                          │
//!         request under way ──answered──▶ waits for the next one ───────────┘
//! ```
//!
//! Whatever is under way, a client that takes nothing of what is written for it is let go after the time-out of writes. The
//! time until an answer begins is bounded by the routes, and `WebSocket`s by their pings.

mod connection_monitor;
mod connection_permits;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Method};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use self::{
    connection_monitor::{ConnectionMonitor, MonitoredStream, ResponseBodyGuard},
    connection_permits::ConnectionPermits,
};
use super::client_address::ClientAddress;
use crate::config::HttpConfig;

/// Requests that one connection of HTTP/2 may have under way.
const MAX_CONCURRENT_STREAMS: u32 = 128;

/// Longest header of a request, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Time between two pings over a connection of HTTP/2, and for the answer to one.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long is waited when the system gives no connection, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection without a request may stay when the process stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// How long connections may keep their places, and how many there may be.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    max_connections: usize,
    /// `None` where all come from one proxy.
    max_per_address: Option<usize>,
}

impl ConnectionLimits {
    /// By these settings; behind a proxy that all clients come through, addresses are not told apart.
    pub fn new(config: &HttpConfig, is_behind_proxy: bool) -> Self {
        Self {
            header_timeout: Duration::from_millis(config.header_timeout_ms.max(1)),
            idle_timeout: Duration::from_millis(config.idle_timeout_ms.max(1)),
            write_timeout: Duration::from_millis(config.write_timeout_ms.max(1)),
            max_connections: config.max_connections,
            max_per_address: (!is_behind_proxy).then_some(config.max_connections_per_address),
        }
    }
}

impl ConnectionLimits {
    /// Leaves at least half of so many file descriptors for everything else: this edge is one of two.
    pub fn cap_by_open_files(&mut self, files: usize) {
        let most = files / 4;
        if most < self.max_connections {
            tracing::warn!(
                files,
                connections = most,
                "fewer connections are taken than http.max_connections says, as fewer files may be open (ulimit -n)"
            );
            self.max_connections = most;
        }
    }
}

/// Serves connections until told to stop, and then until nothing is under way.
pub async fn serve(listener: TcpListener, router: Router, limits: ConnectionLimits, stop: CancellationToken) {
    let (tracker, places) =
        (TaskTracker::new(), ConnectionPermits::new(limits.max_connections, limits.max_per_address));
    let server =
        Arc::new(ConnectionServer { builder: connection_builder(&limits), router, limits, stop: stop.clone() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without a place the connection is closed at once, which costs nothing.
                if let Some(place) = places.acquire(&ClientAddress::from_peer(peer.ip())) {
                    let stream = MonitoredStream::new(stream, place, server.limits.write_timeout);
                    tracker.spawn(Arc::clone(&server).serve_connection(stream, peer));
                }
            }
            Err(error) if is_single_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "accepting connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

fn is_single_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

fn connection_builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Between requests and inside of headers [`ConnectionMonitor`] sees to it: here one time-out would stand for both.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .keep_alive_interval(HTTP2_PING_INTERVAL.min(limits.idle_timeout))
        .keep_alive_timeout(HTTP2_PING_INTERVAL)
        // WebSockets over HTTP/2 (RFC 8441).
        .enable_connect_protocol();
    builder
}

struct ConnectionServer {
    builder: Builder<TokioExecutor>,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
}

impl ConnectionServer {
    async fn serve_connection(self: Arc<Self>, stream: MonitoredStream<TcpStream>, peer: SocketAddr) {
        let watch = stream.monitor();
        let (router, requests) = (self.router.clone(), watch.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let has_body = !request.body().is_end_stream();
            let (mut router, under_way) = (router.clone(), requests.begin_request(has_body));
            if request.method() == Method::CONNECT {
                // A WebSocket, of which HTTP/2 tells no more than that it has begun; its pings see to its end.
                requests.begin_unending_request();
            }
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer: Response<Body> = router.call(request).await?;
                Ok::<_, Infallible>(answer.map(|body| ResponseBodyGuard::new(body, under_way)))
            }
        });
        let mut connection = pin!(self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut is_told = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke off");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !is_told => {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.wait_for_timeout(&watch, is_told) => {
                    // HTTP/2 says goodbye, and pings end it where the client does not answer.
                    if is_told || !watch.is_http2() {
                        return;
                    }
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Ends when the connection has kept its place for too long without a request.
    async fn wait_for_timeout(&self, watch: &ConnectionMonitor, is_told: bool) {
        if is_told {
            watch.wait_until_quiet(SHUTDOWN_GRACE).await;
        } else {
            watch.wait_for_timeout(self.limits.header_timeout, self.limits.idle_timeout).await;
        }
    }
}

#[cfg(test)]
mod tests;
