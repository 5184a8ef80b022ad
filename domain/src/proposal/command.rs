//! What can be asked of a proposal.

use super::{
    section::{Edit, Outline, SectionKey},
    value::{CommentId, CommentText, Confirmation, Outcome, ProposalTitle, ReviewNote, WithdrawalReason},
};
use crate::{opportunity::OpportunityId, value::Stamp};

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
        outline: Outline,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Write or rewrite a section.
    EditSection {
        /// Which, and what it is to be.
        edit: Edit,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Take over what several people wrote together: all of it, or nothing.
    EditTogether {
        /// Each section at most once, with who wrote it last, and when.
        edits: Vec<(Edit, Stamp)>,
    },
    /// Take a section out.
    RemoveSection {
        /// Which section.
        section: SectionKey,
        /// The revision that they saw.
        based_on: u32,
        /// Who wishes it, and when.
        stamp: Stamp,
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
        stamp: Stamp,
    },
    /// Note that a remark was dealt with.
    ResolveComment {
        /// Which remark.
        comment_id: CommentId,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Ask somebody else to look at it.
    SubmitForReview {
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Let it be handed in.
    Approve {
        /// What the reviewer says.
        note: Option<ReviewNote>,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Have it written further.
    Reject {
        /// What the reviewer says.
        note: ReviewNote,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Note that it was handed in.
    Submit {
        /// How the agency confirmed that.
        confirmation: Option<Confirmation>,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Note how the agency decided.
    RecordOutcome {
        /// How.
        outcome: Outcome,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
    /// Give it up.
    Withdraw {
        /// Why.
        reason: WithdrawalReason,
        /// Who wishes it, and when.
        stamp: Stamp,
    },
}
