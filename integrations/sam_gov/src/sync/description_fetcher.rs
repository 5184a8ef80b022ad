//! Fetches the texts of notices, which the API gives by their addresses only.

use tokio_util::sync::CancellationToken;

use super::{
    ApiError, SyncError, SyncObserver, SyncSummary,
    api_client::ApiClient,
    api_requests::{ApiRequests, DescriptionAnswer},
    listed_notice_recorder::ChangedNotice,
};
use crate::field::NoticeField;

/// After this number of failures in a row the run fetches no further texts: the cause is not a single text.
const MAX_FAILURES_IN_A_ROW: u32 = 5;

/// Fetches texts until that fails for a reason that concerns all of them.
pub(super) struct DescriptionFetcher {
    is_active: bool,
    failures_in_a_row: u32,
}

impl DescriptionFetcher {
    pub(super) fn new(is_active: bool) -> Self {
        Self { is_active, failures_in_a_row: 0 }
    }

    /// Whether texts are to be fetched.
    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    /// Adds their texts to notices. Where that fails a notice is recorded without, and a later run tries again. Returns
    /// the number of notices that may be recorded; fewer than all if it was stopped.
    ///
    /// # Errors
    /// [`SyncError`] when the state or the report cannot be written.
    pub(super) async fn fetch_all(
        &mut self,
        notices: &mut [ChangedNotice],
        client: &ApiClient,
        requests: &mut ApiRequests<'_>,
        summary: &mut SyncSummary,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<usize, SyncError> {
        for (index, changed) in notices.iter_mut().enumerate() {
            if !self.is_active {
                break;
            }
            let Some(address) = changed.description_url.clone() else { continue };
            match requests.request_description(client, &address, stop).await? {
                DescriptionAnswer::Stopped => return Ok(index),
                DescriptionAnswer::NoQuota => {
                    self.is_active = false;
                    summary
                        .add_warning("the quota left no request for further texts; later runs fetch them".to_owned());
                }
                DescriptionAnswer::Text(text) => {
                    self.failures_in_a_row = 0;
                    changed.description_url = None;
                    let text = text.unwrap_or_default();
                    match NoticeField::new("description", &text).parse_description() {
                        Ok(description) => changed.notice.details.description = description,
                        Err(too_long) => observer.on_omitted_value(0, &too_long).map_err(SyncError::Report)?,
                    }
                    summary.descriptions += 1;
                }
                DescriptionAnswer::Failed(error) => {
                    self.handle_failure(&error, changed);
                    let id = &changed.notice.notice_id;
                    summary.add_warning(format!("the text of notice {id} could not be fetched: {error}"));
                }
            }
        }
        Ok(notices.len())
    }

    fn handle_failure(&mut self, error: &ApiError, changed: &mut ChangedNotice) {
        match error {
            ApiError::Throttled { .. }
            | ApiError::KeyRejected { .. }
            | ApiError::Redirected { .. }
            | ApiError::Connection(_)
            | ApiError::Server { .. } => self.is_active = false,
            // Another request would not change that.
            ApiError::ForeignAddress { .. } | ApiError::TooLarge { .. } => changed.description_url = None,
            ApiError::Refused { .. }
            | ApiError::NotAPage { .. }
            | ApiError::Damaged { .. }
            | ApiError::AbsurdTotal { .. } => {
                self.failures_in_a_row += 1;
                self.is_active = self.failures_in_a_row < MAX_FAILURES_IN_A_ROW;
            }
        }
    }
}
