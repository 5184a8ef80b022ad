//! Every room of a process, and the settling of texts that nobody is in any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use domain::{
    event_store::AggregateStores,
    value::{ProposalId, TenantId, UserId},
};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ProposalRef,
    error::TextError,
    peer_channel::{PeerChannel, PeerChannelConfig, PeerMessage},
    proposal_sync::{ProposalSync, SyncOutcome},
    room::{Room, RoomCommand},
    room_connection::RoomConnection,
};

/// How often it is tried to enter a room that closes at that moment.
const JOIN_ATTEMPTS: u32 = 10;

/// Texts that are recorded at the same time.
const MAX_CONCURRENT_SYNCS: usize = 4;

/// How long after a lost connection others are listened to again.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);

/// Settings of writing together.
///
/// | variable | default | meaning |
/// | --- | --- | --- |
/// | `MEDHUB__COLLABORATION__QUIET_MS` | `1000` | a text is recorded when nobody has written for so long |
/// | `MEDHUB__COLLABORATION__AT_LATEST_MS` | `10000` | a text is recorded that often while it is written |
/// | `MEDHUB__COLLABORATION__MAX_TEXT_BYTES` | `8388608` | size of a shared text, what was deleted in it included, and of what waits to be recorded |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollaborationConfig {
    /// How long nobody may have written before a text is recorded, in milliseconds.
    pub quiet_ms: u64,
    /// How long a text may go on without being recorded, in milliseconds.
    pub at_latest_ms: u64,
    /// How large a shared text may be, what was deleted in it included, in bytes; as much may wait to be recorded.
    pub max_text_bytes: usize,
}

impl Default for CollaborationConfig {
    fn default() -> Self {
        Self { quiet_ms: 1_000, at_latest_ms: 10_000, max_text_bytes: 8 << 20 }
    }
}

/// What a process knows of its rooms.
#[derive(Default)]
struct RoomDirectory {
    open: HashMap<ProposalRef, mpsc::Sender<RoomCommand>>,
    /// Held by whoever opens the room of a proposal, so that it has one and others go on.
    opening: HashMap<ProposalRef, Weak<tokio::sync::Mutex<()>>>,
    tasks: JoinSet<()>,
}

/// The rooms of a process.
pub struct RoomManager<S> {
    config: CollaborationConfig,
    sync: ProposalSync<S>,
    peers: PeerChannel,
    directory: Mutex<RoomDirectory>,
    stopping: CancellationToken,
}

