//! What has happened to a document.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    uploaded::ProcessingStage,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::AuditStamp;

/// Something that happened to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DocumentEvent {
    /// It was taken in.
    Uploaded {
        /// The file.
        upload: UploadedFile,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Its text was read.
    TextExtracted {
        /// The text.
        text: TextExtraction,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// What it asks for was found.
    RequirementsExtracted {
        /// What it asks for.
        requirements: RequirementList,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It was summed up.
    Analysed {
        /// What it comes to.
        analysis: AnalysisReport,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A stage of the reading failed.
    Failed {
        /// Which stage.
        stage: ProcessingStage,
        /// Why.
        reason: FailureReason,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// It was deleted.
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
