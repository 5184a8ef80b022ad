//! Migrates the database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use super::OpportunityAnalytics;
use crate::QueryError;

/// The migrations in order; a released one never changes.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_events", include_str!("../../../migrations/clickhouse/0001_events.sql")),
    ("0002_opportunities", include_str!("../../../migrations/clickhouse/0002_opportunities.sql")),
    ("0003_awards", include_str!("../../../migrations/clickhouse/0003_awards.sql")),
    ("0004_engagement", include_str!("../../../migrations/clickhouse/0004_engagement.sql")),
    ("0005_engagement_aggregates", include_str!("../../../migrations/clickhouse/0005_engagement_aggregates.sql")),
    ("0006_engagement_window", include_str!("../../../migrations/clickhouse/0006_engagement_window.sql")),
    ("0007_proposal_generations", include_str!("../../../migrations/clickhouse/0007_proposal_generations.sql")),
];

impl OpportunityAnalytics {
    /// Creates this generation's database and tables, and sets their time to live.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects a statement.
    pub async fn migrate(&self) -> Result<(), QueryError> {
        self.store().apply_migrations(MIGRATIONS).await?;
        let config = self.config();
        for (table, time, days) in [
            ("events", "toDateTime(recorded_at)", config.raw_ttl_days),
            ("engagement", "toDateTime(recorded_at)", config.raw_ttl_days),
            ("engagement_1m_states", "minute", config.minute_ttl_days),
            ("engagement_1h_states", "hour", config.hour_ttl_days),
        ] {
            self.store().set_table_ttl(table, time, days).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::clickhouse::split_statements;

    #[test]
    fn migrations_are_numbered_without_gaps_and_have_statements() {
        for (index, (name, script)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(name.split_once('_').unwrap().0, format!("{:04}", index + 1));
            assert!(split_statements(script).count() >= 1, "{name}");
        }
    }
}
