//! The rows of one scope of a store, with what the store had applied, and what the rows should be.

use std::{collections::HashSet, future::Future, sync::Arc};

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
        control_store::postgres_error,
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
    pub(super) fold: Box<dyn ReadModelFold>,
    pub(super) unreadable: Vec<Difference>,
    /// The keys to compare; `None` for all.
    keys: Option<HashSet<RowKey>>,
}

impl ScopeComparison {
    /// A comparison with rows that are added later.
    pub(super) fn new(projection: &Arc<dyn AnyProjection>, scope: &VerifyScope, applied: Arc<AppliedEvents>) -> Self {
        let (scope, fold) = (scope.clone(), projection.fold(scope));
        Self { scope, applied, left_out: 0, rows: vec![], fold, unreadable: vec![], keys: None }
    }

    /// Reads the rows of a scope while no worker writes to the store.
    pub(super) async fn read(compared: ComparedGeneration<'_>, scope: &VerifyScope) -> Result<Self, VerifyError> {
        let (applied, rows) = compared.read_locked(compared.projection.read_back(scope)).await?;
        Ok(Self { rows, ..Self::new(compared.projection, scope, Arc::new(applied)) })
    }

    /// Reads the rows with these keys again, while no worker writes to the store.
    pub(super) async fn read_again(
        compared: ComparedGeneration<'_>,
        scope: &VerifyScope,
        scan: &mut dyn RowScan,
        keys: Vec<RowKey>,
    ) -> Result<Self, VerifyError> {
        let (applied, rows) = compared.read_locked(scan.read_rows(&keys)).await?;
        let keys = Some(keys.into_iter().collect());
        Ok(Self { rows, keys, ..Self::new(compared.projection, scope, Arc::new(applied)) })
    }

    /// Whether an event belongs to the scope and was applied when the rows were read. Counts events that are left out.
    pub(super) fn includes_event(&mut self, event: &RawEnvelope, partition: &(String, i32)) -> bool {
        if !self.scope.contains_stream(&event.aggregate_id) || !self.applied.has_reached(event, partition) {
            return false;
        }
        let is_left_out = self.applied.has_left_out(event);
        self.left_out += u64::from(is_left_out && self.scope != VerifyScope::Totals);
        !is_left_out
    }

    /// The rows that differ from those that follow from the log.
    pub(super) fn into_differing_rows(self) -> impl Iterator<Item = DifferingRow> {
        let (mut expected, mut found) = (self.fold.expected_rows(), self.rows);
        if let Some(keys) = &self.keys {
            let is_compared = |row: &ReadModelRow| keys.contains(&RowKey { table: row.table, key: row.key.clone() });
            expected.retain(is_compared);
            found.retain(is_compared);
        }
        compare_rows(expected, found)
    }

    /// Number of its buckets.
    pub(super) fn bucket_count(&self) -> u32 {
        match &self.scope {
            VerifyScope::Buckets(range) => range.end() - range.start() + 1,
            VerifyScope::Totals => 0,
        }
    }
}
