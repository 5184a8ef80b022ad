//! The commands of a proposal.

use super::{
    section::{ProposalOutline, SectionChange, SectionKey},
    value::{
        CommentId, CommentText, ProposalOutcome, ProposalTitle, ReviewNote, SubmissionConfirmation, WithdrawalReason,
    },
};
use crate::{opportunity::OpportunityId, value::AuditStamp};

/// A command for one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalCommand {
    /// Creates the proposal as a draft.
    Draft {
        /// The opportunity that it answers.
        opportunity_id: OpportunityId,
        /// The proposal's title.
        title: ProposalTitle,
        /// The planned sections.
        outline: ProposalOutline,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Adds a section or replaces its content.
    EditSection {
        /// The section and its new content.
        edit: SectionChange,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Applies the edits of a shared text: all of them or none.
    EditSections {
        /// Each section at most once, with its last author and the time of their edit.
        edits: Vec<(SectionChange, AuditStamp)>,
    },
    /// Removes a section.
    RemoveSection {
        /// The section's key.
        section: SectionKey,
        /// The revision that the caller has seen.
        based_on: u32,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Adds a comment.
    Comment {
        /// The comment's id.
        comment_id: CommentId,
        /// The section it is about; `None` for the whole proposal.
        section: Option<SectionKey>,
        /// The comment's text.
        text: CommentText,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Marks a comment as resolved.
    ResolveComment {
        /// The comment's id.
        comment_id: CommentId,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Submits the proposal for review by another member.
    SubmitForReview {
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Approves the proposal for submission to the agency.
    Approve {
        /// The reviewer's note.
        note: Option<ReviewNote>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Returns the proposal to its authors as a draft.
    Reject {
        /// The reviewer's note.
        note: ReviewNote,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Records that the proposal was submitted to the agency.
    Submit {
        /// The agency's confirmation.
        confirmation: Option<SubmissionConfirmation>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Records the agency's decision.
    RecordOutcome {
        /// The decision.
        outcome: ProposalOutcome,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Withdraws the proposal.
    Withdraw {
        /// Why it is withdrawn.
        reason: WithdrawalReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
