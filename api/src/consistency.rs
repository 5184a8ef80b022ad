//! Waiting until a read model contains the change of a consistency token, the same at every edge.

use std::time::Duration;

use metrics::counter;
use projections::runtime::{
    AnyProjection, ConsistencyCheckError, ConsistencyStatus, ConsistencyToken, GenerationMap, ProjectionRuntime,
    ReadModelGeneration,
};

use crate::consistency_wait::ConsistencyWait;

/// Why a read model cannot be queried with a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsistencyError {
    /// The read model has not reached the token in time; the position that it has reached.
    #[error("the change is recorded, but the read model does not contain it yet; try again")]
    Behind(u64),
    /// The token belongs to another log.
    #[error("the token belongs to a log that was replaced by a backup")]
    OtherIncarnation,
    /// The progress of the read model is unknown.
    #[error("reading the progress of the read model")]
    Unavailable(#[source] ConsistencyCheckError),
}

/// Waits until the active generation of `model` has reached the token. Only checks it if the maximum number of queries
/// is already waiting.
pub(crate) async fn wait_until_token_reached(
    runtime: &ProjectionRuntime,
    active: &GenerationMap,
    model: &dyn AnyProjection,
    token: &ConsistencyToken,
    wait: &ConsistencyWait,
) -> Result<(), ConsistencyError> {
    // Most read models have reached the tokens of their queries.
    let checked = check_token(runtime, active, model, token).await;
    let Err(ConsistencyError::Behind(position)) = checked else { return checked };
    let Some(_place) = wait.take_place() else {
        counter!("medhub_consistency_waits_refused_total", "projection" => model.name()).increment(1);
        return Err(ConsistencyError::Behind(position));
    };
    compare_with_token(runtime, active, model, token, wait.timeout()).await
}

/// Checks whether the active generation of `model` has reached the token now.
pub(crate) async fn check_token(
    runtime: &ProjectionRuntime,
    active: &GenerationMap,
    model: &dyn AnyProjection,
    token: &ConsistencyToken,
) -> Result<(), ConsistencyError> {
    compare_with_token(runtime, active, model, token, Duration::ZERO).await
}

async fn compare_with_token(
    runtime: &ProjectionRuntime,
    active: &GenerationMap,
    model: &dyn AnyProjection,
    token: &ConsistencyToken,
    timeout: Duration,
) -> Result<(), ConsistencyError> {
    let generation = active.get(model.name()).copied().unwrap_or(ReadModelGeneration::FIRST);
    match runtime.wait_for_token(model, generation, token, timeout).await {
        Ok(ConsistencyStatus::Reached) => Ok(()),
        Ok(ConsistencyStatus::NotYet { position }) => Err(ConsistencyError::Behind(position)),
        Ok(ConsistencyStatus::OtherIncarnation) => Err(ConsistencyError::OtherIncarnation),
        Err(error) => Err(ConsistencyError::Unavailable(error)),
    }
}
