//! Tests of a generation: given events, when a command, then events or a refusal.

mod invariants;
mod life;
mod section_plan;
mod stored_form;

use cqrs_es::test::TestFramework;

use super::*;
use crate::{
    opportunity::OpportunityId,
    proposal::{SectionHeading, SectionKey},
    value::{AuditStamp, InvalidValue, ProposalId, UserId},
};

type GenerationScenario = TestFramework<ProposalGeneration>;

const PROPOSAL: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::try_new("ann").unwrap(), at: "2026-03-03T12:00:00Z".parse().unwrap() }
}

fn key(name: &str) -> SectionKey {
    SectionKey::try_new(name).unwrap()
}

fn section(name: &str) -> RequestedSection {
    RequestedSection {
        key: key(name),
        heading: SectionHeading::try_new(name).unwrap(),
        based_on: 0,
        in_proposal: false,
    }
}

fn prompt() -> PromptRef {
    PromptRef { name: PromptName::try_new("proposal-section").unwrap(), version: PromptVersion::try_new("1").unwrap() }
}

fn assignment(experiment: &str) -> ExperimentAssignment {
    ExperimentAssignment {
        experiment: ExperimentName::try_new(experiment).unwrap(),
        variant: AssignedVariant::try_new("control").unwrap(),
    }
}

fn try_request(
    sections: Vec<RequestedSection>,
    assignments: Vec<ExperimentAssignment>,
) -> Result<GenerationRequest, InvalidValue> {
    let proposal_id = ProposalId::parse(PROPOSAL).unwrap();
    GenerationRequest::try_new(proposal_id, OpportunityId::parse("036:R5").unwrap(), sections, prompt(), assignments)
}

/// A request of the sections `a` and `b`.
fn generation_request() -> GenerationRequest {
    try_request(vec![section("a"), section("b")], vec![assignment("prompt")]).unwrap()
}

fn sentence(text: &str, sources: &[u32]) -> GeneratedSentence {
    GeneratedSentence {
        text: SentenceText::try_new(text).unwrap(),
        sources: sources.iter().copied().collect(),
        starts_paragraph: true,
    }
}

fn source(number: u32) -> SourceReference {
    SourceReference {
        number,
        kind: SourceKind::Document,
        id: SourceId::try_new("d").unwrap(),
        title: SourceTitle::try_new("plan.pdf").unwrap(),
        page: Some(4),
    }
}

fn draft(text: &str) -> GeneratedDraft {
    GeneratedDraft::try_new(vec![sentence(text, &[1])], vec![source(1)]).unwrap()
}

fn model() -> ModelUse {
    ModelUse {
        provider: ProviderName::try_new("extractive").unwrap(),
        model: ModelName::try_new("quotations").unwrap(),
        model_version: ModelName::try_new("1").unwrap(),
        prompt: prompt(),
        input_tokens: 10,
        output_tokens: 5,
        tokens_estimated: true,
        cost_micros: 0,
        latency_ms: 7,
        failed_providers: vec![],
    }
}

fn reason(text: &str) -> GenerationReason {
    GenerationReason::try_new(text).unwrap()
}

fn request() -> ProposalGenerationCommand {
    ProposalGenerationCommand::Request { request: generation_request(), stamp: stamp() }
}

fn record(section: &str, text: &str) -> ProposalGenerationCommand {
    ProposalGenerationCommand::RecordSection {
        section: key(section),
        draft: draft(text),
        model: model(),
        stamp: stamp(),
    }
}

fn record_failure(section: &str) -> ProposalGenerationCommand {
    ProposalGenerationCommand::RecordSectionFailure {
        section: key(section),
        reason: reason("429"),
        cost_micros: 12,
        stamp: stamp(),
    }
}

fn complete() -> ProposalGenerationCommand {
    ProposalGenerationCommand::Complete { stamp: stamp() }
}

fn fail() -> ProposalGenerationCommand {
    ProposalGenerationCommand::Fail { reason: reason("no provider"), stamp: stamp() }
}

fn cancel() -> ProposalGenerationCommand {
    ProposalGenerationCommand::Cancel { reason: reason("not needed"), stamp: stamp() }
}

fn rate(rating: UserRating) -> ProposalGenerationCommand {
    ProposalGenerationCommand::Rate { rating, note: None, stamp: stamp() }
}

fn requested() -> ProposalGenerationEvent {
    ProposalGenerationEvent::Requested { request: generation_request(), stamp: stamp() }
}

