//! Connections over TCP: limits their number, and closes those that make no progress.
//!
//! ```text
//! accept ──▶ permit free, in total and for its address? ──no──▶ closed, or a reserved one: only reports on the process
//!                │ yes; with TLS, after a handshake within header_timeout
//!                ▼                 header_timeout                      idle_timeout
//!         waits for a request ──────────────────▶ closed ◀──────────────────┐
//!                │ a complete header                                        │
//!                ▼                                                          │
//!         request in progress ──answered──▶ waits for the next one ─────────┘
//! ```
//!
//! In every state, the connection of a client that reads nothing of what is written to it is closed after
//! `write_timeout`. The time until a response begins is limited by the routes, and `WebSocket`s by their pings.
//!
//! A stop breaks no request ([`ServerStop`]). From its announcement on, each answer over HTTP/1 says that it is the
//! last of its connection, and HTTP/2 sends GOAWAY. When it begins, connections that the kernel has already accepted
//! are served too, and a connection without a request stays open for half a second, because its client may have just
//! sent one.
//!
//! Metrics, by edge: `medhub_connections_open`, `medhub_connections_refused_total` by the limit (`total`, `address`), and
//! `medhub_connections_timed_out_total` by what did not come in time (`handshake`, `header`, `idle`).

mod connection_limits;
mod connection_monitor;
mod connection_permits;
mod server_certificate;
mod server_stop;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Method, StatusCode, Version, header},
    response::IntoResponse,
};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use metrics::{counter, gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

pub use self::{connection_limits::ConnectionLimits, server_certificate::ServerCertificate, server_stop::ServerStop};
use self::{
    connection_monitor::{ConnectionMonitor, MonitoredStream},
    connection_permits::{ConnectionPermit, ConnectionPermits},
};
use super::{client_address::ClientAddress, observed_body::ObservedBody, problem::Problem, status_route};

/// Concurrent requests of one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 128;

/// Maximum size of a request header, in bytes.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Time between two pings over an HTTP/2 connection, and timeout of the response to one.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// Pause after an error of `accept` that is not specific to one connection, as when no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest time without a request of a connection beyond a limit: others wait for it.
const RESERVED_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest life of such a connection: over HTTP/2 a client may leave a response unread and answer pings.
const RESERVED_LIFETIME: Duration = Duration::from_secs(10);

/// Seconds until a client whose connection exceeds a limit may retry.
const RETRY_AFTER_S: u64 = 1;

/// Connections that the kernel has accepted and this process has not, at most: the length of the listener's queue.
const MAX_PENDING_CONNECTIONS: usize = 1024;

/// How long a connection without a request may stay open when the process stops: a request may be on its way.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// The same over HTTP/2, whose connections end by themselves once the client has got everything: what a slow client has not
/// read yet is not seen here.
const HTTP2_SHUTDOWN_GRACE: Duration = Duration::from_secs(4);

/// How long clients may take to close their `WebSocket`s after they have been asked to.
const SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves connections until `stop` begins, and then until no request is in progress.
/// With a certificate all of them use TLS.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<ServerCertificate>,
    router: Router,
    limits: ConnectionLimits,
    stop: ServerStop,
) {
    let open = gauge!("medhub_connections_open", "edge" => limits.edge);
    let permits = ConnectionPermits::new(limits.max_connections, limits.max_per_address, open);
    let (connections, streams) = (TaskTracker::new(), TaskTracker::new());
    if let Some(certificate) = certificate.clone() {
        connections.spawn(stop.clone().run_until_begun(certificate.follow_files()));
    }
    let builder = connection_builder(&limits);
    let server = Arc::new(ConnectionServer {
        builder,
        certificate,
        router,
        limits,
        permits,
        connections,
        streams,
        stop: stop.clone(),
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait_until_begun() => break,
        };
        match accepted {
            Ok((stream, peer)) => server.spawn_connection(stream, peer),
            Err(error) if is_single_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "accepting connections failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if let Err(error) = server.spawn_pending_connections(listener) {
        tracing::warn!(error = &error as &dyn std::error::Error, "serving the remaining accepted connections failed");
    }
    server.connections.close();
    server.connections.wait().await;
    stop.wait_for_sockets().await;
    // Only the connections of WebSockets, whose clients have been asked to close them.
    server.streams.close();
    if tokio::time::timeout(SOCKET_CLOSE_TIMEOUT, server.streams.wait()).await.is_err() {
        tracing::debug!(open = server.streams.len(), "clients have not closed their WebSockets");
    }
}

fn is_single_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

fn connection_builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // [`ConnectionMonitor`] enforces the timeouts between requests and within headers: hyper has one timeout for both.
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
    certificate: Option<ServerCertificate>,
    router: Router,
    limits: ConnectionLimits,
    permits: ConnectionPermits,
    /// The tasks of connections.
    connections: TaskTracker,
    /// The streams, which as `WebSocket`s outlive the tasks.
    streams: TaskTracker,
    stop: ServerStop,
}

