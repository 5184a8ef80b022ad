//! A store that was scanned once, for the comparisons of all passes.

use std::{sync::Arc, vec};

use super::{
    VerifyError, VerifyProgress,
    applied_events::AppliedEvents,
    row_spill::{RowSpill, SpilledRows},
    scope_comparison::{ComparedGeneration, ScopeComparison},
};
use crate::runtime::{RowScan, ScopeSelection, VerifyScope};

/// The rows of a scan, each pass's in a file.
///
/// Workers wrote meanwhile, so a row may be older than the events that its store had applied at the end of the scan. A
/// row about a stream that is as these events say is right: its content says which event was the last one. A row that
/// differs has to be read again, as do totals that events have changed during the scan.
pub(super) struct ScannedStore {
    pub(super) scan: Box<dyn RowScan>,
    /// What the store had applied when the scan began.
    begin: Arc<AppliedEvents>,
    /// What it had applied when the scan had ended.
    end: Arc<AppliedEvents>,
    /// Number of rows.
    pub(super) count: u64,
    /// The rows of the passes that are not compared yet.
    passes: vec::IntoIter<SpilledRows>,
}

impl ScannedStore {
    /// Scans the store; `None` if it can select the rows of buckets.
    pub(super) async fn read(
        compared: ComparedGeneration<'_>,
        passes: &[Vec<VerifyScope>],
        progress: impl Fn(VerifyProgress),
        total: u64,
    ) -> Result<Option<Self>, VerifyError> {
        let Some(mut scan) = compared.projection.scan_store(ScopeSelection::new(passes.iter().flatten())) else {
            return Ok(None);
        };
        let (begin, ()) = compared.read_locked(async { Ok(()) }).await?;
        let (mut spill, mut count) = (RowSpill::create(passes)?, 0);
        while let Some(rows) = scan.next_rows().await.map_err(|source| compared.to_store_error(source))? {
            count += rows.len() as u64;
            spill = spill.write_rows(rows).await?;
            progress(VerifyProgress { position: 0, end: total, rows: count });
        }
        // Waits for the batches that are being written: their rows may have been read, but their checkpoints are not saved.
        let (end, ()) = compared.read_locked(async { Ok(()) }).await?;
        Ok(Some(Self { scan, begin: Arc::new(begin), end: Arc::new(end), count, passes: spill.finish().await? }))
    }

    /// The comparisons of the next pass, which has these scopes.
    pub(super) async fn next_comparisons(
        &mut self,
        compared: ComparedGeneration<'_>,
        scopes: &[VerifyScope],
    ) -> Result<Vec<ScopeComparison>, VerifyError> {
        let new_comparison = |scope| ScopeComparison::scanned(compared.projection, scope, &self.begin, &self.end);
        let mut comparisons: Vec<_> = scopes.iter().map(new_comparison).collect();
        let Some(mut spilled) = self.passes.next() else { return Ok(comparisons) };
        loop {
            let (rest, rows) = spilled.read_rows().await?;
            spilled = rest;
            if rows.is_empty() {
                break;
            }
            for scanned in rows {
                let is_of_scope = |comparison: &&mut ScopeComparison| comparison.scope.contains_row(scanned.scope);
                if let Some(comparison) = comparisons.iter_mut().find(is_of_scope) {
                    comparison.rows.push(scanned.row);
                }
            }
        }
        // Elsewhere a row that is there twice is a difference.
        if self.scan.repeats_rows() {
            for comparison in &mut comparisons {
                comparison.rows.sort_unstable();
                comparison.rows.dedup();
            }
        }
        Ok(comparisons)
    }
}
