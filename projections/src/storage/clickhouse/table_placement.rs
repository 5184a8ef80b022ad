//! Where the tables of a generation are: on one server, or on all servers of a cluster, replicated and sharded.
//!
//! ```text
//! database medhub_g1          Distributed tables, views        what programs and analysts query
//! database medhub_g1_shard    Replicated tables with the rows  one shard of them on each server
//! ```
//!
//! Both databases have the same table names, so that migration scripts and queries are the same as for one server. All
//! rows of a stream are on one shard: a repeated or a newer row meets the row that it replaces.

use super::{
    cluster_statements::{self, UnplacedStatement, escape_text},
    errors::unavailable_error,
};
use crate::QueryError;

/// Suffix of the database that has the rows of one shard.
const SHARD_SUFFIX: &str = "_shard";

/// The servers that have the tables of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TablePlacement {
    /// The server that is connected to.
    SingleServer,
    /// All servers of a cluster.
    Cluster(TableCluster),
}

/// A cluster by its name in `remote_servers`, and the folder in Keeper where its replicas meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableCluster {
    pub(crate) name: String,
    pub(crate) keeper_path: String,
}

/// What a table has on a cluster beside its definition for one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableTraits {
    /// The column with the id of the row's stream; `None` for a table that is not written to directly.
    pub(crate) sharding_column: Option<&'static str>,
    /// The time to live, as an expression.
    pub(crate) ttl: Option<String>,
}

/// A statement, and the database whose tables it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedStatement {
    pub(crate) database: String,
    pub(crate) sql: String,
}

impl TablePlacement {
    /// The clause, after the name of a table or a database, that makes a statement run where the tables are.
    pub(crate) fn on_cluster_clause(&self) -> String {
        match self {
            Self::SingleServer => String::new(),
            Self::Cluster(cluster) => cluster.on_cluster_clause(),
        }
    }

    /// The databases of a generation, in the order of their creation.
    pub(crate) fn databases(&self, database: &str) -> Vec<String> {
        match self {
            Self::SingleServer => vec![database.to_owned()],
            Self::Cluster(_) => vec![self.row_database(database), database.to_owned()],
        }
    }

    /// The database whose tables have the rows.
    pub(crate) fn row_database(&self, database: &str) -> String {
        match self {
            Self::SingleServer => database.to_owned(),
            Self::Cluster(_) => format!("{database}{SHARD_SUFFIX}"),
        }
    }

    /// The statements that one statement of a migration is translated to.
    pub(crate) fn place_statement(
        &self,
        statement: &str,
        database: &str,
        describe_table: impl Fn(&str) -> TableTraits,
    ) -> Result<Vec<PlacedStatement>, QueryError> {
        match self {
            Self::SingleServer => {
                Ok(vec![PlacedStatement { database: database.to_owned(), sql: statement.to_owned() }])
            }
            Self::Cluster(cluster) => {
                let databases = (database, self.row_database(database));
                cluster_statements::place_on_shards(cluster, statement, databases, describe_table).map_err(unplaced)
            }
        }
    }

    /// The statement that creates a small table that every server has as a whole.
    pub(crate) fn place_on_every_server(&self, statement: &str) -> Result<String, QueryError> {
        match self {
            Self::SingleServer => Ok(statement.to_owned()),
            Self::Cluster(cluster) => cluster_statements::place_on_every_server(cluster, statement).map_err(unplaced),
        }
    }
}

fn unplaced(error: UnplacedStatement) -> QueryError {
    unavailable_error(error)
}

impl TableCluster {
    pub(crate) fn on_cluster_clause(&self) -> String {
        format!(" on cluster `{}`", escape_text(&self.name, '`'))
    }
}

/// The time to live of a table, from the `engine_full` of `system.tables`; `None` for a table without one.
pub(super) fn read_ttl(engine: &str) -> Option<&str> {
    let (_, ttl) = engine.split_once(" TTL ")?;
    Some(ttl.split_once(" SETTINGS ").map_or(ttl, |(ttl, _)| ttl))
}

/// The cluster that a `Distributed` table reads, from the `engine_full` of `system.tables`; `None` for other engines.
pub(super) fn read_distributed_cluster(engine: &str) -> Option<&str> {
    let arguments = engine.strip_prefix("Distributed(")?;
    let name = arguments.split([',', ')']).next()?.trim();
    Some(name.trim_matches(['\'', '`', '"']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_a_distributed_table_is_read_from_its_engine() {
        let engine = "Distributed('medhub', 'm_g1_shard', 'events', cityHash64(aggregate_id))";
        assert_eq!(read_distributed_cluster(engine), Some("medhub"));
        assert_eq!(read_distributed_cluster("Distributed(medhub, m, events)"), Some("medhub"));
        assert_eq!(read_distributed_cluster("ReplacingMergeTree ORDER BY id"), None);
    }

    #[test]
    fn the_time_to_live_of_a_table_is_read_from_its_engine() {
        let engine = "ReplicatedReplacingMergeTree('/a', '{replica}') ORDER BY id";
        let ttl = "toDateTime(recorded_at) + toIntervalDay(90)";
        assert_eq!(read_ttl(engine), None);
        assert_eq!(read_ttl(&format!("{engine} TTL {ttl}")), Some(ttl));
        assert_eq!(read_ttl(&format!("{engine} TTL {ttl} SETTINGS index_granularity = 8192")), Some(ttl));
    }

    #[test]
    fn a_single_server_has_one_database_and_statements_as_they_are() {
        let statement = "create table if not exists a\n(\n    id String\n)\nengine = MergeTree\norder by id";
        let describe = |_: &str| TableTraits::default();
        let placement = TablePlacement::SingleServer;
        assert_eq!(placement.databases("m_g1"), ["m_g1"]);
        assert_eq!(
            placement.place_statement(statement, "m_g1", describe).unwrap(),
            [PlacedStatement { database: "m_g1".to_owned(), sql: statement.to_owned() }]
        );
        assert_eq!(placement.place_on_every_server(statement).unwrap(), statement);
        assert_eq!(placement.on_cluster_clause(), "");
    }
}
