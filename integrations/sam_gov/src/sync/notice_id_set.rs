//! A set of ids of notices in little memory.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::SyncError;

/// More notices than any source lists; each costs some 20 bytes of memory.
const MAX_NOTICES: usize = 4_000_000;

/// Ids of notices, as digests.
#[derive(Default)]
pub(super) struct NoticeIdSet(HashSet<u128>);

impl NoticeIdSet {
    /// Adds an id; `false` if it was in the set.
    ///
    /// # Errors
    /// [`SyncError::TooManyNotices`].
    pub(super) fn insert(&mut self, notice_id: &str) -> Result<bool, SyncError> {
        if self.0.len() >= MAX_NOTICES {
            return Err(SyncError::TooManyNotices { limit: MAX_NOTICES });
        }
        Ok(self.0.insert(hash_id(notice_id)))
    }

    pub(super) fn contains(&self, notice_id: &str) -> bool {
        self.0.contains(&hash_id(notice_id))
    }

    /// The number of different ids.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

fn hash_id(notice_id: &str) -> u128 {
    let digest = Sha256::digest(notice_id.as_bytes());
    digest.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
