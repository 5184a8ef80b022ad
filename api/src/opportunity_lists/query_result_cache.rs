//! Query results of this process, each valid for one position of the log.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

/// Maximum number of results; the least recently used ones are evicted.
const MAX_RESULTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Maximum size of one result, in bytes.
const MAX_RESULT_BYTES: usize = 256 * 1024;

/// Maximum size of all results together, in bytes.
const MAX_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Longest use of a result. Bounds how old a result is when the worker that records positions is stopped.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10);

/// Results by the key of their query.
pub(super) struct QueryResultCache<T> {
    results: Mutex<BoundedResults<T>>,
}

struct BoundedResults<T> {
    by_key: LruCache<String, CachedResult<T>>,
    bytes: usize,
}

struct CachedResult<T> {
    result: T,
    /// The position of the last event about opportunities that it includes.
    position: u64,
    stored_at: Instant,
    bytes: usize,
}

impl<T: Clone> Default for QueryResultCache<T> {
    fn default() -> Self {
        Self { results: Mutex::new(BoundedResults { by_key: LruCache::new(MAX_RESULTS), bytes: 0 }) }
    }
}

impl<T: Clone> QueryResultCache<T> {
    /// The result of a query that is valid for `position`.
    pub(super) fn find(&self, key: &str, position: u64, now: Instant) -> Option<T> {
        let mut results = self.lock();
        let cached = results.by_key.get(key)?;
        if cached.position == position && now.saturating_duration_since(cached.stored_at) < MAX_AGE {
            return Some(cached.result.clone());
        }
        results.remove(key);
        None
    }

    /// Stores a result of this size that is valid for `position`; ignores one above the size limit.
    pub(super) fn store(&self, key: String, position: u64, result: T, bytes: usize, now: Instant) {
        let bytes = bytes.saturating_add(key.len());
        if bytes > MAX_RESULT_BYTES {
            return;
        }
        let mut results = self.lock();
        results.remove(&key);
        while results.by_key.len() >= MAX_RESULTS.get() || results.bytes + bytes > MAX_CACHE_BYTES {
            let Some((_, oldest)) = results.by_key.pop_lru() else { break };
            results.bytes -= oldest.bytes;
        }
        results.bytes += bytes;
        results.by_key.put(key, CachedResult { result, position, stored_at: now, bytes });
    }

    fn lock(&self) -> MutexGuard<'_, BoundedResults<T>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> BoundedResults<T> {
    fn remove(&mut self, key: &str) {
        if let Some(removed) = self.by_key.pop(key) {
            self.bytes -= removed.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_valid_for_its_position_and_a_limited_time() {
        let (cache, now) = (QueryResultCache::default(), Instant::now());
        cache.store("page".to_owned(), 7, "seven", 10, now);
        assert_eq!(cache.find("page", 7, now), Some("seven"));
        assert_eq!(cache.find("other", 7, now), None);
        assert_eq!(cache.find("page", 7, now + MAX_AGE), None, "too old");

        cache.store("page".to_owned(), 7, "seven", 10, now);
        assert_eq!(cache.find("page", 8, now), None, "an event has been recorded");
        assert_eq!(cache.lock().bytes, 0, "a result that is no longer valid is removed");
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, now) = (QueryResultCache::default(), Instant::now());
        cache.store("large".to_owned(), 1, 0, MAX_RESULT_BYTES, now);
        assert_eq!(cache.find("large", 1, now), None);
        for number in 0..1_000 {
            cache.store(number.to_string(), 1, number, MAX_RESULT_BYTES / 2, now);
        }
        let results = cache.lock();
        assert!(results.bytes <= MAX_CACHE_BYTES && results.by_key.len() > 100, "{}", results.bytes);
        assert!(results.by_key.peek("999").is_some() && results.by_key.peek("0").is_none());
    }
}
