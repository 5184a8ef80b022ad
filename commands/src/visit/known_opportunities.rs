//! Remembers which opportunities are recorded, so that each is looked up in the log once.

use std::{
    collections::{BTreeSet, HashSet},
    mem,
    sync::{Mutex, PoisonError},
};

/// Maximum number of ids in each half. Both halves together take about 5 MB.
const HALF_CAPACITY: usize = 50_000;

/// A bounded set of ids in two halves. An id that is looked up moves to the recent half. When the recent half is full,
/// it replaces the old half, whose ids are dropped.
#[derive(Debug, Default)]
pub(super) struct KnownOpportunities(Mutex<KnownHalves>);

#[derive(Debug, Default)]
struct KnownHalves {
    recent: HashSet<String>,
    old: HashSet<String>,
}

impl KnownHalves {
    fn add(&mut self, id: String) {
        if self.recent.len() >= HALF_CAPACITY {
            self.old = mem::take(&mut self.recent);
        }
        self.recent.insert(id);
    }
}

impl KnownOpportunities {
    /// Returns the ids that are not in this set.
    pub(super) fn filter_unknown(&self, mut ids: BTreeSet<String>) -> BTreeSet<String> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|id| {
            if halves.recent.contains(id) {
                return false;
            }
            match halves.old.take(id) {
                Some(id) => {
                    halves.add(id);
                    false
                }
                None => true,
            }
        });
        ids
    }

    pub(super) fn add(&self, ids: impl IntoIterator<Item = String>) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            halves.add(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_ids_are_known_and_the_size_is_bounded() {
        let known = KnownOpportunities::default();
        for number in 0..5 * HALF_CAPACITY {
            known.add([number.to_string()]);
        }
        let size = known.0.lock().map(|halves| halves.recent.len() + halves.old.len()).unwrap();
        assert!((HALF_CAPACITY..=2 * HALF_CAPACITY).contains(&size), "{size}");
        let newest = (5 * HALF_CAPACITY - 1).to_string();
        let ids = BTreeSet::from(["0".to_owned(), newest]);
        assert_eq!(known.filter_unknown(ids), BTreeSet::from(["0".to_owned()]));
    }
}
