//! Identifies the code that folds an aggregate; snapshots written by other code are discarded.

use crate::{
    company::Company, document::Document, inbox::Inbox, opportunity::Opportunity, proposal::Proposal,
    resource::Resource, task::Task, visit::Visit, watchlist::Watchlist,
};

/// An aggregate whose code has a fingerprint.
pub trait Fingerprint {
    /// Changes whenever the source of the aggregate or of the upcasters changes (see `build.rs`).
    const FINGERPRINT: &'static str;
}

/// Implements [`Fingerprint`] with the digests that `build.rs` computed.
macro_rules! fingerprints {
    ($($aggregate:ty = $variable:literal,)+) => {
        $(impl Fingerprint for $aggregate {
            const FINGERPRINT: &'static str = env!($variable);
        })+

        #[cfg(test)]
        const ALL: &[&str] = &[$(<$aggregate>::FINGERPRINT,)+];
    };
}

fingerprints! {
    Company = "FINGERPRINT_COMPANY",
    Document = "FINGERPRINT_DOCUMENT",
    Inbox = "FINGERPRINT_INBOX",
    Opportunity = "FINGERPRINT_OPPORTUNITY",
    Proposal = "FINGERPRINT_PROPOSAL",
    Resource = "FINGERPRINT_RESOURCE",
    Task = "FINGERPRINT_TASK",
    Visit = "FINGERPRINT_VISIT",
    Watchlist = "FINGERPRINT_WATCHLIST",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fingerprints_are_32_hexadecimal_digits_and_differ() {
        for fingerprint in ALL {
            assert_eq!(fingerprint.len(), 32);
            assert!(fingerprint.chars().all(|digit| digit.is_ascii_hexdigit()));
        }
        assert_eq!(ALL.iter().collect::<HashSet<_>>().len(), ALL.len(), "{ALL:?}");
    }
}
