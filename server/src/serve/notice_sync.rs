//! Synchronises the log with SAM.gov, one run at a time in all processes: at intervals in a running service, or once
//! for the command line.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::clock::{Clock, SystemClock};
use eventstore::{
    append::PgBatchStore,
    error::LogError,
    lease::{Lease, LeaseAttempt},
};
use metrics::gauge;
use sam_gov::{
    NoticeRowError, SamGovConfig, SyncSource,
    notice_import::{ImportObserver, ImportSummary},
    sync::{SamGovSync, SourceReport, SyncError, SyncObserver, SyncOptions, SyncStatus, SyncStoreError, SyncSummary},
};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Name of the lease.
const LEASE_NAME: &str = "sam-gov-sync";
/// Term of the lease. After a crash, a run can begin when the term has ended.
const LEASE_TERM: Duration = Duration::from_secs(15);
/// A run that did not end well is repeated after this time, or after the interval if that is shorter.
const RETRY_INTERVAL: Duration = Duration::from_hours(1);
/// Longest pause between two looks at whether a run is due.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(30);
const MIN_CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// Rejected rows and omitted values of a run that are logged; the rest is counted.
const LOGGED_ROWS: u32 = 20;

/// Why a run did not begin, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum NoticeSyncError {
    /// Another process, or another part of this one, synchronises.
    #[error("another process synchronises with SAM.gov; try again when it has ended, at the earliest in {free_in_s} s")]
    AlreadyRunning {
        /// When its lease ends unless it is renewed, in seconds.
        free_in_s: u64,
    },
    /// The lease could not be acquired.
    #[error("acquiring the lease of the synchronisation")]
    Lease(#[source] LogError),
    /// The run failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// Runs the synchronisation under its lease.
#[derive(Debug, Clone)]
pub struct NoticeSync {
    config: SamGovConfig,
    pool: PgPool,
    sync: SamGovSync<PgBatchStore>,
}

impl NoticeSync {
    /// A synchronisation of the log in the database of `pool`.
    pub fn new(config: &SamGovConfig, pool: &PgPool) -> Self {
        let sync = SamGovSync::new(config.clone(), pool.clone(), PgBatchStore::new(pool.clone()));
        Self { config: config.clone(), pool: pool.clone(), sync }
    }

    /// Whether the settings name a source that a running service reads.
    pub fn is_scheduled(&self) -> bool {
        SyncSource::ALL.into_iter().any(|source| self.config.interval(source).is_some())
    }

    /// How up to date the log is with each source that the settings name.
    ///
    /// # Errors
    /// [`SyncStoreError`] when Postgres fails.
    pub async fn report_sources(&self) -> Result<Vec<SourceReport>, SyncStoreError> {
        self.sync.report_sources(SystemClock.now()).await
    }

    /// Reads a source once. The run stops early when the lease is lost.
    ///
    /// # Errors
    /// [`NoticeSyncError`]; what was recorded before stays, and the next run continues.
    pub async fn run_once(
        &self,
        source: SyncSource,
        options: &SyncOptions,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, NoticeSyncError> {
        let attempt = Lease::try_acquire(&self.pool, LEASE_NAME, LEASE_TERM).await.map_err(NoticeSyncError::Lease)?;
        let lease = match attempt {
            LeaseAttempt::Acquired(lease) => lease,
            LeaseAttempt::HeldByOther(free_in) => {
                return Err(NoticeSyncError::AlreadyRunning { free_in_s: free_in.as_secs() + 1 });
            }
        };
        let stop_run = stop.child_token();
        let run = self.sync.run(source, options, observer, &stop_run);
        let outcome = {
            tokio::pin!(run);
            tokio::select! {
                outcome = &mut run => outcome,
                lost = lease.term().wait_until_lost() => {
                    tracing::warn!(error = &lost as &dyn std::error::Error, "the run stops: its lease is lost");
                    stop_run.cancel();
                    run.await
                }
            }
        };
        lease.release().await;
        Ok(outcome?)
    }

    /// Reads each source at its interval until `stop` is cancelled.
    pub async fn run_schedule(self, stop: CancellationToken) {
        let intervals = SyncSource::ALL.into_iter().filter_map(|source| self.config.interval(source));
        let Some(shortest) = intervals.min() else { return };
        let check_interval = (shortest / 4).clamp(MIN_CHECK_INTERVAL, MAX_CHECK_INTERVAL);
        let read_sources = async {
            while !stop.is_cancelled() {
                for source in SyncSource::ALL {
                    if self.is_due(source).await && !stop.is_cancelled() {
                        self.run_and_log(source, &stop).await;
                        self.set_gauges().await;
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(check_interval) => {}
                }
            }
        };
        // Beside the runs: the lag grows also while one is long or hangs.
        let measure = async {
            loop {
                self.set_gauges().await;
                sleep(check_interval).await;
            }
        };
        tokio::select! {
            () = read_sources => {}
            () = measure => {}
        }
    }

    /// Sets the gauges of each source; a source that was never tried has no lag yet.
    async fn set_gauges(&self) {
        let reports = match self.report_sources().await {
            Ok(reports) => reports,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "measuring the state of the sources failed");
                return;
            }
        };
        for report in reports {
            let name = report.source.name();
            if let Some(completed_at) = report.completed_at {
                let timestamp_s = completed_at.signed_duration_since(DateTime::UNIX_EPOCH).as_seconds_f64();
                gauge!("medhub_sam_gov_last_success_timestamp_seconds", "source" => name).set(timestamp_s);
            }
            if let Some(lag_s) = report.lag_s {
                gauge!("medhub_sam_gov_lag_seconds", "source" => name).set(lag_s);
            }
            let failed = if report.last_error.is_some() { 1.0 } else { 0.0 };
            gauge!("medhub_sam_gov_last_run_failed", "source" => name).set(failed);
            if let Some(quota) = &report.quota {
                gauge!("medhub_sam_gov_quota_left", "source" => name).set(f64::from(quota.left));
            }
        }
    }

    async fn is_due(&self, source: SyncSource) -> bool {
        let Some(interval) = self.config.interval(source) else { return false };
        match self.sync.status(source).await {
            Ok(status) => next_run_at(&status, interval).is_none_or(|due| due <= SystemClock.now()),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "reading the time of the last request to SAM.gov failed"
                );
                false
            }
        }
    }

    async fn run_and_log(&self, source: SyncSource, stop: &CancellationToken) {
        let mut observer = LogObserver::default();
        match self.run_once(source, &SyncOptions::default(), &mut observer, stop).await {
            Ok(summary) => {
                for warning in &summary.warnings {
                    tracing::warn!(source = source.name(), "{warning}");
                }
                tracing::info!(
                    source = source.name(),
                    outcome = ?summary.outcome,
                    rows = summary.counts.rows,
                    events = summary.counts.events,
                    rejected = summary.counts.rejected,
                    archived = summary.archived,
                    requests = summary.requests,
                    "synchronised with SAM.gov"
                );
            }
            Err(NoticeSyncError::AlreadyRunning { .. }) => {
                tracing::debug!(source = source.name(), "another process synchronises with SAM.gov");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(source = source.name(), error, "synchronising with SAM.gov failed");
            }
        }
    }
}

