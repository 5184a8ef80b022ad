//! Goes through the keys of a generation, for verify.

use super::{key_scan::KeyScan, state_key::GENERATION_ROW, versioned_state_store::VersionedStateStore};
use crate::{QueryError, runtime::ReadModelRow};

/// A scan of the keys of one generation. The server may name a key twice; keys that are written or removed meanwhile may be
/// missing.
pub struct GenerationScan {
    keys: KeyScan,
    prefix: String,
}

impl GenerationScan {
    /// The next keys for whose name, without the generation's prefix, `select` returns something. Empty pages are
    /// possible; `None` is the end.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn next_page<K>(
        &mut self,
        select: impl Fn(&str) -> Option<K>,
    ) -> Result<Option<Vec<(Vec<u8>, K)>>, QueryError> {
        let Some(keys) = self.keys.next_page().await? else { return Ok(None) };
        let mut page = vec![];
        for key in keys {
            let name = String::from_utf8_lossy(key.strip_prefix(self.prefix.as_bytes()).unwrap_or(&key));
            let Some(selected) = select(&name) else { continue };
            page.push((key, selected));
        }
        Ok(Some(page))
    }
}

impl<S: Send> VersionedStateStore<S> {
    /// Starts a scan of this generation.
    pub fn scan_generation(&self) -> GenerationScan {
        GenerationScan { keys: self.client().scan_keys(self.prefix()), prefix: self.prefix().to_owned() }
    }

    /// The row of the markers, which is among the totals.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub(crate) async fn read_marker_row(&self) -> Result<ReadModelRow, QueryError> {
        Ok(ReadModelRow::new(GENERATION_ROW, GENERATION_ROW, self.describe_markers().await?))
    }
}
