//! The lanes that fill a generation: each applies the batches of its streams, one after the other.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::RebuildPart;
use crate::runtime::{
    GenerationRecord, GenerationState, ProjectionRuntime, Worker, bucket_of,
    consumed_record::ConsumedRecord,
    worker::{BatchError, PartitionAssignmentState},
};

/// Number of lanes of a part that write concurrently.
const LANE_COUNT: usize = 3;

/// The log is read in portions; a lane applies this many of them together. It begins with the first portions while the
/// others are read, and then waits for full batches until the log ends: stores handle few large batches better.
pub(super) const PORTIONS_PER_BATCH: usize = 8;

/// Consecutive failures after which filling ends with an error; the next rebuild resumes it.
const MAX_FAILURES: u32 = 8;

/// Why a lane has ended.
#[derive(Debug)]
pub(super) enum LaneError {
    /// The rebuild was stopped.
    Stopped,
    /// A batch failed repeatedly.
    Batch(BatchError),
}

/// How far the log has been read with a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FillPosition {
    /// Position in the log.
    pub(super) position: u64,
    /// Number of events up to there.
    pub(super) events: u64,
}

/// A portion that was distributed to the lanes.
struct DistributedPortion {
    number: u64,
    end: FillPosition,
}

/// All lanes of a rebuild. A lane has at most the portions of one batch waiting while it applies another batch.
pub(super) struct FillLanes {
    lanes: Vec<FillLane>,
    /// The portions that not every lane has applied, in their order.
    distributed: VecDeque<DistributedPortion>,
    last_number: u64,
    stop: CancellationToken,
}

/// The share that a lane has of a portion.
struct LanePortion {
    /// Number of the portion.
    number: u64,
    records: Vec<ConsumedRecord>,
    /// Whether the log ends after it, so that the lane should not wait for more.
    is_last: bool,
}

struct FillLane {
    /// `None` after the last portion.
    portions: Option<mpsc::Sender<LanePortion>>,
    /// Number of the last portion that was applied.
    applied: watch::Receiver<u64>,
    /// `None` once its result is taken.
    task: Option<JoinHandle<Result<(), LaneError>>>,
}

impl FillLanes {
    pub(super) fn start(
        runtime: &ProjectionRuntime,
        part: &RebuildPart,
        build: &GenerationRecord,
        stop: &CancellationToken,
    ) -> Self {
        let stop = stop.child_token();
        let start_lane = |_| {
            let build = GenerationRecord { state: GenerationState::Building, handover: 0, ..build.clone() };
            let worker = Worker::without_consumer(runtime.clone(), Arc::clone(&part.projection), build);
            let (portions, received) = mpsc::channel(PORTIONS_PER_BATCH);
            let (applied_number, applied) = watch::channel(0);
            let lane = apply_lane(worker, runtime.clone(), received, applied_number, stop.clone());
            FillLane { portions: Some(portions), applied, task: Some(tokio::spawn(lane)) }
        };
        let lanes = (0..LANE_COUNT).map(start_lane).collect();
        Self { lanes, distributed: VecDeque::new(), last_number: 0, stop }
    }

    /// Distributes a portion, whose end is `end`, by stream. Waits while a lane has a whole batch waiting.
    pub(super) async fn distribute(
        &mut self,
        records: impl IntoIterator<Item = ConsumedRecord>,
        end: FillPosition,
    ) -> Result<(), LaneError> {
        let records = records.into_iter();
        // Streams are distributed roughly evenly. Records are large: shares that grow would copy them.
        let per_lane = records.size_hint().1.unwrap_or_default() / LANE_COUNT;
        let empty_share = |_: &FillLane| Vec::with_capacity(per_lane + per_lane / 8);
        let mut shares: Vec<Vec<ConsumedRecord>> = self.lanes.iter().map(empty_share).collect();
        for record in records {
            let Some(event) = &record.event else { continue };
            let lane = bucket_of(&event.aggregate_id) as usize % LANE_COUNT;
            if let Some(share) = shares.get_mut(lane) {
                share.push(record);
            }
        }
        self.last_number += 1;
        self.distributed.push_back(DistributedPortion { number: self.last_number, end });
        for (lane, share) in self.lanes.iter_mut().zip(shares) {
            let Some(portions) = &lane.portions else { return Err(LaneError::Stopped) };
            // An empty share is sent, too: it says that the lane has reached the end of the portion.
            let portion = LanePortion { number: self.last_number, records: share, is_last: false };
            if portions.send(portion).await.is_err() {
                return Err(lane.take_error().await);
            }
        }
        Ok(())
    }

    /// The end of the last portion that every lane has applied since this was last asked.
    pub(super) fn take_applied(&mut self) -> Option<FillPosition> {
        let applied = self.lanes.iter().map(|lane| *lane.applied.borrow()).min().unwrap_or_default();
        let mut last = None;
        while self.distributed.front().is_some_and(|portion| portion.number <= applied) {
            last = self.distributed.pop_front().map(|portion| portion.end).or(last);
        }
        last
    }

