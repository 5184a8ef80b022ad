//! Manages the rooms of a process, and syncs shared texts periodically, also those without an open room.

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
    generation_channel::GenerationProgressChannel,
    peer_channel::{PeerChannel, PeerMessage},
    proposal_sync::{ProposalSync, SyncOutcome},
    redis_channel::PeerChannelConfig,
    room::{Room, RoomCommand},
    room_connection::RoomConnection,
};

/// Number of attempts to join a room, which may close during an attempt.
const JOIN_ATTEMPTS: u32 = 10;

/// Maximum number of texts that are synced at the same time.
const MAX_CONCURRENT_SYNCS: usize = 4;

/// Pause before subscribing again after the connection to Redis was lost.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);

/// Settings of shared editing.
///
/// | variable | default | meaning |
/// | --- | --- | --- |
/// | `MEDHUB__COLLABORATION__QUIET_MS` | `1000` | a text is recorded after this time without edits |
/// | `MEDHUB__COLLABORATION__AT_LATEST_MS` | `10000` | a text is recorded at least this often while it is edited |
/// | `MEDHUB__COLLABORATION__MAX_TEXT_BYTES` | `8388608` | maximum size of a shared text, deleted content included, and of the updates that wait to be recorded |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollaborationConfig {
    /// A text is recorded after this time without edits, in milliseconds.
    pub quiet_ms: u64,
    /// Maximum time until an edited text is recorded, in milliseconds.
    pub at_latest_ms: u64,
    /// Maximum size of a shared text, deleted content included, and of the updates that wait to be recorded, in bytes.
    pub max_text_bytes: usize,
}

impl Default for CollaborationConfig {
    fn default() -> Self {
        Self { quiet_ms: 1_000, at_latest_ms: 10_000, max_text_bytes: 8 << 20 }
    }
}

/// The open rooms of a process and their tasks.
#[derive(Default)]
struct RoomDirectory {
    open: HashMap<ProposalRef, mpsc::Sender<RoomCommand>>,
    /// A lock per proposal whose room is being opened, so that a proposal gets only one room and others do not wait.
    opening: HashMap<ProposalRef, Weak<tokio::sync::Mutex<()>>>,
    tasks: JoinSet<()>,
}

/// The rooms of a process.
pub struct RoomManager<S> {
    config: CollaborationConfig,
    sync: ProposalSync<S>,
    peers: PeerChannel,
    generations: GenerationProgressChannel,
    directory: Mutex<RoomDirectory>,
    stopping: CancellationToken,
}

