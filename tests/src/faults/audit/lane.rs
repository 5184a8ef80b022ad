//! One partition, walked from its beginning.

use super::{Findings, LogEvent, TopicRecord, Violation};

/// What the records so far promise for the ones to come.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Position of the last event, repetitions left out.
    last: u64,
    /// How many events there were, repetitions left out.
    events: u64,
    /// Everything up to here is said to be before.
    watermark: u64,
    /// Whether events carry their number.
    numbered: bool,
}

impl Lane {
    /// Takes the first occurrence of an event.
    pub(super) fn event(&mut self, event: &LogEvent, record: &TopicRecord, findings: &mut Findings) {
        let position = event.position;
        if position < self.last {
            findings.violations.push(Violation::Backwards { place: record.place(), position, after: self.last });
        }
        if position <= self.watermark {
            let watermark = self.watermark;
            findings.violations.push(Violation::Beacon {
                place: record.place(),
                reason: format!("event {position} comes after a beacon that says {watermark} is complete"),
            });
        }
        self.last = position.max(self.last);
        self.events += 1;
        let found = record.headers.get("ordinal");
        self.numbered |= found.is_some();
        findings.numbered += usize::from(found.is_some());
        if self.numbered && record.number("ordinal") != Some(self.events) {
            findings.violations.push(Violation::Ordinal {
                place: record.place(),
                found: found.cloned(),
                expected: self.events,
            });
        }
    }

    /// Takes a record that says how far the relay is.
    pub(super) fn beacon(&mut self, record: &TopicRecord, findings: &mut Findings) {
        let mut wrong = |reason: String| findings.violations.push(Violation::Beacon { place: record.place(), reason });
        match record.number("watermark") {
            Some(watermark) => self.watermark = self.watermark.max(watermark),
            None => wrong("a record without event-type and without a watermark".to_owned()),
        }
        if let Some(key) = &record.key {
            wrong(format!("a beacon has the key {key:?}"));
        }
        if let Some(ordinal) = record.number("ordinal").filter(|ordinal| *ordinal != self.events) {
            wrong(format!("a beacon counts {ordinal} events, {} are before it", self.events));
        }
        if let Some(position) = record.number("position").filter(|position| *position != self.last) {
            wrong(format!("a beacon says that position {position} was the last, it was {}", self.last));
        }
    }
}
