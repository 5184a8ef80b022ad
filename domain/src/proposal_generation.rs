//! The generation of a proposal: sections that a provider of texts writes from the company's own sources.
//!
//! ```text
//! Unrequested ──request──▶ Running ──complete──▶ Completed ──rate──┐
//!                           │ ▲ │                    ▲             │
//!        section generated, │ │ │                    └─────────────┘
//!        section failed     └─┘ ├──fail────▶ Failed
//!                               └──cancel──▶ Cancelled
//! ```
//!
//! The sections are recorded one by one, each once, so that another attempt asks no provider for what is recorded. The
//! generation does not change its proposal: who carries it out writes the sections there.

mod command;
mod draft;
mod error;
mod event;
mod generation_task;
mod request;
mod requested;
mod section_plan;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    command::ProposalGenerationCommand,
    draft::{
        GeneratedDraft, GeneratedSentence, MAX_DRAFT_CHARACTERS, MAX_SENTENCES, MAX_SOURCES, ModelUse, SourceReference,
    },
    error::ProposalGenerationError,
    event::ProposalGenerationEvent,
    generation_task::{GENERATION_PARAMETER, ReservedTaskError, check_requested_task, find_generation_parameter},
    request::{
        ExperimentAssignment, GenerationRequest, MAX_ASSIGNMENTS, MAX_REQUESTED_SECTIONS, PromptRef, RequestedSection,
    },
    requested::{GenerationEnd, GenerationRating, RequestedGeneration, SectionOutcome},
    section_plan::{SectionPlanError, check_running_generations, plan_sections},
    value::{
        AssignedVariant, ExperimentName, GenerationId, GenerationReason, GenerationStatus, ModelName, PromptName,
        PromptVersion, ProviderName, RatingNote, SentenceText, SourceId, SourceKind, SourceTitle, UserRating,
    },
};
use crate::aggregate::aggregate;

/// The user id of a generation that records its results and writes them into the proposal.
pub const GENERATOR_USER_ID: &str = "system:proposal-generator";

/// State of one generation, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalGeneration {
    /// The generation was not requested yet.
    #[default]
    Unrequested,
    /// The generation was requested; it is running until it has an end.
    Requested(Box<RequestedGeneration>),
}

impl ProposalGeneration {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`ProposalGenerationError`] when the generation's state forbids it.
    pub fn decide(
        &self,
        command: ProposalGenerationCommand,
    ) -> Result<Vec<ProposalGenerationEvent>, ProposalGenerationError> {
        match (self, command) {
            (Self::Unrequested, ProposalGenerationCommand::Request { request, stamp }) => {
                Ok(vec![ProposalGenerationEvent::Requested { request, stamp }])
            }
            (Self::Requested(known), ProposalGenerationCommand::Request { request, .. }) => {
                if known.request == request { Ok(vec![]) } else { Err(ProposalGenerationError::AlreadyRequested) }
            }
            (Self::Unrequested, _) => Err(ProposalGenerationError::NotRequested),
            (Self::Requested(known), command) => known.decide(command),
        }
    }

    /// What was requested and generated; `None` before the request.
    pub fn as_requested(&self) -> Option<&RequestedGeneration> {
        match self {
            Self::Unrequested => None,
            Self::Requested(generation) => Some(generation),
        }
    }

    /// The current status.
    pub fn status(&self) -> GenerationStatus {
        self.as_requested().map_or(GenerationStatus::Unrequested, RequestedGeneration::status)
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: ProposalGenerationEvent) {
        match (self, event) {
            (state, ProposalGenerationEvent::Requested { request, stamp }) => {
                *state = Self::Requested(Box::new(RequestedGeneration::new(request, stamp)));
            }
            (Self::Requested(generation), event) => generation.evolve(event),
            (Self::Unrequested, _) => {}
        }
    }
}

aggregate!(
    ProposalGeneration,
    "proposal_generation",
    ProposalGenerationCommand,
    ProposalGenerationEvent,
    ProposalGenerationError
);
