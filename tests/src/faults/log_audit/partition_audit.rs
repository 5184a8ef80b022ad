//! Checks the records of one partition, from its beginning.

use super::{AuditFindings, AuditViolation, AuditedRecord, LogEvent};

/// What the records so far require of the next one.
#[derive(Debug, Default)]
pub(super) struct PartitionAudit {
    /// Position and timestamp of each event so far, without repetitions.
    events: Vec<(u64, Option<i64>)>,
    /// The highest watermark of a beacon: no event at or below it may follow.
    watermark: u64,
    /// Whether events carry an ordinal.
    has_ordinals: bool,
}

impl PartitionAudit {
    /// Checks the first occurrence of an event.
    pub(super) fn check_event(&mut self, event: &LogEvent, record: &AuditedRecord, findings: &mut AuditFindings) {
        let (position, last_position) = (event.position, self.last_position());
        if position < last_position {
            findings.violations.push(AuditViolation::Backwards {
                location: record.location(),
                position,
                after: last_position,
            });
        }
        if position <= self.watermark {
            let watermark = self.watermark;
            findings.violations.push(AuditViolation::Beacon {
                location: record.location(),
                reason: format!("event {position} comes after a beacon that says {watermark} is complete"),
            });
        }
        self.events.push((position.max(last_position), record.timestamp_ms));
        let found = record.headers.get("ordinal");
        self.has_ordinals |= found.is_some();
        findings.numbered += usize::from(found.is_some());
        if self.has_ordinals && record.numeric_header("ordinal") != Some(self.event_count()) {
            findings.violations.push(AuditViolation::Ordinal {
                location: record.location(),
                found: found.cloned(),
                expected: self.event_count(),
            });
        }
    }

    /// Checks a beacon. `is_disturbed` says whether a disturbance explains a repetition at a time.
    pub(super) fn check_beacon(
        &mut self,
        record: &AuditedRecord,
        is_disturbed: impl Fn(Option<i64>) -> bool,
        findings: &mut AuditFindings,
    ) {
        let mut reasons = vec![];
        match record.numeric_header("watermark") {
            Some(watermark) => self.watermark = self.watermark.max(watermark),
            None => reasons.push("a record without event-type and without a watermark".to_owned()),
        }
        if let Some(key) = &record.key {
            reasons.push(format!("a beacon has the key {key:?}"));
        }
        let (ordinal, position) = (record.numeric_header("ordinal"), record.numeric_header("position"));
        if ordinal.is_some_and(|ordinal| self.is_late(ordinal, position, record.timestamp_ms, is_disturbed)) {
            findings.late_beacons += 1;
        } else {
            if let Some(ordinal) = ordinal.filter(|ordinal| *ordinal != self.event_count()) {
                reasons.push(format!("a beacon counts {ordinal} events, but {} precede it", self.event_count()));
            }
            if let Some(position) = position.filter(|position| *position != self.last_position()) {
                reasons.push(format!(
                    "a beacon names {position} as the last position, but it is {}",
                    self.last_position()
                ));
            }
        }
        let violation = |reason| AuditViolation::Beacon { location: record.location(), reason };
        findings.violations.extend(reasons.into_iter().map(violation));
    }

    /// Whether a beacon is a former leader's, sent after events of the next leader: it states what was true before them, and
    /// the younger of the beacon and the first event that it does not count is from a disturbance, as with a duplicate.
    fn is_late(
        &self,
        ordinal: u64,
        position: Option<u64>,
        timestamp_ms: Option<i64>,
        is_disturbed: impl Fn(Option<i64>) -> bool,
    ) -> bool {
        let counted = usize::try_from(ordinal).unwrap_or(usize::MAX);
        let Some((_, uncounted_ms)) = self.events.get(counted) else { return false };
        let last_counted = counted.checked_sub(1).and_then(|last| self.events.get(last)).map(|(position, _)| *position);
        position == last_counted && is_disturbed(timestamp_ms.max(*uncounted_ms))
    }

    /// Position of the last event; 0 if there is none.
    fn last_position(&self) -> u64 {
        self.events.last().map_or(0, |(position, _)| *position)
    }

    /// Number of events.
    fn event_count(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }
}
