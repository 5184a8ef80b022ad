//! `medhub status`: what every store holds, and whether they agree.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;

use super::output;
use crate::{
    config::Config,
    store::{CountError, Counts, Stores},
};

/// Pause between two counts: short enough to time a journey of seconds, long enough not to be part of it.
const PAUSE: Duration = Duration::from_millis(500);

/// Counts what every store holds. Exit code 0 only if all of them hold what the log holds.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Keep counting until the stores agree, for at most this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

impl Status {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let stores = Stores::open_without_model(config)?;
        let counts = counted(&stores, Duration::from_secs(self.wait)).await?;
        let text = if self.json { serde_json::to_string(&counts)? } else { table(&counts) };
        output::result(&text)?;
        Ok(if counts.agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
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
