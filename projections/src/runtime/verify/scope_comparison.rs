//! The rows of one scope of a store, read together with their checkpoints, and what they should be.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{envelope::RawEnvelope, stream_id::StreamId};
use sqlx::{PgConnection, Row as _};

use super::{Difference, VerifyError};
use crate::runtime::{
    AnyProjection, Checkpoint, ControlError, ControlStore, ReadModelFold, ReadModelGeneration, ReadModelRow,
    VerifyScope, control_store::postgres_error,
};

/// The rows of one scope of a store, and the fold that they are compared with.
pub(super) struct ScopeComparison {
    scope: VerifyScope,
    pub(super) checkpoint: Checkpoint,
    /// Streams with dead letters, and the position of the first one: later events are not in the store.
    parked: HashMap<StreamId, u64>,
    /// Positions of dropped events.
    dropped: HashSet<u64>,
    /// Number of events left out because they are parked or dropped.
    pub(super) left_out: u64,
    pub(super) rows: Vec<ReadModelRow>,
    pub(super) fold: Box<dyn ReadModelFold>,
    pub(super) unreadable: Vec<Difference>,
}

impl ScopeComparison {
    /// Reads the rows of a scope while no worker writes to the store.
    pub(super) async fn read(
        control: &ControlStore,
        projection: &Arc<dyn AnyProjection>,
        generation: ReadModelGeneration,
        scope: &VerifyScope,
    ) -> Result<Self, VerifyError> {
        let mut transaction = control.begin_exclusive(projection.name(), generation).await?;
        let checkpoint = ControlStore::load_checkpoint_on(&mut transaction, projection.name(), generation).await?;
        let parked = load_first_parked_positions(&mut transaction, projection.name(), generation).await?;
        let dropped = load_dropped_positions(&mut transaction, projection.name(), generation).await?;
        let rows = projection.read_back(scope).await;
        transaction.rollback().await.map_err(postgres_error("unlocking a generation"))?;
        let rows = rows.map_err(|source| VerifyError::Store { projection: projection.name(), source })?;
        let (scope, fold) = (scope.clone(), projection.fold(scope));
        Ok(Self { scope, checkpoint, parked, dropped, left_out: 0, rows, fold, unreadable: vec![] })
    }

    /// Whether an event belongs to the scope and was applied when the rows were read. Counts events that are left out.
    pub(super) fn includes_event(&mut self, event: &RawEnvelope, partition: &(String, i32)) -> bool {
        if !self.scope.contains_stream(&event.aggregate_id)
            || self.checkpoint.0.get(partition).is_none_or(|applied| event.position > applied.position)
        {
            return false;
        }
        let is_left_out = self.dropped.contains(&event.position)
            || !self.parked.is_empty()
                && self.parked.get(&StreamId::from_event(event)).is_some_and(|first| event.position >= *first);
        self.left_out += u64::from(is_left_out && self.scope != VerifyScope::Totals);
        !is_left_out
    }

    /// Number of its buckets.
    pub(super) fn bucket_count(&self) -> u32 {
        match &self.scope {
            VerifyScope::Buckets(range) => range.end() - range.start() + 1,
            VerifyScope::Totals => 0,
        }
    }
}

async fn load_first_parked_positions(
    connection: &mut PgConnection,
    projection: &str,
    generation: ReadModelGeneration,
) -> Result<HashMap<StreamId, u64>, ControlError> {
    let rows = sqlx::query(include_str!("first_parked_positions.sql"))
        .bind(projection)
        .bind(generation.number())
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading dead letters"))?;
    let read = |row: &sqlx::postgres::PgRow| {
        let (aggregate_type, aggregate_id): (String, String) =
            (row.try_get("aggregate_type")?, row.try_get("aggregate_id")?);
        let position: i64 = row.try_get("position")?;
        Ok((StreamId::new(aggregate_type, aggregate_id), position.unsigned_abs()))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(postgres_error("decoding dead letters"))
}

async fn load_dropped_positions(
    connection: &mut PgConnection,
    projection: &str,
    generation: ReadModelGeneration,
) -> Result<HashSet<u64>, ControlError> {
    let positions: Vec<i64> =
        sqlx::query_scalar("select position from dropped_letters where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("reading dropped events"))?;
    Ok(positions.into_iter().map(i64::unsigned_abs).collect())
}
