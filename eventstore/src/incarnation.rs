//! Which log this is.
//!
//! A position means something only together with the log it belongs to. A restore brings an older log back, which then
//! gives out the same positions for other events. Whoever keeps a position therefore keeps the incarnation beside it.
//! A dump that was restored elsewhere is recognised by its new home (the server's system identifier and the database's
//! oid); a base backup put back in place by the relay, which finds that the topics end with events that the log does
//! not hold. Either way nothing is published until `medhub recover` made it a log of its own.

use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::error::{LogError, postgres_error};

/// The incarnation of the log behind a connection.
///
/// # Errors
/// [`LogError::Restored`] when the log was copied here from another database, [`LogError::Postgres`] when the database
/// does not answer.
pub async fn load_incarnation(connection: &mut PgConnection) -> Result<Uuid, LogError> {
    let row = sqlx::query(include_str!("incarnation/read.sql"))
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the log's incarnation"))?;
    let read = |row: &sqlx::postgres::PgRow| Ok((row.try_get("id")?, row.try_get("at_home")?));
    let (id, at_home): (Uuid, bool) = read(&row).map_err(postgres_error("reading the log's incarnation"))?;
    if at_home { Ok(id) } else { Err(LogError::Restored { incarnation: id }) }
}

/// Makes the log one of its own: a new incarnation, at home where it is now, with nothing published. Answers with it.
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
