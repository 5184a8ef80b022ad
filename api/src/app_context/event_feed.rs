//! The event feed: the events of the log as they are appended, for subscribers.
//!
//! One task for all subscribers reads the log in the order of its positions. Messages of the projection `live` over
//! Redis wake it; it also polls once a second, so that a lost message delays events but loses none. A subscriber that
//! reconnects resumes after the last position it has seen; one that is too slow for the buffer reads from the log until
//! it has caught up. So no subscriber misses an event, and none delays the others.

mod feed_follower;

use std::{sync::Arc, time::Duration};

use domain::{envelope::RawEnvelope, event_store::StoreError, log_reader::LogReader};
use projections::change_feed::{ChangeFeed, FeedSubscription};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub use self::feed_follower::FeedFollower;

/// Events buffered for the slowest subscriber; a slower one reads the log.
const BUFFERED_EVENTS: usize = 4_096;

/// Larger payloads, in bytes, are not buffered, so that the buffer takes at most 64 MiB.
const LARGE_EVENT_BYTES: usize = 16 << 10;

/// Events per read of the log.
const PAGE_EVENTS: u32 = 1_000;

/// Interval of reading the log without a message.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Messages within this time cause one read of the log.
const COALESCE_WINDOW: Duration = Duration::from_millis(2);

/// An item of the feed.
#[derive(Debug, Clone)]
enum FeedItem {
    Event(Arc<RawEnvelope>),
    /// A large event, which each follower reads from the log.
    LargeEvent,
}

/// Publishes the events of the log to subscribers. Cheap to clone; clones share the feed.
#[derive(Clone)]
pub struct EventFeed {
    state: Arc<FeedState>,
}

struct FeedState {
    log: Arc<dyn LogReader>,
    change_feed: ChangeFeed,
    events: broadcast::Sender<FeedItem>,
    /// Position up to which all events were published; `None` before the first read.
    position: watch::Sender<Option<u64>>,
}

impl EventFeed {
    /// Creates a feed; [`Self::run`] publishes its events.
    pub(super) fn new(log: Arc<dyn LogReader>, change_feed: ChangeFeed) -> Self {
        let (events, position) = (broadcast::Sender::new(BUFFERED_EVENTS), watch::Sender::new(None));
        Self { state: Arc::new(FeedState { log, change_feed, events, position }) }
    }

    /// Publishes events until `stop` is cancelled. Retries while Postgres or Redis is unavailable.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.publish_continuously() => {}
        }
    }

    async fn publish_continuously(&self) {
        let mut subscription = None;
        loop {
            if let Err(error) = self.publish_new_events().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "reading the log for subscribers failed");
                sleep(POLL_INTERVAL).await;
            }
            subscription = match subscription {
                Some(subscription) => wait_for_change(subscription).await,
                // Messages before the subscription began were missed, so the loop reads the log again.
                None => self.subscribe_to_changes().await,
            };
        }
    }

    /// Subscribes to the change feed. Returns `None` at the next time to poll if Redis does not answer.
    async fn subscribe_to_changes(&self) -> Option<FeedSubscription> {
        let until = Instant::now() + POLL_INTERVAL;
        if let Ok(Ok(subscription)) = timeout_at(until, self.state.change_feed.subscribe()).await {
            return Some(subscription);
        }
        sleep_until(until).await;
        None
    }

    /// Publishes everything up to the current fence.
    async fn publish_new_events(&self) -> Result<(), StoreError> {
        let FeedState { log, events, position, .. } = &*self.state;
        let fence = log.load_fence().await?;
        // The first read starts at the end, and so does the first one after a restore has shortened the log.
        let mut at = (*position.borrow()).filter(|at| *at <= fence).unwrap_or(fence);
        while at < fence && events.receiver_count() > 0 {
            let page = log.load_after(at, fence, PAGE_EVENTS).await?;
            // A page may end early if its events are large; an empty page means that there are no more events.
            at = page.last().map_or(fence, |event| event.position);
            for event in page {
                let item = if event.payload.len() > LARGE_EVENT_BYTES {
                    FeedItem::LargeEvent
                } else {
                    FeedItem::Event(Arc::new(event))
                };
                // An error means that there are no subscribers any more.
                let _ = events.send(item);
            }
            position.send_replace(Some(at));
        }
        position.send_replace(Some(fence));
        Ok(())
    }
}

/// Waits for a message, or until it is time to poll; `None` when the connection is lost.
async fn wait_for_change(mut subscription: FeedSubscription) -> Option<FeedSubscription> {
    match timeout(POLL_INTERVAL, subscription.next()).await {
        Ok(Ok(None)) => return None,
        Ok(Ok(Some(_)) | Err(_)) => {
            let coalesced = timeout(COALESCE_WINDOW, async { while let Ok(Some(_)) = subscription.next().await {} });
            // It ends early only if the connection is lost, which the next wait detects.
            drop(coalesced.await);
        }
        Err(_elapsed) => {}
    }
    Some(subscription)
}
