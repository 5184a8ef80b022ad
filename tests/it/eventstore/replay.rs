//! Reading any part of the log: all selected events, in order, never beyond the fence, and without a session left
//! behind.

mod replay_command;

use std::time::Duration;

use domain::{
    context::BoundedContext,
    envelope::{EventMetadata, RawEnvelope},
    event_store::{BatchStore, NewEvent},
};
use eventstore::{
    append::PgBatchStore,
    error::LogError,
    log::{EventFilter, FollowOptions, LogReplay, ReplayOptions},
};
use futures::TryStreamExt;
use serde_json::json;
use sqlx::PgPool;

use tests::{WAIT_TIMEOUT, database, eventually, log_events::insert_event};

/// Appends the discovery of an opportunity, and returns its position.
async fn record_discovery(pool: &PgPool, aggregate: &str, tenant: &str, recorded_at: &str) -> u64 {
    record_event(
        pool,
        "opportunity",
        aggregate,
        "opportunity.discovered",
        discovered_payload(aggregate, ""),
        tenant,
        recorded_at,
    )
    .await
}

async fn record_event(
    pool: &PgPool,
    aggregate_type: &str,
    aggregate: &str,
    event_type: &str,
    payload: String,
    tenant: &str,
    recorded_at: &str,
) -> u64 {
    let position: i64 = sqlx::query_scalar(include_str!("replay/record.sql"))
        .bind(aggregate_type)
        .bind(aggregate)
        .bind(event_type)
        .bind(payload)
        .bind(tenant)
        .bind(recorded_at)
        .fetch_one(pool)
        .await
        .unwrap();
    position.unsigned_abs()
}

/// A payload of `opportunity.discovered` 1.0.
fn discovered_payload(notice: &str, description: &str) -> String {
    json!({
        "type": "discovered",
        "filing": {
            "notice_id": notice, "source": "sam_csv", "posted_at": "2026-03-03T12:00:00Z", "digest": "d",
        },
        "facts": {
            "title": "Patient lifts",
            "notice_type": "Solicitation",
            "agency": { "code": "036", "name": "VETERANS AFFAIRS, DEPARTMENT OF" },
            "description": description,
        },
    })
    .to_string()
}

/// Appends that many opportunities, each with a payload of about 1 KB. A statement appends 10 MB of them at most: beside other
/// tests a longer one can reach the pool's limit for a statement.
async fn append_events(pool: &PgPool, events: i64) {
    const STATEMENT_EVENTS: i64 = 10_000;
    let payload = discovered_payload("n", &"lift ".repeat(160));
    let mut first = 1;
    while first <= events {
        let last = events.min(first + STATEMENT_EVENTS - 1);
        let fill = sqlx::query(include_str!("replay/fill.sql")).bind(first).bind(last).bind(&payload);
        fill.execute(pool).await.unwrap();
        first = last + 1;
    }
}

async fn read_events(pool: &PgPool, options: ReplayOptions) -> Result<Vec<RawEnvelope>, LogError> {
    LogReplay::start(pool, options).await?.into_stream().try_collect().await
}

async fn read_positions(pool: &PgPool, options: ReplayOptions) -> Vec<u64> {
    read_events(pool, options).await.unwrap().iter().map(|event| event.position).collect()
}

#[tokio::test]
async fn events_are_read_as_they_were_recorded() {
    let pool = database().await;
    let metadata = EventMetadata { tenant_id: "o'hare".into(), user_id: "ü".into(), ..EventMetadata::default() };
    let payload = discovered_payload("n1", "line\nbreak \"quoted\" \\ ü");
    PgBatchStore::new(pool.clone())
        .append_events(vec![NewEvent {
            aggregate_type: "opportunity",
            aggregate_id: "036:X".to_owned(),
            sequence: 1,
            event_type: "opportunity.discovered".to_owned(),
            event_version: "1.0".to_owned(),
            payload: payload.clone(),
            metadata: metadata.clone(),
        }])
        .await
        .unwrap();

    let events = read_events(&pool, ReplayOptions::default()).await.unwrap();
    let known = eventstore::log::read_after(&mut pool.acquire().await.unwrap(), 0, 9, 9).await.unwrap();

    assert_eq!(events, known, "both readers agree on every field");
    let event = &events[0];
    assert_eq!(
        (event.payload.as_str(), &event.metadata, event.tenant_id.as_str()),
        (payload.as_str(), &metadata, "o'hare")
    );
    assert_eq!((event.aggregate_id.as_str(), event.sequence, event.position), ("036:X", 1, 1));
}

