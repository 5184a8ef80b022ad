//! Which code folds an aggregate: snapshots of other code are not trusted.

use crate::opportunity::Opportunity;

/// An aggregate whose code has a fingerprint.
pub trait Fingerprint {
    /// Changes whenever the source of the aggregate or of the upcasters changes (see `build.rs`).
    const FINGERPRINT: &'static str;
}

impl Fingerprint for Opportunity {
    const FINGERPRINT: &'static str = env!("FINGERPRINT_OPPORTUNITY");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_32_hexadecimal_digits() {
        assert_eq!(Opportunity::FINGERPRINT.len(), 32);
        assert!(Opportunity::FINGERPRINT.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
