//! How far the reading of a document has come.

use serde::{Deserialize, Serialize};

use super::{
    command::DocumentCommand,
    error::DocumentError,
    event::DocumentEvent,
    value::{Analysis, Extraction, FailureReason, Requirements, Upload},
};
use crate::value::{Stamp, vocabulary};

vocabulary!(
    /// A stage of the reading, in their order.
    Stage, "stage" {
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
pub struct Failure {
    /// Which stage.
    pub stage: Stage,
    /// Why.
    pub reason: FailureReason,
}

/// A document that is there, with everything that was read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The file.
    pub upload: Upload,
    /// The text, once it was read.
    pub text: Option<Extraction>,
    /// What it asks for, once that was found.
    pub requirements: Option<Requirements>,
    /// What it comes to, once that was summed up.
    pub analysis: Option<Analysis>,
    /// What failed last, until it succeeds.
    pub failure: Option<Failure>,
}

impl Reading {
    pub(super) fn of(upload: Upload) -> Self {
        Self { upload, text: None, requirements: None, analysis: None, failure: None }
    }

    /// The stage that comes next; `None` when all of it was read.
    pub fn next(&self) -> Option<Stage> {
        if self.text.is_none() {
            Some(Stage::Text)
        } else if self.requirements.is_none() {
            Some(Stage::Requirements)
        } else if self.analysis.is_none() {
            Some(Stage::Analysis)
        } else {
            None
        }
    }

    /// How far it is.
    pub fn status(&self) -> DocumentStatus {
        match self.next() {
            _ if self.failure.is_some() => DocumentStatus::Failed,
            Some(Stage::Text) => DocumentStatus::Uploaded,
            Some(Stage::Requirements) => DocumentStatus::Extracted,
            Some(Stage::Analysis) => DocumentStatus::Understood,
            None => DocumentStatus::Analysed,
        }
    }

    pub(super) fn decide(&self, command: DocumentCommand) -> Result<Vec<DocumentEvent>, DocumentError> {
        match command {
            DocumentCommand::Upload { upload, .. } if upload == self.upload => Ok(vec![]),
            DocumentCommand::Upload { .. } => Err(DocumentError::AlreadyUploaded),
            DocumentCommand::RecordText { text, stamp } => {
                let event = |text| DocumentEvent::TextExtracted { text, stamp };
                self.once(Stage::Text, self.text.as_ref(), text, event)
            }
            DocumentCommand::RecordRequirements { requirements, stamp } => {
                let event = |requirements| DocumentEvent::RequirementsExtracted { requirements, stamp };
                self.once(Stage::Requirements, self.requirements.as_ref(), requirements, event)
            }
            DocumentCommand::RecordAnalysis { analysis, stamp } => self.analyse(analysis, stamp),
            DocumentCommand::RecordFailure { stage, reason, stamp } => match self.next() {
                Some(next) if next == stage => Ok(vec![DocumentEvent::Failed { stage, reason, stamp }]),
                Some(_) | None => Err(DocumentError::OutOfOrder { next: self.next() }),
            },
            DocumentCommand::Delete { stamp } => Ok(vec![DocumentEvent::Deleted { stamp }]),
        }
    }

    /// A stage that is done once: the same again changes nothing, another outcome is refused.
    fn once<T: PartialEq>(
        &self,
        stage: Stage,
        known: Option<&T>,
        outcome: T,
        event: impl FnOnce(T) -> DocumentEvent,
    ) -> Result<Vec<DocumentEvent>, DocumentError> {
        match known {
            Some(known) if *known == outcome => Ok(vec![]),
            Some(_) => Err(DocumentError::AlreadyDone { stage }),
            None if self.next() == Some(stage) => Ok(vec![event(outcome)]),
            None => Err(DocumentError::OutOfOrder { next: self.next() }),
        }
    }

    /// A better model may come later, so that an analysis replaces an earlier one.
    fn analyse(&self, analysis: Analysis, stamp: Stamp) -> Result<Vec<DocumentEvent>, DocumentError> {
        match (&self.analysis, self.next()) {
            (Some(known), _) if *known == analysis => Ok(vec![]),
            (Some(_), _) | (None, Some(Stage::Analysis)) => Ok(vec![DocumentEvent::Analysed { analysis, stamp }]),
            (None, next) => Err(DocumentError::OutOfOrder { next }),
        }
    }

    pub(super) fn evolve(&mut self, event: DocumentEvent) {
        self.failure = None;
        match event {
            DocumentEvent::TextExtracted { text, .. } => self.text = Some(text),
            DocumentEvent::RequirementsExtracted { requirements, .. } => self.requirements = Some(requirements),
            DocumentEvent::Analysed { analysis, .. } => self.analysis = Some(analysis),
            DocumentEvent::Failed { stage, reason, .. } => self.failure = Some(Failure { stage, reason }),
            // They end or begin a reading, and are no part of it.
            DocumentEvent::Uploaded { .. } | DocumentEvent::Deleted { .. } => {}
        }
    }
}
