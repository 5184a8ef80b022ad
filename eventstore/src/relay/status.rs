//! What the relay is doing.

use serde::Serialize;

use super::OpenAppend;

/// What the relay is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RelayStatus {
    /// Whether this process leads.
    pub leading: bool,
    /// Everything up to here is on Kafka, acknowledged.
    pub position: u64,
    /// The log is complete up to here.
    pub fence: u64,
    /// Events published since this process started leading.
    pub published: u64,
    /// Open appends that have held the relay up for long.
    pub delayed_by: Vec<OpenAppend>,
    /// Why it is not working, if so.
    pub last_error: Option<String>,
}

impl RelayStatus {
    /// Of a relay that begins to lead. An error stays until an event went through, or it would flicker.
    pub(super) fn leading_from(position: u64, before: &Self) -> Self {
        Self { leading: true, position, fence: position, last_error: before.last_error.clone(), ..Self::default() }
    }

    pub(super) fn stand_back(&mut self) {
        self.leading = false;
        self.delayed_by.clear();
    }
}
