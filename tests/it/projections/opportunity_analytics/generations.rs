//! Generations of proposals: what analysts and reports of experiments say about them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate as _, DomainEvent};
use domain::{
    clock::{Clock as _, SystemClock},
    envelope::{EventMetadata, RawEnvelope},
    feature_flag::{
        ExperimentHistory, ExperimentRun, FeatureFlagEvent, FlagDescription, FlagReason, FlagVariants, VariantName,
    },
    opportunity::OpportunityId,
    proposal::{Proposal, ProposalEvent, SectionContent, SectionHeading, SectionKey},
    proposal_generation::{
        AssignedVariant, ExperimentAssignment, ExperimentName, GENERATOR_USER_ID, GeneratedDraft, GeneratedSentence,
        GenerationReason, GenerationRequest, ModelName, ModelUse, PromptName, PromptRef, PromptVersion,
        ProposalGeneration, ProposalGenerationEvent, ProviderName, RequestedSection, SentenceText, SourceId,
        SourceKind, SourceReference, SourceTitle, UserRating,
    },
    value::{AuditStamp, ProposalId, UserId},
    visit::{VisitEvent, VisitUrl},
};
use projections::{
    experiment_statistics::ExperimentVerdict,
    opportunity_analytics::{ExperimentMetric, ExperimentReport, ExperimentSamples, OpportunityAnalytics},
};
use serde::Serialize;
use tests::{TestNamespace, analytics_in, opportunity_history::march, run_beside_others};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{super::*, rows};

pub(super) const EXPERIMENT: &str = "proposal-generation.prompt";
const COMPANIES: u32 = 12;

/// The events of generations, in the order of their positions.
#[derive(Default)]
struct GenerationLog(Vec<RawEnvelope>);

impl GenerationLog {
    fn record<E: DomainEvent + Serialize>(&mut self, user: &str, kind: &str, tenant: &str, id: Uuid, event: &E) {
        let payload = serde_json::to_string(event).unwrap();
        self.record_payload(user, kind, tenant, id, (event.event_type(), event.event_version(), payload));
    }

    fn record_payload(&mut self, user: &str, kind: &str, tenant: &str, id: Uuid, event: (String, String, String)) {
        let (event_type, event_version, payload) = event;
        let aggregate_id = format!("{tenant}:{id}");
        let of_stream = |known: &&RawEnvelope| known.aggregate_id == aggregate_id && known.aggregate_type == kind;
        let position = self.0.len() as u64 + 1;
        self.0.push(RawEnvelope {
            position,
            event_id: Uuid::from_u128(0xffff_0000 + u128::from(position)),
            tenant_id: tenant.to_owned(),
            aggregate_type: kind.to_owned(),
            sequence: self.0.iter().filter(of_stream).count() as u64 + 1,
            aggregate_id,
            event_type,
            event_version,
            // `events` has a retention.
            recorded_at: SystemClock.now(),
            metadata: EventMetadata { user_id: user.to_owned(), ..EventMetadata::default() },
            payload,
        });
    }

    fn generate(&mut self, tenant: &str, id: Uuid, event: &ProposalGenerationEvent) {
        self.record(GENERATOR_USER_ID, ProposalGeneration::TYPE, tenant, id, event);
    }

    fn change_proposal(&mut self, user: &str, tenant: &str, id: Uuid, event: &ProposalEvent) {
        self.record(user, Proposal::TYPE, tenant, id, event);
    }
}

fn stamp() -> AuditStamp {
    AuditStamp { by: UserId::from_program("ann"), at: march(8) }
}

fn key() -> SectionKey {
    SectionKey::try_new("approach").unwrap()
}

fn heading() -> SectionHeading {
    SectionHeading::try_new("Approach").unwrap()
}

fn prompt(version: &str) -> PromptRef {
    PromptRef { name: PromptName::try_new("section").unwrap(), version: PromptVersion::try_new(version).unwrap() }
}

