//! The raw limit of a read model: a plain client that writes the rows which are there already, to another place.

mod clickhouse;
mod qdrant;
mod redis;

use std::time::Duration;

use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    runtime::{Generation, Projection},
};

use super::bench_environment::BenchEnvironment;

/// The read models of what the benchmark makes up: opportunities. What tenants own is no part of it.
pub(crate) const MEASURED_PROJECTIONS: [&str; 3] =
    [OpportunityAnalytics::NAME, OpportunitySearch::NAME, OpportunityViews::NAME];

/// What a plain client did.
pub(super) struct BaselineRun {
    /// In what time it wrote everything.
    pub(super) elapsed: Duration,
    /// How many rows, points or keys.
    pub(super) rows: u64,
    /// How it wrote them.
    pub(super) description: &'static str,
}

/// Removes the database in which analysts would find what a generation shows: it outlives its generations.
///
/// # Errors
/// When `ClickHouse` does not do its part.
pub(super) async fn remove_analyst_database(field: &BenchEnvironment) -> anyhow::Result<()> {
    clickhouse::drop_database(&field.config.clickhouse.url, &field.config.clickhouse.database).await
}

/// Writes what a generation holds by nothing but the store's client.
///
/// # Errors
/// When the store does not do its part.
pub(super) async fn write_baseline(
    field: &BenchEnvironment,
    projection: &str,
    generation: Generation,
) -> anyhow::Result<BaselineRun> {
    match projection {
        "analytics" => clickhouse::write_baseline(field, generation).await,
        "search" => qdrant::write_baseline(field, generation).await,
        "views" => redis::write_baseline(field, generation).await,
        other => anyhow::bail!("no raw limit is known of {other}"),
    }
}
