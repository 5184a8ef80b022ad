//! Settings of ingest.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__INGEST__BUFFER_EVENTS` | `50000` | events that wait in memory, one that is larger than 1 KiB counts for several; more are refused with 429 |
//! | `MEDHUB__INGEST__ASYNC_EVENTS` | `10000` | events that wait in memory, counted likewise, up to which `Prefer: respond-async` is answered 202; fewer where the log is slow |
//! | `MEDHUB__INGEST__DRAIN_TIMEOUT_MS` | `20000` | for writing what waits when told to stop; whoever ends the process by force has to wait for longer (`medhub-local` waits 30 s) |
//! | `MEDHUB__INGEST__BATCH_EVENTS` | `5000` | events in one append, counted likewise; fewer where the log is slow |
//! | `MEDHUB__INGEST__REQUEST_EVENTS` | `5000` | events in one request; its body may have 5 KiB for each |
//! | `MEDHUB__INGEST__LANES` | `2` | appends that are under way together, 1 to 16 |
//! | `MEDHUB__INGEST__VISIT_EVENTS` | `10000` | events of one visit; further ones are refused in the field `sessionId` |
//! | `MEDHUB__INGEST__PAST_DAYS` | `365` | how long ago an event may have happened; older ones are refused in the field `at` |

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The part of the time for a stop within which all that waits has to be writable when 202 is answered. The rest is for a
/// log that has become slower, and for events that wait beside those.
const PROMISE_DIVISOR: u32 = 4;

/// Settings of ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Events that wait in memory.
    pub buffer_events: usize,
    /// Events that wait in memory, up to which a client that does not want to wait is answered 202.
    pub async_events: usize,
    /// How long writing what waits may take when told to stop, in milliseconds.
    pub drain_timeout_ms: u64,
    /// Events in one append, large ones counted several times.
    pub batch_events: usize,
    /// Events in one request.
    pub request_events: usize,
    /// Appends that are under way together, 1 to 16: each takes a connection.
    pub lanes: usize,
    /// Events of one visit.
    pub visit_events: u64,
    /// How many days ago an event may have happened.
    pub past_days: u16,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            buffer_events: 50_000,
            async_events: 10_000,
            drain_timeout_ms: 20_000,
            batch_events: 5_000,
            request_events: 5_000,
            lanes: 2,
            visit_events: 10_000,
            past_days: 365,
        }
    }
}

impl IngestConfig {
    /// How long writing what waits may take when told to stop.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    /// The part of [`Self::drain_timeout`] within which what waits has to be writable.
    pub(super) fn promise_time(&self) -> Duration {
        self.drain_timeout() / PROMISE_DIVISOR
    }
}
