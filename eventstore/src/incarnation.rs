//! The identity of a log.
//!
//! A position has a meaning only together with its log: after a restore, an older log assigns the same positions to
//! other events. Therefore every position is stored together with the incarnation of its log. A dump that was restored
//! elsewhere is detected by its location (the server's system identifier and the database's oid). A base backup that
//! was restored in place is detected by the relay, because the topics end with events that the log does not hold. In
//! both cases nothing is published until `medhub recover` has given the log a new incarnation.

use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::error::{LogError, postgres_error};

/// Reads the incarnation of the log.
///
/// # Errors
/// [`LogError::Restored`] when the log was copied here from another database, [`LogError::Postgres`] when the database
/// does not answer.
pub async fn load_incarnation(connection: &mut PgConnection) -> Result<Uuid, LogError> {
    let row = sqlx::query(include_str!("incarnation/read.sql"))
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the log's incarnation"))?;
    let read = |row: &sqlx::postgres::PgRow| Ok((row.try_get("id")?, row.try_get("is_own_database")?));
    let (id, is_own_database): (Uuid, bool) = read(&row).map_err(postgres_error("reading the log's incarnation"))?;
    if is_own_database { Ok(id) } else { Err(LogError::Restored { incarnation: id }) }
}

/// Gives the log a new incarnation, which belongs to this database, and deletes the relay's checkpoint, so that the
/// relay publishes from the start of the log. Returns the new incarnation.
///
/// # Errors
/// [`LogError::Postgres`] when the database does not answer.
pub async fn renew_incarnation(pool: &PgPool) -> Result<Uuid, LogError> {
    let renewing = postgres_error("giving the log a new incarnation");
    let renewed = async {
        let mut transaction = pool.begin().await?;
        let id = sqlx::query_scalar(include_str!("incarnation/renew.sql")).fetch_one(&mut *transaction).await?;
        sqlx::query("delete from relay_checkpoints").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(id)
    };
    renewed.await.map_err(renewing)
}
