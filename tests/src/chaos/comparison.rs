//! Whether every read model is what the log says.
//!
//! The product's own comparison names what differs row by row. Beside it some figures are counted in other ways that
//! share no code with the product, so that a mistake that is in both of its sides shows.

use std::time::Duration;

use anyhow::Context as _;
use projections::{opportunity_views::KeyShard, read_models::READ_MODEL_NAMES};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use super::event_load::json_lines;
use crate::{TestStack, faults::bounded_wait::until};

/// What the comparison found.
pub(super) struct ComparisonResult {
    pub(super) rows: u64,
    pub(super) violations: Vec<String>,
}

/// Waits until the relay and every projection are at the end.
pub(super) async fn caught_up(stack: &TestStack, patience: Duration) -> anyhow::Result<()> {
    until(patience, async || {
        let output = stack.medhub(&["status", "--json"]).await;
        let status = json_lines(&output.stdout)?.pop().context("status says nothing")?;
        let behind = |row: &Value| row["lag_records"] != 0 || row["state"] != "running";
        let rows = status["projections"].as_array().context("no projections")?;
        anyhow::ensure!(status["relay"]["lag_events"] == 0, "the relay is behind: {}", status["relay"]);
        anyhow::ensure!(!rows.iter().any(behind), "a projection is behind: {}", status["projections"]);
        Ok(())
    })
    .await
}

/// Compares everything.
pub(super) async fn compare(stack: &TestStack) -> anyhow::Result<ComparisonResult> {
    let output = stack.medhub(&["verify", "--json"]).await;
    let reports = json_lines(&output.stdout)?;
    let mut violations = vec![];
    if reports.len() != READ_MODEL_NAMES.len() {
        violations.push(format!(
            "{} of {} read models were compared: {}",
            reports.len(),
            READ_MODEL_NAMES.len(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let mut rows = 0;
    for report in &reports {
        rows += report["rows"].as_u64().unwrap_or_default();
        let named = report["differences"].as_array().into_iter().flatten();
        violations.extend(named.take(20).map(|difference| format!("{} {difference}", report["projection"])));
        if report["parked"] != 0 {
            violations.push(format!("{} parked {} events", report["projection"], report["parked"]));
        }
    }
    for (what, expected, found) in counted(stack).await? {
        if expected != found {
            violations.push(format!("{what}: {expected} by the log, {found} in the store"));
        }
    }
    Ok(ComparisonResult { rows, violations })
}

/// Figures by plain SQL over the log, and by plain requests to the stores.
async fn counted(stack: &TestStack) -> anyhow::Result<Vec<(&'static str, u64, u64)>> {
    let mut log = PgConnection::connect(stack.variable("DATABASE_URL")).await?;
    let mut of_log = async |sql: &'static str| -> anyhow::Result<u64> {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut log).await?;
        Ok(count.unsigned_abs())
    };
    let opportunities =
        of_log("select count(distinct aggregate_id) from events where aggregate_type = 'opportunity'").await?;
    let views = of_log("select count(*) from events where event_type = 'visit.page_viewed'").await?;
    let awards = of_log(
        "select count(distinct (aggregate_id, payload ->> 'key')) from events where event_type = 'opportunity.awarded'",
    )
    .await?;
    let facts = of_log("select count(*) from events").await?;
    let mut redis = redis::Client::open(stack.variable("REDIS_URL").to_owned())?.get_connection()?;
    let mut total = 0;
    for shard in KeyShard::all() {
        let key = format!("medhub:g1:{{{shard}}}:counters:opportunities");
        total += redis::cmd("HGET").arg(key).arg("total").query::<Option<u64>>(&mut redis)?.unwrap_or_default();
    }
    Ok(vec![
        ("facts in ClickHouse", facts, clickhouse(stack, "select uniqExact(event_id) from medhub_g1.events").await?),
        (
            "opportunities in ClickHouse",
            opportunities,
            clickhouse(stack, "select uniqExact(id) from medhub_g1.opportunities").await?,
        ),
        ("awards in ClickHouse", awards, clickhouse(stack, "select count() from medhub_g1.awards final").await?),
        (
            "page views in the figures by hour",
            views,
            clickhouse(stack, "select sum(views) from medhub.engagement_1h").await?,
        ),
        ("opportunities counted in Redis", opportunities, total),
        ("points in Qdrant", opportunities, points(stack).await?),
    ])
}

async fn clickhouse(stack: &TestStack, sql: &str) -> anyhow::Result<u64> {
    let answer = reqwest::Client::new()
        .post(stack.variable("CLICKHOUSE_URL").to_owned())
        .body(format!("{sql} format TSV"))
        .send()
        .await?;
    let text = answer.text().await?;
    text.trim().parse().with_context(|| format!("{sql}: {text}"))
}

async fn points(stack: &TestStack) -> anyhow::Result<u64> {
    let client = qdrant_client::Qdrant::from_url(stack.variable("QDRANT_URL")).skip_compatibility_check().build()?;
    let count = qdrant_client::qdrant::CountPointsBuilder::new("medhub_opportunities_g1").exact(true);
    let answer = Box::pin(client.count(count)).await?;
    Ok(answer.result.map_or(0, |result| result.count))
}
