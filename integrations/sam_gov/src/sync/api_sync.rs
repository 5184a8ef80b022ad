//! Reads the API window by window and page by page.
//!
//! ```text
//! window ──page──▶ record ──▶ save offset and ids ──┐
//!    ▲               ▲                              │
//!    │               └── more pages ◀───────────────┤
//!    │                                              ▼
//!    └── next window ◀── all announced ids? ──no──▶ read the window again, at most four times
//! ```
//!
//! Pages shift while they are read: a notice that is published or withdrawn meanwhile moves the others across the
//! borders of pages. A page that repeats notices is harmless, since they are recorded once; a notice that slipped
//! between two pages is missing among the ids, which are counted, and found when the window is read again.

use chrono::{Days, NaiveDate};
use commands::caller::Caller;
use domain::{
    clock::{Clock, SystemClock},
    event_store::BatchStore,
};
use tokio_util::sync::CancellationToken;

use super::{
    ApiError, DateWindow, SyncError, SyncObserver, SyncRunOutcome, SyncSource, SyncSummary,
    api_client::ApiClient,
    api_page::ApiPage,
    api_requests::{ApiRequests, PageAnswer},
    listed_notice_recorder::{ChangedNotice, ListedNoticeRecorder, SourceNotice},
    sync_store::{SyncStore, WindowCount, WindowProgress},
};
use crate::{SamGovConfig, field::NoticeField};

/// How often a window is read before it counts as incomplete.
const MAX_PASSES: u32 = 4;
/// A first pass ends after so many pages in a row without a new notice: the API repeats itself.
const MAX_REPEATED_PAGES: u32 = 3;
/// The number of notices that a window may lack, if reading it again finds no further one: the API counts and lists at
/// different moments. One percent of the announced notices, and at least these.
const MIN_TOLERATED: u64 = 3;
/// The largest overlap; each window has to lead further than the one before.
const MAX_OVERLAP_DAYS: u32 = 300;

/// One run over the API.
pub(super) struct ApiSync<'a, L> {
    config: &'a SamGovConfig,
    client: ApiClient,
    requests: ApiRequests<'a>,
    state: &'a SyncStore,
    recorder: ListedNoticeRecorder<'a, L>,
    summary: SyncSummary,
    /// Cleared after a text could not be fetched for a reason that concerns all texts.
    fetches_descriptions: bool,
}

impl<'a, L: BatchStore> ApiSync<'a, L> {
    /// # Errors
    /// [`SyncError`] when the settings have no key, or no valid address.
    pub(super) fn new(
        config: &'a SamGovConfig,
        log: L,
        state: &'a SyncStore,
        caller: Caller,
    ) -> Result<Self, SyncError> {
        Ok(Self {
            config,
            client: ApiClient::new(config)?,
            requests: ApiRequests::new(config, state),
            state,
            recorder: ListedNoticeRecorder::new(log, state, caller, SyncSource::Api),
            summary: SyncSummary::new(SyncSource::Api),
            // A preview spends no requests on texts.
            fetches_descriptions: config.fetch_descriptions && !state.is_preview(),
        })
    }

    /// Reads the days of the range, or what follows the last run.
    ///
    /// # Errors
    /// [`SyncError`]; what was recorded stays, and the next run continues.
    pub(super) async fn run(
        mut self,
        name: &str,
        range: Option<DateWindow>,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let today = SystemClock.now().date_naive();
        let last = range.map_or(today, DateWindow::to);
        let mut complete_through = self.state.load_status(name).await?.complete_through;
        let mut unfinished = self.state.load_window(name).await?;
        loop {
            let window = unfinished.take().unwrap_or_else(|| WindowProgress {
                days: self.next_days(range, complete_through, today),
                next_offset: 0,
                passes: 0,
            });
            if let Some(outcome) = self.read_window(name, window, observer, stop).await? {
                return Ok(self.finish(outcome));
            }
            let window_end = window.days.to();
            self.state.finish_window(name, Some(window_end)).await?;
            if window_end >= last {
                return Ok(self.finish(SyncRunOutcome::Complete));
            }
            complete_through = complete_through.max(Some(window_end));
        }
    }

    fn finish(mut self, outcome: SyncRunOutcome) -> SyncSummary {
        self.summary.requests = self.requests.sent();
        self.summary.with_outcome(outcome)
    }

    /// The days of the next request, after those that were read completely.
    fn next_days(
        &self,
        range: Option<DateWindow>,
        complete_through: Option<NaiveDate>,
        today: NaiveDate,
    ) -> DateWindow {
        let days_before = |day: NaiveDate, days: u32| day.checked_sub_days(Days::new(u64::from(days))).unwrap_or(day);
        let (from, last) = match (range, complete_through) {
            (Some(range), None) => (range.from(), range.to()),
            (Some(range), Some(day)) => (day.succ_opt().unwrap_or(day), range.to()),
            (None, None) => (days_before(today, self.config.first_days), today),
            (None, Some(day)) => (days_before(day, self.config.overlap_days.min(MAX_OVERLAP_DAYS)), today),
        };
        // After a correction of the clock the last day may be in the future.
        DateWindow::new(from, last.max(from)).map_or_else(|| DateWindow::single(last), DateWindow::first_request)
    }

