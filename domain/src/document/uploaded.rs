//! The state of an uploaded document: file, processing results and the last failure.

use serde::{Deserialize, Serialize};

use super::{
    command::DocumentCommand,
    error::DocumentError,
    event::DocumentEvent,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::{AuditStamp, vocabulary};

vocabulary!(
    /// The processing stages, in their order.
    ProcessingStage, "stage" {
        /// The text is extracted.
        Text = "text",
        /// The requirements in the text are extracted.
        Requirements = "requirements",
        /// The document is analysed.
        Analysis = "analysis",
    }
);

vocabulary!(
    /// The processing status of a document.
    DocumentStatus, "status" {
        /// No stage is complete.
        Uploaded = "uploaded",
        /// The text is extracted.
        Extracted = "extracted",
        /// The requirements are extracted.
        Understood = "understood",
        /// The document is analysed; all stages are complete.
        Analysed = "analysed",
        /// The last stage that ran failed.
        Failed = "failed",
    }
);

/// A failure of a stage that has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    /// The stage.
    pub stage: ProcessingStage,
    /// Why it failed.
    pub reason: FailureReason,
}

/// An uploaded document with the results of its processing stages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedDocument {
    /// The file.
    pub upload: UploadedFile,
    /// The text, once extracted.
    pub text: Option<TextExtraction>,
    /// The requirements, once extracted.
    pub requirements: Option<RequirementList>,
    /// The analysis, once recorded.
    pub analysis: Option<AnalysisReport>,
    /// The last failure, until a stage succeeds.
    pub failure: Option<StageFailure>,
}

impl UploadedDocument {
    pub(super) fn new(upload: UploadedFile) -> Self {
        Self { upload, text: None, requirements: None, analysis: None, failure: None }
    }

    /// The next stage; `None` when all are complete.
    pub fn next_stage(&self) -> Option<ProcessingStage> {
        if self.text.is_none() {
            Some(ProcessingStage::Text)
        } else if self.requirements.is_none() {
            Some(ProcessingStage::Requirements)
        } else if self.analysis.is_none() {
            Some(ProcessingStage::Analysis)
        } else {
            None
        }
    }

    /// The processing status.
    pub fn status(&self) -> DocumentStatus {
        match self.next_stage() {
            _ if self.failure.is_some() => DocumentStatus::Failed,
            Some(ProcessingStage::Text) => DocumentStatus::Uploaded,
            Some(ProcessingStage::Requirements) => DocumentStatus::Extracted,
            Some(ProcessingStage::Analysis) => DocumentStatus::Understood,
            None => DocumentStatus::Analysed,
        }
    }

    pub(super) fn decide(&self, command: DocumentCommand) -> Result<Vec<DocumentEvent>, DocumentError> {
        match command {
            DocumentCommand::Upload { upload, .. } if upload == self.upload => Ok(vec![]),
            DocumentCommand::Upload { .. } => Err(DocumentError::AlreadyUploaded),
            DocumentCommand::RecordText { text, stamp } => {
                let event = |text| DocumentEvent::TextExtracted { text, stamp };
                self.record_stage(ProcessingStage::Text, self.text.as_ref(), text, event)
            }
            DocumentCommand::RecordRequirements { requirements, stamp } => {
                let event = |requirements| DocumentEvent::RequirementsExtracted { requirements, stamp };
                self.record_stage(ProcessingStage::Requirements, self.requirements.as_ref(), requirements, event)
            }
            DocumentCommand::RecordAnalysis { analysis, stamp } => self.record_analysis(analysis, stamp),
            DocumentCommand::RecordFailure { stage, reason, stamp } => match self.next_stage() {
                Some(next) if next == stage => Ok(vec![DocumentEvent::Failed { stage, reason, stamp }]),
                Some(_) | None => Err(DocumentError::OutOfOrder { next: self.next_stage() }),
            },
            DocumentCommand::Delete { stamp } => Ok(vec![DocumentEvent::Deleted { stamp }]),
        }
    }

    /// Records a stage that runs once: a repetition with the same outcome changes nothing, another outcome is refused.
    fn record_stage<T: PartialEq>(
        &self,
        stage: ProcessingStage,
        known: Option<&T>,
        outcome: T,
        event: impl FnOnce(T) -> DocumentEvent,
    ) -> Result<Vec<DocumentEvent>, DocumentError> {
        match known {
            Some(known) if *known == outcome => Ok(vec![]),
            Some(_) => Err(DocumentError::AlreadyDone { stage }),
            None if self.next_stage() == Some(stage) => Ok(vec![event(outcome)]),
            None => Err(DocumentError::OutOfOrder { next: self.next_stage() }),
        }
    }

    /// Records an analysis. It replaces an earlier one, since a better model may analyse the document again.
    fn record_analysis(
        &self,
        analysis: AnalysisReport,
        stamp: AuditStamp,
    ) -> Result<Vec<DocumentEvent>, DocumentError> {
        match (&self.analysis, self.next_stage()) {
            (Some(known), _) if *known == analysis => Ok(vec![]),
            (Some(_), _) | (None, Some(ProcessingStage::Analysis)) => {
                Ok(vec![DocumentEvent::Analysed { analysis, stamp }])
            }
            (None, next) => Err(DocumentError::OutOfOrder { next }),
        }
    }

    pub(super) fn evolve(&mut self, event: DocumentEvent) {
        self.failure = None;
        match event {
            DocumentEvent::TextExtracted { text, .. } => self.text = Some(text),
            DocumentEvent::RequirementsExtracted { requirements, .. } => self.requirements = Some(requirements),
            DocumentEvent::Analysed { analysis, .. } => self.analysis = Some(analysis),
            DocumentEvent::Failed { stage, reason, .. } => self.failure = Some(StageFailure { stage, reason }),
            // `Document::evolve` handles both: they replace the whole state.
            DocumentEvent::Uploaded { .. } | DocumentEvent::Deleted { .. } => {}
        }
    }
}
