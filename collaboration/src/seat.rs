//! A place in a room: on the one side who took it, on the other what the room tells them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use domain::value::UserId;
use tokio::sync::mpsc;
use yrs::StateVector;

use crate::{error::RefusedUpdate, room::Happens};

/// Messages on their way to one editor; one that takes none of them any more is let go, and comes back.
const UNDER_WAY: usize = 256;

/// What somebody in a room is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatMessage {
    /// A message for the editor.
    Message(Vec<u8>),
    /// The last: they are out.
    Out(SeatEnd),
}

/// Why somebody is let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeatEnd {
    /// For what they sent.
    #[error(transparent)]
    Refused(#[from] RefusedUpdate),
    /// They took nothing any more.
    #[error("messages were not taken in time")]
    Slow,
    /// A store is away, or the service stops: they may come back.
    #[error("come back in a moment")]
    ComeBack,
}

/// A place that was taken.
pub(crate) struct JoinedSeat {
    /// Their number in the room.
    pub(crate) member: u64,
    /// What they are told.
    pub(crate) told: mpsc::Receiver<SeatMessage>,
    /// Bytes of it that they have not taken yet.
    pub(crate) queued_bytes: Arc<AtomicUsize>,
}

/// Somebody's place in a room. Dropping it leaves the room.
pub struct Seat {
    member: u64,
    room: mpsc::Sender<Happens>,
    told: mpsc::Receiver<SeatMessage>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Seat {
    pub(crate) fn new(joined: JoinedSeat, room: mpsc::Sender<Happens>) -> Self {
        Self { member: joined.member, room, told: joined.told, queued_bytes: joined.queued_bytes }
    }

    /// Says something to the room, which takes it in turn.
    ///
    /// # Errors
    /// [`SeatEnd::ComeBack`] when the room is closed.
    pub async fn say(&self, bytes: Vec<u8>, may_write: bool) -> Result<(), SeatEnd> {
        let says = Happens::Says { member: self.member, bytes, may_write };
        self.room.send(says).await.map_err(|_| SeatEnd::ComeBack)
    }

    /// What is told next; `None` when the room is closed.
    pub async fn next(&mut self) -> Option<SeatMessage> {
        let told = self.told.recv().await;
        if let Some(SeatMessage::Message(message)) = &told {
            self.queued_bytes.fetch_sub(message.len(), Ordering::Relaxed);
        }
        told
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let leaves = Happens::Leaves { member: self.member };
        if let Err(mpsc::error::TrySendError::Full(leaves)) = self.room.try_send(leaves) {
            let room = self.room.clone();
            // Whoever drops a seat cannot wait for it, and a full room would take the goodbye later.
            tokio::spawn(async move { room.send(leaves).await });
        }
    }
}

/// Somebody in a room, as the room has them.
pub(crate) struct Member {
    /// Who it is.
    pub(crate) by: UserId,
    out: mpsc::Sender<SeatMessage>,
    /// Bytes of messages that they have not taken yet.
    queued_bytes: Arc<AtomicUsize>,
    /// Looks of the room since they were told something.
    pub(crate) silent_looks: u32,
    /// What the room knew when they were last asked for what an update of theirs builds on.
    pub(crate) asked_at: Option<StateVector>,
}

impl Member {
    /// Somebody, and the place that they take under that number.
    pub(crate) fn new(by: UserId, member: u64) -> (Self, JoinedSeat) {
        let (out, told) = mpsc::channel(UNDER_WAY);
        let queued_bytes = Arc::default();
        let joined = JoinedSeat { member, told, queued_bytes: Arc::clone(&queued_bytes) };
        (Self { by, out, queued_bytes, silent_looks: 0, asked_at: None }, joined)
    }

    /// Tells them something, unless they take nothing any more: of messages or of bytes there are too many on their way.
    pub(crate) fn try_tell(&mut self, message: Vec<u8>, max_queued_bytes: usize) -> bool {
        self.silent_looks = 0;
        let length = message.len();
        if self.queued_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > max_queued_bytes {
            return false;
        }
        self.out.try_send(SeatMessage::Message(message)).is_ok()
    }

    /// Their last message, if they take it.
    pub(crate) fn let_go(&self, why: SeatEnd) {
        let _ = self.out.try_send(SeatMessage::Out(why));
    }
}
