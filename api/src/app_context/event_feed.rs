//! The events of the log as they come, for subscribers.
//!
//! One task for all of them reads the log in the order of its positions, woken by what the projection `live` tells over
//! `Redis`; it looks by itself once a second, so that a lost message delays and loses nothing. A subscriber that went away
//! goes on behind the last position it has seen; one that is too slow for the buffer is served from the log until it has
//! caught up. So nobody misses an event, and none holds the others up.

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

/// Events that wait for the slowest subscriber in memory; whoever is slower reads the log.
const BUFFERED_EVENTS: usize = 4_096;

/// An event with more bytes is not kept in memory, so that the buffer takes 64 MiB at most.
const LARGE_EVENT_BYTES: usize = 16 << 10;

/// Events that are read together.
const PAGE_EVENTS: u32 = 1_000;

/// How long the log is left alone when nobody tells that something happened.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Messages that come within this time cause one look.
const COALESCE_WINDOW: Duration = Duration::from_millis(2);

/// What is handed out.
#[derive(Debug, Clone)]
enum FeedItem {
    Event(Arc<RawEnvelope>),
    /// A large event, which each follower reads from the log.
    LargeEvent,
}

/// Hands out the events of the log. Cheap to clone; clones are the same feed.
#[derive(Clone)]
pub struct EventFeed {
    state: Arc<FeedState>,
}

struct FeedState {
    log: Arc<dyn LogReader>,
    change_feed: ChangeFeed,
    events: broadcast::Sender<FeedItem>,
    /// Up to here everything was handed out; `None` before the first look.
    position: watch::Sender<Option<u64>>,
}

impl EventFeed {
    /// Nothing is handed out before [`Self::run`].
    pub(super) fn new(log: Arc<dyn LogReader>, live: ChangeFeed) -> Self {
        let (events, position) = (broadcast::Sender::new(BUFFERED_EVENTS), watch::Sender::new(None));
        Self { state: Arc::new(FeedState { log, change_feed: live, events, position }) }
    }

    /// Hands out events until told to stop. Stores that are away are waited for.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.publish_continuously() => {}
        }
    }

    async fn publish_continuously(&self) {
        let mut told = None;
        loop {
            if let Err(error) = self.publish_new_events().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the log cannot be read for subscribers");
                sleep(POLL_INTERVAL).await;
            }
            told = match told {
                Some(told) => wait_for_change(told).await,
                // What happened before the subscription began was told to nobody, so the log is looked at again.
                None => self.subscribe_to_changes().await,
            };
        }
    }

    /// Begins to listen. A server that is away, or does not answer, costs no more than the time until the next look.
    async fn subscribe_to_changes(&self) -> Option<FeedSubscription> {
        let until = Instant::now() + POLL_INTERVAL;
        if let Ok(Ok(told)) = timeout_at(until, self.state.change_feed.subscribe()).await {
            return Some(told);
        }
        sleep_until(until).await;
        None
    }

    /// Hands out everything that is in the log by now.
    async fn publish_new_events(&self) -> Result<(), StoreError> {
        let FeedState { log, events, position, .. } = &*self.state;
        let fence = log.completed_prefix().await?;
        // The first look begins at the end, and so does the first one after a restore took the log back.
        let mut at = (*position.borrow()).filter(|at| *at <= fence).unwrap_or(fence);
        while at < fence && events.receiver_count() > 0 {
            let page = log.load_after(at, fence, PAGE_EVENTS).await?;
            // A page ends early where its events are large; behind the last event there is none.
            at = page.last().map_or(fence, |event| event.position);
            for event in page {
                let item = if event.payload.len() > LARGE_EVENT_BYTES {
                    FeedItem::LargeEvent
                } else {
                    FeedItem::Event(Arc::new(event))
                };
                // Nobody may be listening any more.
                let _ = events.send(item);
            }
            position.send_replace(Some(at));
        }
        position.send_replace(Some(fence));
        Ok(())
    }
}

/// Waits until something was told, or long enough; `None` when the connection is lost.
async fn wait_for_change(mut told: FeedSubscription) -> Option<FeedSubscription> {
    match timeout(POLL_INTERVAL, told.next()).await {
        Ok(Ok(None)) => return None,
        Ok(Ok(Some(_)) | Err(_)) => {
            let gathered = timeout(COALESCE_WINDOW, async { while let Ok(Some(_)) = told.next().await {} });
            // Ended early only where the connection is lost, which the next wait notices.
            drop(gathered.await);
        }
        Err(_elapsed) => {}
    }
    Some(told)
}
