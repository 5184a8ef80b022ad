//! The generation of a proposal as clients see it.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::proposal_generation as record;
use projections::tenant_views::StoredAggregate;

use crate::graphql::tenant_node::TenantNode;

/// Status of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProposalGenerationStatus", remote = "record::GenerationStatus")]
pub(super) enum GenerationStatusEnum {
    /// Not requested yet.
    Unrequested,
    /// Its sections are being generated.
    Running,
    /// Completed.
    Completed,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// Status of a section of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "GeneratedSectionStatus")]
enum SectionStatusEnum {
    /// Neither generated nor failed.
    Pending,
    /// Generated.
    Generated,
    /// No provider could write it.
    Failed,
}

/// Kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "GeneratedSourceKind", remote = "record::SourceKind")]
enum SourceKindEnum {
    /// A document.
    Document,
    /// A resource.
    Resource,
    /// A past proposal.
    Proposal,
    /// The opportunity that the proposal answers.
    Opportunity,
}

/// A member's rating of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "GenerationRatingValue", remote = "record::UserRating")]
pub(super) enum UserRatingEnum {
    /// It helped.
    Helpful,
    /// It did not help.
    Unhelpful,
}

/// The generation of sections of a proposal.
#[derive(SimpleObject)]
#[graphql(name = "ProposalGeneration")]
pub(super) struct ProposalGenerationNode {
    /// Id.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Id of the proposal.
    proposal_id: String,
    /// Id of the opportunity that the proposal answers.
    opportunity_id: String,
    /// Status.
    status: GenerationStatusEnum,
    /// Why it failed or was cancelled.
    reason: Option<String>,
    /// The sections, in the order of their generation.
    sections: Vec<SectionNode>,
    /// The version of the prompt.
    prompt: PromptNode,
    /// Cost of the generated sections in millionths of a US dollar.
    cost_micros: u64,
    /// The last rating.
    rating: Option<RatingNode>,
    /// When it was requested.
    created_at: DateTime<Utc>,
    /// Who requested it.
    created_by: String,
    /// When it was completed, failed or was cancelled.
    ended_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A section of a generation.
#[derive(SimpleObject)]
#[graphql(name = "GeneratedSection")]
struct SectionNode {
    /// Key of the section.
    key: String,
    /// Heading.
    heading: String,
    /// The section's revision in the proposal when the generation was requested; 0 if it was new or only planned.
    based_on: u32,
    /// Status.
    status: SectionStatusEnum,
    /// The sentences, in their order; empty unless it is generated.
    sentences: Vec<SentenceNode>,
    /// The sources that sentences refer to.
    sources: Vec<SourceNode>,
    /// Number of sentences without a source.
    unsourced_count: usize,
    /// The provider and model that generated it, and what they used.
    model: Option<ModelUseNode>,
    /// Why no provider could write it.
    failure: Option<String>,
}

/// A generated sentence.
#[derive(SimpleObject)]
#[graphql(name = "GeneratedSentence")]
struct SentenceNode {
    /// The sentence, without the marks of its sources.
    text: String,
    /// Numbers of its sources; empty for a sentence without a source.
    sources: Vec<u32>,
    /// Whether it begins a new paragraph.
    starts_paragraph: bool,
}

/// A source of generated sentences.
#[derive(SimpleObject)]
#[graphql(name = "GeneratedSource")]
struct SourceNode {
    /// The number that sentences refer to it by.
    number: u32,
    /// Kind of the source.
    kind: SourceKindEnum,
    /// Id of the document, resource, proposal or opportunity.
    id: String,
    /// Title.
    title: String,
    /// Page of the document, from 1; null if it is not known.
    page: Option<u32>,
}

/// A version of a prompt.
#[derive(SimpleObject)]
#[graphql(name = "GenerationPrompt")]
struct PromptNode {
    /// Name.
    name: String,
    /// Version.
    version: String,
}

/// A provider and a model, and what they used for a section.
#[derive(SimpleObject)]
#[graphql(name = "GenerationModelUse")]
struct ModelUseNode {
    /// The provider.
    provider: String,
    /// The requested model.
    model: String,
    /// The model's version, as the provider reports it.
    model_version: String,
    /// Tokens of the request.
    input_tokens: u64,
    /// Tokens of the text.
    output_tokens: u64,
    /// Whether the tokens are an estimate, because the provider reported none or impossible ones.
    tokens_estimated: bool,
    /// Cost in millionths of a US dollar.
    cost_micros: u64,
    /// Time from the request to the last word in milliseconds.
    latency_ms: u64,
    /// The providers that failed or were passed over before.
    failed_providers: Vec<String>,
}

/// A rating of a generation.
#[derive(SimpleObject)]
#[graphql(name = "GenerationRating")]
struct RatingNode {
    /// The rating.
    rating: UserRatingEnum,
    /// A note about it.
    note: Option<String>,
    /// Who rated it.
    by: String,
    /// When it was rated.
    at: DateTime<Utc>,
}

impl TenantNode for ProposalGenerationNode {
    type Aggregate = record::ProposalGeneration;

    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self> {
        let generation = stored.state.as_requested()?;
        let request = &generation.request;
        let section = |section| SectionNode::new(section, generation.outcomes.get(&section.key));
        Some(Self {
            id,
            version: stored.version,
            proposal_id: request.proposal_id.to_string(),
            opportunity_id: request.opportunity_id.to_string(),
            status: generation.status().into(),
            reason: generation.end.as_ref().and_then(|end| end.reason.as_ref()).map(ToString::to_string),
            sections: request.sections.iter().map(section).collect(),
            prompt: PromptNode { name: request.prompt.name.to_string(), version: request.prompt.version.to_string() },
            cost_micros: generation.cost_micros(),
            rating: generation.rating.as_ref().map(|known| RatingNode {
                rating: known.rating.into(),
                note: known.note.as_ref().map(ToString::to_string),
                by: known.stamp.by.to_string(),
                at: known.stamp.at,
            }),
            created_at: stored.created_at,
            created_by: stored.created_by,
            ended_at: generation.end.as_ref().map(|end| end.stamp.at),
            updated_at: stored.updated_at,
        })
    }
}

impl SectionNode {
    fn new(section: &record::RequestedSection, outcome: Option<&record::SectionOutcome>) -> Self {
        let mut node = Self {
            key: section.key.to_string(),
            heading: section.heading.to_string(),
            based_on: section.based_on,
            status: SectionStatusEnum::Pending,
            sentences: vec![],
            sources: vec![],
            unsourced_count: 0,
            model: None,
            failure: None,
        };
        match outcome {
            None => {}
            Some(record::SectionOutcome::Generated { draft, model }) => {
                node.status = SectionStatusEnum::Generated;
                node.sentences = draft.sentences().iter().map(SentenceNode::from).collect();
                node.sources = draft.sources().iter().map(SourceNode::from).collect();
                node.unsourced_count = draft.unsourced_count();
                node.model = Some(model.into());
            }
            Some(record::SectionOutcome::Failed { reason, .. }) => {
                node.status = SectionStatusEnum::Failed;
                node.failure = Some(reason.to_string());
            }
        }
        node
    }
}

impl From<&record::GeneratedSentence> for SentenceNode {
    fn from(sentence: &record::GeneratedSentence) -> Self {
        Self {
            text: sentence.text.to_string(),
            sources: sentence.sources.iter().copied().collect(),
            starts_paragraph: sentence.starts_paragraph,
        }
    }
}

impl From<&record::SourceReference> for SourceNode {
    fn from(source: &record::SourceReference) -> Self {
        Self {
            number: source.number,
            kind: source.kind.into(),
            id: source.id.to_string(),
            title: source.title.to_string(),
            page: source.page,
        }
    }
}

impl From<&record::ModelUse> for ModelUseNode {
    fn from(model: &record::ModelUse) -> Self {
        Self {
            provider: model.provider.to_string(),
            model: model.model.to_string(),
            model_version: model.model_version.to_string(),
            input_tokens: model.input_tokens,
            output_tokens: model.output_tokens,
            tokens_estimated: model.tokens_estimated,
            cost_micros: model.cost_micros,
            latency_ms: model.latency_ms,
            failed_providers: model.failed_providers.iter().map(ToString::to_string).collect(),
        }
    }
}
