//! Heartbeats, which distinguish a client that only listens from one that has disconnected.

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

/// Maximum number of unanswered pings.
const MAX_UNANSWERED_PINGS: u32 = 3;

/// Capacity of the queue to the writer; senders wait while it is full.
pub(in crate::routes) const MAX_PENDING_MESSAGES: usize = 16;

/// Time limit for writing the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for the client to close the connection after a close frame.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns how long a client that is pinged `every` interval may be silent.
pub(in crate::routes) fn silence_limit(every: Duration) -> Duration {
    every.saturating_mul(MAX_UNANSWERED_PINGS)
}

/// Returns the messages from the client, including pongs. Ends when nothing arrives for `silence`.
pub(in crate::routes) fn read_messages(
    client: SplitStream<WebSocket>,
    silence: Duration,
) -> impl Stream<Item = Result<Message, Error>> {
    // Without `Box::pin` the stream could not be moved while it is read.
    Box::pin(stream::unfold(client, move |mut client| async move {
        let message = timeout(silence, client.next()).await.ok().flatten()?;
        Some((message, client))
    }))
}

/// Reads and drops what the client sends after a close frame, until it closes the connection: closing with unread data
/// would reset the connection, and the reason would be lost.
pub(in crate::routes) async fn drain(mut incoming: impl Stream<Item = Result<Message, Error>> + Unpin) {
    let drained = async { while let Some(Ok(_)) = incoming.next().await {} };
    // A client that sends on and on is disconnected.
    let _ = timeout(DRAIN_TIMEOUT, drained).await;
}

/// Starts a task that writes queued messages, and a ping `every` interval. Senders wait while `capacity` messages are
/// queued.
pub(in crate::routes) fn spawn_writer(
    client: SplitSink<WebSocket, Message>,
    every: Duration,
    capacity: usize,
) -> (mpsc::Sender<Message>, SocketWriter) {
    let (sender, receiver) = mpsc::channel(capacity);
    (sender, SocketWriter(tokio::spawn(forward_messages(receiver, client, every))))
}

pub(in crate::routes) struct SocketWriter(JoinHandle<()>);

impl SocketWriter {
    /// Waits for a bounded time until all queued messages are written. All senders must have been dropped.
    pub(in crate::routes) async fn finish(mut self) {
        if timeout(CLOSE_TIMEOUT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn forward_messages(
    mut receiver: mpsc::Receiver<Message>,
    mut client: SplitSink<WebSocket, Message>,
    every: Duration,
) {
    let mut pings = interval(every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = receiver.next() => message,
            _ = pings.tick() => Some(Message::Ping(Bytes::new())),
        };
        let Some(message) = message else { break };
        // Without a timeout, a client that does not read would hold this connection forever.
        if !matches!(timeout(silence_limit(every), client.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    // Fails if the client has disconnected.
    let _ = client.close().await;
}
