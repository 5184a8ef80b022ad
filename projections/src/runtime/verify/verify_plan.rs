//! Assigns scopes to the passes of a comparison.

use uuid::Uuid;

use super::VerifyOptions;
use crate::runtime::{BUCKET_COUNT, RowScope, VerifyScope};

/// Approximate number of events whose rows are read as one part, while workers are blocked. Not fewer, because each
/// part costs a scan of the store and some queries, independent of its size.
const EVENTS_PER_PART: u64 = 250_000;

/// The fewest buckets of a part in a long log: the number of scans of the store is bounded.
const MIN_BUCKETS_PER_PART: u32 = 16;

/// The parts to compare in each pass over a log that ends at this position. Totals are compared in the first one, which sees
/// all events in the order of the log; a sample has none.
pub(super) fn plan_passes(options: VerifyOptions, log_end: u64) -> Vec<Vec<VerifyScope>> {
    let buckets: Vec<u32> = match options.sample {
        Some(sample) => sample_buckets(sample.clamp(1, BUCKET_COUNT)),
        None => (0..BUCKET_COUNT).collect(),
    };
    let buckets_per_part = bucket_share(EVENTS_PER_PART, log_end).max(MIN_BUCKETS_PER_PART);
    let buckets_per_pass = bucket_share(options.pass_events, log_end);
    let to_pass = |buckets: &[u32]| {
        let ranges = buckets.chunk_by(|bucket, next| bucket + 1 == *next);
        ranges.flat_map(|range| split_range(range, buckets_per_part)).collect()
    };
    let mut passes: Vec<Vec<VerifyScope>> = buckets.chunks(buckets_per_pass as usize).map(to_pass).collect();
    if options.sample.is_none()
        && let Some(first) = passes.first_mut()
    {
        first.push(VerifyScope::Totals);
    }
    passes
}

/// The number of buckets that hold about this many events of the log, at least one.
fn bucket_share(events: u64, log_end: u64) -> u32 {
    let share = events.saturating_mul(BUCKET_COUNT.into()) / log_end.max(1);
    u32::try_from(share).unwrap_or(BUCKET_COUNT).clamp(1, BUCKET_COUNT)
}

/// Splits consecutive buckets into parts.
fn split_range(buckets: &[u32], buckets_per_part: u32) -> impl Iterator<Item = VerifyScope> {
    let parts = buckets.chunks(buckets_per_part as usize);
    parts.filter_map(|part| Some(VerifyScope::Buckets(*part.first()?..=*part.last()?)))
}

/// Consecutive buckets beginning at a random one, in ascending order; the first bucket follows the last. A bucket is a
/// hash of the stream, so they are as random a sample as separate ones, and are read together.
fn sample_buckets(count: u32) -> Vec<u32> {
    // The last byte of a version 4 UUID is random.
    let [.., random_byte] = Uuid::new_v4().into_bytes();
    let mut buckets: Vec<_> = (0..count).map(|number| (u32::from(random_byte) + number) % BUCKET_COUNT).collect();
    buckets.sort_unstable();
    buckets
}

/// The index of the pass that compares a row or an event.
pub(super) struct PassIndex {
    /// For each bucket; `None` where no pass compares it.
    buckets: Vec<Option<usize>>,
    totals: Option<usize>,
}

impl PassIndex {
    pub(super) fn new(passes: &[Vec<VerifyScope>]) -> Self {
        let pass_of = |row| passes.iter().position(|scopes| scopes.iter().any(|scope| scope.contains_row(row)));
        Self {
            buckets: (0..BUCKET_COUNT).map(|bucket| pass_of(RowScope::Bucket(bucket))).collect(),
            totals: pass_of(RowScope::Totals),
        }
    }

    pub(super) fn find(&self, row: RowScope) -> Option<usize> {
        match row {
            RowScope::Bucket(bucket) => self.buckets.get(bucket as usize).copied().flatten(),
            RowScope::Totals => self.totals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(passes: &[Vec<VerifyScope>]) -> Vec<u32> {
        let ranges = passes.iter().flatten().filter_map(|scope| match scope {
            VerifyScope::Buckets(range) => Some(range.clone()),
            VerifyScope::Totals => None,
        });
        ranges.flatten().collect()
    }

    #[test]
    fn every_bucket_and_the_totals_are_compared_once() {
        for log_end in [0, 1, 29_999, 60_001, 500_000, 500_001, 7_654_321, 128_000_000, u64::MAX] {
            let passes = plan_passes(VerifyOptions::default(), log_end);
            assert_eq!(buckets(&passes), (0..BUCKET_COUNT).collect::<Vec<_>>(), "{log_end}");
            let totals = passes.iter().flatten().filter(|scope| **scope == VerifyScope::Totals).count();
            assert_eq!(totals, 1, "{log_end}");
        }
    }

    #[test]
    fn a_longer_log_is_compared_in_more_passes_and_parts() {
        let plan = |log_end| {
            let passes = plan_passes(VerifyOptions::default(), log_end);
            (passes.len(), passes.iter().flatten().count() - 1)
        };
        assert_eq!([0, 250_000, 500_000].map(plan), [(1, 1), (1, 1), (1, 2)]);
        assert_eq!([1_000_000, 8_000_000, u64::MAX].map(plan), [(2, 4), (16, 16), (256, 256)]);
    }

    #[test]
    fn a_sample_has_the_requested_number_of_different_buckets() {
        for (requested, expected) in [(0, 1), (1, 1), (7, 7), (100, 100), (256, 256), (9_999, 256)] {
            for log_end in [5, 5_000_000] {
                let chosen = buckets(&plan_passes(
                    VerifyOptions { sample: Some(requested), ..VerifyOptions::default() },
                    log_end,
                ));
                assert_eq!(chosen.len(), expected);
                let (is_sorted, is_bucket) =
                    (chosen.is_sorted_by(|bucket, next| bucket < next), |bucket: &u32| *bucket < BUCKET_COUNT);
                assert!(is_sorted && chosen.iter().all(is_bucket), "{chosen:?}");
            }
        }
    }

    #[test]
    fn a_large_sample_is_compared_in_several_passes_without_totals() {
        let options = VerifyOptions { sample: Some(64), pass_events: 100_000 };
        let passes = plan_passes(options, 10_000_000);
        assert_eq!(passes.len(), 32, "two buckets have some 80,000 events");
        assert!(passes.iter().flatten().all(|scope| *scope != VerifyScope::Totals));
    }

    #[test]
    fn every_bucket_is_in_some_sample() {
        let sample = || buckets(&plan_passes(VerifyOptions { sample: Some(100), ..VerifyOptions::default() }, 1));
        let chosen: std::collections::BTreeSet<_> = (0..200).flat_map(|_| sample()).collect();
        assert_eq!(chosen.len(), BUCKET_COUNT as usize);
    }

    #[test]
    fn what_no_pass_compares_has_no_pass() {
        let passes = [vec![VerifyScope::Buckets(0..=9), VerifyScope::Totals], vec![VerifyScope::Buckets(20..=29)]];
        let index = PassIndex::new(&passes);
        let found = [9, 10, 20, 255].map(|bucket| index.find(RowScope::Bucket(bucket)));
        assert_eq!(found, [Some(0), None, Some(1), None]);
        assert_eq!(index.find(RowScope::Totals), Some(0));
        assert_eq!(PassIndex::new(&passes[1..]).find(RowScope::Totals), None);
    }
}
