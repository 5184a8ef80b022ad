//! The work of an operator: rebuild, roll back, verify, handle dead letters, read the status.

mod graphql_operations;
mod metrics;

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
async fn product_with_notices() -> ProductInstance {
    add_notices(ProductInstance::start().await).await
}

async fn add_notices(product: ProductInstance) -> ProductInstance {
    let file = product.folder().join("notices.csv");
    let generated = product.medhub(&["generate", "--rows", "400", "--seed", "7"]).await;
    assert!(generated.status.success(), "{}", output_text(&generated));
    std::fs::write(&file, &generated.stdout).unwrap();
    let imported = product.medhub(&["import", file.to_str().unwrap()]).await;
    // Generated notices have some damaged rows, which are reported.
    assert!(imported.status.code().is_some_and(|code| code <= 1), "{}", output_text(&imported));
    let agreed = product.medhub(&["status", "--wait", &WAIT_TIMEOUT.as_secs().to_string()]).await;
    assert!(agreed.status.success(), "{}", output_text(&agreed));
    product
}

/// [`product_with_notices`] for all tests that only look at it.
async fn shared_product_with_notices() -> &'static ProductInstance {
    static SHARED: OnceCell<ProductInstance> = OnceCell::const_new();
    run_beside_others();
    SHARED
        .get_or_init(async || add_notices(ProductInstance::start_shared(EnvironmentVariables::new()).await).await)
        .await
}

