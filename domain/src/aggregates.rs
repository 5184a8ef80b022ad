//! What follows from the list of aggregates in `lib.rs`: contexts, upcasters and fingerprints.
//!
//! The folder of an aggregate has `event.rs`; `build.rs` computes a fingerprint for each folder that has one.

use cqrs_es::Aggregate;

use crate::{
    context::BoundedContext,
    event_version::{VersionHistory, VersionedEvents},
    fingerprint::Fingerprint,
};

pub use crate::with_aggregates;

/// Implements what this crate says about each aggregate.
macro_rules! implement_aggregates {
    ($($context:ident { $($module:ident::$aggregate:ident,)+ })+) => {
        impl BoundedContext {
            /// The types of this context's aggregates.
            pub fn aggregate_types(self) -> &'static [&'static str] {
                match self {
                    $(Self::$context => &[$(<crate::$module::$aggregate as Aggregate>::TYPE,)+],)+
                }
            }
        }

        /// The schema versions of every event of every aggregate.
        pub fn version_histories() -> impl Iterator<Item = &'static VersionHistory> {
            [$($(<crate::$module::$aggregate as Aggregate>::Event::VERSION_HISTORIES,)+)+].into_iter().flatten()
        }

        $($(impl Fingerprint for crate::$module::$aggregate {
            const FINGERPRINT: &'static str = env!(concat!("FINGERPRINT_", stringify!($module)));
        })+)+

        #[cfg(test)]
        const ALL_FINGERPRINTS: &[&str] = &[$($(<crate::$module::$aggregate>::FINGERPRINT,)+)+];
    };
}

with_aggregates!(implement_aggregates);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fingerprints_are_32_hexadecimal_digits_and_differ() {
        for fingerprint in ALL_FINGERPRINTS {
            assert_eq!(fingerprint.len(), 32);
            assert!(fingerprint.chars().all(|digit| digit.is_ascii_hexdigit()));
        }
        assert_eq!(ALL_FINGERPRINTS.iter().collect::<HashSet<_>>().len(), ALL_FINGERPRINTS.len());
    }

    #[test]
    fn every_aggregate_type_belongs_to_its_context() {
        for context in BoundedContext::ALL {
            for aggregate_type in context.aggregate_types() {
                assert_eq!(BoundedContext::from_aggregate_type(aggregate_type), Some(context));
            }
        }
        assert_eq!(BoundedContext::from_aggregate_type("unknown"), None);
    }
}
