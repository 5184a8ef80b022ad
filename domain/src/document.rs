//! A document: an uploaded file with its extracted text, requirements and analysis.
//!
//! ```text
//! Missing ──upload──▶ Present: Uploaded ──text──▶ Extracted ──requirements──▶ Understood ──analysis──▶ Analysed
//!                       │         a failed stage is recorded until it succeeds            ▲              │
//!                       │                                                                 └──────────────┘
//!                       └──delete, at any stage──▶ Deleted                                  another analysis
//! ```

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;
mod uploaded;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    command::DocumentCommand,
    error::DocumentError,
    event::DocumentEvent,
    uploaded::{DocumentStatus, ProcessingStage, StageFailure, UploadedDocument},
    value::{
        AnalysisReport, DocumentRequirement, DocumentSummary, ExtractionMethod, FailureReason, FileDigest, FileName,
        FitReason, FitScore, LanguageTag, MAX_FILE_BYTES, MAX_FIT_REASONS, MAX_REQUIREMENTS, MAX_RISKS, MediaType,
        ModelName, ObjectKey, RequirementKind, RequirementList, RequirementNumber, RequirementText, RiskText,
        TextExtraction, UploadedFile,
    },
};
use crate::aggregate::aggregate;

/// State of one document, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Document {
    /// No file was uploaded yet.
    #[default]
    Missing,
    /// The file was uploaded and not deleted.
    Present(Box<UploadedDocument>),
    /// The document was deleted and cannot be restored.
    Deleted,
}

impl Document {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`DocumentError`] when the document's state forbids it.
    pub fn decide(&self, command: DocumentCommand) -> Result<Vec<DocumentEvent>, DocumentError> {
        match (self, command) {
            (Self::Missing, DocumentCommand::Upload { upload, stamp }) => {
                Ok(vec![DocumentEvent::Uploaded { upload, stamp }])
            }
            (Self::Missing, _) => Err(DocumentError::NotUploaded),
            (Self::Deleted, DocumentCommand::Delete { .. }) => Ok(vec![]),
            (Self::Deleted, _) => Err(DocumentError::Deleted),
            (Self::Present(_), DocumentCommand::Delete { stamp }) => Ok(vec![DocumentEvent::Deleted { stamp }]),
            (Self::Present(document), command) => document.decide(command),
        }
    }

    /// The uploaded document; `None` before the upload and after the deletion.
    pub fn as_uploaded(&self) -> Option<&UploadedDocument> {
        match self {
            Self::Present(document) => Some(document),
            Self::Missing | Self::Deleted => None,
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: DocumentEvent) {
        *self = match (std::mem::take(self), event) {
            (_, DocumentEvent::Uploaded { upload, .. }) => Self::Present(Box::new(UploadedDocument::new(upload))),
            (_, DocumentEvent::Deleted { .. }) => Self::Deleted,
            (Self::Present(mut document), event) => {
                document.evolve(event);
                Self::Present(document)
            }
            (state @ (Self::Missing | Self::Deleted), _) => state,
        };
    }
}

aggregate!(Document, "document", DocumentCommand, DocumentEvent, DocumentError);
