//! What the handlers of document tasks have in common.

use domain::{
    document::UploadedDocument,
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use task_workers::{ClaimedTask, TaskFailure, TaskHandler};
use tokio_util::sync::CancellationToken;

use super::{DocumentRecord, document_record::task_result};

/// The task of a stage, and its document.
pub(super) struct StageTask<'a, S> {
    pub(super) task: &'a ClaimedTask,
    pub(super) document: UploadedDocument,
    pub(super) record: &'a DocumentRecord<S>,
    pub(super) cancelled: &'a CancellationToken,
}

/// One stage of the work on a document.
pub(super) trait DocumentWork<S>: Send + Sync + 'static {
    /// The kind of task that asks for it.
    const KIND: TaskKind;

    /// Does the work, and records its result in the document.
    fn work(&self, stage: StageTask<'_, S>) -> impl Future<Output = Result<TaskResult, TaskFailure>> + Send;
}

/// Does the tasks of one stage.
pub(super) struct DocumentTaskHandler<S, W> {
    pub(super) record: DocumentRecord<S>,
    pub(super) work: W,
}

impl<S: AggregateStores + 'static, W: DocumentWork<S>> TaskHandler for DocumentTaskHandler<S, W> {
    const KIND: TaskKind = W::KIND;

    async fn run(&self, task: &ClaimedTask, cancelled: CancellationToken) -> Result<TaskResult, TaskFailure> {
        let Some(document) = self.record.load(task).await? else {
            return task_result("the document was deleted");
        };
        self.work.work(StageTask { task, document, record: &self.record, cancelled: &cancelled }).await
    }
}
