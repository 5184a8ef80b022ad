//! Reads the extract as it is downloaded, records what changed, and archives what has left it.

use std::sync::atomic::Ordering;

use commands::caller::Caller;
use domain::event_store::BatchStore;
use tokio_util::sync::CancellationToken;

use super::{
    DownloadError, SyncError, SyncObserver, SyncOptions, SyncRunOutcome, SyncSource, SyncSummary,
    extract_download::{ExtractAnswer, ExtractDownloader, RunningDownload},
    extract_transfer::ChunkReader,
    listed_notice_recorder::{ListedNoticeRecorder, SourceNotice},
    removed_notices::{PresentNotices, RemovedNotices},
    sync_store::{ExtractVersion, SyncStore},
};
use crate::{
    NoticeReader, ParsedRow, SamGovConfig, SourceEncoding, SourceError, SourceFormat,
    notice_import::{self, RowBatch},
};

/// Rows that are looked up and recorded together.
const BATCH_ROWS: usize = 500;

/// One run over the extract.
pub(super) struct ExtractSync<'a, L> {
    config: &'a SamGovConfig,
    options: &'a SyncOptions,
    downloader: ExtractDownloader,
    state: &'a SyncStore,
    recorder: ListedNoticeRecorder<'a, L>,
    summary: SyncSummary,
    present: PresentNotices,
    /// Rejected rows whose notice is not known.
    unidentified_rows: u64,
}

impl<'a, L: BatchStore> ExtractSync<'a, L> {
    /// # Errors
    /// [`SyncError`] when the settings have no valid address of the extract.
    pub(super) fn new(
        config: &'a SamGovConfig,
        options: &'a SyncOptions,
        log: L,
        state: &'a SyncStore,
        caller: Caller,
    ) -> Result<Self, SyncError> {
        Ok(Self {
            config,
            options,
            downloader: ExtractDownloader::new(config)?,
            state,
            recorder: ListedNoticeRecorder::new(log, state, caller, SyncSource::Extract),
            summary: SyncSummary::new(SyncSource::Extract),
            present: PresentNotices::default(),
            unidentified_rows: 0,
        })
    }

    /// Reads the extract, unless it is the version that was read last.
    ///
    /// # Errors
    /// [`SyncError`]; what was recorded stays, and the next run starts at the first row, which costs little.
    pub(super) async fn run(
        mut self,
        name: &str,
        observer: &mut dyn SyncObserver,
        stop: &CancellationToken,
    ) -> Result<SyncSummary, SyncError> {
        let known = self.state.load_extract_version(name).await?;
        self.summary.requests = 1;
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(self.summary.with_outcome(SyncRunOutcome::Interrupted)),
            answer = self.downloader.request(&known) => answer.map_err(SyncError::Download)?,
        };
        let response = match answer {
            ExtractAnswer::NotModified => return Ok(self.summary.with_outcome(SyncRunOutcome::NotModified)),
            ExtractAnswer::Modified(response) => response,
        };
        let (reader, mut download) = self.downloader.clone().start(response);
        let read = self.read_rows(reader, &download, observer, stop).await;
        self.summary.bytes = download.received.load(Ordering::Relaxed);
        let is_complete = match read {
            // The reader knows only that the download failed; the download knows why.
            Err(SyncError::Extract(source)) => return Err(self.explain_failure(source, download).await),
            read => read?,
        };
        if !is_complete {
            return Ok(self.summary.with_outcome(SyncRunOutcome::Interrupted));
        }
        let digest = (&mut download.task).await.unwrap_or(Err(DownloadError::Stopped)).map_err(SyncError::Download)?;
        let version = ExtractVersion { content_sha256: Some(digest), ..download.version };
        // The same content again says nothing about absent notices.
        if known.content_sha256 != version.content_sha256 {
            self.archive_removed().await?;
        }
        self.state.save_extract_version(name, &version).await?;
        Ok(self.summary.with_outcome(SyncRunOutcome::Complete))
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
        let opened = tokio::task::spawn_blocking(move || open_rows(reader)).await;
        let rows = opened.unwrap_or_else(|panic| Err(SourceError::Read(panic.into()))).map_err(SyncError::Extract)?;
        let warnings = rows.warnings();
        let mut batches = notice_import::spawn_reader(rows, BATCH_ROWS);
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(false),
                batch = batches.recv() => batch,
            };
            let Some((rows, source_error)): Option<RowBatch> = batch else { break };
            self.record_rows(rows, observer).await?;
            observer.on_download(download.received.load(Ordering::Relaxed), download.total);
            observer.on_progress(&self.summary.counts);
            if let Some(error) = source_error {
                return Err(SyncError::Extract(error));
            }
        }
        self.summary.warnings.extend(warnings.list());
        Ok(true)
    }

    async fn record_rows(&mut self, rows: Vec<ParsedRow>, observer: &mut dyn SyncObserver) -> Result<(), SyncError> {
        let counts = &mut self.summary.counts;
        let mut notices = Vec::with_capacity(rows.len());
        for row in rows {
            match &row.notice_id {
                Some(id) => self.present.add(id.as_str())?,
                None => self.unidentified_rows += 1,
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
        let changed = self.recorder.select_changed(notices, false, counts).await?;
        self.recorder.record_changed(&changed, counts).await
    }

    async fn archive_removed(&mut self) -> Result<(), SyncError> {
        if self.unidentified_rows > 0 {
            self.summary.warn(format!(
                "{} rejected rows do not say which notice they are; nothing that is absent from this extract is archived",
                self.unidentified_rows
            ));
            return Ok(());
        }
        let removed = RemovedNotices {
            state: self.state,
            log: self.recorder.log(),
            caller: self.recorder.caller(),
            max_percent: self.options.max_removed_percent.unwrap_or(self.config.max_removed_percent),
            absences_before_archive: self.config.absences_before_archive.max(1),
        };
        let counts = removed.archive_absent(&self.present).await?;
        self.summary.missing = counts.missing;
        self.summary.archived = counts.archived;
        self.summary.counts.events += counts.archived;
        Ok(())
    }
}

fn open_rows(reader: ChunkReader) -> Result<NoticeReader, SourceError> {
    crate::read_notices(crate::open_source(reader)?, SourceFormat::Csv, SourceEncoding::Auto)
}
