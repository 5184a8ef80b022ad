//! Compares every read model with the log.
//!
//! The product's own comparison names each row that differs. Some figures are also counted in ways that share no code
//! with the product, which shows a mistake that both sides of its comparison have.

use std::time::Duration;

use anyhow::Context as _;
use projections::{
    opportunity_views::KeyShard,
    read_models::{projection_names, read_model_names},
};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use super::event_load::parse_json_lines;
use crate::{ProductHandle, faults::bounded_wait::wait_until};

/// The result of the comparison.
pub(crate) struct ComparisonResult {
    pub(crate) rows: u64,
    pub(crate) violations: Vec<String>,
}

/// Waits until the relay and every projection have no lag.
pub(crate) async fn wait_until_caught_up(product: &ProductHandle, timeout: Duration) -> anyhow::Result<()> {
    wait_until(timeout, async || {
        let output = product.run_medhub(&["status", "--json"]).await;
        let status = parse_json_lines(&output.stdout)?.pop().context("the status command printed nothing")?;
        // Nothing runs processes here.
        let is_projection = |row: &Value| projection_names().iter().any(|name| row["projection"] == *name);
        let behind = |row: &Value| is_projection(row) && (row["lag_records"] != 0 || row["state"] != "running");
        let rows = status["projections"].as_array().context("no projections")?;
        anyhow::ensure!(status["relay"]["lag_events"] == 0, "the relay is behind: {}", status["relay"]);
        anyhow::ensure!(!rows.iter().any(behind), "a projection is behind: {}", status["projections"]);
        Ok(())
    })
    .await
}

/// Compares all read models.
pub(crate) async fn compare_read_models(product: &ProductHandle) -> anyhow::Result<ComparisonResult> {
    let output = product.run_medhub(&["verify", "--json"]).await;
    let reports = parse_json_lines(&output.stdout)?;
    let mut violations = vec![];
    if reports.len() != read_model_names().len() {
        violations.push(format!(
            "{} of {} read models were compared: {}",
            reports.len(),
            read_model_names().len(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut rows = 0;
    for report in &reports {
        rows += report["rows"].as_u64().unwrap_or_default();
        let differences = report["differences"].as_array().into_iter().flatten();
        violations.extend(differences.take(20).map(|difference| format!("{} {difference}", report["projection"])));
        if report["parked"] != 0 {
            violations.push(format!("{} parked {} events", report["projection"], report["parked"]));
        }
    }
    for (what, expected, found) in count_independently(product).await? {
        if expected != found {
            violations.push(format!("{what}: {expected} by the log, {found} in the store"));
        }
    }
    Ok(ComparisonResult { rows, violations })
}

/// Figures from plain SQL over the log and plain requests to the stores: name, expected count, found count.
async fn count_independently(product: &ProductHandle) -> anyhow::Result<Vec<(&'static str, u64, u64)>> {
    let mut log = PgConnection::connect(product.variable("DATABASE_URL")).await?;
    let mut count_in_log = async |sql: &'static str| -> anyhow::Result<u64> {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut log).await?;
        Ok(count.unsigned_abs())
    };
    let opportunities =
        count_in_log("select count(distinct aggregate_id) from events where aggregate_type = 'opportunity'").await?;
    let views = count_in_log("select count(*) from events where event_type = 'visit.page_viewed'").await?;
    let awards = count_in_log(
        "select count(distinct (aggregate_id, payload ->> 'key')) from events where event_type = 'opportunity.awarded'",
    )
    .await?;
    let facts = count_in_log("select count(*) from events").await?;
    let mut redis = redis::Client::open(product.variable("REDIS_URL").to_owned())?.get_connection()?;
    let mut total = 0;
    for shard in KeyShard::all() {
        let key = format!("medhub:g1:{{{shard}}}:counters:opportunities");
        total += redis::cmd("HGET").arg(key).arg("total").query::<Option<u64>>(&mut redis)?.unwrap_or_default();
    }
    Ok(vec![
        (
            "facts in ClickHouse",
            facts,
            count_in_clickhouse(product, "select uniqExact(event_id) from medhub_g1.events").await?,
        ),
        (
            "opportunities in ClickHouse",
            opportunities,
            count_in_clickhouse(product, "select uniqExact(id) from medhub_g1.opportunities").await?,
        ),
        (
            "awards in ClickHouse",
            awards,
            count_in_clickhouse(product, "select count() from medhub_g1.awards final").await?,
        ),
        (
            "page views in the figures by hour",
            views,
            count_in_clickhouse(product, "select sum(views) from medhub.engagement_1h").await?,
        ),
        ("opportunities counted in Redis", opportunities, total),
        ("points in Qdrant", opportunities, count_points(product).await?),
    ])
}

async fn count_in_clickhouse(product: &ProductHandle, sql: &str) -> anyhow::Result<u64> {
    let response = crate::new_http_client()
        .post(product.variable("CLICKHOUSE_URL").to_owned())
        .body(format!("{sql} format TSV"))
        .send()
        .await?;
    let text = response.text().await?;
    text.trim().parse().with_context(|| format!("{sql}: {text}"))
}

async fn count_points(product: &ProductHandle) -> anyhow::Result<u64> {
    let client = qdrant_client::Qdrant::from_url(product.variable("QDRANT_URL")).skip_compatibility_check().build()?;
    let count = qdrant_client::qdrant::CountPointsBuilder::new("medhub_opportunities_g1").exact(true);
    let response = Box::pin(client.count(count)).await?;
    Ok(response.result.map_or(0, |result| result.count))
}
