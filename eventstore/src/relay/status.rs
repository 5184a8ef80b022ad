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
    /// Whether the error is about an event, which is met again as soon as the relay leads.
    #[serde(skip)]
    pub(super) is_event_error: bool,
}

impl RelayStatus {
    /// Of a relay that begins to lead, for which Postgres and Kafka have just answered. An error about an event stays
    /// until one went through, or it would flicker.
    pub(super) fn leading_from(position: u64, before: &Self) -> Self {
        let last_error = before.last_error.clone().filter(|_| before.is_event_error);
        let is_about_an_event = last_error.is_some();
        Self {
            leading: true,
            position,
            fence: position,
            last_error,
            is_event_error: is_about_an_event,
            ..Self::default()
        }
    }

    /// What it does, in a word: `leading`, `standby`, or `retrying` where something keeps it from its work.
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
    fn a_relay_that_leads_again_is_well_unless_an_event_waits_that_cannot_be_published() {
        let failed = |is_about_an_event| {
            let last_error = Some("planted".to_owned());
            RelayStatus { last_error, is_event_error: is_about_an_event, ..RelayStatus::default() }
        };
        assert_eq!(RelayStatus::leading_from(7, &failed(false)).state(), "leading");
        assert_eq!(RelayStatus::leading_from(7, &failed(true)).state(), "retrying");
    }
}
