//! The task behind a replay: copies page after page and groups the events into batches.

mod tail;

use std::{
    mem,
    time::{Duration, Instant},
};

use domain::envelope::RawEnvelope;
use futures::{FutureExt, TryStream, TryStreamExt};
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::mpsc::Sender;

use self::tail::{TailState, is_read_committed};
use super::{EventBatch, ReplayOptions};
use crate::{
    error::{LogError, postgres_error},
    log::{
        append_wakeups::AppendWakeups,
        copy_decoder::CopyDecoder,
        event_row::{self, COLUMN_COUNT},
        load_fence, log_end,
    },
    postgres::with_timeout,
};

/// A page that takes less time than this is followed by a larger one: with a filter that few events match, pages are
/// quick.
const QUICK_PAGE: Duration = Duration::from_millis(200);
/// Pages grow to at most this many times their initial size.
const MAX_PAGE_GROWTH: u64 = 64;

/// Makes Postgres read a page along the index of positions, in one process, so that the first rows arrive at once and
/// nothing is sorted on disk. For queries this short, JIT compilation costs more than it saves. The settings are local
/// to the transaction: behind a session-sharing pooler, the next transaction of the session belongs to another client.
const PLANNER_SETTINGS: &str = "begin; set local enable_seqscan = off; set local enable_bitmapscan = off; set local jit = off; \
                     set local max_parallel_workers_per_gather = 0; set local statement_timeout = 0";
/// Added unless the filter names a stream: a stream is found by the primary key and its few events are sorted; for any
/// other filter a sort is the wrong plan.
const NO_SORT_SETTING: &str = "; set local enable_sort = off";

/// Whether the receiver of the batches still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiverState {
    Receiving,
    Gone,
}

/// Reads pages and sends batches until the end of the replay.
pub(super) struct PageReader {
    connection: PgConnection,
    options: ReplayOptions,
    /// The filter in SQL.
    conditions: String,
    sender: Sender<EventBatch>,
    /// Every matching event up to this position was sent.
    position: u64,
    /// The log is complete up to this position.
    fence: u64,
    /// Number of events left until the limit.
    remaining: Option<u64>,
    page_positions: u64,
    /// Whether the last page reached the fence without filling a batch.
    caught_up: bool,
    /// Where the reader is when it follows the whole log.
    tail: TailState,
}

impl PageReader {
    pub(super) fn new(
        connection: PgConnection,
        options: ReplayOptions,
        wakeups: Option<AppendWakeups>,
        sender: Sender<EventBatch>,
    ) -> Result<Self, LogError> {
        let conditions = options.filter.to_sql().map_err(LogError::Filter)?;
        let (position, remaining, page_positions) = (options.after, options.limit, options.page_positions.max(1));
        Ok(Self {
            connection,
            options,
            conditions,
            sender,
            position,
            fence: 0,
            remaining,
            page_positions,
            caught_up: false,
            tail: TailState::new(wakeups),
        })
    }

    pub(super) async fn run(mut self) -> Result<(), LogError> {
        match self.read_pages().await? {
            ReceiverState::Receiving => self.connection.close().await.map_err(postgres_error("closing the connection")),
            // The connection may be in the middle of a copy: dropping it makes Postgres abort the copy.
            ReceiverState::Gone => Ok(()),
        }
    }

    async fn read_pages(&mut self) -> Result<ReceiverState, LogError> {
        // Without `follow`, the replay ends at the current end of the log: otherwise it would never end on a busy log.
        let end = match self.options.follow {
            Some(_) => None,
            None => Some(log_end(&mut self.connection).await?),
        };
        let end = end.into_iter().chain(self.options.to).min().unwrap_or(u64::MAX);
        let follows_all = self.conditions.is_empty() && end == u64::MAX && self.remaining.is_none();
        let answer_timeout = self.options.answer_timeout;
        let reads_tail =
            follows_all && with_optional_timeout(answer_timeout, is_read_committed(&mut self.connection)).await?;
        while self.position < end && self.remaining != Some(0) {
            // Up to the fence, a page costs less for each event; at the fence, it costs one round trip less.
            if let Some(follow) = self.options.follow.filter(|_| reads_tail && self.position >= self.fence) {
                if self.follow_tail(follow).await? == ReceiverState::Gone {
                    return Ok(ReceiverState::Gone);
                }
                continue;
            }
            self.tail.release_wakeups();
            if !self.advance_fence().await? {
                return Ok(ReceiverState::Receiving);
            }
            let started = Instant::now();
            let last = self.position.saturating_add(self.page_positions).min(self.fence).min(end);
            if self.send_page(last).await? == ReceiverState::Gone {
                return Ok(ReceiverState::Gone);
            }
            let max_positions = self.options.page_positions.saturating_mul(MAX_PAGE_GROWTH);
            self.page_positions = if started.elapsed() < QUICK_PAGE {
                self.page_positions.saturating_mul(2).min(max_positions)
            } else {
                (self.page_positions / 2).max(self.options.page_positions)
            };
        }
        Ok(ReceiverState::Receiving)
    }

