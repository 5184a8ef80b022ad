//! Compares log, topics and ledger, without I/O: the caller supplies the evidence.

mod append_comparison;
mod partition_audit;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

pub use self::violation::AuditViolation;
use self::{append_comparison::compare_with_ledger, partition_audit::PartitionAudit};
use super::append_ledger::LedgerEntry;

/// One row of the log, read by plain SQL and not by the code under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Its position in the log.
    pub position: u64,
    /// Its identity.
    pub event_id: String,
    /// The tenant.
    pub tenant_id: String,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// The stream.
    pub aggregate_id: String,
    /// Its sequence within the stream.
    pub sequence: u64,
    /// Its type.
    pub event_type: String,
    /// Its schema version.
    pub event_version: String,
    /// The append that wrote it.
    pub correlation_id: String,
    /// Its mark, as in the ledger.
    pub mark: String,
}

/// One record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When it was produced, in milliseconds since 1970; `None` if the broker does not report it.
    pub timestamp_ms: Option<i64>,
    /// Its key, as text.
    pub key: Option<String>,
    /// Its headers, as text.
    pub headers: BTreeMap<String, String>,
}

impl AuditedRecord {
    /// Whether the record is a beacon: it names no event.
    fn is_beacon(&self) -> bool {
        !self.headers.contains_key("event-type")
    }

    fn numeric_header(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.parse().ok()
    }

    fn location(&self) -> String {
        format!("{} partition {} offset {}", self.topic, self.partition, self.offset)
    }
}

/// The period from a fault until the system had recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisturbancePeriod {
    /// The fault.
    pub fault: String,
    /// The start, in milliseconds since 1970.
    pub from_ms: i64,
    /// The end, in milliseconds since 1970.
    pub until_ms: i64,
}

/// The evidence of one run.
#[derive(Debug, Clone, Default)]
pub struct AuditEvidence {
    /// The whole log, in the order of positions.
    pub log: Vec<LogEvent>,
    /// All records of all topics.
    pub records: Vec<AuditedRecord>,
    /// The writers' ledger.
    pub ledger: Vec<LedgerEntry>,
    /// The disturbances of the run.
    pub disturbances: Vec<DisturbancePeriod>,
    /// The log's incarnation; records that name another one are violations.
    pub incarnation: Option<String>,
}

/// The result of an audit.
#[derive(Debug, Clone, Default)]
pub struct AuditFindings {
    /// All violations.
    pub violations: Vec<AuditViolation>,
    /// Repeated records that a disturbance explains.
    pub explained_duplicates: usize,
    /// Number of beacons.
    pub beacons: usize,
    /// Beacons of a former leader behind events of the next one, which a disturbance explains.
    pub late_beacons: usize,
    /// Number of events with an ordinal.
    pub numbered: usize,
}

impl AuditFindings {
    /// How many violations there are of one kind.
    pub fn count_violations(&self, rule: &str) -> usize {
        self.violations.iter().filter(|violation| violation.rule() == rule).count()
    }

    /// How many violations there are of each kind that occurs.
    pub fn count_by_rule(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for violation in &self.violations {
            *counts.entry(violation.rule()).or_insert(0) += 1;
        }
        counts
    }
}

impl AuditEvidence {
    /// Compares the evidence and returns the findings.
    pub fn audit(&self) -> AuditFindings {
        let mut findings = self.audit_topics();
        compare_with_ledger(&self.log, &self.ledger, &mut findings.violations);
        findings
    }

    /// Compares the topics with the log, without a ledger.
    pub fn audit_topics(&self) -> AuditFindings {
        let mut findings = AuditFindings::default();
        let published = self.check_topics(&mut findings);
        let lost = self.log.iter().filter(|event| !published.contains(event.event_id.as_str()));
        findings.violations.extend(lost.map(|event| AuditViolation::Lost {
            position: event.position,
            event_id: event.event_id.clone(),
            aggregate_id: event.aggregate_id.clone(),
        }));
        findings
    }

