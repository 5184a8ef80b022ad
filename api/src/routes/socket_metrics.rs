//! Number and durations of WebSockets.

use std::time::Instant;

use metrics::{gauge, histogram};

/// An open WebSocket, until this is dropped.
pub(super) struct OpenSocket {
    protocol: &'static str,
    outcome: &'static str,
    opened: Instant,
}

impl OpenSocket {
    /// Counts a WebSocket of this protocol.
    pub(super) fn open(protocol: &'static str) -> Self {
        gauge!("medhub_websockets", "protocol" => protocol).increment(1.0);
        Self { protocol, outcome: "client", opened: Instant::now() }
    }

    /// Marks it as closed by this process.
    pub(super) fn mark_closed_by_server(&mut self) {
        self.outcome = "server";
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        gauge!("medhub_websockets", "protocol" => self.protocol).decrement(1.0);
        histogram!("medhub_websocket_duration_seconds", "protocol" => self.protocol, "outcome" => self.outcome)
            .record(self.opened.elapsed());
    }
}
