//! How many connections to Postgres a process of the product opens.

use std::collections::BTreeMap;

use eventstore::{postgres::PostgresConfig, relay::RELAY_CONNECTIONS};
use projections::storage::postgres::ListsConfig;
use sqlx::PgConnection;

/// All connections that a process of any role opens at most, with so many in its pool and for queries of lists. One more
/// process synchronises with SAM.gov, over one connection, and runs no relay.
pub fn most_postgres_connections(pool: u32, lists: u32) -> u32 {
    let lists = ListsConfig { max_connections: lists, ..ListsConfig::default() }.all_connections();
    let lanes = PostgresConfig::default().store_lanes().total();
    pool + lists + u32::try_from(lanes + RELAY_CONNECTIONS).unwrap_or(u32::MAX)
}

/// The connections of the product's programs to the database that `connection` is to, by their names in the server. Those
/// that a test opens have none.
///
/// # Errors
/// If Postgres does not answer.
pub async fn count_postgres_connections(connection: &mut PgConnection) -> anyhow::Result<BTreeMap<String, i64>> {
    let counts = "select application_name, count(*) from pg_stat_activity
        where datname = current_database() and application_name <> '' group by 1";
    Ok(sqlx::query_as(counts).fetch_all(connection).await?.into_iter().collect())
}
