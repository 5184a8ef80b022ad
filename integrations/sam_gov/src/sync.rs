//! Keeps the log in step with SAM.gov, by its Get Opportunities API or by its daily CSV extract.
//!
//! ```text
//! API      ──windows of days──▶ pages ──▶ rows ──┐                     ┌──▶ append ──▶ sam_gov_notices
//!                                                ├──▶ changed rows only┤
//! extract  ──download, resumed──▶ CSV ──▶ rows ──┘                     └──(none: nothing is recorded)
//!                                          └──▶ notices that are missing ──▶ archive
//! ```
//!
//! A notice is recorded by the same command as an import of a file, so that reading it twice does not record it twice.
//! `sam_gov_notices` remembers the digest of each listed notice; an unchanged one costs no look at its stream.
//! `sam_gov_syncs` remembers how far a run has come. Only one run of a source may be active at a time; the caller holds
//! a lease. A second run would repeat work, and record nothing twice.

mod api_client;
mod api_error;
mod api_page;
mod api_requests;
mod api_sync;
mod api_throttling;
mod date_window;
mod description_fetcher;
mod download_error;
mod extract_download;
mod extract_sync;
mod extract_transfer;
mod http_client;
mod listed_notice_recorder;
mod notice_id_set;
mod preview_store;
mod removed_notices;
mod source_report;
mod source_run;
mod sync_error;
mod sync_store;

use chrono::{DateTime, Utc};
use domain::{error_chain::format_error_chain, event_store::BatchStore};
use serde::Serialize;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub use self::{
    api_error::ApiError,
    date_window::DateWindow,
    download_error::DownloadError,
    source_report::{QuotaReport, SourceReport},
    sync_error::SyncError,
    sync_store::{SyncStatus, SyncStoreError},
};
use self::{
    api_sync::ApiSync, extract_sync::ExtractSync, preview_store::PreviewStore, source_run::SourceRun,
    sync_store::SyncStore,
};
use crate::{
    SamGovConfig, SyncSource,
    notice_import::{ImportObserver, ImportSummary},
};

/// Number of warnings that a summary keeps.
const MAX_WARNINGS: usize = 20;

/// Receives the progress of a run.
pub trait SyncObserver: ImportObserver {
    /// Called after every batch of the extract: the bytes received so far, and all bytes if the server says how many.
    fn on_download(&mut self, received: u64, total: Option<u64>);
}

