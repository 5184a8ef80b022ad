//! What a connection is doing: whether a request is under way, since when it waits for one, and whether it takes what is
//! written.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::connection_permits::ConnectionPermit;

/// What a client begins HTTP/2 with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest time between two looks at a connection, as a request may begin and end in between.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// How a connection stands.
struct ConnectionState {
    /// Requests that are not answered to the end.
    active_requests: usize,
    /// Since when none is.
    idle_since: Instant,
    /// Since when a header is being read, of which the end has not come.
    header_since: Option<Instant>,
    /// Bytes of the preface of HTTP/2 that have come; `None` where something else came.
    preface_bytes: Option<usize>,
    /// The last bytes that have come.
    last_bytes: [u8; 3],
    /// Whether a body belongs to the request that began last.
    has_body: bool,
}

impl ConnectionState {
    fn is_http2(&self) -> bool {
        self.preface_bytes == Some(HTTP2_PREFACE.len())
    }

    /// Whether a part of the next header came along with the request that began last. hyper keeps such bytes without
    /// telling, but a whole header ends with a blank line, and these do not. It is not known behind a body, which may
    /// end with any bytes.
    fn has_next_header_begun(&self) -> bool {
        let is_blank_line = matches!(self.last_bytes, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n']);
        !self.is_http2() && !self.has_body && !is_blank_line
    }
}

/// Tells how a connection stands. Clones tell of the same.
#[derive(Clone)]
pub(super) struct ConnectionMonitor(Arc<Mutex<ConnectionState>>);

impl ConnectionMonitor {
    fn new() -> Self {
        let now = Instant::now();
        // A client that has connected has something to ask: its first header is waited for as if it had begun.
        let standing = ConnectionState {
            active_requests: 0,
            idle_since: now,
            header_since: Some(now),
            preface_bytes: Some(0),
            last_bytes: [0; 3],
            has_body: false,
        };
        Self(Arc::new(Mutex::new(standing)))
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun, with a body or without; until what is returned is dropped, it is under way.
    pub(super) fn begin_request(&self, has_body: bool) -> RequestGuard {
        let mut standing = self.lock();
        standing.active_requests += 1;
        standing.has_body = has_body;
        standing.header_since = None;
        RequestGuard(self.clone())
    }

    /// A request has begun that goes on for as long as the connection does.
    pub(super) fn begin_unending_request(&self) {
        self.lock().active_requests += 1;
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.lock().is_http2()
    }

    /// Ends when no request is under way and the next one was waited for too long.
    pub(super) async fn wait_for_timeout(&self, header_timeout: Duration, idle_timeout: Duration) {
        loop {
            let now = Instant::now();
            let end = self.request_deadline(header_timeout, idle_timeout);
            if end.is_some_and(|end| end <= now) {
                return;
            }
            let look = now + CHECK_INTERVAL;
            sleep_until(end.map_or(look, |end| end.min(look))).await;
        }
    }

    /// Ends when no request has been under way for that long.
    pub(super) async fn wait_until_quiet(&self, time: Duration) {
        sleep(time).await;
        while self.lock().active_requests > 0 {
            sleep(time).await;
        }
    }

    /// Until when the next request may come; `None` while one is under way.
    fn request_deadline(&self, header_timeout: Duration, idle_timeout: Duration) -> Option<Instant> {
        let standing = self.lock();
        match standing.header_since {
            _ if standing.active_requests > 0 => None,
            Some(since) => Some(since + header_timeout),
            None => Some(standing.idle_since + idle_timeout),
        }
    }

    /// Bytes have come.
    fn record_received(&self, bytes: &[u8]) {
        let mut standing = self.lock();
        for byte in bytes.get(bytes.len().saturating_sub(standing.last_bytes.len())..).unwrap_or_default() {
            let [_, second, third] = standing.last_bytes;
            standing.last_bytes = [second, third, *byte];
        }
        if let Some(seen) = standing.preface_bytes.filter(|seen| *seen < HTTP2_PREFACE.len()) {
            let length = bytes.len().min(HTTP2_PREFACE.len() - seen);
            let is_preface = HTTP2_PREFACE.get(seen..seen + length) == bytes.get(..length);
            standing.preface_bytes = is_preface.then_some(seen + length);
            if standing.is_http2() {
                // From here on frames come whether anything is asked or not.
                (standing.header_since, standing.idle_since) = (None, Instant::now());
                return;
            }
        }
        if !standing.is_http2() && standing.active_requests == 0 && standing.header_since.is_none() {
            standing.header_since = Some(Instant::now());
        }
    }
}

/// A request that is not answered to the end.
pub(super) struct RequestGuard(ConnectionMonitor);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut standing = self.0.lock();
        let now = Instant::now();
        standing.active_requests = standing.active_requests.saturating_sub(1);
        standing.idle_since = now;
        if standing.active_requests == 0 && standing.has_next_header_begun() {
            standing.header_since = Some(now);
        }
    }
}

