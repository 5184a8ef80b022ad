//! The raw limit of a read model: a plain client that writes the rows which are there already, to another place.

mod clickhouse;
mod qdrant;
mod redis;

use std::time::Duration;

use projections::{
    analytics::Analytics,
    runtime::{Generation, Projection},
    search::Search,
    views::Views,
};

use super::field::Field;

/// The read models of what the benchmark makes up: opportunities. What tenants own is no part of it.
pub(crate) const MEASURED: [&str; 3] = [Analytics::NAME, Search::NAME, Views::NAME];

/// What a plain client did.
pub(super) struct Raw {
    /// In what time it wrote everything.
    pub(super) elapsed: Duration,
    /// How many rows, points or keys.
    pub(super) rows: u64,
    /// How it wrote them.
    pub(super) is: &'static str,
}

/// Removes the database in which analysts would find what a generation shows: it outlives its generations.
///
/// # Errors
/// When `ClickHouse` does not do its part.
pub(super) async fn remove_shown(field: &Field) -> anyhow::Result<()> {
    clickhouse::remove(&field.config.clickhouse.url, &field.config.clickhouse.database).await
}

/// Writes what a generation holds by nothing but the store's client.
///
/// # Errors
/// When the store does not do its part.
pub(super) async fn write(field: &Field, projection: &str, generation: Generation) -> anyhow::Result<Raw> {
    match projection {
        "analytics" => clickhouse::write(field, generation).await,
        "search" => qdrant::write(field, generation).await,
        "views" => redis::write(field, generation).await,
        other => anyhow::bail!("no raw limit is known of {other}"),
    }
}
