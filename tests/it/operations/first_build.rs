//! Lists of opportunities while their read model is built for the first time, as after an upgrade.

use sqlx::{Connection, PgConnection};
use tests::{ProductProcess, error_code};

use super::*;

/// Sends a document to a program.
async fn send_document(process: &ProductProcess, document: &str) -> Value {
    let request = tests::new_http_client().post(format!("{}/graphql", process.http().unwrap()));
    request.json(&json!({ "query": document })).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn until_the_lists_are_built_the_default_order_is_answered_and_others_are_refused() {
    let mut product = start_product_with_notices().await;
    product.kill9();
    let mut connection = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let forgotten = sqlx::query("delete from projection_checkpoints where projection = 'lists'");
    assert!(forgotten.execute(&mut connection).await.unwrap().rows_affected() > 0);
    let unmarked = sqlx::query("update opportunity_lists_g1.generation set is_complete = false");
    assert_eq!(unmarked.execute(&mut connection).await.unwrap().rows_affected(), 1);
    let args = ["serve", "--role", "api"];
    let mut api = ProductProcess::start(product.variables(), product.folder(), "upgraded", &args).unwrap();
    eventually(async || {
        anyhow::ensure!(api.fetch_readiness().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;

    let first = "{ opportunities(first: 3) { totalCount totalCountIsExact edges { cursor node { id } } }
        opportunityStats { total { opportunities } } }";
    let before = send_document(&api, first).await;
    assert!(before["errors"].is_null(), "{before}");
    let sorted = "{ opportunities(first: 3, orderBy: DEADLINE_SOONEST) { totalCount } }";
    let refused = send_document(&api, sorted).await;
    assert_eq!(error_code(&refused), "UNAVAILABLE");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("being built"), "{refused}");
    let second = format!(
        "{{ opportunities(first: 3, after: {}) {{ edges {{ node {{ id }} }} }} }}",
        before["data"]["opportunities"]["edges"][2]["cursor"]
    );
    let second_before = send_document(&api, &second).await;

    product.restart().await;
    // The group of the projection has read everything in Kafka, unlike after an upgrade: a rebuild reads the log.
    let rebuilt = product.run_medhub(&["rebuild", "lists"]).await;
    assert!(rebuilt.status.success(), "{}", output_text(&rebuilt));
    eventually(async || {
        let answer = send_document(&api, sorted).await;
        anyhow::ensure!(answer["errors"].is_null(), "{answer}");
        let expected = &before["data"]["opportunities"]["totalCount"];
        anyhow::ensure!(answer["data"]["opportunities"]["totalCount"] == *expected, "{answer}");
        anyhow::Ok(())
    })
    .await;
    assert_eq!(send_document(&api, first).await, before, "both read models answer alike");
    assert_eq!(
        send_document(&api, &second).await,
        second_before,
        "a cursor continues the list in the other read model"
    );
    api.kill9().unwrap();
}
