//! Plants a violation of every rule, and checks that the audit finds it: an audit that cannot fail proves nothing.

use super::*;
use crate::faults::append_ledger::AppendOutcome;

/// Aggregates `a` and `c` on partition 0, `b` on partition 1; position 3 is a gap.
fn valid_evidence() -> AuditEvidence {
    let log = [(1, "a", 1), (2, "b", 1), (4, "a", 2), (5, "c", 1), (6, "b", 2)].map(create_event).to_vec();
    let mut topics: Vec<_> = [(0, 1), (0, 4), (0, 5), (1, 2), (1, 6)]
        .into_iter()
        .enumerate()
        .map(|(offset, (partition, position))| create_record(&log, partition, offset, position))
        .collect();
    topics.push(create_beacon(0, 90, 6));
    topics.push(create_beacon(1, 91, 6));
    let ledger = log.iter().map(|event| create_ledger_entry(AppendOutcome::Committed, &[&event.mark], &[])).collect();
    AuditEvidence { log, records: topics, ledger, ..AuditEvidence::default() }
}

fn create_event((position, aggregate, sequence): (u64, &str, u64)) -> LogEvent {
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

fn create_record(log: &[LogEvent], partition: i32, offset: usize, position: u64) -> AuditedRecord {
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

fn create_beacon(partition: i32, offset: i64, watermark: u64) -> AuditedRecord {
    AuditedRecord {
        topic: "t".to_owned(),
        partition,
        offset,
        timestamp_ms: Some(1_000),
        key: None,
        headers: [("watermark".to_owned(), watermark.to_string())].into(),
    }
}

fn create_ledger_entry(outcome: AppendOutcome, kept: &[&str], undone: &[&str]) -> LedgerEntry {
    let owned = |marks: &[&str]| marks.iter().map(|&mark| mark.to_owned()).collect();
    LedgerEntry {
        id: "w".to_owned(),
        method: "planted",
        outcome,
        event_marks: owned(kept),
        rolled_back_marks: owned(undone),
    }
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

/// Applies a change to the evidence, and returns the rules that the audit then finds violated, with their counts.
fn violated_rules(evidence: AuditEvidence, change: impl FnOnce(&mut AuditEvidence)) -> Vec<(&'static str, usize)> {
    let mut evidence = evidence;
    change(&mut evidence);
    evidence.audit().count_by_rule().into_iter().collect()
}

#[test]
fn valid_evidence_has_no_violations() {
    let findings = with_ordinals(valid_evidence()).audit();
    assert_eq!(findings.violations, []);
    assert_eq!((findings.beacons, findings.numbered, findings.explained_duplicates), (2, 5, 0));
}

#[test]
fn a_lost_event_is_found() {
    assert_eq!(violated_rules(valid_evidence(), |evidence| drop(evidence.records.remove(4))), [("lost", 1)]);
}

#[test]
fn a_record_whose_event_is_not_in_the_log_is_found() {
    let plant = |evidence: &mut AuditEvidence| {
        evidence.log.remove(4);
        evidence.ledger.remove(4);
    };
    assert_eq!(violated_rules(valid_evidence(), plant), [("foreign", 1)]);
}

#[test]
fn events_out_of_order_within_an_aggregate_are_found() {
    let swap = |evidence: &mut AuditEvidence| {
        evidence.records[0].offset = 1;
        evidence.records[1].offset = 0;
    };
    assert_eq!(violated_rules(valid_evidence(), swap), [("backwards", 1), ("reordered", 1)]);
}

#[test]
fn decreasing_positions_on_a_partition_are_found_across_aggregates() {
    let swap = |evidence: &mut AuditEvidence| {
        evidence.records[1].offset = 2;
        evidence.records[2].offset = 1;
    };
    assert_eq!(violated_rules(valid_evidence(), swap), [("backwards", 1)]);
}

#[test]
fn a_duplicate_is_a_violation_unless_a_disturbance_explains_it() {
    let repeat = |evidence: &mut AuditEvidence| {
        let repetition = AuditedRecord { offset: 80, timestamp_ms: Some(5_000), ..evidence.records[1].clone() };
        evidence.records.push(repetition);
    };
    let disturbed = |from_ms, until_ms| AuditEvidence {
        disturbances: vec![DisturbancePeriod { fault: "kill -9 of the leader".to_owned(), from_ms, until_ms }],
        ..valid_evidence()
    };
    assert_eq!(violated_rules(valid_evidence(), repeat), [("duplicate", 1)]);
    assert_eq!(violated_rules(disturbed(1_000, 4_000), repeat), [("duplicate", 1)]);
    assert_eq!(violated_rules(disturbed(4_000, 6_000), repeat), []);
}

#[test]
fn a_key_on_two_partitions_is_found() {
    let move_record = |evidence: &mut AuditEvidence| evidence.records[1].partition = 2;
    assert_eq!(violated_rules(valid_evidence(), move_record), [("moved", 1)]);
    let copy = |evidence: &mut AuditEvidence| {
        let copy = AuditedRecord { partition: 2, offset: 80, ..evidence.records[1].clone() };
        evidence.records.push(copy);
    };
    assert_eq!(violated_rules(valid_evidence(), copy), [("duplicate", 1), ("moved", 1)]);
}

#[test]
fn every_header_that_differs_from_the_log_is_found() {
    for name in ["position", "tenant-id", "aggregate-type", "sequence", "event-type", "schema-version", "causation-id"]
    {
        let change = |evidence: &mut AuditEvidence| drop(evidence.records[3].headers.insert(name.into(), "9".into()));
        assert_eq!(violated_rules(valid_evidence(), change), [("header", 1)], "{name}");
    }
    let other_incarnation = |evidence: &mut AuditEvidence| {
        evidence.incarnation = Some("this".to_owned());
        evidence.records[5].headers.insert("incarnation".to_owned(), "that".to_owned());
    };
    assert_eq!(violated_rules(valid_evidence(), other_incarnation), [("header", 1)]);
}

#[test]
fn a_beacon_before_an_event_that_it_covers_is_found() {
    let too_early =
        |evidence: &mut AuditEvidence| evidence.records[6] = AuditedRecord { offset: 3, ..create_beacon(1, 0, 6) };
    assert_eq!(violated_rules(valid_evidence(), too_early), [("beacon", 1)], "position 6 is at offset 4");
    let correct = |evidence: &mut AuditEvidence| {
        evidence.records[4].offset = 5;
        evidence.records[6] = AuditedRecord { offset: 4, ..create_beacon(1, 0, 5) };
    };
    assert_eq!(violated_rules(valid_evidence(), correct), []);
}

#[test]
fn a_malformed_beacon_is_found() {
    let no_watermark = |evidence: &mut AuditEvidence| drop(evidence.records[5].headers.remove("watermark"));
    assert_eq!(violated_rules(valid_evidence(), no_watermark), [("beacon", 1)]);
    let with_key = |evidence: &mut AuditEvidence| evidence.records[5].key = Some("a".to_owned());
    assert_eq!(violated_rules(valid_evidence(), with_key), [("beacon", 1)]);
    let wrong_count = |evidence: &mut AuditEvidence| {
        evidence.records[5].headers.insert("ordinal".to_owned(), "4".to_owned());
        evidence.records[5].headers.insert("position".to_owned(), "4".to_owned());
    };
    assert_eq!(violated_rules(valid_evidence(), wrong_count), [("beacon", 2)]);
}

#[test]
fn a_beacon_behind_events_that_it_does_not_count_is_a_violation_unless_a_disturbance_explains_it() {
    // On partition 0, behind the events at 1, 4 and 5, a beacon that was true behind the event at 4.
    let late = |ordinal: &'static str, position: &'static str| {
        move |evidence: &mut AuditEvidence| {
            let mut beacon = AuditedRecord { timestamp_ms: Some(900), ..create_beacon(0, 80, 4) };
            beacon.headers.extend([("ordinal".into(), ordinal.into()), ("position".into(), position.into())]);
            evidence.records.push(beacon);
            // The event at 5 is the next leader's.
            evidence.records[2].timestamp_ms = Some(5_000);
        }
    };
    let disturbed = |from_ms, until_ms| AuditEvidence {
        disturbances: vec![DisturbancePeriod { fault: "leading relay paused".to_owned(), from_ms, until_ms }],
        ..valid_evidence()
    };
    assert_eq!(violated_rules(valid_evidence(), late("2", "4")), [("beacon", 2)]);
    assert_eq!(violated_rules(disturbed(800, 1_000), late("2", "4")), [("beacon", 2)]);
    assert_eq!(violated_rules(disturbed(4_000, 6_000), late("2", "4")), []);
    assert_eq!(violated_rules(disturbed(4_000, 6_000), late("2", "1")), [("beacon", 2)], "not true at any time");
    assert_eq!(violated_rules(disturbed(4_000, 6_000), late("4", "5")), [("beacon", 1)], "it counts too many");
}

#[test]
fn ordinals_with_a_gap_are_found() {
    let skip = |evidence: &mut AuditEvidence| drop(evidence.records[2].headers.insert("ordinal".into(), "4".into()));
    assert_eq!(violated_rules(with_ordinals(valid_evidence()), skip), [("ordinal", 1)]);
    let remove = |evidence: &mut AuditEvidence| drop(evidence.records[2].headers.remove("ordinal"));
    assert_eq!(violated_rules(with_ordinals(valid_evidence()), remove), [("ordinal", 1)]);
}

#[test]
fn an_acknowledged_append_that_is_not_in_the_log_is_found() {
    let plant = |evidence: &mut AuditEvidence| {
        evidence.ledger.push(create_ledger_entry(AppendOutcome::Committed, &["mark-1", "gone"], &[]));
    };
    assert_eq!(violated_rules(valid_evidence(), plant), [("unrecorded", 1)]);
}

#[test]
fn a_rolled_back_append_that_is_in_the_log_is_found() {
    let whole = |evidence: &mut AuditEvidence| evidence.ledger[1].outcome = AppendOutcome::RolledBack;
    assert_eq!(violated_rules(valid_evidence(), whole), [("undead", 1)]);
    let savepoint = |evidence: &mut AuditEvidence| {
        evidence.ledger[0] = create_ledger_entry(AppendOutcome::Committed, &[], &["mark-1"]);
    };
    assert_eq!(violated_rules(valid_evidence(), savepoint), [("undead", 1)]);
}

#[test]
fn an_append_with_an_unknown_outcome_is_a_violation_only_if_it_is_in_the_log_in_part() {
    let with_append = |kept: &'static [&'static str]| {
        move |evidence: &mut AuditEvidence| evidence.ledger.push(create_ledger_entry(AppendOutcome::Unknown, kept, &[]))
    };
    assert_eq!(violated_rules(valid_evidence(), with_append(&["mark-1", "mark-2"])), []);
    assert_eq!(violated_rules(valid_evidence(), with_append(&["gone", "gone too"])), []);
    assert_eq!(violated_rules(valid_evidence(), with_append(&["mark-1", "gone"])), [("torn", 1)]);
}

#[test]
fn an_event_that_no_writer_wrote_or_that_is_in_the_log_twice_is_found() {
    let unaccounted = |evidence: &mut AuditEvidence| drop(evidence.ledger.remove(0));
    assert_eq!(violated_rules(valid_evidence(), unaccounted), [("unaccounted", 1)]);
    let twice = |evidence: &mut AuditEvidence| {
        evidence.log[1].mark = "mark-1".to_owned();
        evidence.records[3].headers.insert("causation-id".to_owned(), "mark-1".to_owned());
        evidence.ledger.remove(1);
    };
    assert_eq!(violated_rules(valid_evidence(), twice), [("doubled", 1)]);
}
