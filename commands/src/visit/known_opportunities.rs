//! Opportunities that are on record, so that the log is asked about each of them once.

use std::{
    collections::{BTreeSet, HashSet},
    mem,
    sync::{Mutex, PoisonError},
};

/// Ids that each half holds: about 5 MB in both.
const HALF: usize = 50_000;

/// A bounded set of ids. It has two halves: what is used moves to the young one, and when that is full, the old one is
/// dropped and the young one becomes old.
#[derive(Debug, Default)]
pub(super) struct KnownOpportunities(Mutex<KnownHalves>);

#[derive(Debug, Default)]
struct KnownHalves {
    young: HashSet<String>,
    old: HashSet<String>,
}

impl KnownHalves {
    fn add(&mut self, id: String) {
        if self.young.len() >= HALF {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}

impl KnownOpportunities {
    /// Those of `ids` that are not in here.
    pub(super) fn filter_unknown(&self, mut ids: BTreeSet<String>) -> BTreeSet<String> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.retain(|id| {
            if halves.young.contains(id) {
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

    /// Takes ids in.
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
    fn what_was_used_last_is_kept_within_the_bound() {
        let known = KnownOpportunities::default();
        for number in 0..5 * HALF {
            known.add([number.to_string()]);
        }
        let held = known.0.lock().map(|halves| halves.young.len() + halves.old.len()).unwrap();
        assert!((HALF..=2 * HALF).contains(&held), "{held}");
        let last = (5 * HALF - 1).to_string();
        let asked = BTreeSet::from(["0".to_owned(), last]);
        assert_eq!(known.filter_unknown(asked), BTreeSet::from(["0".to_owned()]));
    }
}
