//! `medhub sync`: reads SAM.gov, and records what changed since the last time.

mod sync_progress;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, bail};
use api::app_context;
use chrono::{NaiveDate, SecondsFormat};
use clap::Args;
use sam_gov::{
    SyncSource,
    sync::{DateWindow, SyncOptions, SyncRunOutcome, SyncSummary},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::sync_progress::SyncProgressReporter;
use super::{import, output};
use crate::{config::MedhubConfig, serve::notice_sync::NoticeSync};

/// Exit code after SIGINT, by convention of the shell.
const INTERRUPTED_EXIT_CODE: u8 = 128 + 2;
/// Exit code of a complete run that rejected rows.
const REJECTED_EXIT_CODE: u8 = 3;
/// Exit code of a run that the quota of the key has ended.
const PAUSED_EXIT_CODE: u8 = 4;

/// Reads SAM.gov, by its API or by its daily extract, and records what changed since the last time. Safe to interrupt and
/// to repeat: a run continues where the last one ended, and a notice that is already recorded changes nothing. A
/// running service does the same at intervals. Needs `MEDHUB__SAM_GOV__API_KEY` or `MEDHUB__SAM_GOV__EXTRACT_URL`.
/// Exit codes: 0 everything was read, 3 some rows were rejected, 4 the quota is used up and a later run continues, 130
/// interrupted, 1 SAM.gov or the log failed.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// Source: `api` or `extract` [default: all that the settings name, the extract first]
    #[arg(value_name = "SOURCE")]
    source: Option<SyncSource>,
    /// API: first day of publication, instead of the days after the last run
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// API: last day of publication [default: the day of the run, also of one that continues on a later day]
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<NaiveDate>,
    /// Report what would be recorded, and record nothing; requests count against the quota
    #[arg(long)]
    dry_run: bool,
    /// Extract: archive also if it lacks more of its notices than this share [default: the settings, 20, and 10 that are
    /// archived at once]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    max_removed_percent: Option<u32>,
    /// Where to list rejected rows and omitted values, if there are any; with several sources the name is extended by
    /// the source [default: sync-SOURCE.rejected.csv]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print a JSON object for each source
    #[arg(long)]
    json: bool,
}

/// The summary that `--json` prints.
#[derive(Serialize)]
struct SyncResult<'a> {
    #[serde(flatten)]
    summary: &'a SyncSummary,
    dry_run: bool,
    seconds: f64,
    report: Option<PathBuf>,
}

