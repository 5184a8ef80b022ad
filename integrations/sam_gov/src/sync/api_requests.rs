//! Sends requests to the API within the quota, and repeats those that failed.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use domain::clock::{Clock, SystemClock};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    ApiError, SyncError, SyncRunOutcome,
    api_client::ApiClient,
    api_page::ApiPage,
    sync_store::{SyncStore, WindowProgress},
};
use crate::SamGovConfig;

/// A run waits this long for the API to accept requests again; if it takes longer, the run ends, and a later one
/// continues.
const MAX_WAIT: TimeDelta = TimeDelta::seconds(60);
/// Pause after a refusal that does not say when requests are accepted again.
const UNKNOWN_DELAY: TimeDelta = TimeDelta::minutes(15);
/// Longest pause before a request is repeated.
const MAX_RETRY_PAUSE: Duration = Duration::from_mins(1);

/// Requests of one run.
pub(super) struct ApiRequests<'a> {
    config: &'a SamGovConfig,
    state: &'a SyncStore,
    sent: u64,
}

/// The answer of a request for a page.
pub(super) enum PageAnswer {
    Page(ApiPage),
    /// The run has to end.
    End(SyncRunOutcome),
}

/// The answer of a request for the text of a notice.
pub(super) enum DescriptionAnswer {
    /// The text; `None` if the notice has none.
    Text(Option<String>),
    Failed(ApiError),
    /// The quota leaves no request for texts, or the API refuses requests for now.
    NoQuota,
    /// It was stopped.
    Stopped,
}

impl<'a> ApiRequests<'a> {
    pub(super) fn new(config: &'a SamGovConfig, state: &'a SyncStore) -> Self {
        Self { config, state, sent: 0 }
    }

    /// Number of requests so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Requests the next page of a window.
    ///
    /// # Errors
    /// [`SyncError::Api`] when no attempt succeeds.
    pub(super) async fn request_page(
        &mut self,
        client: &ApiClient,
        window: WindowProgress,
        stop: &CancellationToken,
    ) -> Result<PageAnswer, SyncError> {
        let mut pauses = self.retry_pauses();
        let mut attempts = 0;
        loop {
            if let Some(outcome) = self.wait_for_permission(stop).await? {
                return Ok(PageAnswer::End(outcome));
            }
            attempts += 1;
            self.sent += 1;
            let answer = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(PageAnswer::End(SyncRunOutcome::Interrupted)),
                answer = client.fetch_page(window.days, window.next_offset) => answer,
            };
            let source = match answer {
                Ok(page) => return Ok(PageAnswer::Page(page)),
                Err(ApiError::Throttled { until }) => {
                    let until = self.delay_requests(until, attempts).await?;
                    tracing::warn!(%until, "SAM.gov refuses requests for now");
                    continue;
                }
                Err(error) => error,
            };
            let pause = if source.is_transient() { pauses.next() } else { None };
            let Some(pause) = pause else {
                let (from, to, row) = (window.days.from(), window.days.to(), window.next_offset + 1);
                return Err(SyncError::Api { from, to, row, attempts, source });
            };
            tracing::warn!(
                error = &source as &dyn std::error::Error,
                attempts,
                "request to SAM.gov failed, repeating it"
            );
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(PageAnswer::End(SyncRunOutcome::Interrupted)),
                () = sleep(pause) => {}
            }
        }
    }

    /// Requests the text of a notice once. A fifth of the quota is kept for pages.
    ///
    /// # Errors
    /// [`SyncError`] when the state cannot be read or saved. Failures of the request are in the answer.
    pub(super) async fn request_description(
        &mut self,
        client: &ApiClient,
        address: &str,
        stop: &CancellationToken,
    ) -> Result<DescriptionAnswer, SyncError> {
        if stop.is_cancelled() {
            return Ok(DescriptionAnswer::Stopped);
        }
        if let Err(error) = client.check_description_address(address) {
            return Ok(DescriptionAnswer::Failed(error));
        }
        let now = SystemClock.now();
        let quota = self.config.daily_quota - self.config.daily_quota / 5;
        if self.state.delayed_until(now).await?.is_some() || !self.count_request(now, quota).await? {
            return Ok(DescriptionAnswer::NoQuota);
        }
        self.sent += 1;
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(DescriptionAnswer::Stopped),
            answer = client.fetch_description(address) => answer,
        };
        if let Err(ApiError::Throttled { until }) = &answer {
            self.delay_requests(*until, self.config.attempts).await?;
        }
        Ok(answer.map_or_else(DescriptionAnswer::Failed, DescriptionAnswer::Text))
    }

    /// Waits until a request may be sent, and counts it; `Some` if that takes too long.
    async fn wait_for_permission(&self, stop: &CancellationToken) -> Result<Option<SyncRunOutcome>, SyncError> {
        loop {
            if stop.is_cancelled() {
                return Ok(Some(SyncRunOutcome::Interrupted));
            }
            let now = SystemClock.now();
            if let Some(until) = self.state.delayed_until(now).await? {
                let wait = until - now;
                if wait > MAX_WAIT {
                    return Ok(Some(SyncRunOutcome::Paused { until, throttled: true }));
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = sleep(wait.to_std().unwrap_or_default()) => {}
                }
                continue;
            }
            if self.count_request(now, self.config.daily_quota).await? {
                return Ok(None);
            }
            return Ok(Some(SyncRunOutcome::Paused { until: next_midnight(now), throttled: false }));
        }
    }

    async fn count_request(&self, now: DateTime<Utc>, quota: u32) -> Result<bool, SyncError> {
        Ok(quota > 0 && self.state.count_request(now.date_naive(), quota).await?)
    }

    /// Records until when no request may be sent. After the last attempt, or without a time, that is a while.
    async fn delay_requests(&self, until: Option<DateTime<Utc>>, attempts: u32) -> Result<DateTime<Utc>, SyncError> {
        let now = SystemClock.now();
        let at_least = if attempts >= self.config.attempts { now + UNKNOWN_DELAY } else { now };
        let until = until.unwrap_or(now + UNKNOWN_DELAY).max(at_least);
        self.state.delay_requests(now.date_naive(), until).await?;
        Ok(until)
    }

    fn retry_pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.config.retry_pause())
            .with_max_delay(MAX_RETRY_PAUSE)
            .with_max_times(usize::try_from(self.config.attempts.saturating_sub(1)).unwrap_or_default())
            .build()
    }
}

/// The next midnight in UTC, when the daily quota is renewed.
fn next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    let tomorrow = now.date_naive().succ_opt().unwrap_or(now.date_naive());
    tomorrow.and_time(NaiveTime::MIN).and_utc()
}
