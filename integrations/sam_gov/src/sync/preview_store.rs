//! A log that discards appends, for a run that only reports what it would record.

use domain::event_store::{BatchStore, NewEvent, StoreError, StoredEvent};

/// Reads from a log, and drops what is appended.
pub(super) struct PreviewStore<S>(pub(super) S);

impl<S: BatchStore> BatchStore for PreviewStore<S> {
    async fn load_streams(
        &self,
        aggregate_type: &'static str,
        aggregate_ids: &[String],
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.0.load_streams(aggregate_type, aggregate_ids).await
    }

    async fn append_events(&self, _events: Vec<NewEvent>) -> Result<(), StoreError> {
        Ok(())
    }
}
