//! Settings of ingest.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__INGEST__BUFFER_EVENTS` | `50000` | buffered events; an event larger than 1 KiB counts as several; more are refused with 429 |
//! | `MEDHUB__INGEST__ASYNC_EVENTS` | `10000` | buffered events, counted likewise, up to which `Prefer: respond-async` is answered 202; fewer if the log is slow |
//! | `MEDHUB__INGEST__DRAIN_TIMEOUT_MS` | `20000` | timeout for writing buffered events at shutdown; a supervisor must wait longer before it kills the process (`medhub-local` waits 30 s) |
//! | `MEDHUB__INGEST__BATCH_EVENTS` | `5000` | events in one append, counted likewise; fewer if the log is slow |
//! | `MEDHUB__INGEST__REQUEST_EVENTS` | `5000` | events in one request; its body may have 5 KiB for each |
//! | `MEDHUB__INGEST__LANES` | `2` | concurrent appends, 1 to 16 |
//! | `MEDHUB__INGEST__VISIT_EVENTS` | `10000` | events of one visit; further ones are refused in the field `sessionId` |
//! | `MEDHUB__INGEST__PAST_DAYS` | `365` | how long ago an event may have happened; older ones are refused in the field `at` |

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The drain timeout is divided by this to get the time within which all buffered events must be writable for 202 to be
/// answered. The rest is a reserve for a log that becomes slower and for events of other requests.
const EARLY_ACKNOWLEDGEMENT_DIVISOR: u32 = 4;

/// Settings of ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Maximum number of buffered events.
    pub buffer_events: usize,
    /// Number of buffered events up to which `Prefer: respond-async` is answered 202.
    pub async_events: usize,
    /// Timeout for writing buffered events at shutdown, in milliseconds.
    pub drain_timeout_ms: u64,
    /// Maximum number of events in one append; large ones count several times.
    pub batch_events: usize,
    /// Maximum number of events in one request.
    pub request_events: usize,
    /// Concurrent appends, 1 to 16; each uses a connection.
    pub lanes: usize,
    /// Maximum number of events of one visit.
    pub visit_events: u64,
    /// Maximum age of an event, in days.
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
    /// Timeout for writing buffered events at shutdown.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    /// The part of [`Self::drain_timeout`] within which buffered events must be writable for 202 to be answered.
    pub(super) fn early_acknowledgement_time(&self) -> Duration {
        self.drain_timeout() / EARLY_ACKNOWLEDGEMENT_DIVISOR
    }
}
