//! The texts of documents in the object store, as the search index reads them.

use futures::future::BoxFuture;
use objects::{ObjectStore, ObjectStoreError};
use projections::opportunity_search::{DocumentTextSource, DocumentTextSourceError};

/// Reads texts from the object store.
pub(super) struct DocumentTexts {
    objects: ObjectStore,
}

impl DocumentTexts {
    pub(super) fn new(objects: ObjectStore) -> Self {
        Self { objects }
    }

    async fn read(&self, key: &str, max_bytes: u64) -> Result<Option<String>, ObjectStoreError> {
        let Some(reader) = self.objects.open(key).await? else { return Ok(None) };
        match reader.read_all(max_bytes).await {
            Ok(content) => {
                let text = String::from_utf8(content.into());
                Ok(Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
            }
            Err(error @ (ObjectStoreError::TooLong(_) | ObjectStoreError::Removed)) => {
                tracing::debug!(object.key = key, reason = %error, "a document's text cannot be indexed");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl DocumentTextSource for DocumentTexts {
    fn read_text<'a>(
        &'a self,
        key: &'a str,
        max_bytes: u64,
    ) -> BoxFuture<'a, Result<Option<String>, DocumentTextSourceError>> {
        Box::pin(async move { self.read(key, max_bytes).await.map_err(DocumentTextSourceError::new) })
    }
}
