//! A place in a room: on the one side who took it, on the other what the room tells them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use domain::value::UserId;
use tokio::sync::mpsc;
use yrs::StateVector;

use crate::{error::RefusedUpdate, room::RoomCommand};

/// Messages on their way to one editor; one that takes none of them any more is let go, and comes back.
const EVENT_QUEUE_LENGTH: usize = 256;

/// What somebody in a room is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomEvent {
    /// A message for the editor.
    Message(Vec<u8>),
    /// The last: they are out.
    Disconnected(DisconnectReason),
}

/// Why somebody is let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// For what they sent.
    #[error(transparent)]
    Refused(#[from] RefusedUpdate),
    /// They took nothing any more.
    #[error("messages were not taken in time")]
    TooSlow,
    /// A store is away, or the service stops: they may come back.
    #[error("come back in a moment")]
    TryAgainLater,
}

/// A place that was taken.
pub(crate) struct JoinReply {
    /// Their number in the room.
    pub(crate) member: u64,
    /// What they are told.
    pub(crate) events: mpsc::Receiver<RoomEvent>,
    /// Bytes of it that they have not taken yet.
    pub(crate) queued_bytes: Arc<AtomicUsize>,
}

/// Somebody's place in a room. Dropping it leaves the room.
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

    /// Says something to the room, which takes it in turn.
    ///
    /// # Errors
    /// [`DisconnectReason::TryAgainLater`] when the room is closed.
    pub async fn send_message(&self, bytes: Vec<u8>, may_write: bool) -> Result<(), DisconnectReason> {
        let says = RoomCommand::Message { member: self.member, bytes, may_write };
        self.room.send(says).await.map_err(|_| DisconnectReason::TryAgainLater)
    }

    /// What is told next; `None` when the room is closed.
    pub async fn next_event(&mut self) -> Option<RoomEvent> {
        let told = self.events.recv().await;
        if let Some(RoomEvent::Message(message)) = &told {
            self.queued_bytes.fetch_sub(message.len(), Ordering::Relaxed);
        }
        told
    }
}

impl Drop for RoomConnection {
    fn drop(&mut self) {
        let leaves = RoomCommand::Leave { member: self.member };
        if let Err(mpsc::error::TrySendError::Full(leaves)) = self.room.try_send(leaves) {
            let room = self.room.clone();
            // Whoever drops a seat cannot wait for it, and a full room would take the goodbye later.
            tokio::spawn(async move { room.send(leaves).await });
        }
    }
}

/// Somebody in a room, as the room has them.
pub(crate) struct RoomMember {
    /// Who it is.
    pub(crate) user_id: UserId,
    events: mpsc::Sender<RoomEvent>,
    /// Bytes of messages that they have not taken yet.
    queued_bytes: Arc<AtomicUsize>,
    /// Looks of the room since they were told something.
    pub(crate) idle_polls: u32,
    /// What the room knew when they were last asked for what an update of theirs builds on.
    pub(crate) requested_state: Option<StateVector>,
}

impl RoomMember {
    /// Somebody, and the place that they take under that number.
    pub(crate) fn new(by: UserId, member: u64) -> (Self, JoinReply) {
        let (out, told) = mpsc::channel(EVENT_QUEUE_LENGTH);
        let queued_bytes = Arc::default();
        let joined = JoinReply { member, events: told, queued_bytes: Arc::clone(&queued_bytes) };
        (Self { user_id: by, events: out, queued_bytes, idle_polls: 0, requested_state: None }, joined)
    }

    /// Tells them something, unless they take nothing any more: of messages or of bytes there are too many on their way.
    pub(crate) fn try_send(&mut self, message: Vec<u8>, max_queued_bytes: usize) -> bool {
        self.idle_polls = 0;
        let length = message.len();
        if self.queued_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > max_queued_bytes {
            return false;
        }
        self.events.try_send(RoomEvent::Message(message)).is_ok()
    }

    /// Their last message, if they take it.
    pub(crate) fn disconnect(&self, why: DisconnectReason) {
        let _ = self.events.try_send(RoomEvent::Disconnected(why));
    }
}
