//! Read your own writes: a token says how far a read model must be, and is compared with how far it is.

use std::{fmt, str::FromStr, time::Duration};

use domain::{context::BoundedContext, partition::partition_for_key};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{AnyProjection, ControlError, Generation, ProjectionRuntime, consumer::total_partitions};

/// First pause between two looks; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(3);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// How far a reader wants a read model to be: the event at a position of a log, and all that matters before it.
///
/// With the event's stream in it only the partition that the stream travels on has to be as far; without, every
/// partition has, and those where nothing happens say so only now and then (`relay.beacon_ms`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// Which log.
    pub incarnation: Uuid,
    /// The position in it.
    pub position: u64,
    /// The stream of the event there.
    pub stream: Option<(BoundedContext, String)>,
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the consistency token is not one of ours")]
pub struct InvalidConsistencyToken;

/// Whether a read model is as far as a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsistencyStatus {
    /// It is.
    Reached,
    /// Not within the time that was given; it is at this position.
    NotYet {
        /// Up to here everything is in it.
        position: u64,
    },
    /// The token is of another log: this one was put back from a backup since.
    OtherIncarnation,
}

/// Why it is not known how far a read model is.
#[derive(Debug, thiserror::Error)]
pub enum ConsistencyCheckError {
    /// Checkpoints cannot be read.
    #[error("reading how far a read model is")]
    Control(#[from] ControlError),
    /// The broker does not say how many partitions there are.
    #[error("asking the broker for partitions")]
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
    /// Up to which position everything is taken in by a generation, parked events included.
    ///
    /// # Errors
    /// [`ConsistencyCheckError`] when it cannot be told.
    pub async fn completed_prefix(
        &self,
        projection: &dyn AnyProjection,
        generation: Generation,
    ) -> Result<u64, ConsistencyCheckError> {
        let partitions =
            self.partition_counts(projection).await.map_err(|error| ConsistencyCheckError::Kafka(error.into()))?;
        let checkpoint = self.control.load_checkpoint(projection.name(), generation).await?;
        Ok(checkpoint.completed_prefix(total_partitions(&partitions)))
    }

    /// Waits until a generation is as far as a token says, for `patience` at most.
    ///
    /// # Errors
    /// [`ConsistencyCheckError`] when it cannot be told how far it is.
    pub async fn wait_for_token(
        &self,
        projection: &dyn AnyProjection,
        generation: Generation,
        token: &ConsistencyToken,
        patience: Duration,
    ) -> Result<ConsistencyStatus, ConsistencyCheckError> {
        if self.control.load_generation(projection.name(), generation).await?.incarnation != token.incarnation {
            return Ok(ConsistencyStatus::OtherIncarnation);
        }
        if token.stream.as_ref().is_some_and(|(context, _)| !projection.subscribed_contexts().contains(context)) {
            // Nothing of it is ever shown here.
            return Ok(ConsistencyStatus::Reached);
        }
        let partitions =
            self.partition_counts(projection).await.map_err(|error| ConsistencyCheckError::Kafka(error.into()))?;
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let checkpoint = self.control.load_checkpoint(projection.name(), generation).await?;
            let position = if let Some((context, aggregate_id)) = &token.stream {
                let topic = context.topic(&self.config.topic_prefix);
                let partition = partition_for_key(aggregate_id, partitions.get(&topic).copied().unwrap_or_default());
                checkpoint.0.get(&(topic, partition)).map_or(0, |mark| mark.position)
            } else {
                checkpoint.completed_prefix(total_partitions(&partitions))
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
    fn a_token_comes_back_as_it_went() {
        let plain = ConsistencyToken { incarnation: Uuid::from_u128(7), position: 42, stream: None };
        let stream = Some((BoundedContext::Opportunities, "097:A.B-1".to_owned()));
        for token in [plain.clone(), ConsistencyToken { stream, ..plain }] {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let id = Uuid::from_u128(7).simple();
        for text in ["", "x", "1.2", &format!("{id}"), &format!("{id}.x"), &format!("{id}.1.opportunities")] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidConsistencyToken), "{text}");
        }
    }
}
