//! Registers forwarding projections, which consume only events that are recorded after their registration.

use uuid::Uuid;

use super::{ControlError, ControlStore, generation::insert_first_pointer, postgres_error};
use crate::runtime::ReadModelGeneration;

impl ControlStore {
    /// Registers a forwarding projection, which consumes the events recorded after `position` of this log. A projection
    /// that already follows this log continues from its checkpoint. One that followed another incarnation, before the
    /// log was restored from a backup, is registered again.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer.
    pub async fn register_forwarding(
        &self,
        projection: &str,
        incarnation: Uuid,
        position: u64,
    ) -> Result<(), ControlError> {
        let control_error = || postgres_error("registering a projection");
        let mut transaction = self.pool().begin().await.map_err(control_error())?;
        sqlx::query("delete from projection_generations where projection = $1 and incarnation <> $2")
            .bind(projection)
            .bind(incarnation)
            .execute(&mut *transaction)
            .await
            .map_err(control_error())?;
        let registered = sqlx::query(include_str!("forwarding_projection/register.sql"))
            .bind(projection)
            .bind(ReadModelGeneration::FIRST.number())
            .bind(incarnation)
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await
            .map_err(control_error())?;
        if registered.rows_affected() > 0 {
            insert_first_pointer(&mut transaction, projection).await.map_err(control_error())?;
        }
        transaction.commit().await.map_err(control_error())
    }
}
