//! What can be asked of a document.

use super::{
    uploaded::ProcessingStage,
    value::{AnalysisReport, FailureReason, RequirementList, TextExtraction, UploadedFile},
};
use crate::value::AuditStamp;

/// A wish about one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentCommand {
    /// Take it in.
    Upload {
        /// The file.
        upload: UploadedFile,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Its text was read.
    RecordText {
        /// The text.
        text: TextExtraction,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// What it asks for was found.
    RecordRequirements {
        /// What it asks for.
        requirements: RequirementList,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// It was summed up.
    RecordAnalysis {
        /// What it comes to.
        analysis: AnalysisReport,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// The next stage of the reading failed.
    RecordFailure {
        /// Which stage.
        stage: ProcessingStage,
        /// Why.
        reason: FailureReason,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// Do away with it for good.
    Delete {
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
