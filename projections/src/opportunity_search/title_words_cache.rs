//! The words of a collection's titles in memory: read from the store when a query first needs them, and again in the
//! background when the collection has grown. A query never waits for it longer than [`FIRST_WAIT`].

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

/// Longest wait of a query for words that were never read.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether the collection has grown.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Growth, as a fraction of the titles that were read, that makes them be read again: one of so many.
const GROWTH_FRACTION: u64 = 50;
/// Titles of one answer: few, so that a reader of the collection does not have to wait behind it.
const PAGE: u32 = 250;

/// The words of the titles of the collection that was last asked.
#[derive(Default)]
pub(super) struct TitleWordsCache(Mutex<CacheSlot>);

struct CacheSlot {
    collection: Arc<str>,
    words: Arc<TitleWords>,
    /// Titles that were there when they were read; `None` before the first time.
    titles: Option<u64>,
    checked_at: Option<Instant>,
    /// Tells whoever waits for the first reading that it is over.
    is_read: watch::Sender<bool>,
}

impl Default for CacheSlot {
    fn default() -> Self {
        Self {
            collection: "".into(),
            words: Arc::default(),
            titles: None,
            checked_at: None,
            is_read: watch::Sender::new(false),
        }
    }
}

impl TitleWordsCache {
    fn with_slot<T>(&self, work: impl FnOnce(&mut CacheSlot) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OpportunitySearch {
    /// The words of the titles that everybody may see, as last read; none where they cannot be read.
    pub(super) async fn title_words(&self) -> Arc<TitleWords> {
        if self.max_titles() == 0 {
            return Arc::default();
        }
        let (words, mut read, is_due) = self.title_words_cache().with_slot(|slot| {
            if &*slot.collection != self.collection() {
                *slot = CacheSlot { collection: self.collection().into(), ..CacheSlot::default() };
            }
            let now = Instant::now();
            let is_due = slot.checked_at.is_none_or(|at| now.duration_since(at) > CHECK_INTERVAL);
            if is_due {
                slot.checked_at = Some(now);
            }
            (Arc::clone(&slot.words), slot.is_read.subscribe(), is_due)
        });
        if is_due {
            let search = self.clone();
            tokio::spawn(async move { search.refresh_title_words().await });
        }
        if *read.borrow() {
            return words;
        }
        // Too late, or never: the query goes without.
        let _ = timeout(FIRST_WAIT, read.wait_for(|read| *read)).await;
        self.title_words_cache().with_slot(|slot| Arc::clone(&slot.words))
    }

    async fn refresh_title_words(self) {
        // The tables are made here rather than by a query.
        let tables = tokio::task::spawn_blocking(|| (SynonymTable::shared(), CodeIndex::shared())).await;
        let news = match tables {
            Ok(_) => self.read_title_words().await,
            Err(_) => Ok(None),
        };
        self.title_words_cache().with_slot(|slot| {
            if &*slot.collection != self.collection() {
                return;
            }
            match news {
                Ok(Some((words, titles))) => {
                    tracing::debug!(titles, "read the words of titles");
                    slot.words = Arc::new(words);
                    slot.titles = Some(titles);
                }
                Ok(None) => {}
                Err(reason) => tracing::warn!(%reason, "reading the words of titles failed; spelling is not corrected"),
            }
            slot.is_read.send_replace(true);
        });
    }

    /// The words, and of how many titles; nothing where the titles are about as many as when they were last read.
    async fn read_title_words(&self) -> Result<Option<(TitleWords, u64)>, QueryError> {
        let public = Filter::must([Condition::matches("tenant_id", PUBLIC_TENANT.to_owned())]);
        let count = CountPointsBuilder::new(self.collection()).filter(public.clone()).exact(true);
        let titles =
            self.qdrant().run_request(self.client().count(count)).await?.result.map_or(0, |result| result.count);
        let before = self.title_words_cache().with_slot(|slot| slot.titles);
        if before.is_some_and(|before| titles.abs_diff(before) * GROWTH_FRACTION <= before) {
            return Ok(None);
        }
        let title = PayloadIncludeSelector { fields: vec!["title".to_owned()] };
        let (mut words, mut seen, mut offset) = (TitleWords::default(), 0, None::<PointId>);
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
            seen += page.result.len() as u64;
            offset = page.next_page_offset;
            if offset.is_none() || seen >= self.max_titles() {
                return Ok(Some((words.into_indexed(), titles)));
            }
        }
    }
}
