//! Where daily digests get their results from.

use chrono::{DateTime, Utc};
use domain::{
    inbox::DigestItem,
    value::{TenantId, UserId},
};
use futures::future::BoxFuture;

/// The results of one user's searches in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestResults {
    /// The newest results, at most as many as asked for.
    pub items: Vec<DigestItem>,
    /// Number of further results.
    pub more: u64,
}

/// The error of a source.
pub type DigestSourceError = Box<dyn std::error::Error + Send + Sync>;

/// Finds what a daily digest is about.
pub trait DigestSource: Send + Sync {
    /// Finds the results of the user's searches with daily notification that were found after `since`, up to `until`.
    fn find_results<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> BoxFuture<'a, Result<DigestResults, DigestSourceError>>;

    /// Records that a digest has announced the results of this period.
    fn mark_announced<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<(), DigestSourceError>>;
}
