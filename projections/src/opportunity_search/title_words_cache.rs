//! A cache of the words of a collection's titles: they are read from `Qdrant` when a query first needs them, and again
//! in the background when the collection has grown. A query waits for them at most for [`FIRST_WAIT`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::value::PUBLIC_TENANT;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Filter, PayloadIncludeSelector, PointId, ScrollPointsBuilder, value::Kind,
    with_payload_selector,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    OpportunitySearch,
    vocabulary::{CodeIndex, SynonymTable, TitleWords},
};
use crate::QueryError;

/// Longest wait of a query for the first reading of the words.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Interval between checks whether the collection has grown.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The words are read again when the number of titles has changed by more than one in this many.
const TITLES_PER_CHANGE: u64 = 50;
/// Titles of one response: few, so that other requests to the collection do not have to wait for it.
const PAGE: u32 = 250;

/// The words of the titles of the collection that was queried last.
#[derive(Default)]
pub(super) struct TitleWordsCache(Mutex<CacheSlot>);

struct CacheSlot {
    collection: Arc<str>,
    words: Arc<TitleWords>,
    /// Number of titles when they were last read; `None` before the first reading.
    title_count: Option<u64>,
    checked_at: Option<Instant>,
    /// Whether the first reading has ended, successfully or not.
    is_read: watch::Sender<bool>,
}

impl Default for CacheSlot {
    fn default() -> Self {
        Self {
            collection: "".into(),
            words: Arc::default(),
            title_count: None,
            checked_at: None,
            is_read: watch::Sender::new(false),
        }
    }
}

impl TitleWordsCache {
    fn with_slot<T>(&self, access: impl FnOnce(&mut CacheSlot) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OpportunitySearch {
    /// The words of public titles, as last read; no words if they cannot be read.
    pub(super) async fn title_words(&self) -> Arc<TitleWords> {
        if self.max_titles() == 0 {
            return Arc::default();
        }
        let (words, mut is_read, is_due) = self.title_words_cache().with_slot(|slot| {
            if &*slot.collection != self.collection() {
                *slot = CacheSlot { collection: self.collection().into(), ..CacheSlot::default() };
            }
            let now = Instant::now();
            let is_due = slot.checked_at.is_none_or(|checked_at| now.duration_since(checked_at) > CHECK_INTERVAL);
            if is_due {
                slot.checked_at = Some(now);
            }
            (Arc::clone(&slot.words), slot.is_read.subscribe(), is_due)
        });
        if is_due {
            let search = self.clone();
            tokio::spawn(async move { search.refresh_title_words().await });
        }
        if *is_read.borrow() {
            return words;
        }
        // After a timeout or a failure, the query goes on without the words.
        let _ = timeout(FIRST_WAIT, is_read.wait_for(|is_read| *is_read)).await;
        self.title_words_cache().with_slot(|slot| Arc::clone(&slot.words))
    }

    async fn refresh_title_words(self) {
        // Parses the tables here, so that no query waits for it.
        let tables = tokio::task::spawn_blocking(|| (SynonymTable::shared(), CodeIndex::shared())).await;
        let outcome = match tables {
            Ok(_) => self.read_title_words().await,
            Err(_) => Ok(None),
        };
        self.title_words_cache().with_slot(|slot| {
            if &*slot.collection != self.collection() {
                return;
            }
            match outcome {
                Ok(Some((words, title_count))) => {
                    tracing::debug!(titles = title_count, "spelling vocabulary read");
                    slot.words = Arc::new(words);
                    slot.title_count = Some(title_count);
                }
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(%reason, "reading the spelling vocabulary failed; the previous one is used");
                }
            }
            slot.is_read.send_replace(true);
        });
    }

    /// Reads the words, and the number of titles; `None` if that number is about the same as at the last reading.
    async fn read_title_words(&self) -> Result<Option<(TitleWords, u64)>, QueryError> {
        let public = Filter::must([Condition::matches("tenant_id", PUBLIC_TENANT.to_owned())]);
        let count = CountPointsBuilder::new(self.collection()).filter(public.clone()).exact(true);
        let title_count =
            self.qdrant().run_request(self.client().count(count)).await?.result.map_or(0, |result| result.count);
        let last_count = self.title_words_cache().with_slot(|slot| slot.title_count);
        if last_count.is_some_and(|last_count| title_count.abs_diff(last_count) * TITLES_PER_CHANGE <= last_count) {
            return Ok(None);
        }
        let title = PayloadIncludeSelector { fields: vec!["title".to_owned()] };
        let (mut words, mut read_count, mut offset) = (TitleWords::default(), 0, None::<PointId>);
        loop {
            let mut scroll = ScrollPointsBuilder::new(self.collection())
                .filter(public.clone())
                .limit(PAGE)
                .with_payload(with_payload_selector::SelectorOptions::Include(title.clone()))
                .with_vectors(false);
            if let Some(from) = offset {
                scroll = scroll.offset(from);
            }
            let page = self.qdrant().run_request(self.client().scroll(scroll)).await?;
            for point in &page.result {
                if let Some(Kind::StringValue(title)) = point.payload.get("title").and_then(|value| value.kind.as_ref())
                {
                    words.add_title(title);
                }
            }
            read_count += page.result.len() as u64;
            offset = page.next_page_offset;
            if offset.is_none() || read_count >= self.max_titles() {
                return Ok(Some((words.into_indexed(), title_count)));
            }
        }
    }
}
