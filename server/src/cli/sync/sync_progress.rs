//! Shows the progress of a synchronisation, and reports rejected rows and omitted values.

use std::{io, path::PathBuf};

use sam_gov::{
    NoticeRowError, SyncSource,
    notice_import::{ImportObserver, ImportSummary},
    sync::SyncObserver,
};

use crate::cli::{
    import::rejection_report::RejectionReport,
    progress_display::{ProgressDisplay, ProgressUnit},
};

/// Observes a run: shows progress on standard error and writes the rejection report.
pub(super) struct SyncProgressReporter {
    source: SyncSource,
    /// Starts with the first batch, when the size of the extract is known.
    progress: Option<ProgressDisplay>,
    received: u64,
    report: RejectionReport,
}

impl SyncProgressReporter {
    pub(super) fn new(source: SyncSource, report: PathBuf) -> Self {
        Self { source, progress: None, received: 0, report: RejectionReport::with_path(report) }
    }

    /// Removes the progress bar and returns the path of the report, if one was written.
    pub(super) fn finish(self) -> io::Result<Option<PathBuf>> {
        if let Some(progress) = self.progress {
            progress.finish();
        }
        self.report.finish()
    }
}

impl ImportObserver for SyncProgressReporter {
    fn on_progress(&mut self, summary: &ImportSummary) {
        let ImportSummary { rows, events, rejected, .. } = summary;
        let done = match self.source {
            SyncSource::Api => *rows,
            SyncSource::Extract => self.received,
        };
        let progress = self.progress.get_or_insert_with(|| ProgressDisplay::start(ProgressUnit::Rows, None));
        progress.update(done, || format!("{rows} rows, {events} events, {rejected} rejected"));
    }

    fn on_rejected_row(&mut self, line: u64, reason: &NoticeRowError) -> io::Result<()> {
        self.report.add_entry(line, "rejected", reason.column().unwrap_or_default(), &reason.message_with_cause())
    }

    fn on_omitted_value(&mut self, line: u64, value: &NoticeRowError) -> io::Result<()> {
        self.report.add_entry(line, "left out", value.column().unwrap_or_default(), &value.message_with_cause())
    }
}

impl SyncObserver for SyncProgressReporter {
    fn on_download(&mut self, received: u64, total: Option<u64>) {
        self.received = received;
        self.progress.get_or_insert_with(|| ProgressDisplay::start(ProgressUnit::Bytes, total));
    }
}
