//! Finds the requirements in a document's text.

use std::sync::Arc;

use domain::{
    document::DocumentCommand,
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use futures::{FutureExt as _, future::BoxFuture};
use task_workers::{ClaimedTask, TaskFailure, TaskHandler};
use tokio_util::sync::CancellationToken;

use super::{DocumentRecord, StoredText, computation::compute, document_record::task_result};
use crate::{ExtractedRequirements, RequirementExtractor};

/// Does tasks of the kind `extract_requirements`.
pub(super) struct RequirementExtractionHandler<S> {
    pub(super) record: DocumentRecord<S>,
    pub(super) texts: StoredText,
    pub(super) extractor: Arc<RequirementExtractor>,
    pub(super) concurrency: usize,
}

impl<S: AggregateStores + 'static> TaskHandler for RequirementExtractionHandler<S> {
    fn kind(&self) -> TaskKind {
        TaskKind::ExtractRequirements
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn run<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>> {
        self.extract_requirements(task, cancelled).boxed()
    }
}

impl<S: AggregateStores> RequirementExtractionHandler<S> {
    async fn extract_requirements(
        &self,
        task: &ClaimedTask,
        cancelled: CancellationToken,
    ) -> Result<TaskResult, TaskFailure> {
        let Some(document) = self.record.load(task).await? else { return task_result("the document was deleted") };
        if document.requirements.is_some() {
            return task_result("the requirements were already extracted");
        }
        let text = self.texts.read(task, &document).await?;
        let extractor = Arc::clone(&self.extractor);
        let extracted = compute(&cancelled, move |budget| extractor.extract(&text, budget)).await?;
        let ExtractedRequirements { list: requirements, is_complete } = extracted;
        let rest = if is_complete { "" } else { "; the list is incomplete, because the document has more" };
        let outcome = format!("{} requirements{rest}", requirements.iter().len());
        self.record.record(task, |stamp| DocumentCommand::RecordRequirements { requirements, stamp }).await?;
        task_result(&outcome)
    }
}
