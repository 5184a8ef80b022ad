//! Shows the progress of an import, and reports rejected rows and omitted values.

use std::{io, path::PathBuf};

use sam_gov::{
    NoticeRowError,
    notice_import::{ImportObserver, ImportSummary},
};

use super::{byte_meter::ByteMeter, rejection_report::RejectionReport};
use crate::cli::progress_display::{ProgressDisplay, ProgressUnit};

/// Observes an import: shows progress on standard error and writes the rejection report.
pub(super) struct ImportProgressReporter {
    meter: ByteMeter,
    progress: ProgressDisplay,
    report: RejectionReport,
    rows: u64,
}

impl ImportProgressReporter {
    pub(super) fn new(meter: ByteMeter, bytes: Option<u64>, report: RejectionReport) -> Self {
        Self { meter, progress: ProgressDisplay::start(ProgressUnit::Bytes, bytes), report, rows: 0 }
    }

    pub(super) fn rows_processed(&self) -> u64 {
        self.rows
    }

    /// Removes the progress bar and returns the path of the report, if one was written.
    pub(super) fn finish(self) -> io::Result<Option<PathBuf>> {
        self.progress.finish();
        self.report.finish()
    }
}

impl ImportObserver for ImportProgressReporter {
    fn on_progress(&mut self, summary: &ImportSummary) {
        self.rows = summary.rows;
        let ImportSummary { rows, events, rejected, .. } = summary;
        self.progress.update(self.meter.bytes_read(), || format!("{rows} rows, {events} events, {rejected} rejected"));
    }

    fn on_rejected_row(&mut self, line: u64, reason: &NoticeRowError) -> io::Result<()> {
        self.report.add_entry(line, "rejected", reason.column().unwrap_or_default(), &reason.message_with_cause())
    }

    fn on_omitted_value(&mut self, line: u64, value: &NoticeRowError) -> io::Result<()> {
        self.report.add_entry(line, "left out", value.column().unwrap_or_default(), &value.message_with_cause())
    }
}
