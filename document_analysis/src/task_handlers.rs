//! The handlers of document tasks: each does one stage of a document and records its result in the document.
//!
//! A result is recorded under an idempotency key of the task, so that another attempt at the task records nothing twice.
//! The process `document-analysis` requests the tasks, and records a failed task in the document.

mod computation;
mod document_record;
mod document_task_handler;
mod extractive_analysis;
mod requirement_extraction;
mod stored_text;
mod text_extraction;

use std::sync::Arc;

use commands::dispatcher::CommandDispatcher;
use documents::ExtractionProcess;
use domain::event_store::AggregateStores;
use objects::ObjectStore;
use task_workers::PooledHandler;

use self::{
    document_record::DocumentRecord,
    document_task_handler::{DocumentTaskHandler, DocumentWork},
    extractive_analysis::ExtractiveAnalysis,
    requirement_extraction::RequirementExtraction,
    stored_text::StoredText,
    text_extraction::DocumentTextExtraction,
};
use crate::{ExtractiveAnalyst, RequirementExtractor, ResourceReader};

/// How many tasks of each kind one program works on at the same time; with 0 it leaves them to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerConcurrency {
    /// Extractions of text, each with a child process.
    pub extract_text: usize,
    /// Extractions of requirements.
    pub extract_requirements: usize,
    /// Analyses.
    pub analyse_document: usize,
}

/// What the handlers of document tasks share.
pub struct DocumentTasks<S> {
    /// Dispatches the commands that record results.
    pub dispatcher: Arc<CommandDispatcher<S>>,
    /// Files and texts of documents.
    pub objects: ObjectStore,
    /// Extracts texts.
    pub extraction: ExtractionProcess,
    /// Reads the resources of companies, to compare documents with them.
    pub resources: Arc<dyn ResourceReader>,
}

impl<S: AggregateStores + 'static> DocumentTasks<S> {
    /// Creates the handlers of the kinds whose concurrency is not 0.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub fn create_handlers(self, concurrency: HandlerConcurrency) -> Result<Vec<PooledHandler>, regex::Error> {
        let record = DocumentRecord::new(self.dispatcher);
        let texts = StoredText::new(self.objects.clone());
        let mut handlers = vec![];
        if concurrency.extract_text > 0 {
            let work =
                DocumentTextExtraction { objects: self.objects, texts: texts.clone(), extraction: self.extraction };
            handlers.push(create_handler(&record, work, concurrency.extract_text));
        }
        if concurrency.extract_requirements > 0 {
            let extractor = Arc::new(RequirementExtractor::new()?);
            let work = RequirementExtraction { texts: texts.clone(), extractor };
            handlers.push(create_handler(&record, work, concurrency.extract_requirements));
        }
        if concurrency.analyse_document > 0 {
            let analyst = Arc::new(ExtractiveAnalyst::new()?);
            let work = ExtractiveAnalysis { texts, analyst, resources: self.resources };
            handlers.push(create_handler(&record, work, concurrency.analyse_document));
        }
        Ok(handlers)
    }
}

fn create_handler<S: AggregateStores + 'static>(
    record: &DocumentRecord<S>,
    work: impl DocumentWork<S>,
    concurrency: usize,
) -> PooledHandler {
    PooledHandler::new(Arc::new(DocumentTaskHandler { record: record.clone(), work }), concurrency)
}
