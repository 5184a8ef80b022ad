//! Which opportunities are seen how often: by Zipf's law, the one at rank k a k-th as often as the first.

use domain::opportunity::OpportunityId;

use crate::generator_rng::GeneratorRng;

/// The weight of the first rank. Sums of weights stay below 32 bits for a billion opportunities.
const FIRST: u32 = 1_000_000;

/// Opportunities by rank, and the sums of the weights up to each.
pub(super) struct OpportunityPopularity {
    ids: Vec<OpportunityId>,
    sums: Vec<u32>,
}

impl OpportunityPopularity {
    /// Gives each opportunity a rank by chance.
    pub(super) fn new(mut ids: Vec<OpportunityId>, dice: &mut GeneratorRng) -> Self {
        for end in (1..ids.len()).rev() {
            ids.swap(end, dice.next_index(end + 1));
        }
        let weights = (1_u32..).take(ids.len()).map(|rank| (FIRST / rank).max(1));
        let sums = weights.scan(0_u32, |sum, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        Self { sums: sums.collect(), ids }
    }

    /// One of the opportunities; `None` where there are none.
    pub(super) fn pick(&self, dice: &mut GeneratorRng) -> Option<&OpportunityId> {
        let chosen = dice.next_below(*self.sums.last()?);
        self.ids.get(self.sums.partition_point(|sum| *sum <= chosen))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_first_rank_is_seen_twice_as_often_as_the_second_and_ten_times_as_often_as_the_tenth() {
        let ids = (0..100).map(|number| OpportunityId::parse(&format!("036:{number}")).unwrap()).collect();
        let mut dice = GeneratorRng::new(7);
        let popularity = OpportunityPopularity::new(ids, &mut dice);
        let mut seen: HashMap<&OpportunityId, u32> = HashMap::new();
        for _ in 0..100_000 {
            *seen.entry(popularity.pick(&mut dice).unwrap()).or_default() += 1;
        }
        let at = |rank: usize| seen[&popularity.ids[rank - 1]];
        // The first has 100,000 / (1 + 1/2 + .. + 1/100) = 19,278.
        assert!(at(1).abs_diff(19_278) < 600, "{}", at(1));
        assert!(at(2).abs_diff(9_639) < 450, "{}", at(2));
        assert!(at(10).abs_diff(1_928) < 220, "{}", at(10));
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn ranks_are_given_by_chance() {
        let ids: Vec<_> = (0..50).map(|number| OpportunityId::parse(&format!("036:{number}")).unwrap()).collect();
        let first = |seed| OpportunityPopularity::new(ids.clone(), &mut GeneratorRng::new(seed)).ids[0].clone();
        assert_eq!(first(1), first(1));
        assert!((2..10).any(|seed| first(seed) != first(1)));
    }

    #[test]
    fn without_opportunities_none_is_picked() {
        let mut dice = GeneratorRng::new(1);
        assert_eq!(OpportunityPopularity::new(vec![], &mut dice).pick(&mut dice), None);
    }
}
