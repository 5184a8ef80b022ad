//! Measures the content of a file while it is written: its length, hash and beginning.

use sha2::{Digest, Sha256};

use super::{ObjectOwner, ObjectStoreError, StoredObject};

/// Bytes at the beginning of a file by which its media type is detected.
const HEAD_BYTES: usize = 4_096;

/// Measures content in the order in which it arrives.
#[derive(Debug)]
pub(crate) struct ContentMeter {
    max_bytes: u64,
    bytes: u64,
    digest: Sha256,
    head: Vec<u8>,
}

impl ContentMeter {
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, bytes: 0, digest: Sha256::new(), head: Vec::new() }
    }

    /// Adds the next part.
    ///
    /// # Errors
    /// [`ObjectStoreError::TooLong`] when the content is longer than allowed; the part must not be stored then.
    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), ObjectStoreError> {
        self.bytes = self.bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        if self.bytes > self.max_bytes {
            return Err(ObjectStoreError::TooLong(self.max_bytes));
        }
        self.head.extend(part.iter().take(HEAD_BYTES.saturating_sub(self.head.len())));
        self.digest.update(part);
        Ok(())
    }

    /// Returns what was measured, as a file of `owner`.
    pub(crate) fn finish(self, owner: &ObjectOwner) -> StoredObject {
        let sha256 = format!("{:x}", self.digest.finalize());
        let key = format!("{}/{}/{sha256}", owner.tenant, owner.document);
        StoredObject { key, sha256, bytes: self.bytes, head: self.head }
    }
}
