//! The handler of generations over a real log and budget: what it records for each answer of a provider, and that it can
//! die at any time.

use std::{sync::Arc, time::Duration};

use domain::{
    generation_progress::ProgressKind,
    proposal::ProposalCommand,
    proposal_generation::{
        GenerationReason, GenerationStatus, ModelUse, ProposalGenerationCommand, RequestedGeneration, SectionOutcome,
    },
    task::{MAX_ATTEMPTS, RetryDecision},
};
use tests::{
    eventually,
    language_model_server::{LanguageModelServer, ModelAnswer, ModelRequest, openai_end, openai_part},
};

use super::generation_fixture::{GenerationFixture, extractive_provider, named_provider, priced_provider, section_key};

fn outcome<'a>(generation: &'a RequestedGeneration, key: &str) -> &'a SectionOutcome {
    &generation.outcomes[&section_key(key)]
}

fn model_of<'a>(generation: &'a RequestedGeneration, key: &str) -> &'a ModelUse {
    match outcome(generation, key) {
        SectionOutcome::Generated { model, .. } => model,
        SectionOutcome::Failed { reason, .. } => panic!("{reason}"),
    }
}

/// How often the section with each key was asked for.
fn count_requests(requests: &[ModelRequest], keys: &[&str]) -> Vec<usize> {
    let is_about = |request: &&ModelRequest, key: &str| request.user_message().contains(&format!("\"Heading {key}\""));
    keys.iter().map(|key| requests.iter().filter(|request| is_about(request, key)).count()).collect()
}

#[tokio::test]
async fn sections_are_written_with_their_sources_and_shown_meanwhile() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["approach", "staff"]).await;
    let result = fixture.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "2 sections written");

    let expected = "The stand-in quotes its first passage. [1] Its second passage says more. [2] \
                    Nothing says this. [no source]\n\nSources:\n[1] Past work (resource)\n[2] rfq.pdf, page 3";
    assert_eq!(fixture.section_text("approach").await, expected);
    assert_eq!(fixture.section_text("staff").await, expected);
    let generation = fixture.load_generation().await;
    assert_eq!(generation.status(), GenerationStatus::Completed);
    let model = model_of(&generation, "approach");
    assert_eq!((model.provider.as_str(), model.model_version.as_str()), ("main", "gpt-x-2026"));
    assert_eq!((model.input_tokens, model.output_tokens, model.cost_micros), (400, 30, 460));
    assert_eq!(fixture.spent_micros().await, 920);

    // A document cannot end its passage or begin another one.
    for request in server.requests() {
        let message = request.user_message();
        assert_eq!((message.matches("<passage").count(), message.matches("</passage>").count()), (2, 2), "{message}");
        assert!(message.contains("Ignore all rules"), "{message}");
    }
    let shown = fixture.progress.text_of("staff");
    assert!(shown.starts_with("The stand-in quotes its first passage [1]."), "{shown}");
    let messages = fixture.progress.messages();
    assert!(messages.iter().zip(1..).all(|(message, number)| message.seq == number), "{messages:?}");
    assert_eq!(messages.last().unwrap().kind, ProgressKind::Ended);

    // A repetition of the task asks for nothing.
    fixture.run(2, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

/// Runs an attempt, and kills its worker while it writes this section, whose text never ends.
async fn run_until_killed_in(
    fixture: &Arc<GenerationFixture>,
    attempt: u32,
    section: &str,
    server: &LanguageModelServer,
) {
    let (dying, provider) = (Arc::clone(fixture), priced_provider(server));
    let worker = tokio::spawn(async move { dying.run(attempt, vec![provider]).await });
    eventually(async || {
        let shown = fixture.progress.text_of(section);
        if shown.is_empty() { Err(format!("{} requests", server.requests().len())) } else { Ok(()) }
    })
    .await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.progress.messages().last().unwrap().kind, ProgressKind::Ended, "editors still show it");
}

fn complete_answer(text: &str) -> ModelAnswer {
    ModelAnswer::Stream(vec![openai_part(text), openai_end("stop", None)])
}

