//! One scan of all tables, for a comparison in several passes.

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};

use super::{OpportunityAnalytics, read_back::RowPages};
use crate::{
    QueryError,
    runtime::{BUCKET_COUNT, ReadModelRow, RowKey, RowScan, RowScope, ScannedRow, ScopeSelection},
};

/// A scan of the rows of some scopes.
pub(super) struct AnalyticsScan {
    analytics: OpportunityAnalytics,
    pages: RowPages,
    scopes: ScopeSelection,
}

impl AnalyticsScan {
    pub(super) fn new(analytics: OpportunityAnalytics, scopes: ScopeSelection) -> Self {
        let cutoffs = analytics.comparison_cutoffs();
        let mut tables = vec![analytics.stream_rows(&(0..=BUCKET_COUNT - 1), cutoffs)];
        if scopes.contains_row(RowScope::Totals) {
            tables.push(analytics.total_rows(cutoffs));
        }
        Self { analytics, pages: stream::iter(tables).flatten().boxed(), scopes }
    }
}

/// Each 2,000 keys go through the sorting key of a whole table.
const KEY_LIMIT: usize = 10_000;

impl RowScan for AnalyticsScan {
    fn repeats_rows(&self) -> bool {
        false
    }

    fn key_limit(&self) -> usize {
        KEY_LIMIT
    }

    fn next_rows(&mut self) -> BoxFuture<'_, Result<Option<Vec<ScannedRow>>, QueryError>> {
        async {
            let Some(mut rows) = self.pages.try_next().await? else { return Ok(None) };
            rows.retain(|row| self.scopes.contains_row(row.scope));
            Ok(Some(rows))
        }
        .boxed()
    }

    fn read_rows<'a>(&'a mut self, keys: &'a [RowKey]) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>> {
        collect_rows(self.analytics.rows_with_keys(keys, self.analytics.comparison_cutoffs())).boxed()
    }
}

/// All rows of these pages.
pub(super) async fn collect_rows(mut pages: RowPages) -> Result<Vec<ReadModelRow>, QueryError> {
    let mut rows = vec![];
    while let Some(page) = pages.try_next().await? {
        rows.extend(page.into_iter().map(|scanned| scanned.row));
    }
    Ok(rows)
}
