//! A random number generator with the same results on every machine and with every version of the random number crates.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A seeded sequence of random choices. Uses integers only, because rounding differs between machines.
#[derive(Debug, Clone)]
pub(crate) struct GeneratorRng(ChaCha8Rng);

impl GeneratorRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below a limit; zero if the limit is zero.
    pub(crate) fn next_below(&mut self, limit: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(limit);
        u32::try_from(product >> 32).unwrap_or_default()
    }

    /// A number from a range, both ends included.
    pub(crate) fn next_between(&mut self, low: u32, high: u32) -> u32 {
        low + self.next_below(high.saturating_sub(low) + 1)
    }

    /// `true` with a probability of `share` per mille.
    pub(crate) fn chance_per_mille(&mut self, share: u32) -> bool {
        self.next_below(1_000) < share
    }

    /// An index below a length.
    pub(crate) fn next_index(&mut self, length: usize) -> usize {
        self.next_below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }

    /// An element of a list, which must not be empty.
    pub(crate) fn pick_from<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.next_index(list.len())]
    }

    /// An element of a list by weight; the list must not be empty.
    pub(crate) fn pick_weighted<T: Copy>(&mut self, list: &[(T, u32)]) -> T {
        let total = list.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.next_below(total);
        for (value, weight) in list {
            if rest < *weight {
                return *value;
            }
            rest -= weight;
        }
        list[list.len() - 1].0
    }

    /// A seed for another generator.
    pub(crate) fn next_seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number of `digits` hexadecimal digits.
    pub(crate) fn next_hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.next_below(16), 16).unwrap_or('0')).collect()
    }
}