fn requested(proposal: Uuid, variant: &str) -> ProposalGenerationEvent {
    let section = |key: &str| RequestedSection {
        key: SectionKey::try_new(key).unwrap(),
        heading: heading(),
        based_on: 0,
        in_proposal: true,
    };
    let assignment = ExperimentAssignment {
        experiment: ExperimentName::try_new(EXPERIMENT).unwrap(),
        variant: AssignedVariant::try_new(variant).unwrap(),
    };
    let opportunity = OpportunityId::parse("036:W1").unwrap();
    let sections = vec![section("approach"), section("price")];
    let request =
        GenerationRequest::try_new(ProposalId::new(proposal), opportunity, sections, prompt("1"), vec![assignment]);
    ProposalGenerationEvent::Requested { request: request.unwrap(), stamp: stamp() }
}

fn section_generated(cost_micros: u64) -> ProposalGenerationEvent {
    let sentence = |text: &str, sources: &[u32]| GeneratedSentence {
        text: SentenceText::try_new(text).unwrap(),
        sources: sources.iter().copied().collect::<BTreeSet<_>>(),
        starts_paragraph: false,
    };
    let source = SourceReference {
        number: 1,
        kind: SourceKind::Document,
        id: SourceId::try_new("d1").unwrap(),
        title: SourceTitle::try_new("rfq.pdf").unwrap(),
        page: Some(3),
    };
    let draft = GeneratedDraft::try_new(vec![sentence("We deliver.", &[1]), sentence("We care.", &[])], vec![source]);
    let name = |text| ModelName::try_new(text).unwrap();
    let model = ModelUse {
        provider: ProviderName::try_new("main").unwrap(),
        model: name("gpt-x"),
        model_version: name("gpt-x-2026"),
        prompt: prompt("1"),
        input_tokens: 400,
        output_tokens: 30,
        tokens_estimated: false,
        cost_micros,
        latency_ms: 1_500,
        failed_providers: vec![ProviderName::try_new("first").unwrap()],
    };
    ProposalGenerationEvent::SectionGenerated {
        section: key(),
        heading: heading(),
        draft: draft.unwrap(),
        model,
        stamp: stamp(),
    }
}

fn section_edited(revision: u32) -> ProposalEvent {
    let content = SectionContent::try_new("We deliver.").unwrap();
    ProposalEvent::SectionEdited { section: key(), heading: heading(), content, revision, stamp: stamp() }
}

/// The run of an experiment that was enabled at `start` and disabled at `end`; generations are requested at `march(8)`.
pub(super) fn experiment_run(start: DateTime<Utc>, end: Option<DateTime<Utc>>) -> ExperimentRun {
    let mut history = ExperimentHistory::default();
    let description = FlagDescription::try_new("Prompts").unwrap();
    let defined =
        FeatureFlagEvent::Defined { description, variants: FlagVariants::plain(), enabled: true, stamp: stamp() };
    history.apply_event(defined, start);
    if let Some(end) = end {
        let reason = FlagReason::try_new("enough").unwrap();
        history.apply_event(FeatureFlagEvent::Switched { enabled: false, reason, stamp: stamp() }, end);
    }
    history.run.unwrap()
}

/// Twelve companies with each of two prompts: the second one costs less, helps more, and its sections stay as they are.
/// Besides a generation that failed.
pub(super) fn generation_history() -> Vec<RawEnvelope> {
    let mut log = GenerationLog::default();
    let reason = GenerationReason::try_new("no provider answers").unwrap();
    for (variant, number) in (0..COMPANIES).flat_map(|number| [("control", number), ("2", number)]) {
        let is_control = variant == "control";
        let (tenant, unique) =
            (format!("company-{variant}-{number}"), u128::from(number) + u128::from(is_control) * 100);
        let (proposal, generation) = (Uuid::from_u128(0x1_0000 + unique), Uuid::from_u128(0x2_0000 + unique));
        log.generate(&tenant, generation, &requested(proposal, variant));
        let cost = if is_control { 9_000 } else { 3_000 } + 10 * u64::from(number % 5);
        log.generate(&tenant, generation, &section_generated(cost));
        let price = SectionKey::try_new("price").unwrap();
        let failed = ProposalGenerationEvent::SectionFailed {
            section: price,
            reason: reason.clone(),
            cost_micros: 70,
            stamp: stamp(),
        };
        log.generate(&tenant, generation, &failed);
        // In one company a member writes the section before the generation does, which leaves it.
        let writer = if !is_control && number == 11 { "ann" } else { GENERATOR_USER_ID };
        log.change_proposal(writer, &tenant, proposal, &section_edited(1));
        if is_control && number == 9 {
            log.change_proposal("ann", &tenant, proposal, &section_edited(2));
        }
        log.generate(&tenant, generation, &ProposalGenerationEvent::Completed { stamp: stamp() });
        let rating = if is_control && number > 1 { UserRating::Unhelpful } else { UserRating::Helpful };
        for rating in [UserRating::Unhelpful, rating] {
            log.generate(&tenant, generation, &ProposalGenerationEvent::Rated { rating, note: None, stamp: stamp() });
        }
        if is_control && number < 9 {
            log.change_proposal("ann", &tenant, proposal, &section_edited(2));
        }
        log.change_proposal("ann", &tenant, proposal, &ProposalEvent::Approved { note: None, stamp: stamp() });
        log.change_proposal("ann", &tenant, proposal, &section_edited(3));
    }
    let (proposal, generation) = (Uuid::from_u128(0x1_9999), Uuid::from_u128(0x2_9999));
    log.generate("company-2-0", generation, &requested(proposal, "2"));
    log.generate("company-2-0", generation, &ProposalGenerationEvent::Failed { reason, stamp: stamp() });
    log.0
}

