//! Rows about generations of proposals: requests, sections, ends and ratings. Without texts.

use std::borrow::Cow;

use chrono::{DateTime, SubsecRound, Utc};
use clickhouse::Row;
use domain::{
    envelope::RawEnvelope,
    proposal::SectionKey,
    proposal_generation::{
        GeneratedDraft, GenerationReason, GenerationRequest, GenerationStatus, ModelUse, ProposalGeneration,
        ProposalGenerationEvent,
    },
    value::AuditStamp,
};
use serde::{Deserialize, Serialize};

use super::projection::AnalyticsChange;
use crate::runtime::ProjectionError;

/// A requested generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct GenerationRequestRow {
    tenant_id: String,
    generation_id: String,
    aggregate_id: String,
    sequence: u64,
    position: u64,
    proposal_id: String,
    opportunity_id: String,
    sections: u32,
    prompt: String,
    prompt_version: String,
    variants: Vec<(String, String)>,
    requested_by: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    requested_at: DateTime<Utc>,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

/// A section that was generated, or that no provider could write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct GeneratedSectionRow {
    tenant_id: String,
    generation_id: String,
    section: String,
    aggregate_id: String,
    sequence: u64,
    position: u64,
    outcome: Cow<'static, str>,
    reason: String,
    provider: String,
    model: String,
    model_version: String,
    prompt: String,
    prompt_version: String,
    input_tokens: u64,
    output_tokens: u64,
    tokens_estimated: bool,
    cost_micros: u64,
    latency_ms: u64,
    failed_providers: Vec<String>,
    sentences: u32,
    unsourced_sentences: u32,
    sources: u32,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

/// The end or the last rating of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Row, Serialize, Deserialize)]
pub struct GenerationResultRow {
    tenant_id: String,
    generation_id: String,
    kind: Cow<'static, str>,
    aggregate_id: String,
    sequence: u64,
    position: u64,
    value: Cow<'static, str>,
    reason: String,
    #[serde(with = "clickhouse::serde::chrono::datetime64::micros")]
    recorded_at: DateTime<Utc>,
}

/// Whether an event is one of a generation.
pub(super) fn is_generation_event(event: &RawEnvelope) -> bool {
    event.aggregate_type == <ProposalGeneration as cqrs_es::Aggregate>::TYPE
}

/// The row that an event of a generation writes.
pub(super) fn project_generation(event: &RawEnvelope) -> Result<AnalyticsChange, ProjectionError> {
    let payload = event.decode::<ProposalGenerationEvent>().map_err(ProjectionError::poison)?;
    let result = |kind, value, reason: Option<&GenerationReason>| {
        AnalyticsChange::GenerationResult(Box::new(GenerationResultRow::from_event(event, kind, value, reason)))
    };
    let section = |row: GeneratedSectionRow| AnalyticsChange::GeneratedSection(Box::new(row));
    Ok(match payload {
        ProposalGenerationEvent::Requested { request, stamp } => {
            AnalyticsChange::GenerationRequest(Box::new(GenerationRequestRow::from_event(event, request, &stamp)))
        }
        ProposalGenerationEvent::SectionGenerated { section: key, draft, model, .. } => {
            section(GeneratedSectionRow::generated(event, &key, &draft, &model))
        }
        ProposalGenerationEvent::SectionFailed { section: key, reason, cost_micros, .. } => {
            section(GeneratedSectionRow::failed(event, &key, &reason, cost_micros))
        }
        ProposalGenerationEvent::Completed { .. } => result("end", GenerationStatus::Completed.name(), None),
        ProposalGenerationEvent::Failed { reason, .. } => result("end", GenerationStatus::Failed.name(), Some(&reason)),
        ProposalGenerationEvent::Cancelled { reason, .. } => {
            result("end", GenerationStatus::Cancelled.name(), Some(&reason))
        }
        // The note of a rating is for the company.
        ProposalGenerationEvent::Rated { rating, .. } => result("rating", rating.name(), None),
    })
}

impl GenerationRequestRow {
    pub(super) const TABLE: &'static str = "generation_requests";

