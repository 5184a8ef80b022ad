//! The log and its relay on real Postgres and Kafka: nothing lost, nothing reordered, nobody waited for in vain.

mod append;
mod fence;
mod record;
mod relay;
mod replay;

use domain::store::{BatchStore, NewEvent, StoreError};
use eventstore::{append::PgBatchStore, topic::KafkaConfig};
use schemas::registry::{Registry, RegistryConfig};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// A database of the test's own, migrated.
pub(crate) async fn database() -> PgPool {
    let admin = tests::engines().await.url("DATABASE_URL");
    let name = format!("t_{}", Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    sqlx::query(&format!("create database {name}")).execute(&mut connection).await.unwrap();
    let mut url = reqwest::Url::parse(&admin).unwrap();
    url.set_path(&name);
    let pool = PgPoolOptions::new().max_connections(8).connect(url.as_str()).await.unwrap();
    eventstore::postgres::migrate(&pool).await.unwrap();
    pool
}

/// Topics of the test's own.
async fn topics() -> KafkaConfig {
    let config = KafkaConfig {
        brokers: tests::engines().await.url("KAFKA_BROKERS"),
        topic_prefix: format!("t-{}", Uuid::new_v4().simple()),
        ..KafkaConfig::default()
    };
    eventstore::topic::ensure(&config).await.unwrap();
    config
}

/// A client of the stack's schema registry.
pub(crate) async fn registry() -> Registry {
    Registry::new(&RegistryConfig { url: tests::engines().await.url("SCHEMA_REGISTRY_URL") })
}

/// A payload of `opportunity.discovered` 1.0 that differs by its title.
fn payload(title: &str) -> String {
    serde_json::json!({
        "type": "discovered",
        "filing": { "notice_id": "n1", "source": "sam_csv", "posted_at": "2026-03-03T12:00:00Z", "digest": "d" },
        "facts": {
            "title": title,
            "notice_type": "Solicitation",
            "agency": { "code": "036", "name": "VETERANS AFFAIRS, DEPARTMENT OF" },
        },
    })
    .to_string()
}

fn event(aggregate: &str, sequence: u64) -> NewEvent {
    NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: aggregate.to_owned(),
        sequence,
        event_type: "opportunity.discovered".to_owned(),
        event_version: "1.0".to_owned(),
        payload: payload(&sequence.to_string()),
        metadata: domain::envelope::Metadata::default(),
    }
}

/// Appends as anybody could, by a plain statement.
async fn insert(connection: &mut PgConnection, aggregate: &str, sequence: i64) {
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('opportunity', $1, $2, 'opportunity.discovered', '1.0', $3::json, '{}')",
    )
    .bind(aggregate)
    .bind(sequence)
    .bind(payload(&sequence.to_string()))
    .execute(connection)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_batch_is_appended_whole_or_not_at_all() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    store.append_many(vec![event("a", 1), event("b", 1)]).await.unwrap();

    let outcome = store.append_many(vec![event("c", 1), event("a", 1)]).await;

    assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
    let counts = eventstore::count::log(&pool).await.unwrap();
    assert_eq!((counts.events, counts.streams, counts.opportunities), (2, 2, 2));
}

#[tokio::test]
async fn streams_of_two_kinds_with_the_same_id_are_two_and_are_counted_by_kind() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    let watchlist = NewEvent { aggregate_type: "watchlist", ..event("a", 1) };

    store.append_many(vec![event("a", 1), event("a", 2), watchlist]).await.unwrap();

    let counts = eventstore::count::log(&pool).await.unwrap();
    assert_eq!((counts.events, counts.streams, counts.opportunities), (3, 2, 1));
    assert_eq!(store.load_many("watchlist", &["a".to_owned()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn streams_are_loaded_in_the_order_of_their_sequence() {
    let store = PgBatchStore::new(database().await);
    store.append_many(vec![event("a", 1), event("b", 1), event("a", 2), event("a", 3)]).await.unwrap();

    let loaded = store.load_many("opportunity", &["a".to_owned(), "unknown".to_owned()]).await.unwrap();

    let sequences: Vec<_> = loaded.iter().map(|event| (event.aggregate_id.as_str(), event.sequence)).collect();
    assert_eq!(sequences, [("a", 1), ("a", 2), ("a", 3)]);
    assert_eq!(loaded[2].payload, payload("3"));
}

#[tokio::test]
async fn the_log_refuses_to_be_changed() {
    let pool = database().await;
    PgBatchStore::new(pool.clone()).append_many(vec![event("a", 1)]).await.unwrap();
    for statement in ["update events set payload = '{}'", "delete from events", "truncate events"] {
        let refusal = sqlx::query(statement).execute(&pool).await.unwrap_err().to_string();
        assert!(refusal.contains("the event log is immutable"), "{statement}: {refusal}");
    }
}
