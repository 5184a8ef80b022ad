//! A cache of the states that were written last, so that they need not be read for the next events of the same streams.
//!
//! A cached state is outdated when another writer has changed it. The script that writes compares versions, so an
//! outdated state costs one more round trip and is never written.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use super::state_batch::VersionedState;

const MEBIBYTE: usize = 1 << 20;

/// Bytes of a state beyond its text: the parsed form is larger than the text, and maps have room to grow.
const OVERHEAD: usize = 256;

/// A bounded cache of states by their keys. It has two halves: states are put into the young one, and when that is
/// full, the old one is dropped and the young one becomes the old one.
pub(super) struct StateCache<S> {
    halves: Mutex<CacheHalves<S>>,
    /// Size of each half, in bytes.
    max_bytes: usize,
}

struct CacheHalves<S> {
    young: HashMap<Arc<str>, VersionedState<S>>,
    old: HashMap<Arc<str>, VersionedState<S>>,
    /// Size of the young half, in bytes.
    size: usize,
}

impl<S> StateCache<S> {
    pub(super) fn new(mebibytes: u32) -> Self {
        let max_bytes = usize::try_from(mebibytes).unwrap_or_default().saturating_mul(MEBIBYTE) / 2;
        let halves = CacheHalves { young: HashMap::new(), old: HashMap::new(), size: 0 };
        Self { halves: Mutex::new(halves), max_bytes }
    }

    /// Removes and returns a state; the caller puts the next version in.
    pub(super) fn take(&self, key: &str) -> Option<VersionedState<S>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.remove(key).or_else(|| halves.old.remove(key))
    }

    /// Caches states: the key of each, the state, and the length of its text in bytes.
    pub(super) fn put_all(&self, states: Vec<(Arc<str>, VersionedState<S>, usize)>) {
        // The old half is dropped after the lock is released: that takes milliseconds, and other writers wait.
        let mut dropped = vec![];
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, state, text_bytes) in states {
            let size = 2 * text_bytes + key.len() + OVERHEAD;
            if size > self.max_bytes {
                continue;
            }
            if halves.size + size > self.max_bytes {
                // The new young half keeps the room of the old one: a map that grows hashes all of its keys again.
                let CacheHalves { young, old, .. } = &mut *halves;
                mem::swap(young, old);
                dropped.extend(young.drain());
                halves.size = 0;
            }
            halves.size += size;
            halves.young.insert(key, state);
        }
        drop(halves);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_used_last_are_kept_within_the_limit() {
        let cache = StateCache::new(1);
        let state = VersionedState { version: 1, state: "state" };
        for n in 0..1_000 {
            cache.put_all(vec![(format!("{n:03}").into(), state.clone(), 2_000)]);
        }
        let held = cache.halves.lock().map(|halves| halves.young.len() + halves.old.len()).unwrap();
        assert!((123..=246).contains(&held), "{held}");
        assert_eq!(cache.take("999"), Some(state));
        assert_eq!((cache.take("999"), cache.take("000")), (None, None));
    }

    #[test]
    fn a_cache_of_zero_bytes_keeps_nothing() {
        let cache = StateCache::new(0);
        cache.put_all(vec![("a".into(), VersionedState { version: 1, state: "state" }, 1)]);
        assert_eq!(cache.take("a"), None);
    }
}
