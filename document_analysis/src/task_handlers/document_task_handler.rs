//! What the handlers of document tasks have in common.

use domain::{
    document::UploadedDocument,
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use futures::{FutureExt as _, future::BoxFuture};
use task_workers::{ClaimedTask, TaskFailure, TaskHandler};
use tokio_util::sync::CancellationToken;

use super::{DocumentRecord, document_record::task_result};

/// One stage of the work on a document.
pub(super) trait DocumentWork<S>: Send + Sync {
    /// The kind of task that asks for it.
    const KIND: TaskKind;

    /// Does the work, and records its result in the document.
    fn work(
        &self,
        task: &ClaimedTask,
        document: UploadedDocument,
        record: &DocumentRecord<S>,
        cancelled: &CancellationToken,
    ) -> impl Future<Output = Result<TaskResult, TaskFailure>> + Send;
}

/// Does the tasks of one stage.
pub(super) struct DocumentTaskHandler<S, W> {
    pub(super) record: DocumentRecord<S>,
    pub(super) work: W,
    pub(super) concurrency: usize,
}

impl<S: AggregateStores, W: DocumentWork<S>> DocumentTaskHandler<S, W> {
    async fn run_stage(&self, task: &ClaimedTask, cancelled: CancellationToken) -> Result<TaskResult, TaskFailure> {
        match self.record.load(task).await? {
            Some(document) => self.work.work(task, document, &self.record, &cancelled).await,
            None => task_result("the document was deleted"),
        }
    }
}

impl<S: AggregateStores + 'static, W: DocumentWork<S>> TaskHandler for DocumentTaskHandler<S, W> {
    fn kind(&self) -> TaskKind {
        W::KIND
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn run<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>> {
        self.run_stage(task, cancelled).boxed()
    }
}
