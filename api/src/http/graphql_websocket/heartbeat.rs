//! Tells a client that only listens from one that is gone.

use std::time::Duration;

use axum::{
    Error,
    body::Bytes,
    extract::ws::{Message, WebSocket},
};
use futures::{
    SinkExt, Stream, StreamExt,
    channel::mpsc,
    stream::{self, SplitSink, SplitStream},
};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

/// Pings that may stay without an answer.
const MAX_UNANSWERED_PINGS: u32 = 3;

/// Messages on their way to the writer; those who make them wait for it beyond that.
pub(in crate::http) const MAX_PENDING_MESSAGES: usize = 16;

/// How long the last words may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing may come from a client that is pinged `every` so often.
pub(in crate::http) fn silence_limit(every: Duration) -> Duration {
    every.saturating_mul(MAX_UNANSWERED_PINGS)
}

/// What the client sends, the answers to pings included. Ends when nothing comes for the time of `silence`.
pub(in crate::http) fn read_messages(
    client: SplitStream<WebSocket>,
    silence: Duration,
) -> impl Stream<Item = Result<Message, Error>> {
    // Without `Box::pin` the stream could not be moved while it is read.
    Box::pin(stream::unfold(client, move |mut client| async move {
        let message = timeout(silence, client.next()).await.ok().flatten()?;
        Some((message, client))
    }))
}

/// Writes what is given to it, and a ping `every` so often. Whoever makes messages waits while more than `under_way` are.
pub(in crate::http) fn spawn_writer(
    client: SplitSink<WebSocket, Message>,
    every: Duration,
    under_way: usize,
) -> (mpsc::Sender<Message>, SocketWriter) {
    let (give, taken) = mpsc::channel(under_way);
    (give, SocketWriter(tokio::spawn(forward_messages(taken, client, every))))
}

/// The task that writes to one client.
pub(in crate::http) struct SocketWriter(JoinHandle<()>);

impl SocketWriter {
    /// Waits until everything given is written, for a bounded time. The senders have to be gone.
    pub(in crate::http) async fn finish(mut self) {
        if timeout(CLOSE_TIMEOUT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn forward_messages(
    mut taken: mpsc::Receiver<Message>,
    mut client: SplitSink<WebSocket, Message>,
    every: Duration,
) {
    let mut pings = interval(every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = taken.next() => message,
            _ = pings.tick() => Some(Message::Ping(Bytes::new())),
        };
        let Some(message) = message else { break };
        // A client that takes nothing would keep this connection for ever.
        if !matches!(timeout(silence_limit(every), client.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    // A client that is gone already cannot be told.
    let _ = client.close().await;
}
