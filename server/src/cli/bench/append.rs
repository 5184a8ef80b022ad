//! `medhub bench append`: throughput of appends, beside pgbench.

use std::{process::ExitCode, time::Duration};

use bench::append::{self, AppendBenchOptions, CommandStoreKind};
use clap::{Args, ValueEnum};

use crate::{cli::output, config::MedhubConfig};

/// Measures single commands and batch appends, each beside pgbench doing the least equivalent work on the same server.
/// Needs the program pgbench, and the right to create a database.
#[derive(Debug, Args)]
pub(super) struct AppendBenchArgs {
    /// Commands in flight at once, and clients of pgbench
    #[arg(long, value_name = "COMMANDS", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
    /// Seconds for each of the three measurements
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// Rounds in which the three take turns; the ratios are medians of the rounds
    #[arg(long, value_name = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Events per batch
    #[arg(long, value_name = "EVENTS", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Batches appended at once
    #[arg(long, value_name = "BATCHES", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    batch_writers: u16,
    /// The event store that handles the single commands
    #[arg(long, value_enum, default_value_t = CommandStoreChoice::Medhub)]
    store: CommandStoreChoice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CommandStoreChoice {
    /// The product's event store
    Medhub,
    /// The event store of the library postgres-es, for comparison
    PostgresEs,
}

impl AppendBenchArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let options = AppendBenchOptions {
            in_flight: self.in_flight.into(),
            round_duration: Duration::from_secs((self.seconds / self.rounds).max(1).into()),
            rounds: self.rounds.into(),
            batch_events: self.batch.into(),
            batch_writers: self.batch_writers.into(),
            store: match self.store {
                CommandStoreChoice::Medhub => CommandStoreKind::Medhub,
                CommandStoreChoice::PostgresEs => CommandStoreKind::PostgresEs,
            },
        };
        let report = append::run(&config.engines, &options, &|line| output::print_message(&line)).await?;
        output::print_result(&serde_json::to_string(&report)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
