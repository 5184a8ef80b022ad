//! Records the edits of open editors before generated texts are written.

use std::sync::Arc;

use collaboration::RoomManager;
use domain::value::{ProposalId, TenantId};
use eventstore::store::PgEventStore;
use futures::future::BoxFuture;
use proposal_generation::{SharedEdits, SharedEditsError};

/// The shared texts of this product.
pub(super) struct RecordedEdits(pub(super) Arc<RoomManager<PgEventStore<()>>>);

impl SharedEdits for RecordedEdits {
    fn record_edits<'a>(
        &'a self,
        tenant: &'a TenantId,
        proposal: ProposalId,
    ) -> BoxFuture<'a, Result<(), SharedEditsError>> {
        Box::pin(async move {
            let synced = self.0.proposal_sync().sync_now(tenant, proposal).await;
            synced.map_err(|error| SharedEditsError(error.into()))
        })
    }
}
