//! Finds the requirements in a document's text.

use std::sync::Arc;

use domain::{
    document::{DocumentCommand, LanguageTag},
    event_store::AggregateStores,
    task::{TaskKind, TaskResult},
};
use task_workers::TaskFailure;

use super::{
    StoredText,
    computation::compute,
    document_record::task_result,
    document_task_handler::{DocumentWork, StageTask},
    stored_text::LoadedText,
};
use crate::{AnalysisBudget, ExtractedRequirements, RequirementExtractor, language_name::describe_foreign_language};

/// The work of the kind `extract_requirements`.
pub(super) struct RequirementExtraction {
    pub(super) texts: StoredText,
    pub(super) extractor: Arc<RequirementExtractor>,
}

impl<S: AggregateStores> DocumentWork<S> for RequirementExtraction {
    const KIND: TaskKind = TaskKind::ExtractRequirements;

    async fn work(&self, stage: StageTask<'_, S>) -> Result<TaskResult, TaskFailure> {
        let StageTask { task, document, record, cancelled } = stage;
        if document.requirements.is_some() {
            return task_result("the requirements were already extracted");
        }
        let loaded = self.texts.read(task, &document).await?;
        let extractor = Arc::clone(&self.extractor);
        let extract = move |budget: &AnalysisBudget| {
            // With its memory, which is reserved until the computation ends.
            let LoadedText { text, _memory } = &loaded;
            extractor.extract(text, budget)
        };
        let extracted = compute(cancelled, extract).await?;
        let ExtractedRequirements { list: requirements, is_complete } = extracted;
        let rest = if is_complete { "" } else { "; the list is incomplete, because the document has more" };
        let language = document.text.as_ref().and_then(|text| text.language.as_ref());
        let note = describe_foreign_language(language.map(LanguageTag::as_str));
        let note = note.map_or_else(String::new, |note| format!(". {note}"));
        let outcome = format!("{} requirements{rest}{note}", requirements.iter().len());
        record.record(task, |stamp| DocumentCommand::RecordRequirements { requirements, stamp }).await?;
        task_result(&outcome)
    }
}
