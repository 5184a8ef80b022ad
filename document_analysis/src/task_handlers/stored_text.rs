//! The text of a document in the object store: plain text with a form feed between pages, as `/documents/{id}/text`
//! returns it and as workers of companies may send it.

use std::convert::Infallible;

use bytes::Bytes;
use domain::{
    document::{ObjectKey, UploadedDocument},
    error_chain::format_error_chain,
};
use futures::stream;
use objects::{ObjectOwner, ObjectStore, ObjectStoreError};
use task_workers::{ClaimedTask, TaskFailure};

use super::computation::analysis_failure;
use crate::{
    PagedText,
    text_memory::{ReservedMemory, TextMemory},
};

/// Longest text in bytes.
const MAX_TEXT_BYTES: u64 = 20 << 20;

/// Writes and reads texts.
#[derive(Clone)]
pub(super) struct StoredText {
    objects: ObjectStore,
    memory: TextMemory,
}

/// A text with the memory that is reserved for its analysis.
pub(super) struct LoadedText {
    pub(super) text: PagedText,
    pub(super) _memory: ReservedMemory,
}

impl StoredText {
    pub(super) fn new(objects: ObjectStore) -> Self {
        Self { objects, memory: TextMemory::new() }
    }

    /// Stores a text as a file of the document; returns its key.
    ///
    /// # Errors
    /// [`TaskFailure`] when the text is too long, or the object store does not answer.
    pub(super) async fn write(&self, owner: &ObjectOwner, text: PagedText) -> Result<ObjectKey, TaskFailure> {
        let content = stream::iter(text.into_plain_text_parts().map(|part| Ok::<_, Infallible>(Bytes::from(part))));
        let stored = self.objects.put(owner, content, MAX_TEXT_BYTES).await.map_err(|error| storage_failure(&error))?;
        ObjectKey::try_new(&stored.key).map_err(|error| TaskFailure::never(&error.to_string()))
    }

    /// The text of the task's document, when there is memory for it.
    ///
    /// # Errors
    /// [`TaskFailure`] when there is no text, it has too many lines, or the object store does not answer.
    pub(super) async fn read(
        &self,
        task: &ClaimedTask,
        document: &UploadedDocument,
    ) -> Result<LoadedText, TaskFailure> {
        let Some(text) = &document.text else {
            return Err(TaskFailure::never("the text of the document was not extracted"));
        };
        let opened = self.objects.open(text.text_key.as_str()).await.map_err(|error| storage_failure(&error))?;
        let Some(reader) = opened else {
            tracing::error!(
                task.id = task.task_id,
                key = text.text_key.as_str(),
                "text of a document is missing in the object store"
            );
            return Err(TaskFailure::never("the text of the document is missing in the object store"));
        };
        let memory = self.memory.reserve(reader.length()).await;
        let content = reader.read_all(MAX_TEXT_BYTES).await.map_err(|error| storage_failure(&error))?;
        // Workers of companies send UTF-8 only; anything else is no text that a page could be found in.
        let text = std::str::from_utf8(&content)
            .map_err(|_| TaskFailure::never("the text of the document is not UTF-8; record it again"))?;
        PagedText::check_plain_text(text).map_err(|error| analysis_failure(&error))?;
        Ok(LoadedText { text: PagedText::from_plain_text(text), _memory: memory })
    }
}

/// The failure of a task because of the object store.
pub(super) fn storage_failure(error: &ObjectStoreError) -> TaskFailure {
    match error {
        ObjectStoreError::TooLong(bytes) => {
            TaskFailure::never(&format!("the text is longer than {bytes} bytes; split the document"))
        }
        ObjectStoreError::Removed => TaskFailure::later("the file was removed while it was being read"),
        ObjectStoreError::Body(_)
        | ObjectStoreError::InvalidForm(_)
        | ObjectStoreError::Io(_)
        | ObjectStoreError::Unavailable { .. }
        | ObjectStoreError::AccessDenied { .. }
        | ObjectStoreError::MissingBucket { .. } => {
            // The details concern operators; the user reads that it is not the file.
            tracing::warn!(reason = format_error_chain(error), "reading or writing the object store for a task failed");
            TaskFailure::later("the object store is unavailable")
        }
    }
}
