//! The baseline of a read model: a plain client that copies its rows to another table, collection or key prefix.

mod clickhouse;
mod qdrant;
mod redis;

use std::time::Duration;

use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    runtime::{Projection, ReadModelGeneration},
};

use super::bench_environment::BenchEnvironment;

/// The projections of opportunities, which the benchmark generates. Projections of tenant data are not measured.
pub const MEASURED_PROJECTIONS: [&str; 3] =
    [OpportunityAnalytics::NAME, OpportunitySearch::NAME, OpportunityViews::NAME];

/// Result of a plain client.
pub(super) struct BaselineRun {
    /// Elapsed time.
    pub(super) elapsed: Duration,
    /// Number of rows, points or keys.
    pub(super) rows: u64,
    /// Describes how they were written.
    pub(super) description: &'static str,
}

/// Drops the database of the views for analysts, which outlives its generations.
///
/// # Errors
/// When `ClickHouse` fails.
pub(super) async fn remove_analyst_database(environment: &BenchEnvironment) -> anyhow::Result<()> {
    clickhouse::drop_database(&environment.config.clickhouse.url, &environment.config.clickhouse.database).await
}

/// Writes the rows of a generation with the plain client of its storage.
///
/// # Errors
/// When the storage fails, or `projection` has no baseline.
pub(super) async fn write_baseline(
    environment: &BenchEnvironment,
    projection: &str,
    generation: ReadModelGeneration,
) -> anyhow::Result<BaselineRun> {
    match projection {
        "analytics" => clickhouse::write_baseline(environment, generation).await,
        "search" => qdrant::write_baseline(environment, generation).await,
        "views" => redis::write_baseline(environment, generation).await,
        other => anyhow::bail!("projection {other} has no baseline"),
    }
}
