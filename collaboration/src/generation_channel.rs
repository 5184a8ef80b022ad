//! The channel between the processes that generate proposals and those that have readers, over `Redis` pub/sub.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    clock::{Clock, SystemClock},
    generation_progress::{GenerationProgress, ProgressPublisher},
};
use tokio::{
    sync::{broadcast, mpsc},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    error::TextError,
    generation_snapshot::{GenerationSnapshot, RunningGenerations},
    redis_channel::{PeerChannelConfig, RedisChannel},
};

/// Name of the channel, after the prefix.
const CHANNEL_NAME: &str = "generations";

/// Capacity of the queue of progress messages; messages beyond it are dropped.
const PROGRESS_QUEUE_LENGTH: usize = 1_024;

/// Interval at which new text is published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// Revisions start at the number of publish intervals since this time, in seconds since 1970 (2025-01-01), so that a
/// later attempt in another process has higher revisions. 32 bits, as clocks of awareness have, suffice for 27 years.
const REVISION_EPOCH_SECONDS: i64 = 1_735_689_600;

/// Snapshots that are buffered for the slowest reader; a slower one misses some.
const BUFFERED_SNAPSHOTS: usize = 256;

/// Pause before subscribing again after the connection to Redis was lost, and interval of looking for readers.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);

/// Publishes the progress of generations, and lets readers of all processes follow it. Cheap to clone.
#[derive(Clone)]
pub struct GenerationProgressChannel {
    progress: mpsc::Sender<GenerationProgress>,
    readers: Arc<SnapshotReaders>,
}

struct SnapshotReaders {
    channel: RedisChannel,
    snapshots: broadcast::Sender<Arc<GenerationSnapshot>>,
    /// Whether a task receives snapshots; it ends when there are no readers.
    is_receiving: Mutex<bool>,
}

/// Follows the running generations of all tenants; the reader must filter them.
#[derive(Debug)]
pub struct GenerationFollower(broadcast::Receiver<Arc<GenerationSnapshot>>);

impl GenerationProgressChannel {
    /// Creates the channel over the server in `config`. Connects when it is used. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the URL is invalid.
    pub fn new(config: &PeerChannelConfig) -> Result<Self, TextError> {
        let channel = RedisChannel::new(config, CHANNEL_NAME)?;
        let (progress, queue) = mpsc::channel(PROGRESS_QUEUE_LENGTH);
        // The task ends when the last clone is dropped.
        tokio::spawn(publish_snapshots(channel.clone(), queue));
        let snapshots = broadcast::Sender::new(BUFFERED_SNAPSHOTS);
        Ok(Self {
            progress,
            readers: Arc::new(SnapshotReaders { channel, snapshots, is_receiving: Mutex::new(false) }),
        })
    }

    /// Follows the snapshots from now on. Of a generation that is running the next one follows within some seconds.
    pub fn follow(&self) -> GenerationFollower {
        let mut is_receiving = self.readers.is_receiving.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = GenerationFollower(self.readers.snapshots.subscribe());
        if !*is_receiving {
            *is_receiving = true;
            tokio::spawn(Arc::clone(&self.readers).receive_snapshots());
        }
        follower
    }
}

impl ProgressPublisher for GenerationProgressChannel {
    fn publish(&self, progress: GenerationProgress) {
        if self.progress.try_send(progress).is_err() {
            tracing::debug!("progress of a generation dropped: the queue is full");
        }
    }
}

impl GenerationFollower {
    /// Waits for the next snapshot. Misses some if it is called too seldom.
    pub async fn next_snapshot(&mut self) -> Option<Arc<GenerationSnapshot>> {
        loop {
            match self.0.recv().await {
                Ok(snapshot) => return Some(snapshot),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl SnapshotReaders {
    /// Receives snapshots over one connection for all readers of this process, until there are none.
    async fn receive_snapshots(self: Arc<Self>) {
        while !self.stop_without_readers() {
            match self.channel.subscribe().await {
                Ok(mut subscription) => loop {
                    tokio::select! {
                        message = subscription.next_message() => match message {
                            Some(message) => self.forward(&message),
                            None => break,
                        },
                        () = sleep(RESUBSCRIBE_DELAY) => {}
                    }
                    if self.snapshots.receiver_count() == 0 {
                        break;
                    }
                },
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "subscribing to the progress of generations failed"
                    );
                    sleep(RESUBSCRIBE_DELAY).await;
                }
            }
        }
    }

    /// Returns whether there are no readers; the next one then starts a task.
    fn stop_without_readers(&self) -> bool {
        let mut is_receiving = self.is_receiving.lock().unwrap_or_else(PoisonError::into_inner);
        *is_receiving = self.snapshots.receiver_count() > 0;
        !*is_receiving
    }

    fn forward(&self, message: &[u8]) {
        match serde_json::from_slice::<GenerationSnapshot>(message) {
            // An error means that there are no readers any more.
            Ok(snapshot) => drop(self.snapshots.send(Arc::new(snapshot))),
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "unreadable progress of a generation ignored"
                );
            }
        }
    }
}

/// Collects progress into snapshots and publishes them.
async fn publish_snapshots(channel: RedisChannel, mut queue: mpsc::Receiver<GenerationProgress>) {
    let mut running = RunningGenerations::default();
    let mut ticks = interval(PUBLISH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            progress = queue.recv() => {
                let Some(progress) = progress else { return };
                let snapshot = running.apply_progress(progress, Instant::now(), current_revision());
                publish_all(&channel, snapshot);
            }
            _ = ticks.tick(), if !running.is_empty() => {
                publish_all(&channel, running.take_due(Instant::now(), current_revision()));
            }
        }
    }
}

fn publish_all(channel: &RedisChannel, snapshots: impl IntoIterator<Item = GenerationSnapshot>) {
    for message in snapshots.into_iter().filter_map(|snapshot| serde_json::to_vec(&snapshot).ok()) {
        channel.publish(message);
    }
}

/// The number of publish intervals since [`REVISION_EPOCH_SECONDS`].
fn current_revision() -> u32 {
    let millis = SystemClock.now().timestamp_millis() - REVISION_EPOCH_SECONDS * 1_000;
    u32::try_from(millis / 200).unwrap_or_default()
}

impl std::fmt::Debug for GenerationProgressChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GenerationProgressChannel").finish_non_exhaustive()
    }
}
