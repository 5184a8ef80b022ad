//! Distributes views over opportunities by Zipf's law: rank k has one k-th of the views of rank 1.

use domain::opportunity::OpportunityId;

use crate::generator_rng::GeneratorRng;

/// The weight of the first rank. Sums of weights stay below 32 bits for a billion opportunities.
const FIRST_WEIGHT: u32 = 1_000_000;

/// Opportunities by rank, and the sum of the weights up to each.
pub(super) struct OpportunityPopularity {
    ids: Vec<OpportunityId>,
    sums: Vec<u32>,
}

impl OpportunityPopularity {
    /// Assigns a random rank to each opportunity.
    pub(super) fn new(mut ids: Vec<OpportunityId>, rng: &mut GeneratorRng) -> Self {
        for end in (1..ids.len()).rev() {
            ids.swap(end, rng.next_index(end + 1));
        }
        let weights = (1_u32..).take(ids.len()).map(|rank| (FIRST_WEIGHT / rank).max(1));
        let sums = weights.scan(0_u32, |sum, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        Self { sums: sums.collect(), ids }
    }

    /// Picks an opportunity by weight; `None` if there are none.
    pub(super) fn pick(&self, rng: &mut GeneratorRng) -> Option<&OpportunityId> {
        let chosen = rng.next_below(*self.sums.last()?);
        self.ids.get(self.sums.partition_point(|sum| *sum <= chosen))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_first_rank_is_picked_twice_as_often_as_the_second_and_ten_times_as_often_as_the_tenth() {
        let ids = (0..100).map(|number| OpportunityId::parse(&format!("036:{number}")).unwrap()).collect();
        let mut rng = GeneratorRng::new(7);
        let popularity = OpportunityPopularity::new(ids, &mut rng);
        let mut picked: HashMap<&OpportunityId, u32> = HashMap::new();
        for _ in 0..100_000 {
            *picked.entry(popularity.pick(&mut rng).unwrap()).or_default() += 1;
        }
        let picks_of = |rank: usize| picked[&popularity.ids[rank - 1]];
        // The first rank has an expectation of 100,000 / (1 + 1/2 + .. + 1/100) = 19,278.
        assert!(picks_of(1).abs_diff(19_278) < 600, "{}", picks_of(1));
        assert!(picks_of(2).abs_diff(9_639) < 450, "{}", picks_of(2));
        assert!(picks_of(10).abs_diff(1_928) < 220, "{}", picks_of(10));
        assert_eq!(picked.len(), 100);
    }

    #[test]
    fn ranks_depend_on_the_seed() {
        let ids: Vec<_> = (0..50).map(|number| OpportunityId::parse(&format!("036:{number}")).unwrap()).collect();
        let first_rank = |seed| OpportunityPopularity::new(ids.clone(), &mut GeneratorRng::new(seed)).ids[0].clone();
        assert_eq!(first_rank(1), first_rank(1));
        assert!((2..10).any(|seed| first_rank(seed) != first_rank(1)));
    }

    #[test]
    fn without_opportunities_none_is_picked() {
        let mut rng = GeneratorRng::new(1);
        assert_eq!(OpportunityPopularity::new(vec![], &mut rng).pick(&mut rng), None);
    }
}
