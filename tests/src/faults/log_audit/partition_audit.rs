//! Checks the records of one partition, from its beginning.

use super::{AuditFindings, AuditViolation, AuditedRecord, LogEvent};

/// What the records so far require of the next one.
#[derive(Debug, Default)]
pub(super) struct PartitionAudit {
    /// Position of the last event, without repetitions.
    last_position: u64,
    /// Number of events so far, without repetitions.
    event_count: u64,
    /// The highest watermark of a beacon: no event at or below it may follow.
    watermark: u64,
    /// Whether events carry an ordinal.
    has_ordinals: bool,
}

impl PartitionAudit {
    /// Checks the first occurrence of an event.
    pub(super) fn check_event(&mut self, event: &LogEvent, record: &AuditedRecord, findings: &mut AuditFindings) {
        let position = event.position;
        if position < self.last_position {
            findings.violations.push(AuditViolation::Backwards {
                location: record.location(),
                position,
                after: self.last_position,
            });
        }
        if position <= self.watermark {
            let watermark = self.watermark;
            findings.violations.push(AuditViolation::Beacon {
                location: record.location(),
                reason: format!("event {position} comes after a beacon that says {watermark} is complete"),
            });
        }
        self.last_position = position.max(self.last_position);
        self.event_count += 1;
        let found = record.headers.get("ordinal");
        self.has_ordinals |= found.is_some();
        findings.numbered += usize::from(found.is_some());
        if self.has_ordinals && record.numeric_header("ordinal") != Some(self.event_count) {
            findings.violations.push(AuditViolation::Ordinal {
                location: record.location(),
                found: found.cloned(),
                expected: self.event_count,
            });
        }
    }

    /// Checks a beacon.
    pub(super) fn check_beacon(&mut self, record: &AuditedRecord, findings: &mut AuditFindings) {
        let mut report =
            |reason: String| findings.violations.push(AuditViolation::Beacon { location: record.location(), reason });
        match record.numeric_header("watermark") {
            Some(watermark) => self.watermark = self.watermark.max(watermark),
            None => report("a record without event-type and without a watermark".to_owned()),
        }
        if let Some(key) = &record.key {
            report(format!("a beacon has the key {key:?}"));
        }
        if let Some(ordinal) = record.numeric_header("ordinal").filter(|ordinal| *ordinal != self.event_count) {
            report(format!("a beacon counts {ordinal} events, but {} precede it", self.event_count));
        }
        if let Some(position) = record.numeric_header("position").filter(|position| *position != self.last_position) {
            report(format!("a beacon names {position} as the last position, but it is {}", self.last_position));
        }
    }
}
