//! Starts the part that works on tasks.

use std::{sync::Arc, time::Duration};

use api::app_context::AppContext;
use document_analysis::DocumentTasks;
use documents::{ExtractionProcess, ExtractionProgram};
use domain::{task::WorkerName, value::InvalidValue};
use task_workers::WorkerPool;
use tokio::time::sleep;
use uuid::Uuid;

use super::part_supervisor::{PartSupervisor, ShutdownStage};
use crate::config::MedhubConfig;

/// How much longer than the drain timeout the part may take to end.
const END_GRACE: Duration = Duration::from_secs(1);

/// Why work on tasks cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TaskWorkError {
    /// The patterns of the analysis are invalid: a defect of this program.
    #[error("compiling the patterns of the analysis")]
    Patterns(#[source] regex::Error),
    /// The worker's name is invalid: a defect of this program.
    #[error("naming the worker")]
    WorkerName(#[source] InvalidValue),
}

/// Starts the part that works on the kinds of task whose concurrency is not 0.
///
/// # Errors
/// [`TaskWorkError`] never but by a defect of this program.
pub(super) fn start(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) -> Result<(), TaskWorkError> {
    let documents = DocumentTasks {
        dispatcher: Arc::clone(&app.dispatcher),
        objects: app.objects.clone(),
        extraction: ExtractionProcess::new(ExtractionProgram::current(), config.extraction.clone()),
    };
    let handlers = documents.create_handlers(config.work.concurrency()).map_err(TaskWorkError::Patterns)?;
    if handlers.is_empty() {
        return Ok(());
    }
    // No other worker has this name, whatever its machine or container is called.
    let name = WorkerName::try_new(&format!("medhub-{}", Uuid::new_v4())).map_err(TaskWorkError::WorkerName)?;
    let (queue, dispatcher) = (app.task_queue.clone(), Arc::clone(&app.dispatcher));
    let pool = WorkerPool::new(queue, dispatcher, name, handlers, config.work.pool());
    let drain_timeout = config.work.drain_timeout();
    let limit = drain_timeout + END_GRACE;
    parts.spawn_part_with_timeout(ShutdownStage::Workers, "the work on tasks", limit, |stop| async move {
        let overdue = async {
            stop.cancelled().await;
            sleep(drain_timeout).await;
        };
        tokio::select! {
            () = pool.run(stop.clone()) => {}
            () = overdue => {
                tracing::warn!("tasks in progress are left to other workers, which take them over when the leases end");
            }
        }
        Ok(())
    });
    Ok(())
}
