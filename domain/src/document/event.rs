//! The events of a document.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{
    uploaded::ProcessingStage,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::{event_version::event_versions, value::AuditStamp};

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

event_versions! {
    DocumentEvent {
        Uploaded => "document.uploaded", "1.0";
        TextExtracted => "document.text_extracted", "1.0";
        // Version 1.1 has more kinds of requirement.
        RequirementsExtracted => "document.requirements_extracted", "1.1", from "1.0" by |_| {};
        // Version 1.1 has the reasons for the fit score.
        Analysed => "document.analysed", "1.1", from "1.0" by |_| {};
        Failed => "document.failed", "1.0";
        Deleted => "document.deleted", "1.0";
    }
}
