//! Compares a generation pass by pass.

use std::sync::Arc;

use super::{
    VerifyError, VerifyProgress, VerifyReport,
    event_fold::EventFold,
    event_spill::{EventSpill, SpilledEvents},
    scanned_store::ScannedStore,
    scope_comparison::{ComparedGeneration, ScopeComparison},
};
use crate::runtime::{AnyProjection, ProjectionRuntime, RowScan, VerifyScope, consumer::PartitionCounts};

/// A comparison that is going on.
pub(super) struct VerifyRun<'a> {
    pub(super) runtime: &'a ProjectionRuntime,
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) partitions: PartitionCounts,
    /// The position where the first pass, which reads the log for all passes, ends.
    pub(super) end: u64,
    pub(super) progress: &'a (dyn Fn(VerifyProgress) + Send + Sync),
    pub(super) report: VerifyReport,
    /// Rows of the scan, if there was one.
    pub(super) scanned_rows: u64,
}

impl VerifyRun<'_> {
    /// Compares the scopes of each pass. A long log makes going through a whole store worth it.
    pub(super) async fn compare_passes(
        mut self,
        passes: &[Vec<VerifyScope>],
        is_long: bool,
    ) -> Result<VerifyReport, VerifyError> {
        let mut scanned = None;
        if is_long {
            scanned = ScannedStore::read(self.compared(), passes, self.progress, self.count_positions(passes)).await?;
        }
        if let Some(scanned) = &scanned {
            self.scanned_rows = scanned.count;
            // The first pass reads all events that were applied when the scan ended.
            self.end = self.runtime.log.load_fence().await?.max(self.end);
        }
        let total = self.count_positions(passes);
        let mut spill = EventSpill::create(passes)?;
        // Further passes fold what the first one wrote to files.
        let mut spilled = vec![].into_iter();
        for (pass, scopes) in (0_u64..).zip(passes) {
            let start =
                self.end.saturating_mul(u64::from(pass > 0)) + compute_compared_share(self.end, pass, passes.len());
            let mut comparisons = vec![];
            if let Some(scanned) = &mut scanned {
                comparisons = scanned.next_comparisons(self.compared(), scopes).await?;
                self.report.rows += comparisons.iter().map(|comparison| comparison.rows.len() as u64).sum::<u64>();
                self.report_progress(start, total);
            } else {
                for scope in scopes {
                    let comparison = ScopeComparison::read(self.compared(), scope).await?;
                    self.report.rows += comparison.rows.len() as u64;
                    self.report_progress(start, total);
                    comparisons.push(comparison);
                }
            }
            let mut events: Option<SpilledEvents> = spilled.next();
            events = self.fold_events(&mut comparisons, events, &mut spill, total).await?;
            if let Some(written) = spill.take() {
                spilled = written.finish().await?.into_iter();
            }
            self.report.count_scopes(&comparisons);
            match &mut scanned {
                Some(scanned) => self.confirm_differences(comparisons, scanned.scan.as_mut(), events, total).await?,
                None => self.report_differences(comparisons),
            }
        }
        Ok(self.report)
    }

    /// Number of positions to compare: each counts twice if there are several passes.
    fn count_positions(&self, passes: &[Vec<VerifyScope>]) -> u64 {
        if passes.len() > 1 { self.end.saturating_mul(2) } else { self.end }
    }

    fn compared(&self) -> ComparedGeneration<'_> {
        ComparedGeneration {
            control: &self.runtime.control,
            projection: &self.projection,
            generation: self.report.generation,
        }
    }

    fn report_progress(&self, position: u64, end: u64) {
        (self.progress)(VerifyProgress { position, end, rows: self.report.rows.max(self.scanned_rows) });
    }

    /// Folds the events of a pass: the spilled ones, or else the log. Returns the spilled ones, to be read again.
    async fn fold_events(
        &mut self,
        comparisons: &mut [ScopeComparison],
        events: Option<SpilledEvents>,
        spill: &mut Option<EventSpill>,
        total: u64,
    ) -> Result<Option<SpilledEvents>, VerifyError> {
        let end = self.end;
        let mut fold = EventFold {
            runtime: self.runtime,
            projection: self.projection.as_ref(),
            partitions: &self.partitions,
            comparisons,
        };
        let (events, count) = if let Some(spilled) = events {
            let (spilled, count) = fold.fold_spilled(spilled, end).await?;
            (Some(spilled), count)
        } else {
            let report_position = |position: u64| self.report_progress(position.min(end), total);
            (None, fold.fold_log(end, spill, report_position).await?)
        };
        self.report.events += count;
        Ok(events)
    }

    fn report_differences(&mut self, comparisons: Vec<ScopeComparison>) {
        for mut comparison in comparisons {
            self.report.add_differences(comparison.take_unreadable());
            self.report.add_differences(comparison.into_differing_rows().map(Into::into));
        }
    }

    /// Compares the differing rows again, as they are now, with the events that are applied now: they may have been
    /// written after the scan had read them. They are read while no worker writes to the store. The first pass, which
    /// has the totals, reads the log again for this.
    async fn confirm_differences(
        &mut self,
        comparisons: Vec<ScopeComparison>,
        scan: &mut dyn RowScan,
        events: Option<SpilledEvents>,
        total: u64,
    ) -> Result<(), VerifyError> {
        let mut uncertain = vec![];
        for mut comparison in comparisons {
            self.report.add_differences(comparison.take_unreadable());
            let scope = comparison.scope.clone();
            let keys = comparison.into_uncertain_keys();
            if !keys.is_empty() {
                uncertain.push((scope, keys));
            }
        }
        let mut repeated = vec![];
        for (scope, keys) in uncertain {
            repeated.push(ScopeComparison::reread_rows(self.compared(), &scope, scan, keys).await?);
        }
        if repeated.is_empty() {
            return Ok(());
        }
        self.fold_events(&mut repeated, events, &mut None, total).await?;
        for comparison in repeated {
            self.report.add_differences(comparison.into_differing_rows().map(Into::into));
        }
        Ok(())
    }
}

/// The number of positions, of `end`, that the passes after the first and before `pass` have compared.
fn compute_compared_share(end: u64, pass: u64, passes: usize) -> u64 {
    let further = (passes as u64).saturating_sub(1).max(1);
    u64::try_from(u128::from(end) * u128::from(pass.saturating_sub(1)) / u128::from(further)).unwrap_or(end)
}