impl<S: AggregateStores + 'static> RoomManager<S> {
    /// Nobody is in yet. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the settings of Redis are unusable.
    pub fn new(
        config: CollaborationConfig,
        settling: ProposalSync<S>,
        peers: &PeerChannelConfig,
    ) -> Result<Self, TextError> {
        Ok(Self {
            config,
            sync: settling,
            peers: PeerChannel::new(peers)?,
            directory: Mutex::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// Brings texts and proposals together.
    pub fn proposal_sync(&self) -> &ProposalSync<S> {
        &self.sync
    }

    /// Lets somebody into the room of a company's proposal.
    ///
    /// # Errors
    /// [`TextError::NotFound`] where the company has no such proposal; others when a store is away.
    pub async fn join(
        &self,
        tenant: &TenantId,
        proposal: ProposalId,
        by: &UserId,
    ) -> Result<RoomConnection, TextError> {
        let place = ProposalRef { tenant: tenant.clone(), proposal };
        for _ in 0..JOIN_ATTEMPTS {
            let room = self.get_or_open_room(&place).await?;
            let (answer, joined) = oneshot::channel();
            if room.send(RoomCommand::Join { by: by.clone(), answer }).await.is_ok()
                && let Ok(joined) = joined.await
            {
                return Ok(RoomConnection::new(joined, room));
            }
            // It has just closed: the next one is new.
            tokio::task::yield_now().await;
        }
        Err(TextError::Busy)
    }

    async fn get_or_open_room(&self, place: &ProposalRef) -> Result<mpsc::Sender<RoomCommand>, TextError> {
        if let Some(room) = self.find_open_room(place) {
            return Ok(room);
        }
        let opening = self.with_directory(|directory| directory.opening_lock(place));
        let _alone = opening.lock().await;
        if let Some(room) = self.find_open_room(place) {
            return Ok(room);
        }
        let max_text_bytes = self.config.max_text_bytes;
        let open = Room::open(place.clone(), self.sync.clone(), self.peers.clone(), max_text_bytes);
        let (room, happens) = open.await?;
        let stopping = self.stopping.clone();
        self.with_directory(|directory| {
            // Asked here, where rooms are waited for afterwards: none is begun after that.
            if stopping.is_cancelled() {
                return Err(TextError::Busy);
            }
            while directory.tasks.try_join_next().is_some() {}
            directory.tasks.spawn(async move { room.run(stopping).await });
            directory.open.insert(place.clone(), happens.clone());
            Ok(happens)
        })
    }

    fn find_open_room(&self, place: &ProposalRef) -> Option<mpsc::Sender<RoomCommand>> {
        self.with_directory(|directory| directory.open.get(place).filter(|room| !room.is_closed()).cloned())
    }

    fn with_directory<T>(&self, change: impl FnOnce(&mut RoomDirectory) -> T) -> T {
        change(&mut self.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records what was written, and passes on what other processes tell, until told to stop; then closes all rooms and
    /// records what is left.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.receive_peer_messages() => {}
            () = self.sync_periodically() => {}
            () = stop.cancelled() => {}
        }
        let mut rooms = self.with_directory(|directory| {
            self.stopping.cancel();
            std::mem::take(&mut directory.tasks)
        });
        while rooms.join_next().await.is_some() {}
        self.sync_due_texts(Duration::ZERO).await;
        self.peers.flush().await;
    }

    async fn receive_peer_messages(&self) {
        loop {
            match self.peers.subscribe().await {
                Ok(mut listening) => {
                    while let Some((place, word)) = listening.next_message().await {
                        self.forward_to_room(&place, word);
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "other processes are not heard");
                }
            }
            sleep(RESUBSCRIBE_DELAY).await;
        }
    }

    /// A room that has more to do than it can is not waited for: it looks by itself, and editors tell of themselves again.
    fn forward_to_room(&self, place: &ProposalRef, word: PeerMessage) {
        if let Some(room) = self.find_open_room(place) {
            let _ = room.try_send(RoomCommand::PeerMessage(word));
        }
    }

    async fn sync_periodically(&self) {
        let quiet = Duration::from_millis(self.config.quiet_ms);
        let look_every = (quiet / 2).max(Duration::from_millis(100));
        loop {
            sleep(look_every).await;
            self.with_directory(RoomDirectory::remove_closed);
            self.sync_due_texts(quiet).await;
        }
    }

    async fn sync_due_texts(&self, quiet: Duration) {
        let due = self.sync.shared_texts().list_due(quiet, Duration::from_millis(self.config.at_latest_ms)).await;
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "shared texts are not settled");
                return;
            }
        };
        // Several at once: one that is slow, or waits for its lock, holds up no others.
        stream::iter(due).for_each_concurrent(MAX_CONCURRENT_SYNCS, |place| self.sync_one(place)).await;
    }

    async fn sync_one(&self, place: ProposalRef) {
        match self.sync.try_sync(&place).await {
            Ok(SyncOutcome { recorded_sections: recorded, .. }) => {
                tracing::debug!(recorded, proposal = %place.proposal, "a shared text was settled");
                if recorded > 0 {
                    self.peers.publish(&place, &PeerMessage::Updates);
                }
            }
            // Another process is at it.
            Err(TextError::Busy) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, proposal = %place.proposal, "a shared text is not settled");
            }
        }
    }
}

impl RoomDirectory {
    /// What is held while the room of that proposal is opened.
    fn opening_lock(&mut self, place: &ProposalRef) -> Arc<tokio::sync::Mutex<()>> {
        if let Some(opening) = self.opening.get(place).and_then(Weak::upgrade) {
            return opening;
        }
        let opening = Arc::default();
        self.opening.insert(place.clone(), Arc::downgrade(&opening));
        opening
    }

    fn remove_closed(&mut self) {
        self.open.retain(|_, room| !room.is_closed());
        self.opening.retain(|_, opening| opening.strong_count() > 0);
    }
}

impl<S> std::fmt::Debug for RoomManager<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("config", &self.config).finish_non_exhaustive()
    }
}
