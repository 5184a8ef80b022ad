//! Registering projections with the log that they follow.

use std::sync::Arc;

use domain::event_store::StoreError;

use super::{AnyProjection, ControlError, ProjectionRuntime};

/// Why projections cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The log does not say which one it is.
    #[error("reading which log this is")]
    Log(#[source] StoreError),
    /// What the runtime keeps cannot be written.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl ProjectionRuntime {
    /// Gives each projection its first generation where it has none. A read model begins with the first event of the log;
    /// one that keeps nothing with the next one, so that nobody is told what is long past. Safe to repeat.
    ///
    /// # Errors
    /// [`RegisterError`] when Postgres does not answer.
    pub async fn register_projections(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<(), RegisterError> {
        let incarnation = self.log.incarnation().await.map_err(RegisterError::Log)?;
        let end = self.log.completed_prefix().await.map_err(RegisterError::Log)?;
        for projection in projections {
            if projection.has_read_model() {
                self.control.register_first_generation(projection.name(), incarnation).await?;
            } else {
                self.control.register_stateless(projection.name(), incarnation, end).await?;
            }
        }
        Ok(())
    }
}