/// The read model of [`generation_history`], for tests that only read it.
async fn shared_analytics() -> OpportunityAnalytics {
    static SHARED: OnceCell<TestNamespace> = OnceCell::const_new();
    let fill = async || {
        let namespace = TestNamespace::new();
        let analytics = analytics_in(namespace.name()).await;
        analytics.migrate().await.unwrap();
        apply_with_repetitions(&analytics, &generation_history()).await;
        namespace
    };
    run_beside_others();
    analytics_in(SHARED.get_or_init(fill).await.name()).await
}

#[tokio::test]
async fn a_generation_is_one_row_with_its_sections_outcome_and_last_rating() {
    let analytics = shared_analytics().await;
    let query = "select tenant_id, prompt_version, variants['proposal-generation.prompt'], sections, generated_sections,
        failed_sections, toString(providers), input_tokens, cost_micros, latency_ms, sentences, unsourced_sentences, outcome,
        reason, rating, requested_by, toUInt8(ended_at > now() - 3600) from proposal_generations
        where tenant_id = 'company-2-0' order by outcome";
    let found = rows(&analytics.database(), query).await;
    let completed = [
        "company-2-0",
        "1",
        "2",
        "2",
        "1",
        "1",
        "[\\'main\\']",
        "400",
        "3070",
        "1500",
        "2",
        "1",
        "completed",
        "",
        "helpful",
        "ann",
        "1",
    ];
    let failed = [
        "company-2-0",
        "1",
        "2",
        "2",
        "0",
        "0",
        "[]",
        "0",
        "0",
        "0",
        "0",
        "0",
        "failed",
        "no provider answers",
        "",
        "ann",
        "1",
    ];
    assert_eq!(found, [completed, failed]);
    let query = "select count(), countIf(outcome = 'failed') from generated_sections final";
    let sections = rows(&analytics.database(), query).await;
    assert_eq!(sections, [["48", "24"]], "repeated events count once");
}

