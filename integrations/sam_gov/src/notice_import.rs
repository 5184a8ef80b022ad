//! Imports notices: decides and appends events of many streams per transaction.
//!
//! ```text
//! rows (blocking thread) ──batches──▶ load streams ──▶ decide row by row ──▶ append all ──┐
//!                                         ▲                                               │
//!                                         └────────────────── conflict ◀──────────────────┘
//! ```
//!
//! A batch is one transaction, so an interrupted import has recorded whole batches. Importing the same source again
//! finds their notices recorded and continues with the rest.

#[cfg(test)]
mod tests;

use commands::{
    append_batch::{self, AppendBatch},
    caller::Caller,
    error::BatchAppendError,
};
use domain::{
    event_store::BatchStore,
    opportunity::{Notice, Opportunity, OpportunityCommand, OpportunityEvent},
};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{NoticeReader, NoticeRowError, ParsedRow, SourceError};

/// Number of batches that are parsed ahead of the one being stored.
const READ_AHEAD: usize = 2;

/// Counts of an import. `imported + unchanged + rejected = rows` always holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    /// Rows processed.
    pub rows: u64,
    /// Rows that led to events.
    pub imported: u64,
    /// Rows whose notice was recorded before.
    pub unchanged: u64,
    /// Rows that could not be parsed.
    pub rejected: u64,
    /// Optional values that could not be parsed and were omitted from their notices.
    pub left_out: u64,
    /// Events appended.
    pub events: u64,
    /// Whether it was stopped before the end of the source.
    pub interrupted: bool,
}

/// Receives the progress of an import.
pub trait ImportObserver: Send {
    /// Called after every batch.
    fn on_progress(&mut self, so_far: &ImportSummary);

    /// Called for every rejected row.
    ///
    /// # Errors
    /// When the observer cannot record the rejection; this ends the import.
    fn on_rejected_row(&mut self, line: u64, reason: &NoticeRowError) -> std::io::Result<()>;

    /// Called for every value that was omitted from its notice because it cannot be parsed.
    ///
    /// # Errors
    /// When the observer cannot record the value; this ends the import.
    fn on_omitted_value(&mut self, line: u64, value: &NoticeRowError) -> std::io::Result<()>;
}

/// Why an import ended early. The batches before are recorded, and a second import of the source completes it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read any further.
    #[error("reading the source")]
    Source(#[source] SourceError),
    /// A batch could not be recorded.
    #[error("storing a batch of notices")]
    Batch(#[from] BatchAppendError),
    /// The observer could not record a rejected row or an omitted value.
    #[error("writing the report of rejected rows")]
    Report(#[source] std::io::Error),
}

/// Imports notices into an event store.
#[derive(Debug)]
pub struct NoticeImport<S> {
    store: S,
    batch_rows: usize,
}

impl<S: BatchStore> NoticeImport<S> {
    /// Imports into `store`, `batch_rows` rows per transaction (at least 1).
    pub fn new(store: S, batch_rows: usize) -> Self {
        Self { store, batch_rows: batch_rows.max(1) }
    }

    /// Imports all rows, or those before `stop` is cancelled; a batch that has begun is completed.
    ///
    /// # Errors
    /// [`ImportError`]; the batches before are recorded.
    #[tracing::instrument(skip_all, fields(correlation.id = %caller.correlation_id))]
    pub async fn import_notices(
        &self,
        caller: &Caller,
        rows: NoticeReader,
        observer: &mut dyn ImportObserver,
        stop: CancellationToken,
    ) -> Result<ImportSummary, ImportError> {
        let mut batches = spawn_reader(rows, self.batch_rows);
        let mut summary = ImportSummary::default();
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    summary.interrupted = true;
                    return Ok(summary);
                }
                batch = batches.recv() => batch,
            };
            let RowBatch { rows, end } = batch.unwrap_or_else(RowBatch::cut_off);
            if !rows.is_empty() {
                self.import_batch(caller, rows, observer, &mut summary).await?;
                observer.on_progress(&summary);
            }
            match end {
                None => {}
                Some(Ok(())) => return Ok(summary),
                Some(Err(source)) => return Err(ImportError::Source(source)),
            }
        }
    }

    async fn import_batch(
        &self,
        caller: &Caller,
        rows: Vec<ParsedRow>,
        observer: &mut dyn ImportObserver,
        summary: &mut ImportSummary,
    ) -> Result<(), ImportError> {
        let (mut notices, mut rejected) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            match row.outcome {
                Ok(notice) => {
                    for value in &row.omitted_values {
                        observer.on_omitted_value(row.line, value).map_err(ImportError::Report)?;
                        summary.left_out += 1;
                    }
                    notices.push(notice);
                }
                Err(reason) => {
                    observer.on_rejected_row(row.line, &reason).map_err(ImportError::Report)?;
                    rejected += 1;
                }
            }
        }
        let (imported, events) = self.store_notices(caller, &notices).await?;
        let notices = u64::try_from(notices.len()).unwrap_or(u64::MAX);
        summary.rows += notices + rejected;
        summary.imported += imported;
        summary.unchanged += notices - imported;
        summary.rejected += rejected;
        summary.events += events;
        Ok(())
    }

    /// Records notices; returns the number of notices that led to events, and the number of these events.
    async fn store_notices(&self, caller: &Caller, notices: &[Notice]) -> Result<(u64, u64), ImportError> {
        let ids: Vec<_> = notices.iter().map(|notice| notice.opportunity_id().to_string()).collect();
        let decide = |batch: &mut AppendBatch<Opportunity>| {
            let notices_with_ids = notices.iter().zip(&ids);
            notices_with_ids
                .filter(|(notice, id)| batch.decide_stream(id, |state| notice_events(state, notice)) > 0)
                .count()
        };
        let (imported, events) = append_batch::decide_and_append(&self.store, caller, ids.clone(), decide).await?;
        Ok((u64::try_from(imported).unwrap_or(u64::MAX), events))
    }
}

/// The events that a notice leads to. The command is never refused.
fn notice_events(opportunity: &Opportunity, notice: &Notice) -> Vec<OpportunityEvent> {
    opportunity.decide(OpportunityCommand::RecordNotice(Box::new(notice.clone()))).unwrap_or_default()
}

/// Parsed rows, in the order of the source.
pub(crate) struct RowBatch {
    pub(crate) rows: Vec<ParsedRow>,
    /// Set in the last batch: whether the source was read to its end, or why not.
    pub(crate) end: Option<Result<(), SourceError>>,
}

impl RowBatch {
    /// What follows if the reader has ended without a last batch: its thread has panicked, or was not run because the
    /// process ends.
    pub(crate) fn cut_off() -> Self {
        let error = std::io::Error::other("the thread that reads the rows has failed");
        Self { rows: vec![], end: Some(Err(SourceError::Read(error))) }
    }
}

/// Parses rows on a blocking thread until the receiver is dropped. The last batch has an end; if the channel is closed
/// without one, rows are missing.
pub(crate) fn spawn_reader(rows: NoticeReader, batch_rows: usize) -> mpsc::Receiver<RowBatch> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(batch_rows);
        let mut end = Ok(());
        for row in rows {
            match row {
                Ok(row) => batch.push(row),
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
            if batch.len() == batch_rows {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(batch_rows));
                if sender.blocking_send(RowBatch { rows: full, end: None }).is_err() {
                    return;
                }
            }
        }
        // After a cancellation the receiver is dropped, and the end no longer matters.
        drop(sender.blocking_send(RowBatch { rows: batch, end: Some(end) }));
    });
    receiver
}
