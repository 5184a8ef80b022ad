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
use domain::{
    clock::{Clock, SystemClock},
    event_store::BatchStore,
};
use tokio_util::sync::CancellationToken;

use super::{
    DateWindow, SyncError, SyncObserver, SyncRunOutcome, SyncSummary,
    api_client::ApiClient,
    api_page::ApiPage,
    api_requests::{ApiRequests, PageAnswer},
    description_fetcher::DescriptionFetcher,
    listed_notice_recorder::SourceNotice,
    notice_id_set::NoticeIdSet,
    source_run::SourceRun,
    sync_store::WindowProgress,
};

/// How often a window is read before it counts as incomplete.
const MAX_PASSES: u32 = 4;
/// A first pass ends after this number of pages in a row without a new notice: the API repeats itself.
const MAX_REPEATED_PAGES: u32 = 3;
/// The number of notices that a window may lack, if reading it again finds no further one: the API counts and lists at
/// different moments. One percent of the announced notices, and at least these.
const MIN_TOLERATED: u64 = 3;
/// The largest overlap; each window has to lead further than the one before.
const MAX_OVERLAP_DAYS: u32 = 300;
/// Number of notices that are recorded together if each needs a request for its text: a process that dies loses at most
/// this many.
const NOTICES_WITH_TEXT: usize = 25;

/// One run over the API.
pub(super) struct ApiSync<'a, L> {
    run: SourceRun<'a, L>,
    client: ApiClient,
    requests: ApiRequests<'a>,
    descriptions: DescriptionFetcher,
    /// The notices of the window in a preview, which saves nothing.
    previewed: NoticeIdSet,
}

impl<'a, L: BatchStore> ApiSync<'a, L> {
    /// # Errors
    /// [`SyncError`] when the settings have no key, or no valid address.
    pub(super) fn new(run: SourceRun<'a, L>) -> Result<Self, SyncError> {
        let client = ApiClient::new(run.config)?;
        let requests = ApiRequests::new(run.config, run.state);
        // A preview spends no requests on texts.
        let descriptions = DescriptionFetcher::new(run.config.fetch_descriptions && !run.state.is_preview());
        Ok(Self { run, client, requests, descriptions, previewed: NoticeIdSet::default() })
    }

    /// Reads the days of the options, or the days after the last run.
    ///
    /// # Errors
    /// [`SyncError`]; what was recorded stays, and the next run continues.
    pub(super) async fn run(
        mut self,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let name = self.run.name;
        let today = SystemClock.now().date_naive();
        let range = self.run.options.days;
        let last = range.map_or(today, DateWindow::to);
        let mut complete_through = self.run.state.load_status(name).await?.complete_through;
        let mut unfinished = self.run.state.load_window(name).await?;
        loop {
            let window = unfinished
                .take()
                .unwrap_or_else(|| WindowProgress::start(self.next_days(range, complete_through, today)));
            if let Some(outcome) = self.read_window(name, window, observer, stop).await? {
                return Ok(self.finish(outcome));
            }
            let window_end = window.days.to();
            self.run.state.finish_window(name, Some(window_end)).await?;
            self.previewed.clear();
            if window_end >= last {
                return Ok(self.finish(SyncRunOutcome::Complete));
            }
            complete_through = complete_through.max(Some(window_end));
        }
    }

    fn finish(mut self, outcome: SyncRunOutcome) -> SyncSummary {
        self.run.summary.requests = self.requests.sent();
        self.run.summary.with_outcome(outcome)
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
            // The last day of an earlier run was not over when it was read.
            (Some(range), Some(day)) if self.run.options.ends_today => (day, range.to()),
            (Some(range), Some(day)) => (day.succ_opt().unwrap_or(day), range.to()),
            (None, None) => (days_before(today, self.run.config.first_days), today),
            (None, Some(day)) => (days_before(day, self.run.config.overlap_days.min(MAX_OVERLAP_DAYS)), today),
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
        let begins_window = window.next_offset == 0;
        loop {
            let page = match self.requests.request_page(&self.client, window, stop).await? {
                PageAnswer::Page(page) => page,
                PageAnswer::End(outcome) => return Ok(Some(outcome)),
            };
            let (total, size) = (page.total, u64::try_from(page.notices.len()).unwrap_or(u64::MAX));
            let keys: Vec<_> = page.notices.iter().map(|notice| notice.key.clone()).collect();
            if !self.record_page(page, observer, stop).await? {
                // The next run requests the page again.
                return Ok(Some(SyncRunOutcome::Interrupted));
            }
            window.next_offset += size;
            let listed = self.save_page(name, &mut window, &keys).await?;
            observer.on_progress(&self.run.summary.counts);
            let max_pages = 20 + 4 * total / u64::from(self.run.config.page_size.max(1));
            let repeats_itself = window.passes == 0 && window.pass.repeated_pages >= MAX_REPEATED_PAGES;
            if size > 0 && window.next_offset < total && window.pass.pages < max_pages && !repeats_itself {
                continue;
            }
            if listed >= total {
                return Ok(None);
            }
            if self.run.state.is_preview() {
                // One pass is enough. A window that an earlier run has begun lacks the pages before.
                if begins_window {
                    self.warn_incomplete(window.days, total, listed);
                }
                return Ok(None);
            }
            let found_nothing = window.passes > 0 && window.pass.new_notices == 0;
            if found_nothing && total - listed <= MIN_TOLERATED.max(total / 100) {
                self.warn_incomplete(window.days, total, listed);
                return Ok(None);
            }
            window = window.next_pass();
            if found_nothing || window.passes >= MAX_PASSES {
                self.run.state.finish_window(name, None).await?;
                return Err(SyncError::Incomplete { from: window.days.from(), to: window.days.to(), total, listed });
            }
            self.run.state.save_window(name, &window).await?;
        }
    }

    fn warn_incomplete(&mut self, days: DateWindow, total: u64, listed: u64) {
        let (from, to) = (days.from(), days.to());
        self.run
            .summary
            .add_warning(format!("SAM.gov announces {total} notices for {from} to {to} and lists {listed}"));
    }

    /// Counts a page with these notices; returns the number of different notices of the window so far.
    async fn save_page(&mut self, name: &str, window: &mut WindowProgress, keys: &[String]) -> Result<u64, SyncError> {
        if !self.run.state.is_preview() {
            return Ok(self.run.state.save_page(name, window, keys).await?);
        }
        let mut new = 0;
        for key in keys {
            new += u64::from(self.previewed.insert(key)?);
        }
        window.pass.add_page(new);
        Ok(self.previewed.count())
    }

    /// Records the notices of a page that have changed, with their texts if they are to be fetched; `false` if it was
    /// stopped before all of them were.
    async fn record_page(
        &mut self,
        page: ApiPage,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<bool, SyncError> {
        let counts = &mut self.run.summary.counts;
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
        let with_texts = self.descriptions.is_active();
        let mut changed = self.run.recorder.select_changed(notices, with_texts, counts).await?;
        let size = if with_texts { NOTICES_WITH_TEXT } else { changed.len().max(1) };
        for portion in changed.chunks_mut(size) {
            let (requests, summary) = (&mut self.requests, &mut self.run.summary);
            let complete =
                self.descriptions.fetch_all(portion, &self.client, requests, summary, observer, stop).await?;
            let recorded = portion.get(..complete).unwrap_or_default();
            self.run.recorder.record_changed(recorded, &mut self.run.summary.counts).await?;
            if recorded.len() < portion.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
