//! Receives records from the client library, not before it has decided whether to ask for more.

use std::{task::Poll, time::Duration};

use futures::FutureExt;
use rdkafka::{consumer::StreamConsumer, error::KafkaError};
use tokio::time::{Instant, sleep_until};

use super::rebalance_listener::RebalanceListener;
use crate::runtime::{consumed_record::ConsumedRecord, worker_status::StatusWriter};

/// How long a record that had to be waited for stays in the client library's queue after it has arrived. Meanwhile the
/// library decides, for one partition after the other, that they all pause. If the queue became empty in between, it
/// would request records of some partitions at once, and of the others only after that request is answered.
const FETCH_DECISION_DELAY: Duration = Duration::from_millis(1);

/// Receives the records of one consumer.
pub(super) struct RecordReceiver {
    name: &'static str,
    status: StatusWriter,
    delay: ReceiveDelay,
}

impl RecordReceiver {
    pub(super) fn new(name: &'static str, status: StatusWriter) -> Self {
        Self { name, status, delay: ReceiveDelay::default() }
    }

    /// Waits for the next record without a time limit. Errors are logged; the client library reconnects.
    pub(super) async fn receive(&mut self, consumer: &StreamConsumer<RebalanceListener>) -> ConsumedRecord {
        loop {
            match self.delay.receive(consumer.recv()).await {
                Ok(message) => return ConsumedRecord::from_message(&message),
                Err(error) => self.report(&error),
            }
        }
    }

    /// The next record of those that are in the queue already.
    pub(super) fn take_queued(&mut self, consumer: &StreamConsumer<RebalanceListener>) -> Option<ConsumedRecord> {
        loop {
            match consumer.recv().now_or_never() {
                Some(Ok(message)) => return Some(ConsumedRecord::from_message(&message)),
                Some(Err(error)) => self.report(&error),
                None => {
                    self.delay.is_drained = true;
                    return None;
                }
            }
        }
    }

    fn report(&self, error: &KafkaError) {
        if self.status.record_consumer_error(error.to_string()) {
            tracing::warn!(projection.name = self.name, error = %error, "consumer error");
        }
    }
}

/// Delays records that arrive in an empty queue. It outlives the futures that receive, which are dropped whenever the
/// consumer does something else.
#[derive(Debug, Default)]
struct ReceiveDelay {
    /// Whether the queue was empty when it was last looked at.
    is_drained: bool,
    /// When it may be looked at next, once something may have arrived.
    hold_until: Option<Instant>,
}

impl ReceiveDelay {
    /// Takes received records: at once while the queue has more, else [`FETCH_DECISION_DELAY`] after their arrival.
    async fn receive<T>(&mut self, receiving: impl Future<Output = T>) -> T {
        tokio::pin!(receiving);
        loop {
            if self.is_drained {
                // Also at the beginning: something may have arrived since an earlier future was dropped.
                let hold_until = *self.hold_until.get_or_insert_with(|| Instant::now() + FETCH_DECISION_DELAY);
                sleep_until(hold_until).await;
            }
            let received = futures::poll!(receiving.as_mut());
            self.hold_until = None;
            if let Poll::Ready(received) = received {
                self.is_drained = false;
                return received;
            }
            self.is_drained = true;
            // Until the task is woken up: by the arrival, or by something else.
            futures::pending!();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{poll_fn, ready};

    use super::*;

    #[tokio::test]
    async fn what_is_there_is_taken_at_once_and_what_arrives_after_the_delay() {
        let mut delay = ReceiveDelay::default();
        assert_eq!(delay.receive(ready(1)).now_or_never(), Some(1));
        let mut arrived_at: Option<Instant> = None;
        let waited = delay.receive(poll_fn(|context| {
            if let Some(arrived_at) = arrived_at {
                return Poll::Ready(arrived_at.elapsed());
            }
            arrived_at = Some(Instant::now());
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        assert!(waited.await >= FETCH_DECISION_DELAY);
        assert_eq!(delay.receive(ready(2)).now_or_never(), Some(2));
    }

    #[tokio::test]
    async fn a_future_that_is_dropped_does_not_end_the_delay() {
        let mut delay = ReceiveDelay { is_drained: true, ..ReceiveDelay::default() };
        let begun_at = Instant::now();
        // Usually it is dropped during the delay.
        let _taken = delay.receive(ready(1)).now_or_never();
        delay.is_drained = true;
        assert_eq!(delay.receive(ready(2)).await, 2);
        assert!(begun_at.elapsed() >= FETCH_DECISION_DELAY);
    }
}
