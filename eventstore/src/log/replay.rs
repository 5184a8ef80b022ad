//! Streams the log from a position on, through `COPY` and in constant memory.
//!
//! ```text
//! Postgres ──COPY, one page of positions at a time──▶ a task that reads and decodes ──one batch ahead──▶ the caller
//! ```
//! A page ends at the fence, which is read before the page's copy starts. Reading in pages keeps Postgres from holding
//! one snapshot for the whole replay. The task fills at most one batch ahead of the caller: when the caller is
//! slow, the task stops reading from the socket, and Postgres stops sending.

mod page_reader;

use std::time::Duration;

use domain::envelope::RawEnvelope;
use futures::{Stream, TryStreamExt, stream};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::mpsc, task::JoinHandle};

use self::page_reader::PageReader;
use super::{append_wakeups::AppendWakeups, event_filter::EventFilter};
use crate::error::{LogError, postgres_error};

/// Which part of the log a replay reads, and how it returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Which events to read.
    pub filter: EventFilter,
    /// Starts after this position; 0 is the start of the log.
    pub after: u64,
    /// Ends with this position, inclusive.
    pub to: Option<u64>,
    /// Maximum number of events.
    pub limit: Option<u64>,
    /// How to wait for new events at the end of the log; with `None`, the replay ends there.
    pub follow: Option<FollowOptions>,
    /// Maximum number of events in a batch.
    pub batch_events: usize,
    /// A batch ends once it has this many bytes.
    pub batch_bytes: usize,
    /// Number of positions that one `COPY` covers; pages grow while they are read quickly.
    pub page_positions: u64,
    /// Maximum time between two parts of an answer from Postgres; `None` is without limit. With a filter that few
    /// events match, Postgres sends nothing while it searches the page.
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

/// How often a replay polls for new events at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowOptions {
    /// Pause after new events; doubles while there are none.
    pub poll_min: Duration,
    /// The longest pause.
    pub poll_max: Duration,
    /// The longest pause of a reader that appends wake up: other programs append without waking it.
    pub poll_idle: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(100),
            poll_idle: Duration::from_millis(250),
        }
    }
}

/// Events ordered by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// The events; empty when no event matched since the last batch and only the watermark has moved.
    pub events: Vec<RawEnvelope>,
    /// Every matching event up to this position is in this batch or an earlier one.
    pub watermark: u64,
    /// The fence as it was last read: the log is complete up to this position.
    pub fence: u64,
}

/// Reads a part of the log in a background task. Dropping it ends the task and closes its connection.
#[derive(Debug)]
pub struct LogReplay {
    batches: mpsc::Receiver<EventBatch>,
    /// `None` once the task has ended and its outcome was returned.
    task: Option<JoinHandle<Result<(), LogError>>>,
}

impl LogReplay {
    /// Starts a replay on a connection that is detached from `pool`.
    ///
    /// # Errors
    /// [`LogError::Postgres`] when there is no connection, [`LogError::Filter`] when the filter cannot be expressed in
    /// SQL.
    pub async fn start(pool: &PgPool, options: ReplayOptions) -> Result<Self, LogError> {
        let connection = pool.acquire().await.map_err(postgres_error("connecting"))?.detach();
        Self::start_on_connection(connection, options)
    }

    /// Starts a replay on `connection`, which is closed when the replay ends or is dropped. Must be called within
    /// a Tokio runtime.
    ///
    /// # Errors
    /// [`LogError::Filter`] when the filter cannot be expressed in SQL.
    pub fn start_on_connection(connection: PgConnection, options: ReplayOptions) -> Result<Self, LogError> {
        Self::start_reader(connection, options, None)
    }

    /// Starts a replay on `connection` that appends wake up at the end of the log, where it polls seldom; it listens to
    /// them on another connection, with the options of `pool`.
    ///
    /// # Errors
    /// [`LogError::Filter`] when the filter cannot be expressed in SQL.
    pub(crate) fn start_with_wakeups(
        connection: PgConnection,
        pool: &PgPool,
        options: ReplayOptions,
    ) -> Result<Self, LogError> {
        Self::start_reader(connection, options, Some(AppendWakeups::new(pool)))
    }

    fn start_reader(
        connection: PgConnection,
        options: ReplayOptions,
        wakeups: Option<AppendWakeups>,
    ) -> Result<Self, LogError> {
        // One batch waits in the channel while the task fills the next one.
        let (sender, batches) = mpsc::channel(1);
        let pages = PageReader::new(connection, options, wakeups, sender)?;
        Ok(Self { batches, task: Some(tokio::spawn(pages.run())) })
    }

    /// Returns the next batch; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read, [`LogError::UnreadableEvent`] naming an event that cannot be decoded.
    /// After an error the replay has ended, and further calls return `None`.
    pub async fn next_batch(&mut self) -> Result<Option<EventBatch>, LogError> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(Some(batch));
        }
        // The task has ended: its outcome shows whether the replay is complete or failed.
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

    /// Turns the replay into a stream of single events.
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
