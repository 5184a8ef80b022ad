//! Runs one projection until it is told to stop.

use schemas::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaConfig, Projection, ProjectionError, RuntimeError, StatusReader, WorkerState, delivery::Delivery,
    error::chain, intake::Intake, status::StatusWriter,
};

/// A projection with its consumer.
pub struct Worker<P> {
    projection: P,
    config: KafkaConfig,
    registry: Registry,
    status: StatusWriter,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Applied,
    AskedToStop,
}

impl<P: Projection> Worker<P> {
    /// A worker that does nothing yet. The registry knows the schemas that events were written with.
    pub fn new(projection: P, config: KafkaConfig, registry: Registry) -> Self {
        Self { projection, config, registry, status: StatusWriter::new(P::NAME) }
    }

    /// Reads its status, also while it runs.
    pub fn status(&self) -> StatusReader {
        self.status.reader()
    }

    /// Consumes until `shutdown`; then finishes the batch in hand, commits and leaves its group.
    ///
    /// # Errors
    /// [`RuntimeError`] when the consumer cannot be created. A broker or a store that is away is waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let mut intake = Intake::open(P::NAME, P::subscribes(), &self.config, &self.status)
            .map_err(|source| RuntimeError::Consumer { projection: P::NAME, source: source.into() })?;
        tracing::info!(projection.name = P::NAME, "projection started");
        while let Some(mut batch) = intake.next_batch(&shutdown).await {
            if self.take_in(&mut intake, &mut batch, &shutdown).await == Outcome::AskedToStop {
                break;
            }
        }
        intake.close().await;
        self.status.stopped();
        tracing::info!(projection.name = P::NAME, "projection stopped");
        Ok(())
    }

    /// Applies a batch, however long it takes.
    async fn take_in(&self, intake: &mut Intake, batch: &mut [Delivery], shutdown: &CancellationToken) -> Outcome {
        // Becomes 1 when a store finds poison somewhere in the batch, so that the event can be named.
        let mut step = batch.len();
        let mut rest = batch;
        let mut attempt = 0;
        while !rest.is_empty() {
            let some = step.min(rest.len());
            let healthy = self.take_in_some(&mut rest[..some]).await;
            let (count, error) = match healthy {
                Ok(count) => (count, None),
                Err(Stuck { applied, error }) => (applied, Some(error)),
            };
            let (applied, left) = rest.split_at_mut(count);
            if !applied.is_empty() {
                attempt = 0;
                intake.commit(applied);
                self.status.applied(events_in(applied), highest_position(applied));
            }
            rest = left;
            let pause = match error {
                None => continue,
                Some(ProjectionError::Poison(_) | ProjectionError::Refused(_))
                    if step > 1 && count == 0 && decodes::<P>(&rest[0]) =>
                {
                    step = 1;
                    continue;
                }
                Some(ProjectionError::Poison(reason) | ProjectionError::Refused(reason)) => {
                    self.report_poison(&rest[0], reason.as_ref());
                    self.config.poison_pause()
                }
                Some(error @ ProjectionError::Unavailable(_)) => {
                    attempt += 1;
                    self.report_unavailable(&error);
                    self.config.pause_before(attempt)
                }
            };
            if !intake.wait(pause, shutdown).await {
                return Outcome::AskedToStop;
            }
        }
        Outcome::Applied
    }

    /// Applies the longest beginning that can be unpacked and projected; says how much that was.
    async fn take_in_some(&self, deliveries: &mut [Delivery]) -> Result<usize, Stuck> {
        let mut changes = Vec::new();
        let mut projected = 0;
        let mut obstacle = None;
        for delivery in deliveries {
            let unpacked = delivery.unpack(&self.registry).await;
            match unpacked.and_then(|()| project::<P>(delivery)) {
                Ok(more) => changes.extend(more),
                Err(error) => {
                    obstacle = Some(error);
                    break;
                }
            }
            projected += 1;
        }
        if !changes.is_empty() {
            self.projection.apply(&changes).await.map_err(|error| Stuck { applied: 0, error })?;
        }
        match obstacle {
            None => Ok(projected),
            Some(error) => Err(Stuck { applied: projected, error }),
        }
    }

    fn report_poison(&self, delivery: &Delivery, reason: &(dyn std::error::Error + Send + Sync + 'static)) {
        let reason = chain(reason);
        let event = delivery.event.as_ref().ok().and_then(Option::as_ref);
        if self.status.failed(WorkerState::Poisoned, reason.clone()) {
            tracing::error!(
                projection.name = P::NAME,
                event.id = event.map(|event| event.event_id.to_string()),
                event.position = event.map(|event| event.position),
                kafka.topic = delivery.topic,
                kafka.partition = delivery.partition,
                kafka.offset = delivery.offset,
                reason,
                "event makes no sense, holding here"
            );
        }
    }

    fn report_unavailable(&self, error: &ProjectionError) {
        let reason = chain(error);
        if self.status.failed(WorkerState::Retrying, reason.clone()) {
            tracing::warn!(projection.name = P::NAME, reason, "store is away, retrying");
        }
    }
}

/// Where a batch got stuck, and why.
struct Stuck {
    applied: usize,
    error: ProjectionError,
}

fn project<P: Projection>(delivery: &Delivery) -> Result<Vec<P::Change>, ProjectionError> {
    match &delivery.event {
        Ok(None) => Ok(vec![]),
        Ok(Some(event)) => P::project(event),
        Err(error) => Err(ProjectionError::poison(error.clone())),
    }
}

/// Whether the record itself is sound, so that it was the store that objected.
fn decodes<P: Projection>(delivery: &Delivery) -> bool {
    project::<P>(delivery).is_ok()
}

fn events_in(deliveries: &[Delivery]) -> u64 {
    deliveries.iter().filter(|delivery| matches!(delivery.event, Ok(Some(_)))).count() as u64
}

fn highest_position(deliveries: &[Delivery]) -> u64 {
    let positions = deliveries.iter().filter_map(|delivery| delivery.event.as_ref().ok()?.as_ref());
    positions.map(|event| event.position).max().unwrap_or_default()
}
