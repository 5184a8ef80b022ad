//! The rows of one scope of a store, with what the store had applied, and what the rows should be.

use std::{collections::HashSet, future::Future, mem, sync::Arc};

use domain::envelope::RawEnvelope;

use super::{
    Difference, VerifyError,
    applied_events::AppliedEvents,
    difference::{DifferingRow, compare_rows},
};
use crate::{
    QueryError,
    runtime::{
        AnyProjection, ControlStore, ReadModelFold, ReadModelGeneration, ReadModelRow, RowKey, RowScan, VerifyScope,
        control_store::postgres_error, error::format_limited_chain,
    },
};

/// The generation that is compared, and where its checkpoints are.
#[derive(Clone, Copy)]
pub(super) struct ComparedGeneration<'a> {
    pub(super) control: &'a ControlStore,
    pub(super) projection: &'a Arc<dyn AnyProjection>,
    pub(super) generation: ReadModelGeneration,
}

impl ComparedGeneration<'_> {
    /// Reads from the store while no worker writes to it.
    pub(super) async fn read_locked<T>(
        &self,
        read: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<(AppliedEvents, T), VerifyError> {
        let (projection, generation) = (self.projection.name(), self.generation);
        let mut transaction = self.control.begin_exclusive(projection, generation).await?;
        let applied = AppliedEvents::load(&mut transaction, projection, generation).await?;
        let outcome = read.await;
        transaction.rollback().await.map_err(postgres_error("unlocking a generation"))?;
        Ok((applied, outcome.map_err(|source| self.to_store_error(source))?))
    }

    pub(super) fn to_store_error(self, source: QueryError) -> VerifyError {
        VerifyError::Store { projection: self.projection.name(), source }
    }
}

/// The rows of one scope of a store, and the fold that they are compared with.
pub(super) struct ScopeComparison {
    pub(super) scope: VerifyScope,
    pub(super) applied: Arc<AppliedEvents>,
    /// Number of events left out because they are parked or dropped.
    pub(super) left_out: u64,
    pub(super) rows: Vec<ReadModelRow>,
    fold: Box<dyn ReadModelFold>,
    /// What the totals were when the scan began. Only totals have it: the content of another row says which event was the
    /// last one.
    begin: Option<BeginFold>,
    unreadable: Vec<Difference>,
    /// The keys to compare; `None` for all.
    keys: Option<HashSet<RowKey>>,
}

/// The fold of the events that were applied when a scan began.
struct BeginFold {
    applied: Arc<AppliedEvents>,
    fold: Box<dyn ReadModelFold>,
}

impl ScopeComparison {
    fn new(fold: Box<dyn ReadModelFold>, scope: &VerifyScope, applied: Arc<AppliedEvents>) -> Self {
        let scope = scope.clone();
        Self { scope, applied, left_out: 0, rows: vec![], fold, begin: None, unreadable: vec![], keys: None }
    }

    /// A comparison with rows of a scan, which are added later. `begin` and `end` are what the store had applied when the
    /// scan began and when it ended.
    pub(super) fn scanned(
        projection: &Arc<dyn AnyProjection>,
        scope: &VerifyScope,
        begin: &Arc<AppliedEvents>,
        end: &Arc<AppliedEvents>,
    ) -> Self {
        let begin = match scope {
            VerifyScope::Totals => Some(BeginFold { applied: Arc::clone(begin), fold: projection.fold(scope) }),
            VerifyScope::Buckets(_) => None,
        };
        Self { begin, ..Self::new(projection.fold(scope), scope, Arc::clone(end)) }
    }

    /// Reads the rows of a scope while no worker writes to the store.
    pub(super) async fn read(compared: ComparedGeneration<'_>, scope: &VerifyScope) -> Result<Self, VerifyError> {
        // Before the rows: a comparison begins with its fold.
        let fold = compared.projection.fold(scope);
        let (applied, rows) = compared.read_locked(compared.projection.read_back(scope)).await?;
        Ok(Self { rows, ..Self::new(fold, scope, Arc::new(applied)) })
    }

    /// Reads the rows with these keys again, while no worker writes to the store. All rows of the scope, if that costs less.
    pub(super) async fn reread_rows(
        compared: ComparedGeneration<'_>,
        scope: &VerifyScope,
        scan: &mut dyn RowScan,
        keys: HashSet<RowKey>,
    ) -> Result<Self, VerifyError> {
        if keys.len() > scan.key_limit() {
            return Self::read(compared, scope).await;
        }
        let fold = compared.projection.fold(scope);
        let row_keys: Vec<_> = keys.iter().cloned().collect();
        let (applied, mut rows) = compared.read_locked(scan.read_rows(&row_keys)).await?;
        rows.retain(|row| keys.contains(&RowKey::from(row.clone())));
        Ok(Self { rows, keys: Some(keys), ..Self::new(fold, scope, Arc::new(applied)) })
    }

    /// Folds an event, if it belongs to the scope and was applied.
    pub(super) fn apply_event(&mut self, event: &RawEnvelope, partition: &(String, i32)) {
        if !self.scope.contains_stream(&event.aggregate_id) {
            return;
        }
        if let Some(begin) = &mut self.begin
            && begin.applied.includes(event, partition)
        {
            // The other fold reports an event that it cannot interpret.
            drop(begin.fold.apply_event(event));
        }
        if self.includes_event(event, partition)
            && let Err(error) = self.fold.apply_event(event)
        {
            self.unreadable.push(Difference::unreadable(event, &format_limited_chain(&error)));
        }
    }

    /// Whether an event of the scope was applied when the rows were read. Counts events that are left out.
    fn includes_event(&mut self, event: &RawEnvelope, partition: &(String, i32)) -> bool {
        if !self.applied.has_reached(event, partition) {
            return false;
        }
        let is_left_out = self.applied.has_left_out(event);
        self.left_out += u64::from(is_left_out && self.scope != VerifyScope::Totals);
        !is_left_out
    }

    /// The events that could not be interpreted.
    pub(super) fn take_unreadable(&mut self) -> Vec<Difference> {
        mem::take(&mut self.unreadable)
    }

    /// The rows that differ from those that follow from the log.
    pub(super) fn into_differing_rows(self) -> impl Iterator<Item = DifferingRow> {
        let mut expected = self.fold.expected_rows();
        if let Some(keys) = &self.keys {
            expected.retain(|row| keys.contains(&RowKey::from(row.clone())));
        }
        compare_rows(expected, self.rows)
    }

    /// The keys of the rows of a scan to read again: those that differ, and totals that have changed during the scan. A
    /// wrong total may have become equal to the right one by another event meanwhile.
    pub(super) fn into_uncertain_keys(self) -> HashSet<RowKey> {
        let expected = self.fold.expected_rows();
        let mut keys = HashSet::new();
        if let Some(begin) = self.begin {
            let changed = compare_rows(begin.fold.expected_rows(), expected.clone());
            keys.extend(changed.map(DifferingRow::into_key));
        }
        keys.extend(compare_rows(expected, self.rows).map(DifferingRow::into_key));
        keys
    }

    /// Number of its buckets.
    pub(super) fn bucket_count(&self) -> u32 {
        match &self.scope {
            VerifyScope::Buckets(range) => range.end() - range.start() + 1,
            VerifyScope::Totals => 0,
        }
    }
}