    /// Checks every partition from its beginning; returns the ids of the events found.
    fn check_topics(&self, findings: &mut AuditFindings) -> HashSet<&str> {
        let by_id: HashMap<_, _> = self.log.iter().map(|event| (event.event_id.as_str(), event)).collect();
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by_key(|record| (&record.topic, record.partition, record.offset));
        let mut partitions = HashMap::<_, PartitionAudit>::new();
        let mut first_seen = HashMap::<&str, &AuditedRecord>::new();
        let mut last_of_aggregate = HashMap::<(&str, &str), u64>::new();
        for record in records {
            let partition = partitions.entry((&record.topic, record.partition)).or_default();
            self.check_incarnation(record, findings);
            if record.is_beacon() {
                findings.beacons += 1;
                partition.check_beacon(record, |at| self.is_disturbed(at), findings);
                continue;
            }
            let id = record.headers.get("event-id").map(String::as_str).unwrap_or_default();
            let Some(&event) = by_id.get(id) else {
                findings
                    .violations
                    .push(AuditViolation::Foreign { location: record.location(), event_id: id.to_owned() });
                continue;
            };
            check_headers(event, record, findings);
            if let Some(first) = first_seen.get(id) {
                self.check_repetition(event, first, record, findings);
                continue;
            }
            first_seen.insert(&event.event_id, record);
            partition.check_event(event, record, findings);
            let last = last_of_aggregate.entry((&event.aggregate_type, &event.aggregate_id)).or_default();
            if event.position < *last {
                findings.violations.push(AuditViolation::Reordered {
                    aggregate_id: event.aggregate_id.clone(),
                    position: event.position,
                    after: *last,
                });
            }
            *last = event.position.max(*last);
        }
        check_partitions_of_keys(first_seen.values().copied(), findings);
        first_seen.into_keys().collect()
    }

    fn check_repetition(
        &self,
        event: &LogEvent,
        first: &AuditedRecord,
        repetition: &AuditedRecord,
        findings: &mut AuditFindings,
    ) {
        if (&first.topic, first.partition) != (&repetition.topic, repetition.partition) {
            findings.violations.push(AuditViolation::Moved {
                aggregate_id: event.aggregate_id.clone(),
                locations: vec![first.location(), repetition.location()],
            });
        }
        if first.headers.get("ordinal") != repetition.headers.get("ordinal") {
            findings.violations.push(AuditViolation::Ordinal {
                location: repetition.location(),
                found: repetition.headers.get("ordinal").cloned(),
                expected: first.numeric_header("ordinal").unwrap_or_default(),
            });
        }
        // The repetition may come from the new leader, or late from the old one: the later timestamp is compared.
        if self.is_disturbed(first.timestamp_ms.max(repetition.timestamp_ms)) {
            findings.explained_duplicates += 1;
        } else {
            let (position, event_id) = (event.position, event.event_id.clone());
            findings.violations.push(AuditViolation::Duplicate { location: repetition.location(), position, event_id });
        }
    }

    /// Whether a time is within a disturbance; an unknown time may be, if there is any.
    fn is_disturbed(&self, at_ms: Option<i64>) -> bool {
        self.disturbances.iter().any(|disturbance| match at_ms {
            Some(at) => (disturbance.from_ms..=disturbance.until_ms).contains(&at),
            None => true,
        })
    }

    fn check_incarnation(&self, record: &AuditedRecord, findings: &mut AuditFindings) {
        if let (Some(log), Some(named)) = (&self.incarnation, record.headers.get("incarnation"))
            && log != named
        {
            findings.violations.push(AuditViolation::Header {
                location: record.location(),
                name: "incarnation",
                log: log.clone(),
                record: Some(named.clone()),
            });
        }
    }
}

/// Checks that key and headers of a record match the event in the log.
fn check_headers(event: &LogEvent, record: &AuditedRecord, findings: &mut AuditFindings) {
    let header = |name: &str| record.headers.get(name).cloned();
    let (position, sequence) = (event.position.to_string(), event.sequence.to_string());
    let compared = [
        ("position", &position, header("position")),
        ("tenant-id", &event.tenant_id, header("tenant-id")),
        ("aggregate-type", &event.aggregate_type, header("aggregate-type")),
        ("sequence", &sequence, header("sequence")),
        ("event-type", &event.event_type, header("event-type")),
        ("schema-version", &event.event_version, header("schema-version")),
        ("correlation-id", &event.correlation_id, Some(header("correlation-id").unwrap_or_default())),
        ("causation-id", &event.mark, Some(header("causation-id").unwrap_or_default())),
        ("key", &event.aggregate_id, record.key.clone()),
    ];
    for (name, log, found) in compared {
        if found.as_ref() != Some(log) {
            findings.violations.push(AuditViolation::Header {
                location: record.location(),
                name,
                log: log.clone(),
                record: found,
            });
        }
    }
}

/// Checks that each key is on one partition: events of a key on two partitions have no order.
fn check_partitions_of_keys<'a>(records: impl Iterator<Item = &'a AuditedRecord>, findings: &mut AuditFindings) {
    let mut records_of_keys = BTreeMap::<_, BTreeMap<_, _>>::new();
    for record in records {
        let partition = (record.topic.as_str(), record.partition);
        records_of_keys.entry(record.key.as_deref().unwrap_or_default()).or_default().insert(partition, record);
    }
    let moved = records_of_keys.into_iter().filter(|(_, partitions)| partitions.len() > 1);
    findings.violations.extend(moved.map(|(key, partitions)| AuditViolation::Moved {
        aggregate_id: key.to_owned(),
        locations: partitions.into_values().map(AuditedRecord::location).collect(),
    }));
}
