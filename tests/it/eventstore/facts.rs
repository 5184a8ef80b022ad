//! Facts: appended at the end of their streams, and only once, even if several writers send them repeatedly.

use std::sync::Arc;

use domain::{
    envelope::EventMetadata,
    event_store::{BatchStore, FactOutcome, FactStore, NewEvent, NewFact, StoreError},
};
use eventstore::append::PgBatchStore;
use futures::future::join_all;
use sqlx::PgPool;
use tests::{database, log_events::discovered_event};
use uuid::Uuid;

/// The limit of events in one stream, unless a test sets another.
const MAX_STREAM_EVENTS: u64 = 1_000_000;

fn create_fact(stream: &str, number: u128) -> NewFact {
    NewFact {
        aggregate_id: stream.to_owned(),
        event_id: Uuid::from_u128(number),
        event_type: "visit.page_viewed".to_owned(),
        event_version: "1.0".to_owned(),
        payload: format!(r#"{{"type":"page_viewed","page_url":"/{number}","at":"2026-03-03T12:00:00Z"}}"#),
        metadata: Arc::new(EventMetadata { tenant_id: "public".to_owned(), ..EventMetadata::default() }),
    }
}

/// Sequence and payload of a stream's events, in the order of their positions.
async fn read_stream(pool: &PgPool, id: &str) -> Vec<(i64, String)> {
    let query =
        "select sequence, coalesce(payload ->> 'page_url', '') from events where aggregate_id = $1 order by position";
    sqlx::query_as(query).bind(id).fetch_all(pool).await.unwrap()
}

/// Appends facts and repeats it after a conflict, as a writer of facts does.
async fn append_with_retry(store: &PgBatchStore, facts: &[NewFact]) -> Vec<FactOutcome> {
    loop {
        match store.append_facts(facts, MAX_STREAM_EVENTS).await {
            Ok(outcomes) => return outcomes,
            Err(StoreError::Conflict) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn new_facts_are_appended_to_their_streams_and_known_ones_are_left_out() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    let opportunity_event = NewEvent { aggregate_type: "opportunity", ..discovered_event("v", 1) };
    store
        .append_events(vec![opportunity_event, NewEvent { aggregate_type: "visit", ..discovered_event("w", 1) }])
        .await
        .unwrap();

    let first = [create_fact("v", 1), create_fact("w", 2), create_fact("v", 3), create_fact("v", 1)];
    let outcomes = append_with_retry(&store, &first).await;
    assert_eq!(outcomes, [FactOutcome::Recorded, FactOutcome::Recorded, FactOutcome::Recorded, FactOutcome::Known]);
    let overlapping = [create_fact("v", 3), create_fact("v", 4), create_fact("w", 2), create_fact("w", 5)];
    let outcomes = append_with_retry(&store, &overlapping).await;
    assert_eq!(outcomes, [FactOutcome::Known, FactOutcome::Recorded, FactOutcome::Known, FactOutcome::Recorded]);

    let visit: Vec<_> = read_stream(&pool, "v").await.into_iter().filter(|(_, page)| page.starts_with('/')).collect();
    assert_eq!(visit, [(1, "/1".to_owned()), (2, "/3".to_owned()), (3, "/4".to_owned())]);
    assert_eq!(read_stream(&pool, "w").await.into_iter().map(|(sequence, _)| sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(append_with_retry(&store, &[]).await, []);
}

#[tokio::test]
async fn a_full_stream_refuses_further_facts_and_other_streams_accept_theirs() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    let facts: Vec<_> = (0..5).map(|number| create_fact("v", number)).chain([create_fact("w", 9)]).collect();
    let outcomes = store.append_facts(&facts, 3).await.unwrap();
    let full = FactOutcome::StreamFull;
    assert_eq!(outcomes[..3], [FactOutcome::Recorded; 3]);
    assert_eq!(outcomes[3..], [full, full, FactOutcome::Recorded]);
    assert_eq!(
        store.append_facts(&facts, 3).await.unwrap()[..4],
        [FactOutcome::Known, FactOutcome::Known, FactOutcome::Known, full]
    );
}

#[tokio::test]
async fn writers_of_the_same_facts_at_the_same_time_record_each_once_and_leave_no_gap() {
    let pool = database().await;
    let writers = (0..4_u128).map(|writer| {
        let store = PgBatchStore::new(pool.clone());
        async move {
            for round in 0..10_u128 {
                // All writers send the same facts in different orders; each stream has half of them.
                let number = |n: u128| round * 10 + (n + writer) % 10;
                let facts: Vec<_> =
                    (0..10).map(|n| create_fact(if n % 2 == 0 { "v" } else { "w" }, number(n))).collect();
                append_with_retry(&store, &facts).await;
            }
        }
    });
    join_all(writers).await;

    let (of_v, of_w) = (read_stream(&pool, "v").await, read_stream(&pool, "w").await);
    for events in [&of_v, &of_w] {
        let sequences: Vec<_> = events.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=i64::try_from(events.len()).unwrap()).collect::<Vec<_>>());
    }
    let (events, ids): (i64, i64) =
        sqlx::query_as("select count(*), count(distinct event_id) from events").fetch_one(&pool).await.unwrap();
    assert_eq!((events, ids), (100, 100));
}

#[tokio::test]
async fn the_cost_of_an_append_depends_on_its_facts_and_not_on_the_length_of_the_log() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    // Statistics of a small log without visits, for which a scan is the cheapest plan; they stay the same while visits
    // are added.
    store.append_events((0..2_000).map(|number| discovered_event(&format!("o{number}"), 1)).collect()).await.unwrap();
    sqlx::query("analyze events").execute(&pool).await.unwrap();
    for number in 0..4_u128 {
        append_with_retry(&store, &(0..5_000).map(|n| create_fact("long", number * 5_000 + n)).collect::<Vec<_>>())
            .await;
    }
    for (first, statement) in [(100_000, APPEND_NEW_FACTS), (200_000, APPEND_FACTS)] {
        let short = count_append_blocks(&pool, statement, &format!("short-{first}"), first).await;
        let long = count_append_blocks(&pool, statement, "long", first + 1_000).await;
        assert!(long < 2 * short, "pages read: {short} for a short visit, {long} for a long one: {statement}");
        assert!(short < 100 * MAX_BLOCKS_PER_FACT, "{short} pages read for a hundred facts: {statement}");
    }
}

/// Append a hundred facts to a stream: the statements for batches of new facts only, and for all other batches.
const APPEND_NEW_FACTS: &str = "select append_new_facts($1, $2, array[$3::text], array[100::bigint], array_fill(1, array[100]), \
     array(select generate_series(1, 100)), array['visit.page_viewed'], array['1.0'], array_fill(1, array[100]), \
     array['{}'], array_fill(1, array[100]), 1000000)";
const APPEND_FACTS: &str = "select * from append_facts($1, array_fill($3::text, array[100]), \
     array_fill('visit.page_viewed'::text, array[100]), array_fill('1.0'::text, array[100]), $2, \
     array_fill('{}'::text, array[100]), 1000000)";

/// Limit of pages that Postgres reads for one fact: two look-ups, and inserts into the table and its indexes.
const MAX_BLOCKS_PER_FACT: u64 = 40;

/// The number of pages that Postgres reads in order to append a hundred facts by this statement.
async fn count_append_blocks(pool: &PgPool, statement: &str, id: &str, first: u128) -> u64 {
    let facts: Vec<_> = (first..first + 100).map(|number| create_fact(id, number)).collect();
    let plan: serde_json::Value = sqlx::query_scalar(&format!("explain (analyze, buffers, format json) {statement}"))
        .bind(facts.iter().map(|fact| fact.event_id).collect::<Vec<_>>())
        .bind(facts.iter().map(|fact| fact.payload.as_str()).collect::<Vec<_>>())
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap();
    let plan = &plan[0]["Plan"];
    plan["Shared Hit Blocks"].as_u64().unwrap() + plan["Shared Read Blocks"].as_u64().unwrap()
}

#[tokio::test]
async fn existing_streams_are_found() {
    let store = PgBatchStore::new(database().await);
    store
        .append_events(vec![discovered_event("a", 1), discovered_event("b", 1), discovered_event("b", 2)])
        .await
        .unwrap();
    let ids = ["a", "b", "c"].map(str::to_owned);
    let found = store.existing_streams("opportunity", &ids).await.unwrap();
    assert_eq!((found.len(), found.contains("c")), (2, false));
    assert!(store.existing_streams("visit", &ids).await.unwrap().is_empty());
}
