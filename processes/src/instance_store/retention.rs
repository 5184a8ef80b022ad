//! Removes instances that ended long ago.

use super::{InstanceStore, InstanceStoreError, postgres_error};

/// Instances that are removed in one transaction.
const REMOVAL_LIMIT: i64 = 1_000;

impl InstanceStore {
    /// Removes some instances that are finished or cancelled since that many days and have nothing left to do; returns
    /// how many. None are left when it returns 0. An event of such an instance that is delivered again later would start
    /// a new one, so the retention has to be longer than the one of Kafka.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer.
    pub async fn remove_finished(&self, retention_days: u32) -> Result<u64, InstanceStoreError> {
        let removed = sqlx::query(include_str!("remove_finished.sql"))
            .bind(i32::try_from(retention_days).unwrap_or(i32::MAX))
            .bind(REMOVAL_LIMIT)
            .execute(&self.pool)
            .await
            .map_err(postgres_error("removing finished instances of processes"))?;
        Ok(removed.rows_affected())
    }
}
