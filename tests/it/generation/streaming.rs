//! What a provider writes is seen while it is written: by a subscriber, and by editors in two processes; and reports say
//! afterwards how the variants compare.

use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, GraphqlSubscriber, ProductInstance, ProductProcess, ProposalEditor, SignedInUser, error_code,
    eventually, json_lines,
    language_model_server::{LanguageModelServer, ModelAnswer, openai_end, openai_part},
    output_text,
};

const SECTION: &str = "technical-approach";
/// All companies have the control, which makes the test independent of the hash of the company.
const RUN_EXPERIMENT: &str = "mutation { outcome: defineFeatureFlag(key: \"proposal-generation.prompt\",
    description: \"Prompts\", variants: [{ name: \"control\", weight: 1 }, { name: \"2\", weight: 0 }], enabled: true) {
    __typename } }";
const REPORT: &str =
    "query($key: String!) { experimentReport(experiment: $key) { control startedAt endedAt excludedCompanies variants {
    variant companies generations completed metrics { metric trials value verdict } } } }";

fn provider_settings(server: &LanguageModelServer) -> EnvironmentVariables {
    let settings = [
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__NAME", "main"),
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__PROTOCOL", "openai"),
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__URL", server.url()),
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__MODEL", "gpt-x"),
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__PRICES__INPUT_MICROS_PER_MILLION", "1000000"),
        ("MEDHUB__LANGUAGE_MODELS__PROVIDERS__0__PRICES__OUTPUT_MICROS_PER_MILLION", "2000000"),
        ("MEDHUB__WORK__GENERATE_PROPOSAL", "1"),
        ("MEDHUB__WORK__POLL_INTERVAL_MS", "100"),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn request_generation(user: &SignedInUser<'_>, proposal: &str) -> String {
    let request = format!("generateProposal(input: {{ proposalId: $id, sections: [\"{SECTION}\"] }})");
    user.apply_change(&request, json!({ "id": proposal })).await.id
}

async fn subscribe(http: &str, user: &SignedInUser<'_>, generation: &str) -> GraphqlSubscriber {
    let document = format!(
        "subscription {{ proposalGenerationProgress(generationId: \"{generation}\") {{
        kind section provider text isCut reason status }} }}"
    );
    let payload = json!({ "authorization": format!("Bearer {}", user.token) });
    GraphqlSubscriber::subscribe(http, payload, &document).await.unwrap()
}

async fn open_editor(http: &str, user: &SignedInUser<'_>, proposal: &str) -> ProposalEditor {
    ProposalEditor::open(http, proposal, &format!("medhub-together, bearer.{}", user.token)).await.unwrap()
}

/// Receives steps until one is of this kind and has this text.
async fn receive_step(subscriber: &mut GraphqlSubscriber, kind: &str, text: &Value) -> Value {
    loop {
        let answer = subscriber.next_answer().await.unwrap().expect("a step");
        let step = answer["data"]["proposalGenerationProgress"].clone();
        assert!(step.is_object(), "{answer}");
        if step["kind"] == kind && step["text"] == *text {
            return step;
        }
        assert_eq!(step["kind"], "WRITING", "{step}");
    }
}

/// The text that the generator writes, as an editor sees it.
fn generator_text(editor: &ProposalEditor) -> Option<&str> {
    let generator = editor.awareness_states.values().find(|state| state["user"]["name"] == "Proposal generator");
    generator.and_then(|state| state["generation"]["text"].as_str())
}

