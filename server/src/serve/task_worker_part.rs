//! Starts the part that works on tasks.

use std::{sync::Arc, time::Duration};

use api::app_context::AppContext;
use document_analysis::DocumentTasks;
use documents::{ExtractionFolder, ExtractionFolderError, ExtractionProcess, ExtractionProgram};
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
    /// There is no folder for copies of files.
    #[error("preparing the folder for copies of files that are read")]
    Folder(#[source] ExtractionFolderError),
    /// The worker's name is invalid: a defect of this program.
    #[error("naming the worker")]
    WorkerName(#[source] InvalidValue),
}

/// Starts the part that works on the kinds of task whose concurrency is not 0.
///
/// # Errors
/// [`TaskWorkError`] when the folder for copies of files cannot be used.
pub(super) fn start(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) -> Result<(), TaskWorkError> {
    let concurrency = config.work.concurrency();
    let mut extraction = ExtractionProcess::new(ExtractionProgram::current(), config.extraction.clone());
    if concurrency.extract_text > 0 {
        let folder = ExtractionFolder::open(&config.extraction).map_err(TaskWorkError::Folder)?;
        if folder.removed_folders() > 0 {
            tracing::info!(
                folders = folder.removed_folders(),
                "removed copies of files that other processes have left"
            );
        }
        extraction = extraction.with_folder(folder);
    }
    let documents = DocumentTasks { dispatcher: Arc::clone(&app.dispatcher), objects: app.objects.clone(), extraction };
    let handlers = documents.create_handlers(concurrency).map_err(TaskWorkError::Patterns)?;
    if handlers.is_empty() {
        return Ok(());
    }
    // No other worker has this name, whatever its machine or container is called.
    let name = WorkerName::try_new(&format!("medhub-{}", Uuid::new_v4())).map_err(TaskWorkError::WorkerName)?;
    let (queue, dispatcher) = (app.task_queue.clone(), Arc::clone(&app.dispatcher));
    let pool = WorkerPool::new(queue, dispatcher, name, handlers, config.work.pool());
    let drain_timeout = config.work.drain_timeout();
    let limit = drain_timeout + END_GRACE;
    // With the queue, and before the relay stops, which publishes how the tasks ended.
    parts.spawn_part_with_timeout(ShutdownStage::Edges, "the work on tasks", limit, |stop| async move {
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
