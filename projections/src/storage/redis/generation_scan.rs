//! Goes through the keys of a generation, for verify.

use std::collections::HashSet;

use super::{key_scan::KeyScan, state_key::GENERATION_ROW, versioned_state_store::VersionedStateStore};
use crate::{
    QueryError,
    runtime::{ReadModelRow, VerifyScope},
};

/// A scan of the keys of one generation. Keys that are written or removed meanwhile may be missing.
pub struct GenerationScan<'a> {
    keys: KeyScan,
    prefix: &'a str,
    /// Keys that were returned: the server may name one twice.
    seen: HashSet<Vec<u8>>,
}

impl GenerationScan<'_> {
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
            if self.seen.insert(key.clone()) {
                page.push((key, selected));
            }
        }
        Ok(Some(page))
    }
}

impl<S: Send> VersionedStateStore<S> {
    /// Starts a scan of this generation.
    pub fn scan_generation(&self) -> GenerationScan<'_> {
        GenerationScan { keys: self.client().scan_keys(self.prefix()), prefix: self.prefix(), seen: HashSet::new() }
    }

    /// The row of the markers, if the scope has it: it is among the totals.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub(crate) async fn read_marker_row(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        Ok(match scope {
            VerifyScope::Totals => {
                vec![ReadModelRow::new(GENERATION_ROW, GENERATION_ROW, self.describe_markers().await?)]
            }
            VerifyScope::Buckets(_) => vec![],
        })
    }
}
