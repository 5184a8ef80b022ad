//! How far the reading of a document has come.

use serde::{Deserialize, Serialize};

use super::{
    command::DocumentCommand,
    error::DocumentError,
    event::DocumentEvent,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::{AuditStamp, vocabulary};

vocabulary!(
    /// A stage of the reading, in their order.
    ProcessingStage, "stage" {
        /// The text is read.
        Text = "text",
        /// What the text asks for is found.
        Requirements = "requirements",
        /// The document is summed up.
        Analysis = "analysis",
    }
);

vocabulary!(
    /// How far a document is.
    DocumentStatus, "status" {
        /// Nothing of it was read yet.
        Uploaded = "uploaded",
        /// Its text was read.
        Extracted = "extracted",
        /// What it asks for was found.
        Understood = "understood",
        /// It was summed up.
        Analysed = "analysed",
        /// A stage failed, and has not succeeded since.
        Failed = "failed",
    }
);

/// A stage that failed, and has not succeeded since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    /// Which stage.
    pub stage: ProcessingStage,
    /// Why.
    pub reason: FailureReason,
}

/// A document that is there, with everything that was read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedDocument {
    /// The file.
    pub upload: UploadedFile,
    /// The text, once it was read.
    pub text: Option<TextExtraction>,
    /// What it asks for, once that was found.
    pub requirements: Option<RequirementList>,
    /// What it comes to, once that was summed up.
    pub analysis: Option<AnalysisReport>,
    /// What failed last, until it succeeds.
    pub failure: Option<StageFailure>,
}

impl UploadedDocument {
    pub(super) fn new(upload: UploadedFile) -> Self {
        Self { upload, text: None, requirements: None, analysis: None, failure: None }
    }

    /// The stage that comes next; `None` when all of it was read.
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

    /// How far it is.
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

    /// Records a stage that runs once: the same outcome again changes nothing, another one is refused.
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

    /// Records an analysis. It replaces an earlier one, since a better model may follow.
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
            // They end or begin a reading, and are no part of it.
            DocumentEvent::Uploaded { .. } | DocumentEvent::Deleted { .. } => {}
        }
    }
}
