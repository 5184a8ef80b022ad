//! Streaming the log from a position on, at the speed of `COPY` and in constant memory.
//!
//! ```text
//! Postgres ──COPY, one page of positions at a time──▶ a task that reads and decodes ──one batch ahead──▶ the caller
//! ```
//! A page ends at the fence, which was read before its copy starts. Pages keep Postgres from holding one snapshot for
//! the whole journey. The task fills at most one batch ahead of the caller; a caller that takes its time thereby stops
//! the reading at the socket.

mod page_reader;

use std::time::Duration;

use domain::envelope::RawEnvelope;
use futures::{Stream, TryStreamExt, stream};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::mpsc, task::JoinHandle};

use self::page_reader::PageReader;
use super::event_filter::EventFilter;
use crate::error::{LogError, postgres_error};

/// Which part of the log is read, and how it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Which events.
    pub filter: EventFilter,
    /// Events behind this position; 0 is the start of the log.
    pub after: u64,
    /// Events up to this position, itself included.
    pub to: Option<u64>,
    /// At most so many events.
    pub limit: Option<u64>,
    /// Whether to wait for more at the end of the log; `None` ends there.
    pub follow: Option<FollowOptions>,
    /// Most events of a batch.
    pub batch_events: usize,
    /// A batch that has reached this many bytes is not added to.
    pub batch_bytes: usize,
    /// How many positions one `COPY` covers; more while they come quickly.
    pub page_positions: u64,
    /// How long Postgres may be silent in the middle of an answer; `None` waits for ever. A page with a filter that few
    /// events meet is silent while it is looked for.
    pub answer_timeout: Option<Duration>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            filter: EventFilter::default(),
            after: 0,
            to: None,
            limit: None,
            follow: None,
            batch_events: 1_000,
            batch_bytes: 1 << 20,
            page_positions: 100_000,
            answer_timeout: None,
        }
    }
}

/// How often to look for more at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowOptions {
    /// Pause after something has come; doubles while nothing comes.
    pub poll_min: Duration,
    /// The longest pause.
    pub poll_max: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self { poll_min: Duration::from_millis(5), poll_max: Duration::from_millis(100) }
    }
}

/// Events in the order of their positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// The events; none when the reading came on without meeting one that is wanted.
    pub events: Vec<RawEnvelope>,
    /// Every wanted event up to here is in this batch or in one before it.
    pub watermark: u64,
    /// Up to here the log is complete, as far as is known.
    pub fence: u64,
}

/// Reads a part of the log. Dropping it, at any time, ends the reading and closes its connection.
#[derive(Debug)]
pub struct LogReplay {
    batches: mpsc::Receiver<EventBatch>,
    /// `None` once it has ended and its outcome was told.
    task: Option<JoinHandle<Result<(), LogError>>>,
}

impl LogReplay {
    /// Reads from the log behind `pool`, on a connection taken out of the pool for good.
    ///
    /// # Errors
    /// [`LogError::Postgres`] when there is no connection, [`LogError::Filter`] when the filter has no form in SQL.
    pub async fn start(pool: &PgPool, options: ReplayOptions) -> Result<Self, LogError> {
        let connection = pool.acquire().await.map_err(postgres_error("connecting"))?.detach();
        Self::start_on_connection(connection, options)
    }

    /// Reads on `connection`, which is closed when the replay ends or is dropped. Call it within a runtime.
    ///
    /// # Errors
    /// [`LogError::Filter`] when the filter has no form in SQL.
    pub fn start_on_connection(connection: PgConnection, options: ReplayOptions) -> Result<Self, LogError> {
        // One batch waits while the next one is being filled.
        let (sender, batches) = mpsc::channel(1);
        let pages = PageReader::new(connection, options, sender)?;
        Ok(Self { batches, task: Some(tokio::spawn(pages.run())) })
    }

    /// The next events; `None` at the end. May be cancelled: nothing is lost then.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read on, [`LogError::UnreadableEvent`] naming an event that cannot be. After an
    /// error there is nothing more.
    pub async fn next_batch(&mut self) -> Result<Option<EventBatch>, LogError> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(Some(batch));
        }
        // The task has ended, and only it knows whether that was the end of the log.
        let Some(task) = self.task.as_mut() else { return Ok(None) };
        let outcome = task.await;
        self.task = None;
        match outcome {
            Ok(outcome) => outcome.map(|()| None),
            Err(error) => match error.try_into_panic() {
                Ok(panicked) => std::panic::resume_unwind(panicked),
                // The runtime is shutting down.
                Err(_cancelled) => Ok(None),
            },
        }
    }

    /// The events one by one.
    pub fn into_stream(self) -> impl Stream<Item = Result<RawEnvelope, LogError>> + Send {
        stream::try_unfold(self, async |mut replay| {
            Ok(replay.next_batch().await?.map(|batch| (stream::iter(batch.events.into_iter().map(Ok)), replay)))
        })
        .try_flatten()
    }
}

impl Drop for LogReplay {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
