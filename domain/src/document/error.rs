//! Why a command on a document is refused.

use super::uploaded::ProcessingStage;

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Nobody has uploaded it.
    #[error("there is no such document")]
    NotUploaded,
    /// It is there and is another file.
    #[error("another file was uploaded as this document already")]
    AlreadyUploaded,
    /// That stage of the reading had another outcome already.
    #[error("the stage {stage} is done already, with another outcome")]
    AlreadyDone {
        /// Which stage.
        stage: ProcessingStage,
    },
    /// Another stage of the reading comes first.
    #[error("the reading is not that far: {}", .next.map_or("all of it is done", ProcessingStage::name))]
    OutOfOrder {
        /// The stage that comes next; `None` when all of it was read.
        next: Option<ProcessingStage>,
    },
    /// It was deleted, and that is for good.
    #[error("the document was deleted")]
    Deleted,
}
