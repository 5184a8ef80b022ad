//! Reads the extract as it is downloaded, records what changed, and archives what has left it.

use std::sync::atomic::Ordering;

use domain::event_store::BatchStore;
use tokio_util::sync::CancellationToken;

use super::{
    DownloadError, SyncError, SyncObserver, SyncRunOutcome, SyncSummary,
    extract_download::{ExtractAnswer, ExtractDownloader, RunningDownload},
    extract_transfer::ChunkReader,
    listed_notice_recorder::SourceNotice,
    notice_id_set::NoticeIdSet,
    removed_notices::{RemovalLimits, RemovedNotices},
    source_run::SourceRun,
    sync_store::ExtractVersion,
};
use crate::{
    NoticeReader, NoticeRowError, ParsedRow, SourceEncoding, SourceError, SourceFormat,
    notice_import::{self, RowBatch},
};

/// Rows that are looked up and recorded together.
const BATCH_ROWS: usize = 500;
/// Nothing is archived if more than one in this number of rows does not say which notice it is.
const ROWS_PER_UNIDENTIFIED: u64 = 1_000;

/// One run over the extract.
pub(super) struct ExtractSync<'a, L> {
    run: SourceRun<'a, L>,
    downloader: ExtractDownloader,
    present: NoticeIdSet,
    /// Rejected rows, and lines that were skipped, whose notice is not known.
    unidentified_rows: u64,
}

impl<'a, L: BatchStore> ExtractSync<'a, L> {
    /// # Errors
    /// [`SyncError`] when the settings have no valid address of the extract.
    pub(super) fn new(run: SourceRun<'a, L>) -> Result<Self, SyncError> {
        Ok(Self {
            downloader: ExtractDownloader::new(run.config)?,
            present: NoticeIdSet::default(),
            unidentified_rows: 0,
            run,
        })
    }

