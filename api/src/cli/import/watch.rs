//! Watches an import for the person at the terminal: how far it is, and what did not go in.

use std::{io, path::PathBuf};

use commands::{
    import::{Observer, Summary},
    sam::RowError,
};

use super::{meter::Meter, report::Report};
use crate::cli::progress::{Progress, Unit};

/// Shows progress and writes the report.
pub(super) struct Watch {
    meter: Meter,
    progress: Progress,
    report: Report,
    rows: u64,
}

impl Watch {
    pub(super) fn new(meter: Meter, bytes: Option<u64>, report: Report) -> Self {
        Self { meter, progress: Progress::start(Unit::Bytes, bytes), report, rows: 0 }
    }

    /// How many rows were dealt with so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the watch; the path of the report, if there is one.
    pub(super) fn finish(self) -> io::Result<Option<PathBuf>> {
        self.progress.finish();
        self.report.finish()
    }
}

impl Observer for Watch {
    fn progress(&mut self, summary: &Summary) {
        self.rows = summary.rows;
        let Summary { rows, events, rejected, .. } = summary;
        self.progress.at(self.meter.bytes(), || format!("{rows} rows, {events} events, {rejected} rejected"));
    }

    fn rejected(&mut self, line: u64, reason: &RowError) -> io::Result<()> {
        self.report.add(line, "rejected", reason.column().unwrap_or_default(), &reason.explain())
    }

    fn left_out(&mut self, line: u64, value: &RowError) -> io::Result<()> {
        self.report.add(line, "left out", value.column().unwrap_or_default(), &value.explain())
    }
}
