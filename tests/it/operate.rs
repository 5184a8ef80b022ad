//! What an operator does: rebuild, go back, compare, deal with dead letters, look how everything is.

mod away;
mod measured;
mod observed;
mod over_graphql;

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
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
use tests::{Stack, eventually};

const PATIENCE: Duration = Duration::from_mins(1);

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json_lines(output: &Output) -> Vec<Value> {
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// A stack with generated notices in every store.
async fn stack() -> Stack {
    let stack = Stack::start().await;
    let file = stack.data().join("notices.csv");
    let generated = stack.medhub(&["generate", "--rows", "400", "--seed", "7"]).await;
    assert!(generated.status.success(), "{}", text(&generated));
    std::fs::write(&file, &generated.stdout).unwrap();
    let imported = stack.medhub(&["import", file.to_str().unwrap()]).await;
    // Generated notices have some damaged rows, which are reported.
    assert!(imported.status.code().is_some_and(|code| code <= 1), "{}", text(&imported));
    let agreed = stack.medhub(&["status", "--wait", "60"]).await;
    assert!(agreed.status.success(), "{}", text(&agreed));
    stack
}

async fn some_id(stack: &Stack) -> String {
    let answer = stack.graphql("{ opportunities(first: 1) { edges { node { id } } } }", json!({})).await;
    answer["data"]["opportunities"]["edges"][0]["node"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn clickhouse(stack: &Stack, statement: String) -> String {
    let answer = reqwest::Client::new().post(stack.url("CLICKHOUSE_URL")).body(statement).send().await.unwrap();
    let (status, body) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{body}");
    body
}

/// Asks all read models again and again; counts the answers and keeps the first error.
async fn ask_until(stack: &Stack, stop: &AtomicBool, asked: &AtomicU64) -> Option<Value> {
    let query = "query($id: String!) { opportunity(id: $id) { id }
        opportunities(first: 3) { totalCount edges { node { id } } } searchOpportunities(query: \"beds\") { id } }";
    let id = some_id(stack).await;
    while !stop.load(Ordering::SeqCst) {
        let answer = stack.graphql(query, json!({ "id": id })).await;
        if !answer["errors"].is_null() || answer["data"]["opportunity"]["id"] != json!(id) {
            return Some(answer);
        }
        asked.fetch_add(1, Ordering::SeqCst);
    }
    None
}

#[tokio::test]
async fn read_models_are_rebuilt_compared_rolled_back_and_dropped_while_queries_go_on() {
    let stack = stack().await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));

    let work = async {
        let rebuilt = stack.medhub(&["rebuild", "all", "--json"]).await;
        assert!(rebuilt.status.success(), "{}", text(&rebuilt));
        let rolled_back = stack.medhub(&["rollback"]).await;
        assert!(rolled_back.status.success(), "{}", text(&rolled_back));
        stop.store(true, Ordering::SeqCst);
        rebuilt
    };
    let (rebuilt, failed) = tokio::join!(work, ask_until(&stack, &stop, &asked));

    assert_eq!(failed, None, "no query may fail");
    assert!(asked.load(Ordering::SeqCst) > 0);
    let report = &json_lines(&rebuilt)[0];
    assert_eq!(report["live"], json!({ "analytics": 2, "search": 2, "views": 2, "workspace": 2 }), "{report}");
    assert_eq!(report["retained"], json!({ "analytics": 1, "search": 1, "views": 1, "workspace": 1 }), "{report}");
    let generations = json_lines(&stack.medhub(&["generations", "--json"]).await);
    let standing = |number: u64| {
        let of = generations.iter().filter(|row| row["generation"] == number);
        of.map(|row| row["standing"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((standing(1), standing(2)), (vec!["live".to_owned(); 6], vec!["retained".to_owned(); 4]));

    let live = stack.medhub(&["generations", "drop", "views", "g1"]).await;
    assert!(!live.status.success() && text(&live).contains("what readers see"), "{}", text(&live));
    let dropped = stack.medhub(&["generations", "drop", "views", "g2"]).await;
    assert!(dropped.status.success(), "{}", text(&dropped));
    let left = json_lines(&stack.medhub(&["generations", "--json"]).await);
    assert_eq!(left.len(), 9, "{left:?}");
}

#[tokio::test]
async fn one_wrong_row_in_each_store_is_named() {
    let stack = stack().await;
    let id = some_id(&stack).await;
    let clean = stack.medhub(&["verify"]).await;
    assert!(clean.status.success(), "{}", text(&clean));
    assert!(text(&clean).matches("nothing differs").count() == 4, "{}", text(&clean));

    let corrupt = format!(
        "insert into medhub_g1.opportunities select * replace (sequence + 1 as sequence, 'corrupt' as title) \
         from medhub_g1.opportunities final where id = '{id}'"
    );
    clickhouse(&stack, corrupt).await;
    let mut redis = redis::Client::open(stack.url("REDIS_URL")).unwrap().get_connection().unwrap();
    let key = format!("medhub:g1:opportunity:{id}");
    let _changed: i64 = redis::cmd("HSET").arg(&key).arg("state").arg("\"Undiscovered\"").query(&mut redis).unwrap();
    let qdrant = Qdrant::from_url(&stack.url("QDRANT_URL")).skip_compatibility_check().build().unwrap();
    let gone = DeletePointsBuilder::new("medhub_opportunities_g1")
        .points(Filter::must([Condition::matches("id", id.clone())]));
    qdrant.delete_points(gone.wait(true)).await.unwrap();

    let found = stack.medhub(&["verify", "--json"]).await;
    assert_eq!(found.status.code(), Some(1), "{}", text(&found));
    let named = |projection: &str| {
        let report = json_lines(&found).into_iter().find(|report| report["projection"] == projection).unwrap();
        report["differences"].as_array().cloned().unwrap_or_default()
    };
    let difference = |table: &str, kind: &str| json!({ "table": table, "key": id, "kind": kind });
    assert_eq!(named("analytics"), [difference("opportunities", "differs")]);
    assert_eq!(named("search"), [difference("points", "missing")]);
    assert_eq!(named("views"), [difference("opportunity", "differs")]);
    // A sample looks at some buckets only, all of them if so many are asked for.
    let all = stack.medhub(&["verify", "views", "--sample", "256"]).await;
    assert!(text(&all).contains(&format!("opportunity {id} differs")), "{}", text(&all));
}

#[tokio::test]
async fn a_record_that_nobody_can_read_is_listed_inspected_tried_again_and_given_up() {
    let stack = stack().await;
    let id = some_id(&stack).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", stack.url("KAFKA_BROKERS")).create().unwrap();
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
    let record = FutureRecord::to("contracts.opportunities.events").key(&id).payload("{}").headers(headers);
    producer.send(record, PATIENCE).await.unwrap();

    let parked = eventually(PATIENCE, async || {
        let listed = json_lines(&stack.medhub(&["dead-letters", "list", "--json"]).await);
        if listed.len() == 3 { Ok(listed) } else { Err(format!("{listed:?}")) }
    })
    .await;

    assert!(parked.iter().all(|row| row["aggregate_id"] == json!(id)), "{parked:?}");
    let inspected = stack.medhub(&["dead-letters", "inspect", "views", &id]).await;
    assert_eq!(json_lines(&inspected)[0]["event_type"], "opportunity.evaporated", "{}", text(&inspected));
    let tried = stack.medhub(&["dead-letters", "redrive", "--projection", "views"]).await;
    assert_eq!(tried.status.code(), Some(1));
    assert!(text(&tried).contains("no event is named opportunity.evaporated"), "{}", text(&tried));
    let everything = stack.medhub(&["dead-letters", "redrive"]).await;
    assert!(!everything.status.success() && text(&everything).contains("--all"), "{}", text(&everything));
    let without_reason = stack.medhub(&["dead-letters", "drop", "views", &id]).await;
    assert_eq!(without_reason.status.code(), Some(2), "{}", text(&without_reason));
    for projection in ["analytics", "search", "views"] {
        let dropped = stack.medhub(&["dead-letters", "drop", projection, &id, "--reason", "not ours"]).await;
        assert!(dropped.status.success(), "{}", text(&dropped));
    }
    assert_eq!(json_lines(&stack.medhub(&["dead-letters", "list", "--json"]).await), Vec::<Value>::new());
}

#[tokio::test]
async fn status_tells_how_the_relay_and_every_projection_are() {
    let stack = stack().await;

    let status = stack.medhub(&["status", "--json"]).await;

    let told = &json_lines(&status)[0];
    assert_eq!((&told["agree"], &told["relay"]["leads"]), (&json!(true), &json!(true)), "{told}");
    let projections = told["projections"].as_array().unwrap();
    assert_eq!(projections.len(), 6, "{told}");
    for row in projections {
        assert_eq!(
            (&row["live"], &row["state"], &row["parked"]),
            (&json!(true), &json!("running"), &json!(0)),
            "{row}"
        );
    }
    let table = text(&stack.medhub(&["status"]).await);
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