    /// Reads the extract, unless it is the version that was read last.
    ///
    /// # Errors
    /// [`SyncError`]; what was recorded stays, and the next run starts at the first row, which costs little.
    pub(super) async fn run(
        mut self,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let known = self.run.state.load_extract_version(self.run.name).await?;
        self.run.summary.requests = 1;
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(self.run.summary.with_outcome(SyncRunOutcome::Interrupted)),
            answer = self.downloader.request(&known) => answer.map_err(SyncError::Download)?,
        };
        let response = match answer {
            ExtractAnswer::NotModified => return Ok(self.run.summary.with_outcome(SyncRunOutcome::NotModified)),
            ExtractAnswer::Modified(response) => response,
        };
        let (reader, mut download) = self.downloader.clone().start(response);
        let read = self.read_rows(reader, &download, observer, stop).await;
        self.run.summary.bytes = download.received.load(Ordering::Relaxed);
        let is_complete = match read {
            // The reader knows only that the download failed; the download knows why.
            Err(SyncError::Extract(source)) => return Err(self.explain_failure(source, download).await),
            read => read?,
        };
        if !is_complete {
            // Wakes the thread that reads the rows.
            download.task.abort();
            return Ok(self.run.summary.with_outcome(SyncRunOutcome::Interrupted));
        }
        let digest = (&mut download.task).await.unwrap_or(Err(DownloadError::Stopped)).map_err(SyncError::Download)?;
        // The same content again says nothing about absent notices.
        if known.content_sha256.as_ref() != Some(&digest) && !self.archive_removed(&digest, stop).await? {
            return Ok(self.run.summary.with_outcome(SyncRunOutcome::Interrupted));
        }
        let version = ExtractVersion { content_sha256: Some(digest), ..download.version };
        self.run.state.save_extract_version(self.run.name, &version).await?;
        Ok(self.run.summary.with_outcome(SyncRunOutcome::Complete))
    }

    async fn explain_failure(&self, source: SourceError, download: RunningDownload) -> SyncError {
        match download.task.await {
            Ok(Err(error)) if !matches!(error, DownloadError::Stopped) => SyncError::Download(error),
            Ok(_) | Err(_) => SyncError::Extract(source),
        }
    }

    /// Records the rows in batches; `false` if it was stopped.
    async fn read_rows(
        &mut self,
        reader: ChunkReader,
        download: &RunningDownload,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<bool, SyncError> {
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(false),
            opened = tokio::task::spawn_blocking(move || open_rows(reader)) => opened,
        };
        let rows = opened.unwrap_or_else(|panic| Err(SourceError::Read(panic.into()))).map_err(SyncError::Extract)?;
        let warnings = rows.warnings();
        let mut batches = notice_import::spawn_reader(rows, BATCH_ROWS);
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(false),
                batch = batches.recv() => batch,
            };
            let RowBatch { rows, end } = batch.unwrap_or_else(RowBatch::cut_off);
            if !rows.is_empty() {
                self.record_rows(rows, observer).await?;
                observer.on_download(download.received.load(Ordering::Relaxed), download.total);
                observer.on_progress(&self.run.summary.counts);
            }
            match end {
                None => {}
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(SyncError::Extract(error)),
            }
        }
        self.run.summary.warnings.extend(warnings.list());
        Ok(true)
    }

    async fn record_rows(&mut self, rows: Vec<ParsedRow>, observer: &mut dyn SyncObserver) -> Result<(), SyncError> {
        let counts = &mut self.run.summary.counts;
        let mut notices = Vec::with_capacity(rows.len());
        for row in rows {
            match &row.notice_id {
                Some(id) => {
                    self.present.insert(id.as_str())?;
                }
                None => self.unidentified_rows += 1,
            }
            if let Err(NoticeRowError::Unreadable { through }) = &row.outcome {
                self.unidentified_rows += through.saturating_sub(row.line);
            }
            match row.outcome {
                Ok(notice) => {
                    for value in &row.omitted_values {
                        observer.on_omitted_value(row.line, value).map_err(SyncError::Report)?;
                        counts.left_out += 1;
                    }
                    notices.push(SourceNotice { notice, description_url: None });
                }
                Err(reason) => {
                    observer.on_rejected_row(row.line, &reason).map_err(SyncError::Report)?;
                    counts.rows += 1;
                    counts.rejected += 1;
                }
            }
        }
        let changed = self.run.recorder.select_changed(notices, false, counts).await?;
        self.run.recorder.record_changed(&changed, counts).await
    }

    /// Archives the opportunities of notices that have left; `false` if it was stopped before the end.
    async fn archive_removed(&mut self, version: &str, stop: &CancellationToken) -> Result<bool, SyncError> {
        let unidentified = self.unidentified_rows;
        if unidentified.saturating_mul(ROWS_PER_UNIDENTIFIED) > self.run.summary.counts.rows {
            self.run.summary.add_warning(format!(
                "{unidentified} rejected rows do not say which notice they are; nothing that is absent from this extract \
                 is archived"
            ));
            return Ok(true);
        }
        if unidentified > 0 {
            self.run.summary.add_warning(format!(
                "{unidentified} rejected rows do not say which notice they are; their notices count as absent"
            ));
        }
        let (config, allowed) = (self.run.config, self.run.options.max_removed_percent);
        let removed = RemovedNotices {
            state: self.run.state,
            log: self.run.recorder.log(),
            caller: self.run.recorder.caller(),
            limits: RemovalLimits {
                max_absent_percent: allowed.unwrap_or(config.max_removed_percent),
                max_due_percent: allowed.unwrap_or(config.max_archived_percent),
                absences_before_archive: config.absences_before_archive.max(1),
            },
            version,
        };
        if stop.is_cancelled() {
            return Ok(false);
        }
        let counts = removed.archive_absent(&self.present, stop).await?;
        self.run.summary.missing = counts.missing;
        self.run.summary.archived = counts.archived;
        self.run.summary.counts.events += counts.archived;
        Ok(!counts.is_stopped)
    }
}

fn open_rows(reader: ChunkReader) -> Result<NoticeReader, SourceError> {
    crate::read_notices(crate::open_source(reader)?, SourceFormat::Csv, SourceEncoding::Auto)
}
