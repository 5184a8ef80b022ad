//! Lists of opportunities from a process that was just started, without Kafka and under more queries than it admits.

use std::collections::BTreeMap;

use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use sqlx::{Connection, Executor as _, PgConnection, Row as _};
use tests::{ProductProcess, error_code};

use super::*;

/// A process of the role `api` that reaches no broker, and sends one query of lists and one of statistics at once.
async fn start_api(product: &ProductInstance) -> ProductProcess {
    let own = BTreeMap::from([
        ("KAFKA_BROKERS".to_owned(), "127.0.0.1:9".to_owned()),
        ("MEDHUB__LISTS__MAX_CONNECTIONS".to_owned(), "2".to_owned()),
        ("MEDHUB__LISTS__QUERY_TIMEOUT_MS".to_owned(), "60000".to_owned()),
    ]);
    let variables = product.variables().clone().into_iter().chain(own).collect();
    let api = ProductProcess::start(&variables, product.folder(), "api", &["serve", "--role", "api"]).unwrap();
    eventually(async || {
        anyhow::ensure!(api.fetch_readiness().await?["ready"] == true, "not ready");
        anyhow::Ok(())
    })
    .await;
    api
}

async fn send_document(url: String, document: &str) -> Value {
    let request = tests::new_http_client().post(format!("{url}/graphql")).json(&json!({ "query": document }));
    request.send().await.unwrap().json().await.unwrap()
}

/// Waits until so many queries wait for the table of counters.
async fn wait_for_blocked_queries(connection: &mut PgConnection, queries: i64) {
    let sql =
        "select count(*) from pg_locks where not granted and relation = 'opportunity_lists_g1.counters'::regclass";
    loop {
        let blocked: i64 = connection.fetch_one(sql).await.unwrap().get(0);
        if blocked == queries {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_new_process_reads_lists_without_kafka_and_refuses_what_it_cannot_answer_in_time() {
    let product = start_product_with_notices().await;
    let mut api = start_api(&product).await;
    let url = api.http().unwrap().clone();
    let sorted = "{ opportunities(first: 3, orderBy: DEADLINE_SOONEST) { totalCount edges { node { id } } } }";
    let answer = send_document(url.clone(), sorted).await;
    assert!(answer["data"]["opportunities"]["totalCount"].as_u64() > Some(100), "{answer}");

    let mut observer = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    let mut blocker = PgConnection::connect(product.variable("DATABASE_URL")).await.unwrap();
    blocker.execute("begin; lock table opportunity_lists_g1.counters in access exclusive mode").await.unwrap();
    let statistics = "{ opportunityStats { isExact total { opportunities } } }";
    let blocked_statistics = tokio::spawn(send_document(url.clone(), statistics));
    wait_for_blocked_queries(&mut observer, 1).await;

    let others = "{ opportunityStats(filter: { setAside: [\"SBA\"] }) { total { opportunities } } }";
    let refused = send_document(url.clone(), others).await;
    assert_eq!(error_code(&refused), "UNAVAILABLE", "{refused}");
    assert!(refused["errors"][0]["extensions"]["retryAfterSeconds"].as_u64() >= Some(1), "{refused}");
    // Statistics have their own queue. The number of a list of words is not in the counters.
    let page = "{ opportunities(first: 3, filter: { text: \"services\" }) { edges { node { id } } } }";
    let page = send_document(url.clone(), page).await;
    assert!(page["errors"].is_null(), "{page}");

    let later = uncounted_page_is_answered(&url).await;

    let blocked_page = tokio::spawn(send_document(url.clone(), "{ opportunities(first: 2) { totalCount } }"));
    wait_for_blocked_queries(&mut observer, 2).await;
    let refused: Response = reqwest::get(format!("{url}/api/v1/opportunities?order=amount_highest")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(RETRY_AFTER), "{:?}", refused.headers());

    blocker.execute("rollback").await.unwrap();
    let (statistics, page) = (blocked_statistics.await.unwrap(), blocked_page.await.unwrap());
    assert_eq!(statistics["data"]["opportunityStats"]["isExact"], true, "{statistics}");
    assert_eq!(
        page["data"]["opportunities"]["totalCount"],
        statistics["data"]["opportunityStats"]["total"]["opportunities"]
    );
    // The same page with its number, which is not the page that was answered without.
    let counted = send_document(url, &later.replace("edges", "totalCount edges")).await;
    assert_eq!(
        counted["data"]["opportunities"]["totalCount"], page["data"]["opportunities"]["totalCount"],
        "{counted}"
    );
    api.kill9().unwrap();
}

/// Pages without `totalCount` do not read the counters, which are locked. Returns the document of the later one.
async fn uncounted_page_is_answered(url: &str) -> String {
    let page = |arguments: &str| {
        format!(
            "{{ opportunities(first: 3, orderBy: AMOUNT_HIGHEST{arguments}) {{ edges {{ cursor node {{ id }} }} }} }}"
        )
    };
    let first = send_document(url.to_owned(), &page("")).await;
    assert!(first["errors"].is_null(), "{first}");
    let cursor = first["data"]["opportunities"]["edges"][0]["cursor"].as_str().unwrap().to_owned();
    let document = page(&format!(", after: \"{cursor}\""));
    let later = send_document(url.to_owned(), &document).await;
    assert_eq!(later["data"]["opportunities"]["edges"][0], first["data"]["opportunities"]["edges"][1], "{later}");
    document
}
