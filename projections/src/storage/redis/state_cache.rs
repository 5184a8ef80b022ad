//! The states that were written last, so that the next events of the same streams need no reading.
//!
//! A cached state is out of date as soon as another writer has written. The script compares versions, so that this costs
//! another round trip and nothing else.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use super::state_batch::VersionedState;

const MEBIBYTE: usize = 1 << 20;

/// Bytes of a state beyond its text: the parsed form is larger than the text, and maps have room to grow.
const OVERHEAD: usize = 256;

/// A bounded cache of states by their keys. It has two halves: what is used moves to the young one, and when that is full,
/// the old one is dropped and the young one becomes old.
pub(super) struct StateCache<S> {
    halves: Mutex<CacheHalves<S>>,
    /// Size of each half, in bytes.
    max_bytes: usize,
}

struct CacheHalves<S> {
    young: HashMap<String, VersionedState<S>>,
    old: HashMap<String, VersionedState<S>>,
    /// Size of the young half, in bytes.
    size: usize,
}

impl<S> StateCache<S> {
    pub(super) fn new(mebibytes: u32) -> Self {
        let bound = usize::try_from(mebibytes).unwrap_or_default().saturating_mul(MEBIBYTE) / 2;
        let halves = CacheHalves { young: HashMap::new(), old: HashMap::new(), size: 0 };
        Self { halves: Mutex::new(halves), max_bytes: bound }
    }

    /// Takes a state out; the caller puts its successor in.
    pub(super) fn take(&self, key: &str) -> Option<VersionedState<S>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.remove(key).or_else(|| halves.old.remove(key))
    }

    /// Caches a state whose text has that many bytes.
    pub(super) fn put(&self, key: String, state: VersionedState<S>, text_bytes: usize) {
        let size = 2 * text_bytes + key.len() + OVERHEAD;
        if size > self.max_bytes {
            return;
        }
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves.size + size > self.max_bytes {
            halves.old = mem::take(&mut halves.young);
            halves.size = 0;
        }
        halves.size += size;
        halves.young.insert(key, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept_within_the_bound() {
        let cache = StateCache::new(1);
        let state = VersionedState { version: 1, state: "state" };
        for n in 0..1_000 {
            cache.put(format!("{n:03}"), state.clone(), 2_000);
        }
        let held = cache.halves.lock().map(|halves| halves.young.len() + halves.old.len()).unwrap();
        assert!((123..=246).contains(&held), "{held}");
        assert_eq!(cache.take("999"), Some(state));
        assert_eq!((cache.take("999"), cache.take("000")), (None, None));
    }

    #[test]
    fn nothing_is_kept_without_memory() {
        let cache = StateCache::new(0);
        cache.put("a".to_owned(), VersionedState { version: 1, state: "state" }, 1);
        assert_eq!(cache.take("a"), None);
    }
}