fn generated(section: &str, text: &str) -> ProposalGenerationEvent {
    ProposalGenerationEvent::SectionGenerated {
        section: key(section),
        heading: SectionHeading::try_new(section).unwrap(),
        draft: draft(text),
        model: model(),
        stamp: stamp(),
    }
}

fn section_failed(section: &str) -> ProposalGenerationEvent {
    ProposalGenerationEvent::SectionFailed {
        section: key(section),
        reason: reason("429"),
        cost_micros: 12,
        stamp: stamp(),
    }
}

fn completed() -> ProposalGenerationEvent {
    ProposalGenerationEvent::Completed { stamp: stamp() }
}

fn failed() -> ProposalGenerationEvent {
    ProposalGenerationEvent::Failed { reason: reason("no provider"), stamp: stamp() }
}

fn cancelled() -> ProposalGenerationEvent {
    ProposalGenerationEvent::Cancelled { reason: reason("not needed"), stamp: stamp() }
}

fn rated(rating: UserRating) -> ProposalGenerationEvent {
    ProposalGenerationEvent::Rated { rating, note: None, stamp: stamp() }
}

#[test]
fn a_request_has_sections_and_each_once() {
    assert_eq!(try_request(vec![], vec![]), Err(InvalidValue::Empty { what: "the list of sections" }));
    assert!(try_request(vec![section("a"), section("a")], vec![]).is_err());
    assert!(try_request(vec![section("a")], vec![assignment("e"), assignment("e")]).is_err());
    let many = |count: usize| (0..count).map(|number| section(&format!("s{number}"))).collect();
    assert!(try_request(many(MAX_REQUESTED_SECTIONS), vec![]).is_ok());
    let too_many = InvalidValue::TooMany { what: "sections in one generation", max: MAX_REQUESTED_SECTIONS };
    assert_eq!(try_request(many(MAX_REQUESTED_SECTIONS + 1), vec![]), Err(too_many));
}

#[test]
fn a_request_knows_its_sections() {
    let (request, proposal) = (generation_request(), ProposalId::parse(PROPOSAL).unwrap());
    assert!(request.has_sections_of(proposal, &[]) && request.has_sections_of(proposal, &[key("a"), key("b")]));
    for others in [vec![key("b"), key("a")], vec![key("a")], vec![key("a"), key("b"), key("c")]] {
        assert!(!request.has_sections_of(proposal, &others), "{others:?}");
    }
    assert!(!request.has_sections_of(ProposalId::new(uuid::Uuid::nil()), &[]));
}

#[test]
fn a_draft_is_limited_and_its_sentences_refer_to_its_sources() {
    let try_draft = GeneratedDraft::try_new;
    assert_eq!(try_draft(vec![], vec![]), Err(InvalidValue::Empty { what: "the generated text" }));
    let unknown = InvalidValue::malformed("source number", "2", "in the list of sources");
    assert_eq!(try_draft(vec![sentence("x", &[1, 2])], vec![source(1)]), Err(unknown));
    let repeated = InvalidValue::malformed("source number", "1", "different from the other sources");
    assert_eq!(try_draft(vec![sentence("x", &[1])], vec![source(1), source(1)]), Err(repeated));
    assert!(try_draft(vec![sentence("x", &[]); MAX_SENTENCES], vec![]).is_ok());
    assert!(try_draft(vec![sentence("x", &[]); MAX_SENTENCES + 1], vec![]).is_err());
    let sources = |count: u32| (1..=count).map(source).collect();
    let most = u32::try_from(MAX_SOURCES).unwrap();
    assert!(try_draft(vec![sentence("x", &[])], sources(most)).is_ok());
    assert!(try_draft(vec![sentence("x", &[])], sources(most + 1)).is_err());
    let long = sentence(&"x".repeat(4_000), &[]);
    assert!(try_draft(vec![long.clone(); 15], vec![]).is_ok());
    assert!(try_draft(vec![long; 16], vec![]).is_err());
    let mixed = try_draft(vec![sentence("x", &[1]), sentence("y", &[])], vec![source(1)]).unwrap();
    assert_eq!(mixed.unsourced_count(), 1);
}

#[test]
fn a_reason_is_made_of_any_text() {
    assert_eq!(GenerationReason::from_any_text("a\u{0}b").as_str(), "a b");
    assert_eq!(GenerationReason::from_any_text(" \u{7} ").as_str(), "no reason was given");
    assert_eq!(GenerationReason::from_any_text(&"é".repeat(3_000)).as_str().chars().count(), 2_000);
}
