//! `medhub simulate`: records generated visits to the opportunities in the log.

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::CommandPreconditions,
    visit::{VisitRecorder, VisitStep},
};
use domain::{
    clock::{Clock, SystemClock},
    event_store::FactOutcome,
    opportunity::OpportunityId,
    visit::VisitCommand,
    watchlist::{Watchlist, WatchlistCommand},
};
use eventstore::{
    append::PgBatchStore,
    log::{EventFilter, LogReplay, ReplayOptions},
    store::PgEventStore,
};
use serde::Serialize;
use sqlx::PgPool;
use synthetic::visit_generator::{GeneratedVisit, VisitGenerator, VisitGeneratorConfig, WatchlistRequest};

use super::{
    event_selection::open_log,
    output,
    progress_display::{ProgressDisplay, ProgressUnit},
};
use crate::config::MedhubConfig;

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;
/// Number of days up to now over which the visits are spread.
const SIMULATED_DAYS: i64 = 30;
/// Maximum number of opportunities that are visited; their ids are held in memory.
const MAX_OPPORTUNITIES: u64 = 10_000;
/// Visits per append.
const BATCH_VISITS: usize = 200;

/// Records generated visits of the last 30 days to opportunities in the log: pages viewed, links clicked, opportunities
/// saved. Each run records new visits, even with the same seed. Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Number of visits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    visits: u64,
    /// Seed of the generator: another seed gives other visits
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// The summary that `--json` prints.
#[derive(Debug, Default, PartialEq, Serialize)]
struct SimulationSummary {
    /// Opportunities that could be visited.
    opportunities: u64,
    visits: u64,
    views: u64,
    clicks: u64,
    saves: u64,
    unsaves: u64,
    /// Saves that were refused because the user's watchlist was full.
    refused: u64,
    events: u64,
    seconds: f64,
}

/// Records visits and counts what was recorded.
struct SimulationRecorder {
    sender: CommandSender,
    visits: VisitRecorder<PgBatchStore>,
    dispatcher: CommandDispatcher<PgEventStore<()>>,
    summary: SimulationSummary,
}

impl SimulateArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let outcome = tokio::select! {
            outcome = self.record_simulation(config, &pool) => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        };
        pool.close().await;
        let Some(outcome) = outcome else {
            output::print_message("interrupted; what was recorded stays");
            return Ok(ExitCode::from(INTERRUPTED_EXIT_CODE));
        };
        let summary = outcome?;
        output::print_result(&if self.json { serde_json::to_string(&summary)? } else { summary.format_text() })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn record_simulation(&self, config: &MedhubConfig, pool: &PgPool) -> anyhow::Result<SimulationSummary> {
        let started = Instant::now();
        let opportunities = load_opportunities(pool).await.context("reading opportunities from the log")?;
        if opportunities.is_empty() {
            output::print_message("no opportunities in the log: visits contain lists only; run `medhub import` first");
        }
        let mut recorder = SimulationRecorder::new(config, pool, opportunities.len());
        let until = SystemClock.now();
        let generator_config = VisitGeneratorConfig {
            visits: self.visits,
            seed: self.seed,
            from: until - TimeDelta::days(SIMULATED_DAYS),
            until,
        };
        let mut generator = VisitGenerator::new(generator_config, opportunities);
        let mut progress = ProgressDisplay::start(ProgressUnit::Visits, Some(self.visits));
        loop {
            let batch = generator.by_ref().take(BATCH_VISITS).collect::<Result<Vec<_>, _>>();
            let batch = batch.context("generating visits")?;
            if batch.is_empty() {
                break;
            }
            recorder.record_visits(batch).await?;
            progress.update(recorder.summary.visits, || format!("{} events", recorder.summary.events));
        }
        progress.finish();
        // Rounded to milliseconds for readability.
        let seconds = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        Ok(SimulationSummary { seconds, ..recorder.summary })
    }
}

