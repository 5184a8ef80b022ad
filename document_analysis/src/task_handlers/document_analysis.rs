//! Analyses a document: its summary and its risks.

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
use crate::{AnalysisBudget, EXTRACTIVE_MODEL, ExtractiveAnalyst};

/// Does tasks of the kind `analyse_document`.
pub(super) struct DocumentAnalysisHandler<S> {
    pub(super) record: DocumentRecord<S>,
    pub(super) texts: StoredText,
    pub(super) analyst: Arc<ExtractiveAnalyst>,
    pub(super) concurrency: usize,
}

impl<S: AggregateStores + 'static> TaskHandler for DocumentAnalysisHandler<S> {
    fn kind(&self) -> TaskKind {
        TaskKind::AnalyseDocument
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn run<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>> {
        self.analyse_document(task, cancelled).boxed()
    }
}

impl<S: AggregateStores> DocumentAnalysisHandler<S> {
    async fn analyse_document(
        &self,
        task: &ClaimedTask,
        cancelled: CancellationToken,
    ) -> Result<TaskResult, TaskFailure> {
        let Some(document) = self.record.load(task).await? else { return task_result("the document was deleted") };
        let text = self.texts.read(task, &document).await?;
        let Some(requirements) = document.requirements else {
            return Err(TaskFailure::never("the requirements of the document were not extracted"));
        };
        let language = document.text.and_then(|text| text.language);
        let (analyst, now) = (Arc::clone(&self.analyst), self.record.now());
        let work = move |budget: &AnalysisBudget| {
            let language = language.as_ref().map(domain::document::LanguageTag::as_str);
            analyst.analyse(&text, &requirements, language, now, budget)
        };
        let analysis = compute(&cancelled, work).await?;
        let outcome = format!("summary and {} risks by {EXTRACTIVE_MODEL}", analysis.risks.len());
        self.record.record(task, |stamp| DocumentCommand::RecordAnalysis { analysis, stamp }).await?;
        task_result(&outcome)
    }
}