    /// Reads a window from where it was left; `Some` if the run has to end before the window does.
    async fn read_window(
        &mut self,
        name: &str,
        mut window: WindowProgress,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<Option<SyncRunOutcome>, SyncError> {
        let mut pass = WindowPass::default();
        loop {
            let page = match self.requests.request_page(&self.client, window, stop).await? {
                PageAnswer::Page(page) => page,
                PageAnswer::End(outcome) => return Ok(Some(outcome)),
            };
            let (total, size) = (page.total, u64::try_from(page.notices.len()).unwrap_or(u64::MAX));
            let keys: Vec<_> = page.notices.iter().map(|notice| notice.key.clone()).collect();
            self.record_page(page, observer, stop).await?;
            window.next_offset += size;
            let count = self.state.save_window(name, window, &keys).await?;
            observer.on_progress(&self.summary.counts);
            pass.add_page(count);
            let max_pages = 20 + 4 * total / u64::from(self.config.page_size.max(1));
            let repeats_itself = window.passes == 0 && pass.repeated_pages >= MAX_REPEATED_PAGES;
            if size > 0 && window.next_offset < total && pass.pages < max_pages && !repeats_itself {
                continue;
            }
            if self.state.is_preview() || count.all >= total {
                return Ok(None);
            }
            let found_nothing = window.passes > 0 && pass.new_notices == 0;
            if found_nothing && total - count.all <= MIN_TOLERATED.max(total / 100) {
                self.summary.warn(format!(
                    "SAM.gov announces {total} notices for {} to {} and lists {}",
                    window.days.from(),
                    window.days.to(),
                    count.all
                ));
                return Ok(None);
            }
            window = WindowProgress { next_offset: 0, passes: window.passes + 1, ..window };
            if found_nothing || window.passes >= MAX_PASSES {
                self.state.finish_window(name, None).await?;
                let (from, to) = (window.days.from(), window.days.to());
                return Err(SyncError::Incomplete { from, to, total, listed: count.all });
            }
            self.state.save_window(name, window, &[]).await?;
            pass = WindowPass::default();
        }
    }

    /// Records the notices of a page that have changed, with their texts if they are to be fetched.
    async fn record_page(
        &mut self,
        page: ApiPage,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<(), SyncError> {
        let counts = &mut self.summary.counts;
        let mut notices = Vec::with_capacity(page.notices.len());
        for listed in page.notices {
            match listed.row.outcome {
                Ok(notice) => {
                    for value in &listed.row.omitted_values {
                        observer.on_omitted_value(listed.row.line, value).map_err(SyncError::Report)?;
                        counts.left_out += 1;
                    }
                    notices.push(SourceNotice { notice, description_url: listed.description_url });
                }
                Err(reason) => {
                    observer.on_rejected_row(listed.row.line, &reason).map_err(SyncError::Report)?;
                    counts.rows += 1;
                    counts.rejected += 1;
                }
            }
        }
        let mut changed = self.recorder.select_changed(notices, self.fetches_descriptions, counts).await?;
        for notice in &mut changed {
            if self.fetches_descriptions && !stop.is_cancelled() {
                self.fetch_description(notice, observer).await?;
            }
        }
        self.recorder.record_changed(&changed, &mut self.summary.counts).await
    }

    /// Adds its text to a notice. If that fails the notice is recorded without, and a later run tries again.
    async fn fetch_description(
        &mut self,
        changed: &mut ChangedNotice,
        observer: &mut dyn SyncObserver,
    ) -> Result<(), SyncError> {
        let Some(address) = changed.description_url.clone() else { return Ok(()) };
        let Some(answer) = self.requests.request_description(&self.client, &address).await? else {
            self.fetches_descriptions = false;
            self.summary.warn("the quota left no request for further texts; later runs fetch them".to_owned());
            return Ok(());
        };
        match answer {
            Ok(text) => {
                changed.description_url = None;
                let text = text.unwrap_or_default();
                match NoticeField::new("description", &text).parse_description() {
                    Ok(description) => changed.notice.facts.description = description,
                    Err(too_long) => observer.on_omitted_value(0, &too_long).map_err(SyncError::Report)?,
                }
                self.summary.descriptions += 1;
            }
            Err(error) => {
                if matches!(error, ApiError::ForeignAddress { .. }) {
                    changed.description_url = None;
                } else {
                    self.fetches_descriptions = false;
                }
                self.summary.warn(format!("the text of a notice could not be fetched: {error}"));
            }
        }
        Ok(())
    }
}

/// What one pass over a window has found so far.
#[derive(Default)]
struct WindowPass {
    pages: u64,
    new_notices: u64,
    /// Pages without a new notice since the last one that had one.
    repeated_pages: u32,
}

impl WindowPass {
    fn add_page(&mut self, count: WindowCount) {
        self.pages += 1;
        self.new_notices += count.new;
        self.repeated_pages = if count.new == 0 { self.repeated_pages + 1 } else { 0 };
    }
}
