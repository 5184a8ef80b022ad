//! The values of a proposal.

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::UsdCents,
    value::{is_prose, text_value, uuid_id, vocabulary},
};

uuid_id!(
    /// The id of a comment.
    CommentId, "comment id"
);

text_value!(
    /// A proposal's title.
    ProposalTitle, "title", max 300, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A section's heading.
    SectionHeading, "heading", max 300, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// A section's content.
    SectionContent, "content", max 100_000, is_prose, "text"
);

text_value!(
    /// A comment's text.
    CommentText, "comment", max 5_000, is_prose, "text"
);

text_value!(
    /// A reviewer's note.
    ReviewNote, "review", max 5_000, is_prose, "text"
);

text_value!(
    /// An agency's confirmation of a submission.
    SubmissionConfirmation, "confirmation", max 500, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// Why a company withdrew a proposal.
    WithdrawalReason, "reason", max 2_000, is_prose, "text"
);

text_value!(
    /// Why an agency decided for or against a proposal.
    DecisionReason, "reason", max 2_000, is_prose, "text"
);

vocabulary!(
    /// The phase of a proposal.
    LifecyclePhase, "phase" {
        /// No draft exists.
        Unwritten = "unwritten",
        /// Members edit it.
        Draft = "draft",
        /// Another member reviews it.
        InReview = "in_review",
        /// It may be submitted to the agency.
        Approved = "approved",
        /// It was submitted to the agency.
        Submitted = "submitted",
        /// The agency accepted it.
        Won = "won",
        /// The agency accepted another proposal, or none.
        Lost = "lost",
        /// The company withdrew it.
        Withdrawn = "withdrawn",
    }
);

vocabulary!(
    /// An agency's decision about a proposal.
    AgencyDecision, "verdict" {
        /// The agency accepted the proposal.
        Won = "won",
        /// The agency did not accept it.
        Lost = "lost",
    }
);

/// An agency's decision with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalOutcome {
    /// The decision.
    pub verdict: AgencyDecision,
    /// The contract's value, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<UsdCents>,
    /// The agency's reason, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DecisionReason>,
}
