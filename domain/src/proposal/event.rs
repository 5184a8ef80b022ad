//! The events of a proposal.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{
    section::{ProposalOutline, SectionKey},
    value::{
        CommentId, CommentText, ProposalOutcome, ProposalTitle, ReviewNote, SectionContent, SectionHeading,
        SubmissionConfirmation, WithdrawalReason,
    },
};
use crate::{event_version::event_versions, opportunity::OpportunityId, value::AuditStamp};

/// An event of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProposalEvent {
    /// The proposal was created as a draft.
    Drafted {
        /// The opportunity that it answers.
        opportunity_id: OpportunityId,
        /// The proposal's title.
        title: ProposalTitle,
        /// The planned sections.
        outline: ProposalOutline,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A section was added or its content replaced.
    SectionEdited {
        /// The section's key.
        section: SectionKey,
        /// The new heading.
        heading: SectionHeading,
        /// The new content.
        content: SectionContent,
        /// The new revision.
        revision: u32,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A section was removed.
    SectionRemoved {
        /// The section's key.
        section: SectionKey,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A comment was added.
    Commented {
        /// The comment's id.
        comment_id: CommentId,
        /// The section it is about; `None` for the whole proposal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        section: Option<SectionKey>,
        /// The comment's text.
        text: CommentText,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A comment was resolved.
    CommentResolved {
        /// The comment's id.
        comment_id: CommentId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The proposal was submitted for review.
    SubmittedForReview {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The proposal was approved for submission to the agency.
    Approved {
        /// The reviewer's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<ReviewNote>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The proposal was returned to its authors.
    Rejected {
        /// The reviewer's note.
        note: ReviewNote,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The proposal was submitted to the agency.
    Submitted {
        /// The agency's confirmation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmation: Option<SubmissionConfirmation>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The agency's decision was recorded.
    Decided {
        /// The decision.
        outcome: ProposalOutcome,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The proposal was withdrawn.
    Withdrawn {
        /// Why it was withdrawn.
        reason: WithdrawalReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    ProposalEvent {
        Drafted => "proposal.drafted", "1.0";
        SectionEdited => "proposal.section_edited", "1.0";
        SectionRemoved => "proposal.section_removed", "1.0";
        Commented => "proposal.commented", "1.0";
        CommentResolved => "proposal.comment_resolved", "1.0";
        SubmittedForReview => "proposal.submitted_for_review", "1.0";
        Approved => "proposal.approved", "1.0";
        Rejected => "proposal.rejected", "1.0";
        Submitted => "proposal.submitted", "1.0";
        Decided => "proposal.decided", "1.0";
        Withdrawn => "proposal.withdrawn", "1.0";
    }
}
