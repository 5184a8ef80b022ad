//! The read models as readers see them: each in the generation that the one pointer names.

use std::{sync::Arc, time::Duration};

use projections::{
    catalog::{self, ReadModels},
    runtime::{AnyProjection, Control, ControlError, Generations, Pointer},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the pointer has moved: the longest time for which two processes may show different
/// generations.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Read models that change their generation together. Cheap to clone; clones change, too.
#[derive(Clone)]
pub struct LiveModels {
    shown: Arc<watch::Sender<Shown>>,
}

/// A name that no projection has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no projection named {name}; there are {}", catalog::NAMES.join(", "))]
pub struct UnknownProjection {
    /// The name.
    pub name: String,
}

/// A name that no read model has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no read model named {name}; there are {}", catalog::KEPT.join(", "))]
pub struct UnknownReadModel {
    /// The name.
    pub name: String,
}

/// What is shown, all of one moment.
#[derive(Clone)]
struct Shown {
    pointer: Pointer,
    models: Arc<ReadModels>,
}

impl LiveModels {
    /// The first generation of each, until the pointer was read.
    pub(super) fn new(models: ReadModels) -> Self {
        Self { shown: Arc::new(watch::Sender::new(Shown { pointer: Pointer::default(), models: Arc::new(models) })) }
    }

    /// All read models of one moment: who uses one answer for a whole request sees no mixture.
    pub fn now(&self) -> Arc<ReadModels> {
        Arc::clone(&self.shown.borrow().models)
    }

    /// All read models of one moment, and their generations.
    pub(crate) fn of_now(&self) -> (Arc<ReadModels>, Generations) {
        let shown = self.shown.borrow();
        (Arc::clone(&shown.models), shown.pointer.generations.clone())
    }

    /// The projection of that name.
    ///
    /// # Errors
    /// [`UnknownProjection`] for a name that none has.
    pub fn named(&self, name: &str) -> Result<Arc<dyn AnyProjection>, UnknownProjection> {
        let found = self.now().all().into_iter().find(|projection| projection.name() == name);
        found.ok_or_else(|| UnknownProjection { name: name.to_owned() })
    }

    /// The read models that are named, each once; all of them where none is.
    ///
    /// # Errors
    /// [`UnknownReadModel`] for a name that none has.
    pub fn kept(&self, names: &[String]) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
        if let Some(name) = names.iter().find(|name| !catalog::KEPT.contains(&name.as_str())) {
            return Err(UnknownReadModel { name: name.clone() });
        }
        let mut kept = self.now().kept();
        kept.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        Ok(kept)
    }

    /// The generations that are shown.
    pub fn generations(&self) -> Generations {
        self.shown.borrow().pointer.generations.clone()
    }

    /// Looks where the pointer is.
    ///
    /// # Errors
    /// [`ControlError`] when Postgres does not answer; what was shown is shown further.
    pub async fn refresh(&self, control: &Control) -> Result<(), ControlError> {
        self.show(&control.pointer().await?);
        Ok(())
    }

    fn show(&self, pointer: &Pointer) {
        self.shown.send_if_modified(|shown| {
            let moved = shown.pointer.version < pointer.version;
            if moved {
                *shown = Shown { pointer: pointer.clone(), models: Arc::new(shown.models.at(pointer)) };
            }
            moved
        });
    }

    /// Follows the pointer until told to stop.
    pub(crate) async fn follow(self, control: Control, stop: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh(&control).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the live generations are not known");
            }
        }
    }
}
