//! The handlers of document tasks: each does one stage of a document and records its result in the document.
//!
//! A result is recorded under an idempotency key of the task, so that another attempt at the task records nothing twice.
//! The process `document-analysis` requests the tasks, and records a failed task in the document.

mod computation;
mod document_analysis;
mod document_record;
mod requirement_extraction;
mod stored_text;
mod text_extraction;

use std::sync::Arc;

use commands::dispatcher::CommandDispatcher;
use documents::ExtractionProcess;
use domain::event_store::AggregateStores;
use objects::ObjectStore;
use task_workers::TaskHandler;

use self::{
    document_analysis::DocumentAnalysisHandler, document_record::DocumentRecord,
    requirement_extraction::RequirementExtractionHandler, stored_text::StoredText,
    text_extraction::TextExtractionHandler,
};
use crate::{ExtractiveAnalyst, RequirementExtractor};

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
}

impl<S: AggregateStores + 'static> DocumentTasks<S> {
    /// Creates the handlers of the kinds whose concurrency is not 0.
    ///
    /// # Errors
    /// [`regex::Error`] never: the patterns are constants that tests compile.
    pub fn create_handlers(self, concurrency: HandlerConcurrency) -> Result<Vec<Arc<dyn TaskHandler>>, regex::Error> {
        let record = DocumentRecord::new(self.dispatcher);
        let texts = StoredText::new(self.objects.clone());
        let mut handlers: Vec<Arc<dyn TaskHandler>> = vec![];
        if concurrency.extract_text > 0 {
            handlers.push(Arc::new(TextExtractionHandler {
                record: record.clone(),
                objects: self.objects,
                texts: texts.clone(),
                extraction: self.extraction,
                concurrency: concurrency.extract_text,
            }));
        }
        if concurrency.extract_requirements > 0 {
            handlers.push(Arc::new(RequirementExtractionHandler {
                record: record.clone(),
                texts: texts.clone(),
                extractor: Arc::new(RequirementExtractor::new()?),
                concurrency: concurrency.extract_requirements,
            }));
        }
        if concurrency.analyse_document > 0 {
            handlers.push(Arc::new(DocumentAnalysisHandler {
                record,
                texts,
                analyst: Arc::new(ExtractiveAnalyst::new()?),
                concurrency: concurrency.analyse_document,
            }));
        }
        Ok(handlers)
    }
}
