//! Where the texts of documents are read from: events have only their keys.

use futures::future::BoxFuture;

use crate::error::BoxedError;

/// Reads the texts that were extracted from documents: plain texts with a form feed between pages.
pub trait DocumentTextSource: Send + Sync {
    /// The text with this key; `None` if there is none, as after its document was deleted, and if it has more than
    /// `max_bytes` bytes.
    ///
    /// # Errors
    /// [`DocumentTextSourceError`] when the source does not answer.
    fn read_text<'a>(
        &'a self,
        key: &'a str,
        max_bytes: u64,
    ) -> BoxFuture<'a, Result<Option<String>, DocumentTextSourceError>>;
}

/// The texts of documents cannot be read at present.
#[derive(Debug, thiserror::Error)]
#[error("reading the text of a document")]
pub struct DocumentTextSourceError(#[source] BoxedError);

impl DocumentTextSourceError {
    /// Wraps the error of a source that does not answer.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}
