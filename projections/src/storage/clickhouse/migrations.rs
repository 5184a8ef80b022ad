//! Migrates a database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use clickhouse::sql::Identifier;

use super::{clickhouse_client::ClickHouseClient, errors::STORE};
use crate::QueryError;

const CREATE_MIGRATIONS_TABLE: &str = include_str!("sql/schema_migrations.sql");

impl ClickHouseClient {
    /// Creates the database and applies the migrations that it does not have; a migration is a name and its statements.
    pub(crate) async fn apply_migrations(&self, migrations: &'static [(&str, &str)]) -> Result<(), QueryError> {
        let database = self.server.query("create database if not exists ?").bind(Identifier(&self.database));
        self.run_statement(database.execute()).await?;
        self.run_statement(self.client.query(CREATE_MIGRATIONS_TABLE).execute()).await?;
        let applied: Vec<String> =
            self.run_statement(self.client.query("select name from schema_migrations final").fetch_all()).await?;
        for (name, script) in migrations.iter().filter(|(name, _)| !applied.iter().any(|applied| applied == name)) {
            for statement in split_statements(script) {
                self.run_statement(self.client.query_raw(statement).execute()).await?;
            }
            let insert = self.client.query("insert into schema_migrations (name) values (?)").bind(name);
            self.run_statement(insert.execute()).await?;
            tracing::info!(migration.name = name, "{STORE} migration applied");
        }
        Ok(())
    }

    /// Sets a table's time to live, if it differs: with every change the server checks all parts of the table.
    pub(crate) async fn set_table_ttl(&self, table: &str, time: &str, days: u32) -> Result<(), QueryError> {
        let query = self
            .client()
            .query("select engine_full from system.tables where database = ? and name = ?")
            .bind(&self.database)
            .bind(table);
        let engine: String = self.run_statement(query.fetch_one()).await?;
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
pub(crate) fn split_statements(script: &'static str) -> impl Iterator<Item = &'static str> {
    script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
