//! Why a command to a proposal is refused.

use super::value::LifecyclePhase;
use crate::refusal_code::RefusalCode;

/// Why a command to a proposal is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// The id belongs to a proposal with another opportunity, title or outline.
    #[error("another proposal was already drafted under this id")]
    AlreadyDrafted,
    /// The proposal was not drafted.
    #[error("there is no such proposal")]
    NotDrafted,
    /// The proposal is in another phase than the command requires.
    #[error("the proposal is in phase {phase}; the command requires phase {needed}")]
    WrongPhase {
        /// The current phase.
        phase: LifecyclePhase,
        /// The required phase.
        needed: LifecyclePhase,
    },
    /// The section has another revision than the caller has seen.
    #[error("the section has changed since it was read: its revision is {current}")]
    StaleSection {
        /// The current revision; 0 if there is no such section.
        current: u32,
    },
    /// The proposal has the maximum number of sections.
    #[error("the proposal has the maximum number of sections")]
    TooManySections,
    /// The proposal has the maximum number of comments.
    #[error("the proposal has the maximum number of comments")]
    TooManyComments,
    /// The proposal has no section with this key.
    #[error("there is no such section")]
    NoSuchSection,
    /// The proposal has no comment with this id.
    #[error("there is no such comment")]
    NoSuchComment,
    /// The id belongs to another comment.
    #[error("the comment id is taken")]
    CommentIdTaken,
    /// No section has content.
    #[error("the proposal has no content to review")]
    NothingToReview,
    /// The reviewer is the user who submitted the proposal for review.
    #[error("the author cannot review the proposal; another member has to")]
    OwnReview,
    /// The agency's decision is recorded.
    #[error("the agency's decision is already recorded")]
    AlreadyDecided,
}

impl RefusalCode for ProposalError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyDrafted => "ALREADY_DRAFTED",
            Self::NotDrafted => "NOT_FOUND",
            Self::WrongPhase { .. } => "WRONG_PHASE",
            Self::StaleSection { .. } => "STALE_SECTION",
            Self::TooManySections => "TOO_MANY_SECTIONS",
            Self::TooManyComments => "TOO_MANY_COMMENTS",
            Self::NoSuchSection => "NO_SUCH_SECTION",
            Self::NoSuchComment => "NO_SUCH_COMMENT",
            Self::CommentIdTaken => "COMMENT_ID_TAKEN",
            Self::NothingToReview => "NOTHING_TO_REVIEW",
            Self::OwnReview => "OWN_REVIEW",
            Self::AlreadyDecided => "ALREADY_DECIDED",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotDrafted)
    }
}