/// The body of an answer: with its end the request is no longer under way.
pub(super) struct ResponseBodyGuard {
    body: Body,
    _guard: RequestGuard,
}

impl ResponseBodyGuard {
    pub(super) fn new(body: Body, under_way: RequestGuard) -> Self {
        Self { body, _guard: under_way }
    }
}

impl hyper::body::Body for ResponseBodyGuard {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is watched; it holds its place until it is dropped, also as a WebSocket.
pub(super) struct MonitoredStream<S> {
    stream: S,
    monitor: ConnectionMonitor,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stall_timeout: Option<Pin<Box<Sleep>>>,
    _permit: ConnectionPermit,
}

impl<S> MonitoredStream<S> {
    pub(super) fn new(stream: S, place: ConnectionPermit, write_timeout: Duration) -> Self {
        Self { stream, monitor: ConnectionMonitor::new(), write_timeout, stall_timeout: None, _permit: place }
    }

    pub(super) fn monitor(&self) -> ConnectionMonitor {
        self.monitor.clone()
    }

    /// What became of a write: an error where the client has taken nothing for too long.
    fn check_write<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall_timeout = None;
            return outcome;
        }
        let timeout = self.write_timeout;
        let stalled = self.stall_timeout.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let come = buffer.filled().get(before..).unwrap_or_default();
        if !come.is_empty() {
            self.monitor.record_received(come);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MonitoredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.check_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.check_write(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.check_write(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn remaining_wait(watch: &ConnectionMonitor) -> Option<Duration> {
        let from = watch.lock().header_since;
        watch.request_deadline(HEADER, IDLE).map(|end| end.duration_since(from.unwrap_or(watch.lock().idle_since)))
    }

    #[tokio::test]
    async fn a_header_is_waited_for_shortly_and_the_next_request_longer() {
        let watch = ConnectionMonitor::new();
        let first = watch.request_deadline(HEADER, IDLE);
        assert_eq!(remaining_wait(&watch), Some(HEADER));
        watch.record_received(b"GET / HT");
        watch.record_received(b"TP/1.1\r\n");
        assert_eq!(watch.request_deadline(HEADER, IDLE), first, "bytes that trickle change nothing");
        let request = watch.begin_request(true);
        watch.record_received(b"a body");
        assert_eq!(remaining_wait(&watch), None);
        drop(request);
        assert_eq!(remaining_wait(&watch), Some(IDLE));
        watch.record_received(b"G");
        assert_eq!(remaining_wait(&watch), Some(HEADER));
    }

    #[tokio::test]
    async fn a_header_that_came_with_the_request_before_is_waited_for_shortly() {
        for (first, second, wait) in [
            ("GET / HTTP/1.1\r\n\r\n", "", IDLE),
            ("GET / HTTP/1.1\r\n\r", "\n", IDLE),
            ("GET / HTTP/1.1\n\n", "", IDLE),
            ("GET / HTTP/1.1\r\n\r\nGET / HT", "", HEADER),
            ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n", HEADER),
        ] {
            let watch = ConnectionMonitor::new();
            watch.record_received(first.as_bytes());
            watch.record_received(second.as_bytes());
            drop(watch.begin_request(false));
            assert_eq!(remaining_wait(&watch), Some(wait), "{first:?} {second:?}");
        }
        let watch = ConnectionMonitor::new();
        watch.record_received(b"GET / HTTP/1.1\r\n\r\n");
        let request = watch.begin_request(false);
        watch.record_received(b"G");
        assert_eq!(remaining_wait(&watch), None);
        drop(request);
        assert_eq!(remaining_wait(&watch), Some(HEADER), "it came while the request was under way");
    }

    #[tokio::test]
    async fn http2_is_idle_without_requests_whatever_frames_come() {
        let watch = ConnectionMonitor::new();
        watch.record_received(&HTTP2_PREFACE[..10]);
        assert!(!watch.is_http2());
        assert_eq!(remaining_wait(&watch), Some(HEADER));
        watch.record_received(&HTTP2_PREFACE[10..]);
        assert!(watch.is_http2());
        watch.record_received(b"frames");
        assert_eq!(remaining_wait(&watch), Some(IDLE));
        drop(watch.begin_request(false));
        assert_eq!(remaining_wait(&watch), Some(IDLE));
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go() {
        use tokio::io::AsyncWriteExt as _;

        let (near, _far) = tokio::io::duplex(16);
        let place = super::super::connection_permits::ConnectionPermits::new(1, None)
            .acquire(&crate::http::client_address::ClientAddress::from_text("192.0.2.1"));
        let mut stream = MonitoredStream::new(near, place.unwrap(), Duration::from_millis(20));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
