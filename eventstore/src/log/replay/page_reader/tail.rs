//! Follows the end of the log: waits until something is appended, and reads it with the fence in one round trip.

use std::{
    mem,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, Row, ValueRef, postgres::PgRow};
use tokio::{sync::mpsc::Sender, time::sleep};

use super::{PageReader, ReceiverState, next_item, take_events};
use crate::{
    error::{LogError, postgres_error},
    log::{
        append_wakeups::AppendWakeups,
        copy_decoder::CopyRow,
        event_row::{self, COLUMN_COUNT},
        replay::{EventBatch, FollowOptions},
    },
};

/// Columns of `log_read_tail` before the event's columns.
const TAIL_COLUMNS: usize = 2;

/// Appends are asked to wake the reader once there were none for this long.
const QUIET_AFTER: Duration = Duration::from_millis(100);

/// Appends that follow one another within this time are many: the reader polls, and they need not wake it.
const BUSY_WITHIN: Duration = Duration::from_millis(20);

/// What a reader of the whole log knows about its end.
pub(super) struct TailState {
    /// `None` if appends do not wake this reader.
    wakeups: Option<AppendWakeups>,
    /// Pause before the next read; zero before the first one.
    pause: Duration,
    /// When a read last found events.
    found_at: Instant,
    /// The highest position that was assigned when the log was last read.
    log_end: u64,
}

impl TailState {
    pub(super) fn new(wakeups: Option<AppendWakeups>) -> Self {
        Self { wakeups, pause: Duration::ZERO, found_at: Instant::now(), log_end: 0 }
    }

    /// Lets appends stop to notify: the reader does not wait for them next.
    pub(super) fn release_wakeups(&self) {
        if let Some(wakeups) = &self.wakeups {
            wakeups.release();
        }
    }

    /// The same if the next send has to wait until the receiver takes a batch, which may be long.
    fn release_wakeups_if_full(&self, sender: &Sender<EventBatch>) {
        if sender.capacity() == 0 {
            self.release_wakeups();
        }
    }
}

impl PageReader {
    /// Waits for events after the current position, and sends the events of one read: at most one batch.
    pub(super) async fn follow_tail(&mut self, follow: FollowOptions) -> Result<ReceiverState, LogError> {
        let waiting = wait_for_appends(&mut self.tail, self.position, follow.poll_idle);
        tokio::select! {
            () = waiting => {}
            () = self.sender.closed() => return Ok(ReceiverState::Gone),
        }
        self.caught_up = false;
        let before = self.position;
        let (count, receiver) = self.send_tail().await?;
        if count > 0 {
            let is_busy = mem::replace(&mut self.tail.found_at, Instant::now()).elapsed() < BUSY_WITHIN;
            if is_busy {
                self.tail.release_wakeups();
            }
        }
        // The pause collects what is appended meanwhile, so that a busy log is not read once for each event.
        self.tail.pause = if self.position > before {
            follow.poll_min
        } else {
            (self.tail.pause * 2).clamp(follow.poll_min, follow.poll_max)
        };
        Ok(receiver)
    }

