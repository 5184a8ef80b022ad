//! Analyses a document: its summary and its risks.

use std::sync::Arc;

use domain::{
    company::RegisteredCompany,
    document::{DocumentCommand, LanguageTag},
    error_chain::format_error_chain,
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use task_workers::{ClaimedTask, TaskFailure};

use super::{
    DocumentRecord, StoredText,
    computation::compute,
    document_record::task_result,
    document_task_handler::{DocumentWork, StageTask},
    stored_text::LoadedText,
};
use crate::{
    AnalysisBudget, CompanyQualifications, EXTRACTIVE_MODEL, ExtractiveAnalyst, ResourceReader,
    fit::read_resource_texts,
};

/// After this number of failed attempts a document is analysed without its company's resources, rather than not at all.
const ATTEMPTS_WITH_RESOURCES: u32 = 3;

/// The work of the kind `analyse_document`.
pub(super) struct ExtractiveAnalysis {
    pub(super) texts: StoredText,
    pub(super) analyst: Arc<ExtractiveAnalyst>,
    pub(super) resources: Arc<dyn ResourceReader>,
}

impl<S: AggregateStores> DocumentWork<S> for ExtractiveAnalysis {
    const KIND: TaskKind = TaskKind::AnalyseDocument;

    async fn work(&self, stage: StageTask<'_, S>) -> Result<TaskResult, TaskFailure> {
        let StageTask { task, document, record, cancelled } = stage;
        let loaded = self.texts.read(task, &document).await?;
        let Some(requirements) = document.requirements else {
            return Err(TaskFailure::never("the requirements of the document were not extracted"));
        };
        let language = document.text.and_then(|text| text.language);
        let (analyst, now) = (Arc::clone(&self.analyst), record.now());
        let company = self.read_company(task, record).await?;
        let computation = move |budget: &AnalysisBudget| {
            let language = language.as_ref().map(LanguageTag::as_str);
            // With its memory, which is reserved until the computation ends.
            let LoadedText { text, _memory } = &loaded;
            analyst.analyse(text, &requirements, &company, language, now, budget)
        };
        let analysis = compute(cancelled, computation).await?;
        let outcome = format!("summary and {} risks by {EXTRACTIVE_MODEL}", analysis.risks.len());
        record.record(task, |stamp| DocumentCommand::RecordAnalysis { analysis, stamp }).await?;
        task_result(&outcome)
    }
}

impl ExtractiveAnalysis {
    /// The company that the document belongs to, as it is now.
    async fn read_company<S: AggregateStores>(
        &self,
        task: &ClaimedTask,
        record: &DocumentRecord<S>,
    ) -> Result<CompanyQualifications, TaskFailure> {
        let company = record.load_company(task).await?;
        let profile = company.as_registered().map(RegisteredCompany::profile);
        match read_resource_texts(&self.resources, &task.tenant_id).await {
            Ok(texts) => Ok(CompanyQualifications::new(profile, Some(texts))),
            Err(error) => {
                tracing::warn!(
                    task.id = task.task_id,
                    reason = format_error_chain(&error),
                    "resources of a company not read"
                );
                if task.failures < ATTEMPTS_WITH_RESOURCES {
                    return Err(TaskFailure::later("the resources of the company cannot be read now"));
                }
                Ok(CompanyQualifications::new(profile, None))
            }
        }
    }
}