/// Deviations of one run from the settings.
#[derive(Debug, Clone, Default)]
pub struct SyncOptions {
    /// API: exactly these days, instead of the days after the last run.
    pub days: Option<DateWindow>,
    /// API: the last of these days is the day of the run. A run that continues on a later day reads up to that day.
    pub ends_today: bool,
    /// Report what would be recorded, and record nothing.
    pub preview: bool,
    /// Extract: the share of its notices, in percent, that it may lack, and whose opportunities may be archived at once;
    /// by default the settings.
    pub max_removed_percent: Option<u32>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum SyncRunOutcome {
    /// Everything was read.
    Complete,
    /// The extract has not changed since the last complete run.
    NotModified,
    /// It was stopped; the next run continues.
    Interrupted,
    /// No further request is allowed yet; the next run continues.
    Paused {
        /// When the next request is allowed.
        until: DateTime<Utc>,
        /// Whether the API refused a request, rather than the quota in the settings.
        throttled: bool,
    },
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct SyncSummary {
    /// The source.
    pub source: SyncSource,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: SyncRunOutcome,
    /// Rows and events, as of an import.
    #[serde(flatten)]
    pub counts: ImportSummary,
    /// Requests that were sent.
    pub requests: u64,
    /// Bytes of the extract that were received.
    pub bytes: u64,
    /// Texts of notices that were fetched.
    pub descriptions: u64,
    /// Notices that are missing in this extract and were not before.
    pub missing: u64,
    /// Opportunities that were archived because their notices left the extract.
    pub archived: u64,
    /// What an operator should know, one sentence each.
    pub warnings: Vec<String>,
}

impl SyncSummary {
    fn new(source: SyncSource) -> Self {
        Self {
            source,
            outcome: SyncRunOutcome::Complete,
            counts: ImportSummary::default(),
            requests: 0,
            bytes: 0,
            descriptions: 0,
            missing: 0,
            archived: 0,
            warnings: Vec::new(),
        }
    }

    /// Adds a sentence for the operator, unless it is there already.
    fn add_warning(&mut self, text: String) {
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Sets how the run ended.
    fn with_outcome(mut self, outcome: SyncRunOutcome) -> Self {
        self.counts.interrupted = outcome == SyncRunOutcome::Interrupted;
        self.outcome = outcome;
        self
    }
}

/// Synchronises one log with SAM.gov.
#[derive(Debug, Clone)]
pub struct SamGovSync<S> {
    config: SamGovConfig,
    pool: PgPool,
    log: S,
}

impl<S: BatchStore + Clone> SamGovSync<S> {
    /// A synchronisation of `log`, with its state in the database of `pool`.
    pub fn new(config: SamGovConfig, pool: PgPool, log: S) -> Self {
        Self { config, pool, log }
    }

    /// The sources that the settings name.
    pub fn configured_sources(&self) -> Vec<SyncSource> {
        SyncSource::ALL.into_iter().filter(|source| self.config.has_source(*source)).collect()
    }

    /// When the source was read last, and how that ended.
    ///
    /// # Errors
    /// [`SyncStoreError`] when Postgres fails.
    pub async fn status(&self, source: SyncSource) -> Result<SyncStatus, SyncStoreError> {
        SyncStore::new(self.pool.clone(), false).load_status(source.name()).await
    }

    /// Reads a source from where the last run ended, and records what changed. After `stop` is cancelled, what was read
    /// of a batch is recorded; dropping the future loses at most the work on one, which the next run repeats.
    ///
    /// # Errors
    /// [`SyncError`]; what was recorded before stays, and the next run continues.
    #[tracing::instrument(skip_all, fields(source = source.name()))]
    pub async fn run(
        &self,
        source: SyncSource,
        options: &SyncOptions,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let state = SyncStore::new(self.pool.clone(), options.preview);
        let name = sync_name(source, options);
        state.begin_run(&name).await?;
        let outcome = if options.preview {
            self.run_source(source, &name, options, PreviewStore(self.log.clone()), &state, observer, stop).await
        } else {
            self.run_source(source, &name, options, self.log.clone(), &state, observer, stop).await
        };
        match &outcome {
            Ok(summary) if matches!(summary.outcome, SyncRunOutcome::Complete | SyncRunOutcome::NotModified) => {
                state.complete_run(&name, options.days.is_some()).await?;
            }
            Ok(_) => state.fail_run(&name, None).await?,
            Err(error) => {
                let recorded = state.fail_run(&name, Some(&format_error_chain(error))).await;
                if let Err(error) = recorded {
                    tracing::warn!(error = &error as &dyn std::error::Error, "saving the error of the run failed");
                }
            }
        }
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "split off for the type of the log only")]
    async fn run_source<L: BatchStore>(
        &self,
        source: SyncSource,
        name: &str,
        options: &SyncOptions,
        log: L,
        state: &SyncStore,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let run = SourceRun::new(source, name, &self.config, options, log, state);
        match source {
            SyncSource::Api => ApiSync::new(run)?.run(observer, stop).await,
            SyncSource::Extract => ExtractSync::new(run)?.run(observer, stop).await,
        }
    }
}

/// The name that the state of a run is saved under.
fn sync_name(source: SyncSource, options: &SyncOptions) -> String {
    match (source, options.days) {
        // With another end each day, the range would be started again each day.
        (SyncSource::Api, Some(days)) if options.ends_today => format!("api:{}:today", days.from()),
        (SyncSource::Api, Some(days)) => format!("api:{}:{}", days.from(), days.to()),
        (SyncSource::Api | SyncSource::Extract, _) => source.name().to_owned(),
    }
}
