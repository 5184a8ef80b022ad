//! The events of a generation.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::{
    draft::{GeneratedDraft, ModelUse},
    request::GenerationRequest,
    value::{GenerationReason, RatingNote, UserRating},
};
use crate::{
    event_version::event_versions,
    proposal::{SectionHeading, SectionKey},
    value::AuditStamp,
};

/// An event of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProposalGenerationEvent {
    /// The generation was requested.
    Requested {
        /// What is to be generated.
        request: GenerationRequest,
        /// Who requested it, and when.
        stamp: AuditStamp,
    },
    /// A section was generated.
    SectionGenerated {
        /// The section's key.
        section: SectionKey,
        /// The section's heading.
        heading: SectionHeading,
        /// The text with its sources.
        draft: GeneratedDraft,
        /// The provider and model that generated it, and what they used.
        model: ModelUse,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// No provider could write a section.
    SectionFailed {
        /// The section's key.
        section: SectionKey,
        /// Why not.
        reason: GenerationReason,
        /// Cost of the attempt that gave up, in millionths of a US dollar; 0 in events of version 1.0.
        #[serde(default)]
        cost_micros: u64,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The generation was completed.
    Completed {
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The generation failed.
    Failed {
        /// Why.
        reason: GenerationReason,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The generation was cancelled.
    Cancelled {
        /// Why.
        reason: GenerationReason,
        /// Who cancelled it, and when.
        stamp: AuditStamp,
    },
    /// A member rated the completed generation; the last rating counts.
    Rated {
        /// The rating.
        rating: UserRating,
        /// The member's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<RatingNote>,
        /// Who rated it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    ProposalGenerationEvent {
        Requested => "proposal_generation.requested", "1.0";
        SectionGenerated => "proposal_generation.section_generated", "1.0";
        SectionFailed => "proposal_generation.section_failed", "1.1", from "1.0" by |fields| {
            // Version 1.0 has no cost.
            fields.insert("cost_micros".to_owned(), 0.into());
        };
        Completed => "proposal_generation.completed", "1.0";
        Failed => "proposal_generation.failed", "1.0";
        Cancelled => "proposal_generation.cancelled", "1.0";
        Rated => "proposal_generation.rated", "1.0";
    }
}
