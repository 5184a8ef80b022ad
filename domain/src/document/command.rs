//! The commands of a document.

use super::{
    uploaded::ProcessingStage,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::AuditStamp;

/// A command for one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentCommand {
    /// Records the uploaded file.
    Upload {
        /// The file.
        upload: UploadedFile,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Records the extracted text.
    RecordText {
        /// The text.
        text: TextExtraction,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Records the requirements found in the text.
    RecordRequirements {
        /// The requirements.
        requirements: RequirementList,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Records the analysis of the document.
    RecordAnalysis {
        /// The analysis.
        analysis: AnalysisReport,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Records that the next processing stage failed.
    RecordFailure {
        /// The stage that failed.
        stage: ProcessingStage,
        /// Why it failed.
        reason: FailureReason,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Deletes the document for good.
    Delete {
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