impl ConnectionServer {
    /// Serves a connection in its own task, if there is a permit for it.
    fn spawn_connection(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let permit = self.permits.acquire(&ClientAddress::from_peer(peer.ip()));
        let refusal = permit.as_ref().map_or_else(|refusal| Some(*refusal), ConnectionPermit::exceeded_limit);
        if let Some(refusal) = refusal {
            let labels = [("edge", self.limits.edge), ("reason", refusal.name())];
            counter!("medhub_connections_refused_total", &labels).increment(1);
        }
        // Without a permit the connection is closed at once, which costs nothing.
        if let Ok(permit) = permit {
            self.connections.spawn(Arc::clone(self).serve_stream(stream, permit, peer));
        }
    }

    /// Serves what the kernel has accepted for a listener, and closes it: otherwise these connections would be reset.
    fn spawn_pending_connections(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        for _ in 0..MAX_PENDING_CONNECTIONS {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.spawn_connection(TcpStream::from_std(stream)?, peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_single_connection_error(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Serves a connection, after the handshake if there is TLS.
    async fn serve_stream(self: Arc<Self>, stream: TcpStream, permit: ConnectionPermit, peer: SocketAddr) {
        let (write_timeout, is_reserved) = (self.limits.write_timeout, permit.is_reserved());
        let tracked = self.streams.token();
        let Some(certificate) = &self.certificate else {
            let stream = MonitoredStream::new(stream, (permit, tracked), write_timeout);
            return Arc::clone(&self).serve_connection(stream, peer, is_reserved).await;
        };
        // A client may be as slow with the handshake as with the header of its first request.
        let (handshake_timeout, _) = self.request_timeouts(is_reserved);
        let handshake = tokio::time::timeout(handshake_timeout, certificate.acceptor().accept(stream));
        match self.stop.run_until_grace_ends(SHUTDOWN_GRACE, handshake).await {
            Some(Ok(Ok(stream))) => {
                let stream = MonitoredStream::new(stream, (permit, tracked), write_timeout);
                Arc::clone(&self).serve_connection(stream, peer, is_reserved).await;
            }
            Some(Ok(Err(error))) => tracing::debug!(error = &error as &dyn std::error::Error, "TLS handshake failed"),
            Some(Err(_elapsed)) => {
                self.count_timeout("handshake");
                tracing::debug!("TLS handshake timed out");
            }
            None => {}
        }
    }

    /// Serves the requests of a connection; a reserved connection serves a single request, and only for a report on the
    /// process.
    async fn serve_connection<S>(self: Arc<Self>, stream: MonitoredStream<S>, peer: SocketAddr, is_reserved: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let monitor = stream.monitor();
        let (server, requests) = (Arc::clone(&self), monitor.clone());
        let ending = CancellationToken::new();
        let last_request = ending.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (is_http2, has_body) = (request.version() == Version::HTTP_2, !request.body().is_end_stream());
            let (server, guard) = (Arc::clone(&server), requests.begin_request(has_body));
            if is_reserved || (is_http2 && server.stop.is_announced()) {
                // HTTP/2 has no header for this, and a client that sends more requests would keep the permit.
                last_request.cancel();
            }
            if !is_reserved && request.method() == Method::CONNECT {
                // A WebSocket over HTTP/2, whose end is not visible here; its pings detect a broken connection.
                requests.begin_unending_request();
            }
            async move {
                let mut response: Response<Body> = if is_reserved && !status_route::is_status_path(request.uri().path())
                {
                    too_many_connections_response()
                } else {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request.extensions_mut().insert(server.stop.clone());
                    server.router.clone().call(request).await?
                };
                if !is_http2 && server.stop.is_announced() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| ObservedBody::new(body, guard)))
            }
        });
        let mut connection = pin!(self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let (mut is_leaving, mut is_told, mut is_closing) = (false, false, false);
        let mut reserved_lifetime = pin!(tokio::time::sleep(RESERVED_LIFETIME));
        loop {
            tokio::select! {
                outcome = connection.as_mut() => {
                    if let Err(error) = outcome {
                        tracing::debug!(error, "connection failed");
                    }
                    return;
                }
                // HTTP/2 sends GOAWAY, and pings close the connection if the client does not answer. Over HTTP/1 this
                // would close a connection that waits for a request, which may be on its way.
                () = ending.cancelled(), if !is_told => {
                    is_told = true;
                    is_closing |= is_reserved;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.stop.wait_until_announced(), if !is_leaving => {
                    is_leaving = true;
                    if monitor.is_http2() {
                        ending.cancel();
                    }
                }
                () = self.stop.wait_until_begun(), if !is_closing => {
                    is_closing = true;
                    if monitor.is_http2() {
                        ending.cancel();
                    }
                }
                () = reserved_lifetime.as_mut(), if is_reserved => return,
                () = self.wait_for_timeout(&monitor, is_closing, is_reserved) => {
                    if is_closing || !monitor.is_http2() {
                        return;
                    }
                    is_closing = true;
                    ending.cancel();
                }
            }
        }
    }

    /// Returns when the connection has been without a request for too long.
    async fn wait_for_timeout(&self, monitor: &ConnectionMonitor, is_closing: bool, is_reserved: bool) {
        if is_closing {
            let grace = match (is_reserved, monitor.is_http2() && self.stop.has_begun()) {
                // It is shut down after its request, and the client still reads the response.
                (true, _) => RESERVED_TIMEOUT,
                (false, true) => HTTP2_SHUTDOWN_GRACE,
                (false, false) => SHUTDOWN_GRACE,
            };
            monitor.wait_until_quiet(grace).await;
        } else {
            let (header_timeout, idle_timeout) = self.request_timeouts(is_reserved);
            self.count_timeout(monitor.wait_for_timeout(header_timeout, idle_timeout).await.name());
        }
    }

    /// How long a connection may take for a header, and wait for the next one.
    fn request_timeouts(&self, is_reserved: bool) -> (Duration, Duration) {
        let ConnectionLimits { header_timeout, idle_timeout, .. } = self.limits;
        if is_reserved {
            (header_timeout.min(RESERVED_TIMEOUT), idle_timeout.min(RESERVED_TIMEOUT))
        } else {
            (header_timeout, idle_timeout)
        }
    }

    fn count_timeout(&self, reason: &'static str) {
        let labels = [("edge", self.limits.edge), ("reason", reason)];
        counter!("medhub_connections_timed_out_total", &labels).increment(1);
    }
}

/// The answer to a request over a connection beyond a limit; the connection is closed after it.
fn too_many_connections_response() -> Response<Body> {
    let reason = format!("too many connections are open, try again in {RETRY_AFTER_S} s");
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", reason).with_retry_after(RETRY_AFTER_S);
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
