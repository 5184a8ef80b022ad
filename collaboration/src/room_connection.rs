//! The two sides of a membership in a room: the connection of the editor, and the member as the room sees it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use domain::value::UserId;
use tokio::sync::mpsc;
use yrs::StateVector;

use crate::{error::RefusedUpdate, room::RoomCommand};

/// Capacity of the queue of one editor; an editor whose queue is full is disconnected, and reconnects.
const EVENT_QUEUE_LENGTH: usize = 256;

/// An event that a room sends to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEvent {
    /// A message for the editor.
    Message(Vec<u8>),
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
}

/// A connection to a room. Dropping it leaves the room.
pub struct RoomConnection {
    member: u64,
    room: mpsc::Sender<RoomCommand>,
    events: mpsc::Receiver<RoomEvent>,
    queued_bytes: Arc<AtomicUsize>,
}

impl RoomConnection {
    pub(crate) fn new(joined: JoinReply, room: mpsc::Sender<RoomCommand>) -> Self {
        Self { member: joined.member, room, events: joined.events, queued_bytes: joined.queued_bytes }
    }

    /// Sends a message of the y-websocket protocol to the room; waits while the room's queue is full.
    ///
    /// # Errors
    /// [`DisconnectReason::TryAgainLater`] when the room is closed.
    pub async fn send_message(&self, bytes: Vec<u8>, may_write: bool) -> Result<(), DisconnectReason> {
        let command = RoomCommand::Message { member: self.member, bytes, may_write };
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
    pub(crate) fn new(user_id: UserId, member: u64) -> (Self, JoinReply) {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE_LENGTH);
        let queued_bytes = Arc::default();
        let joined = JoinReply { member, events: receiver, queued_bytes: Arc::clone(&queued_bytes) };
        (Self { user_id, events, queued_bytes, idle_polls: 0, requested_state: None }, joined)
    }

    /// Queues a message for the member. Returns `false` when too many messages or bytes are queued, or the connection
    /// is closed.
    pub(crate) fn try_send(&mut self, message: Vec<u8>, max_queued_bytes: usize) -> bool {
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
