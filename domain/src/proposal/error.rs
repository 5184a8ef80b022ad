//! Why a command on a proposal is refused.

use super::value::LifecyclePhase;

/// A business reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// It was begun with other words.
    #[error("the proposal was begun already")]
    AlreadyDrafted,
    /// Nobody has begun it.
    #[error("there is no such proposal")]
    NotDrafted,
    /// It is in another phase than the command needs.
    #[error("the proposal is {phase}, and would have to be {needed}")]
    WrongPhase {
        /// The phase it is in.
        phase: LifecyclePhase,
        /// The phase it would have to be in.
        needed: LifecyclePhase,
    },
    /// Others have changed the section since it was read.
    #[error("the section was changed by others: its revision is {current}")]
    StaleSection {
        /// Its revision now; 0 where it is not there.
        current: u32,
    },
    /// It has as many sections as a proposal may.
    #[error("the proposal has as many sections as it may")]
    TooManySections,
    /// It has as many comments as a proposal may.
    #[error("the proposal has as many comments as it may")]
    TooManyComments,
    /// It has no such section.
    #[error("there is no such section")]
    NoSuchSection,
    /// It has no such comment.
    #[error("there is no such comment")]
    NoSuchComment,
    /// The id belongs to another comment.
    #[error("the comment id is taken")]
    CommentIdTaken,
    /// No section says anything.
    #[error("nothing is written yet")]
    NothingToReview,
    /// Who wants a review cannot be the one who decides it.
    #[error("somebody else has to review it")]
    OwnReview,
    /// The agency has decided otherwise, or at all.
    #[error("the agency has decided already")]
    AlreadyDecided,
}
