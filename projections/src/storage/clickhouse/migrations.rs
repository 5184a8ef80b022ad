//! Migrates a database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use clickhouse::sql::Identifier;

use super::{clickhouse_client::ClickHouseClient, errors::STORE};
use crate::QueryError;

const CREATE_MIGRATIONS_TABLE: &str = include_str!("sql/schema_migrations.sql");

impl ClickHouseClient {
    /// Creates the database, and applies those of the migrations, by name and statements, that it does not have.
    pub(crate) async fn apply_migrations(&self, migrations: &'static [(&str, &str)]) -> Result<(), QueryError> {
        let database = self.server.query("create database if not exists ?").bind(Identifier(&self.database));
        self.run_statement(database.execute()).await?;
        self.run_statement(self.client.query(CREATE_MIGRATIONS_TABLE).execute()).await?;
        let done: Vec<String> =
            self.run_statement(self.client.query("select name from schema_migrations final").fetch_all()).await?;
        for (name, step) in migrations.iter().filter(|(name, _)| !done.iter().any(|done| done == name)) {
            for statement in split_statements(step) {
                self.run_statement(self.client.query_raw(statement).execute()).await?;
            }
            let noted = self.client.query("insert into schema_migrations (name) values (?)").bind(name);
            self.run_statement(noted.execute()).await?;
            tracing::info!(migration.name = name, "{STORE} migrated");
        }
        Ok(())
    }

    /// Sets a table's time to live if it differs: each change makes the server check all parts of the table.
    pub(crate) async fn set_table_ttl(&self, table: &str, time: &str, days: u32) -> Result<(), QueryError> {
        let engine = self
            .client()
            .query("select engine_full from system.tables where database = ? and name = ?")
            .bind(&self.database)
            .bind(table);
        let engine: String = self.run_statement(engine.fetch_one()).await?;
        let alter = if days == 0 {
            engine.contains("TTL ").then(|| self.client.query("alter table ? remove ttl").bind(Identifier(table)))
        } else if engine.contains(&format!("TTL {time} + toIntervalDay({days})")) {
            None
        } else {
            let alter = format!("alter table ? modify ttl {time} + toIntervalDay(?)");
            Some(self.client.query(&alter).bind(Identifier(table)).bind(days))
        };
        match alter {
            Some(alter) => self.run_statement(alter.execute()).await,
            None => Ok(()),
        }
    }
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
pub(crate) fn split_statements(step: &'static str) -> impl Iterator<Item = &'static str> {
    step.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
