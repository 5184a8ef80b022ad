//! One part of a store as it stands at its checkpoints.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::envelope::RawEnvelope;
use sqlx::{PgConnection, Row as _};

use super::{Difference, VerifyError};
use crate::runtime::{
    AnyProjection, Checkpoint, ControlError, ControlStore, Generation, ReadModelFold, ReadModelRow, StreamKey,
    VerifyScope, control_store::postgres_error,
};

/// One part of a store, and the fold it is compared with.
pub(super) struct VerifyPart {
    scope: VerifyScope,
    pub(super) checkpoint: Checkpoint,
    /// Streams with dead letters, with the position of their first one: from there on they are not in the store.
    parked: HashMap<StreamKey, u64>,
    /// Positions of events that were given up.
    dropped: HashSet<u64>,
    /// Events that were left out for that.
    pub(super) left_out: u64,
    pub(super) rows: Vec<ReadModelRow>,
    pub(super) fold: Box<dyn ReadModelFold>,
    pub(super) unreadable: Vec<Difference>,
}

impl VerifyPart {
    /// Reads a part while no worker writes to the store.
    pub(super) async fn read(
        control: &ControlStore,
        sink: &Arc<dyn AnyProjection>,
        generation: Generation,
        scope: &VerifyScope,
    ) -> Result<Self, VerifyError> {
        let mut alone = control.begin_exclusive(sink.name(), generation).await?;
        let checkpoint = ControlStore::load_checkpoint_on(&mut alone, sink.name(), generation).await?;
        let parked = load_first_parked_positions(&mut alone, sink.name(), generation).await?;
        let dropped = load_dropped_positions(&mut alone, sink.name(), generation).await?;
        let read = sink.read_back(scope).await;
        alone.rollback().await.map_err(postgres_error("letting workers go on"))?;
        let rows = read.map_err(|source| VerifyError::Store { projection: sink.name(), source })?;
        let (scope, fold) = (scope.clone(), sink.fold(scope));
        Ok(Self { scope, checkpoint, parked, dropped, left_out: 0, rows, fold, unreadable: vec![] })
    }

    /// Whether an event belongs to the part and was taken in when it was read.
    pub(super) fn includes_event(&mut self, event: &RawEnvelope, place: &(String, i32)) -> bool {
        if !self.scope.contains_stream(&event.aggregate_id)
            || self.checkpoint.0.get(place).is_none_or(|mark| event.position > mark.position)
        {
            return false;
        }
        let waits = self.dropped.contains(&event.position)
            || !self.parked.is_empty()
                && self.parked.get(&StreamKey::from_event(event)).is_some_and(|first| event.position >= *first);
        self.left_out += u64::from(waits && self.scope != VerifyScope::Totals);
        !waits
    }

    /// How many buckets it has.
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
    generation: Generation,
) -> Result<HashMap<StreamKey, u64>, ControlError> {
    let rows = sqlx::query(include_str!("first_letters.sql"))
        .bind(projection)
        .bind(generation.number())
        .fetch_all(connection)
        .await
        .map_err(postgres_error("reading dead letters"))?;
    let read = |row: &sqlx::postgres::PgRow| {
        let (aggregate_type, aggregate_id) = (row.try_get("aggregate_type")?, row.try_get("aggregate_id")?);
        let position: i64 = row.try_get("position")?;
        Ok((StreamKey { aggregate_type, aggregate_id }, position.unsigned_abs()))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(postgres_error("understanding dead letters"))
}

async fn load_dropped_positions(
    connection: &mut PgConnection,
    projection: &str,
    generation: Generation,
) -> Result<HashSet<u64>, ControlError> {
    let positions: Vec<i64> =
        sqlx::query_scalar("select position from dropped_letters where projection = $1 and generation = $2")
            .bind(projection)
            .bind(generation.number())
            .fetch_all(connection)
            .await
            .map_err(postgres_error("reading given-up events"))?;
    Ok(positions.into_iter().map(i64::unsigned_abs).collect())
}
