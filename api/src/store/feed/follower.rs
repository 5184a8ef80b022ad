//! One subscriber's way through the log.

use std::{collections::VecDeque, sync::Arc};

use domain::{envelope::RawRecorded, store::StoreError};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Feed, Item, PAGE};

/// Follows the log from a position on: every event behind it, once, in the order of positions.
pub struct Follower {
    feed: Feed,
    /// Everything up to here was handed out.
    at: u64,
    /// Read from the log, up to this position, before what the feed hands out goes on.
    catch_up_to: Option<u64>,
    page: VecDeque<Arc<RawRecorded>>,
    /// `None` before the feed was joined, when it was too fast, and when it came to a large event.
    coming: Option<broadcast::Receiver<Item>>,
}

impl Feed {
    /// Follows the log behind `after`, from now on where it is `None`.
    ///
    /// # Errors
    /// [`StoreError`] when the log does not tell where its end is.
    pub async fn follow(&self, after: Option<u64>) -> Result<Follower, StoreError> {
        let at = match after {
            Some(after) => after,
            None => self.shared.log.completed_prefix().await?,
        };
        Ok(Follower { feed: self.clone(), at, catch_up_to: None, page: VecDeque::new(), coming: None })
    }
}

impl Follower {
    /// The next event; waits for it. `None` when the feed has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read; asking again goes on.
    pub async fn next(&mut self) -> Result<Option<Arc<RawRecorded>>, StoreError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.at = event.position;
                return Ok(Some(event));
            }
            if let Some(end) = self.catch_up_to {
                self.read(end).await?;
                continue;
            }
            let Some(coming) = &mut self.coming else {
                self.join().await?;
                continue;
            };
            match coming.recv().await {
                Ok(Item::Event(event)) if event.position <= self.at => {}
                Ok(Item::Event(event)) => {
                    self.at = event.position;
                    return Ok(Some(event));
                }
                Ok(Item::Large) | Err(RecvError::Lagged(_)) => self.coming = None,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Listens to the feed first and then looks at the log: what comes in between is seen twice rather than not at all.
    async fn join(&mut self) -> Result<(), StoreError> {
        let coming = self.feed.shared.events.subscribe();
        // Both or none: whoever listened without having looked would miss what is between.
        self.catch_up_to = Some(self.feed.shared.log.completed_prefix().await?);
        self.coming = Some(coming);
        Ok(())
    }

    async fn read(&mut self, end: u64) -> Result<(), StoreError> {
        if self.at < end {
            let page = self.feed.shared.log.next_after(self.at, end, PAGE).await?;
            self.page.extend(page.into_iter().map(Arc::new));
        }
        if self.page.is_empty() {
            self.at = self.at.max(end);
            self.catch_up_to = None;
        }
        Ok(())
    }
}
