//! Registers projections with the log that they follow.

use std::sync::Arc;

use domain::event_store::StoreError;

use super::{AnyProjection, ControlError, ProjectionRuntime};

/// An error of registering projections.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The log cannot be read.
    #[error("reading the incarnation and the end of the log")]
    Log(#[source] StoreError),
    /// The runtime's tables cannot be written.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl ProjectionRuntime {
    /// Registers the first generation of each projection that has none. A read model starts with the first event of the
    /// log, a forwarding projection with the next event that is recorded, so that it publishes no past events.
    /// Idempotent.
    ///
    /// # Errors
    /// [`RegisterError`] when Postgres does not answer.
    pub async fn register_projections(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<(), RegisterError> {
        let incarnation = self.log.incarnation().await.map_err(RegisterError::Log)?;
        let end = self.log.load_fence().await.map_err(RegisterError::Log)?;
        for projection in projections {
            if projection.has_read_model() {
                self.control.register_first_generation(projection.name(), incarnation).await?;
            } else {
                self.control.register_forwarding(projection.name(), incarnation, end).await?;
            }
        }
        Ok(())
    }
}
