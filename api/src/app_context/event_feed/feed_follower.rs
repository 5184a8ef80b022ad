//! One subscriber's way through the log.

use std::{collections::VecDeque, sync::Arc};

use domain::{envelope::RawEnvelope, event_store::StoreError};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{EventFeed, FeedItem, PAGE_EVENTS};

/// Follows the log from a position on: every event behind it, once, in the order of positions.
pub struct FeedFollower {
    feed: EventFeed,
    /// Everything up to here was handed out.
    position: u64,
    /// Read from the log, up to this position, before what the feed hands out goes on.
    catch_up_to: Option<u64>,
    page: VecDeque<Arc<RawEnvelope>>,
    /// `None` before the feed was joined, when it was too fast, and when it came to a large event.
    receiver: Option<broadcast::Receiver<FeedItem>>,
}

impl EventFeed {
    /// Follows the log behind `after`, from now on where it is `None`.
    ///
    /// # Errors
    /// [`StoreError`] when the log does not tell where its end is.
    pub async fn follow(&self, after: Option<u64>) -> Result<FeedFollower, StoreError> {
        let at = match after {
            Some(after) => after,
            None => self.state.log.completed_prefix().await?,
        };
        Ok(FeedFollower { feed: self.clone(), position: at, catch_up_to: None, page: VecDeque::new(), receiver: None })
    }
}

impl FeedFollower {
    /// The next event; waits for it. `None` when the feed has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read; asking again goes on.
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
            let Some(coming) = &mut self.receiver else {
                self.join_feed().await?;
                continue;
            };
            match coming.recv().await {
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

    /// Listens to the feed first and then looks at the log: what comes in between is seen twice rather than not at all.
    async fn join_feed(&mut self) -> Result<(), StoreError> {
        let coming = self.feed.state.events.subscribe();
        // Both or none: whoever listened without having looked would miss what is between.
        self.catch_up_to = Some(self.feed.state.log.completed_prefix().await?);
        self.receiver = Some(coming);
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
