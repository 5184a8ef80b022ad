//! Answers to one kind of questions, which many requests share.

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;

use super::{OpportunityListError, answer_cache::AnswerCache, single_flight::SingleFlight};

type AnswerResult<T> = Result<Arc<T>, OpportunityListError>;

/// Cached answers, and those that are being determined.
pub(super) struct SharedAnswers<T> {
    cache: AnswerCache<Arc<T>>,
    /// By question and position: a query that began before the latest event does not answer for the time after it.
    flights: SingleFlight<(String, Option<u64>), AnswerResult<T>>,
}

impl<T> Default for SharedAnswers<T> {
    fn default() -> Self {
        Self { cache: AnswerCache::default(), flights: SingleFlight::default() }
    }
}

impl<T: Send + Sync + 'static> SharedAnswers<T> {
    /// The cached answer that is valid for `position`, else that of one query for all who ask `key` at this position.
    pub(super) async fn find_or_query(
        &self,
        key: String,
        position: Option<u64>,
        query: impl FnOnce() -> BoxFuture<'static, AnswerResult<T>>,
    ) -> AnswerResult<T> {
        if let Some(answer) = position.and_then(|position| self.cache.find(&key, position, Instant::now())) {
            return Ok(answer);
        }
        self.flights.join((key, position), query).await
    }

    /// Caches an answer of this size that is valid for `position`.
    pub(super) fn store(&self, key: String, position: u64, answer: Arc<T>, bytes: usize) {
        self.cache.store(key, position, answer, bytes, Instant::now());
    }
}
