//! Which events a generation has applied at some moment.

use std::collections::{HashMap, HashSet};

use domain::{envelope::RawEnvelope, stream_id::StreamId};
use sqlx::{PgConnection, Row as _};

use crate::runtime::{Checkpoint, ControlError, ControlStore, ReadModelGeneration, control_store::postgres_error};

/// The checkpoints of a generation, and which events before them it has left out.
pub(super) struct AppliedEvents {
    pub(super) checkpoint: Checkpoint,
    /// Streams with dead letters, and the position of the first one: later events are not in the store.
    parked: HashMap<StreamId, u64>,
    /// Positions of dropped events.
    dropped: HashSet<u64>,
}

impl AppliedEvents {
    pub(super) async fn load(
        connection: &mut PgConnection,
        projection: &str,
        generation: ReadModelGeneration,
    ) -> Result<Self, ControlError> {
        let checkpoint = ControlStore::load_checkpoint_on(connection, projection, generation).await?;
        let parked = load_first_parked_positions(connection, projection, generation).await?;
        let dropped = load_dropped_positions(connection, projection, generation).await?;
        Ok(Self { checkpoint, parked, dropped })
    }

    /// Whether an event of a partition is in the store.
    pub(super) fn includes(&self, event: &RawEnvelope, partition: &(String, i32)) -> bool {
        self.has_reached(event, partition) && !self.has_left_out(event)
    }

    /// Whether an event of a partition is at or below its checkpoint.
    pub(super) fn has_reached(&self, event: &RawEnvelope, partition: &(String, i32)) -> bool {
        self.checkpoint.0.get(partition).is_some_and(|applied| event.position <= applied.position)
    }

    /// Whether an event was left out: it is parked or dropped.
    pub(super) fn has_left_out(&self, event: &RawEnvelope) -> bool {
        self.dropped.contains(&event.position)
            || !self.parked.is_empty()
                && self.parked.get(&StreamId::from_event(event)).is_some_and(|first| event.position >= *first)
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
