//! What has happened to a proposal.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{
    section::{ProposalOutline, SectionKey},
    value::{
        CommentId, CommentText, ProposalOutcome, ProposalTitle, ReviewNote, SectionContent, SectionHeading,
        SubmissionConfirmation, WithdrawalReason,
    },
};
use crate::{opportunity::OpportunityId, value::AuditStamp};

/// Something that happened to a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProposalEvent {
    /// It was begun.
    Drafted {
        /// The opportunity it is to win.
        opportunity_id: OpportunityId,
        /// What it is called.
        title: ProposalTitle,
        /// The sections that are planned.
        outline: ProposalOutline,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A section was written or rewritten.
    SectionEdited {
        /// Which section.
        section: SectionKey,
        /// What it is called from then on.
        heading: SectionHeading,
        /// What it says from then on.
        content: SectionContent,
        /// Its revision from then on.
        revision: u32,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A section was taken out.
    SectionRemoved {
        /// Which section.
        section: SectionKey,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Somebody remarked something.
    Commented {
        /// Which remark.
        comment_id: CommentId,
        /// The section it is about; the whole proposal where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        section: Option<SectionKey>,
        /// What it says.
        text: CommentText,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// A remark was dealt with.
    CommentResolved {
        /// Which remark.
        comment_id: CommentId,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// Somebody else was asked to look at it.
    SubmittedForReview {
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It may be handed in.
    Approved {
        /// What the reviewer said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<ReviewNote>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It has to be written further.
    Rejected {
        /// What the reviewer said.
        note: ReviewNote,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// It was handed in.
    Submitted {
        /// How the agency confirmed that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmation: Option<SubmissionConfirmation>,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The agency decided.
    Decided {
        /// How.
        outcome: ProposalOutcome,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
    /// The company gave it up.
    Withdrawn {
        /// Why.
        reason: WithdrawalReason,
        /// Who did it, and when.
        stamp: AuditStamp,
    },
}

impl DomainEvent for ProposalEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Drafted { .. } => "proposal.drafted",
            Self::SectionEdited { .. } => "proposal.section_edited",
            Self::SectionRemoved { .. } => "proposal.section_removed",
            Self::Commented { .. } => "proposal.commented",
            Self::CommentResolved { .. } => "proposal.comment_resolved",
            Self::SubmittedForReview { .. } => "proposal.submitted_for_review",
            Self::Approved { .. } => "proposal.approved",
            Self::Rejected { .. } => "proposal.rejected",
            Self::Submitted { .. } => "proposal.submitted",
            Self::Decided { .. } => "proposal.decided",
            Self::Withdrawn { .. } => "proposal.withdrawn",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Drafted { .. }
            | Self::SectionEdited { .. }
            | Self::SectionRemoved { .. }
            | Self::Commented { .. }
            | Self::CommentResolved { .. }
            | Self::SubmittedForReview { .. }
            | Self::Approved { .. }
            | Self::Rejected { .. }
            | Self::Submitted { .. }
            | Self::Decided { .. }
            | Self::Withdrawn { .. } => "1.0",
        }
        .to_owned()
    }
}
