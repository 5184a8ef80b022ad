//! What a proposal is made of.

use serde::{Deserialize, Serialize};

use crate::{
    opportunity::UsdCents,
    value::{is_prose, text_value, uuid_id, vocabulary},
};

uuid_id!(
    /// A remark about a proposal.
    CommentId, "comment id"
);

text_value!(
    /// What a proposal is called.
    ProposalTitle, "title", max 300, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a section is called.
    SectionHeading, "heading", max 300, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// What a section says.
    SectionContent, "content", max 100_000, is_prose, "text"
);

text_value!(
    /// What somebody remarks.
    CommentText, "comment", max 5_000, is_prose, "text"
);

text_value!(
    /// What a reviewer says.
    ReviewNote, "review", max 5_000, is_prose, "text"
);

text_value!(
    /// How an agency confirmed that a proposal was handed in.
    SubmissionConfirmation, "confirmation", max 500, |c| !c.is_control(), "text on one line"
);

text_value!(
    /// Why a company gave a proposal up.
    WithdrawalReason, "reason", max 2_000, is_prose, "text"
);

text_value!(
    /// Why an agency decided as it did.
    DecisionReason, "reason", max 2_000, is_prose, "text"
);

vocabulary!(
    /// How far a proposal is.
    LifecyclePhase, "phase" {
        /// Nobody has begun it.
        Unwritten = "unwritten",
        /// It is written.
        Draft = "draft",
        /// Somebody else looks at it.
        InReview = "in_review",
        /// It may be handed in.
        Approved = "approved",
        /// It was handed in.
        Submitted = "submitted",
        /// The agency chose it.
        Won = "won",
        /// The agency chose another, or none.
        Lost = "lost",
        /// The company gave it up.
        Withdrawn = "withdrawn",
    }
);

vocabulary!(
    /// How an agency decided.
    AgencyDecision, "verdict" {
        /// For the proposal.
        Won = "won",
        /// Against it.
        Lost = "lost",
    }
);

/// How an agency decided about a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalOutcome {
    /// For it or against it.
    pub verdict: AgencyDecision,
    /// What the contract is worth, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<UsdCents>,
    /// Why it was decided so, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DecisionReason>,
}
