//! The flow through the product: a member requests a generation, workers write it with a provider over HTTP, and the
//! sections are in the proposal with their sources.

use std::path::Path;

use serde_json::{Value, json};
use tests::{
    AcceptedChange, EnvironmentVariables, ProductInstance, ProductProcess, SignedInUser, eventually, json_lines,
    language_model_server::{LanguageModelServer, ModelAnswer, openai_end, openai_part},
    output_text,
};

const GENERATION: &str = "query($id: UUID!) { proposalGeneration(id: $id) { status reason sections { key status failure
    sentences { text sources } sources { number kind id title page } model { provider modelVersion } } } }";
const PROPOSAL: &str = "query($id: UUID!) { proposal(id: $id) { sections { key content } } }";
const PAST_WORK: &str = "In 2029 Acme delivered and installed 240 ceiling lifts for patients in four hospitals of the \
    agency. All lifts were installed within 75 days after award.";
const SECRET_WORK: &str =
    "Rival Corporation secretly delivered 990 ceiling lifts for patients, installed within 5 days.";

/// A provider over Chat Completions, then the extractive one, as settings of a process.
fn provider_settings(server: &LanguageModelServer) -> EnvironmentVariables {
    let settings = [
        ("0__NAME", "main"),
        ("0__PROTOCOL", "openai"),
        ("0__URL", server.url()),
        ("0__MODEL", "gpt-x"),
        ("0__KEY_VARIABLE", "TEST_PROVIDER_KEY"),
        ("0__PRICES__INPUT_MICROS_PER_MILLION", "1000000"),
        ("0__PRICES__OUTPUT_MICROS_PER_MILLION", "2000000"),
        ("1__NAME", "quotations"),
        ("1__PROTOCOL", "extractive"),
    ];
    let providers =
        settings.map(|(key, value)| (format!("MEDHUB__LANGUAGE_MODELS__PROVIDERS__{key}"), value.to_owned()));
    let others = [
        ("TEST_PROVIDER_KEY", "sk-of-the-test"),
        ("MEDHUB__WORK__GENERATE_PROPOSAL", "1"),
        ("MEDHUB__WORK__LEASE_MS", "1000"),
        ("MEDHUB__WORK__POLL_INTERVAL_MS", "100"),
    ];
    providers.into_iter().chain(others.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

/// Mail as files in a folder, as settings of the product.
fn mail_settings(folder: &Path) -> EnvironmentVariables {
    let settings = [
        ("TRANSPORT", "folder".to_owned()),
        ("FOLDER", folder.display().to_string()),
        ("PUBLIC_URL", "https://medhub.example".to_owned()),
        ("UNSUBSCRIBE_SECRET", "a secret of the test".to_owned()),
    ];
    settings.into_iter().map(|(key, value)| (format!("MEDHUB__MAIL__{key}"), value)).collect()
}

fn count_mails(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).count()
}

async fn create_resource(user: &SignedInUser<'_>, name: &str, body: &str) -> AcceptedChange {
    let create = format!("createResource(input: {{ name: \"{name}\", kind: PAST_PERFORMANCE, body: \"{body}\" }})");
    user.apply_change(&create, json!({})).await
}

async fn draft_proposal(user: &SignedInUser<'_>) -> String {
    let draft = "draftProposal(input: { opportunityId: \"036:36C24526Q0001\", title: \"Ceiling lifts\" })";
    user.apply_change(draft, json!({})).await.id
}

async fn request_generation(user: &SignedInUser<'_>, proposal: &str, sections: &[&str]) -> String {
    let request = "generateProposal(input: { proposalId: $id, sections: [";
    let keys: Vec<_> = sections.iter().map(|key| format!("\"{key}\"")).collect();
    user.apply_change(&format!("{request}{}] }})", keys.join(", ")), json!({ "id": proposal })).await.id
}

async fn wait_for_end(user: &SignedInUser<'_>, generation: &str) -> Value {
    eventually(async || {
        let answer = user.send_document(GENERATION, json!({ "id": generation })).await;
        let found = answer["data"]["proposalGeneration"].clone();
        let is_over = found["status"].as_str().is_some_and(|status| status != "RUNNING");
        if is_over { Ok(found) } else { Err(answer.to_string()) }
    })
    .await
}

/// Waits until the search of the company finds a text.
async fn wait_for_text(user: &SignedInUser<'_>, words: &str) {
    let query = "query($words: String!) { searchWorkspace(query: $words, kinds: [RESOURCE]) { id } }";
    eventually(async || {
        let answer = user.send_document(query, json!({ "words": words })).await;
        let hits = answer["data"]["searchWorkspace"].as_array().map_or(0, Vec::len);
        if hits > 0 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

/// Starts a worker whose first section cannot be appended, and kills it as soon as the answer is stored. Then it is started again,
/// and the section can be appended.
async fn start_worker_and_kill_it_before_its_append(
    product: &ProductInstance,
    variables: &EnvironmentVariables,
) -> ProductProcess {
    let pool = sqlx::PgPool::connect(product.variable("DATABASE_URL")).await.unwrap();
    for statement in [
        "create function refuse_append() returns trigger language plpgsql as $$ begin raise 'planted'; end $$",
        "create trigger refuse_append before insert on events for each row
         when (new.event_type = 'proposal_generation.section_generated') execute function refuse_append()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let mut worker =
        ProductProcess::start(variables, product.folder(), "worker", &["serve", "--role", "work"]).unwrap();
    let stored = "select count(*) from generation_reservations where answer is not null";
    eventually(async || {
        let stored: i64 = sqlx::query_scalar(stored).fetch_one(&pool).await.unwrap();
        if stored == 1 { Ok(()) } else { Err(worker.log_tail()) }
    })
    .await;
    worker.kill9().unwrap();
    sqlx::query("drop trigger refuse_append on events").execute(&pool).await.unwrap();
    worker.launch().unwrap();
    worker
}

#[tokio::test]
async fn a_worker_writes_a_proposal_from_what_the_company_has_although_it_is_killed_and_asks_nothing_twice() {
    let mails = tempfile::tempdir().unwrap();
    let product = ProductInstance::start_with(mail_settings(mails.path())).await;
    let ada = SignedInUser::register_company(&product, "ada", "acme").await;
    let eve = SignedInUser::register_company(&product, "eve", "rival").await;
    let preferences = "changeMailPreferences(input: { address: \"ada@acme.example\", timeZone: \"UTC\" })";
    ada.apply_change(preferences, json!({})).await;
    let own = create_resource(&ada, "Lifts 2029", PAST_WORK).await;
    create_resource(&eve, "Secret lifts", SECRET_WORK).await;
    wait_for_text(&ada, "ceiling lifts for patients").await;
    wait_for_text(&eve, "ceiling lifts for patients").await;

    let server = LanguageModelServer::start(vec![]).await;
    let mut variables = product.variables().clone();
    variables.extend(provider_settings(&server));
    let proposal = draft_proposal(&ada).await;
    let keys = ["technical-approach", "past-performance"];
    // The worker is killed when the first section is answered and not recorded yet, and while it waits for the second one.
    server.plan([
        ModelAnswer::Stream(vec![
            openai_part("Acme installed its lifts within 75 days [1]. "),
            openai_part("It offers the same again."),
            openai_end("stop", Some((500, 20))),
        ]),
        ModelAnswer::Hanging(vec![openai_part("Acme has")]),
    ]);
    let generation = request_generation(&ada, &proposal, &keys).await;
    let mut worker = start_worker_and_kill_it_before_its_append(&product, &variables).await;
    eventually(async || if server.requests().len() == 2 { Ok(()) } else { Err(worker.log_tail()) }).await;
    worker.kill9().unwrap();
    worker.launch().unwrap();

    let ended = wait_for_end(&ada, &generation).await;
    assert_eq!(ended["status"], "COMPLETED", "{ended}");
    let asked = |heading: &str| {
        let requests = server.requests();
        requests.iter().filter(|request| request.user_message().contains(&format!("\"{heading}\""))).count()
    };
    assert_eq!((asked("Technical Approach"), asked("Past Performance")), (1, 2));
    let [approach, past] = [&ended["sections"][0], &ended["sections"][1]];
    assert_eq!(approach["model"], json!({ "provider": "main", "modelVersion": "gpt-x-2026" }));
    assert_eq!(approach["sentences"][1], json!({ "text": "It offers the same again.", "sources": [] }));
    let source = &past["sources"][0];
    assert_eq!(
        (&source["kind"], &source["id"], &source["title"]),
        (&json!("RESOURCE"), &json!(own.id), &json!("Lifts 2029"))
    );
    for request in server.requests() {
        assert_eq!(request.headers["authorization"], "Bearer sk-of-the-test");
        let message = request.user_message();
        assert!(message.contains("240 ceiling lifts") && !message.contains("990"), "{message}");
    }

    let written = eventually(async || {
        let answer = ada.send_document(PROPOSAL, json!({ "id": proposal })).await;
        let sections = answer["data"]["proposal"]["sections"].as_array().cloned().unwrap_or_default();
        if sections.len() == 2 { Ok(sections) } else { Err(answer.to_string()) }
    })
    .await;
    let text = written[0]["content"].as_str().unwrap();
    assert_eq!(
        text,
        "Acme installed its lifts within 75 days. [1] It offers the same again. [no source]\n\nSources:\n\
         [1] Lifts 2029 (resource)"
    );
    eventually(async || {
        let answer = ada.send_document("{ notifications { edges { node { kind about } } } }", json!({})).await;
        let node = &answer["data"]["notifications"]["edges"][0]["node"];
        let expected = json!({ "kind": "PROPOSAL_GENERATED", "about": proposal });
        if *node == expected { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;

    // Another company's generation has only its own texts; and without a provider that answers, they are quoted.
    server.plan([ModelAnswer::Status(401, "", None)]);
    let (rivals, before) = (draft_proposal(&eve).await, server.requests().len());
    let ended = wait_for_end(&eve, &request_generation(&eve, &rivals, &["past-performance"]).await).await;
    let section = &ended["sections"][0];
    assert_eq!((&section["status"], &section["model"]["provider"]), (&json!("GENERATED"), &json!("quotations")));
    assert!(section["sentences"].to_string().contains("990 ceiling lifts"), "{section}");
    assert!(!section.to_string().contains("Lifts 2029"), "{section}");
    assert_eq!(server.requests().len(), before + 1);

    // Reading the whole log again asks no provider, and sends no notification and no mail: Ada's are an event and a
    // file each.
    let effects = async || {
        let counted =
            product.run_medhub(&["replay", "--type", "inbox.notified", "--type", "inbox.mail_requested"]).await;
        assert!(counted.status.success(), "{}", output_text(&counted));
        (json_lines(&counted).len(), count_mails(mails.path()), server.requests().len())
    };
    eventually(async || {
        let found = effects().await;
        if found == (3, 1, before + 1) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    for args in [["replay", "--from", "1"], ["rebuild", "all", "--json"]] {
        let output = product.run_medhub(&args).await;
        assert!(output.status.success(), "{}", output_text(&output));
    }
    assert_eq!(effects().await, (3, 1, before + 1));
    let metrics = reqwest::get(format!("{}/metrics", worker.http().unwrap())).await.unwrap().text().await.unwrap();
    for name in ["medhub_generated_sections_total", "medhub_generation_cost_micros_total"] {
        assert!(metrics.contains(&format!("{name}{{provider=\"main\"}}")), "{name} is missing in {metrics}");
    }
    worker.stop().await.unwrap();
}
