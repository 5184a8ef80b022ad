//! A requested generation: its sections, end and rating.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    command::ProposalGenerationCommand,
    draft::{GeneratedDraft, MAX_COUNT, ModelUse},
    error::ProposalGenerationError,
    event::ProposalGenerationEvent,
    request::{GenerationRequest, RequestedSection},
    value::{GenerationReason, GenerationStatus, RatingNote, UserRating},
};
use crate::{
    proposal::{SectionHeading, SectionKey},
    value::AuditStamp,
};

/// The recorded outcome of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionOutcome {
    /// It was generated.
    Generated {
        /// The text with its sources.
        draft: GeneratedDraft,
        /// The provider and model that generated it, and what they used.
        model: ModelUse,
    },
    /// No provider could write it.
    Failed {
        /// Why not.
        reason: GenerationReason,
        /// Cost of the attempt that gave up, in millionths of a US dollar.
        #[serde(default, skip_serializing_if = "is_zero")]
        cost_micros: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The end of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationEnd {
    /// `Completed`, `Failed` or `Cancelled`.
    pub status: GenerationStatus,
    /// Why it failed or was cancelled.
    pub reason: Option<GenerationReason>,
    /// Who ended it, and when.
    pub stamp: AuditStamp,
}

/// A member's rating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRating {
    /// The rating.
    pub rating: UserRating,
    /// The member's note.
    pub note: Option<RatingNote>,
    /// Who rated it, and when.
    pub stamp: AuditStamp,
}

/// A requested generation with what is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedGeneration {
    /// What is to be generated.
    pub request: GenerationRequest,
    /// Who requested it, and when.
    pub requested: AuditStamp,
    /// The outcomes of the sections, as far as they are recorded.
    pub outcomes: BTreeMap<SectionKey, SectionOutcome>,
    /// Its end; `None` while it is running.
    pub end: Option<GenerationEnd>,
    /// The last rating.
    pub rating: Option<GenerationRating>,
}

impl RequestedGeneration {
    pub(super) fn new(request: GenerationRequest, requested: AuditStamp) -> Self {
        Self { request, requested, outcomes: BTreeMap::new(), end: None, rating: None }
    }

    /// The current status.
    pub fn status(&self) -> GenerationStatus {
        self.end.as_ref().map_or(GenerationStatus::Running, |end| end.status)
    }

    /// The requested sections without an outcome, in their order.
    pub fn pending_sections(&self) -> impl Iterator<Item = &RequestedSection> {
        self.request.sections.iter().filter(|section| !self.outcomes.contains_key(&section.key))
    }

    /// Cost of the sections in millionths of a US dollar.
    pub fn cost_micros(&self) -> u64 {
        let cost = |outcome: &SectionOutcome| match outcome {
            SectionOutcome::Generated { model, .. } => model.cost_micros,
            SectionOutcome::Failed { cost_micros, .. } => *cost_micros,
        };
        self.outcomes.values().map(cost).fold(0, u64::saturating_add)
    }

    /// The number of sections that were generated.
    pub fn generated_count(&self) -> usize {
        self.outcomes.values().filter(|outcome| matches!(outcome, SectionOutcome::Generated { .. })).count()
    }

