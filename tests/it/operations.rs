//! The work of an operator: rebuild, roll back, verify, handle dead letters, read the status.

mod feature_flags;
mod first_build;
mod graceful_stop;
mod graphql_operations;
mod json_log;
mod list_service;
mod metrics;
mod observed_mutation;
mod otlp_export;
mod process_traces;
mod traces;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use qdrant_client::{
    Qdrant,
    qdrant::{Condition, DeletePointsBuilder, Filter},
};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use tests::{
    EnvironmentVariables, ProductHandle, ProductInstance, WAIT_TIMEOUT, eventually, json_lines, output_text,
    run_beside_others, shared_product,
};
use tokio::sync::OnceCell;

/// A product with generated notices in every store.
async fn start_product_with_notices() -> ProductInstance {
    import_generated_notices(ProductInstance::start().await).await
}

async fn import_generated_notices(product: ProductInstance) -> ProductInstance {
    let file = product.folder().join("notices.csv");
    let generated = product.run_medhub(&["generate", "--rows", "400", "--seed", "7"]).await;
    assert!(generated.status.success(), "{}", output_text(&generated));
    std::fs::write(&file, &generated.stdout).unwrap();
    let imported = product.run_medhub(&["import", file.to_str().unwrap()]).await;
    // Generated notices have some damaged rows, which are reported.
    assert!(imported.status.code().is_some_and(|code| code <= 1), "{}", output_text(&imported));
    let agreed = product.run_medhub(&["status", "--wait", &WAIT_TIMEOUT.as_secs().to_string()]).await;
    assert!(agreed.status.success(), "{}", output_text(&agreed));
    product
}

/// [`start_product_with_notices`], shared by all tests that only read.
pub(crate) async fn shared_product_with_notices() -> &'static ProductInstance {
    static SHARED: OnceCell<ProductInstance> = OnceCell::const_new();
    run_beside_others();
    SHARED
        .get_or_init(async || {
            import_generated_notices(ProductInstance::start_shared(EnvironmentVariables::new()).await).await
        })
        .await
}