#[tokio::test]
async fn a_subscriber_and_editors_in_two_processes_see_the_text_grow() {
    let product = ProductInstance::start().await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;
    let bob = ada.add_member("bob", "VIEWER", "acme").await;
    let eve = SignedInUser::register_company(&product, "eve", "rival").await;
    let draft = format!(
        "draftProposal(input: {{ opportunityId: \"036:36C24526Q0001\", title: \"Lifts\",
        outline: [{{ key: \"{SECTION}\", heading: \"Technical Approach\" }}] }})"
    );
    let proposal = ada.apply_change(&draft, json!({})).await.id;
    let defined = product.send_graphql(RUN_EXPERIMENT, json!({})).await;
    assert_eq!(defined["data"]["outcome"]["__typename"], "Accepted", "{defined}");
    let (first_feed, first) = ModelAnswer::fed();
    let (second_feed, second) = ModelAnswer::fed();
    let server = LanguageModelServer::start(vec![first, second]).await;
    let mut variables = product.variables().clone();
    variables.extend(provider_settings(&server));
    let start = |name: &str, role: &str| {
        ProductProcess::start(&variables, product.folder(), name, &["serve", "--role", role]).unwrap()
    };
    let (mut worker, mut other) = (start("worker", "work"), start("second", "api"));
    eventually(async || {
        anyhow::ensure!(other.fetch_readiness().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;
    let other_http = other.http().unwrap();

    let generation = request_generation(&ada, &proposal).await;
    eventually(async || if server.requests().len() == 1 { Ok(()) } else { Err(worker.log_tail()) }).await;
    let mut subscriber = subscribe(&other_http, &bob, &generation).await;
    let mut at_ada = open_editor(product.http(), &ada, &proposal).await;
    let mut at_bob = open_editor(&other_http, &bob, &proposal).await;
    let refused = subscribe(&other_http, &eve, &generation).await.next_answer().await.unwrap().expect("an error");
    assert_eq!(error_code(&refused), "NOT_FOUND", "{refused}");

    for (part, text) in [("Acme delivers ", "Acme delivers "), ("lifts in 30 days.", "Acme delivers lifts in 30 days.")]
    {
        first_feed.send(openai_part(part)).unwrap();
        let step = receive_step(&mut subscriber, "WRITING", &json!(text)).await;
        assert_eq!(
            (&step["section"], &step["provider"], &step["isCut"]),
            (&json!(SECTION), &json!("main"), &json!(false))
        );
        at_ada.receive_until(|editor| generator_text(editor) == Some(text)).await.unwrap();
        at_bob.receive_until(|editor| generator_text(editor) == Some(text)).await.unwrap();
        assert_eq!(at_ada.section_text(SECTION).unwrap(), "", "a preview is not an edit");
    }

    first_feed.send(openai_end("stop", Some((500, 20)))).unwrap();
    drop(first_feed);
    let recorded = receive_step(&mut subscriber, "SECTION_GENERATED", &json!("Acme delivers lifts in 30 days.")).await;
    assert_eq!(recorded["section"], SECTION);
    let ended = receive_step(&mut subscriber, "ENDED", &Value::Null).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("COMPLETED"), &Value::Null));
    assert_eq!(subscriber.next_answer().await.unwrap(), None, "the subscription ends with the generation");
    let has_final_text = |editor: &ProposalEditor| {
        editor.section_text(SECTION).unwrap().starts_with("Acme delivers lifts in 30 days. [no source]")
    };
    for editor in [&mut at_ada, &mut at_bob] {
        editor.receive_until(|editor| has_final_text(editor) && generator_text(editor).is_none()).await.unwrap();
    }
    let mut late = subscribe(product.http(), &ada, &generation).await;
    receive_step(&mut late, "SECTION_GENERATED", &json!("Acme delivers lifts in 30 days.")).await;
    receive_step(&mut late, "ENDED", &Value::Null).await;
    assert_eq!(late.next_answer().await.unwrap(), None);

    // The subscription of a removed member ends.
    let next = request_generation(&ada, &proposal).await;
    let mut subscriber = subscribe(&other_http, &bob, &next).await;
    second_feed.send(openai_part("Acme ")).unwrap();
    receive_step(&mut subscriber, "WRITING", &json!("Acme ")).await;
    ada.apply_change("removeCompanyMember(user: \"bob\")", json!({})).await;
    eventually(async || {
        second_feed.send(openai_part("x")).unwrap();
        let answer = subscriber.next_answer().await.unwrap();
        if answer.as_ref().is_some_and(|answer| answer["errors"].is_array()) {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    second_feed.send(openai_end("stop", Some((500, 20)))).unwrap();
    drop(second_feed);

    check_experiment_report(&product, &ada, &generation).await;
    worker.stop().await.unwrap();
    other.stop().await.unwrap();
}

async fn check_experiment_report(product: &ProductInstance, ada: &SignedInUser<'_>, generation: &str) {
    ada.apply_change("rateGeneration(input: { id: $id, rating: HELPFUL })", json!({ "id": generation })).await;
    let variables = json!({ "key": "proposal-generation.prompt" });
    let report = eventually(async || {
        let answer = product.send_graphql(REPORT, variables.clone()).await;
        let report = answer["data"]["experimentReport"].clone();
        let variant = &report["variants"][0];
        // Both generations have ended, and one is rated.
        let is_complete = variant["completed"] == 2 && variant["metrics"][2]["metric"] == "helpful_share";
        if is_complete { Ok(report) } else { Err(answer.to_string()) }
    })
    .await;
    let variant = &report["variants"][0];
    assert_eq!(
        (&report["control"], &variant["variant"], &variant["companies"]),
        (&json!("control"), &json!("control"), &json!(1))
    );
    let helpful = json!({ "metric": "helpful_share", "trials": 1, "value": 1.0, "verdict": null });
    // Each request has 500 tokens at 1 and 20 at 2 millionths of a dollar.
    let cost = json!({ "metric": "generation_cost_micros", "trials": 2, "value": 540.0, "verdict": null });
    assert_eq!((&variant["metrics"][2], &variant["metrics"][3]), (&helpful, &cost));
    assert_eq!(variant["metrics"][0]["metric"], "completed_share");
    assert!(
        report["startedAt"].is_string() && report["endedAt"].is_null() && report["excludedCompanies"] == 0,
        "{report}"
    );
    let refused = ada.send_document(REPORT, variables).await;
    assert_eq!(error_code(&refused), "FORBIDDEN", "{refused}");

    let printed = product.run_medhub(&["experiments", "report", "proposal-generation.prompt", "--json"]).await;
    assert!(printed.status.success(), "{}", output_text(&printed));
    let printed = json_lines(&printed);
    assert_eq!((&printed[0]["variants"][0]["completed"], &printed[0]["control"]), (&json!(2), &json!("control")));
    let verified = product.run_medhub(&["verify", "analytics"]).await;
    assert!(verified.status.success(), "{}", output_text(&verified));
}