/// When the next run is due; `None` for at once.
fn next_run_at(status: &SyncStatus, interval: Duration) -> Option<DateTime<Utc>> {
    let attempted_at = status.attempted_at?;
    let was_completed = status.completed_at.is_some_and(|completed_at| completed_at >= attempted_at);
    let pause = if was_completed { interval } else { interval.min(RETRY_INTERVAL) };
    attempted_at.checked_add_signed(chrono::TimeDelta::from_std(pause).ok()?)
}

/// Logs the first rejected rows of a run.
#[derive(Default)]
struct LogObserver {
    logged: u32,
}

impl LogObserver {
    fn log_row(&mut self, line: u64, error: &NoticeRowError, text: &'static str) {
        self.logged = self.logged.saturating_add(1);
        if self.logged <= LOGGED_ROWS {
            tracing::warn!(line, reason = error.message_with_cause(), "{text}");
        }
    }
}

impl ImportObserver for LogObserver {
    fn on_progress(&mut self, _so_far: &ImportSummary) {}

    fn on_rejected_row(&mut self, line: u64, reason: &NoticeRowError) -> std::io::Result<()> {
        self.log_row(line, reason, "a notice of SAM.gov was rejected");
        Ok(())
    }

    fn on_omitted_value(&mut self, line: u64, value: &NoticeRowError) -> std::io::Result<()> {
        self.log_row(line, value, "a value of a notice of SAM.gov was left out");
        Ok(())
    }
}

impl SyncObserver for LogObserver {
    fn on_download(&mut self, _received: u64, _total: Option<u64>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_run_follows_the_last_one_after_the_interval_and_a_failed_one_after_an_hour() {
        let day = Duration::from_hours(24);
        let run = |attempted_at, completed_at| SyncStatus { attempted_at, completed_at, ..SyncStatus::default() };
        let began = Some(at("2026-11-29T10:00:00Z"));
        assert_eq!(next_run_at(&SyncStatus::default(), day), None);
        assert_eq!(next_run_at(&run(began, Some(at("2026-11-29T10:01:00Z"))), day), Some(at("2026-11-30T10:00:00Z")));
        assert_eq!(next_run_at(&run(began, Some(at("2026-11-28T10:01:00Z"))), day), Some(at("2026-11-29T11:00:00Z")));
        assert_eq!(next_run_at(&run(began, None), Duration::from_secs(9)), Some(at("2026-11-29T10:00:09Z")));
    }
}
