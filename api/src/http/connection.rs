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
//! Metrics, by edge: `medhub_connections_open`, `medhub_connections_refused_total` by the limit (`total`, `address`), and
//! `medhub_connections_timed_out_total` by what did not come in time (`handshake`, `header`, `idle`).

mod connection_monitor;
mod connection_permits;
mod server_certificate;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Method, StatusCode, header},
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

pub use self::server_certificate::ServerCertificate;
use self::{
    connection_monitor::{ConnectionMonitor, MonitoredStream},
    connection_permits::{ConnectionPermit, ConnectionPermits},
};
use super::{client_address::ClientAddress, observed_body::ObservedBody, problem::Problem, status_route};
use crate::config::HttpConfig;

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

/// Seconds after which a client whose connection is beyond a limit may retry.
const RETRY_AFTER_S: u64 = 1;

/// How long a connection without a request may stay open when the process stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Limits of the number of connections and timeouts of each.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    max_connections: usize,
    /// `None` if all connections come from one proxy.
    max_per_address: Option<usize>,
    /// Name of the edge in metrics.
    edge: &'static str,
}

impl ConnectionLimits {
    /// Creates the limits of `config`. Behind a proxy all clients have the same address, so that there is no limit per
    /// address.
    pub fn new(config: &HttpConfig, is_behind_proxy: bool) -> Self {
        Self {
            header_timeout: Duration::from_millis(config.header_timeout_ms.max(1)),
            idle_timeout: Duration::from_millis(config.idle_timeout_ms.max(1)),
            write_timeout: Duration::from_millis(config.write_timeout_ms.max(1)),
            max_connections: config.max_connections,
            max_per_address: (!is_behind_proxy).then_some(config.max_connections_per_address),
            edge: "HTTP",
        }
    }

    /// The same limits for another edge, with its name in metrics.
    #[must_use]
    pub fn for_edge(self, edge: &'static str) -> Self {
        Self { edge, ..self }
    }
}

impl ConnectionLimits {
    /// Limits the connections to a quarter of the file descriptors: two edges use these limits, and half of the
    /// descriptors are for everything else.
    pub fn cap_by_open_files(&mut self, files: usize) {
        let max_connections = files / 4;
        if max_connections < self.max_connections {
            tracing::warn!(
                files,
                connections = max_connections,
                "the limit of open files (ulimit -n) allows fewer connections than http.max_connections"
            );
            self.max_connections = max_connections;
        }
    }
}

/// Serves connections until `stop` is cancelled, and then until no request is in progress.
/// With a certificate all of them use TLS.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<ServerCertificate>,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let edge = limits.edge;
    let open = gauge!("medhub_connections_open", "edge" => edge);
    let (tracker, permits) =
        (TaskTracker::new(), ConnectionPermits::new(limits.max_connections, limits.max_per_address, open));
    if let Some(certificate) = certificate.clone() {
        tracker.spawn(stop.clone().run_until_cancelled_owned(certificate.follow_files()));
    }
    let builder = connection_builder(&limits);
    let server = Arc::new(ConnectionServer { builder, certificate, router, limits, stop: stop.clone() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let permit = permits.acquire(&ClientAddress::from_peer(peer.ip()));
                let refusal = permit.as_ref().map_or_else(|refusal| Some(*refusal), ConnectionPermit::exceeded_limit);
                if let Some(refusal) = refusal {
                    let labels = [("edge", edge), ("reason", refusal.name())];
                    counter!("medhub_connections_refused_total", &labels).increment(1);
                }
                // Without a permit the connection is closed at once, which costs nothing.
                if let Ok(permit) = permit {
                    tracker.spawn(Arc::clone(&server).serve_stream(stream, permit, peer));
                }
            }
            Err(error) if is_single_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "accepting connections failed");
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
    stop: CancellationToken,
}

impl ConnectionServer {
    /// Serves a connection, after the handshake if there is TLS.
    async fn serve_stream(self: Arc<Self>, stream: TcpStream, permit: ConnectionPermit, peer: SocketAddr) {
        let (write_timeout, is_reserved) = (self.limits.write_timeout, permit.is_reserved());
        let Some(certificate) = &self.certificate else {
            let stream = MonitoredStream::new(stream, permit, write_timeout);
            return Arc::clone(&self).serve_connection(stream, peer, is_reserved).await;
        };
        // A client may be as slow with the handshake as with the header of its first request.
        let (handshake_timeout, _) = self.request_timeouts(is_reserved);
        let handshake = tokio::time::timeout(handshake_timeout, certificate.acceptor().accept(stream));
        match self.stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let stream = MonitoredStream::new(stream, permit, write_timeout);
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

    /// Serves the requests of a connection; over a reserved one a single request, if it is for a report on the process.
    async fn serve_connection<S>(self: Arc<Self>, stream: MonitoredStream<S>, peer: SocketAddr, is_reserved: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let monitor = stream.monitor();
        let (router, requests) = (self.router.clone(), monitor.clone());
        let ending = self.stop.child_token();
        let first_request = ending.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let has_body = !request.body().is_end_stream();
            let (mut router, guard) = (router.clone(), requests.begin_request(has_body));
            if is_reserved {
                // HTTP/2 has no header that says so, and who sends more requests would keep the permit.
                first_request.cancel();
            } else if request.method() == Method::CONNECT {
                // A WebSocket over HTTP/2, whose end is not visible here; its pings detect a broken connection.
                requests.begin_unending_request();
            }
            async move {
                let response: Response<Body> = if is_reserved && !status_route::is_status_path(request.uri().path()) {
                    too_many_connections_response()
                } else {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    router.call(request).await?
                };
                Ok::<_, Infallible>(response.map(|body| ObservedBody::new(body, guard)))
            }
        });
        let mut connection = pin!(self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let (mut is_shutting_down, mut reserved_lifetime) = (false, pin!(tokio::time::sleep(RESERVED_LIFETIME)));
        loop {
            tokio::select! {
                outcome = connection.as_mut() => {
                    if let Err(error) = outcome {
                        tracing::debug!(error, "connection failed");
                    }
                    return;
                }
                () = ending.cancelled(), if !is_shutting_down => {
                    is_shutting_down = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = reserved_lifetime.as_mut(), if is_reserved => return,
                () = self.wait_for_timeout(&monitor, is_shutting_down, is_reserved) => {
                    // HTTP/2 sends GOAWAY, and pings close the connection if the client does not answer.
                    if is_shutting_down || !monitor.is_http2() {
                        return;
                    }
                    is_shutting_down = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Returns when the connection has been without a request for too long.
    async fn wait_for_timeout(&self, monitor: &ConnectionMonitor, is_shutting_down: bool, is_reserved: bool) {
        if is_shutting_down {
            // A reserved connection is shut down after its request, and the client still reads the response.
            monitor.wait_until_quiet(if is_reserved { RESERVED_TIMEOUT } else { SHUTDOWN_GRACE }).await;
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
mod tests;
#[cfg(test)]
mod tls_tests;