    pub(super) fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    pub(super) fn row_key(&self) -> String {
        self.aggregate_id.clone()
    }

    fn from_event(event: &RawEnvelope, request: GenerationRequest, stamp: &AuditStamp) -> Self {
        let variant = |assignment: domain::proposal_generation::ExperimentAssignment| {
            (assignment.experiment.to_string(), assignment.variant.to_string())
        };
        Self {
            tenant_id: event.tenant_id.clone(),
            generation_id: event.local_id().to_owned(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            position: event.position,
            proposal_id: request.proposal_id.to_string(),
            opportunity_id: request.opportunity_id.to_string(),
            sections: to_count(request.sections.len()),
            prompt: request.prompt.name.to_string(),
            prompt_version: request.prompt.version.to_string(),
            variants: request.assignments.into_iter().map(variant).collect(),
            requested_by: stamp.by.to_string(),
            requested_at: stamp.at.trunc_subsecs(6),
            recorded_at: event.recorded_at.trunc_subsecs(6),
        }
    }
}

impl GeneratedSectionRow {
    pub(super) const TABLE: &'static str = "generated_sections";

    pub(super) fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    pub(super) fn row_key(&self) -> String {
        format!("{} {}", self.aggregate_id, self.section)
    }

    fn generated(event: &RawEnvelope, section: &SectionKey, draft: &GeneratedDraft, model: &ModelUse) -> Self {
        Self {
            provider: model.provider.to_string(),
            model: model.model.to_string(),
            model_version: model.model_version.to_string(),
            prompt: model.prompt.name.to_string(),
            prompt_version: model.prompt.version.to_string(),
            input_tokens: model.input_tokens,
            output_tokens: model.output_tokens,
            tokens_estimated: model.tokens_estimated,
            cost_micros: model.cost_micros,
            latency_ms: model.latency_ms,
            failed_providers: model.failed_providers.iter().map(ToString::to_string).collect(),
            sentences: to_count(draft.sentences().len()),
            unsourced_sentences: to_count(draft.unsourced_count()),
            sources: to_count(draft.sources().len()),
            ..Self::without_text(event, section, "generated")
        }
    }

    fn failed(event: &RawEnvelope, section: &SectionKey, reason: &GenerationReason, cost_micros: u64) -> Self {
        Self { reason: reason.to_string(), cost_micros, ..Self::without_text(event, section, "failed") }
    }

    fn without_text(event: &RawEnvelope, section: &SectionKey, outcome: &'static str) -> Self {
        Self {
            tenant_id: event.tenant_id.clone(),
            generation_id: event.local_id().to_owned(),
            section: section.to_string(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            position: event.position,
            outcome: Cow::Borrowed(outcome),
            reason: String::new(),
            provider: String::new(),
            model: String::new(),
            model_version: String::new(),
            prompt: String::new(),
            prompt_version: String::new(),
            input_tokens: 0,
            output_tokens: 0,
            tokens_estimated: false,
            cost_micros: 0,
            latency_ms: 0,
            failed_providers: vec![],
            sentences: 0,
            unsourced_sentences: 0,
            sources: 0,
            recorded_at: event.recorded_at.trunc_subsecs(6),
        }
    }
}

impl GenerationResultRow {
    pub(super) const TABLE: &'static str = "generation_results";

    pub(super) fn aggregate_id(&self) -> &str {
        &self.aggregate_id
    }

    pub(super) fn row_key(&self) -> String {
        format!("{} {}", self.aggregate_id, self.kind)
    }

    fn from_event(
        event: &RawEnvelope,
        kind: &'static str,
        value: &'static str,
        reason: Option<&GenerationReason>,
    ) -> Self {
        Self {
            tenant_id: event.tenant_id.clone(),
            generation_id: event.local_id().to_owned(),
            kind: Cow::Borrowed(kind),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            position: event.position,
            value: Cow::Borrowed(value),
            reason: reason.map(ToString::to_string).unwrap_or_default(),
            recorded_at: event.recorded_at.trunc_subsecs(6),
        }
    }
}

fn to_count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
