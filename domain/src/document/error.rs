//! Why a command to a document is refused.

use super::uploaded::ProcessingStage;
use crate::refusal_code::RefusalCode;

/// Why a command to a document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document was not uploaded.
    #[error("there is no such document")]
    NotUploaded,
    /// The id belongs to a document with another file.
    #[error("another file was already uploaded under this id")]
    AlreadyUploaded,
    /// The stage is complete with another outcome.
    #[error("the stage {stage} is already complete with another outcome")]
    AlreadyDone {
        /// The stage.
        stage: ProcessingStage,
    },
    /// The stage is not the next one.
    #[error("wrong processing stage: next is {}", .next.map_or("none, all are complete", ProcessingStage::name))]
    OutOfOrder {
        /// The next stage; `None` when all are complete.
        next: Option<ProcessingStage>,
    },
    /// The document was deleted and cannot be restored.
    #[error("the document was deleted")]
    Deleted,
}

impl RefusalCode for DocumentError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NotUploaded => "NOT_FOUND",
            Self::AlreadyUploaded => "ALREADY_UPLOADED",
            Self::AlreadyDone { .. } => "ALREADY_DONE",
            Self::OutOfOrder { .. } => "OUT_OF_ORDER",
            Self::Deleted => "DELETED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotUploaded | Self::Deleted)
    }
}
