//! How up to date the log is with a source, for operators.

use chrono::{DateTime, NaiveDate, Utc};
use domain::event_store::BatchStore;
use serde::Serialize;

use super::{SamGovSync, SyncStatus, SyncStoreError, sync_store::SyncStore};
use crate::SyncSource;

/// After this number of intervals without a complete run a source counts as late; a failed run is repeated earlier.
const LATE_INTERVALS: f64 = 3.0;

/// How up to date the log is with a source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// The source.
    pub source: SyncSource,
    /// When the last run began.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the last complete run ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Seconds since then, or since the first run began if none was complete yet; `None` before the first run.
    pub lag_s: Option<f64>,
    /// How often a running service reads it, in seconds; `None` if it does not.
    pub interval_s: Option<f64>,
    /// Whether no run was complete for three intervals.
    pub late: bool,
    /// API: the last day of publication that was read completely.
    pub complete_through: Option<NaiveDate>,
    /// API: requests that the key allows today.
    pub quota: Option<QuotaReport>,
    /// Why the last run did not end well.
    pub last_error: Option<String>,
}

/// Requests to the API on one day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaReport {
    /// Requests of the day that the settings allow.
    pub daily: u32,
    /// Requests that are left.
    pub left: u32,
    /// Until when the API refuses requests, if it does.
    pub refused_until: Option<DateTime<Utc>>,
}

impl SourceReport {
    fn new(source: SyncSource, status: SyncStatus, interval_s: Option<f64>, now: DateTime<Utc>) -> Self {
        let SyncStatus { first_attempted_at, attempted_at, completed_at, last_error, complete_through } = status;
        let lag_s = completed_at.or(first_attempted_at).map(|at| (now - at).as_seconds_f64().max(0.0));
        let late = match (lag_s, interval_s) {
            (Some(lag), Some(interval)) => lag > interval * LATE_INTERVALS,
            _ => false,
        };
        Self { source, attempted_at, completed_at, lag_s, interval_s, late, complete_through, quota: None, last_error }
    }

    /// Whether an operator has to look at it.
    pub fn has_problem(&self) -> bool {
        self.late || self.last_error.is_some()
    }
}

impl<S: BatchStore + Clone> SamGovSync<S> {
    /// How up to date the log is with each source that the settings name.
    ///
    /// # Errors
    /// [`SyncStoreError`] when Postgres fails.
    pub async fn report_sources(&self, now: DateTime<Utc>) -> Result<Vec<SourceReport>, SyncStoreError> {
        let store = SyncStore::new(self.pool.clone(), false);
        let mut reports = vec![];
        for source in self.configured_sources() {
            let interval_s = self.config.interval(source).map(|interval| interval.as_secs_f64());
            let status = store.load_status(source.name()).await?;
            let mut report = SourceReport::new(source, status, interval_s, now);
            if source == SyncSource::Api {
                let daily = self.config.daily_quota;
                let used = store.count_requests_on(now.date_naive()).await?;
                let refused_until = store.delayed_until(now).await?;
                report.quota = Some(QuotaReport { daily, left: daily.saturating_sub(used), refused_until });
            }
            reports.push(report);
        }
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_late_after_three_intervals_without_a_complete_run() {
        let now: DateTime<Utc> = "2026-11-29T12:00:00Z".parse().unwrap();
        let report = |completed_at: &str, interval| {
            let completed_at = Some(completed_at.parse().unwrap());
            SourceReport::new(SyncSource::Api, SyncStatus { completed_at, ..SyncStatus::default() }, interval, now)
        };
        let late = report("2026-11-29T08:59:00Z", Some(3_600.0));
        assert_eq!((late.lag_s, late.late, late.has_problem()), (Some(10_860.0), true, true));
        assert!(!report("2026-11-29T09:01:00Z", Some(3_600.0)).has_problem());
        assert!(!report("2026-01-01T00:00:00Z", None).has_problem(), "nobody reads it at intervals");
        let never = SourceReport::new(SyncSource::Api, SyncStatus::default(), Some(1.0), now);
        assert_eq!((never.lag_s, never.has_problem()), (None, false));
        // Each run was killed, or the quota ended before the first one was complete.
        let incomplete = |first: &str| {
            let first_attempted_at = Some(first.parse().unwrap());
            let status = SyncStatus { first_attempted_at, attempted_at: Some(now), ..SyncStatus::default() };
            SourceReport::new(SyncSource::Api, status, Some(3_600.0), now)
        };
        let late = incomplete("2026-11-29T08:59:00Z");
        assert_eq!((late.lag_s, late.late, late.has_problem()), (Some(10_860.0), true, true));
        assert!(!incomplete("2026-11-29T09:01:00Z").has_problem());
        let failed = SyncStatus { last_error: Some("the API key was refused".to_owned()), ..SyncStatus::default() };
        assert!(SourceReport::new(SyncSource::Api, failed, Some(1.0), now).has_problem());
    }
}
