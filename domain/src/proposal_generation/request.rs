//! What a generation is to generate.

use serde::{Deserialize, Serialize};

use super::value::{AssignedVariant, ExperimentName, PromptName, PromptVersion};
use crate::{
    opportunity::OpportunityId,
    proposal::{SectionHeading, SectionKey},
    value::{InvalidValue, ProposalId},
};

/// Maximum number of sections in one generation.
pub const MAX_REQUESTED_SECTIONS: usize = 40;

/// Maximum number of experiments whose assignments a generation records.
pub const MAX_ASSIGNMENTS: usize = 20;

/// A section that is to be generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedSection {
    /// The section's key.
    pub key: SectionKey,
    /// The section's heading.
    pub heading: SectionHeading,
    /// The section's revision in the proposal; 0 if it is new or only planned. The text is written into the proposal
    /// only while the section has this revision, so that it replaces nothing that a member wrote meanwhile.
    pub based_on: u32,
    /// Whether the proposal had the section, planned or with content. Such a section is not added again after a member
    /// has removed it.
    pub in_proposal: bool,
}

/// A version of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PromptRef {
    /// The prompt's name.
    pub name: PromptName,
    /// The prompt's version.
    pub version: PromptVersion,
}

/// The variant of an experiment that the company was assigned to when the generation was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExperimentAssignment {
    /// The experiment.
    pub experiment: ExperimentName,
    /// The company's variant.
    pub variant: AssignedVariant,
}

/// What a generation is to generate, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRequest {
    /// The proposal that the sections belong to.
    pub proposal_id: ProposalId,
    /// The opportunity that the proposal answers.
    pub opportunity_id: OpportunityId,
    /// The sections, in the order of their generation; each key once.
    pub sections: Vec<RequestedSection>,
    /// The prompt.
    pub prompt: PromptRef,
    /// The company's variants of the experiments that concern generations; each experiment once.
    pub assignments: Vec<ExperimentAssignment>,
}

impl GenerationRequest {
    /// Creates the request.
    ///
    /// # Errors
    /// [`InvalidValue`] for no section, for more than [`MAX_REQUESTED_SECTIONS`] or [`MAX_ASSIGNMENTS`], and for a
    /// repeated section or experiment.
    pub fn try_new(
        proposal_id: ProposalId,
        opportunity_id: OpportunityId,
        sections: Vec<RequestedSection>,
        prompt: PromptRef,
        assignments: Vec<ExperimentAssignment>,
    ) -> Result<Self, InvalidValue> {
        if sections.is_empty() {
            return Err(InvalidValue::Empty { what: "the list of sections" });
        }
        if sections.len() > MAX_REQUESTED_SECTIONS {
            return Err(InvalidValue::TooMany { what: "sections in one generation", max: MAX_REQUESTED_SECTIONS });
        }
        if assignments.len() > MAX_ASSIGNMENTS {
            return Err(InvalidValue::TooMany { what: "experiments", max: MAX_ASSIGNMENTS });
        }
        if let Some(key) = find_repetition(sections.iter().map(|section| section.key.as_str())) {
            return Err(InvalidValue::malformed("section", key, "different from the other sections"));
        }
        if let Some(name) = find_repetition(assignments.iter().map(|assignment| assignment.experiment.as_str())) {
            return Err(InvalidValue::malformed("experiment", name, "different from the other experiments"));
        }
        Ok(Self { proposal_id, opportunity_id, sections, prompt, assignments })
    }

    /// Whether it generates these sections of the proposal, in this order; an empty list matches any sections.
    pub fn has_sections_of(&self, proposal_id: ProposalId, sections: &[SectionKey]) -> bool {
        let is_selection = || self.sections.iter().map(|section| &section.key).eq(sections);
        self.proposal_id == proposal_id && (sections.is_empty() || is_selection())
    }

    /// The section with that key.
    pub fn section(&self, key: &SectionKey) -> Option<&RequestedSection> {
        self.sections.iter().find(|section| section.key == *key)
    }
}

fn find_repetition<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut known = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !known.insert(*name))
}
