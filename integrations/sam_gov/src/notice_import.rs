//! Importing notices: many streams decided and appended per transaction.
//!
//! ```text
//! rows (blocking thread) ──batches──▶ load streams ──▶ decide row by row ──▶ append all ──┐
//!                                         ▲                                               │
//!                                         └──────── another writer was faster ◀───────────┘
//! ```
//!
//! A batch is one transaction, so an interruption leaves whole batches behind; importing the same source again finds
//! their notices on record and goes on with the rest.

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

/// Batches that are parsed ahead of the one being stored.
const READ_AHEAD: usize = 2;

/// What an import did. `imported + unchanged + rejected = rows`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    /// Rows dealt with.
    pub rows: u64,
    /// Rows that led to events.
    pub imported: u64,
    /// Rows whose notice was on record already.
    pub unchanged: u64,
    /// Rows that could not be parsed.
    pub rejected: u64,
    /// Optional values that could not be parsed and were left out of their notices.
    pub left_out: u64,
    /// Events appended.
    pub events: u64,
    /// Whether it was stopped before the end of the source.
    pub interrupted: bool,
}

/// Receives the progress of an import.
pub trait ImportObserver: Send {
    /// After every batch.
    fn on_progress(&mut self, so_far: &ImportSummary);

    /// For every row that cannot be understood.
    ///
    /// # Errors
    /// When the rejection cannot be noted down; this ends the import.
    fn on_rejected_row(&mut self, line: u64, reason: &NoticeRowError) -> std::io::Result<()>;

    /// For every value that was left out of its notice because it cannot be understood.
    ///
    /// # Errors
    /// When it cannot be noted down; this ends the import.
    fn on_omitted_value(&mut self, line: u64, value: &NoticeRowError) -> std::io::Result<()>;
}

/// Why an import ended early. What was appended before stays, and a second run completes it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read on.
    #[error("reading the source")]
    Source(#[source] SourceError),
    /// A batch could not be recorded.
    #[error("storing a batch of notices")]
    Batch(#[from] BatchAppendError),
    /// A rejected row could not be noted down.
    #[error("writing the report of rejected rows")]
    Report(#[source] std::io::Error),
}

/// The use case.
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

    /// Imports all rows, or those before `stop`; a batch that was begun is finished.
    ///
    /// # Errors
    /// [`ImportError`]; what was appended before stays.
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
            let Some((rows, failure)) = batch else { return Ok(summary) };
            self.import_batch(caller, rows, observer, &mut summary).await?;
            observer.on_progress(&summary);
            if let Some(source) = failure {
                return Err(ImportError::Source(source));
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

    /// Returns the number of notices that led to events, and the number of these events.
    async fn store_notices(&self, caller: &Caller, notices: &[Notice]) -> Result<(u64, u64), ImportError> {
        let ids: Vec<_> = notices.iter().map(|notice| notice.opportunity_id().to_string()).collect();
        let decide = |batch: &mut AppendBatch<Opportunity>| {
            let wishes = notices.iter().zip(&ids);
            wishes.filter(|(notice, id)| batch.decide_stream(id, |state| notice_events(state, notice)) > 0).count()
        };
        let (imported, events) = append_batch::decide_and_append(&self.store, caller, ids.clone(), decide).await?;
        Ok((u64::try_from(imported).unwrap_or(u64::MAX), events))
    }
}

/// What a notice changes; recording one is never refused.
fn notice_events(opportunity: &Opportunity, notice: &Notice) -> Vec<OpportunityEvent> {
    opportunity.decide(OpportunityCommand::RecordNotice(Box::new(notice.clone()))).unwrap_or_default()
}

type RowBatch = (Vec<ParsedRow>, Option<SourceError>);

/// Parses on a blocking thread. A batch with a [`SourceError`] is the last one; ends when the receiver is dropped.
fn spawn_reader(rows: NoticeReader, batch_rows: usize) -> mpsc::Receiver<RowBatch> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(batch_rows);
        for row in rows {
            match row {
                Ok(row) => batch.push(row),
                Err(failure) => {
                    // After a stop the receiver is gone, and the failure no longer matters.
                    drop(sender.blocking_send((batch, Some(failure))));
                    return;
                }
            }
            if batch.len() == batch_rows {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(batch_rows));
                if sender.blocking_send((full, None)).is_err() {
                    return;
                }
            }
        }
        if !batch.is_empty() {
            drop(sender.blocking_send((batch, None)));
        }
    });
    receiver
}