    /// Reads the fence again once all events up to it were read. Returns `false` at the end of the replay.
    async fn advance_fence(&mut self) -> Result<bool, LogError> {
        let mut pause = self.options.follow.map(|follow| follow.poll_min);
        // Without this pause, each event of a steadily growing log would be a separate page.
        if let (true, Some(delay)) = (mem::take(&mut self.caught_up), pause) {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.sender.closed() => return Ok(false),
            }
        }
        loop {
            if self.fence > self.position {
                return Ok(true);
            }
            self.fence = with_optional_timeout(self.options.answer_timeout, load_fence(&mut self.connection)).await?;
            if self.fence > self.position {
                return Ok(true);
            }
            let (Some(delay), Some(follow)) = (pause, self.options.follow) else { return Ok(false) };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.sender.closed() => return Ok(false),
            }
            pause = Some((delay * 2).min(follow.poll_max));
        }
    }

    /// Sends the matching events after the current position and up to `last`.
    async fn send_page(&mut self, last: u64) -> Result<ReceiverState, LogError> {
        let reading = "reading events";
        let (answer_timeout, statement) = (self.options.answer_timeout, self.copy_statement(last));
        let mut settings = PLANNER_SETTINGS.to_owned();
        if self.options.filter.aggregate_id.is_none() {
            settings.push_str(NO_SORT_SETTING);
        }
        let begin_copy = async {
            self.connection.execute(settings.as_str()).await.map_err(postgres_error("setting up a page"))?;
            self.connection.copy_out_raw(&statement).await.map_err(postgres_error(reading))
        };
        let mut chunks = with_optional_timeout(answer_timeout, begin_copy).await?;
        let mut decoder = CopyDecoder::<COLUMN_COUNT>::default();
        let mut events = Vec::new();
        let (mut bytes, mut reached, mut has_filled_batch) = (0, self.position, false);
        while let Some(chunk) = next_item(answer_timeout, reading, &mut chunks).await? {
            decoder.push_chunk(&chunk);
            while let Some((row, size)) = decoder.next_row().map_err(LogError::Copy)? {
                let event = match event_row::decode_event_row(&row) {
                    Ok(event) => event,
                    Err(error) => {
                        // The events before it are sent first.
                        let preceding = EventBatch { events, watermark: reached, fence: self.fence };
                        return if self.sender.send(preceding).await.is_ok() {
                            Err(error)
                        } else {
                            Ok(ReceiverState::Gone)
                        };
                    }
                };
                reached = event.position;
                bytes += size;
                events.push(event);
                self.remaining = self.remaining.map(|left| left.saturating_sub(1));
                if events.len() >= self.options.batch_events || bytes >= self.options.batch_bytes {
                    let events = take_events(&mut events);
                    (bytes, has_filled_batch) = (0, true);
                    let batch = EventBatch { events, watermark: reached, fence: self.fence };
                    if self.sender.send(batch).await.is_err() {
                        return Ok(ReceiverState::Gone);
                    }
                }
            }
        }
        decoder.finish().map_err(LogError::Copy)?;
        drop(chunks);
        let commit = async { self.connection.execute("commit").await.map_err(postgres_error("ending a page")) };
        with_optional_timeout(answer_timeout, commit).await?;
        // When the limit has ended the page, the positions after its last event were not read.
        self.position = if self.remaining == Some(0) { reached } else { last };
        self.caught_up = !has_filled_batch && self.position == self.fence;
        let batch = EventBatch { events, watermark: self.position, fence: self.fence };
        Ok(if self.sender.send(batch).await.is_ok() { ReceiverState::Receiving } else { ReceiverState::Gone })
    }

    fn copy_statement(&self, last: u64) -> String {
        let (select, conditions, position) = (event_row::SELECT_EVENTS, &self.conditions, self.position);
        let limit = self.remaining.map(|left| format!(" limit {left}")).unwrap_or_default();
        format!(
            "copy ({select} where position > {position} and position <= {last}{conditions} \
             order by position{limit}) to stdout (format binary)"
        )
    }
}

/// Waits for an answer, at most `answer_timeout` if there is one.
async fn with_optional_timeout<T>(
    answer_timeout: Option<Duration>,
    answer: impl Future<Output = Result<T, LogError>>,
) -> Result<T, LogError> {
    match answer_timeout {
        Some(answer_timeout) => with_timeout(answer_timeout, "reading the log", answer).await,
        None => answer.await,
    }
}

/// Returns the next part of an answer, waiting at most `answer_timeout` if there is one. Most parts have arrived with an
/// earlier one, and need no timer.
async fn next_item<T>(
    answer_timeout: Option<Duration>,
    doing: &'static str,
    answer: &mut (impl TryStream<Ok = T, Error = sqlx::Error> + Unpin),
) -> Result<Option<T>, LogError> {
    if let Some(arrived) = answer.try_next().now_or_never() {
        return arrived.map_err(postgres_error(doing));
    }
    with_optional_timeout(answer_timeout, async { answer.try_next().await.map_err(postgres_error(doing)) }).await
}

/// Takes the events and leaves an empty vector of the same capacity.
fn take_events(events: &mut Vec<RawEnvelope>) -> Vec<RawEnvelope> {
    let capacity = events.len();
    mem::replace(events, Vec::with_capacity(capacity))
}
