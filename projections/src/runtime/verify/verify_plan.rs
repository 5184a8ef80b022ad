//! Plans which parts are compared in which pass through the log.

use uuid::Uuid;

use super::VerifyOptions;
use crate::runtime::{BUCKET_COUNT, VerifyScope};

/// Buckets of one part, when everything is compared.
const BUCKETS_PER_PART: u32 = 16;

/// The parts to compare in each pass through the log: one pass for a sample, otherwise at most `max_passes`.
pub(super) fn plan_passes(options: VerifyOptions, max_passes: u64) -> Vec<Vec<VerifyScope>> {
    if let Some(sample) = options.sample {
        let chosen = sample_buckets(sample.clamp(1, BUCKET_COUNT));
        return vec![chosen.into_iter().map(|bucket| VerifyScope::Buckets(bucket..=bucket)).collect()];
    }
    let max_passes = u32::try_from(max_passes).unwrap_or(BUCKET_COUNT).clamp(1, BUCKET_COUNT);
    let buckets_per_pass = BUCKET_COUNT.div_ceil(max_passes);
    let mut passes: Vec<Vec<VerifyScope>> = vec![];
    for start in (0..BUCKET_COUNT).step_by(buckets_per_pass as usize) {
        let end = (start + buckets_per_pass).min(BUCKET_COUNT);
        let parts = (start..end).step_by(BUCKETS_PER_PART as usize);
        passes.push(parts.map(|from| VerifyScope::Buckets(from..=(from + BUCKETS_PER_PART).min(end) - 1)).collect());
    }
    if let Some(last) = passes.last_mut() {
        last.push(VerifyScope::Totals);
    }
    passes
}

/// Chooses `count` different buckets at random.
fn sample_buckets(count: u32) -> Vec<u32> {
    let mut chosen: Vec<(Uuid, u32)> = (0..BUCKET_COUNT).map(|bucket| (Uuid::new_v4(), bucket)).collect();
    chosen.sort_unstable();
    let mut chosen: Vec<u32> = chosen.into_iter().take(count as usize).map(|(_, bucket)| bucket).collect();
    chosen.sort_unstable();
    chosen
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
        for max_passes in [1, 2, 3, 17, 200, 256, 100_000] {
            let passes = plan_passes(VerifyOptions::default(), max_passes);
            assert_eq!(buckets(&passes), (0..BUCKET_COUNT).collect::<Vec<_>>(), "{max_passes}");
            let totals = passes.iter().flatten().filter(|scope| **scope == VerifyScope::Totals).count();
            assert_eq!(totals, 1, "{max_passes}");
        }
        assert_eq!(plan_passes(VerifyOptions::default(), 1).len(), 1);
    }

    #[test]
    fn a_sample_has_the_requested_number_of_different_buckets() {
        for (requested, expected) in [(0, 1), (1, 1), (7, 7), (256, 256), (9_999, 256)] {
            let chosen = buckets(&plan_passes(VerifyOptions { sample: Some(requested) }, 5));
            assert_eq!(chosen.len(), expected);
            assert!(
                chosen.is_sorted_by(|bucket, next| bucket < next) && chosen.iter().all(|bucket| *bucket < BUCKET_COUNT)
            );
        }
    }
}