    /// Waits until every lane has applied everything.
    pub(super) async fn finish(&mut self) -> Result<(), LaneError> {
        let last_number = self.last_number;
        for lane in &mut self.lanes {
            let Some(portions) = &lane.portions else { return Err(LaneError::Stopped) };
            if portions.send(LanePortion { number: last_number, records: vec![], is_last: true }).await.is_err() {
                return Err(lane.take_error().await);
            }
        }
        for lane in &mut self.lanes {
            if lane.applied.wait_for(|applied| *applied >= last_number).await.is_err() {
                return Err(lane.take_error().await);
            }
        }
        Ok(())
    }
}

impl FillLanes {
    /// Ends the lanes, and waits until they have.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        for lane in &mut self.lanes {
            drop(lane.take_error().await);
        }
    }
}

impl Drop for FillLanes {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl FillLane {
    /// Why the lane has ended before its last portion.
    async fn take_error(&mut self) -> LaneError {
        self.portions = None;
        let Some(task) = self.task.take() else { return LaneError::Stopped };
        match task.await {
            Ok(outcome) => outcome.err().unwrap_or(LaneError::Stopped),
            Err(join_error) => match join_error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => LaneError::Stopped,
            },
        }
    }
}

async fn apply_lane(
    worker: Worker,
    runtime: ProjectionRuntime,
    mut portions: mpsc::Receiver<LanePortion>,
    applied: watch::Sender<u64>,
    stop: CancellationToken,
) -> Result<(), LaneError> {
    let mut assignment = PartitionAssignmentState::default();
    let mut is_first = true;
    loop {
        let received = receive_batch(&mut portions, is_first);
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(LaneError::Stopped),
            received = received => received,
        };
        let Some(LanePortion { number, records: batch, .. }) = received else { return Ok(()) };
        is_first = false;
        let mut failures = 0;
        while !batch.is_empty() {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(LaneError::Stopped),
                permit = runtime.fill_writes.acquire() => permit,
            };
            let outcome = worker.apply_from_log(&batch, &mut assignment).await;
            drop(permit);
            let Err(error) = outcome else { break };
            failures += 1;
            if failures >= MAX_FAILURES {
                return Err(LaneError::Batch(error));
            }
            tracing::warn!(
                reason = crate::runtime::error::format_limited_chain(&error),
                "applying a batch of a rebuild failed, retrying"
            );
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(LaneError::Stopped),
                () = tokio::time::sleep(runtime.config.retry_pause(failures)) => {}
            }
        }
        applied.send_replace(number);
    }
}

/// The portions of a batch as one; `None` after the last one.
async fn receive_batch(portions: &mut mpsc::Receiver<LanePortion>, is_first: bool) -> Option<LanePortion> {
    let mut batch = portions.recv().await?;
    let mut later = Vec::with_capacity(PORTIONS_PER_BATCH);
    for _ in 1..PORTIONS_PER_BATCH {
        if batch.is_last {
            break;
        }
        let more = if is_first { portions.try_recv().ok() } else { portions.recv().await };
        let Some(LanePortion { number, records, is_last }) = more else { break };
        (batch.number, batch.is_last) = (number, is_last);
        later.push(records);
    }
    batch.records.reserve_exact(later.iter().map(Vec::len).sum());
    for records in later {
        batch.records.extend(records);
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_batch_is_what_is_there_and_later_ones_are_full_until_the_log_ends() {
        let (sender, mut portions) = mpsc::channel(2 * PORTIONS_PER_BATCH);
        let send = |number, is_last| sender.try_send(LanePortion { number, records: vec![], is_last }).unwrap();
        send(1, false);
        send(2, false);
        assert_eq!(receive_batch(&mut portions, true).await.map(|batch| batch.number), Some(2));
        let full = 2 + PORTIONS_PER_BATCH as u64;
        (3..=full + 1).for_each(|number| send(number, false));
        assert_eq!(receive_batch(&mut portions, false).await.map(|batch| batch.number), Some(full));
        send(full + 1, true);
        assert_eq!(receive_batch(&mut portions, false).await.map(|batch| batch.number), Some(full + 1));
        drop(sender);
        assert!(receive_batch(&mut portions, false).await.is_none());
    }

    fn lanes(applied: [&watch::Sender<u64>; 2]) -> FillLanes {
        let lane = |sender: &watch::Sender<u64>| FillLane { portions: None, applied: sender.subscribe(), task: None };
        FillLanes {
            lanes: applied.map(lane).into(),
            distributed: VecDeque::new(),
            last_number: 0,
            stop: CancellationToken::new(),
        }
    }

    #[test]
    fn a_position_is_reached_when_every_lane_has_applied_its_share() {
        let (one, two) = (watch::Sender::new(0), watch::Sender::new(0));
        let mut lanes = lanes([&one, &two]);
        let end = |number| FillPosition { position: number * 100, events: number };
        lanes.distributed.extend((1..=3).map(|number| DistributedPortion { number, end: end(number) }));
        one.send_replace(3);
        assert_eq!(lanes.take_applied(), None);
        two.send_replace(2);
        assert_eq!(lanes.take_applied(), Some(end(2)));
        assert_eq!(lanes.take_applied(), None);
        two.send_replace(3);
        assert_eq!(lanes.take_applied(), Some(end(3)));
    }
}
