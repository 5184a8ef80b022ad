//! The vectors of texts that were embedded for queries: queries repeat, and so do the phrases that they are expanded by.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;

/// Number of texts that are kept; the least recently used ones are removed. With vectors of 256 dimensions, about a
/// megabyte and a half.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

/// Size in bytes of the longest text that is kept; a longer one, such as the profile of a company, is no query.
const MAX_TEXT_BYTES: usize = 512;

/// The vectors of recent texts, by one model.
pub(super) struct QueryVectorCache(Mutex<LruCache<String, Arc<[f32]>>>);

impl Default for QueryVectorCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl QueryVectorCache {
    /// The vector of a text, if it is kept.
    pub(super) fn get(&self, text: &str) -> Option<Arc<[f32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).map(Arc::clone)
    }

    /// Keeps the vector of a text, unless the text is long.
    pub(super) fn insert(&self, text: &str, vector: &Arc<[f32]>) {
        if text.len() <= MAX_TEXT_BYTES {
            let vector = Arc::clone(vector);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).put(text.to_owned(), vector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_used_last_are_kept_and_long_ones_are_not() {
        let cache = QueryVectorCache::default();
        let vector: Arc<[f32]> = Arc::new([1.0, 0.5]);
        for number in 0..CAPACITY.get() {
            cache.insert(&number.to_string(), &vector);
        }
        assert_eq!(cache.get("0").as_deref(), Some([1.0, 0.5].as_slice()));
        cache.insert("one more", &vector);
        assert!(cache.get("0").is_some() && cache.get("1").is_none() && cache.get("one more").is_some());
        let long = "a".repeat(MAX_TEXT_BYTES + 1);
        cache.insert(&long, &vector);
        assert!(cache.get(&long).is_none());
    }
}
