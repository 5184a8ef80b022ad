//! Answers of this process, each valid for one position of the log.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

/// Maximum number of answers; the least recently used ones are evicted.
const MAX_ANSWERS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Maximum size of one answer, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Maximum size of all answers together, in bytes.
const MAX_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Longest use of an answer. Bounds how old an answer is when the worker that records positions is stopped.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10);

/// Answers by question.
pub(super) struct AnswerCache<T> {
    answers: Mutex<BoundedAnswers<T>>,
}

struct BoundedAnswers<T> {
    by_key: LruCache<String, CachedAnswer<T>>,
    bytes: usize,
}

struct CachedAnswer<T> {
    answer: T,
    /// The position of the last event about opportunities for which it is valid.
    position: u64,
    stored_at: Instant,
    bytes: usize,
}

impl<T: Clone> Default for AnswerCache<T> {
    fn default() -> Self {
        Self { answers: Mutex::new(BoundedAnswers { by_key: LruCache::new(MAX_ANSWERS), bytes: 0 }) }
    }
}

impl<T: Clone> AnswerCache<T> {
    /// The answer to a question that is valid for `position`.
    pub(super) fn find(&self, key: &str, position: u64, now: Instant) -> Option<T> {
        let mut answers = self.lock();
        let cached = answers.by_key.get(key)?;
        if cached.position == position && now.saturating_duration_since(cached.stored_at) < MAX_AGE {
            return Some(cached.answer.clone());
        }
        answers.remove(key);
        None
    }

    /// Stores an answer of this size that is valid for `position`; ignores one above the size limit.
    pub(super) fn store(&self, key: String, position: u64, answer: T, bytes: usize, now: Instant) {
        let bytes = bytes.saturating_add(key.len());
        if bytes > MAX_ANSWER_BYTES {
            return;
        }
        let mut answers = self.lock();
        answers.remove(&key);
        while answers.by_key.len() >= MAX_ANSWERS.get() || answers.bytes + bytes > MAX_CACHE_BYTES {
            let Some((_, oldest)) = answers.by_key.pop_lru() else { break };
            answers.bytes -= oldest.bytes;
        }
        answers.bytes += bytes;
        answers.by_key.put(key, CachedAnswer { answer, position, stored_at: now, bytes });
    }

    fn lock(&self) -> MutexGuard<'_, BoundedAnswers<T>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> BoundedAnswers<T> {
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
    fn an_answer_is_valid_for_its_position_and_a_limited_time() {
        let (cache, now) = (AnswerCache::default(), Instant::now());
        cache.store("page".to_owned(), 7, "seven", 10, now);
        assert_eq!(cache.find("page", 7, now), Some("seven"));
        assert_eq!(cache.find("other", 7, now), None);
        assert_eq!(cache.find("page", 7, now + MAX_AGE), None, "too old");

        cache.store("page".to_owned(), 7, "seven", 10, now);
        assert_eq!(cache.find("page", 8, now), None, "an event has been recorded");
        assert_eq!(cache.lock().bytes, 0, "an answer that is no longer valid is removed");
    }

    #[test]
    fn memory_is_bounded() {
        let (cache, now) = (AnswerCache::default(), Instant::now());
        cache.store("large".to_owned(), 1, 0, MAX_ANSWER_BYTES, now);
        assert_eq!(cache.find("large", 1, now), None);
        for number in 0..1_000 {
            cache.store(number.to_string(), 1, number, MAX_ANSWER_BYTES / 2, now);
        }
        let answers = cache.lock();
        assert!(answers.bytes <= MAX_CACHE_BYTES && answers.by_key.len() > 100, "{}", answers.bytes);
        assert!(answers.by_key.peek("999").is_some() && answers.by_key.peek("0").is_none());
    }
}
