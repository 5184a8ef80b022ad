//! The relay's checkpoint, stored in Postgres beside the log.

use sqlx::{Executor, PgConnection, Postgres};
use uuid::Uuid;

use crate::error::{LogError, postgres_error};

/// Name of the checkpoint's row.
const CHECKPOINT_NAME: &str = "kafka";

/// Loads the position to resume from; 0 is the start of the log. Fences off leaders with a lower epoch.
pub(super) async fn load_checkpoint(
    connection: &mut PgConnection,
    incarnation: Uuid,
    epoch: i64,
) -> Result<u64, LogError> {
    sqlx::query("update relay_checkpoints set epoch = $2 where relay = $1 and epoch < $2")
        .bind(CHECKPOINT_NAME)
        .bind(epoch)
        .execute(&mut *connection)
        .await
        .map_err(postgres_error("taking over the relay's checkpoint"))?;
    let found: Option<(Uuid, i64)> =
        sqlx::query_as("select incarnation, position from relay_checkpoints where relay = $1")
            .bind(CHECKPOINT_NAME)
            .fetch_optional(connection)
            .await
            .map_err(postgres_error("reading the relay's checkpoint"))?;
    match found {
        None => Ok(0),
        Some((log, position)) if log == incarnation => Ok(position.unsigned_abs()),
        Some((checkpoint, _)) => Err(LogError::ForeignCheckpoint { checkpoint, log: incarnation }),
    }
}

/// Moves the checkpoint forward. Does nothing when it is further already or `epoch` is not the current one.
pub(super) async fn save_checkpoint<'a>(
    database: impl Executor<'a, Database = Postgres>,
    incarnation: Uuid,
    position: u64,
    epoch: i64,
) -> Result<(), LogError> {
    sqlx::query(include_str!("checkpoint/save.sql"))
        .bind(CHECKPOINT_NAME)
        .bind(incarnation)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .bind(epoch)
        .execute(database)
        .await
        .map(drop)
        .map_err(postgres_error("moving the relay's checkpoint"))
}
