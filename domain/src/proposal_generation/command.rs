//! The commands of a generation.

use super::{
    draft::{GeneratedDraft, ModelUse},
    request::GenerationRequest,
    value::{GenerationReason, RatingNote, UserRating},
};
use crate::{proposal::SectionKey, value::AuditStamp};

/// A command for one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalGenerationCommand {
    /// Requests the generation.
    Request {
        /// What is to be generated.
        request: GenerationRequest,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Records the text of a section.
    RecordSection {
        /// The section's key.
        section: SectionKey,
        /// The text with its sources.
        draft: GeneratedDraft,
        /// The provider and model that generated it, and what they used.
        model: ModelUse,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Records that no provider could write a section.
    RecordSectionFailure {
        /// The section's key.
        section: SectionKey,
        /// Why not.
        reason: GenerationReason,
        /// Cost of the attempt that gives up, in millionths of a US dollar.
        cost_micros: u64,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Ends the generation after its last section.
    Complete {
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Ends the generation without success.
    Fail {
        /// Why.
        reason: GenerationReason,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Cancels the generation.
    Cancel {
        /// Why.
        reason: GenerationReason,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// Rates the completed generation.
    Rate {
        /// The rating.
        rating: UserRating,
        /// The member's note.
        note: Option<RatingNote>,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
