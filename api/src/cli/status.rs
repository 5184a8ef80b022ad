//! `medhub status`: how the relay and the projections are doing, what every store holds, and whether they agree.

use std::{
    io::IsTerminal,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::output;
use crate::{
    config::Config,
    store::{CountError, Counts, Engine, Pipeline, ProjectionRow, RelayRow, Stores},
};

/// Pause between two counts: short enough to time a journey of seconds, long enough not to be part of it.
const PAUSE: Duration = Duration::from_millis(500);

/// Characters of an error that fit beside the rest.
const MOST_ERROR: usize = 120;

/// Tells how the relay and every generation of every projection are doing, and counts what every store holds. Exit code
/// 0 only if all stores hold what the log holds.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Keep counting until the stores agree, for at most this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Tell how the relay and the projections are doing again and again, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", conflicts_with_all = ["json", "wait"], value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

impl Status {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        if let Some(pause) = self.watch {
            return watch(&stores, Duration::from_secs(pause)).await;
        }
        stores.live.refresh(stores.runtime.control()).await?;
        let counted = counted(&stores, Duration::from_secs(self.wait)).await;
        let pipeline = stores.pipeline().await?;
        let findings = stores.findings(&Engine::ALL).await;
        if self.json {
            let counts = counted?;
            let mut all = serde_json::to_value(&counts)?;
            (all["relay"], all["projections"]) = (json!(pipeline.relay), json!(pipeline.projections));
            all["findings"] = json!(findings);
            output::result(&all.to_string())?;
            return Ok(code(counts.agree));
        }
        output::result(&pipeline_table(&pipeline))?;
        for finding in &findings {
            output::result(&format!("{}: {}", finding.engine.name(), finding.text))?;
        }
        // A store that is away must not hide how the rest is doing.
        let counts =
            counted.context("counting what every store holds; the table above is what Postgres and Kafka say")?;
        output::result(&format!("\n{}", table(&counts)))?;
        Ok(code(counts.agree))
    }
}

fn code(agree: bool) -> ExitCode {
    if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn watch(stores: &Stores, pause: Duration) -> anyhow::Result<ExitCode> {
    // Clears the terminal and goes to its top.
    const CLEAR: &str = "\x1b[2J\x1b[H";
    let drawn = std::io::stdout().is_terminal();
    loop {
        let text = match stores.pipeline().await {
            Ok(pipeline) => pipeline_table(&pipeline),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        output::result(&if drawn { format!("{CLEAR}{text}") } else { text })?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("waiting for Ctrl-C")?;
                return Ok(ExitCode::SUCCESS);
            }
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn pipeline_table(pipeline: &Pipeline) -> String {
    let relay = &pipeline.relay;
    let mut lines = vec![
        format!(
            "{:<16}{:<12}{:>12}{:>10}{:>9}{:>8}  {}",
            "", "state", "position", "lag", "lag s", "parked", "last error"
        ),
        relay_line(relay),
    ];
    lines.extend(pipeline.projections.iter().map(projection_line));
    lines.push(format!("{:<16}{:<12}{:>12}", "log", "", relay.log_end));
    lines.join("\n")
}

fn relay_line(relay: &RelayRow) -> String {
    let state = match (relay.leads, relay.relays) {
        (true, _) => "leads",
        (false, 0) => "NO RELAY",
        (false, _) => "NO LEADER",
    };
    // Of a relay that cannot work the whole reason is wanted: it names what to do.
    let error = relay.last_error.as_deref().unwrap_or_default();
    let line =
        format!("{:<16}{state:<12}{:>12}{:>10}{:>9}{:>8}  {error}", "relay", relay.position, relay.lag_events, "", "");
    line.trim_end().to_owned()
}

fn projection_line(row: &ProjectionRow) -> String {
    let name = format!("{} g{}{}", row.projection, row.generation, if row.live { " *" } else { "" });
    let lag = row.lag_records.map_or("?".to_owned(), |records| records.to_string());
    let error: String = row.last_error.iter().flat_map(|error| error.chars()).take(MOST_ERROR).collect();
    let line =
        format!("{name:<16}{:<12}{:>12}{lag:>10}{:>9.1}{:>8}  {error}", row.state, row.position, row.lag_s, row.parked);
    line.trim_end().to_owned()
}

/// Counts until the stores agree or `patience` is over; answers with the last count.
async fn counted(stores: &Stores, patience: Duration) -> Result<Counts, CountError> {
    let deadline = Instant::now() + patience;
    loop {
        let counted = stores.count().await;
        let agree = counted.as_ref().is_ok_and(|counts| counts.agree);
        if agree || Instant::now() >= deadline {
            return counted;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn table(counts: &Counts) -> String {
    let rows = [
        ("Postgres", "events", counts.postgres.events),
        ("Kafka", "records", counts.kafka.records),
        ("ClickHouse", "facts", counts.clickhouse.facts),
        ("Postgres", "streams", counts.postgres.streams),
        ("Postgres", "opportunities", counts.postgres.opportunities),
        ("ClickHouse", "opportunities", counts.clickhouse.opportunities),
        ("Qdrant", "points", counts.qdrant.points),
        ("Redis", "views", counts.redis.views),
        ("GraphQL", "totalCount", counts.graphql.total_count),
    ];
    let mut lines = rows.map(|(store, what, count)| format!("{store:<12}{what:<16}{count:>12}")).to_vec();
    lines.push(if counts.agree { "all stores agree" } else { "the stores do not agree (yet)" }.to_owned());
    lines.join("\n")
}