#[tokio::test]
async fn a_report_says_which_prompt_is_better_and_how_sure() {
    let analytics = shared_analytics().await;
    let run = experiment_run(march(8), Some(march(9)));
    let samples = ExperimentSamples {
        generations: analytics.load_generation_samples(EXPERIMENT, &run).await.unwrap(),
        sections: analytics.load_section_samples(EXPERIMENT, &run).await.unwrap(),
        visits: vec![],
    };
    assert_eq!(analytics.load_generation_samples("another.experiment", &run).await.unwrap(), []);
    for other in [experiment_run(march(9), None), experiment_run(march(6), Some(march(7)))] {
        assert_eq!(analytics.load_generation_samples(EXPERIMENT, &other).await.unwrap(), []);
        assert_eq!(analytics.load_section_samples(EXPERIMENT, &other).await.unwrap(), []);
    }
    assert_eq!((samples.generations.len(), samples.sections.len()), (24, 23), "a member's own section does not count");
    let totals = samples
        .sections
        .iter()
        .fold((0, 0), |(decided, unchanged), company| (decided + company.decided, unchanged + company.unchanged));
    assert_eq!(totals, (23, 13), "ten sections were edited before the approval; edits after it do not count");

    let report = ExperimentReport::from_samples(EXPERIMENT, &VariantName::control(), &samples, |tenant| {
        VariantName::try_new(tenant.as_str().split('-').nth(1)?).ok()
    });
    let [control, second] = report.variants.as_slice() else { panic!("{report:?}") };
    assert_eq!((control.variant.as_str(), control.companies, control.generations), ("control", 12, 12));
    assert_eq!((second.variant.as_str(), second.generations, second.completed), ("2", 13, 12));
    let metric = |metric| second.metrics.iter().find(|known| known.metric == metric).unwrap();
    let helpful = metric(ExperimentMetric::HelpfulShare);
    assert_eq!((helpful.trials, helpful.value), (12, 1.0));
    assert_eq!(helpful.verdict, Some(ExperimentVerdict::NotEnoughData), "12 ratings are fewer than 30");
    let cost = metric(ExperimentMetric::GenerationCost);
    assert!((cost.value - 37_050.0 / 13.0).abs() < 1.0, "the failed generation counts: {cost:?}");
    let completed = metric(ExperimentMetric::CompletedShare);
    assert_eq!((completed.trials, completed.value), (13, 12.0 / 13.0));
    let failed = metric(ExperimentMetric::FailedSectionShare);
    assert_eq!((failed.trials, failed.value), (24, 0.5));
}

/// Events of visits: kind, company, visit, page, and the target of a click.
fn visit_history(actions: &[(&str, &str, &str, Option<&str>)]) -> Vec<RawEnvelope> {
    let mut log = GenerationLog::default();
    for (tenant, visit, page, target) in actions {
        let url = |text: &str| VisitUrl::try_new(text).unwrap();
        let opportunity_id = |url: &str| url.contains("036:").then(|| OpportunityId::parse("036:R1").unwrap());
        let at = SystemClock.now();
        let event = match target {
            None => VisitEvent::PageViewed {
                page_url: url(page),
                referrer: None,
                user_id: None,
                opportunity_id: opportunity_id(page),
                at,
            },
            Some(target) => VisitEvent::LinkClicked {
                page_url: url(page),
                target_url: Some(url(target)),
                user_id: None,
                opportunity_id: opportunity_id(target),
                at,
            },
        };
        let event_type = if target.is_some() { "visit.link_clicked" } else { "visit.page_viewed" };
        let event = (event_type.to_owned(), "1.0".to_owned(), serde_json::to_string(&event).unwrap());
        log.record_payload("", "visit", tenant, Uuid::from_u128(visit.len() as u128), event);
    }
    log.0
}

#[tokio::test]
async fn visits_count_under_the_ranking_in_their_urls() {
    let analytics = tests::analytics().await;
    let results = "/search?q=lifts&ranking=words";
    let hit = Some("/opportunities/036:R1?ranking=words");
    let history = visit_history(&[
        ("acme", "a", results, None),
        ("acme", "a", results, hit),
        ("acme", "aa", results, None),
        // A click on another list, and one on a hit of another ranking.
        ("acme", "aa", "/", Some("/opportunities/036:R1")),
        ("acme", "aa", "/", Some("/opportunities/036:R1?ranking=recent")),
        // Without a search, and by a link that was sent by mail.
        ("acme", "aaa", "/about", None),
        ("acme", "aaaa", "/opportunities/036:R1?ranking=words", None),
        ("beta", "a", "/search?ranking=control", None),
        ("public", "a", results, None),
    ]);
    apply_with_repetitions(&analytics, &history).await;
    let samples = analytics.load_visit_samples(&experiment_run(march(1), None)).await.unwrap();
    let found: Vec<_> = samples
        .iter()
        .map(|sample| (sample.tenant_id.as_str(), sample.variant.as_str(), sample.visits, sample.clicked))
        .collect();
    assert_eq!(found, [("acme", "words", 2, 1), ("beta", "control", 1, 0)]);
    assert_eq!(analytics.load_visit_samples(&experiment_run(march(1), Some(march(2)))).await.unwrap(), []);
}