impl SyncArgs {
    pub(super) async fn run(self, config: &MedhubConfig) -> anyhow::Result<ExitCode> {
        let days = self.days()?;
        let sources = self.sources(config)?;
        let pool = eventstore::postgres::open_pool(&config.engines.postgres)?;
        app_context::ping_postgres(&pool).await.context("connecting to Postgres; DATABASE_URL is its address")?;
        if !app_context::is_migrated(&pool).await.context("reading the table of migrations in Postgres")? {
            bail!("the database is not prepared; run `medhub migrate`");
        }
        let sync = NoticeSync::new(&config.sam_gov, &pool);
        let options = SyncOptions {
            days,
            ends_today: self.to.is_none(),
            preview: self.dry_run,
            max_removed_percent: self.max_removed_percent,
        };
        let has_several_sources = sources.len() > 1;
        let stop = CancellationToken::new();
        let interrupt = tokio::spawn(import::cancel_on_interrupt(stop.clone()));
        let mut exit_code = 0;
        let mut outcome = Ok(());
        for source in sources {
            let report = self.report_path(source, has_several_sources);
            match self.run_source(&sync, source, report, &options, &stop).await {
                Ok(code) => exit_code = exit_code.max(code),
                // One source may be read although the other one fails.
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        interrupt.abort();
        pool.close().await;
        outcome.map(|()| ExitCode::from(exit_code))
    }

    fn days(&self) -> anyhow::Result<Option<DateWindow>> {
        let Some(from) = self.from else { return Ok(None) };
        let to = self.to.unwrap_or_else(sam_gov::time::today);
        let days = DateWindow::new(from, to).with_context(|| format!("--from {from} is after --to {to}"))?;
        Ok(Some(days))
    }

    fn sources(&self, config: &MedhubConfig) -> anyhow::Result<Vec<SyncSource>> {
        match (self.source, self.from) {
            (Some(SyncSource::Extract), Some(_)) => {
                bail!("the extract has no range of days; --from and --to are for `medhub sync api`")
            }
            (Some(source), _) => Ok(vec![source]),
            (None, Some(_)) => Ok(vec![SyncSource::Api]),
            (None, None) => {
                let sources: Vec<_> =
                    SyncSource::ALL.into_iter().filter(|source| config.sam_gov.has_source(*source)).collect();
                if sources.is_empty() {
                    bail!(
                        "the settings name no source at SAM.gov; set MEDHUB__SAM_GOV__API_KEY to a key of its API, or \
                         MEDHUB__SAM_GOV__EXTRACT_URL to the address of its daily CSV extract"
                    );
                }
                Ok(sources)
            }
        }
    }

    /// Where the rejected rows of a source are listed; each of several sources has its own file.
    fn report_path(&self, source: SyncSource, is_one_of_several: bool) -> PathBuf {
        let Some(path) = &self.report else { return format!("sync-{}.rejected.csv", source.name()).into() };
        if !is_one_of_several {
            return path.clone();
        }
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{stem}.{}{}", source.name(), extension.unwrap_or_default()))
    }

    async fn run_source(
        &self,
        sync: &NoticeSync,
        source: SyncSource,
        report: PathBuf,
        options: &SyncOptions,
        stop: &CancellationToken,
    ) -> anyhow::Result<u8> {
        let started = Instant::now();
        let mut progress = SyncProgressReporter::new(source, report);
        let outcome = sync.run_once(source, options, &mut progress, stop).await;
        let report = progress.finish();
        let summary = outcome.with_context(|| format!("synchronising with SAM.gov ({})", source.name()))?;
        let report = report.context("writing the report of rejected rows")?;
        for warning in &summary.warnings {
            output::print_message(&format!("warning: {warning}"));
        }
        // Rounded to milliseconds for readability.
        let seconds = (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0;
        let result = SyncResult { summary: &summary, dry_run: self.dry_run, seconds, report };
        output::print_result(&if self.json { serde_json::to_string(&result)? } else { result.format_text() })?;
        if let (Some(report), 1..) = (&result.report, summary.counts.rejected) {
            let rejected = summary.counts.rejected;
            output::print_message(&format!("{rejected} rejected; {} lists each with the reason", report.display()));
        }
        Ok(exit_code(&summary))
    }
}

fn exit_code(summary: &SyncSummary) -> u8 {
    match summary.outcome {
        SyncRunOutcome::Interrupted => {
            output::print_message("interrupted; run the same command again to continue");
            INTERRUPTED_EXIT_CODE
        }
        SyncRunOutcome::Paused { until, throttled } => {
            let reason = if throttled { "SAM.gov refuses further requests" } else { "the daily quota is used up" };
            let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
            output::print_message(&format!("{reason} until {until}; run the same command then to continue"));
            PAUSED_EXIT_CODE
        }
        SyncRunOutcome::Complete | SyncRunOutcome::NotModified if summary.counts.rejected > 0 => REJECTED_EXIT_CODE,
        SyncRunOutcome::Complete | SyncRunOutcome::NotModified => 0,
    }
}

impl SyncResult<'_> {
    fn format_text(&self) -> String {
        let SyncSummary { source, outcome, counts, requests, archived, .. } = self.summary;
        let source = source.name();
        if *outcome == SyncRunOutcome::NotModified {
            return format!("{source}: not modified since the last run");
        }
        let preview = if self.dry_run { " (dry run: nothing was recorded)" } else { "" };
        format!(
            "{source}: {} rows in {:.1} s by {requests} requests: {} imported, {} unchanged, {} rejected; {archived} \
             opportunities archived; {} events recorded{preview}",
            counts.rows, self.seconds, counts.imported, counts.unchanged, counts.rejected, counts.events
        )
    }
}