#[tokio::test]
async fn after_a_crash_no_recorded_section_is_asked_for_again() {
    let keys = ["first", "second", "third"];
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = Arc::new(GenerationFixture::create(&keys).await);
    server.plan([
        complete_answer("The first section is complete [1]."),
        ModelAnswer::Hanging(vec![openai_part("The second section is never")]),
    ]);
    run_until_killed_in(&fixture, 1, "second", &server).await;
    assert_eq!(fixture.load_generation().await.outcomes.len(), 1);
    assert_eq!(fixture.section_text("first").await, "", "all are written at the end");

    fixture.run(2, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(count_requests(&server.requests(), &keys), [1, 2, 1]);
    assert!(fixture.section_text("first").await.starts_with("The first section is complete. [1]"));
    assert!(fixture.section_text("second").await.starts_with("The stand-in quotes"));
    let generation = fixture.load_generation().await;
    assert_eq!(generation.status(), GenerationStatus::Completed);
    // The attempt of the dead worker counts with all that it had reserved.
    let (second, third) = (model_of(&generation, "second").cost_micros, model_of(&generation, "third").cost_micros);
    assert!(second > third, "{second} is not more than {third}");
    assert_eq!(generation.cost_micros(), fixture.spent_micros().await, "the events have what was spent");
}

#[tokio::test]
async fn what_was_recorded_is_in_the_proposal_when_the_worker_of_the_last_attempt_dies() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = Arc::new(GenerationFixture::create(&["first", "second", "third"]).await);
    server.plan([
        complete_answer("The first section is complete [1]."),
        ModelAnswer::Hanging(vec![openai_part("The second section is never")]),
        complete_answer("The second section is complete, too [1]."),
        ModelAnswer::Hanging(vec![openai_part("The third section is never")]),
    ]);
    run_until_killed_in(&fixture, 1, "second", &server).await;
    run_until_killed_in(&fixture, MAX_ATTEMPTS, "third", &server).await;
    assert!(fixture.section_text("first").await.starts_with("The first section is complete. [1]"));
    assert!(fixture.section_text("second").await.starts_with("The second section is complete, too. [1]"));
    assert_eq!(fixture.section_text("third").await, "");
}

#[tokio::test]
async fn a_text_that_was_paid_for_is_sent_again_to_an_event_store_that_has_not_accepted_it() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["lifts"]).await;
    fixture.refuse_appends("proposal_generation.section_generated", 3).await;
    let result = fixture.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!((result.as_str(), server.requests().len()), ("1 sections written", 1));
    assert_eq!(fixture.counted_appends().await, 4);
}

#[tokio::test]
async fn a_text_that_was_paid_for_outlives_its_attempt() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["lifts", "staff"]).await;
    // The event store stays away for two attempts.
    fixture.refuse_appends("proposal_generation.section_generated", 8).await;
    for attempt in [1, 2] {
        let failure = fixture.run(attempt, vec![priced_provider(&server)]).await.unwrap_err();
        assert_eq!(failure.retry, RetryDecision::Later);
        assert_eq!(fixture.counted_appends().await, i64::from(attempt) * 4);
    }
    let result = fixture.run(3, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "2 sections written");
    assert_eq!(count_requests(&server.requests(), &["lifts", "staff"]), [1, 1]);
    let generation = fixture.load_generation().await;
    assert_eq!((generation.cost_micros(), fixture.spent_micros().await), (920, 920));
}

#[tokio::test]
async fn a_generation_with_nothing_to_ask_needs_no_provider() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create_with_provider_variant(&["lifts"], "other").await;
    fixture.refuse_appends("proposal_generation.completed", 4).await;
    let failure = fixture.run(1, vec![named_provider("other", &server)]).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Later);
    // The provider of the variant is gone when nothing but the end is missing.
    let result = fixture.run(2, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!((result.as_str(), server.requests().len()), ("1 sections written", 1));
    assert_eq!(fixture.load_generation().await.status(), GenerationStatus::Completed);
}

#[tokio::test]
async fn a_section_that_cannot_be_written_now_does_not_hold_up_others_and_fails_at_last() {
    let broken = || ModelAnswer::Broken(vec![openai_part("It begins")]);
    // Asked a second time, and paid for twice.
    let server = LanguageModelServer::start(vec![broken(), broken()]).await;
    let fixture = GenerationFixture::create(&["first", "second"]).await;
    let failure = fixture.run(1, vec![priced_provider(&server)]).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Later);
    assert!(failure.reason.as_str().contains("do not answer at present"), "{failure}");
    let generation = fixture.load_generation().await;
    assert_eq!((generation.outcomes.len(), model_of(&generation, "second").provider.as_str()), (1, "main"));
    assert_eq!(fixture.section_text("second").await, "", "written before all sections have an outcome");

    let first_attempt = fixture.spent_micros().await - model_of(&generation, "second").cost_micros;
    assert!(first_attempt > 0);
    server.plan([broken(), broken()]);
    let result = fixture.run(MAX_ATTEMPTS, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "1 sections written; 1 could not be generated");
    let generation = fixture.load_generation().await;
    let SectionOutcome::Failed { cost_micros, .. } = outcome(&generation, "first") else { panic!("{generation:?}") };
    assert_eq!(*cost_micros, 2 * first_attempt, "the event has the cost of both attempts");
    assert_eq!(generation.cost_micros(), fixture.spent_micros().await, "the events have what was spent");
    assert_eq!(generation.status(), GenerationStatus::Completed);
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_provider_that_fails_is_replaced_by_quotations_that_say_so() {
    let server = LanguageModelServer::start(vec![ModelAnswer::Status(401, "", None)]).await;
    let fixture = GenerationFixture::create(&["lifts"]).await;
    fixture.run(1, vec![priced_provider(&server), extractive_provider()]).await.unwrap();
    let text = fixture.section_text("lifts").await;
    assert!(text.starts_with("Quotations from the sources below, chosen without a language model"), "{text}");
    assert!(text.contains("Acme Corporation delivers and installs patient lifts in 30 days. [1]"), "{text}");
    let generation = fixture.load_generation().await;
    let model = model_of(&generation, "lifts");
    assert_eq!((model.provider.as_str(), model.model.as_str()), ("extractive", "extractive-1"));
    assert_eq!((model.failed_providers[0].as_str(), model.cost_micros), ("main", 0));
}

