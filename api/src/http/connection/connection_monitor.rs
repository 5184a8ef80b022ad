//! Monitors a connection: whether a request is in progress, since when the connection waits for one, and whether the
//! client reads what is written.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection_permits::ConnectionPermit;
use crate::http::observed_body::FrameObserver;

/// The preface of a client's HTTP/2 connection (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Maximum time between two checks of a connection's deadline, because a request may begin and end in between.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

struct ConnectionState {
    /// Requests whose responses are not complete.
    active_requests: usize,
    /// Since when no request is active.
    idle_since: Instant,
    /// Since when an incomplete header is being read.
    header_since: Option<Instant>,
    /// Received bytes of the HTTP/2 preface; `None` if other bytes were received.
    preface_bytes: Option<usize>,
    /// The last received bytes.
    last_bytes: [u8; 3],
    /// Whether the request that began last has a body.
    has_body: bool,
    /// Whether bytes wait for the client to read others.
    is_write_pending: bool,
}

impl ConnectionState {
    fn is_http2(&self) -> bool {
        self.preface_bytes == Some(HTTP2_PREFACE.len())
    }

    /// Whether a part of the next header was received together with the request that began last. hyper buffers such
    /// bytes internally, but a complete header ends with a blank line, and these do not. After a body it is not known,
    /// because a body may end with any bytes.
    fn has_next_header_begun(&self) -> bool {
        let is_blank_line = matches!(self.last_bytes, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n']);
        !self.is_http2() && !self.has_body && !is_blank_line
    }
}

/// What a connection without a request did not do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissedDeadline {
    /// It did not complete a header.
    Header,
    /// It did not begin the next request.
    Idle,
}

impl MissedDeadline {
    /// Name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Idle => "idle",
        }
    }
}

/// Monitors one connection. Clones monitor the same one.
#[derive(Clone)]
pub(super) struct ConnectionMonitor(Arc<Mutex<ConnectionState>>);

impl ConnectionMonitor {
    fn new() -> Self {
        let now = Instant::now();
        // A client that has connected is about to send a request: the timeout of its first header begins now.
        let state = ConnectionState {
            active_requests: 0,
            idle_since: now,
            header_since: Some(now),
            preface_bytes: Some(0),
            last_bytes: [0; 3],
            has_body: false,
            is_write_pending: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the begin of a request. It is in progress until the returned guard is dropped.
    pub(super) fn begin_request(&self, has_body: bool) -> RequestGuard {
        let mut state = self.lock();
        state.active_requests += 1;
        state.has_body = has_body;
        state.header_since = None;
        RequestGuard(self.clone())
    }

    /// Records the begin of a request that lasts as long as the connection.
    pub(super) fn begin_unending_request(&self) {
        self.lock().active_requests += 1;
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.lock().is_http2()
    }

    /// Returns when no request is in progress and the timeout of the next one has passed.
    pub(super) async fn wait_for_timeout(&self, header_timeout: Duration, idle_timeout: Duration) -> MissedDeadline {
        loop {
            let now = Instant::now();
            let deadline = self.request_deadline(header_timeout, idle_timeout);
            if deadline.is_some_and(|deadline| deadline <= now) {
                let is_in_header = self.lock().header_since.is_some();
                return if is_in_header { MissedDeadline::Header } else { MissedDeadline::Idle };
            }
            let next_check = now + CHECK_INTERVAL;
            sleep_until(deadline.map_or(next_check, |deadline| deadline.min(next_check))).await;
        }
    }

    /// Returns when no request has been in progress for `time`, nor begun to arrive, and the client has read every answer.
    pub(super) async fn wait_until_quiet(&self, time: Duration) {
        let mut remaining = Some(time);
        while let Some(pause) = remaining {
            sleep(pause).await;
            remaining = self.remaining_until_quiet(time);
        }
    }

    /// How long to wait until the next check whether the connection is quiet; `None` if it is.
    fn remaining_until_quiet(&self, time: Duration) -> Option<Duration> {
        let state = self.lock();
        if state.active_requests > 0 || state.is_write_pending {
            return Some(time);
        }
        let quiet_since = state.header_since.map_or(state.idle_since, |header| header.max(state.idle_since));
        time.checked_sub(quiet_since.elapsed()).filter(|remaining| !remaining.is_zero())
    }

    /// Returns the deadline of the next request; `None` while one is in progress.
    fn request_deadline(&self, header_timeout: Duration, idle_timeout: Duration) -> Option<Instant> {
        let state = self.lock();
        match state.header_since {
            _ if state.active_requests > 0 || state.is_write_pending => None,
            Some(since) => Some(since + header_timeout),
            None => Some(state.idle_since + idle_timeout),
        }
    }

    /// Records received bytes.
    fn record_received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        for byte in bytes.get(bytes.len().saturating_sub(state.last_bytes.len())..).unwrap_or_default() {
            let [_, second, third] = state.last_bytes;
            state.last_bytes = [second, third, *byte];
        }
        if let Some(received) = state.preface_bytes.filter(|received| *received < HTTP2_PREFACE.len()) {
            let length = bytes.len().min(HTTP2_PREFACE.len() - received);
            let is_preface = HTTP2_PREFACE.get(received..received + length) == bytes.get(..length);
            state.preface_bytes = is_preface.then_some(received + length);
            if state.is_http2() {
                // From here on frames are received also without a request.
                (state.header_since, state.idle_since) = (None, Instant::now());
                return;
            }
        }
        if !state.is_http2() && state.active_requests == 0 && state.header_since.is_none() {
            state.header_since = Some(Instant::now());
        }
    }
}

/// A request whose response is not complete; dropping it ends the request.
pub(super) struct RequestGuard(ConnectionMonitor);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let now = Instant::now();
        state.active_requests = state.active_requests.saturating_sub(1);
        state.idle_since = now;
        if state.active_requests == 0 && state.has_next_header_begun() {
            state.header_since = Some(now);
        }
    }
}