#[tokio::test]
async fn every_filter_selects_its_events() {
    let pool = database().await;
    let day = |day: u32| format!("2026-03-0{day}T12:00:00Z");
    record_discovery(&pool, "a", "public", &day(1)).await;
    record_discovery(&pool, r"o'h\are", "acme", &day(2)).await;
    let award = json!({ "type": "awarded", "key": "n", "award": {} }).to_string();
    record_event(&pool, "opportunity", "a", "opportunity.awarded", award, "public", &day(3)).await;
    record_event(&pool, "unregistered", "a", "x.y", "{}".to_owned(), "public", &day(4)).await;

    let none = EventFilter::default;
    let text = |value: &str| Some(value.to_owned());
    let time = |day_of_month| Some(day(day_of_month).parse().unwrap());
    let awarded = vec!["opportunity.awarded".to_owned()];
    let cases = [
        (none(), vec![1, 2, 3, 4]),
        (EventFilter { contexts: vec![BoundedContext::Opportunities], ..none() }, vec![1, 2, 3]),
        (EventFilter { contexts: vec![BoundedContext::Tasks], ..none() }, vec![]),
        (EventFilter { event_types: awarded.clone(), ..none() }, vec![3]),
        (EventFilter { event_types: [awarded.clone(), vec!["x.y".to_owned()]].concat(), ..none() }, vec![3, 4]),
        (EventFilter { tenant_id: text("acme"), ..none() }, vec![2]),
        (EventFilter { aggregate_id: text(r"o'h\are"), ..none() }, vec![2]),
        (EventFilter { aggregate_id: text("a"), ..none() }, vec![1, 3]),
        (EventFilter { aggregate_id: text("' or true --"), ..none() }, vec![]),
        (EventFilter { recorded_from: time(2), ..none() }, vec![2, 3, 4]),
        (EventFilter { recorded_until: time(2), ..none() }, vec![1]),
        (EventFilter { recorded_from: time(2), recorded_until: time(4), ..none() }, vec![2, 3]),
        (EventFilter { event_types: awarded, tenant_id: text("acme"), ..none() }, vec![]),
    ];
    for (filter, expected) in cases {
        let options = ReplayOptions { filter: filter.clone(), ..ReplayOptions::default() };
        assert_eq!(read_positions(&pool, options).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_filter_that_sql_cannot_express_is_refused() {
    let pool = database().await;
    let filter = EventFilter { tenant_id: Some("a\0".to_owned()), ..EventFilter::default() };
    let refusal = read_events(&pool, ReplayOptions { filter, ..ReplayOptions::default() }).await;
    assert!(matches!(refusal, Err(LogError::Filter(_))), "{refusal:?}");
}

#[tokio::test]
async fn pages_and_batches_of_any_size_give_the_same_events_in_order() {
    let pool = database().await;
    append_events(&pool, 100).await;
    for (page_positions, batch_events) in [(1, 1), (7, 3), (33, 100), (1_000, 10)] {
        let options = ReplayOptions { page_positions, batch_events, ..ReplayOptions::default() };
        let mut replay = LogReplay::start(&pool, options).await.unwrap();
        let (mut found, mut watermark) = (vec![], 0);
        while let Some(batch) = replay.next_batch().await.unwrap() {
            assert!(batch.events.len() <= batch_events);
            assert!(watermark <= batch.watermark && batch.watermark <= batch.fence);
            found.extend(batch.events.iter().map(|event| event.position));
            watermark = batch.watermark;
            assert!(found.last().is_none_or(|last| *last <= watermark));
        }
        assert_eq!((found, watermark), ((1..=100).collect(), 100), "pages of {page_positions}");
    }
}

#[tokio::test]
async fn a_batch_ends_at_its_limit_of_bytes() {
    let pool = database().await;
    append_events(&pool, 20).await;
    let mut replay =
        LogReplay::start(&pool, ReplayOptions { batch_bytes: 2_500, ..ReplayOptions::default() }).await.unwrap();
    while let Some(batch) = replay.next_batch().await.unwrap() {
        assert!(batch.events.len() <= 3, "{} events of 1 KB", batch.events.len());
    }
}

#[tokio::test]
async fn a_range_of_positions_and_a_limit_select_a_part_of_the_log() {
    let pool = database().await;
    append_events(&pool, 20).await;
    let all = ReplayOptions { page_positions: 3, ..ReplayOptions::default() };
    let range = ReplayOptions { after: 4, to: Some(9), ..all.clone() };
    assert_eq!(read_positions(&pool, range.clone()).await, [5, 6, 7, 8, 9]);
    assert_eq!(read_positions(&pool, ReplayOptions { limit: Some(2), ..range.clone() }).await, [5, 6]);
    assert_eq!(read_positions(&pool, ReplayOptions { limit: Some(4), ..range.clone() }).await, [5, 6, 7, 8]);
    assert_eq!(read_positions(&pool, ReplayOptions { limit: Some(0), ..range }).await, [0_u64; 0]);
    assert_eq!(read_positions(&pool, ReplayOptions { after: 18, to: Some(u64::MAX), ..all.clone() }).await, [19, 20]);
    assert_eq!(read_positions(&pool, ReplayOptions { after: u64::MAX, ..all }).await, [0_u64; 0]);
}

#[tokio::test]
async fn an_open_append_is_not_passed() {
    let pool = database().await;
    let mut slow = pool.begin().await.unwrap();
    insert_event(&mut slow, "slow", 1).await;
    insert_event(&mut pool.acquire().await.unwrap(), "fast", 1).await;
    assert_eq!(read_positions(&pool, ReplayOptions::default()).await, [0_u64; 0], "1 may still appear before 2");

    let follow = ReplayOptions { follow: Some(FollowOptions::default()), ..ReplayOptions::default() };
    let mut following = LogReplay::start(&pool, follow).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), following.next_batch()).await;
    assert!(waited.is_err(), "nothing is complete yet: {waited:?}");
    slow.commit().await.unwrap();

    let mut order = vec![];
    while order.len() < 2 {
        let batch = tokio::time::timeout(WAIT_TIMEOUT, following.next_batch()).await.unwrap().unwrap().unwrap();
        order.extend(batch.events.into_iter().map(|event| event.aggregate_id));
    }
    assert_eq!(order, ["slow", "fast"]);
}

#[tokio::test]
async fn following_continues_over_gaps_and_reports_its_watermark() {
    let pool = database().await;
    let filter = EventFilter { tenant_id: Some("acme".to_owned()), ..EventFilter::default() };
    let options = ReplayOptions { filter, follow: Some(FollowOptions::default()), ..ReplayOptions::default() };
    let mut replay = LogReplay::start(&pool, options).await.unwrap();
    for number in 1..=3 {
        let mut undone = pool.begin().await.unwrap();
        insert_event(&mut undone, "undone", 1).await;
        undone.rollback().await.unwrap();
        let position = record_discovery(&pool, &format!("a{number}"), "acme", "2026-03-03T12:00:00Z").await;
        let (mut watermark, mut found) = (0, vec![]);
        while watermark < position {
            let batch = tokio::time::timeout(WAIT_TIMEOUT, replay.next_batch()).await.unwrap().unwrap().unwrap();
            watermark = batch.watermark;
            found.extend(batch.events.into_iter().map(|event| event.position));
        }
        assert_eq!(found, [position]);
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_and_the_events_before_it_are_delivered() {
    let pool = database().await;
    append_events(&pool, 5).await;
    let event_id: uuid::Uuid = sqlx::query_scalar(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('opportunity', 'broken', 1, 'opportunity.discovered', '1.0', '{}', '[\"no object\"]') returning event_id",
    )
    .fetch_one(&pool)
    .await
    .unwrap();

    let mut replay = LogReplay::start(&pool, ReplayOptions::default()).await.unwrap();
    let before = replay.next_batch().await.unwrap().unwrap();
    let error = replay.next_batch().await.unwrap_err();

    assert_eq!(before.events.len(), 5);
    assert_eq!(error.to_string(), format!("reading the event at position 6 (event {event_id})"));
    assert!(replay.next_batch().await.unwrap().is_none(), "nothing comes after an error");
}

#[tokio::test]
async fn a_reader_dropped_midway_leaves_no_query_running_and_a_usable_pool() {
    let pool = database().await;
    append_events(&pool, 30_000).await;
    for _ in 0..3 {
        let mut replay = LogReplay::start(&pool, ReplayOptions::default()).await.unwrap();
        assert!(replay.next_batch().await.unwrap().is_some());
        drop(replay);
    }
    eventually(async || {
        let left: Vec<String> = sqlx::query_scalar(
            "select query from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and query like 'copy%'",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(read_positions(&pool, ReplayOptions { limit: Some(1), ..ReplayOptions::default() }).await, [1]);
}