    /// Reads the fence and the first events after the current position. Returns their number.
    async fn send_tail(&mut self) -> Result<(usize, ReceiverState), LogError> {
        let reading = "reading the end of the log";
        let (answer_timeout, limit) = (self.options.answer_timeout, self.options.batch_events.max(1));
        let mut rows = sqlx::query("select * from log_read_tail($1, $2)")
            .bind(i64::try_from(self.position).unwrap_or(i64::MAX))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch(&mut self.connection);
        let (mut events, mut bytes, mut count) = (Vec::new(), 0, 0);
        while let Some(row) = next_item(answer_timeout, reading, &mut rows).await? {
            let number = |column: usize| row.try_get::<Option<i64>, _>(column).map_err(postgres_error(reading));
            self.fence = number(0)?.unwrap_or_default().unsigned_abs();
            self.tail.log_end = number(1)?.unwrap_or_default().unsigned_abs();
            if number(TAIL_COLUMNS)?.is_none() {
                break;
            }
            let (values, size) = event_values(&row)?;
            let event = match event_row::decode_event_row(&values) {
                Ok(event) => event,
                Err(error) => {
                    // The events before it are sent first.
                    let preceding = EventBatch { events, watermark: self.position, fence: self.fence };
                    self.tail.release_wakeups_if_full(&self.sender);
                    return if self.sender.send(preceding).await.is_ok() {
                        Err(error)
                    } else {
                        Ok((count, ReceiverState::Gone))
                    };
                }
            };
            self.position = event.position;
            events.push(event);
            (bytes, count) = (bytes + size, count + 1);
            if bytes >= self.options.batch_bytes {
                bytes = 0;
                let batch =
                    EventBatch { events: take_events(&mut events), watermark: self.position, fence: self.fence };
                self.tail.release_wakeups_if_full(&self.sender);
                if self.sender.send(batch).await.is_err() {
                    return Ok((count, ReceiverState::Gone));
                }
            }
        }
        drop(rows);
        let before = self.position;
        if count < limit {
            // All of them: positions up to the fence without an event were rolled back.
            self.position = self.position.max(self.fence);
        }
        if events.is_empty() && self.position == before {
            return Ok((count, ReceiverState::Receiving));
        }
        let batch = EventBatch { events, watermark: self.position, fence: self.fence };
        self.tail.release_wakeups_if_full(&self.sender);
        let sent = self.sender.send(batch).await;
        Ok((count, if sent.is_ok() { ReceiverState::Receiving } else { ReceiverState::Gone }))
    }
}

/// Waits before the next read of the log after `position`.
async fn wait_for_appends(tail: &mut TailState, position: u64, poll_idle: Duration) {
    // An open append that is rolled back wakes no reader, although events after it become readable.
    let is_complete = tail.log_end <= position;
    let Some(wakeups) = tail.wakeups.as_mut().filter(|_| !tail.pause.is_zero()) else {
        return sleep(tail.pause).await;
    };
    if !is_complete {
        wakeups.release();
    } else if tail.found_at.elapsed() >= QUIET_AFTER {
        wakeups.request();
    }
    let pause = if wakeups.is_active() { poll_idle } else { tail.pause };
    tokio::select! {
        () = wakeups.wait() => {}
        () = sleep(pause) => {}
    }
}

/// Whether each query of `log_read_tail` has its own snapshot. At the other levels its rows would be older than its
/// fence, and events would be missed.
pub(super) async fn is_read_committed(connection: &mut PgConnection) -> Result<bool, LogError> {
    let level: String = sqlx::query_scalar("select current_setting('transaction_isolation')")
        .fetch_one(connection)
        .await
        .map_err(postgres_error("reading the isolation level"))?;
    let is_read_committed = ["read committed", "read uncommitted"].contains(&level.as_str());
    if !is_read_committed {
        tracing::info!(level, "transactions are not `read committed` by default: the log is polled for new events");
    }
    Ok(is_read_committed)
}

/// The values of an event's columns in the binary format, and their size in bytes.
fn event_values(row: &PgRow) -> Result<(CopyRow<'_, COLUMN_COUNT>, usize), LogError> {
    let (mut values, mut size) = ([None; COLUMN_COUNT], 0);
    for (index, value) in values.iter_mut().enumerate() {
        let raw = row.try_get_raw(TAIL_COLUMNS + index).map_err(postgres_error("reading an event's columns"))?;
        if !raw.is_null() {
            let decoded = raw.as_bytes().map_err(sqlx::Error::Decode);
            let bytes = decoded.map_err(postgres_error("reading an event's columns"))?;
            size += bytes.len();
            *value = Some(bytes);
        }
    }
    Ok((values, size))
}
