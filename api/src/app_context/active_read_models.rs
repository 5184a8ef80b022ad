//! The read models that queries read: each in the generation that the generation pointer names.

use std::{sync::Arc, time::Duration};

use projections::{
    read_models::{self, ReadModels},
    runtime::{AnyProjection, ControlError, ControlStore, GenerationMap, GenerationPointer},
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

/// Interval of polling the generation pointer while nothing else in this process reads its version: an upper bound of the
/// time during which two processes read different generations. A supervisor of workers reads it more often.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The read models in their active generations, switched together. Cheap to clone; clones share the state.
#[derive(Clone)]
pub struct ActiveReadModels {
    state: Arc<watch::Sender<ActiveState>>,
}

/// The error of a name that is no read model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no read model named {name}; there are {}", read_models::read_model_names().join(", "))]
pub struct UnknownReadModel {
    /// The name.
    pub name: String,
}

/// A consistent pair of pointer and read models.
#[derive(Clone)]
struct ActiveState {
    pointer: Arc<GenerationPointer>,
    models: Arc<ReadModels>,
}

impl ActiveReadModels {
    /// Starts with the first generation of each read model, until the pointer is read.
    pub(super) fn new(models: ReadModels) -> Self {
        Self { state: Arc::new(watch::Sender::new(ActiveState { pointer: Arc::default(), models: Arc::new(models) })) }
    }

    /// Returns a snapshot of all read models. Use one snapshot per request, so that its generations match.
    pub fn current(&self) -> Arc<ReadModels> {
        Arc::clone(&self.state.borrow().models)
    }

    /// Returns a snapshot of all read models, with the pointer that names their generations.
    pub(crate) fn current_with_pointer(&self) -> (Arc<ReadModels>, Arc<GenerationPointer>) {
        let state = self.state.borrow();
        (Arc::clone(&state.models), Arc::clone(&state.pointer))
    }

    /// Returns the named read models, each once; all of them if `names` is empty.
    ///
    /// # Errors
    /// [`UnknownReadModel`] for a name that is no read model.
    pub fn select_read_models(&self, names: &[String]) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
        if let Some(name) = names.iter().find(|name| !read_models::read_model_names().contains(&name.as_str())) {
            return Err(UnknownReadModel { name: name.clone() });
        }
        let mut selected = self.current().read_model_projections();
        selected.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        Ok(selected)
    }

    /// Returns the active generations.
    pub fn active_generations(&self) -> GenerationMap {
        self.state.borrow().pointer.generations.clone()
    }

    /// Reads the generation pointer and switches if it has changed.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer; the active generations stay as they are.
    pub async fn refresh_pointer(&self, control: &ControlStore) -> Result<(), ControlError> {
        self.apply_pointer(&control.load_pointer().await?);
        Ok(())
    }

    fn apply_pointer(&self, pointer: &GenerationPointer) {
        self.state.send_if_modified(|state| {
            let moved = state.pointer.version < pointer.version;
            if moved {
                let models = Arc::new(state.models.with_generations(pointer));
                *state = ActiveState { pointer: Arc::new(pointer.clone()), models };
            }
            moved
        });
    }

    /// Follows the generation pointer until `stop` is cancelled. Where workers run, their supervisor reads the version
    /// more often than this would, and the pointer is read when that has changed.
    pub async fn follow_pointer(self, control: ControlStore, stop: CancellationToken) {
        let mut versions = control.subscribe_pointer_version();
        let mut may_be_outdated = true;
        loop {
            if may_be_outdated && let Err(error) = self.refresh_pointer(&control).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "generation pointer unavailable");
            }
            may_be_outdated = tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = versions.changed() => *versions.borrow_and_update() > self.pointer_version(),
                () = sleep(POLL_INTERVAL) => true,
            };
        }
    }

    fn pointer_version(&self) -> u64 {
        self.state.borrow().pointer.version
    }
}
