//! An audit that cannot fail is worthless: every rule finds the violation planted for it.

use super::*;
use crate::faults::append_ledger::AppendOutcome;

/// Aggregates `a` and `c` on partition 0, `b` on partition 1; a dead gap at 3.
fn sound() -> AuditEvidence {
    let log = [(1, "a", 1), (2, "b", 1), (4, "a", 2), (5, "c", 1), (6, "b", 2)].map(event).to_vec();
    let mut topics: Vec<_> = [(0, 1), (0, 4), (0, 5), (1, 2), (1, 6)]
        .into_iter()
        .enumerate()
        .map(|(offset, (partition, position))| record(&log, partition, offset, position))
        .collect();
    topics.push(beacon(0, 90, 6));
    topics.push(beacon(1, 91, 6));
    let ledger = log.iter().map(|event| append(AppendOutcome::Committed, &[&event.mark], &[])).collect();
    AuditEvidence { log, records: topics, ledger, ..AuditEvidence::default() }
}

fn event((position, aggregate, sequence): (u64, &str, u64)) -> LogEvent {
    LogEvent {
        position,
        event_id: format!("id-{position}"),
        tenant_id: "public".to_owned(),
        aggregate_type: "opportunity".to_owned(),
        aggregate_id: aggregate.to_owned(),
        sequence,
        event_type: "opportunity.amended".to_owned(),
        event_version: "1.0".to_owned(),
        correlation_id: format!("append-{position}"),
        mark: format!("mark-{position}"),
    }
}

