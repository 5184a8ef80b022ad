use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::*;

/// A batch, whose begin, write and commit the test lets through by adding permits.
struct TestBatch {
    name: &'static str,
    streams: HashSet<u64>,
    begin: Arc<Semaphore>,
    write: Arc<Semaphore>,
    commit: Arc<Semaphore>,
    is_rejected: bool,
}

impl TestBatch {
    fn new(name: &'static str, streams: &[u64]) -> Self {
        let (write, commit) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (streams, begin) = (streams.iter().copied().collect(), Arc::new(Semaphore::new(1)));
        Self { name, streams, begin, write, commit, is_rejected: false }
    }

    fn unblocked(name: &'static str, streams: &[u64]) -> Self {
        let batch = Self::new(name, streams);
        batch.write.add_permits(1);
        batch.commit.add_permits(1);
        batch
    }
}

/// Records what happens, in its order.
#[derive(Default)]
struct RecordingWriter(Mutex<Vec<String>>);

impl RecordingWriter {
    fn record(&self, what: &str, batch: &TestBatch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what} {}", batch.name));
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BatchWriter for RecordingWriter {
    type Batch = TestBatch;
    type Begun = &'static str;
    type Committed = ();

    fn stream_hashes(batch: &TestBatch) -> &HashSet<u64> {
        &batch.streams
    }

    async fn begin(&self, batch: &TestBatch) -> Result<&'static str, WriteFailure> {
        self.record("begin", batch);
        batch.begin.acquire().await.unwrap().forget();
        self.record("begun", batch);
        Ok(batch.name)
    }

    async fn write(&self, batch: &TestBatch) -> Result<(), WriteFailure> {
        batch.write.acquire().await.unwrap().forget();
        if batch.is_rejected {
            return Err(WriteFailure::Rejected);
        }
        self.record("written", batch);
        Ok(())
    }

    async fn commit(&self, batch: &TestBatch, begun: &'static str) -> Result<(), WriteFailure> {
        assert_eq!(begun, batch.name);
        batch.commit.acquire().await.unwrap().forget();
        self.record("committed", batch);
        Ok(())
    }
}

fn in_flight(concurrency: usize) -> (Arc<RecordingWriter>, InFlightBatches<RecordingWriter>) {
    let writer = Arc::<RecordingWriter>::default();
    (Arc::clone(&writer), InFlightBatches::new(writer, concurrency))
}

/// Lets all tasks run until none of them can go on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn batches_without_a_common_stream_are_written_together_and_committed_in_order() {
    let (writer, mut batches) = in_flight(2);
    let (one, two) = (TestBatch::new("1", &[1, 2]), TestBatch::unblocked("2", &[3]));
    let (write, commit) = (Arc::clone(&one.write), Arc::clone(&one.commit));
    batches.start(one);
    batches.start(two);
    settle().await;
    assert_eq!(writer.taken(), ["begin 1", "begun 1", "begin 2", "begun 2", "written 2"]);
    write.add_permits(1);
    settle().await;
    assert_eq!(writer.taken(), ["written 1"], "the second is not committed before the first");
    commit.add_permits(1);
    settle().await;
    assert_eq!(writer.taken(), ["committed 1", "committed 2"]);
    for expected in ["1", "2"] {
        let ended = batches.next_ended().await;
        assert_eq!(ended.batch.name, expected);
        assert!(ended.outcome.is_ok());
    }
    assert!(batches.is_empty());
}

#[tokio::test]
async fn a_batch_does_not_begin_before_the_one_before_it_has_begun() {
    let (writer, mut batches) = in_flight(2);
    let one = TestBatch { begin: Arc::new(Semaphore::new(0)), ..TestBatch::unblocked("1", &[1]) };
    let begin = Arc::clone(&one.begin);
    batches.start(one);
    batches.start(TestBatch::unblocked("2", &[2]));
    settle().await;
    assert_eq!(writer.taken(), ["begin 1"]);
    begin.add_permits(1);
    for _ in 0..2 {
        assert!(batches.next_ended().await.outcome.is_ok());
    }
    let seen = writer.taken();
    let position = |entry: &str| seen.iter().position(|found| found == entry);
    assert!(position("begun 1") < position("begin 2"), "{seen:?}");
}

#[tokio::test]
async fn a_batch_waits_for_the_write_of_a_common_stream_and_not_for_its_commit() {
    let (writer, mut batches) = in_flight(3);
    let (one, two) = (TestBatch::new("1", &[1, 2]), TestBatch::unblocked("2", &[2, 3]));
    let write = Arc::clone(&one.write);
    batches.start(one);
    batches.start(two);
    settle().await;
    assert_eq!(writer.taken(), ["begin 1", "begun 1"]);
    write.add_permits(1);
    settle().await;
    assert_eq!(writer.taken(), ["written 1", "begin 2", "begun 2", "written 2"]);
}

#[tokio::test]
async fn no_more_batches_are_written_together_than_asked_for() {
    let (writer, mut batches) = in_flight(1);
    let one = TestBatch::new("1", &[1]);
    let write = Arc::clone(&one.write);
    batches.start(one);
    batches.start(TestBatch::unblocked("2", &[2]));
    settle().await;
    assert_eq!(writer.taken(), ["begin 1", "begun 1"]);
    write.add_permits(1);
    settle().await;
    assert_eq!(writer.taken(), ["written 1", "begin 2", "begun 2", "written 2"]);
}

#[tokio::test]
async fn after_a_failure_no_later_batch_is_committed_and_all_are_returned_in_order() {
    let (writer, mut batches) = in_flight(2);
    let mut rejected = TestBatch::unblocked("1", &[1]);
    rejected.is_rejected = true;
    batches.start(rejected);
    batches.start(TestBatch::unblocked("2", &[2]));
    batches.start(TestBatch::unblocked("3", &[1]));
    settle().await;
    let rejected = batches.next_ended().await;
    assert!(matches!(rejected.outcome, Err(WriteFailure::Rejected)));
    let returned = batches.cancel().await;
    let held: Vec<_> = [rejected].iter().chain(&returned).map(|ended| (ended.batch.name, ended.begun)).collect();
    assert_eq!(held, [("1", Some("1")), ("2", Some("2")), ("3", None)], "what has begun holds its lock");
    let seen = writer.taken();
    assert!(!seen.iter().any(|entry| entry.starts_with("committed")), "{seen:?}");
    assert!(!seen.contains(&"begin 3".to_owned()), "it has a stream in common with the rejected batch: {seen:?}");
    // Batches that are started later do not wait for the failed ones.
    batches.start(TestBatch::unblocked("4", &[1]));
    assert!(batches.next_ended().await.outcome.is_ok());
}

#[tokio::test]
async fn a_cancelled_batch_is_returned_although_its_store_does_not_answer() {
    let (_writer, mut batches) = in_flight(2);
    batches.start(TestBatch::new("1", &[1]));
    settle().await;
    let returned = batches.cancel().await;
    assert_eq!(returned.iter().map(|ended| ended.batch.name).collect::<Vec<_>>(), ["1"]);
}
