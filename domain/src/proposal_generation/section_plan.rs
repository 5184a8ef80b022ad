//! Which sections a generation is to write, and whether a company may request one now.

use super::{
    request::{MAX_REQUESTED_SECTIONS, RequestedSection},
    value::GenerationId,
};
use crate::{
    proposal::{LifecyclePhase, PlannedSection, Proposal, SectionKey},
    refusal_code::RefusalCode,
    value::ProposalId,
};

/// Why no generation can be requested for a proposal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectionPlanError {
    /// The proposal was not drafted.
    #[error("there is no such proposal")]
    NoSuchProposal,
    /// The proposal is no draft any more.
    #[error("the proposal is in phase {phase}; only a draft can be generated")]
    NotDraft {
        /// The current phase.
        phase: LifecyclePhase,
    },
    /// A selected section is neither in the proposal nor a standard section.
    #[error("the proposal has no section {section}, and it is no standard section")]
    NoSuchSection {
        /// The section's key.
        section: SectionKey,
    },
    /// All sections have content and none was selected.
    #[error("all sections have content; name the sections that are to be written again")]
    NothingToGenerate,
    /// More sections than one generation may have.
    #[error("{count} sections are too many for one generation; name at most {MAX_REQUESTED_SECTIONS} of them")]
    TooManySections {
        /// The number of sections.
        count: usize,
    },
    /// Another generation of the proposal is running.
    #[error("the generation {generation} of this proposal is running; wait for its end or cancel it")]
    AlreadyRunning {
        /// The running generation.
        generation: GenerationId,
    },
    /// The company has the maximum number of running generations.
    #[error("your company has {max} running generations, the maximum; wait for the end of one or cancel it")]
    TooManyRunning {
        /// The maximum.
        max: usize,
    },
}

impl RefusalCode for SectionPlanError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::NoSuchProposal => "NOT_FOUND",
            Self::NotDraft { .. } => "WRONG_PHASE",
            Self::NoSuchSection { .. } => "NO_SUCH_SECTION",
            Self::NothingToGenerate => "NOTHING_TO_GENERATE",
            Self::TooManySections { .. } => "TOO_MANY_SECTIONS",
            Self::AlreadyRunning { .. } => "ALREADY_RUNNING",
            Self::TooManyRunning { .. } => "TOO_MANY_RUNNING",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NoSuchProposal)
    }
}

/// The sections to generate: the selected ones in their order, or else those without content, or else the standard ones
/// of a proposal that has no sections.
///
/// # Errors
/// [`SectionPlanError`] when the proposal is no draft, a selected section is not known, or there is nothing to generate,
/// or too much.
pub fn plan_sections(
    proposal: &Proposal,
    selected: &[SectionKey],
    standard: &[PlannedSection],
) -> Result<Vec<RequestedSection>, SectionPlanError> {
    let content = match proposal {
        Proposal::Unwritten => return Err(SectionPlanError::NoSuchProposal),
        Proposal::Draft(content) => content,
        Proposal::InReview { .. }
        | Proposal::Approved(_)
        | Proposal::Submitted(_)
        | Proposal::Decided { .. }
        | Proposal::Withdrawn(_) => return Err(SectionPlanError::NotDraft { phase: proposal.phase() }),
    };
    let find_standard = |key: &SectionKey| standard.iter().find(|known| known.key == *key);
    let to_request = |key: &SectionKey| match (content.section(key), find_standard(key)) {
        (Some(known), _) => {
            let (key, heading) = (known.key.clone(), known.heading.clone());
            Ok(RequestedSection { key, heading, based_on: known.revision, in_proposal: true })
        }
        (None, Some(PlannedSection { key, heading })) => {
            Ok(RequestedSection { key: key.clone(), heading: heading.clone(), based_on: 0, in_proposal: false })
        }
        (None, None) => Err(SectionPlanError::NoSuchSection { section: key.clone() }),
    };
    let keys: Vec<&SectionKey> = if !selected.is_empty() {
        selected.iter().collect()
    } else if content.sections.is_empty() {
        standard.iter().map(|known| &known.key).collect()
    } else {
        content.sections.iter().filter(|known| known.content.is_none()).map(|known| &known.key).collect()
    };
    if keys.is_empty() {
        return Err(SectionPlanError::NothingToGenerate);
    }
    if keys.len() > MAX_REQUESTED_SECTIONS {
        return Err(SectionPlanError::TooManySections { count: keys.len() });
    }
    keys.into_iter().map(to_request).collect()
}

/// Checks that a company with these running generations may have another one for the proposal.
///
/// # Errors
/// [`SectionPlanError`] when one is running for the proposal, or `max` are running.
pub fn check_running_generations(
    running: &[(GenerationId, ProposalId)],
    proposal: ProposalId,
    max: usize,
) -> Result<(), SectionPlanError> {
    if let Some((generation, _)) = running.iter().find(|(_, known)| *known == proposal) {
        return Err(SectionPlanError::AlreadyRunning { generation: *generation });
    }
    if running.len() >= max { Err(SectionPlanError::TooManyRunning { max }) } else { Ok(()) }
}
