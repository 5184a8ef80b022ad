//! Starts the part that works on tasks.

use std::{sync::Arc, time::Duration};

use api::app_context::AppContext;
use document_analysis::DocumentTasks;
use documents::{ExtractionConfig, ExtractionFolder, ExtractionFolderError, ExtractionProcess, ExtractionProgram};
use domain::{task::WorkerName, value::InvalidValue};
use language_models::ProviderConfigError;
use task_workers::WorkerPool;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    generation_work,
    part_supervisor::{PartSupervisor, ShutdownStage},
    resource_reader::TenantResourceReader,
};
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
    /// The child process that reads a file cannot be confined, and the settings require it.
    #[error("confining the process that reads files: {0}")]
    Unconfined(String),
    /// The settings of a provider of generated texts are invalid.
    #[error("setting up the providers of generated texts")]
    Providers(#[source] ProviderConfigError),
    /// The worker's name is invalid: a defect of this program.
    #[error("naming the worker")]
    WorkerName(#[source] InvalidValue),
}

/// Starts the part that works on the kinds of task whose concurrency is not 0.
///
/// # Errors
/// [`TaskWorkError`] when the folder for copies of files or a provider cannot be used.
pub(super) fn start(app: &AppContext, config: &MedhubConfig, parts: &mut PartSupervisor) -> Result<(), TaskWorkError> {
    let concurrency = config.work.concurrency();
    let mut extraction = ExtractionProcess::new(ExtractionProgram::current(), config.extraction.clone());
    if concurrency.extract_text > 0 {
        check_confinement(&config.extraction)?;
        let folder = ExtractionFolder::open(&config.extraction).map_err(TaskWorkError::Folder)?;
        if folder.removed_folders() > 0 {
            tracing::info!(
                folders = folder.removed_folders(),
                "removed copies of files that other processes have left"
            );
        }
        extraction = extraction.with_folder(folder);
    }
    let documents = DocumentTasks {
        dispatcher: Arc::clone(&app.dispatcher),
        objects: app.objects.clone(),
        extraction,
        resources: Arc::new(TenantResourceReader { read_models: app.read_models.clone() }),
    };
    let mut handlers = documents.create_handlers(concurrency).map_err(TaskWorkError::Patterns)?;
    if config.work.generate_proposal > 0 {
        handlers.push(generation_work::create_handler(app, config)?);
    }
    if handlers.is_empty() {
        return Ok(());
    }
    // No other worker has this name, even on a machine or in a container of the same name.
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

/// Warns if the process that reads files cannot be confined, or refuses if the settings require it.
fn check_confinement(extraction: &ExtractionConfig) -> Result<(), TaskWorkError> {
    for status in documents::check_confinement() {
        let Some(problem) = status.problem else { continue };
        if extraction.require_confinement {
            return Err(TaskWorkError::Unconfined(problem));
        }
        tracing::warn!(means = status.name, problem, "files are read with less confinement");
    }
    Ok(())
}
