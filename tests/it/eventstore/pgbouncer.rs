//! `PgBouncer` between the product and Postgres: behind one that shares sessions it refuses to start, and says why.

use serde_json::{Value, json};
use tests::{
    HttpResponse, PgBouncer, PoolMode, ProductEdge, ProductProcess, SignedInUser, eventually, output_text,
    shared_product, unique_name,
};

#[tokio::test]
async fn a_pooler_that_loses_prepared_statements_or_transactions_is_refused_with_what_to_do() {
    let product = shared_product().await;
    for (mode, remedy) in [
        (PoolMode::Transaction, "use PgBouncer 1.21 or later with max_prepared_statements=200"),
        (PoolMode::Statement, "(PgBouncer pool_mode=statement): set DATABASE_URL to the server itself"),
    ] {
        let pooler = PgBouncer::start(product.variable("DATABASE_URL"), mode).await;
        let run = |args: &'static [&'static str]| {
            let mut command = product.medhub_command(args);
            command.env("DATABASE_URL", pooler.url());
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        let (doctor, served, migrated) =
            tokio::join!(run(&["doctor", "--json"]), run(&["serve", "--role", "api"]), run(&["migrate"]));

        let report: Value = serde_json::from_slice(&doctor.unwrap().stdout).unwrap();
        let engines = report["engines"].as_array().unwrap();
        let postgres = engines.iter().find(|engine| engine["engine"] == "postgres").unwrap();
        assert_eq!(postgres["answers"], true, "{mode:?}: {postgres}");
        assert_eq!(postgres["findings"][0]["harmful"], true, "{mode:?}: {postgres}");
        assert!(postgres["findings"][0]["text"].as_str().unwrap().contains(remedy), "{mode:?}: {postgres}");
        for output in [served.unwrap(), migrated.unwrap()] {
            let text = output_text(&output);
            assert!(!output.status.success() && text.contains(remedy), "{mode:?}: {text}");
        }
    }
}

/// The settings that the product makes at the start of some connections are refused by this pooler, too.
#[tokio::test]
async fn in_session_mode_commands_and_pages_work_without_settings_of_the_pooler() {
    let pooler = PgBouncer::start(shared_product().await.variable("DATABASE_URL"), PoolMode::Session).await;
    commands_and_pages_work_through(&pooler).await;
}

#[tokio::test]
async fn in_transaction_mode_they_work_if_the_pooler_keeps_prepared_statements() {
    let product = shared_product().await;
    let pooler = PgBouncer::start_keeping_statements(product.variable("DATABASE_URL")).await;
    let mut doctor = product.medhub_command(&["doctor", "--json"]);
    doctor.env("DATABASE_URL", pooler.url());
    let (diagnosed, ()) = tokio::join!(
        tokio::task::spawn_blocking(move || doctor.output().unwrap()),
        commands_and_pages_work_through(&pooler)
    );
    let report: Value = serde_json::from_slice(&diagnosed.unwrap().stdout).unwrap();
    let postgres = report["engines"].as_array().unwrap().iter().find(|engine| engine["engine"] == "postgres").unwrap();
    let finding = &postgres["findings"][0];
    assert_eq!(finding["harmful"], false, "{postgres}");
    assert!(finding["text"].as_str().unwrap().contains("leadership is a lease, which works"), "{postgres}");
}

async fn commands_and_pages_work_through(pooler: &PgBouncer) {
    let product = shared_product().await;
    let member = SignedInUser::register_company(product, &unique_name("ann"), &unique_name("pooled")).await;
    let mut variables = product.variables().clone();
    variables.insert("DATABASE_URL".to_owned(), pooler.url().to_owned());
    let name = unique_name("behind-pgbouncer");
    let mut api = ProductProcess::start(&variables, product.folder(), &name, &["serve", "--role", "api"]).unwrap();
    let address = api.wait_for_address(ProductEdge::Http).await.unwrap();
    eventually(async || {
        anyhow::ensure!(api.fetch_readiness().await?["ready"] == true, "not ready: {}", api.log_tail());
        anyhow::Ok(())
    })
    .await;
    let send = async |document: &str| {
        let request = tests::new_http_client().post(format!("http://{address}/graphql")).bearer_auth(&member.token);
        HttpResponse::from_request(request.json(&json!({ "query": document }))).await.body
    };

    let created = send(
        "mutation { outcome: createResource(input: { name: \"Policy\", kind: BOILERPLATE, body: \"Ours\" }) {
        ... on Accepted { version } ... on Rejected { rule } } }",
    )
    .await;
    assert_eq!(created["data"]["outcome"]["version"], 1, "{created}");
    let page = send("{ opportunities(first: 3) { totalCount edges { node { id } } } }").await;
    assert!(page["errors"].is_null() && page["data"]["opportunities"]["totalCount"].is_u64(), "{page}");
    api.stop().await.unwrap();
}
