//! The content of a file as it arrives, measured while it is written: its length, hash and beginning.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use sha2::{Digest, Sha256};

use super::{ObjectOwner, ObjectStoreError, StoredObject};

/// Number of bytes at the beginning of a file that its media type is detected from.
const HEAD_BYTES: usize = 4_096;

/// Content that is measured as it arrives.
pub(crate) struct MeteredContent<'a> {
    body: BoxStream<'a, Result<Bytes, ObjectStoreError>>,
    max_bytes: u64,
    bytes: u64,
    digest: Sha256,
    head: Vec<u8>,
}

impl<'a> MeteredContent<'a> {
    pub(crate) fn new<E: 'a>(body: impl Stream<Item = Result<Bytes, E>> + Send + 'a, max_bytes: u64) -> Self
    where
        ObjectStoreError: From<E>,
    {
        let body = body.map_err(ObjectStoreError::from).boxed();
        Self { body, max_bytes, bytes: 0, digest: Sha256::new(), head: Vec::new() }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`ObjectStoreError::TooLong`] when the content is longer than allowed, or the error of the body.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Bytes>, ObjectStoreError> {
        let Some(part) = self.body.try_next().await? else { return Ok(None) };
        self.bytes = self.bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        if self.bytes > self.max_bytes {
            return Err(ObjectStoreError::TooLong(self.max_bytes));
        }
        self.head.extend(part.iter().take(HEAD_BYTES.saturating_sub(self.head.len())));
        self.digest.update(&part);
        Ok(Some(part))
    }

    /// Returns what was measured, as a file of `owner`.
    pub(crate) fn finish(self, owner: &ObjectOwner) -> StoredObject {
        let sha256 = format!("{:x}", self.digest.finalize());
        let key = format!("{}/{}/{sha256}", owner.tenant, owner.document);
        StoredObject { key, sha256, bytes: self.bytes, head: self.head }
    }
}
