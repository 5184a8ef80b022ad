//! Why a command to a generation is refused.

use crate::{proposal::SectionKey, refusal_code::RefusalCode};

/// Why a command to a generation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalGenerationError {
    /// The id belongs to another generation.
    #[error("another generation was already requested under this id")]
    AlreadyRequested,
    /// The generation was not requested.
    #[error("there is no such generation")]
    NotRequested,
    /// The generation does not include this section.
    #[error("the generation does not include the section {section}")]
    NoSuchSection {
        /// The section's key.
        section: SectionKey,
    },
    /// The section's outcome is recorded.
    #[error("the outcome of the section {section} is already recorded")]
    AlreadyRecorded {
        /// The section's key.
        section: SectionKey,
    },
    /// Sections have no outcome yet.
    #[error("{count} sections are neither generated nor failed")]
    SectionsPending {
        /// The number of such sections.
        count: usize,
    },
    /// All sections have failed.
    #[error("no section was generated")]
    NothingGenerated,
    /// The generation is completed, failed or cancelled.
    #[error("the generation has already ended")]
    AlreadyEnded,
    /// The generation is not completed.
    #[error("only a completed generation can be rated")]
    NotCompleted,
}

impl RefusalCode for ProposalGenerationError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyRequested => "ALREADY_REQUESTED",
            Self::NotRequested => "NOT_FOUND",
            Self::NoSuchSection { .. } => "NO_SUCH_SECTION",
            Self::AlreadyRecorded { .. } => "ALREADY_RECORDED",
            Self::SectionsPending { .. } => "SECTIONS_PENDING",
            Self::NothingGenerated => "NOTHING_GENERATED",
            Self::AlreadyEnded => "OVER",
            Self::NotCompleted => "NOT_COMPLETED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotRequested)
    }
}