async fn some_id(product: &ProductHandle) -> String {
    let answer = product.graphql("{ opportunities(first: 1) { edges { node { id } } } }", json!({})).await;
    answer["data"]["opportunities"]["edges"][0]["node"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Queries all read models repeatedly until `stop`; counts the answers and returns the first error.
async fn ask_until(product: &ProductHandle, stop: &AtomicBool, asked: &AtomicU64) -> Option<Value> {
    let query = "query($id: String!) { opportunity(id: $id) { id }
        opportunities(first: 3) { totalCount edges { node { id } } } searchOpportunities(query: \"beds\") { id } }";
    let id = some_id(product).await;
    while !stop.load(Ordering::SeqCst) {
        let answer = product.graphql(query, json!({ "id": id })).await;
        if !answer["errors"].is_null() || answer["data"]["opportunity"]["id"] != json!(id) {
            return Some(answer);
        }
        asked.fetch_add(1, Ordering::SeqCst);
    }
    None
}

#[tokio::test]
async fn read_models_are_rebuilt_compared_rolled_back_and_dropped_while_queries_go_on() {
    let product = product_with_notices().await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));

    let work = async {
        let rebuilt = product.medhub(&["rebuild", "all", "--json"]).await;
        assert!(rebuilt.status.success(), "{}", output_text(&rebuilt));
        let rolled_back = product.medhub(&["rollback"]).await;
        assert!(rolled_back.status.success(), "{}", output_text(&rolled_back));
        stop.store(true, Ordering::SeqCst);
        rebuilt
    };
    let (rebuilt, failed) = tokio::join!(work, ask_until(&product, &stop, &asked));

    assert_eq!(failed, None, "no query may fail");
    assert!(asked.load(Ordering::SeqCst) > 0);
    let report = &json_lines(&rebuilt)[0];
    assert_eq!(report["live"], json!({ "analytics": 2, "search": 2, "views": 2, "workspace": 2 }), "{report}");
    assert_eq!(report["retained"], json!({ "analytics": 1, "search": 1, "views": 1, "workspace": 1 }), "{report}");
    let generations = json_lines(&product.medhub(&["generations", "--json"]).await);
    let standing = |number: u64| {
        let of = generations.iter().filter(|row| row["generation"] == number);
        of.map(|row| row["standing"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((standing(1), standing(2)), (vec!["live".to_owned(); 6], vec!["retained".to_owned(); 4]));

    let live = product.medhub(&["generations", "drop", "views", "g1"]).await;
    assert!(!live.status.success() && output_text(&live).contains("is active"), "{}", output_text(&live));
    let dropped = product.medhub(&["generations", "drop", "views", "g2"]).await;
    assert!(dropped.status.success(), "{}", output_text(&dropped));
    let left = json_lines(&product.medhub(&["generations", "--json"]).await);
    assert_eq!(left.len(), 9, "{left:?}");
}

#[tokio::test]
async fn one_wrong_row_in_each_store_is_named() {
    let product = product_with_notices().await;
    let id = some_id(&product).await;
    let clean = product.medhub(&["verify"]).await;
    assert!(clean.status.success(), "{}", output_text(&clean));
    assert!(output_text(&clean).matches("nothing differs").count() == 4, "{}", output_text(&clean));

    let namespace = product.namespace();
    let database = namespace.clickhouse_database(1);
    let corrupt = format!(
        "insert into {database}.opportunities select * replace (sequence + 1 as sequence, 'corrupt' as title) \
         from {database}.opportunities final where id = '{id}'"
    );
    product.clickhouse(&corrupt).await;
    let mut redis = redis::Client::open(product.variable("REDIS_URL").to_owned()).unwrap().get_connection().unwrap();
    let shard = projections::opportunity_views::KeyShard::of(&id);
    let key = format!("{}g1:{{{shard}}}:opportunity:{id}", namespace.key_prefix());
    let _changed: i64 = redis::cmd("HSET").arg(&key).arg("state").arg("\"Undiscovered\"").query(&mut redis).unwrap();
    let qdrant = Qdrant::from_url(product.variable("QDRANT_URL")).skip_compatibility_check().build().unwrap();
    let gone = DeletePointsBuilder::new(format!("{}opportunities_g1", namespace.collection_prefix()))
        .points(Filter::must([Condition::matches("id", id.clone())]));
    qdrant.delete_points(gone.wait(true)).await.unwrap();

    let found = product.medhub(&["verify", "--json"]).await;
    assert_eq!(found.status.code(), Some(1), "{}", output_text(&found));
    let named = |projection: &str| {
        let report = json_lines(&found).into_iter().find(|report| report["projection"] == projection).unwrap();
        report["differences"].as_array().cloned().unwrap_or_default()
    };
    let difference = |table: &str, kind: &str| json!({ "table": table, "key": id, "kind": kind });
    assert_eq!(named("analytics"), [difference("opportunities", "differs")]);
    assert_eq!(named("search"), [difference("points", "missing")]);
    assert_eq!(named("views"), [difference("opportunity", "differs")]);
    // A sample looks at some buckets only, all of them if so many are asked for.
    let all = product.medhub(&["verify", "views", "--sample", "256"]).await;
    assert!(output_text(&all).contains(&format!("opportunity {id} differs")), "{}", output_text(&all));
}

#[tokio::test]
async fn a_record_that_nobody_can_read_is_listed_inspected_tried_again_and_given_up() {
    let product = product_with_notices().await;
    let id = some_id(&product).await;
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
        let listed = json_lines(&product.medhub(&["dead-letters", "list", "--json"]).await);
        if listed.len() == 3 { Ok(listed) } else { Err(format!("{listed:?}")) }
    })
    .await;

    assert!(parked.iter().all(|row| row["aggregate_id"] == json!(id)), "{parked:?}");
    let inspected = product.medhub(&["dead-letters", "inspect", "views", &id]).await;
    assert_eq!(json_lines(&inspected)[0]["event_type"], "opportunity.evaporated", "{}", output_text(&inspected));
    let tried = product.medhub(&["dead-letters", "redrive", "--projection", "views"]).await;
    assert_eq!(tried.status.code(), Some(1));
    assert!(output_text(&tried).contains("no event is named opportunity.evaporated"), "{}", output_text(&tried));
    let everything = product.medhub(&["dead-letters", "redrive"]).await;
    assert!(!everything.status.success() && output_text(&everything).contains("--all"), "{}", output_text(&everything));
    let without_reason = product.medhub(&["dead-letters", "drop", "views", &id]).await;
    assert_eq!(without_reason.status.code(), Some(2), "{}", output_text(&without_reason));
    for projection in ["analytics", "search", "views"] {
        let dropped = product.medhub(&["dead-letters", "drop", projection, &id, "--reason", "not ours"]).await;
        assert!(dropped.status.success(), "{}", output_text(&dropped));
    }
    assert_eq!(json_lines(&product.medhub(&["dead-letters", "list", "--json"]).await), Vec::<Value>::new());
}

#[tokio::test]
async fn status_tells_how_the_relay_and_every_projection_are() {
    let product = shared_product_with_notices().await;

    // Workers report their status only at intervals.
    let status = eventually(async || {
        let output = product.medhub(&["status", "--json"]).await;
        let status = json_lines(&output).into_iter().next().ok_or_else(|| output_text(&output))?;
        let projections = status["projections"].as_array().cloned().unwrap_or_default();
        if projections.iter().all(|row| row["state"] == "running") { Ok(status) } else { Err(status.to_string()) }
    })
    .await;

    assert_eq!((&status["agree"], &status["relay"]["leads"]), (&json!(true), &json!(true)), "{status}");
    let projections = status["projections"].as_array().unwrap();
    assert_eq!(projections.len(), 6, "{status}");
    for row in projections {
        assert_eq!((&row["live"], &row["parked"]), (&json!(true), &json!(0)), "{row}");
    }
    let table = output_text(&product.medhub(&["status"]).await);
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