fn record(log: &[LogEvent], partition: i32, offset: usize, position: u64) -> AuditedRecord {
    let event = log.iter().find(|event| event.position == position).unwrap();
    let headers = [
        ("position", event.position.to_string()),
        ("event-id", event.event_id.clone()),
        ("tenant-id", event.tenant_id.clone()),
        ("aggregate-type", event.aggregate_type.clone()),
        ("sequence", event.sequence.to_string()),
        ("event-type", event.event_type.clone()),
        ("schema-version", event.event_version.clone()),
        ("correlation-id", event.correlation_id.clone()),
        ("causation-id", event.mark.clone()),
    ];
    AuditedRecord {
        topic: "t".to_owned(),
        partition,
        offset: i64::try_from(offset).unwrap(),
        timestamp_ms: Some(1_000),
        key: Some(event.aggregate_id.clone()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

fn beacon(partition: i32, offset: i64, watermark: u64) -> AuditedRecord {
    AuditedRecord {
        topic: "t".to_owned(),
        partition,
        offset,
        timestamp_ms: Some(1_000),
        key: None,
        headers: [("watermark".to_owned(), watermark.to_string())].into(),
    }
}

fn append(outcome: AppendOutcome, kept: &[&str], undone: &[&str]) -> LedgerEntry {
    let owned = |marks: &[&str]| marks.iter().map(|&mark| mark.to_owned()).collect();
    LedgerEntry { id: "w".to_owned(), way: "planted", outcome, kept_marks: owned(kept), undone_marks: owned(undone) }
}

fn with_ordinals(mut evidence: AuditEvidence) -> AuditEvidence {
    let mut numbers = HashMap::new();
    for record in evidence.records.iter_mut().filter(|record| !record.is_beacon()) {
        let number = numbers.entry(record.partition).or_insert(0);
        *number += 1;
        record.headers.insert("ordinal".to_owned(), number.to_string());
    }
    evidence
}

/// The rules that a planted change breaks, with how often.
fn broken(evidence: AuditEvidence, plant: impl FnOnce(&mut AuditEvidence)) -> Vec<(&'static str, usize)> {
    let mut evidence = evidence;
    plant(&mut evidence);
    evidence.audit().by_rule().into_iter().collect()
}

#[test]
fn sound_evidence_has_no_violations() {
    let findings = with_ordinals(sound()).audit();
    assert_eq!(findings.violations, []);
    assert_eq!((findings.beacons, findings.numbered, findings.explained_duplicates), (2, 5, 0));
}

#[test]
fn a_lost_event_is_found() {
    assert_eq!(broken(sound(), |evidence| drop(evidence.records.remove(4))), [("lost", 1)]);
}

#[test]
fn a_record_whose_event_is_not_in_the_log_is_found() {
    let plant = |evidence: &mut AuditEvidence| {
        evidence.log.remove(4);
        evidence.ledger.remove(4);
    };
    assert_eq!(broken(sound(), plant), [("foreign", 1)]);
}

#[test]
fn events_out_of_order_within_an_aggregate_are_found() {
    let swap = |evidence: &mut AuditEvidence| {
        evidence.records[0].offset = 1;
        evidence.records[1].offset = 0;
    };
    assert_eq!(broken(sound(), swap), [("backwards", 1), ("reordered", 1)]);
}

#[test]
fn positions_that_fall_on_a_partition_are_found_also_across_aggregates() {
    let swap = |evidence: &mut AuditEvidence| {
        evidence.records[1].offset = 2;
        evidence.records[2].offset = 1;
    };
    assert_eq!(broken(sound(), swap), [("backwards", 1)]);
}

#[test]
fn a_duplicate_is_a_violation_unless_a_disturbance_explains_it() {
    let repeat = |evidence: &mut AuditEvidence| {
        let again = AuditedRecord { offset: 80, timestamp_ms: Some(5_000), ..evidence.records[1].clone() };
        evidence.records.push(again);
    };
    let disturbed = |from_ms, until_ms| AuditEvidence {
        disturbances: vec![DisturbancePeriod { what: "kill -9 of the leader".to_owned(), from_ms, until_ms }],
        ..sound()
    };
    assert_eq!(broken(sound(), repeat), [("duplicate", 1)]);
    assert_eq!(broken(disturbed(1_000, 4_000), repeat), [("duplicate", 1)]);
    assert_eq!(broken(disturbed(4_000, 6_000), repeat), []);
}

#[test]
fn a_key_on_two_partitions_is_found() {
    let mv = |evidence: &mut AuditEvidence| evidence.records[1].partition = 2;
    assert_eq!(broken(sound(), mv), [("moved", 1)]);
    let copy = |evidence: &mut AuditEvidence| {
        let copy = AuditedRecord { partition: 2, offset: 80, ..evidence.records[1].clone() };
        evidence.records.push(copy);
    };
    assert_eq!(broken(sound(), copy), [("duplicate", 1), ("moved", 1)]);
}

#[test]
fn every_header_that_differs_from_the_log_is_found() {
    for name in ["position", "tenant-id", "aggregate-type", "sequence", "event-type", "schema-version", "causation-id"]
    {
        let change = |evidence: &mut AuditEvidence| drop(evidence.records[3].headers.insert(name.into(), "9".into()));
        assert_eq!(broken(sound(), change), [("header", 1)], "{name}");
    }
    let foreign_log = |evidence: &mut AuditEvidence| {
        evidence.incarnation = Some("this".to_owned());
        evidence.records[5].headers.insert("incarnation".to_owned(), "that".to_owned());
    };
    assert_eq!(broken(sound(), foreign_log), [("header", 1)]);
}

#[test]
fn a_beacon_that_promised_too_much_is_found() {
    let lie = |evidence: &mut AuditEvidence| evidence.records[6] = AuditedRecord { offset: 3, ..beacon(1, 0, 6) };
    assert_eq!(broken(sound(), lie), [("beacon", 1)], "position 6 stands at offset 4");
    let truth = |evidence: &mut AuditEvidence| {
        evidence.records[4].offset = 5;
        evidence.records[6] = AuditedRecord { offset: 4, ..beacon(1, 0, 5) };
    };
    assert_eq!(broken(sound(), truth), []);
}

#[test]
fn a_malformed_beacon_is_found() {
    let without = |evidence: &mut AuditEvidence| drop(evidence.records[5].headers.remove("watermark"));
    assert_eq!(broken(sound(), without), [("beacon", 1)]);
    let keyed = |evidence: &mut AuditEvidence| evidence.records[5].key = Some("a".to_owned());
    assert_eq!(broken(sound(), keyed), [("beacon", 1)]);
    let miscounting = |evidence: &mut AuditEvidence| {
        evidence.records[5].headers.insert("ordinal".to_owned(), "4".to_owned());
        evidence.records[5].headers.insert("position".to_owned(), "4".to_owned());
    };
    assert_eq!(broken(sound(), miscounting), [("beacon", 2)]);
}

#[test]
fn numbers_with_a_gap_are_found() {
    let skip = |evidence: &mut AuditEvidence| drop(evidence.records[2].headers.insert("ordinal".into(), "4".into()));
    assert_eq!(broken(with_ordinals(sound()), skip), [("ordinal", 1)]);
    let forget = |evidence: &mut AuditEvidence| drop(evidence.records[2].headers.remove("ordinal"));
    assert_eq!(broken(with_ordinals(sound()), forget), [("ordinal", 1)]);
}

#[test]
fn an_acknowledged_append_that_is_not_in_the_log_is_found() {
    let plant =
        |evidence: &mut AuditEvidence| evidence.ledger.push(append(AppendOutcome::Committed, &["mark-1", "gone"], &[]));
    assert_eq!(broken(sound(), plant), [("unrecorded", 1)]);
}

#[test]
fn a_rolled_back_append_that_is_in_the_log_is_found() {
    let whole = |evidence: &mut AuditEvidence| evidence.ledger[1].outcome = AppendOutcome::RolledBack;
    assert_eq!(broken(sound(), whole), [("undead", 1)]);
    let savepoint =
        |evidence: &mut AuditEvidence| evidence.ledger[0] = append(AppendOutcome::Committed, &[], &["mark-1"]);
    assert_eq!(broken(sound(), savepoint), [("undead", 1)]);
}

#[test]
fn an_append_with_an_unknown_end_may_be_there_or_not_but_not_in_part() {
    let with = |kept: &'static [&'static str]| {
        move |evidence: &mut AuditEvidence| evidence.ledger.push(append(AppendOutcome::Unknown, kept, &[]))
    };
    assert_eq!(broken(sound(), with(&["mark-1", "mark-2"])), []);
    assert_eq!(broken(sound(), with(&["gone", "gone too"])), []);
    assert_eq!(broken(sound(), with(&["mark-1", "gone"])), [("torn", 1)]);
}

#[test]
fn an_event_nobody_wrote_or_that_is_there_twice_is_found() {
    let stranger = |evidence: &mut AuditEvidence| drop(evidence.ledger.remove(0));
    assert_eq!(broken(sound(), stranger), [("unaccounted", 1)]);
    let twice = |evidence: &mut AuditEvidence| {
        evidence.log[1].mark = "mark-1".to_owned();
        evidence.records[3].headers.insert("causation-id".to_owned(), "mark-1".to_owned());
        evidence.ledger.remove(1);
    };
    assert_eq!(broken(sound(), twice), [("doubled", 1)]);
}
