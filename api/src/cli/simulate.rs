//! `medhub simulate`: made-up visitors of the opportunities in the log.

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use commands::{
    caller::Caller,
    error::CommandError,
    visit::{
        Step, VisitBatches,
        generate::{Browsing, GeneratedVisit, Generator, Wish},
    },
    watchlist::Watchlists,
};
use domain::{
    clock::{Clock, SystemClock},
    opportunity::OpportunityId,
    store::FactOutcome,
    visit::VisitCommand,
    watchlist::{Watchlist, WatchlistCommand},
};
use eventstore::{
    append::PgBatchStore,
    reader::{EventFilter, Replay, ReplayOptions},
    store::PgStore,
};
use serde::Serialize;
use sqlx::PgPool;

use super::{
    output,
    progress::{Progress, Unit},
    selection::open_log,
};
use crate::config::Config;

/// Exit code of a program that was interrupted.
const INTERRUPTED: u8 = 128 + 2;
/// The visits are spread over so many days up to now.
const DAYS: i64 = 30;
/// Opportunities that visitors may come upon: as many as fit into memory at ease.
const MOST_OPPORTUNITIES: u64 = 10_000;
/// Visits that are recorded together.
const BATCH_VISITS: usize = 200;

/// Records made-up visits of the last 30 days to opportunities in the log: pages seen, links clicked, opportunities
/// saved. Visits are new ones each time, also for the same seed. Needs Postgres only.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// How many visits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    visits: u64,
    /// Which visits: another seed gives others
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// What was recorded, in the form of `--json`.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    /// Opportunities that visitors could come upon.
    opportunities: u64,
    visits: u64,
    views: u64,
    clicks: u64,
    saves: u64,
    unsaves: u64,
    /// Saves that were one too many for their user.
    refused: u64,
    events: u64,
    seconds: f64,
}

/// Records visits and keeps count.
struct Recorder {
    caller: Caller,
    visits: VisitBatches<PgBatchStore>,
    watchlists: Watchlists<PgStore<Watchlist>>,
    summary: Summary,
}

impl Simulate {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let pool = open_log(config).await?;
        let outcome = tokio::select! {
            outcome = self.record(config, &pool) => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        };
        pool.close().await;
        let Some(outcome) = outcome else {
            output::say("interrupted; what was recorded stays");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        let summary = outcome?;
        output::result(&if self.json { serde_json::to_string(&summary)? } else { summary.text() })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn record(&self, config: &Config, pool: &PgPool) -> anyhow::Result<Summary> {
        let started = Instant::now();
        let opportunities = opportunities(pool).await.context("reading opportunities from the log")?;
        if opportunities.is_empty() {
            output::say("no opportunities in the log; visitors see lists only. `medhub import` brings some");
        }
        let mut recorder = Recorder::new(config, pool, opportunities.len());
        let until = SystemClock.now();
        let browsing = Browsing { visits: self.visits, seed: self.seed, from: until - TimeDelta::days(DAYS), until };
        let mut generator = Generator::new(browsing, opportunities);
        let mut progress = Progress::start(Unit::Visits, Some(self.visits));
        loop {
            let batch = generator.by_ref().take(BATCH_VISITS).collect::<Result<Vec<_>, _>>();
            let batch = batch.context("making up visits")?;
            if batch.is_empty() {
                break;
            }
            recorder.take_in(batch).await?;
            progress.at(recorder.summary.visits, || format!("{} events", recorder.summary.events));
        }
        progress.finish();
        // Milliseconds are enough, and read better.
        let seconds = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        Ok(Summary { seconds, ..recorder.summary })
    }
}

impl Recorder {
    fn new(config: &Config, pool: &PgPool, opportunities: usize) -> Self {
        Self {
            caller: Caller::system("system:simulate"),
            visits: VisitBatches::new(PgBatchStore::new(pool.clone()), config.ingest.visit_events),
            watchlists: Watchlists::new(PgStore::new(pool.clone(), &config.postgres), Arc::new(SystemClock)),
            summary: Summary { opportunities: count(opportunities), ..Summary::default() },
        }
    }

    async fn take_in(&mut self, visits: Vec<GeneratedVisit>) -> anyhow::Result<()> {
        let made = count(visits.len());
        let (steps, wishes): (Vec<_>, Vec<_>) = visits.into_iter().map(|visit| (visit.steps, visit.wishes)).unzip();
        let steps = steps.concat();
        let recorded = self.visits.record(&self.caller, &steps).await.context("recording visits")?;
        for wish in wishes.into_iter().flatten() {
            self.wish(wish).await?;
        }
        self.summary.visits += made;
        self.summary.events += count(recorded.iter().filter(|outcome| **outcome == FactOutcome::Recorded).count());
        self.summary.count_steps(&steps);
        Ok(())
    }

    async fn wish(&mut self, Wish { user_id, command }: Wish) -> anyhow::Result<()> {
        let summary = &mut self.summary;
        let figure = match command {
            WatchlistCommand::Save { .. } => &mut summary.saves,
            WatchlistCommand::Unsave { .. } => &mut summary.unsaves,
            // Made-up users save no searches.
            WatchlistCommand::SaveSearch { .. } | WatchlistCommand::RemoveSearch { .. } => return Ok(()),
        };
        match self.watchlists.record(&self.caller, &user_id, command).await {
            Ok(accepted) => {
                *figure += count(accepted.events);
                summary.events += count(accepted.events);
            }
            Err(CommandError::Rejected(_full)) => summary.refused += 1,
            Err(
                error @ (CommandError::Conflict
                | CommandError::Store(_)
                | CommandError::Outdated { .. }
                | CommandError::KeyReused
                | CommandError::Forbidden { .. }),
            ) => {
                return Err(error).context("recording what a user saved");
            }
        }
        Ok(())
    }
}

impl Summary {
    fn count_steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step.command {
                VisitCommand::View(_) => self.views += 1,
                VisitCommand::Click(_) => self.clicks += 1,
            }
        }
    }

    fn text(&self) -> String {
        let Self { opportunities, visits, views, clicks, saves, unsaves, refused, events, seconds } = self;
        format!(
            "{visits} visits among {opportunities} opportunities in {seconds:.1} s: {views} pages seen, {clicks} links \
             clicked, {saves} saved, {unsaves} let go, {refused} refused; {events} events recorded"
        )
    }
}

/// The opportunities that were discovered first.
async fn opportunities(pool: &PgPool) -> anyhow::Result<Vec<OpportunityId>> {
    let filter = EventFilter { event_types: vec!["opportunity.discovered".to_owned()], ..EventFilter::default() };
    let options = ReplayOptions { filter, limit: Some(MOST_OPPORTUNITIES), ..ReplayOptions::default() };
    let mut replay = Replay::start(pool, options).await?;
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

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
