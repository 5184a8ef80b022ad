//! Follows the log for one subscriber.

use std::{collections::VecDeque, sync::Arc};

use domain::{envelope::RawEnvelope, event_store::StoreError};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{EventFeed, FeedItem, PAGE_EVENTS};

/// Yields every event after a position, once, in the order of positions.
pub struct FeedFollower {
    feed: EventFeed,
    /// Position of the last event that was returned.
    position: u64,
    /// Position up to which events are read from the log before the receiver is used.
    catch_up_to: Option<u64>,
    page: VecDeque<Arc<RawEnvelope>>,
    /// `None` before the feed was joined, after the receiver has lagged, and after a large event.
    receiver: Option<broadcast::Receiver<FeedItem>>,
}

impl EventFeed {
    /// Follows the log after the position `after`, or from its current end if it is `None`.
    ///
    /// # Errors
    /// [`StoreError`] when the end of the log cannot be read.
    pub async fn follow(&self, after: Option<u64>) -> Result<FeedFollower, StoreError> {
        let at = match after {
            Some(after) => after,
            None => self.state.log.load_fence().await?,
        };
        Ok(FeedFollower { feed: self.clone(), position: at, catch_up_to: None, page: VecDeque::new(), receiver: None })
    }
}

impl FeedFollower {
    /// Waits for the next event; `None` when the feed has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read; the next call retries.
    pub async fn next_event(&mut self) -> Result<Option<Arc<RawEnvelope>>, StoreError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.position = event.position;
                return Ok(Some(event));
            }
            if let Some(end) = self.catch_up_to {
                self.read_page(end).await?;
                continue;
            }
            let Some(receiver) = &mut self.receiver else {
                self.join_feed().await?;
                continue;
            };
            match receiver.recv().await {
                Ok(FeedItem::Event(event)) if event.position <= self.position => {}
                Ok(FeedItem::Event(event)) => {
                    self.position = event.position;
                    return Ok(Some(event));
                }
                Ok(FeedItem::LargeEvent) | Err(RecvError::Lagged(_)) => self.receiver = None,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Subscribes first and then reads the end of the log: an event in between is seen twice rather than never.
    async fn join_feed(&mut self) -> Result<(), StoreError> {
        let receiver = self.feed.state.events.subscribe();
        // Set both or neither: with a receiver but no end to catch up to, events in between would be missed.
        self.catch_up_to = Some(self.feed.state.log.load_fence().await?);
        self.receiver = Some(receiver);
        Ok(())
    }

    async fn read_page(&mut self, end: u64) -> Result<(), StoreError> {
        if self.position < end {
            let page = self.feed.state.log.load_after(self.position, end, PAGE_EVENTS).await?;
            self.page.extend(page.into_iter().map(Arc::new));
        }
        if self.page.is_empty() {
            self.position = self.position.max(end);
            self.catch_up_to = None;
        }
        Ok(())
    }
}
