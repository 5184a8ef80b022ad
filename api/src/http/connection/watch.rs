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

use super::place::ConnectionPlace;

/// What a client begins HTTP/2 with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest time between two looks at a connection, as a request may begin and end in between.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How a connection stands.
struct ConnectionState {
    /// Requests that are not answered to the end.
    under_way: usize,
    /// Since when none is.
    quiet_since: Instant,
    /// Since when a header is being read, of which the end has not come.
    header_since: Option<Instant>,
    /// Bytes of the preface of HTTP/2 that have come; `None` where something else came.
    preface: Option<usize>,
}

/// Tells how a connection stands. Clones tell of the same.
#[derive(Clone)]
pub(super) struct ConnectionWatch(Arc<Mutex<ConnectionState>>);

impl ConnectionWatch {
    fn new() -> Self {
        let now = Instant::now();
        // A client that has connected has something to ask: its first header is waited for as if it had begun.
        let standing = ConnectionState { under_way: 0, quiet_since: now, header_since: Some(now), preface: Some(0) };
        Self(Arc::new(Mutex::new(standing)))
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun; until what is returned is dropped, it is under way.
    pub(super) fn begin(&self) -> UnderWay {
        let mut standing = self.lock();
        standing.under_way += 1;
        standing.header_since = None;
        UnderWay(self.clone())
    }

    /// A request has begun that goes on for as long as the connection does.
    pub(super) fn keep(&self) {
        self.lock().under_way += 1;
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.lock().preface == Some(PREFACE.len())
    }

    /// Ends when no request is under way and the next one was waited for too long.
    pub(super) async fn timed_out(&self, header_timeout: Duration, idle_timeout: Duration) {
        loop {
            let now = Instant::now();
            let end = self.end(header_timeout, idle_timeout);
            if end.is_some_and(|end| end <= now) {
                return;
            }
            let look = now + LOOK_EVERY;
            sleep_until(end.map_or(look, |end| end.min(look))).await;
        }
    }

    /// Ends when no request has been under way for that long.
    pub(super) async fn quiet_for(&self, time: Duration) {
        sleep(time).await;
        while self.lock().under_way > 0 {
            sleep(time).await;
        }
    }

    /// Until when the next request may come; `None` while one is under way.
    fn end(&self, header_timeout: Duration, idle_timeout: Duration) -> Option<Instant> {
        let standing = self.lock();
        match standing.header_since {
            _ if standing.under_way > 0 => None,
            Some(since) => Some(since + header_timeout),
            None => Some(standing.quiet_since + idle_timeout),
        }
    }

    /// Bytes have come.
    fn came(&self, bytes: &[u8]) {
        let mut standing = self.lock();
        if let Some(seen) = standing.preface.filter(|seen| *seen < PREFACE.len()) {
            let length = bytes.len().min(PREFACE.len() - seen);
            let is_preface = PREFACE.get(seen..seen + length) == bytes.get(..length);
            standing.preface = is_preface.then_some(seen + length);
            if standing.preface == Some(PREFACE.len()) {
                // From here on frames come whether anything is asked or not.
                (standing.header_since, standing.quiet_since) = (None, Instant::now());
                return;
            }
        }
        let is_http2 = standing.preface == Some(PREFACE.len());
        if !is_http2 && standing.under_way == 0 && standing.header_since.is_none() {
            standing.header_since = Some(Instant::now());
        }
    }
}

/// A request that is not answered to the end.
pub(super) struct UnderWay(ConnectionWatch);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut standing = self.0.lock();
        standing.under_way = standing.under_way.saturating_sub(1);
        standing.quiet_since = Instant::now();
    }
}

/// The body of an answer: with its end the request is no longer under way.
pub(super) struct AnsweredBody {
    body: Body,
    _under_way: UnderWay,
}

impl AnsweredBody {
    pub(super) fn new(body: Body, under_way: UnderWay) -> Self {
        Self { body, _under_way: under_way }
    }
}

impl hyper::body::Body for AnsweredBody {
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
pub(super) struct WatchedStream<S> {
    stream: S,
    watch: ConnectionWatch,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: ConnectionPlace,
}

impl<S> WatchedStream<S> {
    pub(super) fn new(stream: S, place: ConnectionPlace, write_timeout: Duration) -> Self {
        Self { stream, watch: ConnectionWatch::new(), write_timeout, stalled: None, _place: place }
    }

    pub(super) fn watch(&self) -> ConnectionWatch {
        self.watch.clone()
    }

    /// What became of a write: an error where the client has taken nothing for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let come = buffer.filled().get(before..).unwrap_or_default();
        if !come.is_empty() {
            self.watch.came(come);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn wait(watch: &ConnectionWatch) -> Option<Duration> {
        let from = watch.lock().header_since;
        watch.end(HEADER, IDLE).map(|end| end.duration_since(from.unwrap_or(watch.lock().quiet_since)))
    }

    #[tokio::test]
    async fn a_header_is_waited_for_shortly_and_the_next_request_longer() {
        let watch = ConnectionWatch::new();
        let first = watch.end(HEADER, IDLE);
        assert_eq!(wait(&watch), Some(HEADER));
        watch.came(b"GET / HT");
        watch.came(b"TP/1.1\r\n");
        assert_eq!(watch.end(HEADER, IDLE), first, "bytes that trickle change nothing");
        let request = watch.begin();
        watch.came(b"a body");
        assert_eq!(wait(&watch), None);
        drop(request);
        assert_eq!(wait(&watch), Some(IDLE));
        watch.came(b"G");
        assert_eq!(wait(&watch), Some(HEADER));
    }

    #[tokio::test]
    async fn http2_is_idle_without_requests_whatever_frames_come() {
        let watch = ConnectionWatch::new();
        watch.came(&PREFACE[..10]);
        assert!(!watch.is_http2());
        assert_eq!(wait(&watch), Some(HEADER));
        watch.came(&PREFACE[10..]);
        assert!(watch.is_http2());
        watch.came(b"frames");
        assert_eq!(wait(&watch), Some(IDLE));
    }

    #[tokio::test]
    async fn who_takes_nothing_is_let_go() {
        use tokio::io::AsyncWriteExt as _;

        let (near, _far) = tokio::io::duplex(16);
        let place =
            super::super::place::ConnectionPlaces::new(1, None).take(&crate::http::address::Address::of("192.0.2.1"));
        let mut stream = WatchedStream::new(near, place.unwrap(), Duration::from_millis(20));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
