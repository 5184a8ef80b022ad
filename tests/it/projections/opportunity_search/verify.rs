//! Comparing with the log: what is wrong is named, what is right is equal.

use projections::runtime::{BUCKET_COUNT, bucket_of};
use qdrant_client::qdrant::{NamedVectors, PointStruct, PointVectors, UpdatePointVectorsBuilder, Vector};

use super::*;
use tests::opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history, notice};

/// The keys of rows that only one side has or that differ.
fn differing(left: &[ReadModelRow], right: &[ReadModelRow]) -> Vec<String> {
    let one_side = |left: &[ReadModelRow], right: &[ReadModelRow]| -> Vec<String> {
        left.iter().filter(|row| !right.contains(row)).map(|row| row.key.clone()).collect()
    };
    let mut keys = [one_side(left, right), one_side(right, left)].concat();
    keys.sort();
    keys.dedup();
    keys
}

/// What a comparison names.
async fn wrong(own: &SearchFixture) -> Vec<String> {
    let scope = VerifyScope::all_buckets();
    differing(&expected(&own.search, &history(), &scope), &read_back(&own.search, &scope).await)
}

#[tokio::test]
async fn what_is_read_back_is_what_the_log_says_in_every_part() {
    let own = SearchFixture::holding(&history()).await;
    let events = history();
    let mut found = vec![];
    for scope in [VerifyScope::Buckets(0..=99), VerifyScope::Buckets(100..=BUCKET_COUNT - 1)] {
        let rows = read_back(&own.search, &scope).await;
        assert_eq!(rows, expected(&own.search, &events, &scope));
        assert!(rows.iter().all(|row| scope.contains_stream(&row.key)), "{rows:?}");
        found.extend(rows.into_iter().map(|row| row.key));
    }
    found.sort();
    assert_eq!(found, [WHEELCHAIRS, SHIP, VALVES]);
    let bucket = bucket_of(SHIP);
    assert!(read_back(&own.search, &VerifyScope::Buckets(bucket..=bucket)).await.iter().any(|row| row.key == SHIP));
    assert_eq!(read_back(&own.search, &VerifyScope::Totals).await, []);
    assert_eq!(expected(&own.search, &events, &VerifyScope::Totals), []);
}

#[tokio::test]
async fn more_points_than_one_page_are_read_back() {
    let own = SearchFixture::new().await;
    let mut log = tests::opportunity_history::MemoryLog::default();
    for number in 0..1_200 {
        let title = format!("48--VALVE,CHECK {}", number % 10);
        log.record(notice(&format!("n{number}"), "DEPT OF DEFENSE", &format!("N-{number}"), &title, "4820", 1));
    }
    apply(&own.search, &log.events).await;

    let scope = VerifyScope::all_buckets();
    let rows = read_back(&own.search, &scope).await;

    assert_eq!(rows.len(), 1_200);
    assert_eq!(rows, expected(&own.search, &log.events, &scope));
}

#[tokio::test]
async fn a_corrupted_point_differs_and_a_deleted_one_is_missing() {
    let own = SearchFixture::holding(&history()).await;
    assert_eq!(wrong(&own).await, [""; 0]);

    own.tamper(VALVES, json!({ "title": "something else" })).await;
    assert_eq!(wrong(&own).await, [VALVES]);

    own.tamper(WHEELCHAIRS, json!({ "awarded": false })).await;
    own.delete(SHIP).await;
    assert_eq!(wrong(&own).await, [WHEELCHAIRS, SHIP, VALVES]);
}

#[tokio::test]
async fn a_vector_that_was_lost_or_replaced_is_named() {
    let own = SearchFixture::holding(&history()).await;
    let zeros = NamedVectors::default().add_vector("dense", Vector::new_dense(vec![0.0; 256]));
    let words = NamedVectors::default().add_vector("sparse", Vector::new_sparse(vec![1, 2], vec![1.0, 1.0]));
    for (id, vectors) in [(SHIP, zeros), (VALVES, words)] {
        let vectors = PointVectors { id: Some(point(id).to_string().into()), vectors: Some(vectors.into()) };
        let update = UpdatePointVectorsBuilder::new(&own.collection, vec![vectors]).wait(true);
        own.qdrant.update_vectors(update).await.unwrap();
    }

    assert_eq!(wrong(&own).await, [SHIP, VALVES]);
}

#[tokio::test]
async fn foreign_and_unreadable_points_are_named() {
    let own = SearchFixture::holding(&history()).await;
    let (empty, stolen) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let vectors = || NamedVectors::default().add_vector("dense", Vector::new_dense(vec![1.0; 256]));
    let points = vec![
        PointStruct::new(empty.to_string(), vectors(), Payload::new()),
        PointStruct::new(stolen.to_string(), vectors(), Payload::try_from(json!({ "bucket": 200 })).unwrap()),
    ];
    own.qdrant.upsert_points(UpsertPointsBuilder::new(&own.collection, points).wait(true)).await.unwrap();
    own.tamper(VALVES, json!({ "bucket": 1_000_000 })).await;

    let mut named = vec![empty.to_string(), stolen.to_string(), VALVES.to_owned()];
    named.sort();

    assert_eq!(wrong(&own).await, named);
}
