//! Every room of a process, and the settling of texts that nobody is in any more.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::{
    store::AggregateStores,
    value::{ProposalId, TenantId, UserId},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Place,
    error::TextError,
    peers::{Peers, PeersConfig, Word},
    room::{Happens, Room, Seat},
    settle::{Settled, Settling},
};

/// How often it is tried to enter a room that closes at that moment.
const ENTERING: u32 = 10;

/// How long after a lost connection others are listened to again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Settings of writing together.
///
/// | variable | default | meaning |
/// | --- | --- | --- |
/// | `MEDHUB__COLLABORATION__QUIET_MS` | `1000` | a text is recorded when nobody has written for so long |
/// | `MEDHUB__COLLABORATION__AT_LATEST_MS` | `10000` | a text is recorded that often while it is written |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollaborationConfig {
    /// How long nobody may have written before a text is recorded, in milliseconds.
    pub quiet_ms: u64,
    /// How long a text may go on without being recorded, in milliseconds.
    pub at_latest_ms: u64,
}

impl Default for CollaborationConfig {
    fn default() -> Self {
        Self { quiet_ms: 1_000, at_latest_ms: 10_000 }
    }
}

type Open = HashMap<Place, mpsc::Sender<Happens>>;

/// The rooms of a process.
pub struct Rooms<S> {
    config: CollaborationConfig,
    settling: Settling<S>,
    peers: Peers,
    open: Mutex<Open>,
    /// Held while a room is opened, so that a proposal has one.
    opening: tokio::sync::Mutex<JoinSet<()>>,
    stopping: CancellationToken,
}

impl<S: AggregateStores + 'static> Rooms<S> {
    /// Nobody is in yet. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the settings of Redis are unusable.
    pub fn new(config: CollaborationConfig, settling: Settling<S>, peers: &PeersConfig) -> Result<Self, TextError> {
        Ok(Self {
            config,
            settling,
            peers: Peers::new(peers)?,
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            stopping: CancellationToken::new(),
        })
    }

    /// Brings texts and proposals together.
    pub fn settling(&self) -> &Settling<S> {
        &self.settling
    }

    /// Lets somebody into the room of a company's proposal.
    ///
    /// # Errors
    /// [`TextError::NotFound`] where the company has no such proposal; others when a store is away.
    pub async fn join(&self, tenant: &TenantId, proposal: ProposalId, by: &UserId) -> Result<Seat, TextError> {
        let place = Place { tenant: tenant.clone(), proposal };
        for _ in 0..ENTERING {
            let room = self.room(&place).await?;
            let (answer, joined) = oneshot::channel();
            if room.send(Happens::Joins { by: by.clone(), answer }).await.is_ok()
                && let Ok(joined) = joined.await
            {
                return Ok(Seat::new(joined, room));
            }
            // It has just closed: the next one is new.
            tokio::task::yield_now().await;
        }
        Err(TextError::Busy)
    }

    async fn room(&self, place: &Place) -> Result<mpsc::Sender<Happens>, TextError> {
        if let Some(room) = self.known(place) {
            return Ok(room);
        }
        let mut opening = self.opening.lock().await;
        if let Some(room) = self.known(place) {
            return Ok(room);
        }
        if self.stopping.is_cancelled() {
            return Err(TextError::Busy);
        }
        while opening.try_join_next().is_some() {}
        let (room, happens) = Room::open(place.clone(), self.settling.clone(), self.peers.clone()).await?;
        let stopping = self.stopping.clone();
        opening.spawn(async move { room.run(stopping).await });
        self.with_open(|open| open.insert(place.clone(), happens.clone()));
        Ok(happens)
    }

    fn known(&self, place: &Place) -> Option<mpsc::Sender<Happens>> {
        self.with_open(|open| open.get(place).filter(|room| !room.is_closed()).cloned())
    }

    fn with_open<T>(&self, change: impl FnOnce(&mut Open) -> T) -> T {
        change(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records what was written, and passes on what other processes tell, until told to stop; then closes all rooms and
    /// records what is left.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.listen() => {}
            () = self.settle_all() => {}
            () = stop.cancelled() => {}
        }
        self.stopping.cancel();
        let mut rooms = self.opening.lock().await;
        while rooms.join_next().await.is_some() {}
        self.settle_due(Duration::ZERO).await;
    }

    async fn listen(&self) {
        loop {
            match self.peers.listen().await {
                Ok(mut listening) => {
                    while let Some((place, word)) = listening.next().await {
                        self.pass_on(&place, word).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "other processes are not heard");
                }
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    async fn pass_on(&self, place: &Place, word: Word) {
        if let Some(room) = self.known(place) {
            let _ = room.send(Happens::Word(word)).await;
        }
    }

    async fn settle_all(&self) {
        let quiet = Duration::from_millis(self.config.quiet_ms);
        let look_every = (quiet / 2).max(Duration::from_millis(100));
        loop {
            sleep(look_every).await;
            self.with_open(|open| open.retain(|_, room| !room.is_closed()));
            self.settle_due(quiet).await;
        }
    }

    async fn settle_due(&self, quiet: Duration) {
        let due = self.settling.texts().due(quiet, Duration::from_millis(self.config.at_latest_ms)).await;
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "shared texts are not settled");
                return;
            }
        };
        for place in due {
            match self.settling.settle(&place).await {
                Ok(Settled { recorded, .. }) => {
                    tracing::debug!(recorded, proposal = %place.proposal, "a shared text was settled");
                    if recorded > 0 {
                        self.peers.tell(&place, &Word::Updates).await;
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
}

impl<S> std::fmt::Debug for Rooms<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").field("config", &self.config).finish_non_exhaustive()
    }
}
