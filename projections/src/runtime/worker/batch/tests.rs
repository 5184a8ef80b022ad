use domain::envelope::{PartitionProgress, RawEnvelope};

use super::*;
use crate::fixture::{awarded, discovered, recorded_event};

fn record(offset: i64, ordinal: Option<u64>, event: RawEnvelope) -> ConsumedRecord {
    let partition_progress = PartitionProgress { ordinal, watermark: event.position, ..PartitionProgress::default() };
    let mut record = ConsumedRecord::from_log("t".to_owned(), 0, event);
    (record.offset, record.partition_progress) = (offset, partition_progress);
    record
}

fn sample_batch() -> Vec<ConsumedRecord> {
    let other = |event: RawEnvelope| RawEnvelope { aggregate_id: "other".to_owned(), ..event };
    vec![
        record(7, Some(1), recorded_event(1, &discovered("a"))),
        record(8, Some(2), other(recorded_event(2, &discovered("b")))),
        record(9, Some(3), recorded_event(3, &awarded("A1", 5))),
    ]
}

fn partition() -> (String, i32) {
    ("t".to_owned(), 0)
}

#[test]
fn checkpoints_move_to_the_end_of_the_batch() {
    let advanced = advance_checkpoint(&sample_batch(), &Checkpoint::default(), 0);
    let end = PartitionCheckpoint { position: 103, ordinal: Some(3), next_offset: 10 };
    assert_eq!(advanced, Checkpoint([(partition(), end)].into()));
}

#[test]
fn checkpoints_never_move_back() {
    let before =
        Checkpoint([(partition(), PartitionCheckpoint { position: 500, ordinal: Some(80), next_offset: 90 })].into());
    assert_eq!(advance_checkpoint(&sample_batch(), &before, 0), before);
}

#[test]
fn events_from_the_log_do_not_advance_ordinals_and_offsets() {
    let backfilled = [ConsumedRecord::from_log("t".to_owned(), 0, recorded_event(1, &discovered("a")))];
    let expected = |ordinal| PartitionCheckpoint { position: 101, ordinal, next_offset: 0 };
    assert_eq!(advance_checkpoint(&backfilled, &Checkpoint::default(), 0).0[&partition()], expected(Some(0)));
    assert_eq!(advance_checkpoint(&backfilled, &Checkpoint::default(), 50).0[&partition()], expected(None));
}

#[test]
fn later_events_of_a_stream_are_parked_behind_a_poison_event() {
    let batch = sample_batch();
    let stream = StreamId::from_event(&recorded_event(1, &discovered("a")));
    let reasons = BTreeMap::from([(0, "unknown shape".to_owned())]);
    let parked = collect_dead_letters(&batch, &[1], &reasons, &HashSet::from([stream.clone()]), |_| false);
    let seen: Vec<_> = parked.iter().map(|letter| (letter.event.sequence, letter.reason.as_deref())).collect();
    assert_eq!(seen, [(1, Some("unknown shape")), (3, None)]);
    assert!(parked.iter().all(|letter| letter.stream == stream));
}
