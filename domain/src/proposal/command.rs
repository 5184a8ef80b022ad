//! What can be asked of a proposal.

use super::{
    section::{ProposalOutline, SectionChange, SectionKey},
    value::{
        CommentId, CommentText, ProposalOutcome, ProposalTitle, ReviewNote, SubmissionConfirmation, WithdrawalReason,
    },
};
use crate::{opportunity::OpportunityId, value::AuditStamp};

/// A wish about one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalCommand {
    /// Begin it.
    Draft {
        /// The opportunity it is to win.
        opportunity_id: OpportunityId,
        /// What it is called.
        title: ProposalTitle,
        /// The sections that are planned.
        outline: ProposalOutline,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Write or rewrite a section.
    EditSection {
        /// Which, and what it is to be.
        edit: SectionChange,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Take over what several people wrote together: all of it, or nothing.
    EditSections {
        /// Each section at most once, with who wrote it last, and when.
        edits: Vec<(SectionChange, AuditStamp)>,
    },
    /// Take a section out.
    RemoveSection {
        /// Which section.
        section: SectionKey,
        /// The revision that they saw.
        based_on: u32,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Remark something.
    Comment {
        /// Which remark.
        comment_id: CommentId,
        /// The section it is about; the whole proposal where none is named.
        section: Option<SectionKey>,
        /// What it says.
        text: CommentText,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Note that a remark was dealt with.
    ResolveComment {
        /// Which remark.
        comment_id: CommentId,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Ask somebody else to look at it.
    SubmitForReview {
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Let it be handed in.
    Approve {
        /// What the reviewer says.
        note: Option<ReviewNote>,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Have it written further.
    Reject {
        /// What the reviewer says.
        note: ReviewNote,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Note that it was handed in.
    Submit {
        /// How the agency confirmed that.
        confirmation: Option<SubmissionConfirmation>,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Note how the agency decided.
    RecordOutcome {
        /// How.
        outcome: ProposalOutcome,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// Give it up.
    Withdraw {
        /// Why.
        reason: WithdrawalReason,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
