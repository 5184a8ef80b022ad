//! Read-your-writes consistency: a token holds the position that a read model must have reached.

use std::{fmt, str::FromStr, time::Duration};

use domain::{context::BoundedContext, partition::partition_for_key};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{AnyProjection, ControlError, ProjectionRuntime, ReadModelGeneration, consumer::total_partitions};

/// First pause between two reads of the checkpoint; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(3);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// A position of the log that a read model must have reached before it is queried.
///
/// If the token names a stream, only the stream's partition must have reached the position. Otherwise every partition
/// must have reached it; an idle partition advances only with beacons (`relay.beacon_ms`), of which a worker applies a batch
/// every 250 ms at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// Incarnation of the log.
    pub incarnation: Uuid,
    /// Position in the log.
    pub position: u64,
    /// Stream of the event at that position: its context and aggregate id.
    pub stream: Option<(BoundedContext, String)>,
}

/// A text that is not a consistency token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the consistency token is malformed")]
pub struct InvalidConsistencyToken;

/// Whether a read model has reached a token's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsistencyStatus {
    /// The position is reached.
    Reached,
    /// The position was not reached within the timeout.
    NotYet {
        /// Position up to which all events are applied or parked.
        position: u64,
    },
    /// The token belongs to another incarnation: the log has been restored from a backup since it was returned.
    OtherIncarnation,
}

/// An error of determining which position a read model has reached.
#[derive(Debug, thiserror::Error)]
pub enum ConsistencyCheckError {
    /// Checkpoints cannot be read.
    #[error("reading the checkpoint of a read model")]
    Control(#[from] ControlError),
    /// The broker does not return the partition counts.
    #[error("fetching partition counts from the broker")]
    Kafka(#[source] crate::error::BoxedError),
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation.simple(), self.position)?;
        match &self.stream {
            Some((context, aggregate_id)) => write!(f, ".{}.{aggregate_id}", context.name()),
            None => Ok(()),
        }
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidConsistencyToken;

    fn from_str(text: &str) -> Result<Self, InvalidConsistencyToken> {
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next();
        let incarnation = next().and_then(|id| Uuid::parse_str(id).ok()).ok_or(InvalidConsistencyToken)?;
        let position = next().and_then(|position| position.parse().ok()).ok_or(InvalidConsistencyToken)?;
        let stream = match (next(), next()) {
            (None, _) => None,
            (Some(_), None) => return Err(InvalidConsistencyToken),
            (Some(name), Some(aggregate_id)) => {
                let context = BoundedContext::ALL
                    .into_iter()
                    .find(|context| context.name() == name)
                    .ok_or(InvalidConsistencyToken)?;
                Some((context, aggregate_id.to_owned()))
            }
        };
        Ok(Self { incarnation, position, stream })
    }
}

impl ProjectionRuntime {
    /// The position up to which a generation has applied or parked all events.
    ///
    /// # Errors
    /// [`ConsistencyCheckError`] when Postgres or the broker does not answer.
    pub async fn load_applied_position(
        &self,
        projection: &dyn AnyProjection,
        generation: ReadModelGeneration,
    ) -> Result<u64, ConsistencyCheckError> {
        let partitions =
            self.partition_counts(projection).await.map_err(|error| ConsistencyCheckError::Kafka(error.into()))?;
        let checkpoint = self.control.load_checkpoint(projection.name(), generation).await?;
        Ok(checkpoint.applied_position(total_partitions(&partitions)))
    }

    /// Waits until a generation has reached a token's position, for at most `max_wait`.
    ///
    /// # Errors
    /// [`ConsistencyCheckError`] when Postgres or the broker does not answer.
    pub async fn wait_for_token(
        &self,
        projection: &dyn AnyProjection,
        generation: ReadModelGeneration,
        token: &ConsistencyToken,
        max_wait: Duration,
    ) -> Result<ConsistencyStatus, ConsistencyCheckError> {
        if self.control.load_generation(projection.name(), generation).await?.incarnation != token.incarnation {
            return Ok(ConsistencyStatus::OtherIncarnation);
        }
        if token.stream.as_ref().is_some_and(|(context, _)| !projection.subscribed_contexts().contains(context)) {
            // This projection consumes no events of that context.
            return Ok(ConsistencyStatus::Reached);
        }
        let partitions =
            self.partition_counts(projection).await.map_err(|error| ConsistencyCheckError::Kafka(error.into()))?;
        let deadline = Instant::now() + max_wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let checkpoint = self.control.load_checkpoint(projection.name(), generation).await?;
            let position = if let Some((context, aggregate_id)) = &token.stream {
                let topic = context.topic(&self.config.topic_prefix);
                let partition = partition_for_key(aggregate_id, partitions.get(&topic).copied().unwrap_or_default());
                checkpoint.0.get(&(topic, partition)).map_or(0, |reached| reached.position)
            } else {
                checkpoint.applied_position(total_partitions(&partitions))
            };
            if position >= token.position {
                return Ok(ConsistencyStatus::Reached);
            }
            if Instant::now() + pause > deadline {
                return Ok(ConsistencyStatus::NotYet { position });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_from_its_text() {
        let plain = ConsistencyToken { incarnation: Uuid::from_u128(7), position: 42, stream: None };
        let stream = Some((BoundedContext::Opportunities, "097:A.B-1".to_owned()));
        for token in [plain.clone(), ConsistencyToken { stream, ..plain }] {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
    }

    #[test]
    fn malformed_tokens_are_rejected() {
        let id = Uuid::from_u128(7).simple();
        for text in ["", "x", "1.2", &format!("{id}"), &format!("{id}.x"), &format!("{id}.1.opportunities")] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidConsistencyToken), "{text}");
        }
    }
}
