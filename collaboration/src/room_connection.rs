//! The two sides of a membership in a room: the connection of the editor, and the member as the room sees it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use domain::value::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use yrs::StateVector;

use crate::{error::RefusedUpdate, room::RoomCommand};

/// Capacity of the queue of one editor; an editor whose queue is full is disconnected, and reconnects.
const EVENT_QUEUE_LENGTH: usize = 256;

/// Maximum size of the messages of all editors that wait for the room, in KiB; beyond it their senders wait.
const MAX_QUEUED_KIB: u32 = 16 * 1024;

/// How many bytes of messages may wait for a room. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct MessageQuota(Arc<Semaphore>);

impl Default for MessageQuota {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_QUEUED_KIB as usize)))
    }
}

impl MessageQuota {
    /// Waits until a message of this many bytes may be queued; first come, first served. A message over the quota waits
    /// until no other is queued.
    async fn acquire(&self, bytes: usize) -> MessagePermit {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(MAX_QUEUED_KIB).min(MAX_QUEUED_KIB);
        // The semaphore is never closed; if it were, the queue would be bounded by its length only.
        Arc::clone(&self.0).acquire_many_owned(kib).await.ok()
    }
}

/// The right to queue a message, released on drop.
pub(crate) type MessagePermit = Option<OwnedSemaphorePermit>;

/// An event that a room sends to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEvent {
    /// A message for the editor.
    Message(Bytes),
    /// The connection has ended; no further event follows.
    Disconnected(DisconnectReason),
}

/// Why a member is disconnected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// A message of the member was refused.
    #[error(transparent)]
    Refused(#[from] RefusedUpdate),
    /// The member did not receive its messages fast enough.
    #[error("messages were not received in time")]
    TooSlow,
    /// A store is unavailable or the service stops: the client should reconnect.
    #[error("try again in a moment")]
    TryAgainLater,
}

/// The room's reply to a member that has joined.
pub(crate) struct JoinReply {
    /// Number of the member in the room.
    pub(crate) member: u64,
    /// Receives the room's events.
    pub(crate) events: mpsc::Receiver<RoomEvent>,
    /// Bytes of messages in `events`.
    pub(crate) queued_bytes: Arc<AtomicUsize>,
    /// Limits the size of the waiting messages.
    pub(crate) quota: MessageQuota,
}

/// A connection to a room. Dropping it leaves the room.
pub struct RoomConnection {
    member: u64,
    room: mpsc::Sender<RoomCommand>,
    events: mpsc::Receiver<RoomEvent>,
    queued_bytes: Arc<AtomicUsize>,
    quota: MessageQuota,
}

impl RoomConnection {
    pub(crate) fn new(joined: JoinReply, room: mpsc::Sender<RoomCommand>) -> Self {
        let JoinReply { member, events, queued_bytes, quota } = joined;
        Self { member, room, events, queued_bytes, quota }
    }

    /// Sends a message of the y-websocket protocol to the room; waits while the room's queue is full, by
    /// the number of its messages or their bytes.
    ///
    /// # Errors
    /// [`DisconnectReason::TryAgainLater`] when the room is closed.
    pub async fn send_message(&self, bytes: Vec<u8>, may_write: bool) -> Result<(), DisconnectReason> {
        let permit = self.quota.acquire(bytes.len()).await;
        let command = RoomCommand::Message { member: self.member, bytes, may_write, _permit: permit };
        self.room.send(command).await.map_err(|_| DisconnectReason::TryAgainLater)
    }

    /// Waits for the next event; `None` when the room is closed.
    pub async fn next_event(&mut self) -> Option<RoomEvent> {
        let event = self.events.recv().await;
        if let Some(RoomEvent::Message(message)) = &event {
            self.queued_bytes.fetch_sub(message.len(), Ordering::Relaxed);
        }
        event
    }
}

impl Drop for RoomConnection {
    fn drop(&mut self) {
        let command = RoomCommand::Leave { member: self.member };
        if let Err(mpsc::error::TrySendError::Full(command)) = self.room.try_send(command) {
            let room = self.room.clone();
            // `drop` cannot wait until a full queue has capacity.
            tokio::spawn(async move { room.send(command).await });
        }
    }
}

/// A member as the room sees it.
pub(crate) struct RoomMember {
    pub(crate) user_id: UserId,
    events: mpsc::Sender<RoomEvent>,
    /// Bytes of messages that the member has not received.
    queued_bytes: Arc<AtomicUsize>,
    /// Number of polls since the last message to the member.
    pub(crate) idle_polls: u32,
    /// State of the room when the member was last asked for missing updates.
    pub(crate) requested_state: Option<StateVector>,
}

impl RoomMember {
    /// Creates the member with the number `member`, and the reply for its connection.
    pub(crate) fn new(user_id: UserId, member: u64, quota: MessageQuota) -> (Self, JoinReply) {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE_LENGTH);
        let queued_bytes = Arc::default();
        let joined = JoinReply { member, events: receiver, queued_bytes: Arc::clone(&queued_bytes), quota };
        (Self { user_id, events, queued_bytes, idle_polls: 0, requested_state: None }, joined)
    }

    /// Queues a message for the member. Returns `false` when too many messages or bytes are queued, or the connection
    /// is closed.
    pub(crate) fn try_send(&mut self, message: Bytes, max_queued_bytes: usize) -> bool {
        self.idle_polls = 0;
        let length = message.len();
        if self.queued_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > max_queued_bytes {
            return false;
        }
        self.events.try_send(RoomEvent::Message(message)).is_ok()
    }

    /// Queues the last event, unless the queue is full.
    pub(crate) fn disconnect(&self, reason: DisconnectReason) {
        let _ = self.events.try_send(RoomEvent::Disconnected(reason));
    }
}
