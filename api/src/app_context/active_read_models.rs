//! The read models as readers see them: each in the generation that the one pointer names.

use std::{sync::Arc, time::Duration};

use projections::{
    read_models::{self, ReadModels},
    runtime::{AnyProjection, ControlError, ControlStore, GenerationMap, GenerationPointer},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the pointer has moved: the longest time for which two processes may show different
/// generations.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Read models that change their generation together. Cheap to clone; clones change, too.
#[derive(Clone)]
pub struct ActiveReadModels {
    state: Arc<watch::Sender<ActiveState>>,
}

/// A name that no projection has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no projection named {name}; there are {}", read_models::PROJECTION_NAMES.join(", "))]
pub struct UnknownProjection {
    /// The name.
    pub name: String,
}

/// A name that no read model has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no read model named {name}; there are {}", read_models::READ_MODEL_NAMES.join(", "))]
pub struct UnknownReadModel {
    /// The name.
    pub name: String,
}

/// What is shown, all of one moment.
#[derive(Clone)]
struct ActiveState {
    pointer: GenerationPointer,
    models: Arc<ReadModels>,
}

impl ActiveReadModels {
    /// The first generation of each, until the pointer was read.
    pub(super) fn new(models: ReadModels) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(ActiveState {
                pointer: GenerationPointer::default(),
                models: Arc::new(models),
            })),
        }
    }

    /// All read models of one moment: who uses one answer for a whole request sees no mixture.
    pub fn current(&self) -> Arc<ReadModels> {
        Arc::clone(&self.state.borrow().models)
    }

    /// All read models of one moment, and their generations.
    pub(crate) fn current_with_generations(&self) -> (Arc<ReadModels>, GenerationMap) {
        let shown = self.state.borrow();
        (Arc::clone(&shown.models), shown.pointer.generations.clone())
    }

    /// The projection of that name.
    ///
    /// # Errors
    /// [`UnknownProjection`] for a name that none has.
    pub fn find_projection(&self, name: &str) -> Result<Arc<dyn AnyProjection>, UnknownProjection> {
        let found = self.current().all_projections().into_iter().find(|projection| projection.name() == name);
        found.ok_or_else(|| UnknownProjection { name: name.to_owned() })
    }

    /// The read models that are named, each once; all of them where none is.
    ///
    /// # Errors
    /// [`UnknownReadModel`] for a name that none has.
    pub fn select_read_models(&self, names: &[String]) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
        if let Some(name) = names.iter().find(|name| !read_models::READ_MODEL_NAMES.contains(&name.as_str())) {
            return Err(UnknownReadModel { name: name.clone() });
        }
        let mut kept = self.current().read_model_projections();
        kept.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        Ok(kept)
    }

    /// The generations that are shown.
    pub fn active_generations(&self) -> GenerationMap {
        self.state.borrow().pointer.generations.clone()
    }

    /// Looks where the pointer is.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer; what was shown is shown further.
    pub async fn refresh_pointer(&self, control: &ControlStore) -> Result<(), ControlError> {
        self.apply_pointer(&control.load_pointer().await?);
        Ok(())
    }

    fn apply_pointer(&self, pointer: &GenerationPointer) {
        self.state.send_if_modified(|shown| {
            let moved = shown.pointer.version < pointer.version;
            if moved {
                *shown =
                    ActiveState { pointer: pointer.clone(), models: Arc::new(shown.models.with_generations(pointer)) };
            }
            moved
        });
    }

    /// Follows the pointer until told to stop.
    pub(crate) async fn follow_pointer(self, control: ControlStore, stop: CancellationToken) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh_pointer(&control).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the live generations are not known");
            }
        }
    }
}