async fn find_opportunity_id(product: &ProductHandle) -> String {
    let answer = product.send_graphql("{ opportunities(first: 1) { edges { node { id } } } }", json!({})).await;
    answer["data"]["opportunities"]["edges"][0]["node"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Queries all read models repeatedly until `stop`; counts the answers and returns the first error.
async fn query_until(product: &ProductHandle, stop: &AtomicBool, answers: &AtomicU64) -> Option<Value> {
    let query = "query($id: String!) { opportunity(id: $id) { id }
        opportunities(first: 3) { totalCount edges { node { id } } } searchOpportunities(query: \"beds\") { id } }";
    let id = find_opportunity_id(product).await;
    while !stop.load(Ordering::SeqCst) {
        let answer = product.send_graphql(query, json!({ "id": id })).await;
        if !answer["errors"].is_null() || answer["data"]["opportunity"]["id"] != json!(id) {
            return Some(answer);
        }
        answers.fetch_add(1, Ordering::SeqCst);
    }
    None
}

#[tokio::test]
async fn read_models_are_rebuilt_rolled_back_and_dropped_while_queries_are_answered() {
    let product = start_product_with_notices().await;
    let (stop, answers) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));

    let work = async {
        let rebuilt = product.run_medhub(&["rebuild", "all", "--json"]).await;
        assert!(rebuilt.status.success(), "{}", output_text(&rebuilt));
        let rolled_back = product.run_medhub(&["rollback"]).await;
        assert!(rolled_back.status.success(), "{}", output_text(&rolled_back));
        stop.store(true, Ordering::SeqCst);
        rebuilt
    };
    let (rebuilt, failed) = tokio::join!(work, query_until(&product, &stop, &answers));

    assert_eq!(failed, None, "no query may fail");
    assert!(answers.load(Ordering::SeqCst) > 0);
    let report = &json_lines(&rebuilt)[0];
    assert_eq!(
        report["live"],
        json!({ "analytics": 2, "lists": 2, "search": 2, "views": 2, "workspace": 2 }),
        "{report}"
    );
    let first = json!({ "analytics": 1, "lists": 1, "search": 1, "views": 1, "workspace": 1 });
    assert_eq!(report["retained"], first, "{report}");
    let generations = json_lines(&product.run_medhub(&["generations", "--json"]).await);
    let standing = |number: u64| {
        let rows = generations.iter().filter(|row| row["generation"] == number);
        rows.map(|row| row["standing"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((standing(1), standing(2)), (vec!["live".to_owned(); 7], vec!["retained".to_owned(); 5]));

    let outcome = product.run_medhub(&["generations", "drop", "views", "g1"]).await;
    assert!(!outcome.status.success() && output_text(&outcome).contains("is active"), "{}", output_text(&outcome));
    let dropped = product.run_medhub(&["generations", "drop", "views", "g2"]).await;
    assert!(dropped.status.success(), "{}", output_text(&dropped));
    let remaining = json_lines(&product.run_medhub(&["generations", "--json"]).await);
    assert_eq!(remaining.len(), 11, "{remaining:?}");
}

#[tokio::test]
async fn verify_names_one_wrong_row_in_each_store() {
    let product = start_product_with_notices().await;
    let id = find_opportunity_id(&product).await;
    let clean = product.run_medhub(&["verify"]).await;
    assert!(clean.status.success(), "{}", output_text(&clean));
    assert!(output_text(&clean).matches("nothing differs").count() == 5, "{}", output_text(&clean));

    let namespace = product.namespace();
    let database = namespace.clickhouse_database(1);
    let corrupt = format!(
        "insert into {database}.opportunities select * replace (sequence + 1 as sequence, 'corrupt' as title) \
         from {database}.opportunities final where id = '{id}'"
    );
    product.query_clickhouse(&corrupt).await;
    let mut redis = redis::Client::open(product.variable("REDIS_URL").to_owned()).unwrap().get_connection().unwrap();
    let shard = projections::opportunity_views::KeyShard::for_id(&id);
    let key = format!("{}g1:{{{shard}}}:opportunity:{id}", namespace.key_prefix());
    let _changed: i64 = redis::cmd("HSET").arg(&key).arg("state").arg("\"Undiscovered\"").query(&mut redis).unwrap();
    let qdrant = Qdrant::from_url(product.variable("QDRANT_URL")).skip_compatibility_check().build().unwrap();
    let deletion = DeletePointsBuilder::new(format!("{}opportunities_g1", namespace.collection_prefix()))
        .points(Filter::must([Condition::matches("id", id.clone())]));
    qdrant.delete_points(deletion.wait(true)).await.unwrap();

    let found = product.run_medhub(&["verify", "--json"]).await;
    assert_eq!(found.status.code(), Some(1), "{}", output_text(&found));
    let differences_of = |projection: &str| {
        let report = json_lines(&found).into_iter().find(|report| report["projection"] == projection).unwrap();
        report["differences"].as_array().cloned().unwrap_or_default()
    };
    let difference = |table: &str, kind: &str| json!({ "table": table, "key": id, "kind": kind });
    assert_eq!(differences_of("analytics"), [difference("opportunities", "differs")]);
    assert_eq!(differences_of("search"), [difference("points", "missing")]);
    assert_eq!(differences_of("views"), [difference("opportunity", "differs")]);
    // A sample compares some verify buckets only; one of 256 compares all of them.
    let all = product.run_medhub(&["verify", "views", "--sample", "256"]).await;
    assert!(output_text(&all).contains(&format!("opportunity {id} differs")), "{}", output_text(&all));
}

#[tokio::test]
async fn a_dead_letter_is_listed_inspected_redriven_and_dropped() {
    let product = start_product_with_notices().await;
    let id = find_opportunity_id(&product).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", product.variable("KAFKA_BROKERS").to_owned()).create().unwrap();
    let headers = [
        ("position", "0"),
        ("event-id", "00000000-0000-0000-0000-00000000dead"),
        ("tenant-id", "public"),
        ("aggregate-type", "opportunity"),
        ("sequence", "999"),
        ("event-type", "opportunity.evaporated"),
        ("schema-version", "1.0"),
        ("recorded-at", "2026-03-03T12:17:50.808123Z"),
    ];
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
    let topic = format!("{}.opportunities.events", product.namespace().topic_prefix());
    let record = FutureRecord::to(&topic).key(&id).payload("{}").headers(headers);
    producer.send(record, WAIT_TIMEOUT).await.unwrap();

    let parked = eventually(async || {
        let listed = json_lines(&product.run_medhub(&["dead-letters", "list", "--json"]).await);
        if listed.len() == 5 { Ok(listed) } else { Err(format!("{listed:?}")) }
    })
    .await;

    assert!(parked.iter().all(|row| row["aggregate_id"] == json!(id)), "{parked:?}");
    let inspected = product.run_medhub(&["dead-letters", "inspect", "views", &id]).await;
    assert_eq!(json_lines(&inspected)[0]["event_type"], "opportunity.evaporated", "{}", output_text(&inspected));
    let redriven = product.run_medhub(&["dead-letters", "redrive", "--projection", "views"]).await;
    assert_eq!(redriven.status.code(), Some(1));
    assert!(output_text(&redriven).contains("unknown event type opportunity.evaporated"), "{}", output_text(&redriven));
    let unfiltered = product.run_medhub(&["dead-letters", "redrive"]).await;
    assert!(!unfiltered.status.success() && output_text(&unfiltered).contains("--all"), "{}", output_text(&unfiltered));
    let without_reason = product.run_medhub(&["dead-letters", "drop", "views", &id]).await;
    assert_eq!(without_reason.status.code(), Some(2), "{}", output_text(&without_reason));
    for projection in ["analytics", "lists", "saved-search-alerts", "search", "views"] {
        let dropped = product.run_medhub(&["dead-letters", "drop", projection, &id, "--reason", "not ours"]).await;
        assert!(dropped.status.success(), "{}", output_text(&dropped));
    }
    assert_eq!(json_lines(&product.run_medhub(&["dead-letters", "list", "--json"]).await), Vec::<Value>::new());
}

#[tokio::test]
async fn status_reports_the_relay_and_every_projection() {
    let product = shared_product_with_notices().await;

    // Workers report their status only at intervals.
    let status = eventually(async || {
        let output = product.run_medhub(&["status", "--json"]).await;
        let status = json_lines(&output).into_iter().next().ok_or_else(|| output_text(&output))?;
        let projections = status["projections"].as_array().cloned().unwrap_or_default();
        if projections.iter().all(|row| row["state"] == "running") { Ok(status) } else { Err(status.to_string()) }
    })
    .await;

    assert_eq!((&status["agree"], &status["relay"]["leads"]), (&json!(true), &json!(true)), "{status}");
    let projections = status["projections"].as_array().unwrap();
    assert_eq!(projections.len(), 12, "seven projections, three processes, the queue of tasks, mail: {status}");
    for row in projections {
        assert_eq!((&row["live"], &row["parked"]), (&json!(true), &json!(0)), "{row}");
    }
    let table = output_text(&product.run_medhub(&["status"]).await);
    for word in [
        "relay",
        "leads",
        "analytics g1 *",
        "search g1 *",
        "views g1 *",
        "workspace g1 *",
        "live g1 *",
        "all stores agree",
    ] {
        assert!(table.contains(word), "{word} in {table}");
    }
}

#[tokio::test]
async fn status_without_clickhouse_reports_everything_else() {
    let mut status = shared_product_with_notices().await.medhub_command(&["status", "--json"]);
    // Port 9 is that of the discard protocol; nothing listens there.
    status.env("CLICKHOUSE_URL", "http://127.0.0.1:9");
    let output = tokio::task::spawn_blocking(move || status.output().unwrap()).await.unwrap();
    let report = &json_lines(&output)[0];
    assert_eq!((output.status.code(), &report["agree"]), (Some(1), &json!(false)), "{}", output_text(&output));
    assert!(report["error"].as_str().is_some_and(|error| error.contains("reaching ClickHouse")), "{report}");
    assert_eq!(report["relay"]["leads"], json!(true), "{report}");
}
