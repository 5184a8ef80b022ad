//! Reads the keys of a generation as rows of a comparison: by one scan, or those of some rows again.

use std::{collections::BTreeSet, future::Future, mem};

use futures::{FutureExt, future::BoxFuture};

use super::{generation_scan::GenerationScan, state_key::GENERATION_ROW, versioned_state_store::VersionedStateStore};
use crate::{
    QueryError,
    runtime::{ReadModelRow, RowKey, RowScan, RowScope, ScannedRow, ScopeSelection},
};

/// Keys that are read again in one round trip.
const KEYS_PER_READ: usize = 1_000;

/// What the keys of a read model are as rows of a comparison.
pub(crate) trait KeyRows: Send + Sync + 'static {
    /// A parsed state.
    type State: Send + 'static;

    /// The store.
    fn store(&self) -> &VersionedStateStore<Self::State>;

    /// The scope of the rows of the key with this name; `None` for markers.
    fn row_scope(name: &str) -> Option<RowScope>;

    /// The rows of keys, in one round trip. A key that does not exist has none.
    fn read_keys(&self, keys: Vec<NamedKey>) -> impl Future<Output = Result<Vec<ScannedRow>, QueryError>> + Send;

    /// The names of the keys that may have this row.
    fn key_names(row: &RowKey) -> Vec<String>;
}

/// A key, and its name without the generation's prefix.
pub(crate) struct NamedKey {
    pub(crate) key: Vec<u8>,
    pub(crate) name: String,
}

/// A scan of the rows of some scopes.
pub(crate) struct StoreScan<R> {
    rows: R,
    scopes: ScopeSelection,
    keys: GenerationScan,
    /// The keys of the last page, which are not read yet.
    found: Vec<NamedKey>,
    has_ended: bool,
}

impl<R: KeyRows> StoreScan<R> {
    pub(crate) fn new(rows: R, scopes: ScopeSelection) -> Self {
        let keys = rows.store().scan_generation();
        Self { rows, scopes, keys, found: vec![], has_ended: false }
    }

    /// All rows, each of them once.
    pub(crate) async fn collect_rows(mut self) -> Result<Vec<ReadModelRow>, QueryError> {
        let mut rows = vec![];
        while let Some(page) = self.read_page().await? {
            rows.extend(page.into_iter().map(|scanned| scanned.row));
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }

    /// Reads the keys of one page while the server looks for those of the next one.
    async fn read_page(&mut self) -> Result<Option<Vec<ScannedRow>>, QueryError> {
        if self.has_ended {
            return Ok(None);
        }
        let Self { rows, scopes, keys, found, has_ended } = self;
        let select =
            |name: &str| R::row_scope(name).filter(|scope| scopes.contains_row(*scope)).map(|_| name.to_owned());
        let reading = rows.read_keys(mem::take(found));
        let (next, mut read) = tokio::try_join!(keys.next_page(select), reading)?;
        if let Some(next) = next {
            *found = next.into_iter().map(|(key, name)| NamedKey { key, name }).collect();
        } else {
            *has_ended = true;
            if scopes.contains_row(RowScope::Totals) {
                read.push(ScannedRow { scope: RowScope::Totals, row: rows.store().read_marker_row().await? });
            }
        }
        Ok(Some(read))
    }

    async fn read_keys_of(&self, rows: &[RowKey]) -> Result<Vec<ReadModelRow>, QueryError> {
        let prefix = self.rows.store().prefix();
        let names: Vec<String> = rows.iter().flat_map(R::key_names).collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = vec![];
        for names in names.chunks(KEYS_PER_READ) {
            let to_key = |name: &String| NamedKey { key: format!("{prefix}{name}").into_bytes(), name: name.clone() };
            let read = self.rows.read_keys(names.iter().map(to_key).collect()).await?;
            found.extend(read.into_iter().map(|scanned| scanned.row));
        }
        if rows.iter().any(|row| row.table == GENERATION_ROW) {
            found.push(self.rows.store().read_marker_row().await?);
        }
        Ok(found)
    }
}

impl<R: KeyRows> RowScan for StoreScan<R> {
    fn next_rows(&mut self) -> BoxFuture<'_, Result<Option<Vec<ScannedRow>>, QueryError>> {
        self.read_page().boxed()
    }

    fn read_rows<'a>(&'a mut self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>> {
        self.read_keys_of(keys).boxed()
    }
}