/// The request ends when the body of its response is dropped.
impl FrameObserver for RequestGuard {}

/// A monitored connection; it holds its permit and is tracked until it is dropped, also as a WebSocket.
pub(super) struct MonitoredStream<S> {
    stream: S,
    monitor: ConnectionMonitor,
    write_timeout: Duration,
    /// Runs while the client reads nothing.
    stall_timeout: Option<Pin<Box<Sleep>>>,
    _held: (ConnectionPermit, TaskTrackerToken),
}

impl<S> MonitoredStream<S> {
    pub(super) fn new(stream: S, held: (ConnectionPermit, TaskTrackerToken), write_timeout: Duration) -> Self {
        Self { stream, monitor: ConnectionMonitor::new(), write_timeout, stall_timeout: None, _held: held }
    }

    pub(super) fn monitor(&self) -> ConnectionMonitor {
        self.monitor.clone()
    }

    /// Returns the outcome of a write, or an error if the client has read nothing for too long.
    fn check_write<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stall_timeout.take().is_some() {
                self.monitor.lock().is_write_pending = false;
            }
            return outcome;
        }
        let (timeout, monitor) = (self.write_timeout, &self.monitor);
        let stalled = self.stall_timeout.get_or_insert_with(|| {
            monitor.lock().is_write_pending = true;
            Box::pin(sleep(timeout))
        });
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
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
        let received = buffer.filled().get(before..).unwrap_or_default();
        if !received.is_empty() {
            self.monitor.record_received(received);
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

    fn remaining_wait(monitor: &ConnectionMonitor) -> Option<Duration> {
        let from = monitor.lock().header_since;
        monitor
            .request_deadline(HEADER, IDLE)
            .map(|deadline| deadline.duration_since(from.unwrap_or(monitor.lock().idle_since)))
    }

    #[tokio::test]
    async fn an_incomplete_header_has_a_shorter_timeout_than_the_next_request() {
        let monitor = ConnectionMonitor::new();
        let first = monitor.request_deadline(HEADER, IDLE);
        assert_eq!(remaining_wait(&monitor), Some(HEADER));
        monitor.record_received(b"GET / HT");
        monitor.record_received(b"TP/1.1\r\n");
        assert_eq!(
            monitor.request_deadline(HEADER, IDLE),
            first,
            "further bytes of the header do not extend the deadline"
        );
        let request = monitor.begin_request(true);
        monitor.record_received(b"a body");
        assert_eq!(remaining_wait(&monitor), None);
        drop(request);
        assert_eq!(remaining_wait(&monitor), Some(IDLE));
        monitor.record_received(b"G");
        assert_eq!(remaining_wait(&monitor), Some(HEADER));
    }

    #[tokio::test]
    async fn a_header_begun_with_the_previous_request_has_the_shorter_timeout() {
        for (first, second, wait) in [
            ("GET / HTTP/1.1\r\n\r\n", "", IDLE),
            ("GET / HTTP/1.1\r\n\r", "\n", IDLE),
            ("GET / HTTP/1.1\n\n", "", IDLE),
            ("GET / HTTP/1.1\r\n\r\nGET / HT", "", HEADER),
            ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n", HEADER),
        ] {
            let monitor = ConnectionMonitor::new();
            monitor.record_received(first.as_bytes());
            monitor.record_received(second.as_bytes());
            drop(monitor.begin_request(false));
            assert_eq!(remaining_wait(&monitor), Some(wait), "{first:?} {second:?}");
        }
        let monitor = ConnectionMonitor::new();
        monitor.record_received(b"GET / HTTP/1.1\r\n\r\n");
        let request = monitor.begin_request(false);
        monitor.record_received(b"G");
        assert_eq!(remaining_wait(&monitor), None);
        drop(request);
        assert_eq!(remaining_wait(&monitor), Some(HEADER), "it was received while the request was in progress");
    }

    #[tokio::test]
    async fn http2_is_idle_without_requests_also_when_frames_arrive() {
        let monitor = ConnectionMonitor::new();
        monitor.record_received(&HTTP2_PREFACE[..10]);
        assert!(!monitor.is_http2());
        assert_eq!(remaining_wait(&monitor), Some(HEADER));
        monitor.record_received(&HTTP2_PREFACE[10..]);
        assert!(monitor.is_http2());
        monitor.record_received(b"frames");
        assert_eq!(remaining_wait(&monitor), Some(IDLE));
        drop(monitor.begin_request(false));
        assert_eq!(remaining_wait(&monitor), Some(IDLE));
    }

    #[tokio::test]
    async fn a_write_fails_when_the_client_reads_nothing() {
        use tokio::io::AsyncWriteExt as _;

        let (near, _far) = tokio::io::duplex(16);
        let permit = super::super::connection_permits::ConnectionPermits::new(1, None, metrics::Gauge::noop())
            .acquire(&crate::http::client_address::ClientAddress::from_text("192.0.2.1"));
        let tracked = tokio_util::task::TaskTracker::new().token();
        let mut stream = MonitoredStream::new(near, (permit.unwrap(), tracked), Duration::from_millis(20));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
