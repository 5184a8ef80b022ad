//! The values of a document.

mod analysis;
mod file;
mod requirement;

use crate::value::{is_prose, text_value};

pub use self::{
    analysis::{AnalysisReport, DocumentSummary, FitReason, FitScore, MAX_FIT_REASONS, MAX_RISKS, ModelName, RiskText},
    file::{
        ExtractionMethod, FileDigest, FileName, LanguageTag, MAX_FILE_BYTES, MediaType, ObjectKey, TextExtraction,
        UploadedFile,
    },
    requirement::{
        DocumentRequirement, MAX_REQUIREMENTS, RequirementKind, RequirementList, RequirementNumber, RequirementText,
    },
};

text_value!(
    /// Why a processing stage failed.
    FailureReason, "reason", max 2_000, is_prose, "text"
);
