//! One scan of a whole store, for a comparison in several passes.

use futures::future::BoxFuture;

use super::{BUCKET_COUNT, ReadModelRow, RowScope, VerifyScope};
use crate::QueryError;

/// Goes through a store that cannot select the rows of some buckets, while workers write to it.
///
/// A row may be returned more than once, and one that is written meanwhile may be missing, or old. Therefore rows that
/// differ from the log are read again before they are reported.
pub trait RowScan: Send {
    /// The next rows; possibly none. `None` is the end.
    fn next_rows(&mut self) -> BoxFuture<'_, Result<Option<Vec<ScannedRow>>, QueryError>>;

    /// Whether a row that did not change may be returned more than once.
    fn repeats_rows(&self) -> bool;

    /// The number of keys above which reading all rows of a scope costs less than [`Self::read_rows`].
    fn key_limit(&self) -> usize;

    /// The rows with these keys, as they are stored now, and perhaps others.
    fn read_rows<'a>(&'a mut self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>>;
}

/// A row that a scan returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedRow {
    /// What the row belongs to.
    pub scope: RowScope,
    /// The row.
    pub row: ReadModelRow,
}

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowKey {
    /// The table, collection or kind of key.
    pub table: &'static str,
    /// Key of the row.
    pub key: String,
}

impl From<ReadModelRow> for RowKey {
    fn from(ReadModelRow { table, key, .. }: ReadModelRow) -> Self {
        Self { table, key }
    }
}

/// The scopes whose rows a scan returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSelection {
    /// Whether the scopes have each bucket.
    buckets: Vec<bool>,
    has_totals: bool,
}

impl ScopeSelection {
    /// Selects the rows of these scopes.
    pub fn new<'a>(scopes: impl IntoIterator<Item = &'a VerifyScope>) -> Self {
        let (mut buckets, mut has_totals) = (vec![false; BUCKET_COUNT as usize], false);
        for scope in scopes {
            has_totals |= scope.contains_row(RowScope::Totals);
            for (bucket, is_selected) in (0..BUCKET_COUNT).zip(&mut buckets) {
                *is_selected |= scope.contains_row(RowScope::Bucket(bucket));
            }
        }
        Self { buckets, has_totals }
    }

    /// Whether a row is selected.
    pub fn contains_row(&self, row: RowScope) -> bool {
        match row {
            RowScope::Bucket(bucket) => self.buckets.get(bucket as usize).copied().unwrap_or_default(),
            RowScope::Totals => self.has_totals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_the_rows_of_its_scopes() {
        let selection = ScopeSelection::new(&[VerifyScope::Buckets(3..=4), VerifyScope::Buckets(9..=9)]);
        let selected: Vec<u32> =
            (0..BUCKET_COUNT).filter(|bucket| selection.contains_row(RowScope::Bucket(*bucket))).collect();
        assert_eq!(selected, [3, 4, 9]);
        assert!(!selection.contains_row(RowScope::Totals));
        assert!(ScopeSelection::new(&[VerifyScope::Totals]).contains_row(RowScope::Totals));
    }
}
