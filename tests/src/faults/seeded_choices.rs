//! Random choices that are the same for the same seed.

use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A stream of random choices.
#[derive(Debug, Clone)]
pub struct SeededChoices(ChaCha8Rng);

impl SeededChoices {
    /// Creates one of many independent streams of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A number below `limit`, or zero if the limit is zero.
    pub fn number_below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }

    /// A number from a range, both ends included.
    pub fn number_between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number_below(high.saturating_sub(low) + 1)
    }

    /// A time from a range of milliseconds, both ends included.
    pub fn millis_between(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.number_between(low, high))
    }

    /// True with a probability of `share` percent.
    pub fn random_bool(&mut self, share: u64) -> bool {
        self.number_below(100) < share
    }

    /// One of a non-empty list.
    pub fn pick_item<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index_below(from.len())]
    }

    /// One of a non-empty list, with a probability proportional to its weight.
    pub fn pick_weighted<T: Copy>(&mut self, from: &[(T, u64)]) -> T {
        let mut remaining = self.number_below(from.iter().map(|(_, weight)| weight).sum());
        for &(choice, weight) in from {
            if remaining < weight {
                return choice;
            }
            remaining -= weight;
        }
        from[from.len() - 1].0
    }

    /// Shuffles a list.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.index_below(end + 1);
            list.swap(end, other);
        }
    }

    fn index_below(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.number_below(length)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_choices_and_another_stream_gives_others() {
        let draw = |seed, stream| {
            let mut choices = SeededChoices::new(seed, stream);
            [(); 8].map(|()| choices.number_below(1_000_000))
        };
        assert_eq!(draw(42, 1), draw(42, 1));
        assert_ne!(draw(42, 1), draw(42, 2));
        assert_ne!(draw(42, 1), draw(43, 1));
    }

    #[test]
    fn a_weight_of_zero_is_never_chosen() {
        let mut choices = SeededChoices::new(1, 0);
        assert!((0..1_000).all(|_| choices.pick_weighted(&[('a', 0), ('b', 3), ('c', 1)]) != 'a'));
    }
}
