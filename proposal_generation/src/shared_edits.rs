//! Edits of open editors that are no events yet.

use domain::value::{ProposalId, TenantId};
use futures::future::BoxFuture;

/// Why edits cannot be recorded at present.
#[derive(Debug, thiserror::Error)]
#[error("recording the edits of open editors")]
pub struct SharedEditsError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Records the edits that members have made in a proposal's shared text, so that its sections have their revisions.
pub trait SharedEdits: Send + Sync {
    /// Records all edits so far. Does nothing if there are none.
    ///
    /// # Errors
    /// [`SharedEditsError`] when a store is unavailable or busy; a later call may succeed.
    fn record_edits<'a>(
        &'a self,
        tenant: &'a TenantId,
        proposal: ProposalId,
    ) -> BoxFuture<'a, Result<(), SharedEditsError>>;
}