impl<S: AggregateStores + 'static> RoomManager<S> {
    /// Creates a manager without open rooms. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the settings of Redis are invalid.
    pub fn new(
        config: CollaborationConfig,
        sync: ProposalSync<S>,
        peers: &PeerChannelConfig,
    ) -> Result<Self, TextError> {
        Ok(Self {
            config,
            sync,
            peers: PeerChannel::new(peers)?,
            generations: GenerationProgressChannel::new(peers)?,
            directory: Mutex::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// Returns the sync of shared texts with their proposals.
    pub fn proposal_sync(&self) -> &ProposalSync<S> {
        &self.sync
    }

    /// Returns the channel of the progress of generations, which the rooms show.
    pub fn generation_progress(&self) -> &GenerationProgressChannel {
        &self.generations
    }

    /// Joins the room of a proposal, and opens it if necessary.
    ///
    /// # Errors
    /// [`TextError::NotFound`] when the tenant has no such proposal, [`TextError::Busy`] when the service stops;
    /// others when a store is unavailable.
    pub async fn join(
        &self,
        tenant: &TenantId,
        proposal: ProposalId,
        by: &UserId,
    ) -> Result<RoomConnection, TextError> {
        let proposal_ref = ProposalRef { tenant: tenant.clone(), proposal };
        for _ in 0..JOIN_ATTEMPTS {
            let room = self.get_or_open_room(&proposal_ref).await?;
            let (reply, joined) = oneshot::channel();
            if room.send(RoomCommand::Join { by: by.clone(), reply }).await.is_ok()
                && let Ok(joined) = joined.await
            {
                return Ok(RoomConnection::new(joined, room));
            }
            // The room has just closed: the next attempt opens a new one.
            tokio::task::yield_now().await;
        }
        Err(TextError::Busy)
    }

    async fn get_or_open_room(&self, proposal_ref: &ProposalRef) -> Result<mpsc::Sender<RoomCommand>, TextError> {
        if let Some(room) = self.find_open_room(proposal_ref) {
            return Ok(room);
        }
        let opening = self.with_directory(|directory| directory.opening_lock(proposal_ref));
        let _guard = opening.lock().await;
        if let Some(room) = self.find_open_room(proposal_ref) {
            return Ok(room);
        }
        let max_text_bytes = self.config.max_text_bytes;
        let open = Room::open(proposal_ref.clone(), self.sync.clone(), self.peers.clone(), max_text_bytes);
        let (room, sender) = open.await?;
        let stopping = self.stopping.clone();
        self.with_directory(|directory| {
            // `run` cancels `stopping` and takes the tasks under the same lock, so that it waits for every room's task.
            if stopping.is_cancelled() {
                return Err(TextError::Busy);
            }
            while directory.tasks.try_join_next().is_some() {}
            directory.tasks.spawn(async move { room.run(stopping).await });
            directory.open.insert(proposal_ref.clone(), sender.clone());
            Ok(sender)
        })
    }

    fn find_open_room(&self, proposal_ref: &ProposalRef) -> Option<mpsc::Sender<RoomCommand>> {
        self.with_directory(|directory| directory.open.get(proposal_ref).filter(|room| !room.is_closed()).cloned())
    }

    fn with_directory<T>(&self, change: impl FnOnce(&mut RoomDirectory) -> T) -> T {
        change(&mut self.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Syncs texts and forwards messages of other processes until `stop` is cancelled; then closes all rooms and syncs
    /// the remaining texts.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.receive_peer_messages() => {}
            () = self.follow_generations() => {}
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
                Ok(mut subscription) => {
                    while let Some((proposal_ref, message)) = subscription.next_message().await {
                        self.forward_to_room(&proposal_ref, message);
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "pub/sub subscription lost, resubscribing"
                    );
                }
            }
            sleep(RESUBSCRIBE_DELAY).await;
        }
    }

    /// Shows the progress of generations in the rooms of their proposals. Returns never.
    async fn follow_generations(&self) {
        let mut follower = self.generations.follow();
        while let Some(snapshot) = follower.next_snapshot().await {
            let proposal_ref = ProposalRef { tenant: snapshot.tenant.clone(), proposal: snapshot.proposal };
            if let Some(room) = self.find_open_room(&proposal_ref) {
                // A full queue loses the snapshot; the next one has its text.
                let _ = room.try_send(RoomCommand::GenerationProgress(snapshot));
            }
        }
    }

    /// Drops the message when the room's queue is full: the room polls for updates, and editors repeat their awareness.
    fn forward_to_room(&self, proposal_ref: &ProposalRef, message: PeerMessage) {
        if let Some(room) = self.find_open_room(proposal_ref) {
            let _ = room.try_send(RoomCommand::PeerMessage(message));
        }
    }

    async fn sync_periodically(&self) {
        let quiet = Duration::from_millis(self.config.quiet_ms);
        let poll_interval = (quiet / 2).max(Duration::from_millis(100));
        loop {
            sleep(poll_interval).await;
            self.with_directory(RoomDirectory::remove_closed);
            self.sync_due_texts(quiet).await;
        }
    }

    async fn sync_due_texts(&self, quiet: Duration) {
        let due = self.sync.shared_texts().list_due(quiet, Duration::from_millis(self.config.at_latest_ms)).await;
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "listing shared texts to sync failed");
                return;
            }
        };
        // Several at once, so that a slow one does not delay the others.
        stream::iter(due).for_each_concurrent(MAX_CONCURRENT_SYNCS, |proposal_ref| self.sync_text(proposal_ref)).await;
    }

    async fn sync_text(&self, proposal_ref: ProposalRef) {
        match self.sync.try_sync(&proposal_ref).await {
            Ok(SyncOutcome { recorded_sections, .. }) => {
                tracing::debug!(recorded = recorded_sections, proposal = %proposal_ref.proposal, "shared text synced");
                if recorded_sections > 0 {
                    self.peers.publish(&proposal_ref, &PeerMessage::Updates);
                }
            }
            // Another process syncs it.
            Err(TextError::Busy) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, proposal = %proposal_ref.proposal, "sync of a shared text failed");
            }
        }
    }
}

impl RoomDirectory {
    /// Returns the lock to hold while the room of the proposal is opened.
    fn opening_lock(&mut self, proposal_ref: &ProposalRef) -> Arc<tokio::sync::Mutex<()>> {
        if let Some(opening) = self.opening.get(proposal_ref).and_then(Weak::upgrade) {
            return opening;
        }
        let opening = Arc::default();
        self.opening.insert(proposal_ref.clone(), Arc::downgrade(&opening));
        opening
    }

    fn remove_closed(&mut self) {
        self.open.retain(|_, room| !room.is_closed());
        self.opening.retain(|_, opening| opening.strong_count() > 0);
    }
}

impl<S> std::fmt::Debug for RoomManager<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomManager").field("config", &self.config).finish_non_exhaustive()
    }
}
