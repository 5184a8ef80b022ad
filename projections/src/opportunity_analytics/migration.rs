//! Migrates the database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use clickhouse::sql::Identifier;

use super::queries::{OpportunityAnalytics, STORE};
use crate::QueryError;

/// The migrations in order; a released one never changes.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_events", include_str!("../../../migrations/clickhouse/0001_events.sql")),
    ("0002_opportunities", include_str!("../../../migrations/clickhouse/0002_opportunities.sql")),
    ("0003_awards", include_str!("../../../migrations/clickhouse/0003_awards.sql")),
    ("0004_engagement", include_str!("../../../migrations/clickhouse/0004_engagement.sql")),
    ("0005_engagement_aggregates", include_str!("../../../migrations/clickhouse/0005_engagement_aggregates.sql")),
    ("0006_engagement_window", include_str!("../../../migrations/clickhouse/0006_engagement_window.sql")),
];

const CREATE_MIGRATIONS_TABLE: &str = include_str!("sql/schema_migrations.sql");

impl OpportunityAnalytics {
    /// Creates this generation's database and tables, and sets their time to live.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable or rejects a statement.
    pub async fn migrate(&self) -> Result<(), QueryError> {
        let database = self.server().query("create database if not exists ?").bind(Identifier(&self.database()));
        self.run_statement(database.execute()).await?;
        self.run_statement(self.client().query(CREATE_MIGRATIONS_TABLE).execute()).await?;
        let done: Vec<String> =
            self.run_statement(self.client().query("select name from schema_migrations final").fetch_all()).await?;
        for (name, step) in MIGRATIONS.iter().filter(|(name, _)| !done.iter().any(|done| done == name)) {
            for statement in split_statements(step) {
                self.run_statement(self.client().query_raw(statement).execute()).await?;
            }
            let noted = self.client().query("insert into schema_migrations (name) values (?)").bind(name);
            self.run_statement(noted.execute()).await?;
            tracing::info!(migration.name = name, "{STORE} migrated");
        }
        let config = self.config();
        for (table, time, days) in [
            ("events", "toDateTime(recorded_at)", config.raw_ttl_days),
            ("engagement", "toDateTime(recorded_at)", config.raw_ttl_days),
            ("engagement_1m_states", "minute", config.minute_ttl_days),
            ("engagement_1h_states", "hour", config.hour_ttl_days),
        ] {
            self.set_table_ttl(table, time, days).await?;
        }
        Ok(())
    }

    /// Sets a table's time to live if it differs: each change makes the server check all parts of the table.
    async fn set_table_ttl(&self, table: &str, time: &str, days: u32) -> Result<(), QueryError> {
        let engine = self
            .client()
            .query("select engine_full from system.tables where database = ? and name = ?")
            .bind(self.database())
            .bind(table);
        let engine: String = self.run_statement(engine.fetch_one()).await?;
        let alter = if days == 0 {
            engine.contains("TTL ").then(|| self.client().query("alter table ? remove ttl").bind(Identifier(table)))
        } else if engine.contains(&format!("TTL {time} + toIntervalDay({days})")) {
            None
        } else {
            let alter = format!("alter table ? modify ttl {time} + toIntervalDay(?)");
            Some(self.client().query(&alter).bind(Identifier(table)).bind(days))
        };
        match alter {
            Some(alter) => self.run_statement(alter.execute()).await,
            None => Ok(()),
        }
    }
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
fn split_statements(step: &'static str) -> impl Iterator<Item = &'static str> {
    step.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps_and_hold_statements() {
        for (index, (name, step)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(name.split_once('_').unwrap().0, format!("{:04}", index + 1));
            assert!(split_statements(step).count() >= 1, "{name}");
        }
    }
}