    pub(super) fn decide(
        &self,
        command: ProposalGenerationCommand,
    ) -> Result<Vec<ProposalGenerationEvent>, ProposalGenerationError> {
        match command {
            ProposalGenerationCommand::Request { .. } => Err(ProposalGenerationError::AlreadyRequested),
            ProposalGenerationCommand::RecordSection { section, draft, model, stamp } => {
                let (draft, model) = (draft, model.limit_fields());
                let outcome = SectionOutcome::Generated { draft: draft.clone(), model: model.clone() };
                let Some(heading) = self.check_outcome(&section, &outcome)? else { return Ok(vec![]) };
                Ok(vec![ProposalGenerationEvent::SectionGenerated { section, heading, draft, model, stamp }])
            }
            ProposalGenerationCommand::RecordSectionFailure { section, reason, cost_micros, stamp } => {
                let cost_micros = cost_micros.min(MAX_COUNT);
                let outcome = SectionOutcome::Failed { reason: reason.clone(), cost_micros };
                let recorded = self.check_outcome(&section, &outcome)?.is_none();
                Ok(if recorded {
                    vec![]
                } else {
                    vec![ProposalGenerationEvent::SectionFailed { section, reason, cost_micros, stamp }]
                })
            }
            ProposalGenerationCommand::Complete { stamp } => {
                if self.is_ended_as(GenerationStatus::Completed)? {
                    return Ok(vec![]);
                }
                let count = self.pending_sections().count();
                if count > 0 {
                    return Err(ProposalGenerationError::SectionsPending { count });
                }
                if self.generated_count() == 0 {
                    return Err(ProposalGenerationError::NothingGenerated);
                }
                Ok(vec![ProposalGenerationEvent::Completed { stamp }])
            }
            ProposalGenerationCommand::Fail { reason, stamp } => {
                let ended = self.is_ended_as(GenerationStatus::Failed)?;
                Ok(if ended { vec![] } else { vec![ProposalGenerationEvent::Failed { reason, stamp }] })
            }
            ProposalGenerationCommand::Cancel { reason, stamp } => {
                let ended = self.is_ended_as(GenerationStatus::Cancelled)?;
                Ok(if ended { vec![] } else { vec![ProposalGenerationEvent::Cancelled { reason, stamp }] })
            }
            ProposalGenerationCommand::Rate { rating, note, stamp } => self.rate(rating, note, stamp),
        }
    }

    /// The heading of a section whose outcome may be recorded; `None` if the same outcome is recorded.
    fn check_outcome(
        &self,
        section: &SectionKey,
        outcome: &SectionOutcome,
    ) -> Result<Option<SectionHeading>, ProposalGenerationError> {
        let Some(requested) = self.request.section(section) else {
            return Err(ProposalGenerationError::NoSuchSection { section: section.clone() });
        };
        match self.outcomes.get(section) {
            Some(known) if known == outcome => Ok(None),
            Some(_) => Err(ProposalGenerationError::AlreadyRecorded { section: section.clone() }),
            None if self.end.is_some() => Err(ProposalGenerationError::AlreadyEnded),
            None => Ok(Some(requested.heading.clone())),
        }
    }

    /// Whether it has ended with this status; refuses when it has ended with another one.
    fn is_ended_as(&self, status: GenerationStatus) -> Result<bool, ProposalGenerationError> {
        match &self.end {
            None => Ok(false),
            Some(end) if end.status == status => Ok(true),
            Some(_) => Err(ProposalGenerationError::AlreadyEnded),
        }
    }

    fn rate(
        &self,
        rating: UserRating,
        note: Option<RatingNote>,
        stamp: AuditStamp,
    ) -> Result<Vec<ProposalGenerationEvent>, ProposalGenerationError> {
        if self.status() != GenerationStatus::Completed {
            return Err(ProposalGenerationError::NotCompleted);
        }
        let is_repetition = self
            .rating
            .as_ref()
            .is_some_and(|known| known.rating == rating && known.note == note && known.stamp.by == stamp.by);
        Ok(if is_repetition { vec![] } else { vec![ProposalGenerationEvent::Rated { rating, note, stamp }] })
    }

    pub(super) fn evolve(&mut self, event: ProposalGenerationEvent) {
        match event {
            // It creates the state; `ProposalGeneration::evolve` handles it.
            ProposalGenerationEvent::Requested { .. } => {}
            ProposalGenerationEvent::SectionGenerated { section, draft, model, .. } => {
                self.outcomes.insert(section, SectionOutcome::Generated { draft, model });
            }
            ProposalGenerationEvent::SectionFailed { section, reason, cost_micros, .. } => {
                self.outcomes.insert(section, SectionOutcome::Failed { reason, cost_micros });
            }
            ProposalGenerationEvent::Completed { stamp } => self.set_end(GenerationStatus::Completed, None, stamp),
            ProposalGenerationEvent::Failed { reason, stamp } => {
                self.set_end(GenerationStatus::Failed, Some(reason), stamp);
            }
            ProposalGenerationEvent::Cancelled { reason, stamp } => {
                self.set_end(GenerationStatus::Cancelled, Some(reason), stamp);
            }
            ProposalGenerationEvent::Rated { rating, note, stamp } => {
                self.rating = Some(GenerationRating { rating, note, stamp });
            }
        }
    }

    fn set_end(&mut self, status: GenerationStatus, reason: Option<GenerationReason>, stamp: AuditStamp) {
        self.end = Some(GenerationEnd { status, reason, stamp });
    }
}
