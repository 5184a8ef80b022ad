//! What the migrations of a next release leave behind in its first step (expand), while this release still runs.

use std::collections::BTreeSet;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

use crate::ProductHandle;

/// The column that every table gets.
const NEW_COLUMN: &str = "added_by_the_next_release";

/// Every table of the product in Postgres: those of the log, the lists and the registry.
const LIST_TABLES: &str = "
select format('%I.%I', namespace.nspname, relation.relname)
from pg_class relation join pg_namespace namespace on namespace.oid = relation.relnamespace
where relation.relkind in ('r', 'p') and not relation.relispartition and relation.relname <> '_sqlx_migrations'
  and namespace.nspname not like 'pg\\_%' and namespace.nspname <> 'information_schema'
order by 1";

/// A migration that this release does not have.
const RECORD_MIGRATION: &str = "
insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
values (9000, 'of the next release', now(), true, '\\x00', 1)";

const LIST_CLICKHOUSE_TABLES: &str = "
select database || '.' || name from system.tables
where database like 'medhub\\_g%' and engine like '%MergeTree' and name not like '.inner%'";

/// Adds a column to every table in Postgres and `ClickHouse`, and the record of a migration that this release lacks.
/// Returns the number of tables.
///
/// # Errors
/// If a store refuses it.
pub(super) async fn expand_schema(product: &ProductHandle) -> anyhow::Result<usize> {
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await?;
    let tables: Vec<String> = sqlx::query_scalar(LIST_TABLES).fetch_all(&mut connection).await?;
    for table in &tables {
        let statement = format!("alter table {table} add column {NEW_COLUMN} text");
        sqlx::query(&statement).execute(&mut connection).await.with_context(|| statement.clone())?;
    }
    sqlx::query(RECORD_MIGRATION).execute(&mut connection).await.context("recording a migration")?;
    connection.close().await?;
    let listed = product.query_clickhouse(LIST_CLICKHOUSE_TABLES).await;
    let in_clickhouse: BTreeSet<_> = listed.lines().collect();
    for table in &in_clickhouse {
        product.query_clickhouse(&format!("alter table {table} add column {NEW_COLUMN} String default ''")).await;
    }
    anyhow::ensure!(!tables.is_empty() && !in_clickhouse.is_empty(), "{tables:?} in Postgres, {in_clickhouse:?}");
    Ok(tables.len() + in_clickhouse.len())
}
