//! The events of a document.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    uploaded::ProcessingStage,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::AuditStamp;

/// An event of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DocumentEvent {
    /// The file was uploaded.
    Uploaded {
        /// The file.
        upload: UploadedFile,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The text was extracted.
    TextExtracted {
        /// The text.
        text: TextExtraction,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The requirements were extracted.
    RequirementsExtracted {
        /// The requirements.
        requirements: RequirementList,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The document was analysed.
    Analysed {
        /// The analysis.
        analysis: AnalysisReport,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A processing stage failed.
    Failed {
        /// The stage.
        stage: ProcessingStage,
        /// Why it failed.
        reason: FailureReason,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The document was deleted.
    Deleted {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl DomainEvent for DocumentEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Uploaded { .. } => "document.uploaded",
            Self::TextExtracted { .. } => "document.text_extracted",
            Self::RequirementsExtracted { .. } => "document.requirements_extracted",
            Self::Analysed { .. } => "document.analysed",
            Self::Failed { .. } => "document.failed",
            Self::Deleted { .. } => "document.deleted",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Uploaded { .. }
            | Self::TextExtracted { .. }
            | Self::RequirementsExtracted { .. }
            | Self::Analysed { .. }
            | Self::Failed { .. }
            | Self::Deleted { .. } => "1.0",
        }
        .to_owned()
    }
}