impl SimulationRecorder {
    fn new(config: &MedhubConfig, pool: &PgPool, opportunities: usize) -> Self {
        Self {
            sender: CommandSender {
                caller: Caller::for_program("system:simulate"),
                authority: CallerAuthority::System,
            },
            visits: VisitRecorder::new(PgBatchStore::new(pool.clone()), config.ingest.visit_events),
            dispatcher: CommandDispatcher::new(
                PgEventStore::new(pool.clone(), &config.engines.postgres),
                Arc::new(SystemClock),
            ),
            summary: SimulationSummary { opportunities: to_u64(opportunities), ..SimulationSummary::default() },
        }
    }

    async fn record_visits(&mut self, visits: Vec<GeneratedVisit>) -> anyhow::Result<()> {
        let visit_count = to_u64(visits.len());
        let (steps, watchlist_requests): (Vec<_>, Vec<_>) =
            visits.into_iter().map(|visit| (visit.steps, visit.watchlist_requests)).unzip();
        let steps = steps.concat();
        let recorded = self.visits.record_steps(&self.sender.caller, &steps).await.context("recording visits")?;
        for request in watchlist_requests.into_iter().flatten() {
            self.execute_watchlist_request(request).await?;
        }
        self.summary.visits += visit_count;
        self.summary.events += to_u64(recorded.iter().filter(|outcome| **outcome == FactOutcome::Recorded).count());
        self.summary.count_steps(&steps);
        Ok(())
    }

    async fn execute_watchlist_request(
        &mut self,
        WatchlistRequest { user_id, command }: WatchlistRequest,
    ) -> anyhow::Result<()> {
        let summary = &mut self.summary;
        let counter = match command {
            WatchlistCommand::Save { .. } => &mut summary.saves,
            WatchlistCommand::Unsave { .. } => &mut summary.unsaves,
            // Generated users save no searches.
            WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. } => return Ok(()),
        };
        let unconditional = CommandPreconditions::default();
        let outcome =
            self.dispatcher.dispatch::<Watchlist>(&self.sender, user_id.as_str(), &unconditional, command).await;
        match outcome {
            Ok(accepted) => {
                *counter += to_u64(accepted.events);
                summary.events += to_u64(accepted.events);
            }
            Err(CommandError::Refused(_full)) => summary.refused += 1,
            Err(
                error @ (CommandError::Conflict
                | CommandError::Store(_)
                | CommandError::Outdated { .. }
                | CommandError::KeyReused
                | CommandError::Forbidden { .. }),
            ) => {
                return Err(error).context("recording a change of a watchlist");
            }
        }
        Ok(())
    }
}

impl SimulationSummary {
    fn count_steps(&mut self, steps: &[VisitStep]) {
        for step in steps {
            match step.command {
                VisitCommand::View(_) => self.views += 1,
                VisitCommand::Click(_) => self.clicks += 1,
            }
        }
    }

    fn format_text(&self) -> String {
        let Self { opportunities, visits, views, clicks, saves, unsaves, refused, events, seconds } = self;
        format!(
            "{visits} visits among {opportunities} opportunities in {seconds:.1} s: {views} pages viewed, {clicks} \
             links clicked, {saves} saved, {unsaves} unsaved, {refused} refused; {events} events recorded"
        )
    }
}

/// Loads the ids of the opportunities that were discovered first, at most [`MAX_OPPORTUNITIES`].
async fn load_opportunities(pool: &PgPool) -> anyhow::Result<Vec<OpportunityId>> {
    let filter = EventFilter { event_types: vec!["opportunity.discovered".to_owned()], ..EventFilter::default() };
    let options = ReplayOptions { filter, limit: Some(MAX_OPPORTUNITIES), ..ReplayOptions::default() };
    let mut replay = LogReplay::start(pool, options).await?;
    let mut ids = Vec::new();
    while let Some(batch) = replay.next_batch().await? {
        for event in batch.events {
            ids.push(
                OpportunityId::parse(&event.aggregate_id).with_context(|| format!("reading {}", event.aggregate_id))?,
            );
        }
    }
    Ok(ids)
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
