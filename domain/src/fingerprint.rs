//! Which code folds an aggregate: snapshots of other code are not trusted.

use crate::{opportunity::Opportunity, visit::Visit, watchlist::Watchlist};

/// An aggregate whose code has a fingerprint.
pub trait Fingerprint {
    /// Changes whenever the source of the aggregate or of the upcasters changes (see `build.rs`).
    const FINGERPRINT: &'static str;
}

impl Fingerprint for Opportunity {
    const FINGERPRINT: &'static str = env!("FINGERPRINT_OPPORTUNITY");
}

impl Fingerprint for Visit {
    const FINGERPRINT: &'static str = env!("FINGERPRINT_VISIT");
}

impl Fingerprint for Watchlist {
    const FINGERPRINT: &'static str = env!("FINGERPRINT_WATCHLIST");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_32_hexadecimal_digits_and_differ() {
        let all = [Opportunity::FINGERPRINT, Visit::FINGERPRINT, Watchlist::FINGERPRINT];
        for fingerprint in all {
            assert_eq!(fingerprint.len(), 32);
            assert!(fingerprint.chars().all(|digit| digit.is_ascii_hexdigit()));
        }
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    }
}
