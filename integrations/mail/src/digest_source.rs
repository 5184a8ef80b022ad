//! Where daily digests get their results from.

use chrono::{DateTime, Utc};
use domain::{
    inbox::DigestItem,
    value::{TenantId, UserId},
};
use futures::future::BoxFuture;

/// The user whom a digest is for, and the time whose results it announces.
#[derive(Debug, Clone, Copy)]
pub struct DigestPeriod<'a> {
    /// The user's company.
    pub tenant: &'a TenantId,
    /// The user.
    pub user: &'a UserId,
    /// Results that were found after this time.
    pub since: DateTime<Utc>,
    /// Results that were found up to this time.
    pub until: DateTime<Utc>,
}

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
    /// Finds the results of the user's searches with daily notification.
    fn find_results<'a>(
        &'a self,
        period: DigestPeriod<'a>,
        limit: usize,
    ) -> BoxFuture<'a, Result<DigestResults, DigestSourceError>>;

    /// Records that a digest has announced the results of this period.
    fn mark_announced<'a>(&'a self, period: DigestPeriod<'a>) -> BoxFuture<'a, Result<(), DigestSourceError>>;
}
