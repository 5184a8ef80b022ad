//! Status of a relay.

use serde::Serialize;

use super::OpenAppend;

/// Status of a relay.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RelayStatus {
    /// Whether this process leads.
    pub leading: bool,
    /// Every event up to this position is on Kafka, acknowledged.
    pub position: u64,
    /// The log is complete up to this position.
    pub fence: u64,
    /// Number of events published since this process started to lead.
    pub published: u64,
    /// Open appends that have delayed the relay for longer than the threshold.
    pub delayed_by: Vec<OpenAppend>,
    /// The error that keeps it from publishing, if there is one.
    pub last_error: Option<String>,
    /// Whether an event is the cause of the error, which then recurs as soon as the relay leads.
    #[serde(skip)]
    pub(super) is_event_error: bool,
}

impl RelayStatus {
    /// The status of a relay that starts to lead, after Postgres and Kafka have answered. The error of an event
    /// remains until a batch is acknowledged, so that it does not disappear and return with each attempt.
    pub(super) fn leading_from(position: u64, before: &Self) -> Self {
        let last_error = before.last_error.clone().filter(|_| before.is_event_error);
        let is_event_error = last_error.is_some();
        Self { leading: true, position, fence: position, last_error, is_event_error, ..Self::default() }
    }

    /// The state in one word: `leading`, `standby`, or `retrying` after an error.
    pub fn state(&self) -> &'static str {
        match (&self.last_error, self.leading) {
            (Some(_), _) => "retrying",
            (None, true) => "leading",
            (None, false) => "standby",
        }
    }

    pub(super) fn step_down(&mut self) {
        self.leading = false;
        self.delayed_by.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_leads_again_shows_only_the_error_of_an_event() {
        let failed = |is_event_error| {
            let last_error = Some("an error".to_owned());
            RelayStatus { last_error, is_event_error, ..RelayStatus::default() }
        };
        assert_eq!(RelayStatus::leading_from(7, &failed(false)).state(), "leading");
        assert_eq!(RelayStatus::leading_from(7, &failed(true)).state(), "retrying");
    }
}
