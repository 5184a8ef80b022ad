//! Reads the keys of a generation as rows of a comparison: by one scan, or those of some rows again.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    mem,
};

use futures::{FutureExt, future::BoxFuture};

use super::{generation_scan::GenerationScan, state_key::GENERATION_ROW, versioned_state_store::VersionedStateStore};
use crate::{
    QueryError,
    runtime::{ReadModelRow, RowKey, RowScan, RowScope, ScannedRow, ScopeSelection},
};

/// Keys, and fields of keys, that are read again in one round trip.
const VALUES_PER_READ: usize = 2_000;

/// Reading so many keys again takes as long as writers should be made to wait.
const KEY_LIMIT: usize = 250_000;

/// Table of unknown keys.
pub(crate) const UNKNOWN: &str = "unknown";

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

    /// The names of the keys that may have this row; if it is one of many of its key, with its field or member.
    fn key_names(row: &RowKey) -> Vec<(String, Option<String>)>;
}

/// A key, and its name without the generation's prefix.
pub(crate) struct NamedKey {
    pub(crate) key: Vec<u8>,
    pub(crate) name: String,
    /// The fields or members to read; all of them if there are none.
    pub(crate) fields: Vec<String>,
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
            *found = next.into_iter().map(|(key, name)| NamedKey { key, name, fields: vec![] }).collect();
        } else {
            *has_ended = true;
            if scopes.contains_row(RowScope::Totals) {
                read.push(ScannedRow { scope: RowScope::Totals, row: rows.store().read_marker_row().await? });
            }
        }
        Ok(Some(read))
    }

    async fn read_keys_of(&self, rows: &[RowKey]) -> Result<Vec<ReadModelRow>, QueryError> {
        let mut found = vec![];
        // Its name has lost bytes, so the key cannot be asked for; no unknown key is expected.
        let is_nameless = |row: &&RowKey| row.table == UNKNOWN && row.key.contains(char::REPLACEMENT_CHARACTER);
        found.extend(rows.iter().filter(is_nameless).map(|row| ReadModelRow::new(UNKNOWN, row.key.clone(), ())));
        for keys in self.group_keys(rows) {
            let read = self.rows.read_keys(keys).await?;
            found.extend(read.into_iter().map(|scanned| scanned.row));
        }
        if rows.iter().any(|row| row.table == GENERATION_ROW) {
            found.push(self.rows.store().read_marker_row().await?);
        }
        Ok(found)
    }

    /// The keys of these rows with their fields, grouped by round trip.
    fn group_keys(&self, rows: &[RowKey]) -> Vec<Vec<NamedKey>> {
        let mut fields_by_name = BTreeMap::<String, Option<BTreeSet<String>>>::new();
        for (name, field) in rows.iter().flat_map(R::key_names) {
            let fields = fields_by_name.entry(name).or_insert_with(|| field.is_some().then(BTreeSet::new));
            match (fields, field) {
                (Some(fields), Some(field)) => {
                    fields.insert(field);
                }
                (fields, None) => *fields = None,
                // All of them are read.
                (None, Some(_)) => {}
            }
        }
        let (mut groups, mut room) = (vec![], 0);
        for (name, fields) in fields_by_name {
            let fields: Vec<_> = fields.into_iter().flatten().collect();
            let parts: Vec<&[String]> =
                if fields.is_empty() { vec![fields.as_slice()] } else { fields.chunks(VALUES_PER_READ).collect() };
            for fields in parts {
                let key = format!("{}{name}", self.rows.store().prefix()).into_bytes();
                let key = NamedKey { key, name: name.clone(), fields: fields.to_vec() };
                let values = fields.len().max(1);
                if values > room {
                    groups.push(vec![]);
                    room = VALUES_PER_READ;
                }
                room -= values;
                if let Some(group) = groups.last_mut() {
                    group.push(key);
                }
            }
        }
        groups
    }
}

impl<R: KeyRows> RowScan for StoreScan<R> {
    // The server may name a key twice.
    fn repeats_rows(&self) -> bool {
        true
    }

    fn key_limit(&self) -> usize {
        KEY_LIMIT
    }

    fn next_rows(&mut self) -> BoxFuture<'_, Result<Option<Vec<ScannedRow>>, QueryError>> {
        self.read_page().boxed()
    }

    fn read_rows<'a>(&'a mut self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>> {
        self.read_keys_of(keys).boxed()
    }
}
