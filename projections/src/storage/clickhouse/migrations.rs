//! Migrates a database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use clickhouse::sql::Identifier;

use super::{clickhouse_client::ClickHouseClient, errors::STORE, table_placement::TablePlacement};
use crate::QueryError;

const CREATE_MIGRATIONS_TABLE: &str = include_str!("sql/schema_migrations.sql");

/// The migrations of a database, written for one server, and how its tables are distributed over a cluster.
pub(crate) struct MigrationSet {
    /// Name and statements of each migration, in order; a released one never changes, and each statement can be repeated.
    pub(crate) scripts: &'static [(&'static str, &'static str)],
    /// The tables that are written to, and their column with the id of the row's stream.
    pub(crate) sharding_columns: &'static [(&'static str, &'static str)],
}

impl MigrationSet {
    pub(crate) fn sharding_column(&self, table: &str) -> Option<&'static str> {
        self.sharding_columns.iter().find(|(name, _)| *name == table).map(|(_, column)| *column)
    }
}

impl ClickHouseClient {
    /// Creates the databases of a generation and applies the migrations that it does not have.
    pub(crate) async fn apply_migrations(
        &self,
        migrations: &MigrationSet,
        placement: &TablePlacement,
    ) -> Result<(), QueryError> {
        for database in placement.databases(&self.database) {
            let create = format!("create database if not exists ?{}", placement.on_cluster_clause());
            self.run_statement(self.server.query(&create).bind(Identifier(&database)).execute()).await?;
        }
        let create = placement.place_on_every_server(CREATE_MIGRATIONS_TABLE)?;
        self.run_statement(self.client.query(&create).execute()).await?;
        let applied: Vec<String> =
            self.run_statement(self.client.query("select name from schema_migrations final").fetch_all()).await?;
        let repeats_all = match placement {
            TablePlacement::SingleServer => false,
            // A server that came later has the list of migrations, which is replicated, and not their tables.
            TablePlacement::Cluster(cluster) => !self.find_incomplete_servers(cluster).await?.is_empty(),
        };
        let is_due = |name: &str| repeats_all || !applied.iter().any(|applied| applied == name);
        for (name, script) in migrations.scripts.iter().filter(|(name, _)| is_due(name)) {
            for statement in split_statements(script) {
                for placed in placement.place_statement(statement, &self.database, migrations)? {
                    let client = self.server.clone().with_database(placed.database);
                    self.run_statement(client.query_raw(&placed.sql).execute()).await?;
                }
            }
            let insert = self.client.query("insert into schema_migrations (name) values (?)").bind(name);
            self.run_statement(insert.execute()).await?;
            tracing::info!(migration.name = name, "{STORE} migration applied");
        }
        Ok(())
    }

    /// Sets a table's time to live, if it differs: with every change the server checks all parts of the table.
    pub(crate) async fn set_table_ttl(
        &self,
        placement: &TablePlacement,
        table: &str,
        time: &str,
        days: u32,
    ) -> Result<(), QueryError> {
        let database = placement.row_database(&self.database);
        let client = self.server.clone().with_database(&database);
        let query = client
            .query("select engine_full from system.tables where database = ? and name = ?")
            .bind(&database)
            .bind(table);
        let engine: String = self.run_statement(query.fetch_one()).await?;
        let on_cluster = placement.on_cluster_clause();
        let alter = if days == 0 {
            let remove = format!("alter table ?{on_cluster} remove ttl");
            engine.contains("TTL ").then(|| client.query(&remove).bind(Identifier(table)))
        } else if engine.contains(&format!("TTL {time} + toIntervalDay({days})")) {
            None
        } else {
            let alter = format!("alter table ?{on_cluster} modify ttl {time} + toIntervalDay(?)");
            Some(client.query(&alter).bind(Identifier(table)).bind(days))
        };
        match alter {
            Some(alter) => self.run_statement(alter.execute()).await,
            None => Ok(()),
        }
    }

    /// Drops the databases of a generation, on all servers that have them.
    pub(crate) async fn drop_databases(&self, placement: &TablePlacement) -> Result<(), QueryError> {
        let suffix = match placement {
            // Without `sync`: the name is free at once, and the embedded engine never confirms that it removed the files.
            TablePlacement::SingleServer => String::new(),
            // With `sync`: otherwise the folders in Keeper are in the way of a generation with the same number.
            TablePlacement::Cluster(cluster) => format!("{} sync", cluster.on_cluster_clause()),
        };
        // The tables in front first, so that no query finds them without those that have the rows.
        for database in placement.databases(&self.database).into_iter().rev() {
            let drop = format!("drop database if exists ?{suffix}");
            self.run_statement(self.server.query(&drop).bind(Identifier(&database)).execute()).await?;
        }
        Ok(())
    }
}

/// The statements of a migration: each ends with a semicolon at the end of a line.
pub(crate) fn split_statements(script: &'static str) -> impl Iterator<Item = &'static str> {
    script.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
