//! Receives records from the client library, not before it has decided whether to ask for more.

use std::{task::Poll, time::Duration};

use rdkafka::consumer::StreamConsumer;
use tokio::time::sleep;

use super::rebalance_listener::RebalanceListener;
use crate::runtime::{consumed_record::ConsumedRecord, worker_status::StatusWriter};

/// How long a record that had to be waited for stays in the client library's queue after it has arrived. Meanwhile the library
/// decides, for one partition after the other, that they all pause. If the queue became empty in between, it would ask at
/// once for the records of some partitions, and for those of the others not before that request is answered.
const DECISION_TIME: Duration = Duration::from_millis(1);

/// Waits for the next record without a time limit. Errors are logged; the client library reconnects.
pub(super) async fn receive_record(
    consumer: &StreamConsumer<RebalanceListener>,
    name: &'static str,
    status: &StatusWriter,
) -> ConsumedRecord {
    loop {
        match receive_after_decision(consumer.recv()).await {
            Ok(message) => return ConsumedRecord::from_message(&message),
            Err(error) => {
                if status.record_consumer_error(error.to_string()) {
                    tracing::warn!(projection.name = name, error = %error, "consumer error");
                }
            }
        }
    }
}

/// Waits for what is received: takes it at once if it is there, else [`DECISION_TIME`] after it has arrived.
async fn receive_after_decision<T>(receiving: impl Future<Output = T>) -> T {
    tokio::pin!(receiving);
    loop {
        if let Poll::Ready(received) = futures::poll!(receiving.as_mut()) {
            return received;
        }
        // Until the task is woken up: by the arrival, or by something else, after which the queue is looked at again.
        futures::pending!();
        sleep(DECISION_TIME).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Instant};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_there_is_taken_at_once_and_what_arrives_after_the_decision() {
        assert_eq!(receive_after_decision(async { 1 }).now_or_never(), Some(1));
        let mut arrived_at: Option<Instant> = None;
        let waited = receive_after_decision(poll_fn(|context| {
            if let Some(arrived_at) = arrived_at {
                return Poll::Ready(arrived_at.elapsed());
            }
            arrived_at = Some(Instant::now());
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert!(waited.await >= DECISION_TIME);
    }
}
