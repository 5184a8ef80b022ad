//! One partition, walked from its beginning.

use super::{AuditFindings, AuditViolation, AuditedRecord, LogEvent};

/// What the records so far promise for the ones to come.
#[derive(Debug, Default)]
pub(super) struct PartitionAudit {
    /// Position of the last event, repetitions left out.
    last_position: u64,
    /// How many events there were, repetitions left out.
    event_count: u64,
    /// Everything up to here is said to be before.
    watermark: u64,
    /// Whether events carry their number.
    numbered: bool,
}

impl PartitionAudit {
    /// Takes the first occurrence of an event.
    pub(super) fn event(&mut self, event: &LogEvent, record: &AuditedRecord, findings: &mut AuditFindings) {
        let position = event.position;
        if position < self.last_position {
            findings.violations.push(AuditViolation::Backwards {
                place: record.place(),
                position,
                after: self.last_position,
            });
        }
        if position <= self.watermark {
            let watermark = self.watermark;
            findings.violations.push(AuditViolation::Beacon {
                place: record.place(),
                reason: format!("event {position} comes after a beacon that says {watermark} is complete"),
            });
        }
        self.last_position = position.max(self.last_position);
        self.event_count += 1;
        let found = record.headers.get("ordinal");
        self.numbered |= found.is_some();
        findings.numbered += usize::from(found.is_some());
        if self.numbered && record.number("ordinal") != Some(self.event_count) {
            findings.violations.push(AuditViolation::Ordinal {
                place: record.place(),
                found: found.cloned(),
                expected: self.event_count,
            });
        }
    }

    /// Takes a record that says how far the relay is.
    pub(super) fn beacon(&mut self, record: &AuditedRecord, findings: &mut AuditFindings) {
        let mut wrong =
            |reason: String| findings.violations.push(AuditViolation::Beacon { place: record.place(), reason });
        match record.number("watermark") {
            Some(watermark) => self.watermark = self.watermark.max(watermark),
            None => wrong("a record without event-type and without a watermark".to_owned()),
        }
        if let Some(key) = &record.key {
            wrong(format!("a beacon has the key {key:?}"));
        }
        if let Some(ordinal) = record.number("ordinal").filter(|ordinal| *ordinal != self.event_count) {
            wrong(format!("a beacon counts {ordinal} events, {} are before it", self.event_count));
        }
        if let Some(position) = record.number("position").filter(|position| *position != self.last_position) {
            wrong(format!("a beacon says that position {position} was the last, it was {}", self.last_position));
        }
    }
}