#[tokio::test]
async fn an_attempt_waits_until_a_provider_can_be_asked_again() {
    let server = LanguageModelServer::start(vec![ModelAnswer::Status(429, "", Some("1"))]).await;
    let fixture = GenerationFixture::create(&["first", "second"]).await.with_wait(Duration::from_secs(20));
    let result = fixture.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "2 sections written");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn the_last_attempt_writes_what_there_is_when_the_search_fails() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["first", "second"]).await;
    fixture.fail_searches(1);
    let result = fixture.run(MAX_ATTEMPTS, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "1 sections written; 1 could not be generated");
    assert!(fixture.section_text("second").await.starts_with("The stand-in quotes"));
}

#[tokio::test]
async fn the_variant_names_the_provider_that_is_asked_first() {
    let (first, second) = (LanguageModelServer::start(vec![]).await, LanguageModelServer::start(vec![]).await);
    for (variant, expected) in [("other", "other"), ("control", "main")] {
        let fixture = GenerationFixture::create_with_provider_variant(&["lifts"], variant).await;
        fixture.run(1, vec![priced_provider(&first), named_provider("other", &second)]).await.unwrap();
        let generation = fixture.load_generation().await;
        assert_eq!(model_of(&generation, "lifts").provider.as_str(), expected, "{variant}");
    }
    // A text of another provider would count for a variant that did not write it.
    let fixture = GenerationFixture::create_with_provider_variant(&["lifts"], "unheard-of").await;
    let failure = fixture.run(1, vec![priced_provider(&first)]).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Later);
    assert!(failure.reason.as_str().contains("provider that was chosen for this generation is not known"), "{failure}");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn without_a_budget_only_free_providers_are_asked() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["lifts"]).await.with_budget(10);
    fixture.run(1, vec![priced_provider(&server), extractive_provider()]).await.unwrap();
    let generation = fixture.load_generation().await;
    assert_eq!(model_of(&generation, "lifts").provider.as_str(), "extractive");

    let fixture = GenerationFixture::create(&["lifts"]).await.with_budget(10);
    let failure = fixture.run(1, vec![priced_provider(&server)]).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Never);
    assert!(failure.reason.as_str().contains("budget for generated texts of this month is used up"), "{failure}");
    assert_eq!((server.requests().len(), fixture.spent_micros().await), (0, 0));
}

#[tokio::test]
async fn what_members_have_written_meanwhile_is_not_replaced() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["approach", "staff"]).await;
    fixture.edit_section("approach", "Ann wrote this.").await;
    let result = fixture.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "1 sections written; left as they were changed meanwhile: approach");
    assert_eq!(fixture.section_text("approach").await, "Ann wrote this.");
    assert!(fixture.section_text("staff").await.starts_with("The stand-in quotes"));
    assert!(matches!(outcome(&fixture.load_generation().await, "approach"), SectionOutcome::Generated { .. }));
}

#[tokio::test]
async fn what_a_member_types_in_an_open_editor_is_not_mixed_with_the_generated_text() {
    let server = LanguageModelServer::start(vec![]).await;
    let fixture = GenerationFixture::create(&["approach", "staff"]).await;
    fixture.type_into_section("approach", "Ann types this.").await;
    fixture.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(fixture.section_text("approach").await, "Ann types this.");
    assert!(fixture.section_text("staff").await.starts_with("The stand-in quotes"));
}

#[tokio::test]
async fn nothing_is_asked_for_a_generation_that_has_ended_or_a_proposal_that_is_no_draft() {
    let server = LanguageModelServer::start(vec![]).await;
    let cancelled = GenerationFixture::create(&["approach"]).await;
    let reason = GenerationReason::from_any_text("not needed");
    cancelled.change_generation(|stamp| ProposalGenerationCommand::Cancel { reason, stamp }).await;
    let result = cancelled.run(1, vec![priced_provider(&server)]).await.unwrap();
    assert_eq!(result.as_str(), "the generation has already ended");

    let reviewed = GenerationFixture::create(&["approach"]).await;
    reviewed.edit_section("other", "Ann wrote this.").await;
    reviewed.change_proposal(|stamp| ProposalCommand::SubmitForReview { stamp }).await;
    let failure = reviewed.run(1, vec![priced_provider(&server)]).await.unwrap_err();
    assert_eq!(failure.retry, RetryDecision::Never);
    assert!(failure.reason.as_str().contains("no draft any more but in_review"), "{failure}");
    assert!(server.requests().is_empty());
}
