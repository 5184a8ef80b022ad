//! Migrates a database to the schema that this release uses. Safe to repeat, and to run in several processes at once.

use std::collections::HashMap;

use clickhouse::{Row, sql::Identifier};
use serde::Deserialize;

use super::{
    clickhouse_client::ClickHouseClient,
    errors::STORE,
    table_placement::{TableCluster, TablePlacement, TableTraits, read_ttl},
};
use crate::QueryError;

const CREATE_MIGRATIONS_TABLE: &str = include_str!("sql/schema_migrations.sql");

/// The migrations of a database, written for one server, and how its tables are distributed over a cluster.
pub(crate) struct MigrationSet {
    /// Name and statements of each migration, in order; a released one never changes, and each statement can be repeated.
    pub(crate) scripts: &'static [(&'static str, &'static str)],
    /// The tables that are written to, and their column with the id of the row's stream.
    pub(crate) sharding_columns: &'static [(&'static str, &'static str)],
}

/// How long the rows of a table are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableRetention {
    pub(crate) table: &'static str,
    /// The time that the days count from, as an expression.
    pub(crate) time: &'static str,
    /// 0 keeps the rows without limit.
    pub(crate) days: u32,
}

impl TableRetention {
    /// The time to live, as the server writes it; `None` if rows are kept without limit.
    fn ttl(&self) -> Option<String> {
        (self.days > 0).then(|| format!("{} + toIntervalDay({})", self.time, self.days))
    }
}

/// A table, and its engine with all arguments and clauses.
#[derive(Debug, Row, Deserialize)]
pub(super) struct TableEngine {
    pub(super) name: String,
    pub(super) engine_full: String,
}

impl MigrationSet {
    /// What a new table has on a cluster.
    pub(crate) fn describe_table(&self, table: &str, retentions: &[TableRetention]) -> TableTraits {
        TableTraits {
            sharding_column: self.sharding_columns.iter().find(|(name, _)| *name == table).map(|(_, column)| *column),
            ttl: retentions.iter().find(|retention| retention.table == table).and_then(TableRetention::ttl),
        }
    }
}

impl ClickHouseClient {
    /// Creates the databases of a generation and applies the migrations that it does not have.
    pub(crate) async fn apply_migrations(
        &self,
        migrations: &MigrationSet,
        placement: &TablePlacement,
        retentions: &[TableRetention],
    ) -> Result<(), QueryError> {
        for database in placement.databases(&self.database) {
            let create = format!("create database if not exists ?{}", placement.on_cluster_clause());
            self.run_statement(self.server.query(&create).bind(Identifier(&database)).execute()).await?;
        }
        let create = placement.place_on_every_server(CREATE_MIGRATIONS_TABLE)?;
        self.run_statement(self.client.query(&create).execute()).await?;
        let applied: Vec<String> =
            self.run_statement(self.client.query("select name from schema_migrations final").fetch_all()).await?;
        let (repeats_all, stored) = match placement {
            TablePlacement::SingleServer => (false, HashMap::new()),
            // A server that came later has the list of migrations, which is replicated, and not their tables.
            TablePlacement::Cluster(cluster) => {
                let engines = self.load_engines_on_servers(cluster, &placement.row_database(&self.database)).await?;
                let engines = engines.into_iter().map(|table| (table.name, table.engine_full)).collect();
                (!self.find_incomplete_servers(cluster).await?.is_empty(), engines)
            }
        };
        let describe_table = |table: &str| {
            let traits = migrations.describe_table(table, retentions);
            match stored.get(table) {
                // Its replicas on other servers have this time to live, which changes afterwards, on all of them.
                Some(engine) => TableTraits { ttl: read_ttl(engine).map(str::to_owned), ..traits },
                None => traits,
            }
        };
        let is_due = |name: &str| repeats_all || !applied.iter().any(|applied| applied == name);
        for (name, script) in migrations.scripts.iter().filter(|(name, _)| is_due(name)) {
            for statement in split_statements(script) {
                for placed in placement.place_statement(statement, &self.database, describe_table)? {
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
        retention: TableRetention,
    ) -> Result<(), QueryError> {
        let TableRetention { table, time, days } = retention;
        let database = placement.row_database(&self.database);
        let client = self.server.clone().with_database(&database);
        let engine: String = match placement {
            TablePlacement::SingleServer => {
                let query = client.query("select engine_full from system.tables where database = ? and name = ?");
                self.run_statement(query.bind(&database).bind(table).fetch_one()).await?
            }
            // The server that is asked may not have the table yet.
            TablePlacement::Cluster(cluster) => {
                let engines = self.load_engines_on_servers(cluster, &database).await?;
                let Some(found) = engines.into_iter().find(|found| found.name == table) else { return Ok(()) };
                found.engine_full
            }
        };
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

    /// The tables of a database on all servers of a cluster that answer; one that servers define differently is there
    /// several times.
    pub(super) async fn load_engines_on_servers(
        &self,
        cluster: &TableCluster,
        database: &str,
    ) -> Result<Vec<TableEngine>, QueryError> {
        let query = self.server.query(include_str!("sql/engines_on_servers.sql")).bind(&cluster.name).bind(database);
        self.run_statement(query.fetch_all()).await
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
